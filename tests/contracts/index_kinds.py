"""Everything that calls itself an index: one line a kind, and the contract suite runs on it."""

from functools import partial

import pytest

from gpu_index import Index
from gpu_index.cpu.engine import CpuEngine
from gpu_index.cuda.engine import CudaEngine
from gpu_index.reference import ReferenceIndex
from gpu_index.shards import ShardedIndex

FAST_KINDS = {  # run on thousands of rows too
    "cpu": Index,
    "cpu-bf16": partial(Index, precision="bf16"),
    "cpu-floats": partial(Index, engine=partial(CpuEngine, as_bytes=False)),  # as where no processor multiplies bytes
    "cuda-twin": partial(Index, engine=partial(CudaEngine, device="cpu")),
    "cuda-twin-bf16": partial(Index, precision="bf16", engine=partial(CudaEngine, device="cpu")),
    "shards-3": partial(ShardedIndex, shards=3),
    "gpu": partial(Index, device="cuda"),
    "gpu-bf16": partial(Index, device="cuda", precision="bf16"),
}
SLOW_ON_MANY_ROWS = ("cuda-twin", "cuda-twin-bf16")
KINDS = {
    "reference": ReferenceIndex,
    "reference-bf16": partial(ReferenceIndex, precision="bf16"),
    **FAST_KINDS,
    "shards-2-threads": partial(ShardedIndex, shards=2, threads=2),
}


def params(kinds, slow=()):
    """Names for a fixture; those of a real device only run where there is one, those named slow in make test-long."""
    marks = {name: [pytest.mark.slow] * (name in slow) + [pytest.mark.gpu] * name.startswith("gpu") for name in kinds}
    return [pytest.param(name, marks=marks[name]) for name in kinds]


def class_of(build):
    """The class behind a kind; it has `load`."""
    return build.func if isinstance(build, partial) else build
