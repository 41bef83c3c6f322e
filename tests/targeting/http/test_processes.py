"""Restarts, other processes, metrics and keys."""

from __future__ import annotations

import shutil
from pathlib import Path

from starlette.testclient import TestClient

from market.clock import FixedClock
from market.records import Job
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.storage.database import Database
from targeting.storage.store import Store
from tests.targeting.http.small_service import JOBS, NOW, Opener, SmallEngine, World, assert_problem


def test_everything_is_there_after_a_restart(open_world: Opener) -> None:
    with open_world() as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        world.call("platform", "DELETE", "/v1/jobs/j2")
        campaign_id = world.activated()
        before = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
    with open_world() as world:
        assert sorted(world.engine.jobs) == ["j1"]
        assert [each.campaign_id for each in world.engine.live] == [campaign_id]
        after = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])


def test_what_one_process_writes_the_next_search_of_another_finds(open_world: Opener) -> None:
    with open_world() as first, open_world() as second:
        first.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        first.activated()
        slate = {"slots": {"organic": 5, "promoted": 5}}
        found = second.call("platform", "POST", "/v1/slates", json=slate).json()["items"]
        assert [(item["job_id"], item["kind"]) for item in found] == [
            ("j1", "promoted"),
            ("j1", "organic"),
            ("j2", "organic"),
        ]
        second.call("platform", "DELETE", "/v1/jobs/j1")
        found = first.call("platform", "POST", "/v1/slates", json=slate).json()["items"]
        assert [item["job_id"] for item in found] == ["j2"]


def test_a_search_does_not_wait_for_a_long_batch(world: World) -> None:
    world.store.put_jobs([Job("j3", "acme", "Nurse", "Acme", "Care", "31080")])  # by another process
    with world.client.app.state.services.mirror._lock:  # type: ignore[attr-defined]
        found = world.call("platform", "POST", "/v1/recommendations", json={"k": 5}).json()["items"]
    assert [item["job_id"] for item in found] == ["j1", "j2"]
    found = world.call("platform", "POST", "/v1/recommendations", json={"k": 5}).json()["items"]
    assert [item["job_id"] for item in found] == ["j1", "j2", "j3"]


def test_a_batch_that_could_not_be_stored_leaves_the_engine_as_it_was(world: World) -> None:
    before = dict(world.engine.jobs)
    with world.store._database.write_lock():  # another writer that does not let go
        world.store._database._lock._timeout_seconds = 0.05  # type: ignore[union-attr]
        changed = [JOBS[0] | {"title": "Other"}, JOBS[0] | {"job_id": "j3"}]
        assert_problem(world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": changed}), 503)
    assert world.engine.jobs == before


def test_metrics_count_by_route_and_name_nobody(world: World) -> None:
    campaign_id = world.created()
    world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
    world.call("owner", "GET", "/v1/secret-path")
    text = world.client.get("/metrics").text
    assert 'hiregraph_requests_total{method="GET",route="/v1/campaigns/{campaign_id}",status="200"} 1.0' in text
    assert 'route="other",status="404"' in text
    assert campaign_id not in text
    assert "secret-path" not in text


def test_keys_never_show_up_in_answers_or_reprs(world: World) -> None:
    for who in ("owner", "platform"):
        assert world.keys[who] not in world.call(who, "GET", "/v1/campaigns").text
        assert world.keys[who] not in world.call(who, "GET", "/v1/nothing").text
    assert world.keys["owner"] not in repr(world.client.app.state.services)  # type: ignore[attr-defined]


def test_docs_can_be_turned_off(open_world: Opener, tmp_path: Path, blank: tuple[Path, dict[str, str]]) -> None:
    shutil.copy(blank[0], tmp_path / "other.sqlite")
    store = Store(Database(f"sqlite:///{tmp_path}/other.sqlite"))
    with TestClient(create_app(store, SmallEngine(), FixedClock(NOW), ServiceConfig(docs=False))) as client:
        assert_problem(client.get("/docs"), 404)
