"""The auction against prices worked out by hand and against the definition in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targeting.auction import FIRST_PRICE, PRICING, SECOND_PRICE, run_auction


def sell(bids, chances, reserves=None, slots=1, pricing=SECOND_PRICE):
    """[(winner, price)] of the slots sold, best slot first."""
    winner, price = np.full(slots + 1, -1), np.full(slots + 1, -1)
    reserve = np.zeros(len(bids), np.int64) if reserves is None else np.array(reserves, np.int64)
    sold = run_auction(np.array(bids, np.int64), np.array(chances, np.float64), reserve, slots, pricing, winner, price)
    return list(zip(winner[:sold].tolist(), price[:sold].tolist(), strict=True))


def test_one_slot_is_the_second_price_auction():
    assert sell([300, 500, 400], [0.5, 0.5, 0.5]) == [(1, 400)]


def test_a_likelier_click_wins_over_a_higher_bid_and_pays_less():
    # scores 20 and 15: candidate 1 would still have won with a bid of 15 / 0.1 = 150
    assert sell([300, 200], [0.05, 0.1]) == [(1, 150)]


def test_every_slot_is_priced_by_the_candidate_below_it():
    # scores 40, 30, 20, 10
    bids, chances = [100, 400, 300, 200], [0.1] * 4
    assert sell(bids, chances, slots=3) == [(1, 300), (2, 200), (3, 100)]
    assert sell(bids, chances, slots=4) == [(1, 300), (2, 200), (3, 100), (0, 0)]


def test_the_price_is_rounded_up_to_a_micro():
    # 100 * 0.2 / 0.3 = 66.67
    assert sell([100, 100], [0.3, 0.2]) == [(0, 67)]


def test_equal_chances_make_the_price_the_next_bid_to_the_micro():
    for tenth in range(1, 10):
        assert sell([10, 3], [tenth / 10] * 2) == [(0, 3)]


def test_a_bid_equal_to_the_reserve_sells_at_the_reserve_and_one_below_does_not():
    assert sell([100], [0.5], reserves=[100]) == [(0, 100)]
    assert sell([99], [0.5], reserves=[100]) == []


def test_the_reserve_is_the_price_where_the_next_one_is_cheaper():
    assert sell([500, 100], [0.5, 0.5], reserves=[250, 0]) == [(0, 250)]


def test_a_candidate_below_its_reserve_does_not_raise_the_price_of_others():
    assert sell([500, 400], [0.5, 0.5], reserves=[0, 450]) == [(0, 0)]


def test_a_candidate_whose_chance_is_not_a_number_takes_no_part():
    assert sell([500, 400, 300], [float("nan"), 0.5, 0.5], slots=3) == [(1, 300), (2, 0)]


def test_ties_go_to_the_earlier_candidate_at_the_full_bid():
    assert sell([200, 100, 200], [0.1, 0.2, 0.1], slots=2) == [(0, 200), (1, 100)]


def test_fewer_bidders_than_slots_leave_slots_unsold():
    assert sell([200, 100], [0.5, 0.5], slots=5) == [(0, 100), (1, 0)]
    assert sell([], [], slots=3) == []


@pytest.mark.parametrize(("bid", "chance"), [(0, 0.5), (-5, 0.5), (100, 0.0)])
def test_a_bid_or_a_chance_of_nothing_takes_no_part(bid, chance):
    assert sell([bid, 40], [chance, 0.5], slots=2) == [(1, 0)]


def test_without_slots_nothing_is_sold():
    assert sell([100, 200], [0.5, 0.5], slots=0) == []


def test_first_price_pays_the_own_bid():
    assert sell([300, 500, 400], [0.5] * 3, slots=2, pricing=FIRST_PRICE) == [(1, 500), (2, 400)]
    assert PRICING == {"second": SECOND_PRICE, "first": FIRST_PRICE}


def by_definition(bids, chances, reserves, slots):
    """Rank by score, then try every bid from the reserve up until it reaches the score below."""
    takes_part = [i for i in range(len(bids)) if bids[i] >= reserves[i] and bids[i] > 0 and chances[i] > 0]
    ranked = sorted(takes_part, key=lambda i: (-bids[i] * chances[i], i))
    sold = []
    for place, i in enumerate(ranked[:slots]):
        below = bids[ranked[place + 1]] * chances[ranked[place + 1]] if place + 1 < len(ranked) else 0.0
        least = next((price for price in range(reserves[i], bids[i]) if price * chances[i] >= below), bids[i])
        sold.append((i, least))
    return sold


candidates = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.7, 1.0]) | st.floats(1e-3, 1.0),
        st.integers(0, 30),
    ),
    max_size=9,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(candidates, st.integers(0, 5))
def test_any_auction_is_the_one_of_the_definition(rows, slots):
    bids, chances, reserves = ([row[column] for row in rows] for column in range(3))
    assert sell(bids, chances, reserves, slots) == by_definition(bids, chances, reserves, slots)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.floats(1e-6, 1.0), st.integers(0, 10**12)), min_size=1, max_size=30),
    st.integers(1, 6),
)
def test_nobody_pays_above_the_bid_or_below_the_reserve_and_slots_go_by_score(rows, slots):
    bids, chances, reserves = ([row[column] for row in rows] for column in range(3))
    sold = sell(bids, chances, reserves, slots)
    assert len({i for i, _ in sold}) == len(sold) <= slots
    for i, price in sold:
        assert reserves[i] <= price <= bids[i]
    scores = [bids[i] * chances[i] for i, _ in sold]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(candidates.filter(len), st.integers(1, 60), st.integers(0, 8))
def test_with_one_slot_the_winner_cannot_gain_by_bidding_otherwise(rows, other, who):
    bids, chances, reserves = ([row[column] for row in rows] for column in range(3))
    who %= len(rows)
    value = bids[who]

    def gain(bid):
        sold = sell([*bids[:who], bid, *bids[who + 1 :]], chances, reserves)
        return sum((value - price) * chances[who] for winner, price in sold if winner == who)

    assert gain(other) <= gain(value) + 1e-9
