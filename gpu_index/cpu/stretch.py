"""One clause on one stretch of words.

    groups with lists              rarest first: their slots are set one by one in a scratch bitmap, which is ANDed;
                                   where few candidates are left, each is looked up in the lists instead
    groups of bitmap rows alone    ANDed afterwards, part by part, so that the result stays in the first-level cache
    groups united already          like a bitmap row
    none_of                        rows with the rows, lists last, slot by slot

A stretch is done when no candidate is left. Clauses name groups by their place in GROUP[G]; see `groups.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_index.cpu.groups import look_up, lookup_pays, remove_lists, remove_rows, unite_all, unite_rows
from gpu_index.cpu.words import copy, count, drop, keep, keep_of
from market.compiled import njit


@njit(nogil=True)
def share(picks: np.ndarray, vetoes: np.ndarray, groups: np.ndarray) -> int:
    """Number the groups that are used more than once and are more than one bitmap row; how many they are."""
    uses = np.zeros(len(groups), np.int64)
    for g in picks:
        uses[g] += 1
    for g in vetoes:
        if g >= 0:
            uses[g] += 1
    shared = 0
    for g in range(len(groups)):
        group = groups[g]
        if uses[g] > 1 and (group.entries > 0 or group.rows_to - group.rows_from > 1):
            group.shared = shared
            shared += 1
    return shared


@njit(nogil=True)
def rarest_first(picks: np.ndarray, picked: np.ndarray, groups: np.ndarray) -> None:
    """Sort the groups of each clause by size."""
    start = 0
    for length in picked:
        for i in range(start + 1, start + length):
            pick, j = picks[i], i
            while j > start and groups[picks[j - 1]].size > groups[pick].size:
                picks[j] = picks[j - 1]
                j -= 1
            picks[j] = pick
        start += length


@njit(nogil=True)
def keep_lists(
    picks: np.ndarray,
    groups: np.ndarray,
    rows: np.ndarray,
    runs: np.ndarray,
    pool: np.ndarray,
    bits: np.ndarray,
    eligible: np.ndarray,
    into: np.ndarray,
    scratch: np.ndarray,
    low: int,
    lookup: int,
) -> int:
    """into = the eligible slots that satisfy all groups with lists of their own; how many, or -1 if there is none."""
    left = -1
    for g in picks:
        group = groups[g]
        if left == 0:
            return 0
        if group.shared >= 0 or group.entries == 0:
            continue
        if left > 0 and lookup_pays(left, group, bits.shape[1], len(into), lookup):
            left = look_up(into, True, group, rows, runs, pool, bits, low)
            continue
        union = scratch[: len(into)]
        unite_all(union, group, rows, runs, pool, bits, low)
        left = keep(into, union) if left > 0 else keep_of(into, eligible, union)
    return left


@njit(nogil=True)
def keep_rows(
    picks: np.ndarray,
    veto: int,
    groups: np.ndarray,
    rows: np.ndarray,
    bits: np.ndarray,
    unions: np.ndarray,
    eligible: np.ndarray,
    into: np.ndarray,
    left: int,
    scratch: np.ndarray,
    low: int,
    part: int,
) -> int:
    """Of the `left` slots of `into`, or of the eligible ones if left < 0, keep those that satisfy the other groups.

    The bitmap rows of none_of, or its union, are taken out too. How many are left.
    """
    if left == 0:
        return 0
    total = 0
    for start in range(0, len(into), part):
        end = min(start + part, len(into))
        here, now = into[start:end], -1
        for g in picks:
            group = groups[g]
            if group.shared >= 0:
                union = unions[group.shared, start:end]
            elif group.entries > 0:
                continue
            elif group.rows_to - group.rows_from == 1:
                union = bits[rows[group.rows_from], low + start : low + end]
            else:
                union = scratch[: end - start]
                unite_rows(union, group, rows, bits, low + start)
            now = keep(here, union) if left > 0 or now >= 0 else keep_of(here, eligible[start:end], union)
        if left < 0 and now < 0:
            copy(here, eligible[start:end])
            now = count(here)
        if veto >= 0 and groups[veto].shared >= 0:
            now = drop(here, unions[groups[veto].shared, start:end])
        elif veto >= 0:
            now = remove_rows(here, now, groups[veto], rows, bits, low + start)
        if now < 0:  # nothing to do: this is a clause of lists alone
            return left
        total += now
    return total


@njit(nogil=True)
def drop_lists(
    into: np.ndarray,
    left: int,
    group: Any,
    rows: np.ndarray,
    runs: np.ndarray,
    pool: np.ndarray,
    bits: np.ndarray,
    low: int,
    lookup: int,
) -> int:
    """Take the lists of a none_of out of `into`, which has `left` bits set, unless its union did; how many are left."""
    if group.shared >= 0 or group.entries == 0:
        return left
    if lookup_pays(left, group, bits.shape[1], len(into), lookup):
        return look_up(into, False, group, rows, runs, pool, bits, low)
    return remove_lists(into, left, group, runs, pool, low)
