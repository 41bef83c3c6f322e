"""POST /v1/forecasts over HTTP: what a draft is answered, and that asking changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from targeting.http.services import Services
from targeting.traffic import Counts
from tests.targeting.http.small_service import DRAFT, HOUR, JOBS, NOW, World, assert_problem, euros

KEYS = {"currency", "horizon", "basis", "scenarios", "notes"}
PART = {"mean", "ci80", "ci95"}


def services(world: World) -> Services:
    found: Services = world.client.app.state.services  # type: ignore[attr-defined]
    return found


def with_traffic(world: World, requests: int = 20, days: int = 14, area: str = "31080") -> None:
    """The same number of requests in every hour of the days before now, all slots empty."""
    last = int(NOW.timestamp()) // 3600
    cells = {(hour, "", area): [requests, requests, 0] for hour in range(last - 24 * days, last)}
    prices = {(last // 24 - back, "", -1): 24 * requests for back in range(1, days)}
    services(world).insight.traffic.add(Counts(cells, prices))


def forecast(world: World, who: str = "owner", **changes: Any) -> dict[str, Any]:
    answer = world.call(who, "POST", "/v1/forecasts", json=DRAFT | changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(found: dict[str, Any]) -> set[str]:
    return {note["code"] for note in found["notes"]}


def test_a_forecast_has_the_budget_and_a_quarter_and_a_half_either_way(world: World) -> None:
    with_traffic(world)
    found = forecast(world)
    assert found.keys() == KEYS
    assert [each["budget_factor"] for each in found["scenarios"]] == [0.5, 0.75, 1, 1.25, 1.5]
    assert [each["budget"] for each in found["scenarios"]] == [euros(n * 25_000_000) for n in (2, 3, 4, 5, 6)]
    for each in found["scenarios"]:
        for name in ("spend", "impressions", "clicks", "applications"):
            assert each[name].keys() == PART
        assert each["spend"]["mean"]["amount_micros"] <= each["budget"]["amount_micros"]
    assert found["basis"]["requests"] == 6_700  # 6,720 to two digits
    assert found["basis"]["draws"] == services(world).insight.config.draws
    assert found["horizon"]["starts_at"] == "2026-03-01T12:00:00Z"
    assert codes(found) == {"few_clicks", "horizon_limited", "pacing_not_modelled"}


def test_the_numbers_are_those_of_the_small_world(world: World) -> None:
    # 20 requests an hour for a day, 1 in 20 clicks at 1 EUR, 1 in 5 clicks applies; the model counts for 20 clicks.
    with_traffic(world)
    budget = {"total": euros(10**12)}
    ends = (NOW + timedelta(days=1)).isoformat()
    found = forecast(world, budget=budget, ends_at=ends, pacing="asap")
    full = found["scenarios"][2]
    assert full["impressions"]["mean"] == pytest.approx(480, rel=0.02)
    assert full["clicks"]["mean"] == pytest.approx(24, rel=0.05)
    assert full["applications"]["mean"] == pytest.approx(4.8, rel=0.08)
    assert full["spend"]["mean"]["amount_micros"] == pytest.approx(full["clicks"]["mean"] * 1_000_000, rel=1e-3)
    assert found["horizon"]["days"] == 1
    assert found["basis"]["expected_requests"] == pytest.approx(480, rel=0.01)
    assert codes(found) == {"few_clicks"}


def test_the_same_draft_has_the_same_answer_and_nothing_is_stored(world: World) -> None:
    with_traffic(world)

    def stored() -> list[int]:
        tables = "campaigns", "answers", "events", "reserves", "traffic", "audit_log"
        with world.store.database.reading() as session:
            return [session.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one() for table in tables]

    before = stored()
    assert forecast(world) == forecast(world) == forecast(world, who="analyst")
    assert forecast(world, name="Another")["scenarios"] != []
    assert stored() == before
    assert world.call("owner", "GET", "/v1/campaigns").json()["items"] == []


def test_no_traffic_gives_zeros_and_says_so(world: World) -> None:
    found = forecast(world)
    assert "little_traffic" in codes(found)
    for each in found["scenarios"]:
        assert each["spend"]["mean"] == euros(0)
        assert each["spend"]["ci95"] == [euros(0), euros(0)]
        assert each["applications"]["mean"] == 0
    assert found["basis"]["requests"] is None


def test_traffic_of_other_areas_does_not_count_unless_the_job_is_remote(world: World) -> None:
    with_traffic(world, area="far")
    assert "little_traffic" in codes(forecast(world))
    body = {"jobs": [JOBS[0] | {"remote": True}]}
    assert world.call("platform", "POST", "/v1/jobs:batch", json=body).status_code == 200
    found = forecast(world)
    assert "little_traffic" not in codes(found)
    assert found["scenarios"][2]["impressions"]["mean"] > 0


def test_daily_budgets_and_dates_are_respected(world: World) -> None:
    with_traffic(world, requests=1_000)
    daily = {"total": euros(100_000_000), "daily": euros(3_000_000)}
    two_days = {"starts_at": "2026-03-05T00:00:00+01:00", "ends_at": "2026-03-07T00:00:00+01:00"}
    found = forecast(world, budget=daily, **two_days)
    assert found["horizon"]["days"] == 2
    assert [each["spend"]["mean"]["amount_micros"] for each in found["scenarios"]] == [
        3_000_000, 4_500_000, 6_000_000, 7_500_000, 9_000_000,
    ]  # fmt: skip


def test_a_job_that_expires_ends_the_forecast(world: World) -> None:
    with_traffic(world)
    expires = (NOW + timedelta(days=2)).isoformat()
    body = {"jobs": [JOBS[0] | {"expires_at": expires}]}
    assert world.call("platform", "POST", "/v1/jobs:batch", json=body).status_code == 200
    found = forecast(world)
    assert found["horizon"]["days"] == 2
    assert "job_expires" in codes(found)


def test_currencies_without_cents_are_in_micros_too(world: World) -> None:
    with_traffic(world)
    yen = {"total": {"minor": 5_000, "currency": "JPY"}}
    found = forecast(world, budget=yen)
    assert found["currency"] == "JPY"
    assert found["scenarios"][2]["budget"] == {"amount_micros": 5_000_000_000, "currency": "JPY"}


def test_a_draft_that_could_not_be_created_can_not_be_forecast(world: World) -> None:
    over = DRAFT | {"ends_at": "2026-02-01T00:00:00Z"}
    assert_problem(world.call("owner", "POST", "/v1/forecasts", json=over), 422, "bad_campaign")
    other_zone = DRAFT | {"time_zone": "Mars/Base"}
    assert_problem(world.call("owner", "POST", "/v1/forecasts", json=other_zone), 422, "bad_campaign")
    assert_problem(world.call("owner", "POST", "/v1/forecasts", json=DRAFT | {"spent": 1}), 422, "invalid_request")
    assert_problem(world.call("owner", "POST", "/v1/forecasts", json=DRAFT | {"job_id": "j2"}), 404, "not_found")


def test_without_an_engine_there_is_no_forecast(world: World) -> None:
    world.engine.missing = "no artefacts"
    assert_problem(world.call("owner", "POST", "/v1/forecasts", json=DRAFT), 503, "engine_not_ready")


def test_slates_are_counted_and_become_the_traffic_of_forecasts(world: World) -> None:
    here = services(world)
    for _ in range(3):
        world.slate(promoted=2)
    world.slate(promoted=0, organic=2)
    assert here.insight.traffic.flush(here.traffic) == 3
    world.clock.advance(HOUR)
    history = here.insight.traffic.history(world.clock.now())
    assert (history.total, history.slots, history.sold) == (3, 6, 0)


def test_a_slate_goes_out_when_the_promoted_part_fails_and_counts_as_unsold(world: World) -> None:
    world.activated()
    world.engine.ads_fail = True
    here = services(world)
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]
    counts = here.traffic.take()
    assert [cell[2] for cell in counts.cells.values()] == [0]
    assert counts.prices == {}


def test_the_model_is_corrected_by_real_clicks(world: World) -> None:
    here = services(world)
    world.activated(budget={"total": euros(10**12)})
    with_traffic(world)
    before = forecast(world, budget={"total": euros(10**12)})["scenarios"][2]["clicks"]["mean"]
    world.engine.p_click = 0.5
    for number in range(12):  # 6 clicks were to be expected, none comes
        world.slate(seeker_id=f"s{number}")
    world.engine.p_click = 0.05
    world.clock.advance(2 * HOUR)
    here.journal.release(world.clock.now())
    later = (datetime.fromisoformat(DRAFT["ends_at"]) + 2 * HOUR).isoformat()
    after = forecast(world, budget={"total": euros(10**12)}, ends_at=later)["scenarios"][2]["clicks"]["mean"]
    assert after == pytest.approx(before * 20 / 26, rel=0.05)
