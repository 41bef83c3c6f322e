"""A small index around the CUDA engine, with the slow reference beside it."""

import numpy as np
import pytest

from gpu_index.bags import bags_of
from gpu_index.clause import Clause
from gpu_index.cuda.engine import CudaEngine
from gpu_index.inputs import boosts_of
from gpu_index.reference import ReferenceIndex
from gpu_index.rows import RowStore
from gpu_index.scoring import bf16_bits, from_bf16_bits
from gpu_index.terms import TermStore


class World:
    """Rows and terms on the host, the engine that mirrors them, and the reference that checks it."""

    def __init__(self, dim=8, precision="float32", device="cpu", **engine):
        spaces = {"v": dim, "w": 3}
        self.precision = precision
        self.rows, self.terms = RowStore(spaces, precision), TermStore()
        self.engine = CudaEngine(self.rows, device=device, **engine)
        self.reference = ReferenceIndex(spaces, precision=precision)

    def write(self, ids, terms=None, **vectors):
        """vectors: v and w float32[n,dim], or left out."""
        ids = np.asarray(ids, np.int64)
        vectors = {space: np.asarray(values, np.float32) for space, values in vectors.items()}
        self.reference.upsert(ids, vectors, terms)
        slots = self.rows.claim(ids)
        for space, values in vectors.items():
            stored = from_bf16_bits(bf16_bits(values)) if self.precision == "bf16" else values
            self.rows.spaces[space].put(slots, stored)
        self.engine.wrote(slots, *self.terms.replace(slots, bags_of(terms, len(ids))))

    def delete(self, ids):
        self.reference.delete(ids)
        self.engine.deleted(self.rows.release(np.asarray(ids, np.int64)))

    def search(self, queries, k, where=None, boosts=None, space="v"):
        queries = np.asarray(queries, np.float32)
        numbered = [self.terms.numbered(clause) for clause in where or [None] * len(queries)]
        weights = [self.terms.numbered_boosts(own) for own in boosts_of(boosts, len(queries))]
        return self.engine.search(space, queries, k, numbered, weights)

    def check(self, queries, k, where=None, boosts=None, space="v"):
        """The engine gives the reference's ids and scores, bit for bit, and its counts."""
        mine = self.search(queries, k, where, boosts, space)
        truth = self.reference.search(queries, space, k, where, boosts)
        assert mine.ids.tolist() == truth.ids.tolist()
        assert mine.scores.tobytes() == truth.scores.tobytes()
        for clause in where or []:
            assert self.engine.count(self.terms.numbered(clause)) == self.reference.count(clause)


def terms_of(*values):
    return [f"t={value}" for value in values]


@pytest.fixture
def world():
    return World


@pytest.fixture
def bag():
    """bag(1, 2) is the terms t=1 and t=2."""
    return terms_of


@pytest.fixture
def clause():
    """clause([1, 2], [3], none=[4]): (t=1 OR t=2) AND t=3 AND NOT t=4."""
    return lambda *groups, none=(): Clause([terms_of(*group) for group in groups], terms_of(*none))


class Counted:
    """Steps that count their calls, to see which way a search took."""

    def __init__(self, steps):
        self.steps, self.calls = steps, {}

    def __getattr__(self, name):
        def call(*arguments):
            self.calls[name] = self.calls.get(name, 0) + 1
            return getattr(self.steps, name)(*arguments)

        return call


@pytest.fixture
def counted():
    return Counted
