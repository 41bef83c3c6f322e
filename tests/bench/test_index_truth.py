"""Brute force of the index benchmarks against sorting everything, and the clock that compares methods."""

import numpy as np
import pytest

from bench.index_bandwidth import read_bandwidth, shared_scan_bytes, single_scan_bytes
from bench.index_figures import OURS, figures, hopeless, peer_cell, rounds_of_the_promising
from bench.index_growth import power_of
from bench.index_peers import FLAT_ARRAY, FLAT_BITMAP, MULTIPLIED
from bench.index_queries import Workload, workload
from bench.index_rounds import Timed, interleave, ratio
from bench.index_tighter import over_looser
from bench.index_truth import Truth
from bench.index_world import Rows, TermClause, World

ROWS = World(4).piece(0, 3_000)
BATCH = workload(ROWS, 0.1, 3, np.random.default_rng(0))


def sorted_out(rows: Rows, batch: Workload, k: int, boosts: dict[int, float]) -> list[list[int]]:
    """The same question by sorting Python tuples."""
    found = []
    for query, clause in zip(batch.vectors.astype(float), batch.clauses, strict=True):
        scored = [
            (-np.float32(vector @ query + sum(boosts.get(term, 0) for term in set(bag))), row)
            for row, vector, bag, passed in zip(
                rows.ids.tolist(),
                rows.vectors.astype(float),
                rows.columns.T.tolist(),
                clause.passes(rows.columns),
                strict=True,
            )
            if passed
        ]
        found.append([row for _, row in sorted(scored)[:k]])
    return found


@pytest.mark.parametrize("boosts", [{}, {3_048: 0.5, 3_055: -0.25}])
def test_truth_is_what_sorting_gives_whatever_the_order_of_the_pieces(boosts):
    truth = Truth(BATCH, 7, [boosts] * 3 if boosts else None)
    for part in (slice(2_000, 3_000), slice(0, 900), slice(900, 2_000)):
        truth.add(ROWS.only(np.arange(3_000)[part]))
    right = sorted_out(ROWS, BATCH, 7, boosts)
    assert truth.recall(np.array(right)) == 1.0
    assert truth.rows == 3_000
    assert truth.matches.tolist() == [clause.passes(ROWS.columns).sum() for clause in BATCH.clauses]


def test_ties_belong_to_smaller_ids():
    twins = ROWS.only(np.zeros(9, int))
    rows = Rows(np.arange(9)[::-1], twins.vectors, twins.columns, twins.clusters)
    truth = Truth(Workload(1.0, twins.vectors[:1], (TermClause((), np.empty(0, int)),)), 3)
    truth.add(rows)
    assert truth.recall(np.array([[0, 1, 2]])) == 1.0
    assert truth.recall(np.array([[0, 1, 8]])) == pytest.approx(2 / 3)


def test_recall_counts_the_right_rows_and_padding_for_nothing():
    truth = Truth(BATCH, 5)
    truth.add(ROWS)
    right = np.array(sorted_out(ROWS, BATCH, 5, {}))
    assert truth.recall(right[:, ::-1]) == 1.0
    right[:, 0] = -1
    assert truth.recall(right) == pytest.approx(0.8)


def test_methods_take_turns_and_another_one_begins_each_round():
    order: list[str] = []
    timed = interleave({name: lambda name=name: order.append(name) or name for name in "abc"}, 2)
    assert [name for place, name in enumerate(order) if place == 0 or order[place - 1] != name] == list("abcabcbca")
    assert timed["b"].answer == "b"
    assert timed["b"].wall.shape == timed["b"].cpu.shape == (2,)


def took(*wall: float) -> Timed:
    return Timed(np.array(wall), np.array(wall), None)


def test_ratios_are_taken_round_by_round():
    assert ratio(took(4.0, 20.0, 6.0), took(2.0, 10.0, 2.0))["median"] == 2.0
    assert over_looser([took(1.0, 1.0), took(2.0, 2.0), took(0.5, 1.5)]) == [0.0, 2.0, 1.0]
    assert power_of({10: 1.0, 100: 10.0}) == pytest.approx(1.0)


def test_slow_exact_peers_are_asked_once_and_shown_as_such():
    skipped = hopeless({FLAT_ARRAY: 1.0, FLAT_BITMAP: 9.0, MULTIPLIED: 1.5})
    assert skipped == {FLAT_BITMAP: 9.0}
    timed = {FLAT_ARRAY: took(1.0, 1.0), MULTIPLIED: took(1.5, 1.5), OURS: took(0.5, 0.5)}
    row = figures(timed, lambda answer: 1.0, 1, skipped)
    assert row["best_flat"] == FLAT_ARRAY
    assert peer_cell(row, FLAT_ARRAY) == "1000.000 (1.000), 2.0 [2.0, 2.0]"
    assert peer_cell(row, FLAT_BITMAP) == "9000.000, 18.0 (one call)"
    assert peer_cell(row, "FAISS HNSW") == peer_cell(row, None) == "not measured"


def test_methods_that_keep_up_run_all_rounds():
    timed, skipped = rounds_of_the_promising({OURS: lambda: 1, FLAT_ARRAY: lambda: 2, "FAISS IVF": lambda: 3}, 3)
    assert {name: (time.answer, len(time.wall)) for name, time in timed.items()} == {
        OURS: (1, 3),
        FLAT_ARRAY: (2, 3),
        "FAISS IVF": (3, 3),
    }
    assert not skipped


def test_bytes_of_a_scan_are_the_arithmetic_of_the_reference():
    assert shared_scan_bytes(1_000_000, 64, 64) == 128e6 + 8e6
    assert single_scan_bytes(1_000_000, 64, 0.5) == 64e6 + 125e3
    assert read_bandwidth(2, 2**20) > 1e7
