"""Slates over HTTP: how often a seeker sees an ad, what the log keeps, and organic jobs whatever else fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from targeting.serving import ServingConfig
from targeting.storage.ledger_tables import ReserveRow, SlateRow
from tests.targeting.http.small_service import JOBS, Opener, World

HOUR = timedelta(hours=1)


def kinds(items: list[dict[str, Any]]) -> list[str]:
    return [item["kind"] for item in items]


def test_a_seeker_who_has_seen_an_ad_twice_in_an_hour_gets_another_one(open_world: Opener) -> None:
    with open_world() as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        first, second = world.activated(name="first"), world.activated(name="second")
        for _ in range(5):
            world.slate(organic=1, seeker_id="s1")
        with world.store.database.reading() as session:
            served = session.scalars(select(ReserveRow.campaign_id).order_by(ReserveRow.slate_id)).all()
        assert sorted(served) == sorted([first] * 2 + [second] * 2)
        assert kinds(world.slate(organic=1, seeker_id="s1")) == ["organic"]
        assert kinds(world.slate(organic=1, seeker_id="s2")) == ["promoted", "organic"]
        assert kinds(world.slate(organic=1)) == ["promoted", "organic"]
        world.clock.advance(HOUR)
        assert kinds(world.slate(organic=1, seeker_id="s1")) == ["promoted", "organic"]


def test_the_cap_is_a_setting(open_world: Opener) -> None:
    with open_world(serving=ServingConfig(per_hour=1, per_day=1)) as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        world.activated()
        assert kinds(world.slate(organic=1, seeker_id="s1")) == ["promoted", "organic"]
        assert kinds(world.slate(organic=1, seeker_id="s1")) == ["organic"]


def test_the_log_keeps_how_every_promoted_item_came_to_its_place(world: World) -> None:
    world.activated()
    promoted, organic = world.slate(organic=1)
    with world.store.database.reading() as session:
        [items] = session.scalars(select(SlateRow.items)).all()
    assert [entry["job_id"] for entry in items] == [promoted["job_id"], organic["job_id"]]
    ad = items[0]
    assert (ad["price_micros"], ad["p_click"]) == (world.engine.price_micros, world.engine.p_click)
    assert ad.keys() >= {"propensity", "explored", "swapped", "kind", "position", "score", "campaign_id"}
    assert "price_micros" not in items[1]


# ---- open on content


def test_ads_that_fail_leave_organic_jobs(world: World) -> None:
    world.activated()
    world.engine.ads_fail = True
    assert kinds(world.slate(organic=2)) == ["organic", "organic"]


def test_what_went_wrong_inside_the_engine_is_counted(world: World) -> None:
    world.activated()
    world.engine.ads_broken = True
    assert kinds(world.slate(organic=2)) == ["organic", "organic"]
    metrics = world.client.get("/metrics").text
    assert "hiregraph_candidates_skipped_total 3.0" in metrics
    assert "hiregraph_ads_broken_total 1.0" in metrics


def test_a_score_that_is_not_a_number_takes_its_job_out_and_nothing_else(world: World) -> None:
    world.engine.scores = {"j1": float("nan")}
    assert [item["job_id"] for item in world.slate(promoted=0, organic=2)] == ["j2"]


def test_a_locked_database_leaves_organic_jobs_and_the_slot_empty(world: World) -> None:
    world.activated()
    assert kinds(world.slate(organic=2)) == ["promoted", "organic", "organic"]
    with world.store.database.write_lock():
        assert kinds(world.slate(organic=2)) == ["organic", "organic"]
    assert kinds(world.slate(organic=2)) == ["promoted", "organic", "organic"]


def test_a_database_without_its_tables_leaves_organic_jobs(world: World) -> None:
    world.activated()
    assert kinds(world.slate(organic=2)) == ["promoted", "organic", "organic"]
    with world.store.database.changing_schema() as connection:
        connection.exec_driver_sql("ALTER TABLE reserves RENAME TO gone")
    assert kinds(world.slate(organic=2)) == ["organic", "organic"]
    with world.store.database.reading() as session:
        assert len(session.scalars(select(SlateRow.slate_id)).all()) == 1  # nothing unbudgeted was logged as served


@pytest.mark.parametrize("slots", [(0, 1), (0, 0)])
def test_without_organic_jobs_wanted_a_failing_ad_leaves_an_empty_slate(world: World, slots: tuple[int, int]) -> None:
    world.activated()
    world.engine.ads_fail = True
    assert world.slate(organic=slots[0], promoted=slots[1]) == []
