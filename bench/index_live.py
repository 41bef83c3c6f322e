"""The index while rows come and go: cost a row of inserts and deletes, and speed after replacing half of the rows.

Two indexes, same contents: one filled once; in the other every second row first held something else and was replaced.
Then a fifth of the rows is deleted from the second, and its speed compared with that of the first, which still has all.
Each batch is asked of both in turn. FAISS Flat removes rows by shifting the others; FAISS HNSW can not remove.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_build import CHUNK, build, empty_index, insert, search
from bench.index_peers import installed
from bench.index_process import in_process
from bench.index_queries import workloads
from bench.index_rounds import interleave, ratio, seconds_of
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import World
from gpu_index import Index

OTHER_SEED = 2  # of the contents that are replaced
DELETED = 0.2
REMOVED = (1, 1_000)  # rows, by FAISS


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_live")


def measure(size: Size) -> dict[str, Any]:
    """Microseconds a row, and times of the changed index over those of the fresh one per pass rate."""
    world = World(size.dimension)
    truths = [Truth(batch, size.k) for batch in workloads(world, size.rows, size.batch)]
    fresh = build(world, size, truths, with_peers=True)
    changed, replace_seconds = _changed(world, size)
    half = _compare(size, fresh.index, changed, truths)
    gone = np.random.default_rng(0).permutation(size.rows)[: int(DELETED * size.rows)]
    delete_seconds = np.array(
        [seconds_of(partial(changed.delete, gone[begin : begin + CHUNK])) for begin in range(0, len(gone), CHUNK)]
    )
    rest = _compare(size, fresh.index, changed, _truths_without(world, size, gone))
    rows_a_call = min(CHUNK, size.rows)
    return size.described() | {
        "insert_us": _spread(fresh.insert_seconds, rows_a_call),
        "replace_us": _spread(replace_seconds, rows_a_call),
        "delete_us": _spread(delete_seconds, min(CHUNK, len(gone))),
        "table": [{"what": "half of the rows replaced"} | row for row in half]
        + [{"what": f"then {DELETED:.0%} deleted"} | row for row in rest],
        "faiss_remove_ms": _faiss_remove(fresh.vectors),
    }


def _changed(world: World, size: Size) -> tuple[Index, np.ndarray]:
    """An index with the rows of the world, every second of them in place of another row; the seconds of replacing."""
    index, other = empty_index(world, size), World(world.dimension, OTHER_SEED)
    for piece, old in zip(world.pieces(size.rows), other.pieces(size.rows), strict=True):
        insert(index, piece.mixed(old, piece.ids % 2 == 1))
    seconds = []
    for piece in world.pieces(size.rows):
        seconds += insert(index, piece.only(piece.ids % 2 == 1))
    return index, np.array(seconds)


def _truths_without(world: World, size: Size, gone: np.ndarray) -> list[Truth]:
    truths = [Truth(batch, size.k) for batch in workloads(world, size.rows, size.batch)]
    deleted = np.zeros(size.rows, bool)
    deleted[gone] = True
    for piece in world.pieces(size.rows):
        kept = piece.only(~deleted[piece.ids])
        for truth in truths:
            truth.add(kept)
    return truths


def _compare(size: Size, fresh: Index, changed: Index, truths: list[Truth]) -> list[dict[str, Any]]:
    """Per pass rate, both indexes in turn; recall of the changed one."""
    table = []
    for truth in truths:
        batch = truth.workload
        timed = interleave(
            {"fresh": partial(search, fresh, batch, size.k), "changed": partial(search, changed, batch, size.k)},
            max(size.rounds, 9),
        )
        row = {name: time.summary(len(batch) / 1e3) for name, time in timed.items()}
        row |= {"pass_rate": truth.pass_rate, "recall": truth.recall(timed["changed"].answer)}
        row["ratio"] = ratio(timed["changed"], timed["fresh"])
        say(f"{truth.pass_rate:.2%}: changed over fresh {row['ratio']['median']:.3f}, recall {row['recall']:.4f}")
        table.append(row)
    return table


def _spread(seconds: np.ndarray, rows: int) -> dict[str, float]:
    """Microseconds a row: mean, and 10th and 90th percentile over the calls."""
    low, high = (np.percentile(seconds, [10, 90]) / rows * 1e6).tolist()
    return {"mean": float(seconds.mean()) / rows * 1e6, "p10": low, "p90": high}


def _faiss_remove(vectors: np.ndarray | None) -> dict[str, float]:
    """Milliseconds a call of remove_ids of FAISS Flat."""
    if vectors is None or not installed("faiss"):
        return {}
    import faiss

    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    rng = np.random.default_rng(0)
    return {
        str(count): seconds_of(partial(flat.remove_ids, rng.choice(flat.ntotal // 2, count, replace=False))) * 1e3
        for count in REMOVED
        if count < flat.ntotal // 2
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["what", "pass rate", "fresh ms/query", "changed ms/query", "changed over fresh", "recall"]]
    for row in result["table"]:
        over = row["ratio"]
        cells = [row["what"], f"{row['pass_rate']:.2%}", f"{row['fresh']['median']:.3f}"]
        cells += [f"{row['changed']['median']:.3f}", f"{over['median']:.3f} [{over['p10']:.3f}, {over['p90']:.3f}]"]
        rows.append([*cells, f"{row['recall']:.4f}"])
    for name, words in (
        ("insert_us", "insert, us a row"),
        ("replace_us", "replace, us a row"),
        ("delete_us", "delete, us a row"),
    ):
        spread = result[name]
        rows.append([words, "", "", "", f"{spread['mean']:.2f} [{spread['p10']:.2f}, {spread['p90']:.2f}]", ""])
    for count, figure in result["faiss_remove_ms"].items():
        rows.append([f"FAISS Flat remove_ids of {count}, ms a call", "", "", "", f"{figure:.1f}", ""])
    return rows
