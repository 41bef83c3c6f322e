"""Recall as published, on worlds that can be counted by hand; the index against brute force."""

import numpy as np
import pytest

from market.errors import ConfigError
from organic.learning.engagement import DAY_US, read_engagement
from organic.learning.recall import in_batch_ranks, recall_at, retrieve, taken
from tests.organic.learning.small_logs import JOBS, POSITIONS, job, logs

EYE = np.eye(4, dtype=np.float32)
EACH = (np.arange(4), np.arange(4))


def test_a_perfect_model_ranks_every_own_job_first():
    assert in_batch_ranks(EYE, EYE, EACH, 4, 0).tolist() == [1, 1, 1, 1]


def test_a_model_that_knows_nothing_ties_everywhere():
    assert in_batch_ranks(np.zeros((4, 4)), EYE, EACH, 4, 0).tolist() == [2.5] * 4


def test_the_candidates_are_the_jobs_of_the_batch_alone():
    ranks = in_batch_ranks(-EYE, EYE, EACH, 2, 0)  # the own job is the worst of the two
    assert ranks.tolist() == [2, 2, 2, 2]


def test_pairs_beyond_the_last_full_batch_are_not_ranked():
    assert np.isinf(in_batch_ranks(EYE, EYE, EACH, 3, 0)).sum() == 1


def test_a_batch_of_one_is_refused():
    with pytest.raises(ConfigError, match="batch is 1"):
        in_batch_ranks(EYE, EYE, EACH, 1, 0)


def test_recall_counts_what_was_found_of_what_was_taken():
    rows = np.array([[3, 1], [2, -1], [0, 1]])
    relevant = [np.array([1, 2]), np.array([2]), np.zeros(0, np.int64)]
    assert recall_at(rows, relevant, 2)[:2].tolist() == [0.5, 1]
    assert recall_at(rows, relevant, 1)[:2].tolist() == [0, 1]
    assert np.isnan(recall_at(rows, relevant, 1)[2])


def test_a_cutoff_beyond_the_lists_is_refused():
    with pytest.raises(ConfigError, match="recall@3 of lists of 2"):
        recall_at(np.zeros((1, 2), np.int64), [np.array([0])], 3)


def test_taken_jobs_are_those_of_the_pairs():
    engagement = read_engagement(logs())
    names = [[engagement.inventory.jobs[item].job_id for item in items] for items in taken(engagement, True)]
    assert names == [["n1"], [], ["w2"], [], ["w1"], []]
    assert [len(items) for items in taken(engagement, False)] == [1] * 6


def test_the_index_answers_as_brute_force_under_area_remote_and_open():
    coming = job("new", "Nurse", "1", posted=3.5, expires=8.5)
    engagement = read_engagement(
        logs(jobs=[*JOBS, coming], positions=[*POSITIONS, ("dan", "1", "Nurses", "hamburg", -9, -8)])
    )
    inventory, rng = engagement.inventory, np.random.default_rng(0)
    vectors, asked = (rng.integers(-2, 3, (n, 5)).astype(np.float32) for n in (len(inventory), len(engagement)))
    rows, scores = retrieve(engagement, asked, vectors, 4)
    for number, request in enumerate(engagement.requests):
        day = engagement.moment[number] // DAY_US * DAY_US
        allowed = [
            row
            for row, offered in enumerate(inventory.jobs)
            if inventory.posted[row] < day + DAY_US
            and inventory.expires[row] > day
            and (offered.remote or offered.geo == request.seeker.geo)
        ]
        best = sorted((-float(vectors[row] @ asked[number]), row) for row in allowed)[:4]
        found = rows[number] >= 0
        assert [(-score, row) for score, row in zip(scores[number][found], rows[number][found], strict=True)] == best
        assert found.sum() == min(4, len(allowed))
