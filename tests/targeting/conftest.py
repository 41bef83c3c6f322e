"""Databases for tests: the same tests run on SQLite and, where a server is installed, on PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.targeting.postgres_cluster import Cluster

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this test session."""
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL: pip install 'hiregraph[postgres]'")
    from tests.targeting.postgres_cluster import Cluster, server_programs

    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server: initdb and pg_ctl are neither under /usr/lib/postgresql nor on the PATH")
    made = Cluster(programs)
    yield made
    made.remove()


@pytest.fixture(params=BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    """sqlite, then postgres: a test with a database runs on each."""
    return str(request.param)


@pytest.fixture
def blank_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database for one test, without rows; on SQLite it has no tables yet."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/blank.sqlite"
    else:
        with request.getfixturevalue("cluster").blank() as url:
            yield url


@pytest.fixture
def empty_urls(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URLs of databases without tables, as many as are asked for."""
    if kind == "sqlite":
        return (f"sqlite:///{tmp_path}/empty{number}.sqlite" for number in itertools.count())
    cluster = request.getfixturevalue("cluster")
    return (cluster.empty() for _ in itertools.count())
