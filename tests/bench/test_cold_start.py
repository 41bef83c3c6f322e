"""The slices of the cold-start table: what is hidden stays hidden, and every slice is answered."""

import hashlib

import numpy as np
import pytest

from bench.cold_start import by_schooling, hide, one_in, show, slices
from graph.bipartite import examples_from_careers
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig
from market.careers import Careers
from market.taxonomy import build_taxonomy

C, YEARS = 20, 5
TAXONOMY = build_taxonomy("twenty", [(str(c), f"Title {c}", f"section {c // 4}", "major") for c in range(C)])
QUICK = TrainConfig(epochs=1, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))


def some_careers(persons, seed):
    rng = np.random.default_rng(seed)
    return Careers(
        person_ids=tuple(map(str, range(persons))),
        person=np.repeat(np.arange(persons), YEARS).astype(np.int32),
        year=np.tile(np.arange(1990, 1990 + YEARS), persons).astype(np.int16),
        occupation=rng.integers(0, C, persons * YEARS).astype(np.int32),
        education_years=rng.integers(8, 18, persons * YEARS).astype(np.float32),
        taxonomy=TAXONOMY,
    )


class Hashed:
    """Unit vectors that only a text decides."""

    dimension = 4

    def encode(self, texts):
        numbers = [list(hashlib.sha256(text.encode()).digest()[:4]) for text in texts]
        found = np.array(numbers, np.float32).reshape(-1, 4) - 127
        return found / np.linalg.norm(found, axis=1, keepdims=True)


HIDDEN = np.isin(np.arange(C), [3, 7])


def test_training_never_meets_a_hidden_occupation_and_keeps_every_other_pair():
    split, examples = hide(TAXONOMY, HIDDEN), examples_from_careers(some_careers(60, 0))
    kept = split.untouched(examples)
    assert kept.item_occupation.max() < len(split.known) == C - 2
    assert kept.target.max() < C - 2
    touches = np.isin(examples.target, [3, 7]) | np.isin(examples.current, [3, 7])
    assert len(kept) == (~touches).sum()
    for i, row in enumerate(np.flatnonzero(~touches)):
        history = examples.item_occupation[examples.start[row] : examples.stop[row]]
        met = [TAXONOMY.codes[o] for o in history if not HIDDEN[o]]
        own = kept.item_occupation[kept.start[i] : kept.stop[i]]
        assert [split.known.codes[o] for o in own] == met
        assert split.known.codes[kept.target[i]] == TAXONOMY.codes[examples.target[row]]


def test_at_evaluation_a_hidden_occupation_stands_behind_the_known_ones():
    split, examples = hide(TAXONOMY, HIDDEN), examples_from_careers(some_careers(60, 0))
    met = split.renumber(examples)
    assert split.order[met.target].tolist() == examples.target.tolist()
    assert split.order[met.item_occupation].tolist() == examples.item_occupation.tolist()
    assert ((met.target >= C - 2) == np.isin(examples.target, [3, 7])).all()


def test_first_occupations_by_schooling_are_shares_shrunk_to_those_of_all():
    careers = some_careers(50, 1)
    first = examples_from_careers(careers).take(np.arange(0, 50 * (YEARS - 1), YEARS - 1))
    scores = by_schooling(first, first, C, prior=0.0)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    same = first.education_years == first.education_years[0]
    assert scores[0, first.target[0]] == pytest.approx((first.target[same] == first.target[0]).mean())


def test_every_slice_is_answered_and_shown():
    hidden = next(salt for salt in "abcdefgh" if 1 < sum(one_in(10, salt, f"title {c}") for c in range(C)) < 6)
    found = slices(some_careers(150, 2), some_careers(40, 3), Hashed(), QUICK, hidden=hidden)
    assert {"by title", "by section", "popularity floor"} <= set(found["into hidden occupations"])
    for methods in found.values():
        assert len({row["n"] for row in methods.values()}) == 1, "the methods of a slice answer the same instances"
        assert all(0 <= row["mrr"] <= 1 for row in methods.values())
    rows = show({"source": "here", **found})
    assert len(rows) == 1 + sum(map(len, found.values()))
    assert len({len(row) for row in rows}) == 1
