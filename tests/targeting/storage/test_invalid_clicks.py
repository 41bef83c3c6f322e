"""Clicks that nobody should pay for: found by what happened, whenever and however often somebody looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from market.errors import ConfigError
from targeting.storage.credits import Credit
from targeting.storage.invalid_clicks import Charge, InvalidClickConfig, InvalidClicks, burst_or_many

if TYPE_CHECKING:
    from targeting.campaigns import Campaign
    from targeting.storage.ingestion import Event
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STRICT = InvalidClickConfig(burst_charges=2, daily_charges=3, unseen_charges=4)


def clicked(till: Till, campaign: Campaign, seeker: str, at: datetime, seen: bool = True) -> list[Event]:
    token = till.serve(campaign, 100, now=at, seeker=seeker)
    impression = [till.event(token, type="impression", at=at)] if seen else []
    return [*impression, till.event(token, at=at)]


def review(till: Till, now: datetime, config: InvalidClickConfig = STRICT) -> list[Credit]:
    return InvalidClicks(till.database, config=config).review(now)


def test_a_click_before_its_item_was_served_is_taken_and_costs_nothing_whenever_it_comes(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100)
    [soon] = till.take(till.event(token, at=NOON - timedelta(milliseconds=1)))
    assert (soon.status, soon.code, soon.billed and soon.billed.amount_micros) == ("accepted", "invalid_click", 0)
    assert till.billed(till.event(token, at=NOON)) == [100]  # the token is still there for a person
    assert till.billed(till.event(token, at=NOON - MINUTE)) == [0]
    assert till.journal.totals(campaign.campaign_id).unbilled == 0


def test_a_reaction_time_can_be_asked_for() -> None:
    config = InvalidClickConfig(reaction=timedelta(milliseconds=500))
    at = int(NOON.timestamp())
    assert config.too_soon(NOON + timedelta(milliseconds=499), at)
    assert not config.too_soon(NOON + timedelta(milliseconds=500), at)


def test_a_burst_is_given_back_from_the_third_charge_within_ten_minutes_on(till: Till) -> None:
    campaigns = [till.campaign() for _ in range(4)]
    minutes = 0, 1, 2, 12
    for campaign, minute in zip(campaigns, minutes, strict=True):
        till.take(*clicked(till, campaign, "s1", NOON + minute * MINUTE), now=NOON + minute * MINUTE)
    assert review(till, NOON + 46 * MINUTE) == []  # a click of then could still come
    [given] = review(till, NOON + 47 * MINUTE)
    assert (given.campaign_id, given.amount_micros, given.reason) == (campaigns[2].campaign_id, 100, "burst")
    assert review(till, NOON + DAY) == []  # the fourth had only one before it, at minute 2
    assert [till.posted(each) for each in campaigns] == [100, 100, 0, 100]


def test_the_fourth_charge_of_a_day_on_one_campaign_is_given_back(till: Till) -> None:
    campaign = till.campaign()
    for hour in range(5):
        at = NOON + hour * HOUR
        till.take(*clicked(till, campaign, "s1", at), now=at)
        till.take(*clicked(till, campaign, f"other{hour}", at), now=at)
    given = review(till, NOON + DAY)
    assert [each.reason for each in given] == ["many_in_a_day"] * 2
    assert till.posted(campaign) == 800


@pytest.mark.parametrize(("seen", "somebody", "credits"), [(False, True, 4), (True, True, 0), (False, False, 0)])
def test_many_clicks_of_somebody_who_saw_nothing_are_given_back(
    till: Till, seen: bool, somebody: bool, credits: int
) -> None:
    campaigns = [till.campaign() for _ in range(4)]
    for number, campaign in enumerate(campaigns):
        at = NOON + number * HOUR
        till.take(*clicked(till, campaign, "s1", at, seen=seen), now=at)
    till.take(*clicked(till, campaigns[0], "s2", NOON, seen=somebody), now=NOON)
    assert review(till, NOON + 12 * HOUR) == []  # the day has to be over
    given = review(till, NOON + DAY)
    assert [each.reason for each in given] == ["never_seen"] * credits


def test_all_that_a_seeker_was_billed_in_one_window_is_given_back_together(till: Till) -> None:
    campaigns = [till.campaign() for _ in range(3)]
    tokens = [[till.serve(each, price, seeker="s1") for price in (100, 300)] for each in campaigns]
    for number, pair in enumerate(tokens):
        till.take(*(till.event(token, at=NOON + number * MINUTE) for token in pair), now=NOON + number * MINUTE)
    given = review(till, NOON + DAY)
    assert sorted(each.amount_micros for each in given) == [100, 200]
    assert till.posted(campaigns[2]) == 0


def test_two_reviews_of_the_same_give_back_once(till: Till) -> None:
    campaign = till.campaign()
    for hour in range(6):
        at = NOON + hour * HOUR
        till.take(*clicked(till, campaign, "s1", at), now=at)
    first = review(till, NOON + DAY)
    assert len(first) == 3
    assert review(till, NOON + DAY) == review(till, NOON + 2 * DAY) == []
    assert till.journal.totals(campaign.campaign_id).credited == 300


CLICKS = st.lists(
    st.tuples(st.sampled_from(["s1", "s2"]), st.integers(0, 2), st.integers(0, 40), st.booleans()),
    min_size=1,
    max_size=14,
)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(clicks=CLICKS, order=st.randoms(use_true_random=False), looks=st.lists(st.integers(40, 200), max_size=3))
def test_what_is_given_back_depends_on_the_clicks_and_not_on_their_order_nor_on_when_somebody_looks(
    shared_till: Till, clicks: list[tuple[str, int, int, bool]], order: object, looks: list[int]
) -> None:
    found = []
    for shuffled in (False, True):
        start = NOON + 30 * DAY * next(STARTS)  # far from all other examples
        campaigns = [shared_till.campaign(total=10**9) for _ in range(3)]
        events = []
        for seeker, campaign, minute, seen in clicks:
            events += clicked(shared_till, campaigns[campaign], seeker, start + minute * MINUTE, seen)
        if shuffled:
            order.shuffle(events)  # type: ignore[attr-defined]
        shared_till.take(*events, now=start + 29 * MINUTE + 10 * MINUTE)
        for look in looks if shuffled else []:
            review(shared_till, start + look * MINUTE)
        review(shared_till, start + 2 * DAY)
        found.append([shared_till.posted(each) for each in campaigns])
    assert found[0] == found[1]


STARTS = iter(range(1, 10_000))


def test_the_rules_by_hand() -> None:
    charges = [Charge("s1", NOON + minute * MINUTE, f"l{minute}", "c1", "d") for minute in (0, 5, 10, 11, 30, 60)]
    assert list(burst_or_many(charges, STRICT)) == [
        ("l10", "burst"),
        ("l11", "burst"),
        ("l30", "many_in_a_day"),
        ("l60", "many_in_a_day"),
    ]


def test_a_review_reads_postings_only_of_its_own_period(till: Till) -> None:
    campaign = till.campaign()
    for hour in range(5):
        at = NOON + hour * HOUR
        till.take(*clicked(till, campaign, "s1", at), now=at)
    assert review(till, NOON + 9 * DAY) == []
    with till.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM credits")).scalar() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"reaction": -MINUTE},
        {"reaction": MINUTE},
        {"burst_charges": 0},
        {"daily_charges": 0},
        {"unseen_charges": 0},
        {"burst_window": timedelta(0)},
        {"look_back": HOUR},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        InvalidClickConfig(**wrong)  # type: ignore[arg-type]
