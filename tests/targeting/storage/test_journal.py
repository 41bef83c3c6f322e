"""The ledger on disk: reserve, settle, release; caps that hold by constraint; postings that are final."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from market.errors import ConfigError, NotFoundError
from market.money import Money
from targeting.campaigns import Budget
from targeting.engine import SlateItem
from targeting.storage.balances import Balances
from targeting.storage.database import StoreUnavailableError
from targeting.storage.journal import BillingConfig, Served
from targeting.tokens import sign

if TYPE_CHECKING:
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_serving_reserves_twice_the_expected_charge_and_a_click_turns_it_into_a_posting(till: Till) -> None:
    campaign = till.campaign(total=1_000)
    token = till.serve(campaign, 100, p_click=0.1)
    assert till.journal.totals(campaign.campaign_id).reserved == 20
    assert till.billed(till.event(token)) == [100]
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.posted, totals.reserved, totals.unbilled) == (100, 0, 0)
    assert totals.posted_by_day == {"2026-03-01": 100}


def test_no_reservation_is_above_the_price(till: Till) -> None:
    campaign = till.campaign()
    till.serve(campaign, 100, p_click=0.9)
    assert till.journal.totals(campaign.campaign_id).reserved == 100


def test_a_campaign_without_room_for_the_reservation_is_not_served(till: Till) -> None:
    campaign = till.campaign(total=250)
    assert [till.serve(campaign, 100, p_click=1.0) is not None for _ in range(3)] == [True, True, False]
    assert till.journal.totals(campaign.campaign_id).reserved == 200


def test_reserves_are_released_when_no_click_can_be_billed_any_more(till: Till) -> None:
    campaign = till.campaign(total=100)
    assert till.serve(campaign, 100, p_click=1.0)
    assert till.journal.closed([campaign], NOON + 39 * MINUTE) == {campaign.campaign_id}
    assert till.serve(campaign, 100, p_click=1.0, now=NOON + 39 * MINUTE) is None
    assert till.journal.closed([campaign], NOON + 40 * MINUTE) == frozenset()
    assert till.journal.totals(campaign.campaign_id).reserved == 0
    assert till.serve(campaign, 100, p_click=1.0, now=NOON + 40 * MINUTE)


def test_serving_itself_releases_what_is_due_first(till: Till) -> None:
    campaign = till.campaign(total=100)
    assert till.serve(campaign, 100, p_click=1.0)
    assert till.serve(campaign, 100, p_click=1.0, now=NOON + 40 * MINUTE)
    assert till.journal.totals(campaign.campaign_id).reserved == 100


def test_the_last_click_is_billed_what_is_left_and_later_ones_nothing(till: Till) -> None:
    campaign = till.campaign(total=250)
    tokens = [till.serve(campaign, 100) for _ in range(4)]
    outcomes = till.take(*(till.event(token) for token in tokens))
    assert [outcome.billed.amount_micros for outcome in outcomes if outcome.billed] == [100, 100, 50, 0]
    assert [outcome.code for outcome in outcomes] == [None, None, "cap_reached", "cap_reached"]
    assert till.journal.totals(campaign.campaign_id).unbilled == 150


def test_a_daily_cap_holds_for_each_day_and_the_total_for_all(till: Till) -> None:
    campaign = till.campaign(total=500, daily=200)
    billed = []
    for day in range(4):
        now = NOON + timedelta(days=day)
        tokens = [till.serve(campaign, 150, now=now) for _ in range(2)]
        billed += till.billed(*(till.event(token, at=now) for token in tokens if token), now=now)
    assert billed == [150, 50, 150, 50, 100, 0]  # on the fourth day nothing is served
    totals = till.journal.totals(campaign.campaign_id)
    assert list(totals.posted_by_day.values()) == [200, 200, 100]


@pytest.mark.parametrize(("when", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_the_clocks_change_has_one_whole_budget(till: Till, when: str, hours: int) -> None:
    campaign = till.campaign(total=10_000, daily=100, zone="Europe/Berlin")
    start = datetime.fromisoformat(when + "T00:00:00+00:00") - (1 if hours == 23 else 2) * timedelta(hours=1)
    for hour in range(-1, hours + 1):
        now = start + hour * timedelta(hours=1)
        token = till.serve(campaign, 60, now=now)
        if token is not None:
            till.take(till.event(token, at=now), now=now)
    by_day = till.journal.totals(campaign.campaign_id).posted_by_day
    assert by_day[when] == 100
    assert list(by_day.values()) == [60, 100, 60]  # the hour before and the hour after belong to other days


def test_a_click_after_midnight_counts_for_the_day_of_serving(till: Till) -> None:
    campaign = till.campaign(total=1_000, daily=100)
    late = NOON.replace(hour=23, minute=59)
    token = till.serve(campaign, 100, now=late)
    assert till.billed(till.event(token, at=late + 5 * MINUTE), now=late + 5 * MINUTE) == [100]
    assert till.journal.totals(campaign.campaign_id).posted_by_day == {"2026-03-01": 100}
    assert till.serve(campaign, 100, now=late + 5 * MINUTE) is not None


def test_a_budget_cut_below_what_is_spent_stops_serving_and_takes_nothing_back(till: Till) -> None:
    campaign = till.campaign(total=1_000, daily=800)
    tokens = [till.serve(campaign, 100) for _ in range(5)]
    till.take(*(till.event(token) for token in tokens[:3]))
    cut = replace(campaign, budget=Budget(Money(200, "EUR"), Money(200, "EUR")), version=2)
    till.store.replace_campaign(cut)
    assert till.serve(campaign, 100) is None
    assert till.billed(till.event(tokens[3])) == [0]
    assert till.journal.totals(campaign.campaign_id).posted == 300
    till.store.replace_campaign(replace(cut, budget=Budget(Money(350, "EUR")), version=3))
    assert till.billed(till.event(tokens[4])) == [50]


def test_a_paused_campaign_and_a_deleted_job_are_not_served_but_their_clicks_count(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100)
    till.store.replace_campaign(replace(campaign, status="paused", version=2))
    assert till.serve(campaign, 100) is None
    assert till.billed(till.event(token)) == [100]
    other = till.campaign()
    till.store.delete_job("j1")
    assert till.serve(other, 100) is None


def test_of_one_seeker_in_one_window_the_dearest_click_is_billed_once(till: Till) -> None:
    campaign = till.campaign(total=10_000)
    prices = 100, 300, 200
    tokens = [till.serve(campaign, price, seeker="s1", now=NOON) for price in prices]
    assert till.billed(*(till.event(token) for token in tokens)) == [100, 200, 0]
    assert till.posted(campaign) == 300
    others = [till.serve(campaign, 100, seeker=seeker) for seeker in ("s2", None, None)]
    assert till.billed(*(till.event(token) for token in others)) == [100, 100, 100]
    later = NOON + 30 * MINUTE
    assert till.billed(till.event(till.serve(campaign, 100, seeker="s1", now=later), at=later), now=later) == [100]


def test_a_slate_with_one_refused_item_reserves_nothing(till: Till) -> None:
    rich, poor = till.campaign(total=1_000), till.campaign(total=50)
    offers = [till.offer(campaign, 100, p_click=1.0) for campaign in (rich, poor)]
    items = [
        SlateItem("j1", "promoted", at, 1.0, (), True, "Acme", sign(offer, b"s"), offer.campaign_id, offer)
        for at, offer in enumerate(offers, start=1)
    ]
    assert till.journal.reserve(Served("sla_1", None, tuple(items)), NOON) == {poor.campaign_id}
    assert till.journal.totals(rich.campaign_id).reserved == 0
    with till.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM slates")).scalar() == 0


def test_a_token_served_twice_is_held_and_billed_once(till: Till) -> None:
    campaign = till.campaign()
    offer = till.offer(campaign, 100, p_click=0.5)
    signed = sign(offer, b"a secret of thirty-two bytes ....")
    item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", signed, campaign.campaign_id, offer)
    for slate_id in ("sla_1", "sla_2"):
        assert till.journal.reserve(Served(slate_id, None, (item,)), NOON) == frozenset()
    assert till.journal.totals(campaign.campaign_id).reserved == 100
    assert till.billed(till.event(signed), till.event(signed)) == [100, 0]


@pytest.mark.parametrize("statement", ["UPDATE postings SET amount_micros = 1", "DELETE FROM postings"])
def test_postings_are_never_changed_or_deleted(till: Till, statement: str) -> None:
    campaign = till.campaign()
    till.take(till.event(till.serve(campaign, 100)))
    with pytest.raises(IntegrityError, match="only be added"), till.database.writing() as session:
        session.execute(text(statement))


@pytest.mark.parametrize("table", ["balances", "day_balances"])
def test_the_database_itself_refuses_more_than_the_cap(till: Till, table: str) -> None:
    campaign = till.campaign(total=100)
    till.take(till.event(till.serve(campaign, 100)))
    with pytest.raises(IntegrityError, match="posted_within_cap"), till.database.writing() as session:
        session.execute(text(f"UPDATE {table} SET posted_micros = posted_micros + 1"))


def test_a_balance_that_moved_in_between_stops_the_transaction_and_nothing_is_billed(till: Till) -> None:
    campaign = till.campaign(total=100)
    place = campaign.campaign_id, "2026-03-01"

    def bill_while_the_budget_is_cut() -> None:
        with till.database.writing() as session:
            balances = Balances(session, {place})
            session.execute(text("UPDATE balances SET cap_micros = 10"))
            assert balances.post(place, 60) == 60
            balances.save()

    with pytest.raises(StoreUnavailableError, match="same moment"):
        bill_while_the_budget_is_cut()
    assert till.journal.totals(campaign.campaign_id).posted_by_day == {}


def test_amounts_up_to_the_largest_budget_do_not_overflow(till: Till) -> None:
    campaign = till.campaign(total=10**18)
    token = till.serve(campaign, 10**18, p_click=1.0)
    assert till.billed(till.event(token)) == [10**18]
    assert till.serve(campaign, 1) is None


def test_an_unknown_campaign_has_no_totals(till: Till) -> None:
    with pytest.raises(NotFoundError, match="cmp_99"):
        till.journal.totals("cmp_99")


@pytest.mark.parametrize(
    "wrong",
    [
        {"grace": -MINUTE},
        {"ahead": -MINUTE},
        {"window": timedelta(0)},
        {"attribution": timedelta(0)},
        {"kappa": 0.0},
        {"kappa": float("nan")},
        {"serving_wait_seconds": -1.0},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        BillingConfig(**wrong)  # type: ignore[arg-type]
