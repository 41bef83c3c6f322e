"""The float32 pass may err, but never by more than its bound, and never in the answer."""

from fractions import Fraction

import numpy as np
import pytest

from gpu_index import Clause, Index
from gpu_index.scoring import error_bound, exact_dots, norms_of
from gpu_index.topk import contenders

DIM = 96


def near_ties(rng):
    """One vector, moved by parts in 1e8: float32 can not order the scores."""
    return rng.standard_normal(DIM) + rng.standard_normal((400, DIM)) * 1e-8, rng.standard_normal((3, DIM))


def cancellation(rng):
    """Large products that cancel to almost nothing."""
    half = rng.standard_normal((400, DIM // 2)) * 1e6
    vectors = np.concatenate([half, -half + rng.standard_normal(half.shape) * 1e-2], axis=1)
    query = rng.standard_normal((3, DIM // 2))
    return vectors, np.concatenate([query, query], axis=1)


def huge_norms(rng):
    """Norms from 1e-18 to 1e18 side by side."""
    vectors = rng.standard_normal((400, DIM)) * 10.0 ** rng.integers(-18, 19, (400, 1))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * np.minimum(1, 9.9e17 / norms), rng.standard_normal((3, DIM)) * 1e16


def one_giant(rng):
    """A single long vector must not spoil the order of the short ones."""
    vectors = rng.standard_normal((400, DIM)) * 1e-3
    vectors[17] = 0
    vectors[17, 0] = -9e17
    return vectors, np.abs(rng.standard_normal((3, DIM)))


def subnormals(rng):
    """Products and inputs below the normal range of float32."""
    vectors = rng.standard_normal((400, DIM)) * 10.0 ** rng.integers(-44, -18, (400, 1))
    return vectors, rng.standard_normal((3, DIM)) * 10.0 ** rng.integers(-40, 0, (3, 1))


def one_sign(rng):
    """All products positive: rounding errors of the sum add up."""
    return 1 + rng.random((400, DIM)) * 1e-7, 1 + rng.random((3, DIM))


WORLDS = [near_ties, cancellation, huge_norms, one_giant, subnormals, one_sign]


def world(make):
    vectors, queries = make(np.random.default_rng(3))
    return vectors.astype(np.float32), queries.astype(np.float32)


def running_sums(query, vectors):
    """Plain left-to-right float32 summation, the order with the largest error."""
    total = np.zeros(len(vectors), np.float32)
    for q, column in zip(query, vectors.T, strict=True):
        total += q * column
    return total


@pytest.mark.parametrize("make", WORLDS)
def test_no_float32_product_is_farther_off_than_the_bound(make):
    vectors, queries = world(make)
    for query in queries:
        exact = exact_dots(query, vectors)
        bound = error_bound(float(norms_of(query[None])[0]), norms_of(vectors), DIM)
        for near in (vectors @ query, (np.stack([query] * 5) @ vectors.T)[2], running_sums(query, vectors)):
            assert (np.abs(near - exact) <= bound).all()


@pytest.mark.parametrize("make", WORLDS)
def test_the_exact_dot_is_within_float64_rounding_of_the_rational_one(make):
    vectors, queries = world(make)
    dots = exact_dots(queries[0], vectors[:40])
    for dot, vector in zip(dots, vectors, strict=False):
        products = [Fraction(float(q)) * Fraction(float(x)) for q, x in zip(queries[0], vector, strict=True)]
        allowed = Fraction(7, 2**53) * sum(map(abs, products))  # seven folds of 96 numbers
        assert abs(Fraction(float(dot)) - sum(products)) <= allowed


@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("k", [1, 10, 150])
def test_adversarial_data_gets_the_ids_of_a_full_exact_scan(make, k):
    vectors, queries = world(make)
    ids = np.random.default_rng(4).permutation(len(vectors))
    index = Index(spaces={"v": DIM})
    index.upsert(ids, vectors={"v": vectors}, terms=[["a=1"]] * 200 + [["a=2"]] * 200)
    boosts = [None, {"a=1": 1e-7, "a=2": 3e-8}, {"a=2": -1e7}]
    hits = index.search(queries, space="v", k=k, where=[None, None, Clause([["a=1", "a=2"]])], boosts=boosts)
    for b, query in enumerate(queries):
        weights = [0.0, 0.0] if boosts[b] is None else [boosts[b].get("a=1", 0.0), boosts[b].get("a=2", 0.0)]
        scores = (exact_dots(query, vectors) + np.repeat(weights, 200)).astype(np.float32)
        order = np.lexsort((ids, -scores))[:k]
        assert np.array_equal(hits.ids[b], ids[order])
        assert np.array_equal(hits.scores[b], scores[order])


def test_scores_of_a_zero_query_need_no_exact_pass():
    assert error_bound(0.0, np.array([0.0, 1.0, 1e18]), DIM).tolist() == [0, 0, 0]


def test_an_exact_dot_does_not_depend_on_the_rows_beside_it():
    rng = np.random.default_rng(6)
    for dim in (1, 2, 3, 7, 64, 127, 300):
        vectors = rng.standard_normal((50, dim)).astype(np.float32)
        query = rng.standard_normal(dim).astype(np.float32)
        whole = exact_dots(query, vectors)
        for i in range(50):
            assert exact_dots(query, vectors[i : i + 1])[0] == whole[i]
            assert exact_dots(query, np.asfortranarray(vectors)[i:])[0] == whole[i]


def test_a_row_is_dropped_only_if_k_rows_are_surely_better():
    low = np.array([5, 4, 3, 1, 0], np.float32)
    high = np.array([6, 4, 9, 3, 4], np.float32)
    assert contenders(low, high, 1).tolist() == [0, 2]
    assert contenders(low, high, 2).tolist() == [0, 1, 2, 4]
    assert contenders(low, high, 3).tolist() == [0, 1, 2, 3, 4]
