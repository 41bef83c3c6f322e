"""Counting the rows of a clause: the index beside tantivy and Roaring bitmaps, a call per clause, interleaved.

tantivy runs its fastest way of counting at that pass rate, queries built beforehand; the index parses its clause in the
call. "In a batch": all clauses of a batch at once into bitmaps, as a search does it. "Right": the share of clauses
whose count is that of brute force.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_build import empty_index, insert
from bench.index_figures import MISSING, OURS, interval
from bench.index_peers import Postings, installed
from bench.index_process import in_process
from bench.index_queries import Workload, workloads
from bench.index_rounds import interleave, ratio
from bench.index_size import Size, say
from bench.index_tantivy import Tantivy
from bench.index_truth import Truth
from bench.index_world import World
from gpu_index import Index
from gpu_index.bitmap import words_for
from gpu_index.cpu.masks import evaluate

DIMENSION = 8  # vectors play no part here
TANTIVY, ROARING = "tantivy", "Roaring"
TOGETHER = "index, a batch at once"


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_clauses")


def measure(size: Size) -> dict[str, Any]:
    """Microseconds a clause of every method at every pass rate."""
    world = World(DIMENSION)
    index = empty_index(world, size)
    truths = [Truth(batch, 1) for batch in workloads(world, size.rows, size.batch)]
    postings = Postings() if size.wants(ROARING) and installed("pyroaring") else None
    engine = Tantivy() if size.wants(TANTIVY) and installed("tantivy") else None
    for piece in world.pieces(size.rows):
        insert(index, piece)
        for part in (*truths, postings, engine):
            if part is not None:
                part.add(piece)
    for part in (postings, engine):
        if part is not None:
            part.finish()
    say(f"{size.rows:,} rows ready")
    return size.described() | {"table": [_row(size, truth, index, postings, engine) for truth in truths]}


def _row(size: Size, truth: Truth, index: Index, postings: Postings | None, engine: Tantivy | None) -> dict[str, Any]:
    batch = truth.workload
    methods: dict[str, Callable[[], list[int]]] = {
        OURS: partial(_ours, index, batch),
        TOGETHER: partial(_together, index, batch),
    }
    way = None
    if postings is not None:
        methods[ROARING] = lambda: [len(postings.bitmap(clause)) for clause in batch.clauses]
    if engine is not None:
        queries = [engine.query(clause) for clause in batch.clauses]
        ways = {name: partial(_each, count, queries) for name, count in engine.counters().items()}
        trial = interleave(ways, 1)
        way = min(ways, key=lambda name: trial[name].wall[0])
        methods[TANTIVY] = ways[way]
    timed = interleave(methods, size.rounds)
    found = {
        name: time.summary(len(batch) / 1e6)
        | {"right": float(np.mean(np.array(time.answer) == truth.matches)), "ratio": ratio(time, timed[OURS])}
        for name, time in timed.items()
    }
    say(f"{truth.pass_rate:.2%}: " + ", ".join(f"{name} {figure['median']:.0f} us" for name, figure in found.items()))
    return {"pass_rate": truth.pass_rate, "methods": found, "tantivy_way": way}


def _ours(index: Index, batch: Workload) -> list[int]:
    return [index.count(clause) for clause in batch.where]


def _together(index: Index, batch: Workload) -> list[int]:
    """What a search of a batch does first; there is no call of the index that stops there."""
    rows, clauses = index._rows, [index._terms.numbered(clause) for clause in batch.where]
    masks = np.empty((len(batch), words_for(rows.extent)), np.uint64)
    return evaluate(index._engine._inverted, clauses, rows.live[: masks.shape[1]], masks).tolist()


def _each(count: Callable[[Any], int], queries: list[Any]) -> list[int]:
    return [count(query) for query in queries]


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["pass rate", "index us/clause", "right", "in a batch", "right", "tantivy us, times", "its way", "right"]
    rows = [[*head, "Roaring us, times", "right"]]
    for row in result["table"]:
        cells = [f"{row['pass_rate']:.2%}"]
        for name in (OURS, TOGETHER):
            cells += [f"{row['methods'][name]['median']:.1f}", f"{row['methods'][name]['right']:.3f}"]
        for name in (TANTIVY, ROARING):
            method = row["methods"].get(name)
            cells.append(f"{method['median']:.0f}, {interval(method['ratio'])}" if method else MISSING)
            if name == TANTIVY:
                cells.append(row["tantivy_way"] or "-")
            cells.append(f"{method['right']:.3f}" if method else "-")
        rows.append(cells)
    return rows
