"""Any sequence of writes, deletes, saves and loads leaves an index and brute force with the same answers.

Short histories come from hypothesis, which shrinks what fails; one long history comes from a seed, so that slots are
reused, tails merged and rows compacted many times over.
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gpu_index import Clause, Index
from gpu_index.shards import ShardedIndex
from tests.contracts.brute_force import BruteForce

SPACES = {"wide": 3, "line": 1}
SMALL, ALL = 16, 200  # ids that are drawn one by one, and ids that come and go in floods
TERMS = ["geo=1", "geo=2", "geo=3", "remote=yes", "title=a", "title=b", "live=1"]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.0 + 1e-7, 1.0 - 6e-8, 1e-30, 3e8, -3e8, 5e17]

ids = st.lists(st.integers(0, SMALL - 1), max_size=8, unique=True)
numbers = st.sampled_from(NUMBERS)
bags = st.lists(st.sampled_from(TERMS), max_size=5)
groups = st.lists(st.lists(st.sampled_from([*TERMS, "geo=unknown"]), max_size=3), max_size=2)
clauses = st.none() | st.builds(Clause, groups, st.lists(st.sampled_from(TERMS), max_size=2))
boosts = st.none() | st.dictionaries(st.sampled_from([*TERMS, "geo=unknown"]), numbers, max_size=3)
seeds = st.integers(0, 2**32 - 1)


def matrix(data, rows, dim):
    return np.array(data.draw(st.lists(numbers, min_size=rows * dim, max_size=rows * dim))).reshape(rows, dim)


def drawn_rows(rng, count):
    """Vectors and terms of so many rows, from a seed."""
    vectors = {space: rng.choice(NUMBERS, (count, dim)) for space, dim in SPACES.items()}
    return vectors, [rng.choice(TERMS, rng.integers(0, 6)).tolist() for _ in range(count)]


class IndexBesideItsTwin(RuleBasedStateMachine):
    build = Index

    def __init__(self):
        super().__init__()
        self.index = self.build(spaces=SPACES)
        self.twin = BruteForce(np.arange(ALL), SPACES, self.index.precision)

    def both(self):
        return self.index, self.twin

    @rule(ids=ids, spaces=st.sets(st.sampled_from(list(SPACES))), data=st.data())
    def upsert(self, ids, spaces, data):
        vectors = {space: matrix(data, len(ids), SPACES[space]) for space in sorted(spaces)}
        terms = data.draw(st.none() | st.lists(bags, min_size=len(ids), max_size=len(ids)))
        for each in self.both():
            each.upsert(ids, vectors=vectors, terms=terms)

    @rule(seed=seeds)
    def flood(self, seed):
        """Rows enough for several words of a bitmap, in no order."""
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(ALL)[: rng.integers(20, ALL)]
        vectors, terms = drawn_rows(rng, len(chosen))
        for each in self.both():
            each.upsert(chosen, vectors=vectors, terms=terms)

    @rule(seed=seeds)
    def drain(self, seed):
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(ALL)[: rng.integers(20, ALL)]
        assert self.index.delete(chosen) == self.twin.delete(chosen)

    @rule(ids=ids)
    def delete(self, ids):
        assert self.index.delete(ids) == self.twin.delete(ids)

    @rule(
        space=st.sampled_from(list(SPACES)), k=st.sampled_from([1, 2, 5, 70]), batch=st.integers(1, 4), data=st.data()
    )
    def search(self, space, k, batch, data):
        queries = matrix(data, batch, SPACES[space])
        where = data.draw(st.none() | st.lists(clauses, min_size=batch, max_size=batch))
        weights = data.draw(st.none() | st.lists(boosts, min_size=batch, max_size=batch))
        self.agree(queries, space, k, where, weights)

    @rule(seed=seeds, batch=st.sampled_from([9, 33]))
    def search_in_bulk(self, seed, batch):
        rng = np.random.default_rng(seed)
        where = [Clause([rng.choice(TERMS, 2).tolist()], rng.choice(TERMS, rng.integers(0, 2))) for _ in range(batch)]
        self.agree(rng.choice(NUMBERS, (batch, 3)), "wide", 10, where, None)

    def agree(self, queries, space, k, where, weights):
        mine, theirs = (each.search(queries, space, k, where, weights) for each in self.both())
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert mine.scores.tobytes() == theirs.scores.tobytes()

    @rule(clause=clauses)
    def count(self, clause):
        assert self.index.count(clause) == self.twin.count(clause)

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder) / "index")
            self.index = type(self.index).load(Path(folder) / "index")

    @invariant()
    def same_rows(self):
        assert len(self.index) == len(self.twin)
        for row_id in (*range(SMALL), ALL - 1):
            assert (row_id in self.index) == bool(self.twin.alive[row_id])
            if row_id in self.index:
                assert self.index.terms_of(row_id) == self.twin.terms_of(row_id)


class HalfPrecisionIndexBesideItsTwin(IndexBesideItsTwin):
    build = partial(Index, precision="bf16")


class ShardsBesideTheirTwin(IndexBesideItsTwin):
    build = partial(ShardedIndex, shards=3)


def quick(examples):
    return settings(
        max_examples=examples,
        stateful_step_count=25,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestIndexBesideItsTwin = IndexBesideItsTwin.TestCase
TestIndexBesideItsTwin.settings = quick(50)
TestHalfPrecisionIndexBesideItsTwin = HalfPrecisionIndexBesideItsTwin.TestCase
TestHalfPrecisionIndexBesideItsTwin.settings = quick(10)
TestShardsBesideTheirTwin = ShardsBesideTheirTwin.TestCase
TestShardsBesideTheirTwin.settings = quick(10)


@pytest.mark.slow
class TestTenThousandSteps(IndexBesideItsTwin.TestCase):
    settings = settings(quick(200), stateful_step_count=50)


def live_through(index, steps, seed):
    """One history: mostly small writes, now and then a flood, a drain or a save; two searches after each."""
    rng = np.random.default_rng(seed)
    rows = 1500
    twin = BruteForce(np.arange(rows), SPACES, index.precision)
    for step in range(steps):
        size = int(rng.choice([1, 3, 40, 700], p=[0.5, 0.3, 0.17, 0.03]))
        chosen = rng.permutation(rows)[:size]
        if rng.random() < 0.35:
            assert index.delete(chosen) == twin.delete(chosen)
        else:
            vectors, terms = drawn_rows(rng, size)
            terms = [[*bag, f"row={row}", f"step={step}"] for row, bag in zip(chosen.tolist(), terms, strict=True)]
            for each in (index, twin):
                each.upsert(chosen, vectors=vectors, terms=terms)
        batch = int(rng.choice([1, 2, 12, 20], p=[0.5, 0.3, 0.15, 0.05]))
        pool = [*TERMS, f"step={step}", f"step={step - 3}", f"row={chosen[0]}", f"row={rng.integers(rows)}"]
        for space, dim in SPACES.items():
            queries = rng.choice(NUMBERS, (batch, dim))
            where = [
                Clause([rng.choice(pool, 2).tolist() for _ in range(rng.integers(0, 3))], rng.choice(pool, 1).tolist())
                for _ in range(batch)
            ]
            weights = None if rng.random() < 0.5 else [{str(rng.choice(pool)): 0.5, "geo=1": -1.0}] * batch
            mine, theirs = (each.search(queries, space, 15, where, weights) for each in (index, twin))
            np.testing.assert_array_equal(mine.ids, theirs.ids, f"step {step}")
            assert mine.scores.tobytes() == theirs.scores.tobytes(), f"step {step}"
            assert index.count(where[0]) == twin.count(where[0]), f"step {step}"
        assert len(index) == len(twin), f"step {step}"
        if step % 1000 == 500:
            with tempfile.TemporaryDirectory() as folder:
                index.save(Path(folder) / "index")
                index = type(index).load(Path(folder) / "index")


@pytest.mark.parametrize("build", [Index, partial(ShardedIndex, shards=3)], ids=["one", "shards"])
def test_a_long_history(build):
    live_through(build(spaces=SPACES), steps=250, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_history_of_ten_thousand_steps(precision):
    live_through(Index(spaces=SPACES, precision=precision), steps=10_000, seed=2)
