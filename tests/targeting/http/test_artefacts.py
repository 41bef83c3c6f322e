"""New artefacts while requests come in: nobody is turned away, and afterwards the tokens say so."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from market.clock import FixedClock
from market.errors import ArtefactError
from targeting.engine import Engine
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.http.limits import LimitsConfig
from targeting.http.live import Artefacts
from targeting.storage.database import Database
from targeting.storage.journal import BillingConfig
from targeting.storage.store import Store
from targeting.tokens import verify
from tests.targeting.http.small_service import JOBS, NOW, SECRET, SmallEngine, World


class Shelf:
    """Engines by version; a `broken` version can not be loaded, a `dumb` one loads and can not sell."""

    def __init__(self) -> None:
        self.word, self.broken, self.dumb = "one", "", ""

    def version(self) -> str:
        return self.word

    def load(self) -> Engine:
        time.sleep(0.05)  # requests come in meanwhile
        if self.word == self.broken:
            raise ArtefactError("model/network.safetensors is damaged")
        engine = SmallEngine()
        engine.ads_broken = self.word == self.dumb
        engine.model, engine.price_micros = self.word, 1_000
        return engine


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def world(tmp_path: Path, blank: tuple[Path, dict[str, str]], shelf: Shelf) -> Iterator[World]:
    path = tmp_path / "hiregraph.sqlite"
    shutil.copy(blank[0], path)
    engine, clock, store = SmallEngine(), FixedClock(NOW), Store(Database(f"sqlite:///{path}"))
    engine.model, engine.price_micros = "one", 1_000
    artefacts = Artefacts(shelf.version, shelf.load, "one")
    # Nobody queues here (clients in several threads have no event loop in common), and the ledger is waited for.
    patient = ServiceConfig(limits=LimitsConfig(concurrency=8), billing=BillingConfig(serving_wait_seconds=60))
    app = create_app(store, engine, clock, patient, secret=SECRET, artefacts=artefacts)
    with TestClient(app, raise_server_exceptions=False) as client:
        world = World(client, engine, clock, store, blank[1])
        assert world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS}).status_code == 200
        world.activated()
        yield world


def reloaded(world: World) -> dict[str, Any]:
    """Ask for a reload and wait until nothing is being loaded."""
    assert world.call("platform", "POST", "/v1/artefacts:reload").status_code == 202
    for _ in range(200):
        state: dict[str, Any] = world.call("platform", "GET", "/v1/artefacts").json()
        if not state["loading"]:
            return state
        time.sleep(0.02)
    raise AssertionError("still loading")


def models(items: list[dict[str, Any]]) -> set[str]:
    return {verify(item["tracking_token"], SECRET).model for item in items if item["kind"] == "promoted"}


def test_no_request_is_dropped_while_artefacts_are_switched(world: World, shelf: Shelf) -> None:
    done, statuses, seen = threading.Event(), list[int](), list[str]()
    body = {"slots": {"organic": 1, "promoted": 1}}
    headers = {"Authorization": f"Bearer {world.keys['platform']}"}

    def ask() -> None:
        client = TestClient(world.client.app, raise_server_exceptions=False)
        while not done.is_set():
            answer = client.post("/v1/slates", json=body, headers=headers)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                seen.extend(models(answer.json()["items"]))

    threads = [threading.Thread(target=ask) for _ in range(3)]

    def more(count: int) -> None:
        before = len(seen)
        for _ in range(1_500):
            if len(seen) >= before + count:
                return
            time.sleep(0.02)
        raise AssertionError(f"no {count} slates more")

    for thread in threads:
        thread.start()
    try:
        more(3)
        shelf.word = "two"
        state = reloaded(world)
        more(6)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert state == {"version": "two", "loading": False}
    assert set(statuses) == {200}
    assert set(seen) == {"one", "two"}
    assert models(world.slate()) == {"two"}


def test_the_new_engine_has_every_job_and_campaign_and_hears_of_later_ones(world: World, shelf: Shelf) -> None:
    shelf.word = "two"
    reloaded(world)
    assert [item["job_id"] for item in world.slate(promoted=1, organic=5)] == ["j1", "j1", "j2"]
    more = [JOBS[0] | {"job_id": "j3"}]
    assert world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": more}).status_code == 200
    assert [item["job_id"] for item in world.slate(promoted=0, organic=5)] == ["j1", "j2", "j3"]


@pytest.mark.parametrize(
    ("how", "why"), [("broken", "network.safetensors is damaged"), ("dumb", "no slot can be sold")]
)
def test_artefacts_that_are_no_good_are_refused_and_the_old_ones_serve_on(
    world: World, shelf: Shelf, how: str, why: str
) -> None:
    shelf.word = "two"
    setattr(shelf, how, "two")
    state = reloaded(world)
    assert (state["version"], state["refused"]) == ("one", "two")
    assert why in state["why"]
    assert models(world.slate()) == {"one"}
    metrics = world.client.get("/metrics").text
    assert 'hiregraph_artefact_loads_total{outcome="refused"} 1.0' in metrics
