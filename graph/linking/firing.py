"""On which pairs which links fire: the subset test, exactly, for millions of links and pairs.

A link is filed under its rarest seeker value and its rarest job value. A pair opens the drawers of its own pairs of
values only, and checks the few links it finds there value by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from graph.linking.pairs import Bags, LinkPairs
from graph.links import LinkSet
from market.compiled import njit
from market.errors import DataError


@dataclass(frozen=True)
class LinkTokens:
    """l links as bags of positions in the vocabularies of pairs; an unknown value is the position after the last."""

    seeker: Bags
    job: Bags

    def __post_init__(self) -> None:
        if len(self.seeker) != len(self.job):
            raise DataError("links", f"{len(self.seeker)} seeker sides, {len(self.job)} job sides", "align them")
        for side, bags in (("seeker", self.seeker), ("job", self.job)):
            empty = np.diff(bags.start) == 0
            if empty.any():
                row = int(empty.argmax())
                raise DataError("links", f"the {side} side is empty", "a link needs a value on both sides", row)

    def __len__(self) -> int:
        return len(self.seeker)

    def take(self, rows: np.ndarray) -> LinkTokens:
        return LinkTokens(self.seeker.take(rows), self.job.take(rows))


@dataclass(frozen=True)
class Firings:
    """Pairs each of l links fires on: hires, no_hires int64[l]; no_hire_weight float64[l], the weight of the latter.

    signature uint64[l]: a sum over these pairs; links that fire on the same pairs have the same, others hardly ever.
    """

    hires: np.ndarray
    no_hires: np.ndarray
    no_hire_weight: np.ndarray
    signature: np.ndarray

    def take(self, rows: np.ndarray) -> Firings:
        return Firings(self.hires[rows], self.no_hires[rows], self.no_hire_weight[rows], self.signature[rows])


def tokens_of(links: LinkSet, pairs: LinkPairs) -> LinkTokens:
    """The links of a set in the vocabularies of these pairs, in the set's order."""
    return LinkTokens(_positions(links.seeker, pairs.seeker_words), _positions(links.job, pairs.job_words))


class _Drawers(NamedTuple):
    """Links in the order of their drawers, for compiled code; link int64[l]: the position each had."""

    seeker_marked: np.ndarray  # bool per value: some link is filed under it
    job_marked: np.ndarray
    slots: np.ndarray  # open addressing: position in keys, -1 where empty
    keys: np.ndarray
    bounds: np.ndarray  # drawer i holds links bounds[i]:bounds[i + 1]
    link: np.ndarray
    seeker_start: np.ndarray
    seeker_tokens: np.ndarray
    job_start: np.ndarray
    job_tokens: np.ndarray


class _Pairs(NamedTuple):
    """Pairs for compiled code, and scratch: seeker_holds[v] is the last pair + 1 whose seeker has value v."""

    seeker_start: np.ndarray
    seeker_tokens: np.ndarray
    job_start: np.ndarray
    job_tokens: np.ndarray
    seeker: np.ndarray
    job: np.ndarray
    seeker_holds: np.ndarray
    job_holds: np.ndarray
    found: np.ndarray


def count_firings(links: LinkTokens, pairs: LinkPairs) -> Firings:
    """On how many hires and pairs without hire each link fires."""
    counted = Firings(
        np.zeros(len(links), np.int64),
        np.zeros(len(links), np.int64),
        np.zeros(len(links)),
        np.zeros(len(links), np.uint64),
    )
    part = np.random.default_rng(0).integers(1 << 64, size=len(pairs), dtype=np.uint64)  # any distinct numbers will do
    columns = (counted.hires, counted.no_hires, counted.no_hire_weight, counted.signature)
    _count(_drawers(links, pairs), _compiled(links, pairs), pairs.hired, pairs.weight, part, *columns)
    return counted


def fires(links: LinkTokens, pairs: LinkPairs) -> sp.csr_matrix:
    """float64 [pairs, links], 1 where a link fires; columns in the order of `links`, ascending within a row."""
    drawers, columns = _drawers(links, pairs), _compiled(links, pairs)
    indptr = np.zeros(len(pairs) + 1, np.int64)
    _lengths(drawers, columns, indptr)
    indices = np.empty(indptr[-1], np.int32)
    _columns(drawers, columns, indptr, indices)
    if indptr[-1] < 2**31:
        indptr = indptr.astype(np.int32)
    design = sp.csr_matrix((np.ones(len(indices)), indices, indptr), (len(pairs), len(links)))
    design.sort_indices()
    return design


def _positions(sides: Sequence[Sequence[str]], words: Sequence[str]) -> Bags:
    number = {word: i for i, word in enumerate(words)}
    rows = [sorted({number.get(word, len(words)) for word in side}) for side in sides]
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Bags(start, np.array([token for row in rows for token in row], np.int32))


