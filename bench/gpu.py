"""Exact filtered top-k on one GPU: 15 million rows of 128 dimensions, top 1000, own clause per query.

    python -m bench.gpu        from source, with torch, triton and numpy

Rows and bitmaps are made on the device and handed to the engine there (`adopt`), which is no way to fill an index but
takes seconds. Everything else is the engine as it is: a search starts with numpy queries and clauses on the host and
ends with ids and scores on the host; times are wall clock, medians, after a warm-up.

Before an exact method is timed, ids and scores of some queries of the same batch are compared with brute force in
float64, bit for bit. Preselection is not exact: its share of the exact ids is printed instead. The floor is one pass
over the bfloat16 vectors and the masks at the bandwidth of a large copy (bytes read plus bytes written) in the same
run; a scan that reads int8, or skips rows that no query wants, can be faster. The peer is what torch does in three
calls: bfloat16 matrix product, masked_fill with a mask that is ready, topk.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_index.cuda import twin
from gpu_index.cuda.coarse import stored
from gpu_index.cuda.engine import CudaEngine
from gpu_index.cuda.mirror import SpaceMirror
from gpu_index.cuda.oporp import Oporp
from gpu_index.engine import NumberedClause
from gpu_index.topk import Hits

OUT = Path("out/bench/gpu.json")
EITHER, ALSO = 0.1814, 0.3  # 1 - (1 - EITHER)^2 = 33 %, of which 30 % make 10 %
EITHER_TERMS, ALSO_TERMS = 12, 4
CLUSTERS, SPREAD = 256, 1.0
CHUNK = 1 << 19  # rows made or checked at a time
NO_TERMS = np.empty(0, np.int32)


@dataclass(frozen=True)
class Size:
    """What to measure."""

    rows: int = 15_000_000
    dim: int = 128
    k: int = 1000
    batches: tuple[int, ...] = (1, 16, 64)
    repeats: int = 30
    checked: int = 2  # queries of each batch that brute force answers too
    oporp: Oporp = field(default_factory=Oporp)


class NoRows:
    """A host without rows."""

    def __init__(self, dim: int) -> None:
        self.ids, self.live, self.extent = np.empty(0, np.int64), np.empty(0, np.uint64), 0
        self.spaces = {"v": NoSpace(dim)}


class NoSpace:
    """Its only space, of float32."""

    def __init__(self, dim: int) -> None:
        self.dim, self.high, self.low = dim, np.empty(0, np.uint16), np.empty(0, np.int16)
        self.present = np.empty(0, np.uint64)
        self.block_norm = self.block_error = np.empty(0, np.float32)


def run(data: Path | None = None, size: Size | None = None, device: str = "cuda") -> dict[str, Any]:
    """Build, check, time. `data` is not needed: the rows are random."""
    size = size or Size()
    if device == "cuda" and not torch.cuda.is_available():
        return {"measured": False}
    began = time.perf_counter()
    engine = build(size, device)
    made = time.perf_counter() - began
    bandwidth = copy_bandwidth(engine, device)
    methods = {
        "bf16": engine,
        "int8": sibling(engine, size, device, first_pass="int8"),
        f"oporp {size.oporp.bits}/{size.oporp.keep}": sibling(engine, size, device, oporp=size.oporp),
    }
    cases = [Case(engine, size, rate, batch) for rate in ("33 %", "10 %") for batch in size.batches]
    rows = [row for case in cases for row in measure(case, methods, size, bandwidth)]
    return {
        "measured": True,
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "torch": torch.__version__,
        "rows": size.rows,
        "dim": size.dim,
        "k": size.k,
        "build_seconds": round(made, 1),
        "copy_gb_per_s": round(bandwidth / 1e9, 1),
        "index_gb": {name: round(each.nbytes() / 1e9, 2) for name, each in methods.items()},
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if device == "cuda" else None,
        "table": rows,
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    """Head and rows of the table."""
    if not result["measured"]:
        return [["CUDA"], ["not measured: torch finds no CUDA device here"]]
    table = [["method", "pass", "batch", "ms", "queries/s", "answers", "floor ms", "of floor", "torch ms", "x torch"]]
    for row in result["table"]:
        exact = row["exact"]
        table.append(
            [
                row["method"],
                f"{row['matches']:.1%}",
                str(row["batch"]),
                f"{row['ms']:.3f}",
                f"{row['batch'] / row['ms'] * 1e3:,.0f}",
                f"overlap {row['overlap']:.3f}" if exact is None else f"{exact} of {row['checked']} exact",
                f"{row['floor_ms']:.3f}",
                f"{row['floor_ms'] / row['ms']:.0%}",
                f"{row['torch_ms']:.2f}",
                f"{row['torch_ms'] / row['ms']:.1f}",
            ]
        )
    return table


def build(size: Size, device: str) -> CudaEngine:
    """An engine over rows that exist on the device only: ids 3 i, clustered unit vectors, random bitmaps."""
    engine = CudaEngine(NoRows(size.dim), device=device)
    generator = torch.Generator(device=device).manual_seed(0)
    capacity = -(-size.rows // 64) * 64
    live = torch.arange(capacity, device=device) < size.rows
    engine.mirror.adopt(torch.arange(capacity, device=device) * 3, packed(live))
    space = engine.mirror.spaces["v"]
    space.resize(capacity)
    space.present = engine.mirror.live
    centres = torch.randn((CLUSTERS, size.dim), generator=generator, device=device)
    for first in range(0, capacity, CHUNK):
        put_vectors(space, slice(first, min(first + CHUNK, capacity)), centres, generator)
    rates = [EITHER] * EITHER_TERMS + [ALSO] * ALSO_TERMS
    bitmaps = [packed(torch.rand(capacity, generator=generator, device=device) < rate) for rate in rates]
    engine.postings.adopt(torch.stack(bitmaps))
    return engine


def put_vectors(space: SpaceMirror, part: slice, centres: torch.Tensor, generator: torch.Generator) -> None:
    """Random unit float32 in their two halves, with the bounds of each block of 64."""
    shape, device = (part.stop - part.start, space.dim), centres.device
    own = centres[torch.randint(len(centres), shape[:1], generator=generator, device=device)]
    vectors = torch.nn.functional.normalize(own + SPREAD * torch.randn(shape, generator=generator, device=device))
    bits = vectors.view(torch.int32)
    space.high[part] = ((bits + 0x8000) >> 16).to(torch.int16).view(torch.bfloat16)
    assert space.low is not None
    space.low[part] = bits.to(torch.int16)
    blocks = slice(part.start // 64, part.stop // 64)
    error = (vectors.double() - space.high[part].double()).norm(dim=1)
    for bound, values in ((space.norm, vectors.double().norm(dim=1)), (space.error, error)):
        bound[blocks] = (values.view(-1, 64).amax(dim=1) * 1.00001).float()


def packed(bits: torch.Tensor) -> torch.Tensor:
    """bool[32 W] -> int32[W]."""
    shifts = torch.arange(32, dtype=torch.int32, device=bits.device)
    return (bits.view(-1, 32).to(torch.int32) << shifts).sum(dim=1, dtype=torch.int32)


def clauses(rate: str, batch: int) -> list[NumberedClause]:
    """An own clause per query: one of two terms, and for the lower rate one more."""
    pairs = list(combinations(range(EITHER_TERMS), 2))
    made = []
    for query in range(batch):
        either = np.array(pairs[query % len(pairs)], np.int32)
        also = np.array([EITHER_TERMS + query % ALSO_TERMS], np.int32)
        made.append(NumberedClause((either, also) if rate == "10 %" else (either,), NO_TERMS))
    return made


class Case:
    """Queries float32[batch,dim], their clauses and the rows bool[batch,capacity] that satisfy them."""

    def __init__(self, engine: CudaEngine, size: Size, rate: str, batch: int) -> None:
        queries = np.random.default_rng(batch).standard_normal((batch, size.dim)).astype(np.float32)
        self.queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        self.where, self.k = clauses(rate, batch), size.k
        self.allowed = torch.stack([allowed_by(engine, clause) for clause in self.where])

    def search(self, engine: CudaEngine) -> Hits:
        """What is timed."""
        return engine.search("v", self.queries, self.k, self.where, [None] * len(self.queries))

    def peer(self, engine: CudaEngine) -> np.ndarray:
        """The same by torch alone, with a mask that is ready."""
        vectors = engine.mirror.spaces["v"].high
        rounded = torch.from_numpy(self.queries).to(vectors.device).to(torch.bfloat16)
        scores = (rounded @ vectors.T).masked_fill_(~self.allowed, float("-inf"))
        return scores.topk(self.k, dim=1).indices.cpu().numpy()


def sibling(engine: CudaEngine, size: Size, device: str, **options: Any) -> CudaEngine:
    """Another engine over the same rows on the device."""
    other = CudaEngine(NoRows(size.dim), device=device, **options)
    other.mirror, other.postings = engine.mirror, engine.postings
    return other


def measure(case: Case, methods: dict[str, CudaEngine], size: Size, bandwidth: float) -> list[dict[str, Any]]:
    """One row of the table per method."""
    engine, batch = methods["bf16"], len(case.queries)
    checked = min(batch, size.checked)
    torch_ms = median_ms(lambda: case.peer(engine), max(1, size.repeats // 6))
    floor = (size.rows * size.dim * 2 + batch * size.rows / 8) / bandwidth
    truth, rows = case.search(engine), []
    for name, method in methods.items():
        hits = case.search(method)
        approximate = name.startswith("oporp")
        exact = None if approximate else sum(same(method, hits, case, query) for query in range(checked))
        rows.append(
            {
                "method": name,
                "batch": batch,
                "matches": float(case.allowed.float().mean()),
                "ms": median_ms(partial(case.search, method), size.repeats),
                "checked": checked,
                "exact": exact,
                "overlap": overlap(hits, truth),
                "floor_ms": floor * 1e3,
                "torch_ms": torch_ms,
            }
        )
    return rows


def overlap(hits: Hits, truth: Hits) -> float:
    """Mean share of the ids of the truth that were found."""
    shares = [np.isin(right, mine).mean() for mine, right in zip(hits.ids, truth.ids, strict=True)]
    return float(np.mean(shares))


def allowed_by(engine: CudaEngine, clause: NumberedClause) -> torch.Tensor:
    """bool[capacity]: which rows satisfy the clause, without the engine's kernels."""
    bitmaps = twin.bits_of(engine.postings.dense.T.contiguous())
    allowed = twin.bits_of(engine.mirror.live[:, None])[:, 0]
    for group in clause.groups:
        allowed = allowed & bitmaps[:, torch.from_numpy(group).long().to(bitmaps.device)].any(dim=1)
    return allowed


