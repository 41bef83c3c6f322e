"""A database with keys, and the API on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from market.clock import FixedClock
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.keys import ROLES, make_key
from targeting.storage.store import Store
from tests.targeting.http.small_service import JOBS, NOW, SECRET, Opener, SmallEngine, World


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A migrated database with keys, and the keys."""
    path = tmp_path_factory.mktemp("blank") / "blank.sqlite"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    keys, store = {}, Store(database)
    for number, (account, role) in enumerate([("acme", role) for role in ROLES] + [("beta", "owner")]):
        key, record = make_key(account, role, NOW, bytes([number]) * 32)
        store.add_key(record)
        keys[role if account == "acme" else f"{account}-{role}"] = key
    store.close()
    return path, keys


@pytest.fixture
def open_world(tmp_path: Path, blank: tuple[Path, dict[str, str]]) -> Opener:
    """Starts the API on this test's database, with a new engine each time; sections go into its ServiceConfig."""
    path = tmp_path / "hiregraph.sqlite"
    shutil.copy(blank[0], path)

    @contextmanager
    def opened(**sections: Any) -> Iterator[World]:
        engine, clock, store = SmallEngine(), FixedClock(NOW), Store(Database(f"sqlite:///{path}"))
        engine.now = clock.now
        app = create_app(store, engine, clock, ServiceConfig(**({"max_body_bytes": 200_000} | sections)), secret=SECRET)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield World(client, engine, clock, store, blank[1])

    return opened


@pytest.fixture
def world(open_world: Opener) -> Iterator[World]:
    with open_world() as opened:
        assert opened.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS}).status_code == 200
        yield opened
