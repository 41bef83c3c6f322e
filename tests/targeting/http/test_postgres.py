"""The whole API on PostgreSQL: it serves organic jobs while the server is away, and comes back by itself."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from market.clock import FixedClock
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.storage.database import Database
from targeting.storage.keys import make_key
from targeting.storage.store import Store
from tests.targeting.http.small_service import JOBS, NOW, SECRET, SmallEngine, World, assert_problem, click

if TYPE_CHECKING:
    from tests.targeting.postgres_cluster import Cluster

pytestmark = pytest.mark.postgres

SLATE = {"slots": {"organic": 5, "promoted": 1}}


@pytest.fixture
def site(cluster: Cluster) -> Iterator[World]:
    """The API on a database of its own, with an active campaign."""
    with cluster.blank() as url:
        engine, clock, store, keys = SmallEngine(), FixedClock(NOW), Store(Database(url)), {}
        engine.now = clock.now
        for number, role in enumerate(("platform", "owner")):
            keys[role], record = make_key("acme", role, NOW, bytes([number]) * 32)
            store.add_key(record)
        app = create_app(store, engine, clock, ServiceConfig(), secret=SECRET)
        with TestClient(app, raise_server_exceptions=False) as client:
            made = World(client, engine, clock, store, keys)
            assert made.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS}).status_code == 200
            made.activated()
            yield made


def kinds(site: World) -> list[str]:
    answer = site.call("platform", "POST", "/v1/slates", json=SLATE)
    assert answer.status_code == 200, answer.text
    return [item["kind"] for item in answer.json()["items"]]


def sent(site: World, *events: dict[str, Any]) -> Any:
    return site.call("platform", "POST", "/v1/events:batch", json={"events": events})


def seconds_until(there: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not there():
        assert time.monotonic() - start < 10, "it did not come back"
        time.sleep(0.05)
    return time.monotonic() - start


def test_a_campaign_lives_on_postgresql_as_on_sqlite(site: World) -> None:
    [ad, *_] = site.slate(promoted=1, organic=5)
    [billed] = site.send(click("e1", ad))
    assert (billed["status"], billed["billed"]["amount_micros"]) == ("accepted", 1_000_000)
    [again] = site.send(click("e1", ad))
    assert (again["status"], again["billed"]) == ("duplicate", billed["billed"])
    draft = {"job_id": "j1", "name": "\u0000"}
    assert_problem(site.call("owner", "POST", "/v1/campaigns", json=draft), 422)


def test_without_a_database_slates_are_organic_and_writes_are_told_to_come_again(cluster: Cluster, site: World) -> None:
    [ad, *_] = site.slate(promoted=1, organic=5)
    cluster.stop()
    try:
        slowest = 0.0
        for number in range(20):
            start = time.monotonic()
            assert kinds(site) == ["organic"] * 2
            if number:
                slowest = max(slowest, time.monotonic() - start)
        assert slowest < 1.0
        refused = sent(site, click("e1", ad))
        assert_problem(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert_problem(site.call("owner", "GET", "/v1/campaigns"), 503)
        assert site.client.get("/healthz").status_code == 200
        assert site.client.get("/readyz").status_code == 503
    finally:
        cluster.start()
    assert seconds_until(lambda: sent(site, click("e1", ad)).status_code == 200) < 5
    assert seconds_until(lambda: kinds(site)[0] == "promoted") < 5
    assert site.send(click("e1", ad))[0]["status"] == "duplicate"


def test_a_frozen_server_slows_down_the_first_request_alone(cluster: Cluster, site: World) -> None:
    [ad, *_] = site.slate(promoted=1, organic=5)
    frozen = cluster.process_ids
    for process_id in frozen:
        os.kill(process_id, signal.SIGSTOP)
    try:
        start = time.monotonic()
        assert_problem(sent(site, click("e1", ad)), 503)
        assert time.monotonic() - start < 3.5
        start = time.monotonic()
        assert kinds(site) == ["organic"] * 2
        assert time.monotonic() - start < 1
    finally:
        for process_id in frozen:
            os.kill(process_id, signal.SIGCONT)
    assert seconds_until(lambda: kinds(site)[0] == "promoted") < 5
    assert site.send(click("e1", ad))[0]["status"] == "accepted"


def test_a_server_that_dies_in_the_middle_loses_nothing_it_acknowledged(cluster: Cluster, site: World) -> None:
    [ad, *_] = site.slate(promoted=1, organic=5)
    said, failures, over = dict[str, Any](), list[BaseException](), threading.Event()

    def send(sender: str) -> None:
        for number in itertools.count():
            batch = [click(f"{sender}{number}-{each}", ad) for each in range(5)]
            while (answer := sent(site, *batch)).status_code in (429, 503):  # nobody knows whether it was taken
                time.sleep(0.02)
            assert answer.status_code == 200, answer.text
            assert {each["status"] for each in answer.json()["items"]} <= {"accepted", "duplicate"}
            said.update({each["event_id"]: each["billed"] for each in answer.json()["items"]})
            if over.is_set():
                return

    def guarded(sender: str) -> None:
        try:
            send(sender)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(sender,)) for sender in "abc"]
    for thread in threads:
        thread.start()
    for _ in range(2):
        seen = len(said)
        seconds_until(lambda seen=seen: len(said) > seen + 20 or bool(failures))  # type: ignore[misc]
        cluster.stop("immediate")
        cluster.start()
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []
    names = sorted(said)
    again = [
        each for at in range(0, len(names), 500) for each in site.send(*(click(n, ad) for n in names[at : at + 500]))
    ]
    assert {each["status"] for each in again} == {"duplicate"}
    assert {each["event_id"]: each["billed"] for each in again} == said
    assert sum(billed["amount_micros"] for billed in said.values()) == 1_000_000
