"""The index beside exact and approximate peers: a batch of queries, a clause each, interleaved on the same threads.

Every method evaluates the clauses itself (the peers with Roaring bitmaps); recall is against brute force in float64.
A peer's cell is its milliseconds a query (recall) and how many times the index's time that is, median over the rounds
with the 10th and 90th percentile. "Of roofline": the time to read the rows once in bfloat16 and a mask per query, at
the bandwidth measured in the same run, over the index's time.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bench.index_bandwidth import read_bandwidth, shared_scan_bytes
from bench.index_build import build, search
from bench.index_figures import MISSING, OURS, figures, our_cells, peer_cell, progress, rounds_of_the_promising
from bench.index_peers import HNSW, IVF, MULTIPLIED, peers
from bench.index_process import in_process
from bench.index_queries import workloads
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import World


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index")


def measure(size: Size) -> dict[str, Any]:
    """Milliseconds a query of every method at every dimension and pass rate."""
    return size.described() | {"table": [row for dimension in size.dimensions for row in _dimension(size, dimension)]}


def _dimension(size: Size, dimension: int) -> list[dict[str, Any]]:
    world = World(dimension)
    truths = [Truth(batch, size.k) for batch in workloads(world, size.rows, size.batch)]
    built = build(world, size, truths, with_peers=True)
    others = peers(size, built.postings, built.vectors)
    table = []
    for truth in truths:
        batch = truth.workload
        methods = {OURS: partial(search, built.index, batch, size.k)}
        methods |= {name: partial(method, batch) for name, method in others.items()}
        timed, skipped = rounds_of_the_promising(methods, size.rounds)
        bandwidth = read_bandwidth(size.threads)
        row = {"dimension": dimension, "wanted_pass_rate": batch.pass_rate, "pass_rate": truth.pass_rate}
        row |= figures(timed, truth.recall, len(batch), skipped)
        floor = shared_scan_bytes(size.rows, dimension, len(batch)) / bandwidth / len(batch) * 1e3
        row |= {"read_gb_per_second": bandwidth / 1e9, "share_of_roofline": floor / row["methods"][OURS]["median"]}
        say(f"d {dimension}, {truth.pass_rate:.2%}: {progress(row)}")
        table.append(row)
    return table


def show(result: dict[str, Any]) -> list[list[str]]:
    peer_heads = ["best FAISS Flat", "which", MULTIPLIED, f"{HNSW} ef 128", f"{IVF} nprobe 64"]
    rows = [["d", "pass rate", "ms/query", "recall", *peer_heads, "of roofline"]]
    for row in result["table"]:
        flat = row["best_flat"]
        cells = [str(row["dimension"]), f"{row['pass_rate']:.2%}", *our_cells(row)]
        cells += [peer_cell(row, flat), (flat or MISSING).removeprefix("FAISS Flat, ")]
        cells += [peer_cell(row, name) for name in (MULTIPLIED, HNSW, IVF)]
        rows.append([*cells, f"{row['share_of_roofline']:.0%}"])
    return rows
