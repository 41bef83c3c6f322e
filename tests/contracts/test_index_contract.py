"""One suite for everything that calls itself an index (index_kinds.py): what it answers, keeps and refuses.

Worlds small enough to check by hand. test_index_plans.py goes on with sizes at which engines change their plan.
"""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
import torch

from gpu_index import Clause, Hits, Index
from gpu_index.reference import ReferenceIndex
from market.errors import ArtefactError, ConfigError, IndexInputError
from tests.contracts.index_kinds import KINDS, class_of, params

INFINITY = float("inf")


@pytest.fixture(params=params(KINDS))
def build(request):
    """Index class under test; bf16 holds every number of the small worlds exactly."""
    return KINDS[request.param]


@pytest.fixture
def jobs(build):
    """Five jobs in a plane; job 40 has no vector in `graph`.

    id          1            2            3            10           40
    organic     (1, 0)       (0, 1)       (1, 1)       (-1, 2)      (2, -1)
    geo         north        north        south        south        south
    remote      yes                       yes
    """
    index = build(spaces={"organic": 2, "graph": 1})
    index.upsert(
        [1, 2, 3, 10],
        vectors={"organic": [[1, 0], [0, 1], [1, 1], [-1, 2]], "graph": [[1], [2], [3], [4]]},
        terms=[["geo=north", "remote=yes"], ["geo=north"], ["geo=south", "remote=yes"], ["geo=south"]],
    )
    index.upsert([40], vectors={"organic": [[2, -1]]}, terms=[["geo=south"]])
    return index


def ask(index, query, k=5, where=None, boosts=None, space="organic"):
    """One query -> ([ids], [scores]) without padding."""
    hits = index.search(
        np.array([query], np.float32),
        space=space,
        k=k,
        where=None if where is None else [where],
        boosts=None if boosts is None else [boosts],
    )
    found = hits.ids[0] >= 0
    return hits.ids[0][found].tolist(), hits.scores[0][found].tolist()


