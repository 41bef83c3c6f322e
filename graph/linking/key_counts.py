"""Counting more keys than memory holds: sorted runs on disk, cut into ranges of the key, each range sorted and counted.

    keys --block by block--> sorted run --> partition p of every run, together --> sort --> lengths of equal stretches

Keys are hashes, so equal ranges hold about equally many. A sort of unsigned integers is an order of magnitude faster
than a group-by of the same keys, and needs no memory but the partition's own. One block alone never touches the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from market.errors import ConfigError


@dataclass(frozen=True)
class KeyCounts:
    """keys uint64[s], ascending: those that occurred often enough; counts int64[s]; distinct and total of all keys."""

    keys: np.ndarray
    counts: np.ndarray
    distinct: int
    total: int


class KeyCounter:
    """Add blocks of uint64 keys, then count; a context that removes its runs whatever happens.

    partitions: ranges of the key space counted one after another; scratch: where runs are written, the system's
    directory of temporary files by default. Peak memory: one block, and two times the largest partition.
    """

    def __init__(self, partitions: int = 64, scratch: Path | None = None) -> None:
        if partitions < 1:
            raise ConfigError(f"partitions is {partitions}, expected at least 1")
        self._edges = np.array([(p << 64) // partitions for p in range(1, partitions)], np.uint64)
        self._scratch = scratch
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._waiting: np.ndarray | None = None  # the newest run, in memory until another one comes
        self._runs: list[tuple[Path, np.ndarray]] = []
        self._total = 0

    def __enter__(self) -> KeyCounter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = None
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, keys: np.ndarray) -> None:
        """Take in a block; it is copied."""
        if self._waiting is not None:
            self._spill(self._waiting)
        self._waiting = np.sort(keys)
        self._total += len(keys)

    def counted(self, minimum: int = 1) -> KeyCounts:
        """The keys that occurred at least `minimum` times."""
        distinct, kept = 0, [(np.zeros(0, np.uint64), np.zeros(0, np.int64))]
        for keys in self._partitions():
            first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
            counts = np.diff(np.append(first, len(keys)))
            often = counts >= minimum
            distinct += len(first)
            kept.append((keys[first[often]], counts[often].astype(np.int64)))
        keys, counts = (np.concatenate(column) for column in zip(*kept, strict=True))
        return KeyCounts(keys, counts, distinct, self._total)

    def _partitions(self) -> Iterator[np.ndarray]:
        if not self._runs:
            if self._waiting is not None:
                yield self._waiting
            return
        if self._waiting is not None:
            self._spill(self._waiting)
            self._waiting = None
        for p in range(len(self._edges) + 1):
            parts = [
                np.fromfile(path, np.uint64, int(cut[p + 1] - cut[p]), offset=int(cut[p]) * 8)
                for path, cut in self._runs
            ]
            keys = np.concatenate(parts)
            del parts
            keys.sort()
            yield keys

    def _spill(self, run: np.ndarray) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hiregraph-keys-", dir=self._scratch)
        path = Path(self._folder.name) / f"run-{len(self._runs)}"
        run.tofile(path)
        cut = np.concatenate([[0], np.searchsorted(run, self._edges), [len(run)]])
        self._runs.append((path, cut))
