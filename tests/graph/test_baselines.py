"""The three baselines on counts that fit on a sheet of paper."""

import numpy as np
import pytest

from graph.baselines import Counts, markov, popularity, recent_history
from graph.bipartite import Examples

# 0 -> 1 three times, 1 -> 2 once, 2 stays twice.
TRANSITIONS = np.array([[0.0, 3, 0], [0, 0, 1], [0, 0, 2]])
CHANGES = Counts(TRANSITIONS, TRANSITIONS.sum(axis=0), stays=False)
ALL = Counts(TRANSITIONS, TRANSITIONS.sum(axis=0), stays=True)


def seeker(*history):
    """One instance with this history, oldest first."""
    return Examples(
        person=np.zeros(1, np.int32),
        start=np.zeros(1, np.int64),
        stop=np.array([len(history)]),
        item_occupation=np.array(history, np.int32),
        item_year=np.arange(len(history), dtype=np.float32),
        year=np.array([100], np.float32),
        education_years=np.array([np.nan], np.float32),
        target=np.array([-1], np.int32),
    )


def test_popularity_counts_changes_or_all_outcomes():
    assert popularity(CHANGES, seeker(0)).tolist() == [[0, 3 / 4, 1 / 4]]
    assert popularity(ALL, seeker(0)).tolist() == [[0, 3 / 6, 3 / 6]]


def test_outcomes_of_seekers_without_a_history_count_for_popularity():
    counts = Counts(TRANSITIONS, TRANSITIONS.sum(axis=0) + np.array([4, 0, 0]), stays=False)
    assert counts.popularity.tolist() == [1 / 2, 3 / 8, 1 / 8]


def test_markov_shrinks_the_row_of_the_current_occupation_to_popularity():
    assert markov(CHANGES, seeker(1, 0))[0] == pytest.approx([0, (3 + 5 * 0.75) / 8, (0 + 5 * 0.25) / 8])
    assert markov(CHANGES, seeker(2))[0] == pytest.approx([0, 0.75, 0.25]), "no change was seen from 2"


def test_markov_with_stays_counts_the_diagonal():
    assert markov(ALL, seeker(2))[0] == pytest.approx([0, 2.5 / 7, (2 + 2.5) / 7])


def test_recent_history_mixes_the_last_four_rows_with_the_own_past():
    m = CHANGES.markov
    recent = m[0] + 0.5 * m[1] + 0.25 * m[1] + 0.125 * m[2]
    past = np.array([0.8**4, 0.8**1 + 0.8**2, 0.8**3])
    wanted = 0.85 * recent / recent.sum() + 0.15 * past / past.sum()
    assert recent_history(CHANGES, seeker(0, 2, 1, 1, 0))[0] == pytest.approx(wanted)


def test_without_a_past_recent_history_orders_like_markov():
    assert recent_history(CHANGES, seeker(0))[0] == pytest.approx(0.85 * CHANGES.markov[0])


@pytest.mark.parametrize("history", [(), (7,)])
def test_without_a_known_occupation_both_fall_back_to_popularity(history):
    assert markov(CHANGES, seeker(*history))[0] == pytest.approx(CHANGES.popularity)
    assert recent_history(CHANGES, seeker(*history))[0] == pytest.approx(0.85 * CHANGES.popularity)


def test_unknown_items_are_passed_over():
    with_unknown = recent_history(CHANGES, seeker(0, 7))[0]
    recent, past = 0.5 * CHANGES.markov[0], np.array([1.0, 0, 0])
    assert with_unknown == pytest.approx(0.85 * recent / recent.sum() + 0.15 * past)
