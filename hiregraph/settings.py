"""Settings: the only place that reads the environment.

HIREGRAPH_DATA          the data directory
HIREGRAPH_DB            database URL                     sqlite:///out/hiregraph.sqlite
HIREGRAPH_ARTEFACTS     what the engine searches with    out/demo/artefacts
HIREGRAPH_TOKEN_SECRET  hex, at least 32 bytes; signs tracking tokens. Default: made once, kept beside the database
HIREGRAPH_HOST, HIREGRAPH_PORT                           127.0.0.1, 8080
HIREGRAPH_DOCS          serve /docs                      true
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from market.errors import ConfigError
from targeting.storage.database import sqlite_path

PREFIX = "HIREGRAPH_"
SECRET_BYTES = 32


def _hex_secret(secret: SecretStr) -> SecretStr:
    try:
        length = len(bytes.fromhex(secret.get_secret_value()))
    except ValueError:
        length = 0
    if length < SECRET_BYTES:
        raise ValueError(f"expected at least {SECRET_BYTES} bytes in hex")
    return secret


class Settings(BaseSettings):
    """What a deployment decides; command-line options go first, then the environment, then these defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path | None = None
    db: str = "sqlite:///out/hiregraph.sqlite"
    artefacts: Path = Path("out/demo/artefacts")
    token_secret: Annotated[SecretStr, AfterValidator(_hex_secret)] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    docs: bool = True


def load_settings(**options: Any) -> Settings:
    """Settings from `options` (None: not given), the environment and the defaults; ConfigError names the variable."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(str(step) for step in first["loc"][:1])
        raise ConfigError(f"{PREFIX}{name.upper()} (or --{name}): {first['msg']}") from None


def token_secret(settings: Settings) -> bytes:
    """The secret that signs tracking tokens: from the settings, else from a file made once beside the database."""
    if settings.token_secret is not None:
        return bytes.fromhex(settings.token_secret.get_secret_value())
    database = sqlite_path(settings.db)
    if database is None:
        raise ConfigError(
            f"{PREFIX}TOKEN_SECRET is required with a database server; make one with `openssl rand -hex 32`"
        )
    path = database.with_name(database.name + ".token-secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_secret(path)
    found = path.read_text().strip()
    try:
        secret = bytes.fromhex(found)
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise ConfigError(
            f"{path} does not hold {SECRET_BYTES} bytes in hex; restore it, or delete it to make a new one"
        )
    return secret


def hand_over(settings: Settings) -> None:
    """Put the settings into the environment of the worker processes that are about to be started."""
    given = settings.model_dump(exclude_none=True, exclude={"token_secret"}, mode="json")
    os.environ.update({f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()})


def _make_secret(path: Path) -> None:
    # Written aside and linked into place: two processes that start together agree on one secret.
    if path.exists():
        return
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(SECRET_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
