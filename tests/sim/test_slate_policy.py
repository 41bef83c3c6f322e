"""Policies for promoted slots, as text and as auctions."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import ConfigError
from sim.slate_policy import Choices, SlatePolicy
from targeting.selling import RESERVE_MICROS


def choices(lot: tuple[bool, ...] = (True, True, True, True)) -> Choices:
    """By bid * P(click): 0 (.30), 1 (.20), 2 (.10); by P(click): 2, 1, 0; by value: 1 (.2), 2 (.1), 0 (.03)."""
    return Choices(
        np.array([1_000_000, 500_000, 200_000, RESERVE_MICROS - 1]),
        np.array([0.3, 0.4, 0.5, 0.9]),
        np.array([0.1, 0.5, 0.2, 1.0]),
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.array(lot),
        8,
    )


@pytest.mark.parametrize(("ranker", "order"), [("bid", [0, 1, 2]), ("clicks", [2, 1, 0]), ("value", [1, 2, 0])])
def test_each_ranker_has_its_own_order_and_none_shows_a_bid_below_the_reserve(ranker: str, order: list[int]) -> None:
    assert list(SlatePolicy.parse(ranker).lottery(choices(), 4).winners) == order


def test_lots_go_to_those_who_may_be_drawn_and_did_not_win() -> None:
    lottery = SlatePolicy("bid", exploration=0.2).lottery(choices((True, True, False, True)), 1)
    assert (list(lottery.winners), list(lottery.others)) == ([0], [1])


def test_theta_counts_seats_of_all_in_reach_and_keeps_the_best_by_retrieval() -> None:
    assert list(SlatePolicy("bid", theta=0.25).lottery(choices(), 3).winners) == [2]  # the best two, one below reserve
    with pytest.raises(ConfigError, match="wants 8 of 8 campaigns in reach, the log holds 4"):
        SlatePolicy("bid", theta=1.0).lottery(choices(), 3)


@pytest.mark.parametrize("text", ["bid", "value,exploration=0.1", "clicks,exploration=0.02,swap=0.01,theta=0.2"])
def test_a_policy_reads_back_from_its_name(text: str) -> None:
    assert str(SlatePolicy.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("best", "policy 'best' is unknown; begin with one of bid, value, clicks"),
        ("bid,exploration", "setting 'exploration'"),
        ("bid,exploration=x", "setting 'exploration=x'"),
        ("bid,swap=.1,swap=.2", "setting 'swap=.2'"),
        ("bid,ranker=1", "setting 'ranker=1'"),
        ("bid,exploration=1.5", "exploration of a policy is 1.5"),
        ("bid,theta=0", "theta of a policy is 0"),
    ],
)
def test_a_name_that_says_nothing_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        SlatePolicy.parse(text)
