"""Candidate links: all combinations of the meta links of every hire, counted out of core.

    hire -> meta links (seeker value, job value) that templates permit
         -> those with enough hires, rarest first, at most k           (no link has more hires than a part of it)
         -> every non-empty subset, as its set of values (P, Q)        2^k - 1 of them, each once a hire
         -> a 64-bit key each, counted by `graph.key_counts`
         -> keys with enough hires, turned back into (P, Q) by going through the hires once more

The key of (P, Q) is the sum modulo 2^64 of a mixed number per value, whatever the order. Among n distinct candidates
two share a key with probability about n^2 / 2^65: 3e-5 for 30 million. One of the two is lost then; counts are not
touched, because whatever survives is counted again by `graph.firing`, on all pairs, from the values themselves.

The cap on k comes before counting, so a candidate is found only if enough hires propose it within their cap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graph.attributes import JOB_KINDS, SEEKER_KINDS
from graph.key_counts import KeyCounter, KeyCounts
from graph.link_pairs import Bags, LinkPairs
from market.compiled import njit
from market.errors import ConfigError, DataError

LARGEST_K = 12  # 4,095 combinations a hire; the keys of one hire have to fit the block
TEMPLATES = (
    ("occupation", "occupation"),
    ("past_occupation", "occupation"),
    ("section", "occupation"),
    ("education", "occupation"),
    ("occupation", "section"),
    ("past_occupation", "section"),
    ("section", "section"),
    ("major", "major"),
    ("education", "section"),
    ("skill", "skill"),
    ("skill", "occupation"),
    ("occupation", "skill"),
    ("seniority", "seniority"),
    ("industry", "industry"),
)


@dataclass(frozen=True)
class CandidateConfig:
    """What may become a candidate.

    templates: permitted (seeker kind, job kind); minimum_hires: hires a candidate, and each meta link in it, needs
    largest_k: meta links a hire; largest_per_template: of them of one template (skill x skill is a cross product)
    largest_size: meta links in a link
    partitions, block_keys: how counting is cut up; memory is 24 bytes a key of a block
    """

    templates: tuple[tuple[str, str], ...] = TEMPLATES
    minimum_hires: int = 3
    largest_k: int = 8
    largest_per_template: int = 3
    largest_size: int = 8
    partitions: int = 64
    block_keys: int = 1 << 24

    def __post_init__(self) -> None:
        for mine, theirs in self.templates:
            if mine not in SEEKER_KINDS or theirs not in JOB_KINDS:
                raise ConfigError(
                    f"template ({mine}, {theirs}) names an unknown kind; seekers have {', '.join(SEEKER_KINDS)}; "
                    f"jobs have {', '.join(JOB_KINDS)}"
                )
        if not self.templates or len(set(self.templates)) < len(self.templates):
            raise ConfigError("templates are empty or name a pair twice; list each permitted pair of kinds once")
        if not 1 <= self.largest_k <= LARGEST_K:
            raise ConfigError(f"largest_k is {self.largest_k}, expected 1 to {LARGEST_K}")
        small = ("minimum_hires", "largest_per_template", "largest_size", "partitions")
        wrong = next((name for name in small if getattr(self, name) < 1), None)
        if wrong is not None:
            raise ConfigError(f"{wrong} is {getattr(self, wrong)}, expected at least 1")
        if self.block_keys < 1 << LARGEST_K:
            raise ConfigError(f"block_keys is {self.block_keys}, expected at least {1 << LARGEST_K}")


@dataclass(frozen=True)
class Candidates:
    """c candidate links, ascending by key. seeker, job: their values as bags of positions in the vocabularies;
    proposed int64[c]: hires that proposed each; distinct: candidates before the minimum; enumerated: all proposals."""

    seeker: Bags
    job: Bags
    proposed: np.ndarray
    distinct: int
    enumerated: int

    def __len__(self) -> int:
        return len(self.seeker)


class _Hires(NamedTuple):
    """The hires and the values of both their sides, for compiled code. template int8[kinds, kinds], -1 without."""

    seeker_start: np.ndarray
    seeker_tokens: np.ndarray
    job_start: np.ndarray
    job_tokens: np.ndarray
    seeker: np.ndarray
    job: np.ndarray
    seeker_kind: np.ndarray
    job_kind: np.ndarray
    template: np.ndarray
    seeker_seed: np.ndarray  # uint64 per value: the parts of a candidate's key
    job_seed: np.ndarray


class _Keys(NamedTuple):
    """Where each key is: open addressing; slots int32 hold a position in keys uint64, -1 where empty."""

    slots: np.ndarray
    keys: np.ndarray
    counts: np.ndarray


class _Room(NamedTuple):
    """Limits, and scratch for one hire at a time. subsets: mask, key, size of each; seen: a set of masks."""

    largest_k: int
    largest_per_template: int
    largest_size: int
    metas: np.ndarray  # int64[5, widest]: seeker value, job value, template, hires, state
    mine: np.ndarray  # int64[k], the chosen meta links
    theirs: np.ndarray
    numbers: np.ndarray  # int64[2, k]: number of the value of each chosen meta link among the distinct ones
    values: np.ndarray  # int64[2, k]: the distinct values
    subsets: np.ndarray
    seen: np.ndarray
    masks: np.ndarray
    keys: np.ndarray


def find_candidates(
    pairs: LinkPairs,
    config: CandidateConfig = CandidateConfig(),
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Candidates:
    """Candidates that at least `minimum_hires` hires propose; nothing is left in `scratch`."""
    if not pairs.hires:
        raise DataError("hires", "no hire to learn links from", "confirm hires first")
    hires = _hires(pairs, config)
    room = _room(hires, config)
    out = np.empty(max(config.block_keys, room.metas.shape[1]), np.uint64)
    progress(f"counting meta links of {pairs.hires:,} hires")
    with KeyCounter(config.partitions, scratch) as counter:
        row = 0
        while row < pairs.hires:
            row, filled = _meta_keys(hires, row, out)
            counter.add(out[:filled])
        meta = _table(counter.counted(config.minimum_hires))
    with KeyCounter(config.partitions, scratch) as counter:
        row = 0
        while row < pairs.hires:
            row, filled = _candidate_keys(hires, meta, room, row, out)
            counter.add(out[:filled])
            progress(f"enumerated {row:,} of {pairs.hires:,} hires")
        del out
        found = counter.counted(config.minimum_hires)
    progress(f"{found.distinct:,} candidates, {len(found.keys):,} proposed by {config.minimum_hires} hires or more")
    return Candidates(*_decoded(hires, meta, room, _table(found)), found.counts, found.distinct, found.total)


def _hires(pairs: LinkPairs, config: CandidateConfig) -> _Hires:
    rows = np.flatnonzero(pairs.hired)
    template = np.full((len(SEEKER_KINDS), len(JOB_KINDS)), -1, np.int8)
    for number, (mine, theirs) in enumerate(config.templates):
        template[SEEKER_KINDS.index(mine), JOB_KINDS.index(theirs)] = number
    kinds = [
        np.array([known.index(word.partition("=")[0]) for word in words], np.int8)
        for words, known in ((pairs.seeker_words, SEEKER_KINDS), (pairs.job_words, JOB_KINDS))
    ]
    seeds = _mix(np.arange(len(kinds[0]) + len(kinds[1])).astype(np.uint64) + np.uint64(1 << 40))
    return _Hires(
        *(pairs.seekers.start, pairs.seekers.tokens, pairs.jobs.start, pairs.jobs.tokens),
        *(pairs.seeker[rows], pairs.job[rows], *kinds, template),
        *(seeds[: len(kinds[0])], seeds[len(kinds[0]) :]),
    )


def _room(hires: _Hires, config: CandidateConfig) -> _Room:
    k, subsets = config.largest_k, 1 << config.largest_k
    mine, theirs = (np.diff(start)[rows] for start, rows in zip(hires[0:4:2], hires[4:6], strict=True))
    return _Room(
        *(k, config.largest_per_template, config.largest_size),
        np.empty((5, max(int((mine * theirs).max()), 1)), np.int64),
        *(np.empty(k, np.int64), np.empty(k, np.int64), np.empty((2, k), np.int64), np.empty((2, k), np.int64)),
        *(np.empty((3, subsets), np.int64), np.empty((2, 2 * subsets), np.int64)),
        *(np.empty(subsets, np.int64), np.empty(subsets, np.uint64)),
    )


def _table(counted: KeyCounts) -> _Keys:
    slots = np.full(1 << max(4, int(2 * len(counted.keys)).bit_length()), -1, np.int32)
    _fill(counted.keys, slots)
    return _Keys(slots, counted.keys, counted.counts)


def _decoded(hires: _Hires, meta: _Keys, room: _Room, wanted: _Keys) -> tuple[Bags, Bags]:
    """The values behind the surviving keys: the first hire that proposes a key says what it means."""
    hire, mask = np.full(len(wanted.keys), -1, np.int64), np.zeros(len(wanted.keys), np.int64)
    _locate(hires, meta, room, wanted, hire, mask)
    sizes = np.zeros((2, len(hire) + 1), np.int64)
    sizes[0, 1:], sizes[1, 1:] = np.bitwise_count(mask & (1 << LARGEST_K) - 1), np.bitwise_count(mask >> LARGEST_K)
    starts = np.cumsum(sizes, axis=1)
    tokens = [np.empty(start[-1], np.int32) for start in starts]
    order = np.argsort(hire, kind="stable")  # so that each hire is looked at once
    _write_values(hires, meta, room, hire, mask, order, starts, *tokens)
    return Bags(starts[0], tokens[0]), Bags(starts[1], tokens[1])


@njit
def _mix(numbers):
    """uint64: the finaliser of splitmix64 (Steele et al., 2014), a bijection that spreads numbers evenly."""
    x = numbers + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def _fill(keys, slots):
    last = len(slots) - 1
    for i in range(len(keys)):
        slot = np.int64(keys[i]) & last
        while slots[slot] >= 0:
            slot = (slot + 1) & last
        slots[slot] = i


@njit
def _find(key, table):
    last = len(table.slots) - 1
    slot = np.int64(key) & last
    while table.slots[slot] >= 0:
        if table.keys[table.slots[slot]] == key:
            return table.slots[slot]
        slot = (slot + 1) & last
    return np.int32(-1)


@njit
def _meta_key(hires, mine, theirs):
    return _mix(np.uint64(mine) * np.uint64(len(hires.job_kind)) + np.uint64(theirs))


@njit
def _meta_keys(hires, row, out):
    """Keys of the meta links of hires from `row` on, until the block is full; (next row, keys written)."""
    filled = 0
    while row < len(hires.seeker):
        first, end = hires.seeker_start[hires.seeker[row]], hires.seeker_start[hires.seeker[row] + 1]
        begin, stop = hires.job_start[hires.job[row]], hires.job_start[hires.job[row] + 1]
        if filled + (end - first) * (stop - begin) > len(out):
            break
        for mine in hires.seeker_tokens[first:end]:
            for theirs in hires.job_tokens[begin:stop]:
                if hires.template[hires.seeker_kind[mine], hires.job_kind[theirs]] >= 0:
                    out[filled] = _meta_key(hires, mine, theirs)
                    filled += 1
        row += 1
    return row, filled


@njit
def _choose(hires, meta, room, row):
    """Write the meta links that count of a hire into room, rarest first, ties by value; how many they are."""
    metas, found = room.metas, 0
    first, end = hires.seeker_start[hires.seeker[row]], hires.seeker_start[hires.seeker[row] + 1]
    begin, stop = hires.job_start[hires.job[row]], hires.job_start[hires.job[row] + 1]
    for mine in hires.seeker_tokens[first:end]:
        for theirs in hires.job_tokens[begin:stop]:
            template = hires.template[hires.seeker_kind[mine], hires.job_kind[theirs]]
            if template < 0:
                continue
            at = _find(_meta_key(hires, mine, theirs), meta)
            if at >= 0:
                metas[0, found], metas[1, found], metas[2, found] = mine, theirs, template
                metas[3, found], metas[4, found] = meta.counts[at], 0
                found += 1
    chosen = 0
    while chosen < room.largest_k:
        best = -1
        for i in range(found):  # values ascend, so the first of equals is the smallest
            if metas[4, i] == 0 and (best < 0 or metas[3, i] < metas[3, best]):
                best = i
        if best < 0:
            break
        alike = 0
        for i in range(found):
            alike += metas[4, i] == 2 and metas[2, i] == metas[2, best]
        metas[4, best] = 1  # looked at
        if alike < room.largest_per_template:
            metas[4, best] = 2  # taken
            room.mine[chosen], room.theirs[chosen] = metas[0, best], metas[1, best]
            chosen += 1
    _number(room.mine[:chosen], room.numbers[0], room.values[0])
    _number(room.theirs[:chosen], room.numbers[1], room.values[1])
    return chosen


@njit
def _number(given, numbers, values):
    """Number the distinct values in the order met: numbers[i] of given[i], values[number]."""
    count = 0
    for i in range(len(given)):
        numbers[i] = count
        for known in range(count):
            if values[known] == given[i]:
                numbers[i] = known
        if numbers[i] == count:
            values[count] = given[i]
            count += 1


@njit
def _combine(hires, room, row, k):
    """Every distinct (P, Q) of a hire with k meta links, into room.masks and room.keys; how many they are.

    A mask has bit i for numbered seeker value i and bit LARGEST_K + i for numbered job value i.
    """
    subsets, seen, found, last = room.subsets, room.seen, 0, room.seen.shape[1] - 1
    subsets[:, 0] = 0
    for i in range(k):
        bit, job_bit = np.int64(1) << room.numbers[0, i], np.int64(1) << (LARGEST_K + room.numbers[1, i])
        for rest in range(1 << i):  # the subsets whose highest meta link is i
            mask, key = subsets[0, rest], np.uint64(subsets[1, rest])
            if mask & bit == 0:
                key += hires.seeker_seed[room.mine[i]]
            if mask & job_bit == 0:
                key += hires.job_seed[room.theirs[i]]
            mask |= bit | job_bit
            here = rest | (1 << i)
            subsets[0, here], subsets[1, here], subsets[2, here] = mask, np.int64(key), subsets[2, rest] + 1
            if subsets[2, here] > room.largest_size:
                continue
            slot = np.int64(key) & last
            while seen[1, slot] == row + 1 and seen[0, slot] != mask:
                slot = (slot + 1) & last
            if seen[1, slot] != row + 1:
                seen[0, slot], seen[1, slot] = mask, row + 1
                room.masks[found], room.keys[found] = mask, key
                found += 1
    return found


@njit
def _candidate_keys(hires, meta, room, row, out):
    """Keys of the candidates of hires from `row` on, until the block is full; (next row, keys written)."""
    filled = 0
    room.seen[1] = 0
    while row < len(hires.seeker) and filled + len(room.keys) <= len(out):
        found = _combine(hires, room, row, _choose(hires, meta, room, row))
        out[filled : filled + found] = room.keys[:found]
        filled += found
        row += 1
    return row, filled


@njit
def _locate(hires, meta, room, wanted, hire, mask):
    """For every wanted key the first hire that proposes it, and its mask there."""
    room.seen[1] = 0
    for row in range(len(hires.seeker)):
        for i in range(_combine(hires, room, row, _choose(hires, meta, room, row))):
            at = _find(room.keys[i], wanted)
            if at >= 0 and hire[at] < 0:
                hire[at], mask[at] = row, room.masks[i]


@njit
def _write_values(hires, meta, room, hire, mask, order, starts, seeker_tokens, job_tokens):
    """Write the values of every (hire, mask), ascending, from starts[side, candidate] on."""
    row = -1
    for at in order:
        if hire[at] != row:
            row = hire[at]
            _choose(hires, meta, room, row)
        mine, theirs = starts[0, at], starts[1, at]
        for i in range(room.largest_k):
            if mask[at] >> i & 1:
                seeker_tokens[mine] = room.values[0, i]
                mine += 1
            if mask[at] >> (LARGEST_K + i) & 1:
                job_tokens[theirs] = room.values[1, i]
                theirs += 1
        _sort(seeker_tokens[starts[0, at] : mine])
        _sort(job_tokens[starts[1, at] : theirs])


@njit
def _sort(few):
    """By insertion: for a dozen values at most, and a fraction of the compiler's time of a sort for any number."""
    for i in range(1, len(few)):
        value, at = few[i], i
        while at > 0 and few[at - 1] > value:
            few[at] = few[at - 1]
            at -= 1
        few[at] = value
