"""Settings: the only place that reads the environment.

What a deployment decides stands in `Deployment` below and in `targeting.http.config.ServiceConfig` with its sections.
Every field of those is a variable: HIREGRAPH_PORT, HIREGRAPH_MAX_BODY_BYTES, HIREGRAPH_BILLING_GRACE (section, field).
Spans of time are given in seconds, lists with commas. `hiregraph settings` and docs/settings.md show the whole table;
it is read off the classes, so a new field needs nothing here.
"""

from __future__ import annotations

import os
import re
import secrets
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError, create_model
from pydantic import Field as Limits
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url

from market.errors import ConfigError
from targeting.http.config import ServiceConfig
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


class Deployment(BaseSettings):
    """What concerns the machine and its files; command-line options go before these variables.

    data: the data directory; db: database URL; artefacts: what the engine searches with; token_secret: at least 32
    bytes in hex that sign tracking tokens, by default made once and kept beside the database; host: address to listen
    on; port: port to listen on; trusted_proxies: addresses of proxies whose X-Forwarded-For is believed, with
    commas; drain_seconds: how long requests may take to finish after SIGTERM.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path | None = None
    db: str = "sqlite:///out/hiregraph.sqlite"
    artefacts: Path = Path("out/demo/artefacts")
    token_secret: Annotated[SecretStr, AfterValidator(_hex_secret)] | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Limits(ge=1, le=65535)] = 8080
    trusted_proxies: str = ""
    drain_seconds: Annotated[int, Limits(ge=1, le=300)] = 8


@dataclass(frozen=True)
class _Variable:
    """One field of a section of the service: its place, its type as declared, and what it is without a setting."""

    section: str | None
    field: str
    declared: Any
    default: Any
    meaning: str

    @property
    def name(self) -> str:
        return self.field if self.section is None else f"{self.section}_{self.field}"


@dataclass(frozen=True)
class Row:
    """One line of the table of settings; default and value as they would be written, secrets masked."""

    variable: str
    default: str
    value: str
    meaning: str


def _variables(config: type = ServiceConfig, section: str | None = None) -> Iterator[_Variable]:
    declared = get_type_hints(config)
    for each in fields(config):
        kind = declared[each.name]
        if section is None and isinstance(kind, type) and is_dataclass(kind):
            yield from _variables(kind, each.name)
        else:
            yield _Variable(section, each.name, kind, _default(each), _meaning(config, each.name, each.metadata))


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise TypeError(f"{field.name} has no default: a deployment must be able to leave it alone")


def _meaning(config: type, name: str, metadata: Mapping[Any, Any] = types.MappingProxyType({})) -> str:
    """What the docstring says behind `name:` or `name, other:`, up to the next `;` or the end of the sentence."""
    if "meaning" in metadata:
        return str(metadata["meaning"])
    text = " ".join((config.__doc__ or "").split())
    found = re.search(rf"(?:^|[\s;.]){re.escape(name)}(?:, \w+)*: (.*?)(?:;|\.(?:\s|$)|$)", text)
    return found.group(1).strip() if found else ""


def _readable(declared: Any, default: Any) -> Any:
    """The type by which pydantic reads a value of the declared type from text."""
    if declared is timedelta:
        return Annotated[timedelta, BeforeValidator(_seconds)]
    if get_origin(declared) in (tuple, frozenset, list, set):
        return Annotated[declared, NoDecode, BeforeValidator(_listed)]
    if get_origin(declared) in (Union, types.UnionType) and timedelta in get_args(declared):
        return Annotated[timedelta | None, BeforeValidator(_seconds)]
    return declared


def _seconds(given: Any) -> Any:
    if isinstance(given, str):
        try:
            return timedelta(seconds=float(given))
        except (ValueError, OverflowError):
            raise ValueError("expected a number of seconds") from None
    return given


def _listed(given: Any) -> Any:
    return [each.strip() for each in given.split(",") if each.strip()] if isinstance(given, str) else given


VARIABLES = {each.name: each for each in _variables()}
Settings: Any = create_model(
    "Settings",
    __base__=Deployment,
    **{name: (_readable(each.declared, each.default), each.default) for name, each in VARIABLES.items()},
)


def load_settings(**options: Any) -> Deployment:
    """Settings from `options` (None: not given), the environment and the defaults; ConfigError names the variable."""
    try:
        settings: Deployment = Settings(**{name: value for name, value in options.items() if value is not None})
        return settings
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(str(step) for step in first["loc"][:1])
        raise ConfigError(f"{PREFIX}{name.upper()} (or --{name}): {first['msg']}") from None


def service_config(settings: Deployment) -> ServiceConfig:
    """The sections of the service, each checked by itself; ConfigError says in which section."""
    declared, parts = get_type_hints(ServiceConfig), {}
    for each in fields(ServiceConfig):
        if each.name in VARIABLES:
            parts[each.name] = getattr(settings, each.name)
            continue
        given = {
            known.field: getattr(settings, name) for name, known in VARIABLES.items() if known.section == each.name
        }
        try:
            parts[each.name] = declared[each.name](**given)
        except ConfigError as error:
            raise ConfigError(f"{PREFIX}{each.name.upper()}_...: {error}") from None
    return ServiceConfig(**parts)


def refuse_unknown_variables() -> None:
    """A variable of ours that does not exist is a typing error: better no start than a setting without effect."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such setting; `hiregraph settings` lists them")


def table(settings: Deployment) -> list[Row]:
    """All settings, the deployment's first, then section by section."""
    rows = []
    for name, field in Settings.model_fields.items():
        known = VARIABLES.get(name)
        meaning = _meaning(Deployment, name) if known is None else known.meaning
        rows.append(
            Row(f"{PREFIX}{name.upper()}", _written(field.default), _shown(name, getattr(settings, name)), meaning)
        )
    return rows


def _shown(name: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(set)"
    return make_url(value).render_as_string(hide_password=True) if name == "db" else _written(value)


def _written(value: Any) -> str:
    """A value as the environment spells it; reads back as the same value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return _written(value.total_seconds())
    if isinstance(value, (set, frozenset)):
        return ",".join(sorted(map(str, value)))
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def markdown(rows: list[Row]) -> str:
    """docs/settings.md, word for word."""
    lines = [
        "# Settings",
        "",
        "Written by `hiregraph settings --markdown`; `hiregraph settings` shows the present values. An option of the",
        "command line goes before the variable, the variable before the default. Spans of time are seconds, lists have",
        "commas. A variable that starts with `HIREGRAPH_` and is not in this table stops the server at its start.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{row.variable}` | {f'`{row.default}`' if row.default else ''} | {row.meaning} |" for row in rows]
    return "\n".join(lines) + "\n"


def token_secret(settings: Deployment) -> bytes:
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


def hand_over(settings: Deployment) -> None:
    """Put the settings into the environment of the worker processes that are about to be started."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is not None and name != "token_secret":
            os.environ[f"{PREFIX}{name.upper()}"] = _written(value)


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
