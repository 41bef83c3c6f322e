"""The contract where engines change their plan: odd sizes, words and blocks that end halfway, ties by the thousand,
clauses from everything to nothing in one batch. The twin is brute force over plain arrays.
"""

import gc
from pathlib import Path

import numpy as np
import pytest

from gpu_index import Clause, Index
from gpu_index.reference import ReferenceIndex
from tests.contracts.brute_force import BruteForce
from tests.contracts.index_kinds import FAST_KINDS, SLOW_ON_MANY_ROWS, params

PASS_RATES = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01, "thousandth": 0.001}
ALL_SHAPES = [None, *PASS_RATES, "two groups", "not", "tiny", "one", "none", "unknown", "many or", "contradiction"]


@pytest.fixture(params=params(FAST_KINDS, slow=SLOW_ON_MANY_ROWS))
def build(request):
    return FAST_KINDS[request.param]


def grid(rng, rows, dim):
    """Coarse numbers, which bf16 holds exactly and whose scores tie."""
    return rng.integers(-3, 4, (rows, dim)).astype(np.float32) / 4


def bags_of_terms(rng, rows):
    """Per row: its own term, one of 7, one of 300, and with its probability each pass rate."""
    marks = {name: rng.random(rows) < rate for name, rate in PASS_RATES.items()}
    seven, hundreds = rng.integers(0, 7, rows), rng.integers(0, 300, rows)
    return [
        [f"row={i}", f"seven={seven[i]}", f"hundreds={hundreds[i]}"]
        + [f"pass={name}" for name, mark in marks.items() if mark[i]]
        for i in range(rows)
    ]


def clause(rng, rows, shape):
    """A clause of that shape; the numbers in it are drawn anew for each query."""
    if shape is None:
        return None
    if shape in PASS_RATES:
        return Clause([[f"pass={shape}"]])
    own = [f"row={i}" for i in rng.integers(0, rows, 6)]
    return {
        "two groups": Clause([[f"seven={rng.integers(7)}", f"seven={rng.integers(7)}"], ["pass=half"]]),
        "not": Clause(none_of=[f"seven={rng.integers(7)}", "pass=tenth", *own]),
        "tiny": Clause([own, ["pass=half", "pass=tenth"]], none_of=["seven=3"]),
        "one": Clause([own[:1]]),
        "none": Clause([[]]),
        "unknown": Clause([["pass=half"], ["row=nobody"]]),
        "many or": Clause([[f"hundreds={i}" for i in rng.integers(0, 300, 120)]]),
        "contradiction": Clause([["pass=half"]], none_of=["pass=half"]),
    }[shape]


def boosts(rng, rows):
    """Nothing, dense terms, rare ones, weights that decide alone, and weights that cancel."""
    weight = float(rng.integers(-8, 9)) / 8
    return [
        None,
        {"pass=half": weight},
        {f"row={i}": float(i % 5) - 2.0 for i in rng.integers(0, rows, 20)},
        {"pass=tenth": 1e30, "seven=1": -1e30, "row=nobody": 1e37},
        {f"seven={i}": weight * i for i in range(7)} | {"pass=thousandth": -3.5},
    ][rng.integers(5)]


