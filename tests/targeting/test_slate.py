"""Promoted items among organic ones: their places, their labels, their tokens, and no job twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.money import Money
from market.records import Job, Recommendation
from targeting.campaigns import Bid, Budget, Campaign
from targeting.slate import Sale, beside, merge, place, position_of, sign_sale
from targeting.tokens import verify

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."


def campaign_for(job_id: str) -> Campaign:
    return Campaign(
        f"cmp_{job_id}",
        "acme",
        job_id,
        job_id,
        Budget(Money(100_000_000, "EUR")),
        Bid("auto"),
        "qualified_applications",
        NOW,
        None,
        "Europe/Berlin",
        "even",
        "active",
        1,
        NOW,
    )


def sale(job_id: str, price: int = 500_000) -> Sale:
    job = Job(job_id, "acme", f"title of {job_id}", f"company of {job_id}", "", "31080")
    return Sale(job, campaign_for(job_id), price, 0.0251234567, 1.5, ("because",), token=f"token of {job_id}")


def listed(*job_ids: str) -> list[Recommendation]:
    return [Recommendation(job_id, 1.0 - at / 10, ("near you",)) for at, job_id in enumerate(job_ids)]


def test_promoted_items_stand_first_fourth_and_eighth() -> None:
    items = merge(listed(*"abcdefgh"), [sale("x"), sale("y"), sale("z")], 8)
    assert "".join(item.job_id for item in items) == "xabycdezfgh"
    assert [item.position for item in items] == list(range(1, 12))


def test_promoted_items_are_labelled_and_organic_ones_are_not() -> None:
    promoted, organic = merge(listed("a"), [sale("x")], 1)
    assert (promoted.kind, promoted.sponsored) == ("promoted", True)
    assert promoted.on_behalf_of == "company of x"
    assert promoted.tracking_token == "token of x"
    assert promoted.campaign_id == "cmp_x"
    assert promoted.reasons == ("because",)
    assert (organic.kind, organic.sponsored) == ("organic", False)
    assert organic.on_behalf_of is organic.tracking_token is organic.campaign_id is None


def test_a_promoted_job_is_not_shown_again_as_organic() -> None:
    items = merge(listed("a", "x", "b", "c"), [sale("x")], 2)
    assert [(item.job_id, item.kind) for item in items] == [("x", "promoted"), ("a", "organic"), ("b", "organic")]


def test_where_organic_items_run_out_promoted_ones_close_up() -> None:
    assert [item.job_id for item in merge([], [sale("x"), sale("y")], 5)] == ["x", "y"]
    assert [item.job_id for item in merge(listed("a"), [sale("x"), sale("y")], 5)] == ["x", "a", "y"]


def test_without_sales_the_list_is_what_it_was() -> None:
    assert [item.job_id for item in merge(listed("a", "b", "c"), [], 2)] == ["a", "b"]
    assert merge([], [], 3) == []


@given(st.lists(st.integers(0, 12), unique=True), st.lists(st.integers(0, 12), unique=True), st.integers(0, 12))
def test_every_slate_has_each_job_once_and_everything_that_was_sold(
    organic_ids: list[int], sold_ids: list[int], organic: int
) -> None:
    found, sales = listed(*map(str, organic_ids)), [sale(str(i)) for i in sold_ids]
    items = merge(found, sales, organic)
    shown = [item.job_id for item in items]
    assert len(set(shown)) == len(shown)
    assert [item.position for item in items] == list(range(1, len(items) + 1))
    assert [item.job_id for item in items if item.sponsored] == [one.job.job_id for one in sales]
    assert [item.job_id for item in items if not item.sponsored] == [r.job_id for r in beside(found, sales, organic)]
    assert sum(not item.sponsored for item in items) <= organic
    beside_them = len(beside(found, sales, organic))
    promised = [position_of(slot, beside_them) for slot in range(len(sales))]
    assert [item.position for item in items if item.sponsored] == promised


def test_promoted_places_go_on_at_every_fourth() -> None:
    assert [place(slot) for slot in range(6)] == [0, 3, 7, 11, 15, 19]


def test_the_token_says_price_position_and_the_accounts_day() -> None:
    signed = sign_sale(sale("x"), 4, SECRET, NOW, "n1")
    token = verify(str(signed.token), SECRET)
    assert (token.campaign_id, token.job_id, token.nonce) == ("cmp_x", "x", "n1")
    assert (token.price_micros, token.currency, token.position) == (500_000, "EUR", 4)
    assert token.day == "2026-03-02"  # half past midnight in Berlin
    assert token.expires_at - token.issued_at == 30 * 60
    assert token.p_click == pytest.approx(0.025123)


def test_without_a_secret_nothing_is_signed() -> None:
    unsigned = sale("x")
    assert sign_sale(unsigned, 1, b"", NOW, "n1") is unsigned
