"""Recommendations against applications, with figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import UserError
from organic.evaluate import evaluate_recommendations, scores_by_seeker

RANKED = np.array([[7, 3, 5, 1], [2, 4, 6, -1], [9, 8, -1, -1], [1, 2, 3, 4]])
RELEVANT = [{3, 1}, {99}, set(), {1, 2, 3, 50}]


def test_scores_of_three_seekers_by_hand():
    scores = scores_by_seeker(RANKED, RELEVANT, cutoffs=(2, 4))
    np.testing.assert_allclose(scores["mrr"], [1 / 2, 0, 1])
    np.testing.assert_allclose(scores["recall@2"], [1 / 2, 0, 2 / 4])
    np.testing.assert_allclose(scores["recall@4"], [2 / 2, 0, 3 / 4])


def test_means_are_over_seekers_who_applied_with_an_interval():
    report = evaluate_recommendations(RANKED, RELEVANT, (2,), rng=np.random.default_rng(1))
    assert report["n"] == 3
    assert report["mrr"]["mean"] == pytest.approx(0.5)
    low, high = report["mrr"]["ci95"]
    assert 0 <= low < 0.5 < high <= 1


def test_the_same_seed_gives_the_same_report():
    reports = [evaluate_recommendations(RANKED, RELEVANT, (2,), rng=np.random.default_rng(5)) for _ in range(2)]
    assert reports[0] == reports[1]


def test_padding_is_never_a_hit():
    assert scores_by_seeker(np.array([[-1, -1]]), [[-1]], (1,))["mrr"].tolist() == [0]


def test_nobody_applied():
    report = evaluate_recommendations(RANKED, [[]] * 4, (1,), rng=np.random.default_rng(0))
    assert report == {"mrr": {"mean": None, "ci95": None}, "recall@1": {"mean": None, "ci95": None}, "n": 0}


def test_a_cutoff_beyond_the_lists_is_refused():
    with pytest.raises(UserError, match="recall@10 of lists of 4"):
        scores_by_seeker(RANKED, RELEVANT, (10,))


def test_a_seeker_without_a_list_is_refused():
    with pytest.raises(UserError, match="for 5 seekers"):
        scores_by_seeker(RANKED, [*RELEVANT, set()])