def random_world(seed, rows, dim, batch):
    """Rows, terms, queries, clauses and boosts of every sort; vectors from a coarse grid, so that scores tie."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(3 * rows)[:rows]
    vectors = rng.integers(-2, 3, (rows, dim)).astype(np.float32) / 4
    bag = [f"a={i}" for i in range(6)] + [f"b={i}" for i in range(40)]
    terms = [[f"job={i}", *rng.choice(bag, rng.integers(0, 8), replace=False).tolist()] for i in range(rows)]
    queries = rng.integers(-2, 3, (batch, dim)).astype(np.float32) / 4
    where, boosts = [], []
    for _ in range(batch):
        groups = [rng.choice(bag, rng.integers(1, 5)).tolist() for _ in range(rng.integers(0, 3))]
        if rng.random() < 0.3:  # so selective that its few rows are looked up one by one
            groups.append([f"job={i}" for i in rng.integers(0, rows, 6)])
        where.append(None if rng.random() < 0.2 else Clause(groups, rng.choice(bag, rng.integers(0, 3)).tolist()))
        picked = rng.choice(bag, rng.integers(0, 4))
        boosts.append(None if rng.random() < 0.5 else {term: float(rng.integers(-4, 5)) / 8 for term in picked})
    return ids, vectors, terms, queries, where, boosts


# --- answers ---------------------------------------------------------------------------------------------------------


def test_best_score_comes_first_and_ties_go_to_the_smaller_id(jobs):
    assert ask(jobs, [1, 1]) == ([3, 1, 2, 10, 40], [2, 1, 1, 1, 1])


def test_answer_has_the_promised_types_and_padding(jobs):
    hits = jobs.search(np.array([[1, 0], [0, 1]], np.float32), space="organic", k=7)
    assert isinstance(hits, Hits)
    assert hits.ids.shape == hits.scores.shape == (2, 7)
    assert hits.ids.dtype == np.int64
    assert hits.scores.dtype == np.float32
    assert (hits.ids[:, 5:] == -1).all()
    assert (hits.scores[:, 5:] == -INFINITY).all()


def test_row_without_a_vector_in_a_space_is_never_found_there(jobs):
    assert ask(jobs, [1], space="graph") == ([10, 3, 2, 1], [4, 3, 2, 1])
    assert jobs.count(Clause([["geo=south"]])) == 3


def test_groups_are_anded_terms_of_a_group_are_ored_and_none_of_excludes(jobs):
    assert ask(jobs, [1, 0], where=Clause([["geo=north", "remote=yes"]]))[0] == [1, 3, 2]
    assert ask(jobs, [1, 0], where=Clause([["geo=south"], ["remote=yes"]]))[0] == [3]
    assert ask(jobs, [1, 0], where=Clause([["geo=south"]], none_of=["remote=yes"]))[0] == [40, 10]
    assert ask(jobs, [1, 0], where=Clause(none_of=["geo=south", "remote=yes"]))[0] == [2]


def test_no_groups_match_everything_and_an_empty_group_matches_nothing(jobs):
    assert len(ask(jobs, [1, 0], where=Clause())[0]) == 5
    assert len(ask(jobs, [1, 0], where=Clause(all_of=[]))[0]) == 5
    assert ask(jobs, [1, 0], where=Clause(all_of=[[]])) == ([], [])
    assert ask(jobs, [1, 0], where=Clause(all_of=[["geo=north"], []])) == ([], [])


def test_unknown_terms_match_nothing_and_exclude_nothing(jobs):
    assert ask(jobs, [1, 0], where=Clause([["geo=mars"]])) == ([], [])
    assert ask(jobs, [1, 0], where=Clause([["geo=mars", "geo=north"]]))[0] == [1, 2]
    assert len(ask(jobs, [1, 0], where=Clause(none_of=["geo=mars"]))[0]) == 5


def test_boosts_add_the_weights_of_the_terms_a_row_has(jobs):
    boosts = {"geo=north": 2.0, "remote=yes": -0.5, "geo=mars": 100.0}
    assert ask(jobs, [1, 0], boosts=boosts) == ([1, 2, 40, 3, 10], [2.5, 2, 2, 0.5, -1])


def test_a_boost_does_not_let_a_row_through_the_clause(jobs):
    assert ask(jobs, [1, 0], where=Clause([["geo=north"]]), boosts={"geo=south": 9.0}) == ([1, 2], [1, 0])


def test_a_duplicate_term_counts_once(build):
    index = build(spaces={"v": 1})
    index.upsert([7], vectors={"v": [[1]]}, terms=[["a=1", "a=1"]])
    assert ask(index, [1], space="v", boosts={"a=1": 2.0}, where=Clause([["a=1", "a=1"]])) == ([7], [3])
    assert index.terms_of(7) == ["a=1"]


def test_fewer_matches_than_k_are_padded(jobs):
    hits = jobs.search(np.ones((1, 2), np.float32), space="organic", k=4, where=[Clause([["geo=north"]])])
    assert hits.ids.tolist() == [[1, 2, -1, -1]]
    assert hits.scores.tolist() == [[1, 1, -INFINITY, -INFINITY]]


def test_each_query_of_a_batch_has_its_own_clause_and_boosts(jobs):
    hits = jobs.search(
        np.array([[1, 0], [1, 0], [1, 0]], np.float32),
        space="organic",
        k=1,
        where=[Clause([["geo=north"]]), None, Clause([["geo=mars"]])],
        boosts=[None, {"remote=yes": 5.0}, None],
    )
    assert hits.ids.tolist() == [[1], [1], [-1]]
    assert hits.scores.tolist() == [[1], [6], [-INFINITY]]


def test_empty_index_and_empty_batch_are_no_exception(build):
    index = build(spaces={"v": 3})
    assert index.search(np.ones((2, 3), np.float32), space="v", k=2).ids.tolist() == [[-1, -1], [-1, -1]]
    assert index.search(np.ones((0, 3), np.float32), space="v", k=2, where=[], boosts=[]).ids.shape == (0, 2)
    assert (len(index), index.count(Clause()), index.delete([1])) == (0, 0, 0)
    index.upsert([], vectors={"v": []}, terms=[])
    assert len(index) == 0


def test_zero_vectors_and_negative_zero_score_positive_zero(build):
    index = build(spaces={"v": 2})
    index.upsert([5, 3, 4], vectors={"v": [[0, 0], [-0.0, -0.0], [1e-30, 0]]})
    ids, scores = ask(index, [-0.0, 0], space="v")
    assert (ids, scores) == ([3, 4, 5], [0, 0, 0])
    ids, scores = ask(index, [-1e-30, 0], space="v")
    assert ids == [3, 4, 5]
    assert not np.signbit(scores).any()


def test_largest_norms_stay_finite_and_in_order(build):
    index = build(spaces={"v": 1})
    index.upsert([1, 2, 3], vectors={"v": [[1e18], [-1e18], [9e17]]})
    ids, scores = ask(index, [1e18], space="v", boosts={"a=1": 1e38})
    assert ids == [1, 3, 2]
    assert np.isfinite(scores).all()


def test_ids_of_the_whole_int64_range_are_kept(build):
    index = build(spaces={"v": 1})
    index.upsert(np.array([0, 2**63 - 1]), vectors={"v": [[1], [2]]})
    assert ask(index, [1], space="v")[0] == [2**63 - 1, 0]
    assert 2**63 - 1 in index
    assert 5 not in index


# --- writes ----------------------------------------------------------------------------------------------------------


def test_upsert_replaces_the_whole_row(jobs):
    jobs.upsert([1], vectors={"graph": [[9]]}, terms=[["geo=east"]])
    assert len(jobs) == 5
    assert ask(jobs, [1, 0])[0] == [40, 3, 2, 10]
    assert ask(jobs, [1], space="graph")[0] == [1, 10, 3, 2]
    assert jobs.count(Clause([["geo=north"]])) == 1
    assert jobs.terms_of(1) == ["geo=east"]


def test_upsert_without_vectors_or_terms_leaves_a_bare_row(jobs):
    jobs.upsert([1])
    assert ask(jobs, [1, 0])[0] == [40, 3, 2, 10]
    assert jobs.terms_of(1) == []
    assert jobs.count(Clause()) == 5


def test_deleted_rows_are_gone_and_their_number_is_returned(jobs):
    assert jobs.delete([2, 40, 99]) == 2
    assert jobs.delete(np.array([2])) == 0
    assert ask(jobs, [1, 0])[0] == [1, 3, 10]
    assert (len(jobs), jobs.count(Clause([["geo=south"]]))) == (3, 2)
    with pytest.raises(IndexInputError, match="id 2 is not in the index"):
        jobs.terms_of(2)


def test_a_row_in_a_reused_place_does_not_inherit_terms_or_vectors(jobs):
    jobs.delete([3])
    jobs.upsert([4], vectors={"graph": [[7]]}, terms=[["geo=east"]])
    assert jobs.count(Clause([["remote=yes"]])) == 1
    assert jobs.count(Clause([["geo=east"]])) == 1
    assert 4 not in ask(jobs, [1, 1])[0]


def test_terms_may_be_a_pyarrow_column(build):
    index = build(spaces={"v": 1})
    rows = [["a=1", "b=2", "a=1"], None, [], ["b=2"]]
    for number, column in enumerate(
        [
            pa.array(rows, pa.list_(pa.string())),
            pa.array(rows, pa.large_list(pa.large_string())),
            pa.chunked_array([rows[:1], rows[1:]], pa.list_(pa.string())),
            pa.array([["z=9"], *rows], pa.list_(pa.string())).slice(1),
            pa.array(rows, pa.list_(pa.string())).cast(pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        ]
    ):
        ids = 10 * number + np.arange(4)
        index.upsert(ids, terms=column)
        assert [index.terms_of(row_id) for row_id in ids] == [["a=1", "b=2"], [], [], ["b=2"]]
    index.upsert([], terms=pa.chunked_array([], pa.list_(pa.string())))
    assert index.count(Clause([["b=2"]])) == 10


def test_vectors_are_copied_in(build):
    index = build(spaces={"v": 1})
    mine = np.ones((1, 1), np.float32)
    index.upsert([1], vectors={"v": mine})
    mine[:] = 5
    assert ask(index, [1], space="v") == ([1], [1])


def test_save_and_load_answer_the_same(jobs, build, tmp_path):
    jobs.save(tmp_path / "index")
    again = class_of(build).load(tmp_path / "index", device="cpu")
    assert len(again) == 5
    assert ask(again, [1, 1]) == ask(jobs, [1, 1])
    assert ask(again, [1], space="graph") == ask(jobs, [1], space="graph")
    assert ask(again, [0, 1], where=Clause([["geo=south"]])) == ask(jobs, [0, 1], where=Clause([["geo=south"]]))
    with pytest.raises(ArtefactError):
        type(jobs).load(tmp_path / "nothing")


def test_rows_of_the_largest_norm_survive_a_snapshot(build, tmp_path):
    """Rounding to bf16 makes the second longer than what an upsert takes."""
    index = build(spaces={"v": 5})
    index.upsert([1, 2], vectors={"v": [[1e18, 0, 0, 0, 0], [1e18 / np.sqrt(5)] * 5]})
    index.save(tmp_path / "index")
    again = class_of(build).load(tmp_path / "index")
    assert ask(again, [1, 1, 1, 1, 1], space="v") == ask(index, [1, 1, 1, 1, 1], space="v")


# --- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "dim", "k"), [(1, 1, 1), (7, 3, 7), (33, 5, 40), (130, 17, 3), (257, 64, 10)])
def test_every_index_gives_the_ids_and_bits_of_the_reference(build, rows, dim, k):
    ids, vectors, terms, queries, where, boosts = random_world(rows, rows, dim, batch=23)
    index, twin = build(spaces={"v": dim}), ReferenceIndex(spaces={"v": dim})
    bare = rows // 4
    for each in (index, twin):
        each.upsert(ids[:bare], terms=terms[:bare])
        each.upsert(ids[bare:], vectors={"v": vectors[bare:]}, terms=terms[bare:])
    mine = index.search(queries, space="v", k=k, where=where, boosts=boosts)
    theirs = twin.search(queries, space="v", k=k, where=where, boosts=boosts)
    assert np.array_equal(mine.ids, theirs.ids)
    assert mine.scores.tobytes() == theirs.scores.tobytes()
    assert [index.count(clause) for clause in where] == [twin.count(clause) for clause in where]


def test_a_batch_equals_its_queries_one_by_one_bit_for_bit(build):
    rng = np.random.default_rng(5)
    ids, _, terms, _, where, boosts = random_world(6, rows=90, dim=24, batch=31)
    index = build(spaces={"v": 24})
    index.upsert(ids, vectors={"v": rng.standard_normal((90, 24))}, terms=terms)
    queries = rng.standard_normal((31, 24)).astype(np.float32)
    whole = index.search(queries, space="v", k=9, where=where, boosts=boosts)
    for b in range(31):
        one = index.search(queries[b : b + 1], space="v", k=9, where=where[b : b + 1], boosts=boosts[b : b + 1])
        assert one.ids.tobytes() == whole.ids[b].tobytes()
        assert one.scores.tobytes() == whole.scores[b].tobytes()


def test_scores_are_the_rational_dot_product_rounded_once():
    rng = np.random.default_rng(8)
    vectors = rng.standard_normal((40, 33)).astype(np.float32)
    query = rng.standard_normal(33).astype(np.float32)
    index = Index(spaces={"v": 33})
    index.upsert(np.arange(40), vectors={"v": vectors})
    hits = index.search(query[None], space="v", k=40)
    for row_id, score in zip(hits.ids[0], hits.scores[0], strict=True):
        products = (Fraction(float(q)) * Fraction(float(x)) for q, x in zip(query, vectors[row_id], strict=True))
        assert score == np.float32(float(sum(products)))


def test_bf16_answers_are_exact_on_the_rounded_vectors():
    rng = np.random.default_rng(9)
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    nearest = torch.from_numpy(vectors).bfloat16().float().numpy()
    index, twin = Index(spaces={"v": 8}, precision="bf16"), ReferenceIndex(spaces={"v": 8})
    index.upsert(np.arange(60), vectors={"v": vectors})
    twin.upsert(np.arange(60), vectors={"v": nearest})
    queries = rng.standard_normal((5, 8)).astype(np.float32)
    mine, theirs = index.search(queries, space="v", k=60), twin.search(queries, space="v", k=60)
    assert np.array_equal(mine.ids, theirs.ids)
    assert np.array_equal(mine.scores, theirs.scores)


def test_clauses_and_boosts_of_ten_thousand_terms_work(build):
    index = build(spaces={"v": 1})
    index.upsert(np.arange(50), vectors={"v": np.ones((50, 1))}, terms=[[f"job={i}"] for i in range(50)])
    many = [f"job={i}" for i in range(25, 10_025)]
    assert ask(index, [1], space="v", k=3, where=Clause([many]))[0] == [25, 26, 27]
    assert ask(index, [1], space="v", k=3, where=Clause(none_of=many))[0] == [0, 1, 2]
    assert ask(index, [1], space="v", k=3, where=Clause([[term] for term in many]))[0] == []
    assert ask(index, [1], space="v", k=2, boosts=dict.fromkeys(many, 1.0)) == ([25, 26], [2, 2])


def test_a_clause_that_lets_few_of_many_rows_through_keeps_its_other_conditions(build):
    index = build(spaces={"v": 1})
    terms = [[f"job={i}", f"parity={i % 2}"] for i in range(400)]
    index.upsert(np.arange(400), vectors={"v": np.ones((400, 1))}, terms=terms)
    index.upsert([8], terms=[terms[8]])
    few = [f"job={i}" for i in (4, 5, 6, 8, 10)]
    assert ask(index, [1], space="v", where=Clause([few]))[0] == [4, 5, 6, 10]
    assert ask(index, [1], space="v", where=Clause([few, ["parity=0"]]))[0] == [4, 6, 10]
    assert ask(index, [1], space="v", where=Clause([["parity=0"], few], none_of=["job=6", "parity=1"]))[0] == [4, 10]


def test_a_tie_of_all_rows_gives_the_smallest_ids(build):
    index = build(spaces={"v": 4})
    index.upsert(np.arange(300)[::-1], vectors={"v": np.full((300, 4), 0.25)}, terms=[["a=1"]] * 300)
    assert ask(index, [1, 2, 3, 4], space="v", k=7)[0] == list(range(7))
    assert ask(index, [0, 0, 0, 0], space="v", k=7, boosts={"a=1": -1.0}) == (list(range(7)), [-1] * 7)


# --- refusals --------------------------------------------------------------------------------------------------------

X2 = np.zeros((2, 2), np.float32)
BAD_WRITES = {
    "negative id": (dict(ids=[4, -5]), "-5"),
    "duplicate id": (dict(ids=[8, 8]), "id 8 comes more than once"),
    "fractional id": (dict(ids=[0.5]), "float64"),
    "id beyond int64": (dict(ids=np.array([2**63], np.uint64)), str(2**63)),
    "ids of two axes": (dict(ids=[[1]]), r"\(1, 1\)"),
    "unknown space": (dict(ids=[1], vectors={"text": [[1]]}), "'text'"),
    "wrong dimension": (dict(ids=[1, 2], vectors={"organic": np.zeros((2, 3))}), r"\(2, 3\); expected float32\[2,2\]"),
    "wrong number of vectors": (dict(ids=[1], vectors={"organic": X2}), r"\(2, 2\); expected float32\[1,2\]"),
    "vectors of text": (dict(ids=[1], vectors={"organic": [["a", "b"]]}), "<U1"),
    "vectors not a mapping": (dict(ids=[1, 2], vectors=X2), "ndarray"),
    "NaN": (dict(ids=[1], vectors={"organic": [[1, float("nan")]]}), r"\['organic'\]\[0,1\] is nan"),
    "infinity": (dict(ids=[1], vectors={"organic": [[-INFINITY, 0]]}), "is -inf"),
    "beyond float32": (dict(ids=[1], vectors={"organic": [[1e300, 0]]}), "is inf"),
    "norm too large": (dict(ids=[1], vectors={"organic": [[8e17, 8e17]]}), r"norm 1\.13137e\+18"),
    "term without =": (dict(ids=[1], terms=[["geo"]]), "'geo'"),
    "term without value": (dict(ids=[1], terms=[["geo="]]), "'geo='"),
    "term without field": (dict(ids=[1], terms=[["=north"]]), "'=north'"),
    "empty term": (dict(ids=[1], terms=[[""]]), "''"),
    "term not text": (dict(ids=[1], terms=[[7]]), "7"),
    "row of terms a string": (dict(ids=[1], terms=["geo=north"]), "'geo=north'"),
    "terms a string": (dict(ids=[1], terms="geo=north"), "'geo=north'"),
    "terms a number": (dict(ids=[1], terms=5), "5"),
    "row of terms a number": (dict(ids=[1], terms=[5]), "5"),
    "too few rows of terms": (dict(ids=[1, 2], terms=[["geo=north"]]), "terms has 1 rows, ids has 2"),
    "malformed term in pyarrow": (dict(ids=[1], terms=pa.array([["geo"]])), "'geo'"),
    "null in pyarrow": (dict(ids=[1], terms=pa.array([["a=1", None]])), "null"),
    "pyarrow of numbers": (dict(ids=[1], terms=pa.array([[1]])), "int64"),
    "pyarrow not nested": (dict(ids=[1], terms=pa.array(["a=1"])), "expected list<string>"),
}


@pytest.mark.parametrize("case", BAD_WRITES)
def test_a_refused_write_names_the_value_and_changes_nothing(jobs, case):
    arguments, message = BAD_WRITES[case]
    before = ask(jobs, [1, 1]), ask(jobs, [1], space="graph")
    arguments = {"vectors": {"organic": np.zeros((len(arguments["ids"]), 2))}, **arguments}
    with pytest.raises(IndexInputError, match=message):
        jobs.upsert(**arguments)
    assert (ask(jobs, [1, 1]), ask(jobs, [1], space="graph")) == before
    assert jobs.terms_of(1) == ["geo=north", "remote=yes"]
    assert jobs.count(Clause()) == len(jobs) == 5


@pytest.mark.parametrize("ids", [[-1], [2, 2]])
def test_delete_refuses_negative_and_repeated_ids(jobs, ids):
    with pytest.raises(IndexInputError, match=str(ids[0])):
        jobs.delete(ids)
    assert len(jobs) == 5


Q2 = np.ones((2, 2), np.float32)
BAD_SEARCHES = {
    "unknown space": (dict(space="text"), "'text'"),
    "wrong dimension": (dict(queries=np.ones((2, 3))), r"\(2, 3\); expected float32\[n,2\]"),
    "one axis": (dict(queries=np.ones(2)), r"\(2,\)"),
    "NaN": (dict(queries=[[0, float("nan")]]), r"queries\[0,1\] is nan"),
    "infinity": (dict(queries=[[INFINITY, 0]]), r"queries\[0,0\] is inf"),
    "norm too large": (dict(queries=[[2e18, 0]]), r"2e\+18"),
    "k of zero": (dict(k=0), "k is 0"),
    "k negative": (dict(k=-3), "k is -3"),
    "k fractional": (dict(k=1.5), "1.5"),
    "k a truth value": (dict(k=True), "True"),
    "too many hits": (dict(k=2**26 + 1), str(2**27 + 2)),
    "one clause for all": (dict(where=Clause()), "Clause"),
    "too few clauses": (dict(where=[None]), "1 items for 2 queries"),
    "clause of lists": (dict(where=[None, [["geo=north"]]]), r"where\[1\]"),
    "too many boosts": (dict(boosts=[None] * 3), "3 items for 2 queries"),
    "one boost for all": (dict(boosts={"a=1": 1.0}), "dict"),
    "boost not a mapping": (dict(boosts=[None, 3.0]), r"boosts\[1\] is 3.0"),
    "boost of a malformed term": (dict(boosts=[None, {"geo": 1.0}]), "'geo'"),
    "boost NaN": (dict(boosts=[None, {"a=1": float("nan")}]), "nan"),
    "boost infinite": (dict(boosts=[None, {"a=1": -INFINITY}]), "-inf"),
    "boost of text": (dict(boosts=[None, {"a=1": "2"}]), "'2'"),
    "boost too large": (dict(boosts=[None, {"a=1": 6e37, "a=2": -6e37}]), r"1\.2e\+38"),
}


@pytest.mark.parametrize("case", BAD_SEARCHES)
def test_a_refused_search_names_the_value(jobs, case):
    changes, message = BAD_SEARCHES[case]
    with pytest.raises(IndexInputError, match=message):
        jobs.search(**{"queries": Q2, "space": "organic", "k": 3, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(all_of="geo=north"), "geo=north"),
        (dict(all_of=["geo=north"]), r"all_of\[0\] is 'geo=north'"),
        (dict(all_of=[["geo"]]), "'geo'"),
        (dict(all_of=[None]), "None"),
        (dict(all_of=5), "5"),
        (dict(none_of="geo=north"), "none_of is 'geo=north'"),
        (dict(none_of=["=x"]), "'=x'"),
    ],
)
def test_a_malformed_clause_can_not_be_built(arguments, message):
    with pytest.raises(IndexInputError, match=message):
        Clause(**arguments)


def test_a_value_may_hold_any_character(build):
    index = build(spaces={"v": 1})
    term = "title=C++ = größer, \x00 = x\n"
    index.upsert([1], terms=[[term]])
    assert index.count(Clause([[term]])) == 1


@pytest.mark.parametrize("spaces", [{}, {"v": 0}, {"v": 1.5}, {"": 3}, {"v": 2**16 + 1}, ["v"]])
def test_impossible_spaces_are_refused(build, spaces):
    with pytest.raises(IndexInputError):
        build(spaces=spaces)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_cuda_device_auto_is_the_cpu_and_cuda_is_refused():
    assert Index(spaces={"v": 1}, device="auto").device == "cpu"
    with pytest.raises(ConfigError, match="'cuda'"):
        Index(spaces={"v": 1}, device="cuda")


def test_devices_and_precisions_are_checked():
    with pytest.raises(IndexInputError, match="'tpu'"):
        Index(spaces={"v": 1}, device="tpu")
    with pytest.raises(IndexInputError, match="'int3'"):
        Index(spaces={"v": 1}, precision="int3")
