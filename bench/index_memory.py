"""Bytes a row with about 10.6 terms: what the process grew by, beside what FAISS serialises to without terms."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.index_build import empty_index, insert
from bench.index_peers import installed
from bench.index_process import in_process
from bench.index_size import Size, say
from bench.index_world import World
from gpu_index import Index
from gpu_index.inputs import PRECISIONS

WARM_UP = 20_000  # rows of an index thrown away: compiled code and buffers are not the rows' memory
SERIALISED = 10_000  # rows of the FAISS indexes: their bytes a row do not depend on it


def run(data: Path | None) -> dict[str, Any]:
    parts = [in_process("index_memory", replace(Size(), precision=precision)) for precision in PRECISIONS]
    return parts[0] | {"table": [row for part in parts for row in part["table"]]}


def measure(size: Size) -> dict[str, Any]:
    """Bytes a row of the index with one precision, in a process that did nothing else before."""
    world = World(size.dimension)
    _filled(world, replace(size, rows=min(size.rows, WARM_UP)))
    before = _resident()
    index = _filled(world, size)
    grown = (_resident() - before) / size.rows
    table = [{"what": f"index, {size.precision}, process grew by", "bytes": grown, "terms": True}]
    table.append({"what": f"index, {size.precision}, its arrays", "bytes": index.nbytes / size.rows, "terms": True})
    if size.precision == PRECISIONS[0]:
        table += [{"what": what, "bytes": count, "terms": False} for what, count in _faiss(world).items()]
    for row in table:
        say(f"{row['what']}: {row['bytes']:.0f} bytes a row")
    return size.described() | {"flat": 4 * size.dimension, "table": table}


def _filled(world: World, size: Size) -> Index:
    index = empty_index(world, size)
    for piece in world.pieces(size.rows):
        insert(index, piece)
    return index


def _resident() -> int:
    """Bytes of memory the process holds now, after giving back what it can."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def _faiss(world: World) -> dict[str, float]:
    """Serialised bytes a row of the FAISS indexes of the other tables."""
    if not installed("faiss"):
        return {}
    import faiss

    vectors = world.piece(0, SERIALISED).vectors
    flat = faiss.IndexFlatIP(world.dimension)
    graph = faiss.IndexHNSWFlat(world.dimension, 16, faiss.METRIC_INNER_PRODUCT)
    for index in (flat, graph):
        index.add(vectors)
    return {
        "FAISS Flat": len(faiss.serialize_index(flat)) / SERIALISED,
        "FAISS HNSW M 16": len(faiss.serialize_index(graph)) / SERIALISED,
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["what", "with terms", "bytes a row", "times FAISS Flat float32"]]
    for row in result["table"]:
        share = f"{row['bytes'] / result['flat']:.2f}"
        rows.append([row["what"], "yes" if row["terms"] else "no", f"{row['bytes']:.0f}", share])
    return rows
