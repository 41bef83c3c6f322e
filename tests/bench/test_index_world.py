"""The rows and queries of the index benchmarks: seeded, prefixes of each other, and clauses that mean what they say."""

import numpy as np
import pytest

from bench.index_queries import HIGHEST, LOWEST, workload
from bench.index_world import FIELDS, PIECE, TERMS, WORDS, Rows, TermClause, World, drawn, zipf
from gpu_index import Index
from market.errors import ConfigError

SAMPLE = World(4).piece(0, 6_000)


def same(one: Rows, other: Rows) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("ids", "vectors", "columns", "clusters")
    )


def test_a_smaller_world_is_a_prefix_of_a_larger_one():
    assert same(World(4).piece(0, 50), SAMPLE.only(np.arange(50)))
    *_, last = World(4).pieces(PIECE + 30)
    assert same(last, World(4).piece(1, 30))
    assert last.ids.tolist() == list(range(PIECE, PIECE + 30))


def test_another_seed_gives_other_rows_and_another_dimension_the_same_terms():
    assert not np.array_equal(World(4, seed=2).piece(0, 50).columns, SAMPLE.columns[:, :50])
    assert np.array_equal(World(7).piece(0, 50).columns, SAMPLE.columns[:, :50])


def test_vectors_have_norm_one_and_rows_about_ten_terms_within_their_fields():
    assert np.allclose(np.linalg.norm(SAMPLE.vectors, axis=1), 1, atol=1e-6)
    row, _ = SAMPLE.pairs()
    assert 10.4 < len(row) / len(SAMPLE) < 10.8
    assert sum(field.size for field in FIELDS) == TERMS == len(WORDS) == len(set(WORDS))
    for field in FIELDS:
        columns = SAMPLE.columns[list(field.columns)]
        assert columns.min() >= field.first
        assert columns.max() < field.first + field.size


def test_terms_are_the_columns_of_a_row_each_once():
    for bag, column in zip(SAMPLE.terms().to_pylist()[:200], SAMPLE.columns.T, strict=False):
        assert bag == [WORDS[term] for term in sorted(set(column.tolist()))]


def test_mixed_rows_come_from_the_one_or_the_other():
    old = World(4, seed=2).piece(0, 10)
    new = SAMPLE.only(np.arange(10))
    mixed = new.mixed(old, new.ids % 2 == 1)
    assert same(mixed.only(np.arange(0, 10, 2)), new.only(np.arange(0, 10, 2)))
    assert np.array_equal(mixed.vectors[1::2], old.vectors[1::2])
    assert np.array_equal(mixed.columns[:, 1::2], old.columns[:, 1::2])


def test_ranks_follow_zipfs_law():
    counts = np.bincount(zipf(np.random.default_rng(0), 3, 1.0, 110_000), minlength=3)
    assert np.allclose(counts / 10_000, [6, 3, 2], rtol=0.05)
    assert np.bincount(drawn(np.random.default_rng(0), np.array([0.0, 1.0, 1.0]), 100)).tolist() == [0, 100]


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 0.001])
def test_every_query_passes_about_the_wanted_share_and_has_its_own_clause(rate):
    batch = workload(SAMPLE, rate, 6, np.random.default_rng(1))
    shares = [clause.passes(SAMPLE.columns).mean() for clause in batch.clauses]
    assert all(LOWEST * rate <= share <= HIGHEST * rate for share in shares)
    assert len({str(clause) for clause in batch.clauses}) == 6
    assert np.allclose(np.linalg.norm(batch.vectors, axis=1), 1, atol=1e-6)
    assert [len(one) for one in batch.alone] == [1] * 6
    assert np.array_equal(np.concatenate([one.vectors for one in batch.alone]), batch.vectors)


def test_a_share_that_no_clause_can_pass_is_refused():
    with pytest.raises(ConfigError, match="use more rows"):
        workload(SAMPLE.only(np.arange(10)), 0.0001, 2, np.random.default_rng(1))


def test_a_clause_passes_the_rows_that_sets_of_terms_say_and_the_index_counts_the_same():
    rows = SAMPLE.only(np.arange(1_500))
    index = Index(spaces={"v": 4})
    index.upsert(rows.ids, terms=rows.terms())
    bags = [set(column) for column in rows.columns.T.tolist()]
    for rate in (0.5, 0.1, 0.01):
        for clause in workload(SAMPLE, rate, 3, np.random.default_rng(2)).clauses:
            wanted = [
                all(bag & set(group.tolist()) for group in clause.groups) and not bag & set(clause.none_of.tolist())
                for bag in bags
            ]
            assert clause.passes(rows.columns).tolist() == wanted
            assert index.count(clause.named()) == sum(wanted)


def test_a_clause_without_groups_passes_everything_and_an_empty_group_nothing():
    nobody = np.empty(0, np.int64)
    assert TermClause((), nobody).passes(SAMPLE.columns).all()
    assert not TermClause((nobody,), nobody).passes(SAMPLE.columns).any()
