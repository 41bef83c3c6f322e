from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from market.errors import ConflictError, UserError
from market.money import MAX_MICROS, Money
from market.records import Job
from targeting.campaigns import (
    Bid,
    Budget,
    Campaign,
    CampaignError,
    as_of,
    check,
    check_change,
    delivery,
    moved,
    new_campaign_id,
    next_change,
    serves,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NURSE = Job("j1", "acme", "Nurse", "Acme", "Care", "31080")


def euros(amount: int) -> Money:
    return Money(amount * 1_000_000, "EUR")


def campaign(**changes: object) -> Campaign:
    draft = Campaign(
        campaign_id="cmp_1",
        account_id="acme",
        job_id="j1",
        name="Nurses",
        budget=Budget(euros(100), euros(10)),
        bid=Bid("auto"),
        objective="hires",
        starts_at=NOW,
        ends_at=NOW + 48 * HOUR,
        time_zone="Europe/Berlin",
        pacing="even",
        status="draft",
        version=1,
        created_at=NOW,
    )
    return replace(draft, **changes)  # type: ignore[arg-type]


def refused_at(broken: Campaign) -> str:
    with pytest.raises(CampaignError) as caught:
        check(broken, NOW)
    assert "\n" not in str(caught.value)
    return caught.value.pointer


def test_a_sound_campaign_passes() -> None:
    check(campaign(), NOW)
    check(campaign(ends_at=None, budget=Budget(Money(MAX_MICROS, "EUR"))), NOW)


@pytest.mark.parametrize("micros", [0, -1])
def test_budget_has_to_be_positive(micros: int) -> None:
    nothing = Money(micros, "EUR")
    assert refused_at(campaign(budget=Budget(nothing))) == "/budget/total"
    assert refused_at(campaign(budget=Budget(euros(1), nothing))) == "/budget/daily"
    assert refused_at(campaign(bid=Bid("manual", nothing))) == "/bid/max_cpc"


def test_daily_budget_and_bid_fit_into_the_total() -> None:
    assert refused_at(campaign(budget=Budget(euros(10), euros(11)))) == "/budget/daily"
    assert refused_at(campaign(bid=Bid("auto", euros(101)))) == "/bid/max_cpc"


def test_one_currency_per_campaign() -> None:
    assert refused_at(campaign(budget=Budget(euros(10), Money(1, "USD")))) == "/budget/daily"
    assert refused_at(campaign(bid=Bid("auto", Money(1, "USD")))) == "/bid/max_cpc"


def test_manual_bid_names_its_price() -> None:
    assert refused_at(campaign(bid=Bid("manual"))) == "/bid/max_cpc"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../../etc/passwd", "europe/berlin"])
def test_time_zone_is_a_name_of_the_iana_database(zone: str) -> None:
    assert refused_at(campaign(time_zone=zone)) == "/time_zone"


def test_campaign_ends_after_it_starts_and_not_in_the_past() -> None:
    assert refused_at(campaign(ends_at=NOW)) == "/ends_at"
    assert refused_at(campaign(starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR)) == "/ends_at"


def test_activating_waits_for_the_start() -> None:
    assert moved(campaign(), "activate", NOW).status == "active"
    later = moved(campaign(starts_at=NOW + HOUR), "activate", NOW)
    assert later.status == "scheduled"
    assert later.version == 2
    assert as_of(later, NOW + HOUR).status == "active"
    assert next_change(later, NOW) == NOW + HOUR


def test_the_clock_completes_a_running_campaign_and_leaves_a_draft() -> None:
    for status in ("scheduled", "active", "paused"):
        assert as_of(campaign(status=status), NOW + 48 * HOUR).status == "completed"
    assert as_of(campaign(), NOW + 48 * HOUR).status == "draft"
    assert next_change(campaign(status="active"), NOW) == NOW + 48 * HOUR
    assert next_change(campaign(), NOW) is None


LEGAL = {
    ("draft", "activate"): "active",
    ("active", "pause"): "paused",
    ("paused", "resume"): "active",
    ("draft", "cancel"): "cancelled",
    ("scheduled", "cancel"): "cancelled",
    ("active", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
}


@pytest.mark.parametrize("move", ["activate", "pause", "resume", "cancel"])
@pytest.mark.parametrize("status", ["draft", "scheduled", "active", "paused", "completed", "cancelled"])
def test_every_move_from_every_status(status: str, move: str) -> None:
    before = campaign(status=status, starts_at=NOW + HOUR if status == "scheduled" else NOW)
    if (status, move) in LEGAL:
        after = moved(before, move, NOW)  # type: ignore[arg-type]
        assert (after.status, after.version) == (LEGAL[status, move], 2)
    else:
        with pytest.raises(ConflictError, match=f"is {status} can not {move}"):
            moved(before, move, NOW)  # type: ignore[arg-type]


def test_a_campaign_whose_end_has_passed_can_neither_start_nor_resume() -> None:
    with pytest.raises(CampaignError, match="over already"):
        moved(campaign(), "activate", NOW + 48 * HOUR)
    with pytest.raises(ConflictError, match="completed"):
        moved(campaign(status="paused"), "resume", NOW + 48 * HOUR)


def test_what_was_promised_to_a_running_campaign_stays() -> None:
    running = campaign(status="active")
    check_change(running, replace(running, name="Carers", ends_at=None), NOW)
    dollars = Budget(Money(5, "USD"))
    for change in ({"budget": dollars}, {"time_zone": "UTC"}, {"starts_at": NOW + HOUR}):
        with pytest.raises(ConflictError, match="can not change"):
            check_change(running, replace(running, **change), NOW)
    check_change(campaign(), campaign(budget=dollars, time_zone="UTC"), NOW)
    with pytest.raises(ConflictError, match="any more"):
        check_change(campaign(status="cancelled"), campaign(status="cancelled"), NOW)


def test_delivery_says_why_a_campaign_is_not_shown() -> None:
    def reasons(subject: Campaign, job: Job | None = NURSE, missing: str | None = None) -> tuple[str, list[str]]:
        found = delivery(subject, job, NOW, missing)
        return found.state, [reason.code for reason in found.reasons]

    active = campaign(status="active")
    assert reasons(campaign()) == ("not_started", ["draft"])
    assert reasons(campaign(status="scheduled", starts_at=NOW + HOUR)) == ("waiting", ["starts_later"])
    assert reasons(active) == ("delivering", [])
    assert reasons(campaign(status="paused")) == ("paused", ["paused"])
    assert reasons(campaign(status="cancelled")) == ("ended", ["cancelled"])
    assert reasons(active, job=None, missing="no model") == ("blocked", ["job_deleted", "engine_not_ready"])
    assert reasons(active, job=replace(NURSE, expires_at=NOW)) == ("blocked", ["job_expired"])
    assert serves(active, NURSE, NOW)
    assert not serves(active, None, NOW)
    assert not serves(campaign(status="paused"), NURSE, NOW)


def test_ids_sort_by_time_and_carry_their_entropy() -> None:
    first = new_campaign_id(NOW, bytes(10))
    assert first.startswith("cmp_")
    assert len(first) == 30
    assert first < new_campaign_id(NOW, bytes([255] * 10)) < new_campaign_id(NOW + timedelta(milliseconds=1), bytes(10))
    assert issubclass(CampaignError, UserError)
