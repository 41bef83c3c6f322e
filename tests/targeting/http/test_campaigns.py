"""Campaigns over HTTP: life, money, patches, retries, pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.targeting.http.small_service import DRAFT, HOUR, JSON, NOW, World, assert_problem, euros


def test_a_campaign_starts_as_a_draft_and_says_so(world: World) -> None:
    answer = world.call("owner", "POST", "/v1/campaigns", json=DRAFT)
    body = answer.json()
    assert body["status"] == "draft"
    assert body["delivery"] == {
        "state": "not_started",
        "reasons": [{"code": "draft", "detail": "The campaign is a draft; activate it to start."}],
    }
    assert body["account_id"] == "acme"
    assert body["starts_at"] == "2026-03-01T12:00:00Z"
    assert body["budget"] == DRAFT["budget"]
    assert body["bid"] == {"mode": "auto", "max_cpc": None, "target_cpa": None}
    assert answer.headers["location"] == f"/v1/campaigns/{body['campaign_id']}"
    read = world.call("analyst", "GET", answer.headers["location"])
    assert read.json() == body
    assert read.headers["etag"] == answer.headers["etag"] == '"1-draft"'


@pytest.mark.parametrize("job_id", ["j9", "j2"])
def test_a_campaign_needs_a_job_of_its_account(world: World, job_id: str) -> None:
    answer = world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"job_id": job_id})
    assert job_id in assert_problem(answer, 404, "not_found")["detail"]


@pytest.mark.parametrize(
    ("total", "pointer"),
    [
        (euros(-5), "/budget/total"),
        (euros(0), "/budget/total"),
        (euros(10**18 + 1), "/budget/total"),
        (euros(2**63), "/budget/total"),
        (euros(10**300), "/budget/total"),
        (euros(0.1), "/budget/total/amount_micros"),
        (euros(5.0), "/budget/total/amount_micros"),
        (euros(True), "/budget/total/amount_micros"),
        (euros("5"), "/budget/total/amount_micros"),
        (euros("१२"), "/budget/total/amount_micros"),
        (euros(None), "/budget/total"),
        ({"amount_micros": 5}, "/budget/total/currency"),
        ({"amount_micros": 5, "currency": "eur"}, "/budget/total/currency"),
        ({"amount_micros": 5, "currency": "EURO"}, "/budget/total/currency"),
        ({"amount_micros": 10**10, "currency": "USD"}, "/budget/daily"),
        ({"amount_micros": 5, "minor": 5, "currency": "EUR"}, "/budget/total"),
        (5, "/budget/total"),
    ],
)
def test_bad_money_is_refused_at_its_field(world: World, total: Any, pointer: str) -> None:
    budget = DRAFT["budget"] | {"total": total}
    document = assert_problem(world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"budget": budget}), 422)
    assert document["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" * 5000])
def test_numbers_that_are_none_are_refused(world: World, number: str) -> None:
    raw = json.dumps(DRAFT).replace("100000000", number)
    answer = world.call("owner", "POST", "/v1/campaigns", content=raw, headers=JSON)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code)


def test_minor_units_are_converted_exactly(world: World) -> None:
    campaign_id = world.created(budget={"total": {"minor": 12_345, "currency": "EUR"}})
    budget = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()["budget"]
    assert budget == {"total": euros(123_450_000), "daily": None}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"starts_at": "2026-03-01"}, "/starts_at"),
        ({"starts_at": "2026-03-01T12:00:00"}, "/starts_at"),
        ({"starts_at": 1_772_000_000}, "/starts_at"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "/starts_at"),
        ({"ends_at": "2026-02-01T00:00:00Z"}, "/ends_at"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"bid": {"mode": "manual"}}, "/bid/max_cpc"),
        ({"pacing": "front_loaded"}, "/pacing"),
        ({"objective": "fame"}, "/objective"),
        ({"job_id": "a b"}, "/job_id"),
        ({"job_id": "x" * 129}, "/job_id"),
        ({"name": ""}, "/name"),
    ],
)
def test_bad_fields_are_refused_at_their_place(world: World, changes: dict[str, Any], pointer: str) -> None:
    document = assert_problem(world.call("owner", "POST", "/v1/campaigns", json=DRAFT | changes), 422)
    assert document["errors"][0]["pointer"] == pointer


def test_moves_follow_the_state_machine_and_reach_the_engine(world: World) -> None:
    campaign_id = world.activated()
    assert [each.campaign_id for each in world.engine.live] == [campaign_id]
    path = f"/v1/campaigns/{campaign_id}"
    assert "pause, cancel" in assert_problem(world.call("owner", "POST", f"{path}/resume"), 409, "conflict")["detail"]
    for move, status, live in (("pause", "paused", 0), ("resume", "active", 1), ("cancel", "cancelled", 0)):
        assert world.call("manager", "POST", f"{path}/{move}").json()["status"] == status
        assert len(world.engine.live) == live
    assert_problem(world.call("owner", "POST", f"{path}/activate"), 409)
    assert_problem(world.call("owner", "POST", f"{path}/archive"), 422)


def test_the_clock_starts_and_ends_campaigns(world: World) -> None:
    campaign_id = world.activated(starts_at="2026-03-01T14:00:00Z", ends_at="2026-03-01T15:00:00Z")
    statuses, shown = [], []
    for world.clock.instant in (NOW, NOW + 2 * HOUR, NOW + 3 * HOUR):
        found = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
        statuses.append((found.json()["status"], found.headers["etag"]))
        slate = world.call("platform", "POST", "/v1/slates", json={"slots": {"organic": 0, "promoted": 5}}).json()
        shown.append(len(slate["items"]))
    assert statuses == [("scheduled", '"2-scheduled"'), ("active", '"2-active"'), ("completed", '"2-completed"')]
    assert shown == [0, 1, 0]


def test_a_patch_changes_what_it_names(world: World) -> None:
    path = f"/v1/campaigns/{world.created()}"
    patch = {"name": "Carers", "ends_at": None, "budget": {"daily": None}, "bid": {"max_cpc": euros(5)}}
    answer = world.call("owner", "PATCH", path, json=patch, headers={"If-Match": '"1-draft"'})
    body = answer.json()
    assert (body["name"], body["ends_at"], body["version"]) == ("Carers", None, 2)
    assert body["budget"] == {"total": euros(100_000_000), "daily": None}
    assert body["bid"] == {"mode": "auto", "max_cpc": euros(5), "target_cpa": None}
    assert body["pacing"] == "even"
    assert world.call("owner", "GET", path).json() == body


def test_a_patch_of_a_version_that_is_gone_is_412(world: World) -> None:
    path = f"/v1/campaigns/{world.created()}"
    world.call("owner", "PATCH", path, json={"name": "First"})
    answer = world.call("manager", "PATCH", path, json={"name": "Second"}, headers={"If-Match": '"1-draft"'})
    assert_problem(answer, 412, "precondition_failed")
    assert_problem(world.call("owner", "POST", f"{path}/activate", headers={"If-Match": '"1-draft"'}), 412)
    assert world.call("owner", "GET", path).json()["name"] == "First"
    for good, version in (('"1-draft", "2-draft"', 3), ("*", 4)):
        answer = world.call("owner", "PATCH", path, json={}, headers={"If-Match": good})
        assert answer.json()["version"] == version


@pytest.mark.parametrize(
    "patch", [{"name": None}, {"budget": None}, {"budget": {"total": euros(-1)}}, {"job_id": "j2"}]
)
def test_a_patch_obeys_the_rules_of_a_campaign(world: World, patch: dict[str, Any]) -> None:
    path = f"/v1/campaigns/{world.created()}"
    before = world.call("owner", "GET", path).json()
    assert_problem(world.call("owner", "PATCH", path, json=patch), 422)
    assert world.call("owner", "GET", path).json() == before


def test_a_lowered_budget_and_a_change_to_a_running_campaign_reach_the_engine(world: World) -> None:
    path = f"/v1/campaigns/{world.activated()}"
    world.call("owner", "PATCH", path, json={"budget": {"daily": euros(1)}})
    assert [each.budget.daily and each.budget.daily.amount_micros for each in world.engine.live] == [1]
    assert_problem(world.call("owner", "PATCH", path, json={"time_zone": "UTC"}), 409, "conflict")


def test_the_same_request_with_the_same_key_is_answered_the_same(world: World) -> None:
    once = {"Idempotency-Key": "0d9f"}
    first = world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once)
    again = world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once)
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert len(world.call("owner", "GET", "/v1/campaigns").json()["items"]) == 1
    other = world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"name": "Other"}, headers=once)
    assert_problem(other, 422, "idempotency_mismatch")
    activate = f"/v1/campaigns/{first.json()['campaign_id']}/activate"
    moved = [world.call("owner", "POST", activate, headers={"Idempotency-Key": "0d9e"}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["version"]) for answer in moved] == [(200, 2), (200, 2)]


def test_an_idempotency_key_is_the_callers_own_and_lasts_a_day(world: World) -> None:
    once = {"Idempotency-Key": "0d9f"}
    ids = [world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"]]
    ids.append(world.call("manager", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"])
    world.clock.instant += 24 * HOUR
    ids.append(world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"])
    assert len(set(ids)) == 3
    assert_problem(
        world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers={"Idempotency-Key": "x" * 256}), 422
    )


def test_pages_lead_through_all_campaigns(world: World) -> None:
    made = [world.created() for _ in range(5)]
    found, after = [], ""
    for _ in range(3):
        page = world.call("analyst", "GET", f"/v1/campaigns?limit=2{after}").json()
        found += [item["campaign_id"] for item in page["items"]]
        after = f"&after={page['next']}"
    assert found == sorted(made)
    assert page["next"] is None
    for bad in ("limit=0", "limit=501", "limit=x", "after=%00", "after=***", "after=" + "A" * 300):
        assert_problem(world.call("owner", "GET", f"/v1/campaigns?{bad}"), 422)