def same(engine: CudaEngine, hits: Hits, case: Case, query: int) -> bool:
    """Whether brute force gives the same: float64 scores of every row, added in the order of the definition."""
    space, allowed = engine.mirror.spaces["v"], case.allowed[query]
    wide_query = torch.from_numpy(case.queries[query]).to(allowed.device).double()
    scores = torch.full(allowed.shape, float("-inf"), device=allowed.device)
    for first in range(0, len(allowed), CHUNK):
        slots = torch.arange(first, min(first + CHUNK, len(allowed)), device=allowed.device)
        scores[slots] = twin.fold(stored(space, slots).double() * wide_query).float() + 0.0
    scores[~allowed] = float("-inf")
    best = scores.sort(descending=True, stable=True)  # ids ascend with slots, so a stable sort breaks ties by id
    found = min(case.k, int(allowed.sum()))
    ids, values = engine.mirror.ids[best.indices[:found]].cpu().numpy(), best.values[:found].cpu().numpy()
    return bool((hits.ids[query, :found] == ids).all() and hits.scores[query, :found].tobytes() == values.tobytes())


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Wall clock of a call that ends with its result on the host; three calls first to warm up."""
    times = []
    for turn in range(repeats + 3):
        began = time.perf_counter()
        call()
        if turn >= 3:
            times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e3


def copy_bandwidth(engine: CudaEngine, device: str) -> float:
    """Bytes per second, read plus written, of copying the vectors to a second array."""
    source = engine.mirror.spaces["v"].high
    target = torch.empty_like(source)

    def copy() -> None:
        for _ in range(5):
            target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()

    return 5 * 2 * source.nbytes / (median_ms(copy, 5) / 1e3)


def main() -> None:
    """Measure, write out/bench/gpu.json and print the table."""
    result = run()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print({name: value for name, value in result.items() if name != "table"})
    table = show(result)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
