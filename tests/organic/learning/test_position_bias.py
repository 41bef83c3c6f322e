"""Attention is told from relevance by the randomised part of the logs."""

import numpy as np
import pytest

from market.errors import ConfigError
from organic.learning.position_bias import Examination, PositionBiasConfig, examination_of
from tests.organic.learning.small_logs import logs


def served(rng, requests=40_000, attention=(1.0, 0.5, 0.25), good_first=0.8):
    """Lists of a good (clicked at .5 when seen) and two poor jobs (.1); the good one comes first with `good_first`."""
    good = np.where(rng.random(requests) < good_first, 0, rng.integers(1, 3, requests))
    chance = np.where(good == 0, good_first, (1 - good_first) / 2)
    position = np.tile(np.arange(3), (requests, 1))
    relevance = np.where(position == good[:, None], 0.5, 0.1)
    clicked = rng.random((requests, 3)) < relevance * np.array(attention)
    return position, np.repeat(chance[:, None], 3, 1), clicked


def tables(position, propensity, clicked):
    import pyarrow as pa

    n, ranks = position.shape
    rows = {
        "event_id": [f"i{i}" for i in range(n * ranks)],
        "seeker_id": ["ann"] * (n * ranks),
        "job_id": np.tile([f"j{r}" for r in range(ranks)], n),
        "request_id": np.repeat([f"r{i}" for i in range(n)], ranks),
        "occurred_at": pa.array([0] * (n * ranks), pa.timestamp("us", tz="UTC")),
        "position": position.ravel() + 1,
        "propensity": propensity.ravel(),
    }
    shown = pa.table(rows)
    base = logs()
    return type(base)(
        {**base.tables, "impressions": shown, "clicks": shown.filter(pa.array(clicked.ravel()))}, base.taxonomy
    )


def test_attention_is_recovered_although_the_best_job_usually_stood_first():
    found = examination_of(tables(*served(np.random.default_rng(0)))).probability
    assert found == pytest.approx([1, 0.5, 0.25], abs=0.03)


def test_without_propensities_every_click_counts_one():
    nothing = examination_of(logs())
    assert len(nothing.probability) == 0
    assert nothing.weights(np.array([1.0, 7.0, np.nan])).tolist() == [1, 1, 1]


def test_few_clicks_estimate_nothing():
    few = tables(*served(np.random.default_rng(0), requests=50))
    assert len(examination_of(few).probability) == 0


def test_nothing_after_the_cut_is_looked_at():
    assert len(examination_of(tables(*served(np.random.default_rng(0))), until=-1).probability) == 0


def test_weights_are_inverse_clipped_and_one_outside_of_lists():
    examination = Examination(np.array([1.0, 0.5, 0.01]), 10.0)
    assert examination.weights(np.array([1.0, 2.0, 3.0, 99.0, np.nan])).tolist() == [1, 2, 10, 10, 1]


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        PositionBiasConfig(largest_weight=0.5)
