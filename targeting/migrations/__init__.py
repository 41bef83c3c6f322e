"""The schema of the store and how it grew: one file per step in `versions/`, applied by `upgrade`.

A new step, from a checkout: write `versions/NNNN_what.py` by hand; a test compares the result with `storage.tables`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from market.errors import ConfigError
from targeting.storage import ledger_tables, pacing_tables, seeker_tables, tables
from targeting.storage.base import Base
from targeting.storage.database import Database


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this program's version in one transaction; returns (version before, version now).

    ConfigError when the database was made by a newer program: this one would not understand what it writes.
    """
    config = _config()
    with database.changing_schema() as connection:
        before = _known_version(connection, config)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, head()


def metadata() -> MetaData:
    """All tables of the store, from the four modules that declare them."""
    for module in (tables, ledger_tables, seeker_tables, pacing_tables):
        assert module.Base is Base
    return Base.metadata


def head() -> str:
    """The schema version this program works with."""
    version = ScriptDirectory.from_config(_config()).get_current_head()
    assert version is not None, "the package contains its migrations"
    return version


def _known_version(connection: Connection, config: Config) -> str | None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigError(
            f"the database has schema version {version}, this program knows versions up to {head()}; "
            "start the newer program, or restore a backup made before the upgrade"
        )
    return version


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
