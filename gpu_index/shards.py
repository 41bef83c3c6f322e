"""Shards: one index cut into several, in one process, with the answers of the whole.

A row lives in the shard its id hashes to, whatever the order of writes, so an upsert of a known id meets the old row.
The k best rows of all shards are among the k best of each; the merge is exact because order is total: score
descending, id ascending.

On disk: an artefact directory with `shards.json` (the config) and one index artefact per shard, `shard-000` and so on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import numpy as np

from gpu_index.bags import bags_of
from gpu_index.clause import Clause
from gpu_index.index import Index
from gpu_index.inputs import boosts_of, clauses_of, dimension, ids_of, k_of, matrix, vectors_of
from gpu_index.topk import Hits
from market.artefacts import open_artefact, reading, writing
from market.errors import ArtefactError, IndexInputError

KIND = "gpu-index-shards"
FORMAT = 1
MOST_SHARDS = 1000

T = TypeVar("T")


def shard_of(ids: np.ndarray, shards: int) -> np.ndarray:
    """int64[n] ids -> int64[n] shard numbers: splitmix64 (Steele, Lea, Flood 2014) modulo the number of shards.

    Part of the format on disk. Ids in a row, or all even, spread as evenly as any others.
    """
    bits = ids.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((bits ^ (bits >> np.uint64(31))) % np.uint64(shards)).astype(np.int64)


def merged(parts: Sequence[Hits], k: int) -> Hits:
    """The k best of several answers to the same queries; no id is in two of them. Padding goes last."""
    ids = np.concatenate([part.ids for part in parts], axis=1)  # [B, shards * k]
    scores = np.concatenate([part.scores for part in parts], axis=1)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return Hits(np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1))


class ShardedIndex:
    """Same interface and answers as Index, over several of them.

    shards   how many; fixed for the life of the index and its snapshots
    threads  how many shards are searched at once; more than one helps where cores are idle, because engines work
             outside the interpreter lock

    A write is checked whole before a shard is touched: a refused call changes nothing. Each row changes at once; a
    search that runs beside an upsert of many rows may see those of one shard already and those of another not yet.
    A snapshot holds every call whole: writers wait while one is taken, searches do not.
    """

    def __init__(
        self,
        spaces: Mapping[str, int],
        device: str = "cpu",
        precision: str = "float32",
        shards: int = 2,
        threads: int = 1,
    ) -> None:
        _count(shards, "shards")
        self._start([Index(spaces, device, precision) for _ in range(shards)], threads)

    def _start(self, shards: list[Index], threads: int) -> None:
        _count(threads, "threads")
        self._shards = shards
        self._writes = RLock()
        workers = min(threads, len(shards))
        self._pool = ThreadPoolExecutor(workers, "shard") if workers > 1 else None

    @property
    def spaces(self) -> dict[str, int]:
        """{name: dimension}."""
        return self._shards[0].spaces

    @property
    def device(self) -> str:
        """Where searches run."""
        return self._shards[0].device

    @property
    def precision(self) -> str:
        """How vectors are stored: "float32" or "bf16"."""
        return self._shards[0].precision

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays of all shards."""
        return sum(shard.nbytes for shard in self._shards)

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __contains__(self, row_id: object) -> bool:
        return _is_id(row_id) and row_id in self._home(row_id)

    def upsert(self, ids: Any, vectors: Mapping[str, Any] | None = None, terms: Any = None) -> None:
        """As Index.upsert; costs one more check of the input."""
        checked_ids = ids_of(ids)
        checked_vectors = vectors_of(vectors, self.spaces, len(checked_ids))
        bags = bags_of(terms, len(checked_ids))
        column = terms if hasattr(terms, "take") and type(terms).__module__.startswith("pyarrow") else None
        lists = bags.lists() if column is None else []
        with self._writes:
            for shard, rows in self._split(checked_ids):
                own = {space: values[rows] for space, values in checked_vectors.items()}
                shard.upsert(
                    checked_ids[rows], own, [lists[row] for row in rows] if column is None else column.take(rows)
                )

    def delete(self, ids: Any) -> int:
        """As Index.delete."""
        checked_ids = ids_of(ids)
        with self._writes:
            return sum(shard.delete(checked_ids[rows]) for shard, rows in self._split(checked_ids))

    def search(
        self,
        queries: Any,
        space: str,
        k: int,
        where: Sequence[Clause | None] | None = None,
        boosts: Sequence[Mapping[str, float] | None] | None = None,
    ) -> Hits:
        """As Index.search; holds B * k hits per shard until they are merged."""
        batch = matrix(queries, "queries", dimension(self.spaces, space))
        k = k_of(k, len(batch))
        clauses = clauses_of(where, len(batch))
        weights = [dict(items) or None for items in boosts_of(boosts, len(batch))]
        return merged(self._each(lambda shard: shard.search(batch, space, k, clauses, weights)), k)

    def count(self, clause: Clause | None = None) -> int:
        """As Index.count."""
        return sum(self._each(lambda shard: shard.count(clause)))

    def terms_of(self, row_id: int) -> list[str]:
        """As Index.terms_of."""
        if not _is_id(row_id):
            raise IndexInputError(f"id {row_id} is not in the index")
        return self._home(row_id).terms_of(row_id)

    def save(self, path: Path | str) -> None:
        """Write all shards to one directory, in one step; equal contents give equal bytes."""
        config = {"shards": len(self._shards), "spaces": self.spaces, "precision": self.precision}
        with self._writes, writing(Path(path), KIND, FORMAT, config=config) as folder:
            (folder / "shards.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
            for number, shard in enumerate(self._shards):
                shard.save(folder / _name(number))

    @classmethod
    def load(cls, path: Path | str, device: str = "cpu", threads: int = 1) -> ShardedIndex:
        """Read what `save` wrote; ArtefactError if a byte of it has changed."""
        index = cls.__new__(cls)
        index._start(reading(Path(path), lambda: _load(Path(path), device)), threads)
        return index

    def _each(self, ask: Callable[[Index], T]) -> list[T]:
        return list(map(ask, self._shards) if self._pool is None else self._pool.map(ask, self._shards))

    def _home(self, row_id: Any) -> Index:
        return self._shards[int(shard_of(np.array([row_id], np.int64), len(self._shards))[0])]

    def _split(self, ids: np.ndarray) -> list[tuple[Index, np.ndarray]]:
        """The shards these ids belong to, each with the positions of its own, in the order they came."""
        home = shard_of(ids, len(self._shards))
        rows = [np.flatnonzero(home == number) for number in range(len(self._shards))]
        return [(shard, own) for shard, own in zip(self._shards, rows, strict=True) if len(own)]


def _load(folder: Path, device: str) -> list[Index]:
    config = open_artefact(folder, KIND, (FORMAT,)).config
    try:
        if json.loads((folder / "shards.json").read_text()) != config or not 1 <= config["shards"] <= MOST_SHARDS:
            raise ValueError("manifest.json and shards.json disagree")
        names = [_name(number) for number in range(config["shards"])]
        strangers = {item.name for item in folder.iterdir()} - {*names, "shards.json", "manifest.json"}
        if strangers:
            raise ValueError(f"it holds {sorted(strangers)}, which no index writes")
        shards = [Index.load(folder / name, device) for name in names]
        if any((shard.spaces, shard.precision) != (config["spaces"], config["precision"]) for shard in shards):
            raise ValueError("the shards are not of one index")
    except ArtefactError:
        raise
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ArtefactError(f"{folder} is damaged ({error}); build the artefact again") from error
    return shards


def _name(number: int) -> str:
    return f"shard-{number:03d}"


def _is_id(row_id: object) -> bool:
    return isinstance(row_id, int | np.integer) and 0 <= int(row_id) < 2**63


def _count(value: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SHARDS:
        raise IndexInputError(f"{name} is {value!r}; expected an integer from 1 to {MOST_SHARDS}")
