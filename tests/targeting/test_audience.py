"""Who may see a campaign, against the definition in plain Python. Three seekers, four campaigns."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError
from targeting.audience import Liquidity, campaign_thresholds, eligible_pairs

INF = np.inf
SCORES = [
    {0: 5.0, 1: 4.0, 2: 3.0, 3: 2.0},
    {0: 9.0, 1: 8.0, 2: 1.0, 3: 0.5},
    {0: 7.0, 1: 6.0},
]


def csr(rows):
    """(start, campaign, score) of one {campaign: score} per seeker."""
    start = np.cumsum([0, *(len(row) for row in rows)])
    campaign = np.array([c for row in rows for c in row], np.int64)
    return start, campaign, np.array([s for row in rows for s in row.values()], np.float32)


def shown(rows, theta, phi, campaigns=4, pool=None):
    """The campaigns every seeker may see."""
    start, campaign, score = csr(rows)
    threshold = campaign_thresholds(*csr(rows if pool is None else pool), campaigns, phi)
    chosen = eligible_pairs(start, campaign, score, Liquidity(theta, phi), threshold)
    return [sorted(campaign[a:b][chosen[a:b]].tolist()) for a, b in pairwise(start)]


def test_theta_is_a_share_of_the_campaigns_in_reach_of_a_seeker():
    assert shown(SCORES, theta=0.5, phi=0) == [[0, 1], [0, 1], [0]]


def test_a_seeker_may_see_at_least_one_campaign():
    assert shown(SCORES, theta=0.01, phi=0) == [[0], [0], [0]]


def test_theta_of_one_keeps_all():
    assert shown(SCORES, theta=1.0, phi=0) == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1]]


def test_the_floor_gives_every_campaign_its_best_seekers():
    # campaigns 2 and 3 are nobody's best; seeker 0 is the best for both
    assert shown(SCORES, theta=0.25, phi=1) == [[0, 2, 3], [0, 1], [0]]


def test_a_campaign_with_fewer_seekers_than_the_floor_keeps_all_of_them():
    assert shown(SCORES, theta=0.25, phi=2) == [[0, 2, 3], [0, 1, 2, 3], [0, 1]]


def test_a_campaign_nobody_of_the_pool_can_see_is_not_starved_outside_it():
    assert shown([{0: 3.0, 1: 2.0}], theta=0.5, phi=5, pool=[{0: 9.0}]) == [[0, 1]]


def test_thresholds_come_from_the_pool_and_are_reached_by_an_equal_score():
    pool = [{0: 9.0, 1: 2.0}, {0: 8.0, 1: 1.0}]
    assert campaign_thresholds(*csr(pool), 3, 2).tolist() == [8.0, 1.0, -INF]
    assert shown([{0: 8.0, 1: 9.0}, {0: 7.9, 1: 9.0}], theta=0.5, phi=2, pool=pool) == [[0, 1], [1]]


def test_without_a_floor_no_score_reaches_the_threshold():
    assert campaign_thresholds(*csr(SCORES), 4, 0).tolist() == [INF] * 4


def test_ties_inside_a_seeker_go_to_the_smaller_campaign_wherever_its_pair_lies():
    assert shown([{3: 1.0, 1: 1.0, 2: 1.0, 0: 0.0}], theta=0.5, phi=0) == [[1, 2]]


def test_ties_at_the_floor_all_pass():
    assert shown([{0: 2.0, 1: 1.0}, {0: 2.0, 1: 1.0}], theta=0.5, phi=1) == [[0, 1], [0, 1]]


def test_what_was_not_retrieved_is_never_eligible():
    rows = [{0: -INF, 1: 1.0}, {0: -INF, 1: -INF}]
    assert shown(rows, theta=1.0, phi=0) == [[1], []]
    assert shown(rows, theta=1.0, phi=5) == [[1], []]


def test_seekers_without_campaigns_and_a_market_without_pairs_are_fine():
    assert shown([{}, {2: 1.0}, {}], theta=0.5, phi=1) == [[], [2], []]
    assert shown([], theta=0.5, phi=1) == []


@pytest.mark.parametrize(("in_reach", "seats"), [(0, 0), (1, 1), (4, 1), (10, 2), (1000, 200)])
def test_seats_are_a_rounded_share_and_one_where_anything_is_in_reach(in_reach, seats):
    assert Liquidity(theta=0.2).seats(in_reach) == seats


@pytest.mark.parametrize("setting", [{"theta": 0.0}, {"theta": 1.01}, {"theta": float("nan")}, {"phi": -1}])
def test_impossible_liquidity_is_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        Liquidity(**setting)


def by_definition(rows, theta, phi, campaigns):
    everyone = [sorted((row[c] for row in rows if c in row), reverse=True) for c in range(campaigns)]
    answer = []
    for row in rows:
        seats = max(1, round(theta * len(row)))
        own = sorted(row, key=lambda c: (-row[c], c))[:seats]
        floor = [c for c in row if phi and (len(everyone[c]) < phi or row[c] >= everyone[c][phi - 1])]
        answer.append(sorted(c for c in {*own, *floor} if row[c] > -INF))
    return answer


markets = st.lists(
    st.dictionaries(st.integers(0, 5), st.sampled_from([-INF, -1.0, 0.0, 0.5, 1.0, 2.5]), max_size=6), max_size=8
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(markets, st.floats(0.01, 1.0), st.integers(0, 6))
def test_any_market_gives_what_the_definition_says(rows, theta, phi):
    assert shown(rows, theta, phi, campaigns=6) == by_definition(rows, theta, phi, 6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(markets, st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.integers(0, 6), st.integers(1, 6))
def test_a_larger_theta_or_phi_never_takes_a_campaign_away(rows, one, other, phi, more):
    small, large = sorted((one, other))
    fewer, wider = shown(rows, small, phi, campaigns=6), shown(rows, large, phi + more, campaigns=6)
    assert all(set(a) <= set(b) for a, b in zip(fewer, wider, strict=True))