def world(build, seed, rows, dim):
    """An index and its twin, filled alike: ids in no order, every eighth row without a vector."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(4 * rows)[:rows]
    index = build(spaces={"v": dim})
    twin = BruteForce(ids, {"v": dim})
    vectors, terms = grid(rng, rows, dim), bags_of_terms(rng, rows)
    bare = rows // 8
    for each in (index, twin):
        each.upsert(ids[:bare], terms=terms[:bare])
        each.upsert(ids[bare:], vectors={"v": vectors[bare:]}, terms=terms[bare:])
    return index, twin, rng


def assert_same(mine, theirs):
    np.testing.assert_array_equal(mine.ids, theirs.ids)
    assert mine.scores.tobytes() == theirs.scores.tobytes()


def assert_answers_agree(index, twin, queries, k, where=None, weights=None):
    assert_same(index.search(queries, "v", k, where, weights), twin.search(queries, "v", k, where, weights))


def test_brute_force_answers_as_the_reference():
    reference, twin, rng = world(ReferenceIndex, 1, rows=90, dim=5)
    where = [clause(rng, 90, shape) for shape in ALL_SHAPES]
    weights = [boosts(rng, 90) for _ in ALL_SHAPES]
    assert_answers_agree(reference, twin, grid(rng, len(where), 5), 20, where, weights)
    assert [reference.count(each) for each in where] == [twin.count(each) for each in where]
    gone = np.concatenate([twin.ids[::2], [10**6]])
    assert reference.delete(gone) == twin.delete(gone) == 45
    assert_answers_agree(reference, twin, grid(rng, len(where), 5), 20, where, weights)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 127, 128, 129, 200])
def test_odd_numbers_of_rows_and_dimensions(build, rows):
    for dim in (1, 2, 3, 31, 32, 33, 63, 64, 65, 100, 128, 130):
        index, twin, rng = world(build, rows * 1000 + dim, rows, dim)
        where = [clause(rng, rows, shape) for shape in ALL_SHAPES]
        weights = [boosts(rng, rows) for _ in where]
        queries = grid(rng, len(where), dim)
        for k in (1, 10, rows + 3):
            assert_answers_agree(index, twin, queries, k, where, weights)


@pytest.mark.parametrize("batch", [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130])
def test_batches_of_every_size_with_loose_and_tight_clauses_in_one(build, batch):
    index, twin, rng = world(build, batch, rows=3000, dim=33)
    for weighted in (False, True):
        where = [clause(rng, 3000, ALL_SHAPES[rng.integers(len(ALL_SHAPES))]) for _ in range(batch)]
        weights = [boosts(rng, 3000) for _ in range(batch)] if weighted else None
        assert_answers_agree(index, twin, grid(rng, batch, 33), 25, where, weights)
        assert [index.count(each) for each in where[:20]] == [twin.count(each) for each in where[:20]]


def test_batches_in_which_all_clauses_are_alike(build):
    index, twin, rng = world(build, 77, rows=4000, dim=20)
    for shape in ALL_SHAPES:
        for batch in (1, 16, 40):
            where = [clause(rng, 4000, shape) for _ in range(batch)]
            assert_answers_agree(index, twin, grid(rng, batch, 20), 100, where)
            assert_answers_agree(index, twin, grid(rng, batch, 20), 10, where, [boosts(rng, 4000) for _ in where])


def test_a_big_index_after_half_of_it_was_replaced_or_deleted(build):
    index, twin, rng = world(build, 5, rows=12_000, dim=16)
    ids = rng.permutation(twin.ids)
    replaced, terms = ids[:4000], bags_of_terms(rng, 4000)
    vectors = grid(rng, 4000, 16)
    for each in (index, twin):
        each.upsert(replaced, vectors={"v": vectors}, terms=terms)
        assert each.delete(ids[3000:6000]) == 3000
        each.upsert(ids[5500:6000], vectors={"v": vectors[:500]}, terms=terms[:500])
    assert len(index) == len(twin) == 9500
    for batch, k in ((1, 1000), (16, 100), (70, 10)):
        where = [clause(rng, 12_000, ALL_SHAPES[rng.integers(len(ALL_SHAPES))]) for _ in range(batch)]
        assert_answers_agree(index, twin, grid(rng, batch, 16), k, where)
        assert_answers_agree(index, twin, grid(rng, batch, 16), k, where, [boosts(rng, 12_000) for _ in where])
        assert [index.count(each) for each in where] == [twin.count(each) for each in where]


def test_a_batch_of_every_shape_equals_its_queries_one_by_one_bit_for_bit(build):
    index, _, rng = world(build, 9, rows=4000, dim=24)
    queries = rng.standard_normal((65, 24)).astype(np.float32)
    where = [clause(rng, 4000, ALL_SHAPES[b % len(ALL_SHAPES)]) for b in range(65)]
    weights = [boosts(rng, 4000) for _ in where]
    whole = index.search(queries, "v", 30, where, weights)
    for b in range(65):
        one = index.search(queries[b : b + 1], "v", 30, where[b : b + 1], weights[b : b + 1])
        assert one.ids.tobytes() == whole.ids[b].tobytes()
        assert one.scores.tobytes() == whole.scores[b].tobytes()
    backwards = index.search(queries[::-1], "v", 30, where[::-1], weights[::-1])
    assert backwards.ids[::-1].tobytes() == whole.ids.tobytes()
    assert backwards.scores[::-1].tobytes() == whole.scores.tobytes()


# --- ties ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 64, 100, 4999, 5000, 5100])
def test_five_thousand_equal_rows_come_in_the_order_of_their_ids(build, k):
    rng = np.random.default_rng(3)
    ids = rng.permutation(9000)[:5000]
    index = build(spaces={"v": 3})
    index.upsert(ids, vectors={"v": np.full((5000, 3), 0.5)}, terms=[[f"odd={i % 2}"] for i in ids])
    everyone, odd = np.sort(ids), np.sort(ids[ids % 2 == 1])
    queries = np.array([[1, 0, 1], [0, 0, 0], [-2, 1, 5], [1, 1, 1]], np.float32)
    where = [None, None, Clause([["odd=1"]]), None]
    hits = index.search(queries, "v", k, where, [None, None, None, {"odd=1": -100.0}])
    even_first = np.concatenate([everyone[everyone % 2 == 0], odd])
    expected = [(everyone, 1.0), (everyone, 0.0), (odd, 2.0), (even_first, None)]
    for b, (order, score) in enumerate(expected):
        found = hits.ids[b] >= 0
        assert hits.ids[b][found].tolist() == order[:k].tolist()
        if score is not None:
            assert set(hits.scores[b][found].tolist()) == {score}
        assert found.sum() == min(k, len(order))
        assert (hits.scores[b][~found] == -np.inf).all()


def test_ties_across_the_cut_among_many_better_and_worse_rows(build):
    """100 rows score 2, 3,000 score 1, the rest 0: the cut at k falls among equals."""
    rng = np.random.default_rng(4)
    ids = rng.permutation(6000)
    level = np.repeat([2.0, 1.0, 0.0], [100, 3000, 2900])
    index, twin = build(spaces={"v": 1}), BruteForce(ids, {"v": 1})
    for each in (index, twin):
        each.upsert(ids, vectors={"v": level[:, None]}, terms=[["a=1"]] * 6000)
    for k in (99, 100, 101, 1000, 3100, 3101):
        assert_answers_agree(index, twin, np.ones((3, 1), np.float32), k, [None, Clause([["a=1"]]), Clause()])


def test_rows_that_differ_by_the_last_bit_of_the_score_are_told_apart():
    """One unit in the last place decides among 3,000 rows; a cheap first pass can not see it."""
    rng = np.random.default_rng(6)
    base = rng.standard_normal(48).astype(np.float32)
    vectors = np.tile(base, (3000, 1))
    rows = np.arange(3000)
    vectors[rows, rng.integers(0, 48, 3000)] *= np.float32(1) + rng.integers(-4, 5, 3000).astype(np.float32) * 2**-23
    for name in ("cpu", "shards-3"):
        index, twin = FAST_KINDS[name](spaces={"v": 48}), BruteForce(rows, {"v": 48})
        for each in (index, twin):
            each.upsert(rows, vectors={"v": vectors})
        queries = np.concatenate([base[None], rng.standard_normal((8, 48))]).astype(np.float32)
        assert_answers_agree(index, twin, queries, 50)


# --- sizes of numbers ------------------------------------------------------------------------------------------------


def test_huge_and_tiny_norms_side_by_side(build):
    """Norms from 1e-45 to 1e18 in one block; the error of a huge row must not hide or lift a tiny one."""
    rng = np.random.default_rng(11)
    rows, dim = 3000, 20
    directions = rng.standard_normal((rows, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vectors = (directions * (10.0 ** rng.uniform(-45, 18, rows))[:, None]).astype(np.float32)
    vectors[::10] = 0
    ids, precision = np.arange(rows), build(spaces={"v": 1}).precision
    index, twin = build(spaces={"v": dim}), BruteForce(ids, {"v": dim}, precision)
    for each in (index, twin):
        each.upsert(ids, vectors={"v": vectors}, terms=[[f"size={i % 3}"] for i in range(rows)])
    queries = directions[:12] * (10.0 ** np.array([-45, -38, -30, -20, -9, -3, 0, 3, 9, 17, 17.9, 18]))[:, None]
    queries = np.concatenate([queries, np.zeros((1, dim))]).astype(np.float32)
    for where in (None, [Clause([["size=1"]])] * 13):
        assert_answers_agree(index, twin, queries, 40, where)
        assert_answers_agree(index, twin, queries, 3000, where, [{"size=1": 1e-30, "size=2": -1e38}] * 13)


def test_many_zero_vectors_score_positive_zero(build):
    index = build(spaces={"v": 9})
    vectors = np.zeros((2000, 9), np.float32)
    vectors[1::2] = -0.0
    index.upsert(np.arange(2000), vectors={"v": vectors}, terms=[["a=1"]] * 2000)
    hits = index.search(-np.ones((20, 9), np.float32), "v", 7, [Clause([["a=1"]])] * 20, [{"a=1": -0.0}] * 20)
    assert hits.ids.tolist() == [list(range(7))] * 20
    assert (hits.scores == 0).all()
    assert not np.signbit(hits.scores).any()


def test_boosts_that_dominate_decide_and_vectors_break_their_ties(build):
    index, twin, rng = world(build, 12, rows=3000, dim=8)
    weights = [{f"seven={i}": 1000.0 * ((i * b) % 7) for i in range(7)} | {"pass=half": -0.5} for b in range(20)]
    where = [clause(rng, 3000, shape) for shape in [None, "half", "hundredth", "not"] * 5]
    assert_answers_agree(index, twin, grid(rng, 20, 8), 60, where, weights)


# --- clauses ---------------------------------------------------------------------------------------------------------


def test_ten_thousand_terms_in_a_clause_of_each_query(build):
    index, twin, rng = world(build, 13, rows=6000, dim=6)
    own = [f"row={i}" for i in range(6000)] + [f"row={i}" for i in range(10**6, 10**6 + 4000)]
    where = [
        Clause([own]),
        Clause(none_of=own[:5990]),
        Clause([own[3000:], own[:3005]]),
        Clause([own, ["pass=hundredth"]], none_of=own[::2]),
    ]
    weights = [{term: 0.25 * (i % 9) - 1.0 for i, term in enumerate(own)}, None, None, {"pass=half": 1.0}]
    assert_answers_agree(index, twin, grid(rng, 4, 6), 12, where, weights)
    assert [index.count(each) for each in where] == [twin.count(each) for each in where]
    assert [index.count(each) for each in where[:3]] == [6000, 10, 5]


def test_a_clause_of_many_groups(build):
    index, twin, rng = world(build, 14, rows=4000, dim=6)
    loose = [[f"seven={i}" for i in range(7) if i != left_out] for left_out in range(7)]
    where = [Clause(loose[:3]), Clause(loose), Clause([loose[0]] * 40), Clause([["pass=half"]] + [loose[1]] * 9)]
    assert [index.count(each) for each in where] == [twin.count(each) for each in where]
    assert_answers_agree(index, twin, grid(rng, 4, 6), 500, where)


# --- memory ----------------------------------------------------------------------------------------------------------


def resident(field):
    """Bytes of this process: VmRSS now, VmHWM at most since the mark was last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_search_never_holds_a_score_for_every_query_and_row(precision):
    """512 queries times 150,000 rows would be 307 MB of float32 and 77 MB even as bytes."""
    rows, batch, k = 150_000, 512, 10
    index = Index(spaces={"v": 4}, precision=precision)
    vectors = np.random.default_rng(1).standard_normal((rows, 4)).astype(np.float32)
    index.upsert(np.arange(rows), vectors={"v": vectors}, terms=[["a=1"] if i % 3 else [] for i in range(rows)])
    queries = np.random.default_rng(2).standard_normal((batch, 4)).astype(np.float32)
    where = [None, Clause([["a=1"]])] * (batch // 2)
    index.search(queries[:64], "v", k, where[:64])  # compiles and fills what is kept between searches
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = resident("VmRSS")
    index.search(queries, "v", k, where)
    assert resident("VmHWM") - before < 64 * 2**20
