"""How much an index benchmark measures; the defaults are those of docs/benchmarks.md."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

from market.errors import ConfigError


@dataclass(frozen=True)
class Size:
    """How much to measure.

    rows, dimensions, batch, k    one run per dimension; the tables with a single one take the first
    rounds                        per method, interleaved
    threads, build_threads        of every method when timed; of FAISS when it builds
    methods                       words of names to keep: "flat,ivf"; empty = all. The index itself is always there
    lists                         of the FAISS IVF
    sizes                         rows of the table of growth
    precision                     of the index
    graphs                        a folder that keeps the FAISS HNSW graphs, minutes of work; "" keeps none
    """

    rows: int = 1_000_000
    dimensions: tuple[int, ...] = (64, 128)
    batch: int = 64
    k: int = 100
    rounds: int = 5
    threads: int = 1
    build_threads: int = 2
    methods: tuple[str, ...] = ()
    lists: int = 1_024
    sizes: tuple[int, ...] = (100_000, 1_000_000, 5_000_000)
    precision: str = "float32"
    graphs: str = ""

    def __post_init__(self) -> None:
        for name in ("rows", "batch", "k", "rounds", "threads", "build_threads", "lists"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not self.dimensions or min(self.dimensions) < 1:
            raise ConfigError(f"dimensions is {self.dimensions}; expected at least one, of 1 or more")

    def described(self) -> dict[str, Any]:
        """What a result says about how it was measured."""
        return asdict(self)

    @property
    def dimension(self) -> int:
        return self.dimensions[0]

    def wants(self, method: str) -> bool:
        """Whether a method's name holds one of the wanted words."""
        return not self.methods or any(word.lower() in method.lower() for word in self.methods)


def say(words: str) -> None:
    """Progress, on stderr."""
    print(words, file=sys.stderr, flush=True)