def _compiled(links: LinkTokens, pairs: LinkPairs) -> _Pairs:
    holds = (np.zeros(len(words) + 1, np.int64) for words in (pairs.seeker_words, pairs.job_words))
    sides = (pairs.seekers.start, pairs.seekers.tokens, pairs.jobs.start, pairs.jobs.tokens)
    return _Pairs(*sides, pairs.seeker, pairs.job, *holds, np.empty(len(links), np.int64))


def _drawers(links: LinkTokens, pairs: LinkPairs) -> _Drawers:
    rarest, marked = [], []
    sides = (
        (links.seeker, pairs.seekers, pairs.seeker, len(pairs.seeker_words)),
        (links.job, pairs.jobs, pairs.job, len(pairs.job_words)),
    )
    for side, bags, rows, words in sides:
        holders = np.repeat(np.bincount(rows, minlength=len(bags)), np.diff(bags.start))
        frequency = np.bincount(bags.tokens, weights=holders, minlength=words + 1)
        ordered = np.lexsort((np.arange(words + 1), frequency))  # rarest first, ties by position
        rank = np.empty(words + 1, np.int64)
        rank[ordered] = np.arange(words + 1)
        least = np.minimum.reduceat(rank[side.tokens], side.start[:-1]) if len(side) else np.zeros(0, np.int64)
        rarest.append(ordered[least])
        marked.append(np.zeros(words + 1, np.bool_))
        marked[-1][rarest[-1]] = True
    filed = rarest[0] * (len(pairs.job_words) + 1) + rarest[1]
    order = np.argsort(filed, kind="stable")
    keys, first = np.unique(filed[order], return_index=True)
    slots = np.full(1 << max(4, int(2 * len(keys)).bit_length()), -1, np.int32)
    _file(keys, slots)
    near = links.take(order)  # what one drawer holds lies together in memory
    bags = (near.seeker.start, near.seeker.tokens, near.job.start, near.job.tokens)
    return _Drawers(*marked, slots, keys, np.append(first, len(order)).astype(np.int64), order, *bags)


@njit
def _slot(key, last):
    x = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((x ^ (x >> np.uint64(32))) & np.uint64(last))


@njit
def _file(keys, slots):
    last = len(slots) - 1
    for i in range(len(keys)):
        slot = _slot(keys[i], last)
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = i


@njit
def _holds_all(start, tokens, link, holds, stamp):
    for at in range(start[link], start[link + 1]):  # noqa: SIM110, compiled code knows no all()
        if holds[tokens[at]] != stamp:
            return False
    return True


@njit
def _firing(drawers, pairs, pair):
    """Write the links that fire on a pair into pairs.found, in no order; how many they are."""
    last, stamp, found = len(drawers.slots) - 1, pair + 1, 0
    mine = pairs.seeker_tokens[pairs.seeker_start[pairs.seeker[pair]] : pairs.seeker_start[pairs.seeker[pair] + 1]]
    theirs = pairs.job_tokens[pairs.job_start[pairs.job[pair]] : pairs.job_start[pairs.job[pair] + 1]]
    pairs.seeker_holds[mine] = stamp
    pairs.job_holds[theirs] = stamp
    for a in mine:
        if not drawers.seeker_marked[a]:
            continue
        for b in theirs:
            if not drawers.job_marked[b]:
                continue
            key = np.int64(a) * len(drawers.job_marked) + b
            slot = _slot(key, last)
            while drawers.slots[slot] >= 0 and drawers.keys[drawers.slots[slot]] != key:
                slot = (slot + 1) & last
            drawer = drawers.slots[slot]
            if drawer < 0:
                continue
            for link in range(drawers.bounds[drawer], drawers.bounds[drawer + 1]):
                if _holds_all(
                    drawers.seeker_start, drawers.seeker_tokens, link, pairs.seeker_holds, stamp
                ) and _holds_all(drawers.job_start, drawers.job_tokens, link, pairs.job_holds, stamp):
                    pairs.found[found] = drawers.link[link]
                    found += 1
    return found


@njit
def _count(drawers, pairs, hired, weight, part, hires, no_hires, no_hire_weight, signature):
    for pair in range(len(pairs.seeker)):
        for link in pairs.found[: _firing(drawers, pairs, pair)]:
            signature[link] += part[pair]
            if hired[pair]:
                hires[link] += 1
            else:
                no_hires[link] += 1
                no_hire_weight[link] += weight[pair]


@njit
def _lengths(drawers, pairs, indptr):
    for pair in range(len(pairs.seeker)):
        indptr[pair + 1] = indptr[pair] + _firing(drawers, pairs, pair)
    pairs.seeker_holds[:] = 0
    pairs.job_holds[:] = 0


@njit
def _columns(drawers, pairs, indptr, indices):
    for pair in range(len(pairs.seeker)):
        for i in range(_firing(drawers, pairs, pair)):
            indices[indptr[pair] + i] = pairs.found[i]
