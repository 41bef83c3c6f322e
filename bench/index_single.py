"""The index beside exact peers, one query a call, interleaved on the same threads.

As in the table of batches; a figure is the mean over the queries of a batch, asked one after another. "Of roofline":
the time to read the passing rows in bfloat16 and one mask.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_bandwidth import read_bandwidth, single_scan_bytes
from bench.index_build import build, search_alone
from bench.index_figures import MISSING, OURS, figures, our_cells, peer_cell, progress, rounds_of_the_promising
from bench.index_peers import EXACT, MULTIPLIED, Method, peers
from bench.index_process import in_process
from bench.index_queries import Workload, workloads
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import World


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_single")


def measure(size: Size) -> dict[str, Any]:
    """Milliseconds a query of every exact method at every dimension and pass rate."""
    return size.described() | {"table": [row for dimension in size.dimensions for row in _dimension(size, dimension)]}


def _dimension(size: Size, dimension: int) -> list[dict[str, Any]]:
    world = World(dimension)
    truths = [Truth(batch, size.k) for batch in workloads(world, size.rows, size.batch)]
    built = build(world, size, truths, with_peers=True)
    others = peers(size, built.postings, built.vectors, among=EXACT)
    table = []
    for truth in truths:
        batch = truth.workload
        methods = {OURS: partial(search_alone, built.index, batch, size.k)}
        methods |= {name: partial(_alone, method, batch) for name, method in others.items()}
        timed, skipped = rounds_of_the_promising(methods, size.rounds)
        bandwidth = read_bandwidth(size.threads)
        row = {"dimension": dimension, "wanted_pass_rate": batch.pass_rate, "pass_rate": truth.pass_rate}
        row |= figures(timed, truth.recall, len(batch), skipped)
        floor = single_scan_bytes(size.rows, dimension, truth.pass_rate) / bandwidth * 1e3
        row |= {"read_gb_per_second": bandwidth / 1e9, "share_of_roofline": floor / row["methods"][OURS]["median"]}
        say(f"d {dimension}, {truth.pass_rate:.2%}: {progress(row)}")
        table.append(row)
    return table


def _alone(method: Method, workload: Workload) -> np.ndarray:
    return np.concatenate([method(one) for one in workload.alone])


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["d", "pass rate", "ms/query", "recall", "best FAISS Flat", "which", MULTIPLIED, "of roofline"]]
    for row in result["table"]:
        flat = row["best_flat"]
        cells = [str(row["dimension"]), f"{row['pass_rate']:.2%}", *our_cells(row)]
        cells += [peer_cell(row, flat), (flat or MISSING).removeprefix("FAISS Flat, "), peer_cell(row, MULTIPLIED)]
        rows.append([*cells, f"{row['share_of_roofline']:.0%}"])
    return rows
