"""The report of towers: sums that can be checked, slices, and a run that carries the same lists."""

import numpy as np
import pytest

from market.errors import DataError
from organic.evaluate import evaluate_towers, slices_of
from organic.learning.engagement import read_engagement
from tests.organic.learning.small_logs import logs

ENGAGEMENT = read_engagement(logs())


class Clairvoyant:
    """Gives each job an axis and each request the axes of what it took."""

    dimension = len(ENGAGEMENT.inventory)

    def job_vectors(self, jobs):
        return np.eye(len(jobs), dtype=np.float32)

    def request_vectors(self, requests):
        out = np.zeros((len(requests), self.dimension), np.float32)
        out[ENGAGEMENT.request, ENGAGEMENT.item] = 1
        return out


COLD = np.array([True, False, False, False, False, False])


def test_who_foresees_everything_finds_everything_that_is_in_reach():
    report = evaluate_towers(Clairvoyant(), ENGAGEMENT, COLD, (1, 2)).numbers
    assert (report["requests"], report["seekers"]) == (6, 4)
    assert report["applications"]["recall@1"]["mean"] == 1
    assert report["applications"]["n"] == 3
    assert report["engagements"]["n"] == 6
    # three of six pairs in the batch share a job, so their own job ties with its copies: rank 2
    assert report["in_batch"]["in-batch-6@1"]["mean"] == 0.5


def test_slices_hold_the_requests_they_name():
    slices = slices_of(ENGAGEMENT, COLD)
    assert slices["cold"].tolist() == COLD.tolist()
    assert np.flatnonzero(slices["activity 1 to 3"]).tolist() == [5]
    assert np.flatnonzero(slices["Professional"]).tolist() == [0]
    assert np.flatnonzero(slices["Service"]).tolist() == [2, 4]
    assert "activity 4 or more" not in slices


def test_the_run_holds_the_lists_by_seeker_and_day():
    run = evaluate_towers(Clairvoyant(), ENGAGEMENT, COLD, (1, 2)).run
    assert list(run)[:2] == ["ann@2026-03-02", "ben@2026-03-03"]
    assert max(run["ann@2026-03-02"], key=run["ann@2026-03-02"].get) == "n1"


def test_nobody_to_judge_is_refused():
    with pytest.raises(DataError, match="no request to judge"):
        evaluate_towers(Clairvoyant(), ENGAGEMENT.within(0, 0), COLD[:0])
