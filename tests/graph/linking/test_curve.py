"""Curves of links: shares by hand, paths that link what they say, and comparisons at equal recall."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.linking.curve import (
    Curve,
    Pairs,
    at_recall,
    best_contained,
    compare,
    judge,
    positive,
    thresholds,
    without_implied,
)
from market.errors import ConfigError, DataError

# pairs: person a hired, a not, b hired, b hired, b not; links 0 and 1
FIRES = sp.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]], float))
PAIRS = Pairs(FIRES, np.array([True, False, True, True, False]), np.array(["a", "a", "b", "b", "b"]))
BOTH, FIRST, NONE = np.array([True, True]), np.array([True, False]), np.array([False, False])


def curve(recall: list[float], false: list[float], links: list[float], people: int = 1) -> Curve:
    """A curve of people that are all alike, 100 hires and 100 pairs without each."""
    return Curve(
        np.arange(len(recall), dtype=float),
        np.array(links, float),
        np.tile(100 * np.array(recall), (people, 1)),
        np.tile(100 * np.array(false), (people, 1)),
        np.full(people, 100.0),
        np.full(people, 100.0),
    )


def test_the_three_shares_are_those_counted_by_hand():
    found = judge([(0.5, BOTH), (1.0, FIRST), (2.0, NONE)], PAIRS)
    assert found.links.tolist() == [2, 1, 0]
    assert found.recall == pytest.approx([2 / 3, 1 / 3, 0])
    assert found.linked_among_no_hires == pytest.approx([1 / 2, 1 / 2, 0])
    assert found.linked_hires.tolist() == [[1, 1, 0], [1, 0, 0]]  # persons a and b
    assert (found.hires.tolist(), found.no_hires.tolist()) == ([1, 2], [1, 1])
    points = found.points(np.random.default_rng(0), 50)
    assert [point["setting"] for point in points] == [0.5, 1.0, 2.0]
    assert [point["no_hires_among_linked"]["mean"] for point in points] == [pytest.approx(1 / 3), 0.5, None]


def test_a_pair_with_two_firing_links_counts_once():
    pairs = Pairs(sp.csr_matrix([[1.0, 1.0], [0.0, 0.0]]), np.array([True, False]), np.arange(2))
    assert judge([(0, BOTH)], pairs).linked_hires.tolist() == [[1], [0]]


def test_an_interval_draws_persons_not_pairs():
    alike = Pairs(
        sp.csr_matrix(np.tile([[1.0], [0.0]], (50, 1))),
        np.ones(100, bool) & (np.arange(100) < 98),
        np.arange(100) // 50,
    )
    point = judge([(0, np.array([True]))], alike).points(np.random.default_rng(0), 200)[0]
    assert point["recall"]["ci95"][1] - point["recall"]["ci95"][0] < 0.03  # two persons, each with half linked


def test_thresholds_go_from_all_links_to_few_and_keep_the_best():
    quality = np.array([0.1, 0.9, 0.5, 0.7])
    kept = [found for _, found in thresholds(quality, 10)]
    assert kept[0].all()
    counts = [int(found.sum()) for found in kept]
    assert counts == sorted(counts, reverse=True)
    for threshold, found in thresholds(quality, 10):
        assert (found == (quality > threshold)).all()
    assert kept[-1].tolist() == [False, True, False, False]


def test_positive_weights_are_kept_and_the_setting_stays():
    [(setting, kept)] = positive([(0.3, np.array([-1.0, 0.0, 2.0]))])
    assert setting == 0.3
    assert kept.tolist() == [False, False, True]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_without_implied_links_the_same_pairs_are_linked_by_no_more_links(seed):
    rng = np.random.default_rng(seed)
    sets = np.unique(rng.random((12, 6)) < 0.35, axis=0)
    sets = sets[sets.any(1)]
    contains = sp.csr_matrix(np.array([[(row | other == row).all() for other in sets] for row in sets], float))
    quality = rng.integers(0, 5, len(sets)).astype(float)
    contained = best_contained(contains, quality)
    slow = [
        max([quality[j] for j in range(len(sets)) if j != i and contains[i, j]], default=-np.inf)
        for i in range(len(sets))
    ]
    assert contained.tolist() == slow
    have = rng.random((30, sets.shape[1])) < 0.6
    fires = np.array([[(row | pair == pair).all() for row in sets] for pair in have])
    full, lean = thresholds(quality, 8), without_implied(quality, contained, 8)
    for (threshold, kept), (same, fewer) in zip(full, lean, strict=True):
        assert threshold == same
        assert not (fewer & ~kept).any()
        assert (fires[:, kept].any(1) == fires[:, fewer].any(1)).all()


def test_between_settings_links_are_read_off_on_a_logarithmic_scale_and_never_beyond():
    found = at_recall(curve([0.2, 0.6], [0.1, 0.3], [10, 1000]), (0.1, 0.2, 0.4, 0.6, 0.7))
    assert found.links[[1, 2, 3]] == pytest.approx([10, 100, 1000])
    assert found.linked_among_no_hires[[1, 2, 3]] == pytest.approx([0.1, 0.2, 0.3])
    assert np.isnan(found.links[[0, 4]]).all()


def test_a_curve_beside_itself_has_as_many_links_and_false_positives():
    same = curve([0.2, 0.5, 0.9], [0.05, 0.2, 0.7], [10, 50, 800], people=5)
    found = compare(same, same, (0.3, 0.6), np.random.default_rng(0), 50)
    assert found["times_fewer"]["mean"] == pytest.approx(1)
    assert found["more_false_positives"]["mean"] == pytest.approx(0)
    assert found["more_false_positives"]["ci95"] == pytest.approx([0, 0])


def test_the_comparison_is_the_one_made_by_hand():
    lean = curve([0.2, 0.8], [0.22, 0.44], [5, 5])
    rich = curve([0.2, 0.8], [0.20, 0.40], [10, 1000])
    found = compare(lean, rich, (0.2, 0.5, 0.8, 0.9), np.random.default_rng(0), 10)
    assert [row["times_fewer"]["mean"] for row in found["levels"]] == pytest.approx([2, 20, 200])
    assert [row["more_false_positives"]["mean"] for row in found["levels"]] == pytest.approx([0.1, 0.1, 0.1])
    assert found["times_fewer"]["mean"] == pytest.approx(20)  # geometric
    assert found["missed_levels"] == [0.9]
    # at recall .5: .33 / (.33 + .5) against .30 / (.30 + .5)
    assert found["levels"][1]["more_among_linked"]["mean"] == pytest.approx(0.33 / 0.83 / (0.3 / 0.8) - 1)
    assert found["times_fewer"]["ci95"] is None  # one person says nothing about spread


def test_curves_that_share_no_recall_level_are_not_compared():
    found = compare(
        curve([0.1, 0.2], [0, 0.1], [1, 2]), curve([0.7, 0.8], [0.1, 0.2], [3, 4]), (0.5,), np.random.default_rng(0)
    )
    assert found == {"levels": [], "missed_levels": [0.5]}


def test_what_can_not_be_judged_is_refused():
    with pytest.raises(DataError, match="align"):
        Pairs(FIRES, np.ones(2, bool), np.arange(2))
    with pytest.raises(DataError, match="only one of"):
        Pairs(FIRES, np.ones(5, bool), np.arange(5))
    with pytest.raises(ConfigError, match="no setting"):
        judge([], PAIRS)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        compare(curve([0.1], [0.1], [1]), curve([0.1], [0.1], [1]), (1.0,), np.random.default_rng(0))
    with pytest.raises(DataError, match="different people"):
        compare(curve([0.1], [0.1], [1]), curve([0.1], [0.1], [1], 2), (0.1,), np.random.default_rng(0))
