"""Reserve, then post: what is billed is the sum of the prices of valid clicks, cut at the caps."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targeting.ledger import KAPPA, free_micros, postable, reservation

NO_CAP = 2**62
prices = st.lists(st.integers(0, 2_000_000), max_size=40)


def test_a_reservation_is_the_expected_charge_times_kappa_rounded_up():
    assert reservation(0.25, 1_000_000, KAPPA) == 500_000
    assert reservation(0.5, 3, 1.0) == 2
    assert reservation(0.001, 1, 2.0) == 1
    assert reservation(0.25, 0, 2.0) == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.integers(0, 10**12))
def test_a_reservation_is_never_below_the_expected_charge(p_click, price):
    held = reservation(p_click, price, KAPPA)
    exact = Fraction(p_click) * 2 * price
    assert math.floor(exact * (1 - Fraction(1, 2**50))) <= held <= math.ceil(exact * (1 + Fraction(1, 2**50)))


def test_what_is_free_is_the_smaller_room_under_the_two_caps():
    assert free_micros(1000, 300, 500, 100, 50, 20) == 180
    assert free_micros(1000, 300, 900, 100, 50, 20) == 50


def test_what_is_free_is_negative_when_reserves_exceed_the_room():
    assert free_micros(1000, 300, 900, 100, 150, 20) == -50


@pytest.mark.parametrize(
    ("price", "posted", "posted_day", "billed"),
    [
        (200, 0, 0, 200),
        (200, 500, 100, 200),
        (200, 900, 100, 100),
        (200, 500, 250, 50),
        (200, 1000, 0, 0),
        (200, 0, 300, 0),
        (0, 0, 0, 0),
    ],
    ids=["whole", "exactly the room", "last of the total", "last of the day", "total spent", "day spent", "free click"],
)
def test_a_click_is_billed_up_to_the_room_under_both_caps(price, posted, posted_day, billed):
    assert postable(price, 1000, 300, posted, posted_day) == billed


def test_a_cap_lowered_below_what_is_posted_bills_nothing_and_takes_nothing_back():
    assert postable(200, 400, NO_CAP, 500, 0) == 0


def billed(clicks, total_cap):
    posted = 0
    for price in clicks:
        posted += postable(price, total_cap, NO_CAP, posted, posted)
    return posted


@settings(max_examples=200, deadline=None, derandomize=True)
@given(prices, st.integers(0, 20_000_000), st.randoms(use_true_random=False))
def test_in_any_order_of_arrival_the_posted_total_is_the_smaller_of_cap_and_prices(clicks, total_cap, random):
    wanted = min(total_cap, sum(clicks))
    assert billed(clicks, total_cap) == wanted
    random.shuffle(clicks)
    assert billed(clicks, total_cap) == wanted


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 3)), max_size=40),
    st.integers(0, 20_000_000),
    st.integers(0, 4_000_000),
)
def test_neither_cap_is_ever_passed_and_a_click_with_room_is_billed_whole(clicks, total_cap, day_cap):
    posted, by_day = 0, [0] * 4
    for price, day in clicks:
        room = min(total_cap - posted, day_cap - by_day[day])
        charge = postable(price, total_cap, day_cap, posted, by_day[day])
        assert charge == min(price, room)
        posted, by_day[day] = posted + charge, by_day[day] + charge
        assert posted == sum(by_day) <= total_cap
        assert max(by_day) <= day_cap


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(1, 1_000_000), st.floats(0.01, 1), st.booleans()), max_size=60),
    st.integers(0, 5_000_000),
)
def test_money_is_conserved_while_impressions_wait_for_their_click(impressions, total_cap):
    """Serve while something is free; each impression then clicks or expires; posted + unbilled = prices clicked."""
    reserved = posted = unbilled = clicked = 0
    for price, p_click, clicks in impressions:
        if free_micros(total_cap, NO_CAP, posted, posted, reserved, reserved) <= 0:
            break
        held = reservation(p_click, price, KAPPA)
        reserved += held
        if clicks:
            charge = postable(price, total_cap, NO_CAP, posted, posted)
            posted, unbilled, clicked = posted + charge, unbilled + price - charge, clicked + price
            reserved -= held
    assert posted + unbilled == clicked
    assert posted == min(total_cap, clicked)
    assert reserved >= 0
