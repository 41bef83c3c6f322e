"""The combinations of meta links of every hire, compiled: what `graph.linking.candidates` counts.

Functions go through hires from a given row on until their block is full, and are called again from where they stopped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from market.compiled import njit

LARGEST_K = 12  # 4,095 combinations a hire; the keys of one hire have to fit the block


class HireColumns(NamedTuple):
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


class KeyTable(NamedTuple):
    """Where each key is: open addressing; slots int32 hold a position in keys uint64, -1 where empty."""

    slots: np.ndarray
    keys: np.ndarray
    counts: np.ndarray


class Room(NamedTuple):
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


@njit
def mix(numbers):
    """uint64: the finaliser of splitmix64 (Steele et al., 2014), a bijection that spreads numbers evenly."""
    x = numbers + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit
def fill(keys, slots):
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
    return mix(np.uint64(mine) * np.uint64(len(hires.job_kind)) + np.uint64(theirs))


@njit
def meta_keys(hires, row, out):
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
def candidate_keys(hires, meta, room, row, out):
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
def fill_sieve(keys, sieve):
    """Set one bit a key; sieve uint64[a power of two]. Most keys asked for are unknown and end at a bit that is 0."""
    last = 64 * len(sieve) - 1
    for key in keys:
        bit = np.int64(key >> np.uint64(20)) & last
        sieve[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@njit
def locate(hires, meta, room, wanted, sieve, hire, mask):
    """For every wanted key the first hire that proposes it, and its mask there."""
    room.seen[1] = 0
    last = 64 * len(sieve) - 1
    for row in range(len(hires.seeker)):
        for i in range(_combine(hires, room, row, _choose(hires, meta, room, row))):
            bit = np.int64(room.keys[i] >> np.uint64(20)) & last
            if sieve[bit >> 6] >> np.uint64(bit & 63) & np.uint64(1) == 0:
                continue
            at = _find(room.keys[i], wanted)
            if at >= 0 and hire[at] < 0:
                hire[at], mask[at] = row, room.masks[i]


@njit
def write_values(hires, meta, room, hire, mask, order, starts, seeker_tokens, job_tokens):
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
