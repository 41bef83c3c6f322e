"""Money given back: once for each posting, and the books still agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from market.errors import ConfigError, ConflictError, NotFoundError
from market.money import Money
from targeting.campaigns import Budget

if TYPE_CHECKING:
    from targeting.campaigns import Campaign
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def billed_click(till: Till, campaign: Campaign, price: int, seeker: str | None = None) -> str:
    click = till.event(till.serve(campaign, price, seeker=seeker))
    assert till.billed(click) == [price]
    return click.event_id


def test_a_credit_takes_the_posting_off_the_balances_and_leaves_its_rows(till: Till) -> None:
    campaign = till.campaign(total=1_000, daily=500)
    one, _ = billed_click(till, campaign, 100), billed_click(till, campaign, 200)
    given = till.credits.give_back(one, "by_hand", NOON)
    assert (given.campaign_id, given.day, given.amount_micros) == (campaign.campaign_id, "2026-03-01", 100)
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.posted, totals.credited, totals.unbilled) == (200, 100, 0)
    assert totals.posted_by_day == {"2026-03-01": 200}
    with till.database.reading() as session:
        assert session.execute(text("SELECT SUM(amount_micros) FROM postings")).scalar() == 300
        assert session.execute(text("SELECT SUM(posted_micros) FROM reserves")).scalar() == 300


def test_room_that_a_credit_opens_is_billed_to_other_clicks(till: Till) -> None:
    campaign = till.campaign(total=100)
    token = till.serve(campaign, 100)
    first = billed_click(till, campaign, 100)
    assert till.serve(campaign, 100) is None
    till.credits.give_back(first, "by_hand", NOON)
    assert till.serve(campaign, 100) is not None
    assert till.billed(till.event(token)) == [100]


def test_a_credited_click_is_not_billed_again_by_its_token_or_its_seeker(till: Till) -> None:
    campaign = till.campaign(total=1_000)
    token, sibling = (till.serve(campaign, 100, seeker="s1") for _ in range(2))
    click = till.event(token)
    till.take(click)
    till.credits.give_back(click.event_id, "by_hand", NOON)
    assert till.billed(click, till.event(token), till.event(sibling)) == [100, 0, 0]  # the first: as it was answered
    assert till.posted(campaign) == 0


def test_the_same_credit_twice_is_one_and_a_different_one_is_a_conflict(till: Till) -> None:
    campaign = till.campaign()
    click = billed_click(till, campaign, 100)
    first = till.credits.give_back(click, "by_hand", NOON, 40)
    assert till.credits.give_back(click, "by_hand", NOON + timedelta(days=9), 40) == first
    for reason, amount in (("other", 40), ("by_hand", 50), ("by_hand", None)):
        with pytest.raises(ConflictError, match="40 micros as by_hand"):
            till.credits.give_back(click, reason, NOON, amount)
    assert till.posted(campaign) == 60


@pytest.mark.parametrize("amount", [0, -1, 101])
def test_no_more_than_the_posting_is_given_back(till: Till, amount: int) -> None:
    click = billed_click(till, till.campaign(), 100)
    with pytest.raises(ConfigError, match="1 to 100"):
        till.credits.give_back(click, "by_hand", NOON, amount)


def test_an_event_that_was_billed_nothing_has_nothing_to_give_back(till: Till) -> None:
    free = till.event(till.serve(till.campaign(), 0))
    till.take(free)
    for event_id in (free.event_id, "never"):
        with pytest.raises(NotFoundError, match="billed nothing"):
            till.credits.give_back(event_id, "by_hand", NOON)


@pytest.mark.parametrize("reason", ["", "Bad", "two words", "x" * 33, "ümlaut"])
def test_a_reason_is_a_word(till: Till, reason: str) -> None:
    with pytest.raises(ConfigError, match="reason"):
        till.credits.give_back("e1", reason, NOON)


def test_a_cap_kept_up_by_what_was_spent_comes_down_with_the_credit(till: Till) -> None:
    campaign = till.campaign(total=1_000, daily=1_000)
    clicks = [billed_click(till, campaign, 100) for _ in range(3)]
    till.store.replace_campaign(replace(campaign, budget=Budget(Money(250, "EUR")), version=2))
    assert till.journal.totals(campaign.campaign_id).cap == 300
    till.credits.give_back(clicks[0], "by_hand", NOON)
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.cap, totals.posted) == (250, 200)


@pytest.mark.parametrize("statement", ["UPDATE credits SET amount_micros = 1", "DELETE FROM credits"])
def test_credits_are_never_changed_or_deleted(till: Till, statement: str) -> None:
    till.credits.give_back(billed_click(till, till.campaign(), 100), "by_hand", NOON)
    with pytest.raises(IntegrityError, match="only be added"), till.database.writing() as session:
        session.execute(text(statement))
