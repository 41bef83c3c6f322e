"""GET /v1/campaigns/{id}/delivery over HTTP: money by day and hour, and reasons with remedies."""

from __future__ import annotations

from typing import Any

import pytest

from targeting.traffic import Counts
from tests.targeting.http.small_service import HOUR, NOW, World, click, euros
from tests.targeting.http.test_forecasts import services, with_traffic


def report(world: World, campaign_id: str, who: str = "owner") -> dict[str, Any]:
    answer = world.call(who, "GET", f"/v1/campaigns/{campaign_id}/delivery")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in found["reasons"]]


def test_a_click_shows_in_the_total_the_day_and_the_hour(world: World) -> None:
    campaign_id = world.activated()
    [first], [second] = world.slate(), world.slate()
    world.send(click("e1", first))
    found = report(world, campaign_id)
    assert found["posted"] == euros(1_000_000)
    assert found["reserved"] == euros(100_000)  # of the second one: 2 x .05 x 1 EUR
    assert found["remaining"] == euros(98_900_000)
    assert found["credited"] == found["unbilled"] == euros(0)
    assert second
    day = {"day": "2026-03-01", "posted": euros(1_000_000), "reserved": euros(100_000), "credited": euros(0)}
    assert found["by_day"] == [day | {"clicks": 1}]
    assert len(found["by_hour"]) == 48
    assert found["by_hour"][-1] == {"hour": "2026-03-01T12:00:00Z", "posted": euros(1_000_000), "clicks": 1}
    assert sum(hour["posted"]["amount_micros"] for hour in found["by_hour"]) == 1_000_000
    today = found["today"]
    assert (today["day"], today["budget"], today["posted"]) == ("2026-03-01", euros(10_000_000), euros(1_000_000))
    assert today["remaining"] == euros(8_900_000)
    assert (today["starts_at"], today["ends_at"]) == ("2026-02-28T23:00:00Z", "2026-03-01T23:00:00Z")
    assert found["utilization"] == {"today": 0.1, "total": 0.1}
    assert set(found["shadow_prices"].values()) == {None}  # nobody has priced it yet


def test_the_pacing_target_is_what_the_day_should_have_cost_by_now(world: World) -> None:
    campaign_id = world.activated()  # starts now, at 13:00 of Berlin
    world.clock.advance(5 * HOUR)
    target = report(world, campaign_id)["pacing_target"]
    assert target["share"] == pytest.approx(5 / 11, abs=1e-4)
    assert target["amount"]["amount_micros"] == pytest.approx(10_000_000 * 5 / 11, abs=1)
    assert (target["pacing"], target["posted"]) == ("even", euros(0))


def test_a_draft_and_a_pause_are_told_with_what_to_do(world: World) -> None:
    campaign_id = world.created()
    found = report(world, campaign_id)
    [reason] = found["reasons"]
    assert (found["state"], reason["code"], reason["since"]) == ("not_started", "draft", "2026-03-01T12:00:00Z")
    assert reason.keys() == {"code", "detail", "since", "binding_constraint", "suggested_fix"}
    assert found["utilization"] == {"today": None, "total": None}
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/activate")
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/pause")
    assert codes(report(world, campaign_id)) == ["paused"]


def test_a_budget_that_is_used_up_today_says_when_it_goes_on(world: World) -> None:
    campaign_id = world.activated(budget={"total": euros(10_000_000), "daily": euros(1_000_000)})
    [item] = world.slate()
    world.send(click("e1", item))
    [reason] = report(world, campaign_id)["reasons"]
    assert (reason["code"], reason["binding_constraint"]) == ("budget_used_up", "budget_daily")
    assert reason["since"] == "2026-03-01T12:00:00Z"
    assert "2026-03-01T23:00:00Z" in reason["suggested_fix"]
    view = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()
    assert [each["code"] for each in view["delivery"]["reasons"]] == ["budget_used_up"]


def test_a_deleted_job_and_a_missing_engine_are_told(world: World) -> None:
    campaign_id = world.activated()
    world.engine.missing = "no artefacts"
    assert codes(report(world, campaign_id)) == ["engine_not_ready"]
    world.engine.missing = None
    world.call("platform", "DELETE", "/v1/jobs/j1")
    assert codes(report(world, campaign_id)) == ["job_deleted"]


def test_without_traffic_that_is_the_reason_and_with_it_there_is_none(world: World) -> None:
    campaign_id = world.activated()
    assert codes(report(world, campaign_id)) == ["no_traffic"]
    world.clock.advance(HOUR)
    with_traffic(world, requests=1_000)
    world.clock.advance(HOUR)
    found = report(world, campaign_id)
    assert (found["state"], codes(found)) == ("delivering", [])


def test_a_campaign_that_is_served_within_the_first_hour_is_not_said_to_lack_traffic(world: World) -> None:
    campaign_id = world.activated()
    world.slate()
    found = report(world, campaign_id)
    assert found["today"]["reserved"]["amount_micros"] > 0
    assert codes(found) == []


def test_a_bid_that_hardly_wins_is_told_with_one_that_would(world: World) -> None:
    campaign_id = world.activated()
    with_traffic(world, requests=100)
    here = services(world)
    counts = {(int(NOW.timestamp()) // 86_400 - 1, "", 80): 1_000_000}  # a bar of 1.05 EUR an impression
    traffic = here.insight.traffic
    with world.store.database.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM price_levels")
    traffic.add(Counts({}, counts))
    [reason, *_] = report(world, campaign_id)["reasons"]
    assert (reason["code"], reason["binding_constraint"]) == ("bid_low", "bid")


def test_another_account_is_told_nothing(world: World) -> None:
    campaign_id = world.activated()
    for path in (campaign_id, "cmp_9"):
        assert world.call("beta-owner", "GET", f"/v1/campaigns/{path}/delivery").status_code == 404
    assert report(world, campaign_id, "auditor")["posted"] == euros(0)
