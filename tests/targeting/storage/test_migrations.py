from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from market.errors import ConfigError
from targeting.migrations import _config, head, upgrade
from targeting.storage.base import Base
from targeting.storage.database import Database
from targeting.storage.journal import Journal
from targeting.storage.store import Store


@pytest.fixture
def database(empty_urls: Iterator[str]) -> Iterator[Database]:
    made = Database(next(empty_urls))
    yield made
    made.close()


def test_upgrading_makes_exactly_the_schema_of_the_code(database: Database) -> None:
    assert upgrade(database) == (None, head())
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_upgrading_makes_the_same_checks_as_the_code(database: Database, empty_urls: Iterator[str]) -> None:
    upgrade(database)
    twin = Database(next(empty_urls))
    with twin.changing_schema() as connection:
        Base.metadata.create_all(connection)
    counted = 0
    for table in Base.metadata.tables.values():
        made, wanted = (
            {each["name"]: each["sqltext"] for each in inspect(where.engine).get_check_constraints(table.name)}
            for where in (database, twin)
        )
        assert made == wanted
        counted += len(made)
    assert counted > 10
    twin.close()


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


def test_a_database_of_the_first_version_keeps_its_campaigns_and_gets_their_balances(database: Database) -> None:
    with database.changing_schema() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO jobs VALUES "
                "('j1', 'acme', 't', 'c', 'd', 'g', NULL, '[]', NULL, false, NULL, NULL, 1, false)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO campaigns VALUES ('cmp_1', 'acme', 'j1', 'n', 'EUR', 700, 50, 'auto', NULL, 'hires', "
                "'2026-03-01 12:00:00.000000', NULL, 'UTC', 'even', 'active', 1, '2026-03-01 12:00:00.000000')"
            )
        )
    assert upgrade(database) == ("0001", head())
    campaign = Store(database).campaign("cmp_1", "acme")
    assert (campaign.budget.total.amount_micros, campaign.status) == (700, "active")
    totals = Journal(database).totals("cmp_1")
    assert (totals.cap, totals.posted, totals.reserved) == (700, 0, 0)
