"""Money over HTTP: slates reserve, events bill."""

from __future__ import annotations

from typing import Any

import pytest

from targeting.storage.journal import Journal
from tests.targeting.http.small_service import (
    HOUR,
    JOBS,
    Opener,
    World,
    assert_problem,
    campaign_of_token,
    click,
    euros,
)


def test_a_click_on_a_promoted_item_is_billed_its_price_once(world: World) -> None:
    world.activated()
    [item] = world.slate()
    sent = click("e1", item), click("e2", item), click("e1", item), click("e1", item, position=2)
    assert world.send(*sent) == [
        {"event_id": "e1", "status": "accepted", "billed": euros(1_000_000)},
        {"event_id": "e2", "status": "accepted", "code": "repeated_click", "billed": euros(0)},
        {"event_id": "e1", "status": "duplicate"},
        {"event_id": "e1", "status": "conflict"},
    ]
    assert world.send(sent[0]) == [{"event_id": "e1", "status": "duplicate", "billed": euros(1_000_000)}]


def test_a_click_is_there_after_a_restart_and_not_billed_again(open_world: Opener) -> None:
    with open_world() as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        campaign_id = world.activated()
        [item] = world.slate()
        world.send(click("e1", item))
    with open_world() as world:
        assert world.send(click("e1", item))[0]["status"] == "duplicate"
        assert Journal(world.store.database).totals(campaign_id).posted == 1_000_000


def test_events_of_organic_items_and_hires_are_taken_and_cost_nothing(world: World) -> None:
    at = {"occurred_at": "2026-03-01T11:59:00Z", "seeker_id": "s1", "job_id": "j2"}
    kinds = "impression", "click", "apply_start", "apply_complete", "dismiss", "save", "hire"
    events = [{"event_id": f"e{number}", "type": kind, **at} for number, kind in enumerate(kinds)]
    assert world.send(*events) == [{"event_id": f"e{number}", "status": "accepted"} for number in range(7)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "conversion"},
        {"occurred_at": "yesterday"},
        {"occurred_at": 1_772_366_400},
        {"event_id": "e 1"},
        {"tracking_token": None},
        {"tracking_token": None, "seeker_id": "s1"},
        {"type": "hire", "seeker_id": "s1"},
        {"position": 0},
        {"position": True},
        {"position": 2**63},
        {"reason": "\x00"},
    ],
)
def test_a_malformed_event_is_rejected_and_does_not_hold_up_the_others(world: World, wrong: dict[str, Any]) -> None:
    world.activated()
    [item] = world.slate()
    bad, good = world.send(click("e1", item) | wrong, click("e2", item))
    assert (bad["status"], bad["code"]) == ("rejected", "invalid")
    assert bad["detail"]
    assert good == {"event_id": "e2", "status": "accepted", "billed": euros(1_000_000)}


@pytest.mark.parametrize("field", ["price_micros", "billed", "campaign_id", "currency"])
def test_an_event_can_not_bring_its_own_price(world: World, field: str) -> None:
    world.activated()
    [item] = world.slate()
    body = {"events": [click("e1", item, **{field: 1})]}
    assert_problem(world.call("platform", "POST", "/v1/events:batch", json=body), 422)


def test_a_batch_has_at_most_1000_events(world: World) -> None:
    body = {"events": [{}] * 1_001}
    assert_problem(world.call("platform", "POST", "/v1/events:batch", json=body), 422)


def test_a_tampered_token_is_rejected(world: World) -> None:
    world.activated()
    [item] = world.slate()
    wrong = item["tracking_token"][:-2] + "AA"
    assert world.send(click("e1", item, tracking_token=wrong)) == [
        {"event_id": "e1", "status": "rejected", "code": "bad_token"}
    ]


def test_a_spent_campaign_leaves_its_slot_to_the_next_one_at_once(world: World) -> None:
    daily = {"budget": {"total": euros(3_000_000), "daily": euros(2_000_000)}, "time_zone": "UTC"}
    spent = world.activated(**daily)
    assert [click_billed(world, f"e{number}") for number in range(2)] == [1_000_000] * 2
    shown = world.call("owner", "GET", f"/v1/campaigns/{spent}").json()["delivery"]
    assert (shown["state"], shown["reasons"][0]["code"]) == ("blocked", "budget_used_up")
    other = world.activated()
    [item] = world.slate(promoted=1)
    assert campaign_of_token(item) == other
    assert campaign_of_token(world.slate(promoted=2)[0]) == other
    world.clock.advance(12 * HOUR)  # a new day in the campaign's zone
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {spent, other}
    item = next(item for item in world.slate(promoted=2) if campaign_of_token(item) == spent)
    world.send(click("e9", item, occurred_at="2026-03-02T00:00:00Z"))
    world.clock.advance(HOUR)
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {other}  # the total is spent
    path = f"/v1/campaigns/{spent}"
    world.call("owner", "PATCH", path, json={"budget": {"total": euros(9_000_000)}})
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {spent, other}


def click_billed(world: World, event_id: str) -> int:
    [item] = world.slate()
    billed: int = world.send(click(event_id, item))[0]["billed"]["amount_micros"]
    return billed


def test_a_slot_stays_empty_rather_than_unbudgeted(world: World) -> None:
    world.activated(budget={"total": euros(1_500_000)})
    world.engine.p_click = 1.0
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["promoted", "organic"]
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]


def test_a_pause_counts_even_where_the_engine_has_not_heard_of_it(world: World) -> None:
    campaign_id = world.activated()
    assert world.slate()
    world.engine.set_campaigns_fails = True
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/pause")
    assert [each.campaign_id for each in world.engine.live] == [campaign_id]
    assert world.slate() == []


def test_an_item_that_could_not_be_billed_is_not_shown(world: World) -> None:
    world.activated()
    world.engine.unsigned = True
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]


def test_while_the_database_can_not_be_written_slates_are_organic(world: World) -> None:
    world.activated()
    with world.store.database.write_lock():
        assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["promoted", "organic"]


def test_a_slate_says_to_whom_it_was_served(world: World) -> None:
    world.activated()
    [item] = world.slate(seeker_id="s1")
    assert world.send(click("e1", item, seeker_id="s2"))[0]["code"] == "token_mismatch"
    assert world.send(click("e2", item, seeker_id="s1"))[0]["status"] == "accepted"


def test_events_are_counted_by_what_became_of_them(world: World) -> None:
    world.activated()
    [item] = world.slate()
    world.send(click("e1", item), click("e1", item), click("e1", item, position=2), {"event_id": "e2"})
    text = world.client.get("/metrics").text
    for status in ("accepted", "duplicate", "conflict", "rejected"):
        assert f'hiregraph_events_total{{status="{status}"}} 1.0' in text
