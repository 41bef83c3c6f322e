"""What a batch is made of: positive pairs, the items they are told from, and what would be a false negative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from market.errors import ConfigError, DataError


@dataclass(frozen=True)
class Drawn:
    """m positive pairs: request, item int64[m]; weight float32[m]."""

    request: np.ndarray
    item: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.request)


class PairSource(Protocol):
    """Where positive pairs come from."""

    def batches(self, positives: int, mined: float, rng: np.random.Generator) -> Iterator[Drawn]:
        """Batches of exactly `positives` pairs without end; a share `mined` of each is drawn in neighbourhoods."""
        ...

    def popularity(self, items: np.ndarray) -> np.ndarray:
        """float64[d]: the probability that one drawn pair has each of the items."""
        ...


class Pairs:
    """Every pair of a table once an epoch, in an order drawn anew; there are no neighbourhoods in a table."""

    def __init__(self, request: np.ndarray, item: np.ndarray, weight: np.ndarray | None = None) -> None:
        """request, item int64[n]; weight float32[n], 1 where none is given."""
        if not len(request) == len(item) or (weight is not None and len(weight) != len(request)):
            raise ConfigError(f"{len(request)} requests, {len(item)} items; expected one of each, and a weight each")
        if not len(request):
            raise DataError("pairs", "no positive pairs", "Training needs clicks, applications or saves")
        self.request, self.item = request.astype(np.int64), item.astype(np.int64)
        self.weight = np.ones(len(request), np.float32) if weight is None else weight.astype(np.float32)
        self._share = np.bincount(self.item) / len(item)

    def __len__(self) -> int:
        return len(self.request)

    def batches(self, positives: int, mined: float, rng: np.random.Generator) -> Iterator[Drawn]:
        left = np.zeros(0, np.int64)
        while True:
            while len(left) < positives:
                left = np.concatenate([left, rng.permutation(len(self))])
            rows, left = left[:positives], left[positives:]
            yield Drawn(self.request[rows], self.item[rows], self.weight[rows])

    def popularity(self, items: np.ndarray) -> np.ndarray:
        share = np.zeros(len(items))
        within = items < len(self._share)
        share[within] = self._share[items[within]]
        return share


class KnownPairs(Protocol):
    """Which items are no negatives of a request."""

    def excluded(self, requests: np.ndarray, items: np.ndarray) -> np.ndarray:
        """bool[m, d] for requests int64[m] and items int64[d], ascending without repeats."""
        ...


class Known:
    """Which items are right for which request, whether or not they are drawn together: none of them is a negative."""

    def __init__(self, starts: np.ndarray, items: np.ndarray) -> None:
        """starts int64[requests + 1] into items int64; request i knows items[starts[i] : starts[i + 1]]."""
        self._starts, self._items = starts, items

    @classmethod
    def of(cls, request: np.ndarray, item: np.ndarray, requests: int) -> Known:
        """From pairs in any order; `requests` is how many requests there are."""
        order = np.argsort(request, kind="stable")
        return cls(np.searchsorted(request[order], np.arange(requests + 1)), item[order])

    def excluded(self, requests: np.ndarray, items: np.ndarray) -> np.ndarray:
        """bool[m, d]: items[j] is right for requests[i]; items ascending without repeats."""
        lengths = self._starts[requests + 1] - self._starts[requests]  # [m]
        row = np.repeat(np.arange(len(requests)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        known = self._items[np.repeat(self._starts[requests], lengths) + within]
        column = np.minimum(np.searchsorted(items, known), len(items) - 1)
        found = items[column] == known
        out = np.zeros((len(requests), len(items)), bool)
        out[row[found], column[found]] = True
        return out


@dataclass(frozen=True)
class Batch:
    """pairs of a batch and the d distinct items they are scored against, ascending; own int64[m] finds each row's item;
    excluded bool[m, d]; log_q float64[d], the log probability that an item is in a batch of this kind."""

    pairs: Drawn
    items: np.ndarray
    own: np.ndarray
    excluded: np.ndarray
    log_q: np.ndarray


def compose(
    pairs: Drawn, source: PairSource, known: KnownPairs, inventory: np.ndarray, count: int, rng: np.random.Generator
) -> Batch:
    """The items of the pairs and `count` drawn evenly from the inventory.

    q_j = 1 - (1 - p_j)^m (1 - n [j in the inventory] / |inventory|), p the popularity of the source
    """
    drawn = rng.choice(inventory, min(count, len(inventory)), replace=False) if count else inventory[:0]
    items = np.unique(np.concatenate([pairs.item, drawn]))  # [d]
    missed = (1 - source.popularity(items)) ** len(pairs)
    if len(drawn):
        missed = missed * (1 - np.isin(items, inventory) * len(drawn) / len(inventory))
    log_q = np.log(np.maximum(1 - missed, 1e-12))
    return Batch(pairs, items, np.searchsorted(items, pairs.item), known.excluded(pairs.request, items), log_q)
