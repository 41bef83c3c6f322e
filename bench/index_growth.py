"""How the time of a query grows with the rows: three sizes of one world in one run, the same queries, interleaved.

The power is that of time against rows, by least squares on logarithms; 1 is linear, less is better. The last step alone
is given as well: the smallest size may lie in the processor's caches, the others do not.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_build import empty_index, insert, search, search_alone
from bench.index_process import in_process
from bench.index_queries import workloads
from bench.index_rounds import interleave
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import World


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_growth")


def measure(size: Size) -> dict[str, Any]:
    """Milliseconds a query per size, for the batch and one by one, and the power of growth at every pass rate."""
    world = World(size.dimension)
    batches = workloads(world, min(size.sizes), size.batch)
    indexes = {rows: empty_index(world, size) for rows in size.sizes}
    truths = {rows: [Truth(batch, size.k) for batch in batches] for rows in size.sizes}
    for piece in world.pieces(max(size.sizes)):
        for rows, index in indexes.items():
            inside = piece.only(piece.ids < rows)
            if len(inside):
                insert(index, inside)
                for truth in truths[rows]:
                    truth.add(inside)
    say(f"{', '.join(f'{len(index):,}' for index in indexes.values())} rows ready")
    table = []
    for way, ask in (("batch", search), ("single", search_alone)):
        for place, batch in enumerate(batches):
            methods = {str(rows): partial(ask, index, batch, size.k) for rows, index in indexes.items()}
            timed = interleave(methods, size.rounds)
            by_size = {
                name: time.summary(len(batch) / 1e3) | {"recall": truths[int(name)][place].recall(time.answer)}
                for name, time in timed.items()
            }
            medians = {int(name): figure["median"] for name, figure in by_size.items()}
            row = {"way": way, "pass_rate": truths[max(size.sizes)][place].pass_rate, "sizes": by_size}
            row |= {"power": power_of(medians), "last_power": power_of(dict(sorted(medians.items())[-2:]))}
            say(f"{way}, {row['pass_rate']:.2%}: power {row['power']:.2f}, last step {row['last_power']:.2f}")
            table.append(row)
    return size.described() | {"table": table}


def power_of(times: dict[int, float]) -> float:
    """The exponent of {rows: time}."""
    return float(np.polyfit(np.log(list(times)), np.log(list(times.values())), 1)[0])


def show(result: dict[str, Any]) -> list[list[str]]:
    sizes = [str(rows) for rows in result["sizes"]]
    rows = [["asked as", "pass rate", *(f"{int(name):,} rows: ms (recall)" for name in sizes), "power", "last step"]]
    for row in result["table"]:
        cells = [f"{row['sizes'][name]['median']:.4f} ({row['sizes'][name]['recall']:.4f})" for name in sizes]
        rows.append([row["way"], f"{row['pass_rate']:.2%}", *cells, f"{row['power']:.2f}", f"{row['last_power']:.2f}"])
    return rows
