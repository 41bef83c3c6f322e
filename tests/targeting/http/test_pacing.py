"""Pacing over HTTP: prices are shared and told, a target cost is accepted or refused, a failure stops no slate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from fastapi import FastAPI

from targeting.http.services import Services
from targeting.pacer import LEAST_REQUESTS, Pacer
from tests.targeting.http.small_service import DRAFT, HOUR, Opener, World, assert_problem, click, euros


def pacer(world: World) -> Pacer:
    services: Services = cast(FastAPI, world.client.app).state.services
    return services.pacer


def tick(world: World) -> None:
    pacer(world).tick()
    pacer(world).wait()


def delivery(world: World, campaign_id: str) -> dict[str, Any]:
    found: dict[str, Any] = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}/delivery").json()
    return found


def visits(world: World, number: int = LEAST_REQUESTS) -> None:
    """So many requests, one hour ago by the time this returns."""
    services: Services = cast(FastAPI, world.client.app).state.services
    for at in range(number):
        world.slate(seeker_id=f"s{at}")
    services.insight.traffic.flush(services.traffic)
    world.clock.advance(HOUR)


def test_a_target_cost_is_kept_with_the_campaign(world: World) -> None:
    bid = {"mode": "auto", "target_cpa": euros(20_000_000)}
    path = f"/v1/campaigns/{world.created(bid=bid)}"
    assert world.call("owner", "GET", path).json()["bid"] == {**bid, "max_cpc": None}
    patch = {"bid": {"target_cpa": None}}
    answer = world.call("owner", "PATCH", path, json=patch, headers={"If-Match": '"1-draft"'})
    assert answer.json()["bid"]["target_cpa"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"bid": {"mode": "manual", "max_cpc": euros(1_000_000), "target_cpa": euros(2_000_000)}},
        {"bid": {"mode": "auto", "target_cpa": euros(2_000_000)}, "objective": "clicks"},
        {"bid": {"mode": "auto", "max_cpc": euros(3_000_000), "target_cpa": euros(2_000_000)}},
        {"bid": {"mode": "auto", "target_cpa": euros(0)}},
        {"bid": {"mode": "auto", "target_cpa": {"amount_micros": 5, "currency": "USD"}}},
        {"bid": {"mode": "auto", "target_cpa": euros(200_000_000)}},
    ],
)
def test_a_target_cost_that_makes_no_sense_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert_problem(world.call("owner", "POST", "/v1/campaigns", json=DRAFT | changes), 422)


def test_prices_rise_when_money_goes_too_fast_and_survive_a_restart(world: World, open_world: Opener) -> None:
    world.engine.reserve_micros = 100_000
    campaign_id = world.activated(bid={"mode": "auto", "target_cpa": euros(20_000_000)})
    tick(world)
    first = delivery(world, campaign_id)["shadow_prices"]
    assert first["price_per_micro"] > 0
    assert first["daily"] == pytest.approx(first["price_per_micro"] * 1_000_000)
    assert first["budget"] is None
    assert "10 % more budget for today, 1.00 EUR" in first["in_words"]
    for _ in range(3):
        world.clock.advance(timedelta(minutes=4))
        tick(world)
    idle = delivery(world, campaign_id)["shadow_prices"]["price_per_micro"]
    assert idle < first["price_per_micro"]
    world.send(click("e1", world.slate(seeker_id="s1")[0], occurred_at="2026-03-01T12:12:00Z"))
    world.clock.advance(timedelta(minutes=1))
    tick(world)
    found = delivery(world, campaign_id)["shadow_prices"]["price_per_micro"]
    assert found > idle
    with open_world() as again:
        assert delivery(again, campaign_id)["shadow_prices"]["price_per_micro"] == found


def test_one_process_moves_the_prices_of_a_minute_and_all_show_them(world: World, open_world: Opener) -> None:
    world.activated()
    with open_world() as other:
        other.clock.instant = world.clock.instant
        tick(world)
        before = pacer(world)._store.read()
        tick(other)
        assert pacer(world)._store.read() == before
        assert pacer(other).board._found == pacer(world).board._found
        assert pacer(world).minutes_behind() == 0
        other.clock.advance(timedelta(minutes=7))
        assert pacer(other).minutes_behind() == 7


def test_a_new_campaign_gets_its_price_before_the_minute_is_over(world: World) -> None:
    world.activated()
    tick(world)
    second = world.activated()
    assert second not in pacer(world).board.known()
    tick(world)
    assert second in pacer(world).board.known()
    assert delivery(world, second)["shadow_prices"]["in_words"]


def test_a_plan_needs_traffic_and_then_says_what_holds_a_campaign_back(world: World) -> None:
    campaign_id = world.activated(budget={"total": euros(10**10), "daily": euros(10**9)})
    tick(world)
    metrics = world.client.get("/metrics").text
    assert 'hiregraph_pacing_plans_total{outcome="refused"} 1.0' in metrics
    visits(world)
    tick(world)
    assert 'hiregraph_pacing_plans_total{outcome="accepted"} 1.0' in world.client.get("/metrics").text
    world.clock.advance(timedelta(minutes=1))
    tick(world)
    [cause] = [each for each in delivery(world, campaign_id)["reasons"] if each["code"].startswith("limited_by_")]
    assert cause["code"] == "limited_by_supply"
    assert cause["binding_constraint"] == "audience"
    assert "qualified applications" in cause["detail"]
    assert cause["since"] is not None


def test_a_controller_that_fails_stops_no_slate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.activated()

    def broken(*_: object) -> None:
        raise RuntimeError("no prices")

    monkeypatch.setattr(pacer(world)._store, "read", broken)
    with pytest.raises(RuntimeError):
        pacer(world).tick()
    assert [item["kind"] for item in world.slate()] == ["promoted"]


def test_a_budget_for_a_month_is_shared_out_over_its_days(world: World) -> None:
    budget = {"total": euros(31_000_000)}
    campaign_id = world.activated(budget=budget)  # 1 March noon to the end of March
    planned = delivery(world, campaign_id)["pacing_target"]["planned"]["amount_micros"]
    assert planned == pytest.approx(31_000_000 * 11 / (30 * 24 + 10), rel=0.01)
    everything = world.activated(budget=budget, pacing="asap")
    assert delivery(world, everything)["pacing_target"]["planned"] == euros(31_000_000)
