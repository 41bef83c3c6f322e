"""Any sequence of writes, deletes, saves and loads leaves the index and its slow twin with the same answers."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gpu_index import Clause, Index
from gpu_index.reference import ReferenceIndex
from gpu_index.terms import TermStore

SPACES = {"wide": 3, "line": 1}
TERMS = ["geo=1", "geo=2", "geo=3", "remote=yes", "title=a", "title=b", "live=1"]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 1.0 + 1e-7, 1.0 - 6e-8, 1e-30, 3e8, -3e8, 5e17]

ids = st.lists(st.integers(0, 15), max_size=8, unique=True)
numbers = st.sampled_from(NUMBERS)
bags = st.lists(st.sampled_from(TERMS), max_size=5)
groups = st.lists(st.lists(st.sampled_from([*TERMS, "geo=unknown"]), max_size=3), max_size=2)
clauses = st.none() | st.builds(Clause, groups, st.lists(st.sampled_from(TERMS), max_size=2))
boosts = st.none() | st.dictionaries(st.sampled_from([*TERMS, "geo=unknown"]), numbers, max_size=3)


def matrix(data, rows, dim):
    return np.array(data.draw(st.lists(numbers, min_size=rows * dim, max_size=rows * dim))).reshape(rows, dim)


class IndexBesideItsTwin(RuleBasedStateMachine):
    precision = "float32"

    def __init__(self):
        super().__init__()
        self.index = Index(spaces=SPACES, precision=self.precision)
        self.index._terms = TermStore(rebuild_after=20)  # so that short histories rebuild too
        self.twin = ReferenceIndex(spaces=SPACES, precision=self.precision)

    @rule(ids=ids, spaces=st.sets(st.sampled_from(list(SPACES))), data=st.data())
    def upsert(self, ids, spaces, data):
        vectors = {space: matrix(data, len(ids), SPACES[space]) for space in sorted(spaces)}
        terms = data.draw(st.none() | st.lists(bags, min_size=len(ids), max_size=len(ids)))
        for each in (self.index, self.twin):
            each.upsert(ids, vectors=vectors, terms=terms)

    @rule(data=st.data())
    def fill(self, data):
        """Enough rows to take the path through the matrix product."""
        everything = np.arange(16)
        vectors = {space: matrix(data, 16, dim) for space, dim in SPACES.items()}
        terms = data.draw(st.lists(bags, min_size=16, max_size=16))
        for each in (self.index, self.twin):
            each.upsert(everything, vectors=vectors, terms=terms)

    @rule(ids=ids)
    def delete(self, ids):
        assert self.index.delete(ids) == self.twin.delete(ids)

    @rule(
        space=st.sampled_from(list(SPACES)), k=st.sampled_from([1, 2, 5, 20]), batch=st.integers(1, 4), data=st.data()
    )
    def search(self, space, k, batch, data):
        queries = matrix(data, batch, SPACES[space])
        where = data.draw(st.none() | st.lists(clauses, min_size=batch, max_size=batch))
        weights = data.draw(st.none() | st.lists(boosts, min_size=batch, max_size=batch))
        mine, theirs = (each.search(queries, space, k, where, weights) for each in (self.index, self.twin))
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert mine.scores.tobytes() == theirs.scores.tobytes()

    @rule(clause=clauses)
    def count(self, clause):
        assert self.index.count(clause) == self.twin.count(clause)

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder) / "index")
            self.index = Index.load(Path(folder) / "index")

    @invariant()
    def same_rows(self):
        assert len(self.index) == len(self.twin)
        for row_id in range(16):
            assert (row_id in self.index) == (row_id in self.twin)
            if row_id in self.twin:
                assert self.index.terms_of(row_id) == self.twin.terms_of(row_id)


class HalfPrecisionIndexBesideItsTwin(IndexBesideItsTwin):
    precision = "bf16"


def quick(examples):
    return settings(
        max_examples=examples,
        stateful_step_count=25,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestIndexBesideItsTwin = IndexBesideItsTwin.TestCase
TestIndexBesideItsTwin.settings = quick(60)
TestHalfPrecisionIndexBesideItsTwin = HalfPrecisionIndexBesideItsTwin.TestCase
TestHalfPrecisionIndexBesideItsTwin.settings = quick(15)
