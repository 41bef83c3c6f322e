"""The peers of the index benchmarks answer the question that is asked, or the comparison would be worth nothing."""

from dataclasses import replace

import numpy as np
import pytest

from bench.index_peers import EXACT, HNSW, IVF, Postings, peers
from bench.index_queries import workload
from bench.index_size import Size
from bench.index_tantivy import Tantivy
from bench.index_truth import Truth
from bench.index_world import TermClause, World

SIZE = Size(rows=3_000, dimensions=(8,), batch=4, k=40, build_threads=1)
ROWS = World(8).piece(0, SIZE.rows)
BATCHES = [workload(ROWS, rate, SIZE.batch, np.random.default_rng(0)) for rate in (0.5, 0.1, 0.01)]
NOBODY = np.empty(0, np.int64)


@pytest.fixture(scope="module")
def postings():
    pytest.importorskip("pyroaring")
    postings = Postings()
    postings.add(ROWS.only(np.arange(1_000)))
    postings.add(ROWS.only(np.arange(1_000, SIZE.rows)))
    postings.finish()
    return postings


def test_roaring_finds_the_rows_of_a_clause(postings):
    unseen = np.setdiff1d(np.arange(3_057, 23_057), ROWS.columns)[:1]
    odd = [TermClause((), NOBODY), TermClause((NOBODY,), NOBODY), TermClause((unseen,), NOBODY), TermClause((), unseen)]
    for clause in [*odd, *(clause for batch in BATCHES for clause in batch.clauses)]:
        assert postings.ids(clause).tolist() == np.flatnonzero(clause.passes(ROWS.columns)).tolist()


def test_exact_peers_find_what_brute_force_finds_also_where_less_than_k_match(postings):
    pytest.importorskip("faiss")
    for batch in BATCHES:
        truth = Truth(batch, SIZE.k)
        truth.add(ROWS)
        methods = peers(SIZE, postings, ROWS.vectors, EXACT)
        assert set(methods) == set(EXACT)
        for method in methods.values():
            found = method(batch)
            assert truth.recall(found) == 1.0
            assert ((found >= 0).sum(1) == np.minimum(truth.matches, SIZE.k)).all()


def test_approximate_peers_keep_to_the_clause(postings):
    pytest.importorskip("faiss")
    for name, method in peers(SIZE, postings, ROWS.vectors, (HNSW, IVF)).items():
        for batch in BATCHES:
            for clause, found in zip(batch.clauses, method(batch), strict=True):
                assert np.isin(found[found >= 0], postings.ids(clause)).all(), name


def test_a_kept_graph_answers_as_the_one_that_was_built(postings, tmp_path):
    pytest.importorskip("faiss")
    keeping = replace(SIZE, graphs=str(tmp_path / "graphs"))
    built, read = (peers(keeping, postings, ROWS.vectors, (HNSW,))[HNSW](BATCHES[0]) for _ in range(2))
    assert len(list((tmp_path / "graphs").iterdir())) == 1
    assert np.array_equal(built, read)
    peers(keeping, postings, -ROWS.vectors, (HNSW,))
    assert len(list((tmp_path / "graphs").iterdir())) == 2


def test_only_wanted_peers_are_built(postings):
    assert set(peers(Size(methods=("matrix",)), postings, ROWS.vectors)) == {EXACT[2]}
    assert peers(Size(methods=("nothing",)), postings, ROWS.vectors) == {}
    assert peers(SIZE, None, None) == {}


def test_every_way_of_tantivy_counts_the_rows_of_a_clause():
    pytest.importorskip("tantivy")
    engine = Tantivy()
    engine.add(ROWS)
    engine.finish()
    assert engine.searcher.num_segments == 1
    for clause in (clause for batch in BATCHES for clause in batch.clauses):
        query = engine.query(clause)
        counts = {count(query) for count in engine.counters().values()}
        assert counts == {int(clause.passes(ROWS.columns).sum())}
