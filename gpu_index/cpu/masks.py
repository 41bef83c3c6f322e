"""Which slots satisfy each clause of a batch, as bitmaps with their exact counts: `evaluate`.

The work goes stretch by stretch, each small enough for the second-level cache. In a stretch the groups that several
clauses share are united first, each once; then comes clause after clause, as `stretch.py` says.

Measured, one thread, AMD EPYC (Zen 5), 10.6 Zipf terms a row, microseconds a clause: 7 to 13 at 200,000 rows, 19 to 56
at a million where the caches are warm; about one nanosecond for each slot in a list that is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpu_index.cpu.groups import GROUP, RUN, describe, unite_all
from gpu_index.cpu.inverted import Inverted
from gpu_index.cpu.stretch import drop_lists, keep_lists, keep_rows, rarest_first, share
from gpu_index.cpu.words import clear
from gpu_index.engine import NumberedClause
from market.compiled import njit
from market.errors import ConfigError, IndexInputError


@dataclass(frozen=True)
class Grain:
    """How the work is cut; the result does not depend on it.

    stretch_words  words evaluated at a time: what a clause needs of them should fit in the second-level cache
    part_words     words of a stretch at a time where only bitmap rows are read: the first-level cache
    most_unions    shared unions in memory at a time, one stretch each, so 32 MiB
    lookup         looking one candidate up in one list costs as much as setting so many listed slots
    """

    stretch_words: int = 16384
    part_words: int = 1024
    most_unions: int = 256
    lookup: int = 32

    def __post_init__(self) -> None:
        if min(self.stretch_words, self.part_words, self.most_unions) < 1 or self.lookup < 0:
            raise ConfigError(f"{self}: expected at least one word and one union at a time, and no negative cost")


GRAIN = Grain()
NO_NUMBERS = np.empty(0, np.int32)


def evaluate(
    inverted: Inverted,
    clauses: Sequence[NumberedClause | None],
    eligible: np.ndarray,
    out: np.ndarray,
    grain: Grain = GRAIN,
) -> np.ndarray:
    """The eligible slots that satisfy each clause; how many they are, int64[B].

    eligible  uint64[W], all slots that ever had a term are below 64 W; bits of other rows are off
    out       uint64[B, >= W], C-contiguous; the first W words of each row are written

    None and a clause without groups and none_of match all eligible slots, an empty group none.
    """
    if 64 * len(eligible) < inverted.extent or out.shape[1] < len(eligible) or len(out) != len(clauses):
        raise IndexInputError(
            f"bitmaps of {len(eligible)} words for {inverted.extent} slots, into {out.shape} for {len(clauses)} "
            "clauses; expected a bit for every slot and a row for every clause"
        )
    found = np.zeros(len(clauses), np.int64)
    start = 0
    while start < len(clauses):
        end, numbers, layout = _laid_out(clauses, start, grain.most_unions)
        evaluate_batch(
            numbers,
            layout,
            inverted.terms,
            inverted.pool,
            inverted.bits,
            eligible,
            out[start:end],
            found[start:end],
            grain.stretch_words,
            grain.part_words,
            grain.lookup,
        )
        start = end
    return found


def _laid_out(
    clauses: Sequence[NumberedClause | None], start: int, most_unions: int
) -> tuple[int, np.ndarray, np.ndarray]:
    """Clauses from `start` on as two arrays: where they end, the numbers of all groups, and the layout.

    There are as many clauses as certainly share no more than `most_unions` groups, and one at least. Equal groups are
    one. Layout: how many groups; numbers of each group; groups of each clause; its none_of, a group too, or -1; then
    which groups these are, clause by clause.
    """
    places: dict[bytes, int] = {}
    groups: list[np.ndarray] = []

    def place_of(group: np.ndarray) -> int:
        place = places.setdefault(group.tobytes(), len(groups))
        if place == len(groups):
            groups.append(group)
        return place

    picked: list[int] = []
    vetoes: list[int] = []
    picks: list[int] = []
    end = start
    while end < len(clauses) and (end == start or len(picks) + end - start < most_unions):
        clause = clauses[end]
        end += 1
        # A group repeated within its clause must not count as shared: nothing would bound the unions.
        own = set() if clause is None else {place_of(group) for group in clause.groups}
        picks.extend(own)
        picked.append(len(own))
        vetoes.append(-1 if clause is None or not len(clause.none_of) else place_of(clause.none_of))
    numbers = np.concatenate(groups) if groups else NO_NUMBERS
    return end, numbers, np.array([len(groups), *map(len, groups), *picked, *vetoes, *picks], np.int64)


@njit(nogil=True)
def evaluate_batch(
    numbers: np.ndarray,
    layout: np.ndarray,
    terms: np.ndarray,
    pool: np.ndarray,
    bits: np.ndarray,
    eligible: np.ndarray,
    out: np.ndarray,
    found: np.ndarray,
    stretch: int,
    part: int,
    lookup: int,
) -> None:
    """Evaluate the clauses of a layout, one a row of `out`, and add their counts to `found`."""
    batch, after_lengths = len(out), 1 + layout[0]
    picked = layout[after_lengths : after_lengths + batch]
    vetoes = layout[after_lengths + batch : after_lengths + 2 * batch]
    picks = layout[after_lengths + 2 * batch :]
    groups = np.empty(layout[0], GROUP)
    rows = np.empty(len(numbers), np.int64)
    runs = np.empty(2 * len(numbers), RUN)
    describe(numbers, layout[1:after_lengths], terms, groups, rows, runs)
    shared = share(picks, vetoes, groups)
    rarest_first(picks, picked, groups)
    unions = np.empty((shared, min(stretch, len(eligible))), np.uint64)
    scratch = np.empty(min(stretch, len(eligible)), np.uint64)
    for low in range(0, len(eligible), stretch):
        high = min(low + stretch, len(eligible))
        for g in range(len(groups)):
            if groups[g].shared >= 0:
                unite_all(unions[groups[g].shared, : high - low], groups[g], rows, runs, pool, bits, low)
        first = 0
        for b in range(batch):
            mine, into = picks[first : first + picked[b]], out[b, low:high]
            first += picked[b]
            if picked[b] and groups[mine[0]].size == 0:
                clear(into)
                continue
            left = keep_lists(mine, groups, rows, runs, pool, bits, eligible[low:high], into, scratch, low, lookup)
            left = keep_rows(
                mine, vetoes[b], groups, rows, bits, unions, eligible[low:high], into, left, scratch, low, part
            )
            if vetoes[b] >= 0 and left > 0:
                left = drop_lists(into, left, groups[vetoes[b]], rows, runs, pool, bits, low, lookup)
            found[b] += left
