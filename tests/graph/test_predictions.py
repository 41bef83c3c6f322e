"""Predictions against the probabilities they are read from, row by row."""

import numpy as np
import pytest

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.network.gnn import ModelConfig
from graph.predictions import given_change, log_of_target, predict
from graph.train import TrainConfig, fit
from market.taxonomy import build_taxonomy

C = 6
TAXONOMY = build_taxonomy("six", [(str(c), f"Occupation {c}", f"section {c // 2}", "major") for c in range(C)])
QUICK = TrainConfig(epochs=2, batch=64, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))


def lives(n=60, codes=C, seed=0):
    """Histories of none to four occupations and an outcome; occupations from C on are unknown to a model of C."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 5, n)
    stop = np.cumsum(lengths)
    start = stop - lengths
    return Examples(
        person=np.arange(n, dtype=np.int32) // 2,
        start=start,
        stop=stop,
        item_occupation=rng.integers(0, codes, stop[-1]).astype(np.int32),
        item_year=np.concatenate([1990 + np.arange(length) for length in lengths]).astype(np.float32),
        year=(1990 + lengths).astype(np.float32),
        education_years=np.full(n, np.nan, np.float32),
        target=rng.integers(-1, codes, n).astype(np.int32),
    )


@pytest.fixture(scope="module")
def model():
    return fit(lives(200, seed=1), TAXONOMY, QUICK)


def test_every_column_is_what_the_probabilities_say(model):
    examples = lives(codes=C + 2)
    made = predict(model, examples)
    known = examples.take(examples.target >= 0)
    assert len(made) == len(known) < len(examples)
    chances, change = Affinity(model).probabilities(known), Affinity(model).change_probabilities(known)
    for i in range(len(known)):
        target, current = int(known.target[i]), int(known.current[i])
        assert made.confidence[i] == chances[i].max()
        assert made.hit[i] == (chances[i].argmax() == target)
        assert made.change_confidence[i] == pytest.approx(change[i].max(), rel=1e-5)
        assert made.stay[i] == (chances[i, current] if 0 <= current < C else 0)
        if target >= C:
            assert np.isinf(made.all_rank[i])
            assert made.change_log[i] == -np.inf
        elif target != current:
            assert made.change_rank[i] == 1 + (change[i] > change[i, target]).sum()
            assert made.change_log[i] == pytest.approx(np.log(change[i, target]), abs=1e-5)


def test_pairs_are_the_cells_of_the_table_from_one_in_a_hundred(model, monkeypatch):
    monkeypatch.setattr("graph.predictions.BLOCK", 7)
    examples = lives().take(lives().target >= 0)
    made, chances = predict(model, examples), Affinity(model).probabilities(examples)
    expected = [(i, chances[i, o], o == examples.target[i]) for i, o in np.argwhere(chances >= 0.01)]
    assert made.pairs.instance.tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(made.pairs.predicted, [row[1] for row in expected], rtol=1e-5)
    assert made.pairs.happened.tolist() == [row[2] for row in expected]
    assert examples.changed[made.change_pairs.instance].all()


def test_pairs_of_some_instances_keep_their_numbers(model):
    made = predict(model, lives())
    rows = np.arange(len(made)) % 3 == 0
    assert set(made.pairs.of(rows).instance.tolist()) == set(np.flatnonzero(rows).tolist())


def test_probabilities_given_a_change_leave_the_current_occupation_out():
    chances = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32)
    expected = [[0, 0.6, 0.4], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]
    np.testing.assert_allclose(given_change(chances, np.array([0, -1, 7])), expected, rtol=1e-6)


def test_an_outcome_that_is_no_column_has_a_log_chance_of_minus_infinity(model):
    examples = lives().take(lives().target >= 0).take(slice(0, 2))
    chances = np.zeros((2, int(examples.target.max())))
    assert log_of_target(chances, examples).tolist() == [-np.inf, -np.inf]
