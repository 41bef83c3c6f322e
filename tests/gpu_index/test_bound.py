"""First passes may err, but never by more than their bounds, and never in the answer."""

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from gpu_index import Clause, Index
from gpu_index.cpu.queries import arithmetic, byte_error, float_error, prepared
from gpu_index.cpu.scan import _turn
from gpu_index.cpu.survivors import exact_dot
from gpu_index.cpu.vector import HAS_VNNI, float_dots, int8_dots, line_dot
from gpu_index.rows import RowStore
from gpu_index.scoring import exact_dots

DIM = 96
needs_vnni = pytest.mark.skipif(not HAS_VNNI, reason="this processor does not multiply bytes")


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


def stored(vectors):
    """The vectors in a store, slot i holds vector i."""
    rows = RowStore({"v": vectors.shape[1]}, "float32")
    slots = rows.claim(np.arange(len(vectors)))
    rows.spaces["v"].put(slots, vectors)
    return rows.spaces["v"]


@njit
def first_scores(as_bytes, store_high, largest, queries, dim, rows):
    """What a tile says of each query and row, float64[B,rows], the way `scan` makes it."""
    forms = prepared(queries, as_bytes, not as_bytes)
    taken, made = (64, 16) if as_bytes else (32, 32)
    groups = (dim + taken - 1) // taken
    tile, out = np.zeros(groups * made * 256, np.uint8), np.zeros((4, 64), np.float32)
    first = np.zeros(4, np.float32)
    scores = np.zeros((len(queries), rows))
    for w in range(rows // 64):
        row_unit = max(np.float64(largest[w]) / 127, 1e-30) if as_bytes else 1.0
        start = store_high.ctypes.data + w * 64 * 2 * dim
        _turn(as_bytes, start, 2 * dim, groups, np.float32(1 / row_unit), tile.ctypes.data, False)
        if as_bytes:
            queries_at, stride = forms.bytes.ctypes.data, forms.bytes.shape[1]
            int8_dots(tile.ctypes.data, groups * made, queries_at, stride, forms.first.ctypes.data, out.ctypes.data)
        else:
            queries_at, stride = forms.floats.ctypes.data, 4 * forms.floats.shape[1]
            float_dots(tile.ctypes.data, groups * made, queries_at, stride, first.ctypes.data, out.ctypes.data)
        for b in range(len(queries)):
            for r in range(64):
                unit = row_unit * forms.unit[b] if as_bytes else 1.0
                scores[b, w * 64 + r] = np.float64(out[b, r]) * unit
    tile[0] = np.uint8(first[0])
    return scores


def bounds(as_bytes, store, queries, rows):
    """float64[B,rows]: what `scan` takes for the largest error of those scores."""
    forms, constants = prepared(queries, True, False), arithmetic(store.dim)
    bound = np.zeros((len(queries), rows))
    for slot in range(rows):
        norm, error = float(store.block_norm[slot // 64]), float(store.block_error[slot // 64])
        unit = max(float(store.block_largest[slot // 64]) / 127, 1e-30)
        if as_bytes:
            per_norm, per_rest, always = byte_error(constants, norm, error, unit)
            bound[:, slot] = per_norm * forms.norm + per_rest * forms.rest + always
        else:
            per_norm, always = float_error(constants, norm, error)
            bound[:, slot] = per_norm * forms.norm + always
    return bound


@pytest.mark.parametrize("as_bytes", [pytest.param(True, marks=needs_vnni), False], ids=["bytes", "floats"])
@pytest.mark.parametrize("make", WORLDS)
def test_no_first_score_is_farther_off_than_its_bound(make, as_bytes):
    vectors, queries = world(make)
    vectors = vectors[:384]
    store = stored(vectors)
    near = first_scores(as_bytes, store.high, store.block_largest, queries, DIM, 384)
    exact = np.stack([exact_dots(query, vectors) for query in queries])
    off, bound = np.abs(near - exact), bounds(as_bytes, store, queries, 384)
    assert (off <= bound).all()
    if make is near_ties:  # and a bound is not so wide that it says nothing
        assert (bound < 0.1 * np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)).all()


@pytest.mark.parametrize("make", WORLDS)
def test_a_line_on_its_own_is_within_the_bound_of_floats(make):
    vectors, queries = world(make)
    vectors = vectors[:64]
    store = stored(vectors)

    @njit
    def lines(high, queries):
        forms, scores = prepared(queries, False, False), np.zeros((len(queries), 64))
        for b in range(len(queries)):
            for r in range(64):
                scores[b, r] = line_dot(high.ctypes.data + 2 * DIM * r, DIM // 32, forms.pairs[b].ctypes.data)
        return scores

    exact = np.stack([exact_dots(query, vectors) for query in queries])
    assert (np.abs(lines(store.high, queries) - exact) <= bounds(False, store, queries, 64)).all()


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


def test_an_exact_dot_does_not_depend_on_the_rows_beside_it():
    rng = np.random.default_rng(6)
    for dim in (1, 2, 3, 7, 64, 127, 300):
        vectors = rng.standard_normal((50, dim)).astype(np.float32)
        query = rng.standard_normal(dim).astype(np.float32)
        whole = exact_dots(query, vectors)
        for i in range(50):
            assert exact_dots(query, vectors[i : i + 1])[0] == whole[i]
            assert exact_dots(query, np.asfortranarray(vectors)[i:])[0] == whole[i]


@pytest.mark.parametrize("low_part", [True, False], ids=["float32", "bf16"])
def test_the_compiled_exact_dot_is_the_defined_one_bit_for_bit(low_part):
    rng = np.random.default_rng(8)
    for dim in (1, 2, 3, 7, 31, 64, 65, 127, 300):
        store = stored((rng.standard_normal((70, dim)) * 10.0 ** rng.integers(-20, 17, (70, 1))).astype(np.float32))
        low = store.low if low_part else np.empty(0, np.int16)
        vectors = store.vectors(np.arange(70))
        if not low_part:
            vectors = (vectors.view(np.int32) - store.low[: 70 * dim].reshape(70, dim)).view(np.float32)
        query = rng.standard_normal(dim).astype(np.float32)
        room = np.empty(dim, np.int32), np.empty(dim, np.float64)
        mine = [exact_dot(store.high, low, slot, query, *room) for slot in range(70)]
        assert mine == exact_dots(query, vectors).tolist()


def test_many_ties_are_settled_by_id_however_often_the_buffer_fills():
    rng = np.random.default_rng(9)
    ids = rng.permutation(5000)
    vectors = np.ones((5000, 3), np.float32)
    vectors[ids % 10 == 0] *= np.float32(1 + 2.0**-23)  # one unit in the last place better
    index = Index(spaces={"v": 3})
    index.upsert(ids, vectors={"v": vectors})
    for batch in (1, 20):
        hits = index.search(np.ones((batch, 3), np.float32), space="v", k=700)
        assert hits.ids[0].tolist() == [*range(0, 5000, 10), *[i for i in range(1000) if i % 10][:200]]
        assert (hits.ids == hits.ids[0]).all()
