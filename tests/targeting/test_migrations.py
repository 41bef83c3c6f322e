from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text

from market.errors import ConfigError
from targeting.database import Database
from targeting.migrations import head, upgrade
from targeting.tables import Base


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/hiregraph.sqlite")


def test_upgrading_makes_exactly_the_schema_of_the_code(database: Database) -> None:
    assert upgrade(database) == (None, head())
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_upgrading_makes_the_same_checks_as_the_code(database: Database) -> None:
    upgrade(database)
    for table in Base.metadata.tables.values():
        made = {each["name"]: each["sqltext"] for each in inspect(database.engine).get_check_constraints(table.name)}
        wanted = {str(each.name): str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)}
        assert made == wanted


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    upgrade(database)
    assert upgrade(database) == (head(), head())


def test_a_newer_schema_is_refused_untouched(database: Database) -> None:
    upgrade(database)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="schema version 9999"):
        upgrade(database)
    with database.reading() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_step_that_fails_leaves_the_database_as_it_was(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("CREATE TABLE revisions (something_else int)"))
    with pytest.raises(Exception, match="revisions"):
        upgrade(database)
    assert inspect(database.engine).get_table_names() == ["revisions"]
