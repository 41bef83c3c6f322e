"""Where the slots of each term lie, and how a batch of changes is written there: the compiled half of `inverted.py`.

A term with many slots owns one row of a bitmap matrix uint64[D, W]. Any other owns a region of one pool of int32:

    | main: ascending, some entries dead | tail: ascending, recent | free |

An entry is a slot; a dead entry is a slot with the sign bit set, so that main stays in order of slot. A slot is alive
in at most one of the two runs. Single changes mark entries dead and go to the tail; when dead and tail together exceed
`patience` times the square root of the entries, the region is merged to one run again: a change costs about that root,
and a reader passes over about that many entries too many.

A region that is too small moves to the end of the pool with an eighth of slack, and leaves a hole behind. When holes
are a sixteenth of the pool and more room is needed, all regions move together: about 15 ms at ten million entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_index.cpu.words import LAST_SIX, ONE, SIX, clear, lowest
from market.compiled import njit

# count: slots that have the term; row: its bitmap row or -1; start, room: its region; main, tail: entries, dead or not;
# dead: dead entries of main
TERM = np.dtype(
    [
        ("start", np.int64),
        ("room", np.int32),
        ("main", np.int32),
        ("tail", np.int32),
        ("dead", np.int32),
        ("count", np.int32),
        ("row", np.int32),
    ]
)
# lost_at, gained_at: changes written; end: first entry of the pool that no region ever had; holes: entries before it
# that no region has; entries, rows: the room that was missing when `write` stopped
PROGRESS = np.dtype([(name, np.int64) for name in ("lost_at", "gained_at", "end", "holes", "entries", "rows")])
SLOT = 0x7FFFFFFF  # an entry without its sign bit
DEAD = np.int32(-0x80000000)
LOW = 0xFFFFFFFF  # a change is term number << 32 | slot


@njit(nogil=True)
def write(
    lost: np.ndarray,
    gained: np.ndarray,
    state: np.ndarray,
    terms: np.ndarray,
    pool: np.ndarray,
    bits: np.ndarray,
    owner: np.ndarray,
    dense_above: int,
    sparse_below: int,
    patience: int,
) -> bool:
    """Write the changes int64[n], each list ascending and the two disjoint; whether all are written.

    If not, the state, PROGRESS[1], says what room is missing, in the pool or among the rows; make it and call again.
    """
    progress = state[0]
    while progress.lost_at < len(lost) or progress.gained_at < len(gained):
        l0, g0 = progress.lost_at, progress.gained_at
        number = LOW
        if l0 < len(lost):
            number = lost[l0] >> 32
        if g0 < len(gained):
            number = min(number, gained[g0] >> 32)
        l1, g1 = l0, g0
        while l1 < len(lost) and lost[l1] >> 32 == number:
            l1 += 1
        while g1 < len(gained) and gained[g1] >> 32 == number:
            g1 += 1
        term = terms[number]
        after = np.int64(term.count) - (l1 - l0) + (g1 - g0)
        if after > dense_above and term.row < 0:
            row = free_row(owner)
            if row < 0:
                progress.rows = 1
                return False
            make_dense(term, number, row, progress, pool, bits, owner)
        if term.row >= 0:
            if after < sparse_below and progress.end + roomy(after) > len(pool):
                progress.entries = roomy(after)
                return False
            set_bits(bits[term.row], lost[l0:l1], gained[g0:g1])
            term.count = after
            if after < sparse_below:
                make_sparse(term, progress, pool, bits, owner)
        elif not change_region(term, lost[l0:l1], gained[g0:g1], progress, pool, patience):
            return False
        progress.lost_at, progress.gained_at = l1, g1
    return True


@njit(nogil=True)
def without_common(lost: np.ndarray, gained: np.ndarray) -> tuple[int, int]:
    """Take out of both ascending lists, in place, what is in both; their lengths afterwards."""
    l0, g0, kept_lost, kept_gained = 0, 0, 0, 0
    while l0 < len(lost) or g0 < len(gained):
        if g0 == len(gained) or (l0 < len(lost) and lost[l0] < gained[g0]):
            lost[kept_lost] = lost[l0]
            kept_lost += 1
            l0 += 1
        elif l0 == len(lost) or gained[g0] < lost[l0]:
            gained[kept_gained] = gained[g0]
            kept_gained += 1
            g0 += 1
        else:
            l0 += 1
            g0 += 1
    return kept_lost, kept_gained


@njit(nogil=True)
def change_region(
    term: Any, lost: np.ndarray, gained: np.ndarray, progress: Any, pool: np.ndarray, patience: int
) -> bool:
    """Write one term's changes to its region; False, and nothing written, if the pool lacks the room it says."""
    start, used = term.start, np.int64(term.main) + term.tail
    after = term.count - len(lost) + len(gained)
    fits = used + len(gained) <= term.room
    if fits and len(lost) == 0 and term.tail == 0 and (used == 0 or pool[start + used - 1] & SLOT < gained[0] & LOW):
        for i in range(len(gained)):
            pool[start + used + i] = gained[i] & LOW
        term.main += len(gained)
        term.count = after
        return True
    delay = term.tail + len(gained) + term.dead + len(lost)
    lazy = fits and delay * delay <= patience * patience * after
    if not lazy and tight(term.room, after) and progress.end + roomy(after) > len(pool):
        progress.entries = roomy(after)
        return False
    remove(term, lost, pool)
    if lazy:
        merge(pool, start + term.main, term.tail, gained)
        term.tail += len(gained)
    else:
        settle(term, gained, progress, pool)
    term.count = after
    return True


@njit(nogil=True)
def remove(term: Any, lost: np.ndarray, pool: np.ndarray) -> None:
    """Take the slots out of the tail, or mark them dead in main, where they are alive otherwise."""
    low, high = term.start, term.start + term.main
    for change in lost:
        slot = change & LOW
        end = high + term.tail
        at = seek(pool, high, end, slot)
        if at < end and pool[at] == slot:
            for i in range(at, end - 1):
                pool[i] = pool[i + 1]
            term.tail -= 1
        else:
            low = seek_evenly(pool, low, high, slot)
            assert low < high, "a slot lost a term that it did not have"
            assert pool[low] == slot, "a slot lost a term that it did not have"
            pool[low] |= DEAD
            term.dead += 1


@njit(nogil=True)
def settle(term: Any, gained: np.ndarray, progress: Any, pool: np.ndarray) -> None:
    """Make main one ascending run of all live entries and the gained ones; move the region if it is too small."""
    start = term.start
    extra = np.empty(term.tail + len(gained), np.int64)
    for i in range(term.tail):
        extra[i] = pool[start + term.main + i]
    merge(extra, 0, term.tail, gained)
    alive = term.main
    if term.dead > 0:
        alive = 0
        for i in range(start, start + term.main):
            entry = pool[i]
            pool[start + alive] = entry
            alive += entry >= 0
    after = alive + len(extra)
    if tight(term.room, after):
        term.start = progress.end
        for i in range(alive):
            pool[term.start + i] = pool[start + i]
        progress.holes += term.room
        term.room = roomy(after)
        progress.end += term.room
    merge(pool, term.start, alive, extra)
    term.main, term.tail, term.dead = after, 0, 0
    if after == 0:
        progress.holes += term.room
        term.room = 0


@njit(nogil=True)
def merge(into: np.ndarray, start: int, length: int, changes: np.ndarray) -> None:
    """Merge the slots of ascending changes into the ascending run into[start : start + length], which grows."""
    i, j, at = start + length - 1, len(changes) - 1, start + length + len(changes) - 1
    while j >= 0:
        slot = changes[j] & LOW
        if i >= start and into[i] > slot:
            into[at] = into[i]
            i -= 1
        else:
            into[at] = slot
            j -= 1
        at -= 1


@njit(nogil=True)
def seek(pool: np.ndarray, low: int, high: int, slot: int) -> int:
    """The first position in [low, high) whose entry, dead or alive, is at least `slot`; high if there is none."""
    step = 1
    while low + step <= high and pool[low + step - 1] & SLOT < slot:
        low += step
        step *= 2
    return bisect(pool, low, min(high, low + step - 1), slot)


@njit(nogil=True)
def seek_evenly(pool: np.ndarray, low: int, high: int, slot: int) -> int:
    """`seek` that begins where the slot were if the entries lay evenly: fewer places of memory to wait for."""
    if low >= high:
        return high
    first: Any = np.int64(pool[low] & SLOT)
    last: Any = np.int64(pool[high - 1] & SLOT)
    if slot <= first:
        return low
    if slot > last:
        return high
    guess: Any = low + (slot - first) * (high - 1 - low) // (last - first)
    if pool[guess] & SLOT < slot:
        return seek(pool, guess + 1, high, slot)
    step = 1
    while guess - step > low and pool[guess - step] & SLOT >= slot:
        guess -= step
        step *= 2
    return bisect(pool, max(low, guess - step), guess, slot)


@njit(nogil=True)
def bisect(pool: np.ndarray, low: int, high: int, slot: int) -> int:
    """The first position in [low, high) whose entry, dead or alive, is at least `slot`; high if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if pool[middle] & SLOT < slot:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True)
def set_bits(words: np.ndarray, lost: np.ndarray, gained: np.ndarray) -> None:
    """Clear the bits of the lost changes and set those of the gained."""
    for change in lost:
        slot = np.uint64(change & LOW)
        assert words[slot >> SIX] >> (slot & LAST_SIX) & ONE, "a slot lost a term that it did not have"
        words[slot >> SIX] ^= ONE << (slot & LAST_SIX)
    for change in gained:
        slot = np.uint64(change & LOW)
        assert not words[slot >> SIX] >> (slot & LAST_SIX) & ONE, "a slot gained a term that it had"
        words[slot >> SIX] ^= ONE << (slot & LAST_SIX)


@njit(nogil=True)
def make_dense(
    term: Any, number: int, row: int, progress: Any, pool: np.ndarray, bits: np.ndarray, owner: np.ndarray
) -> None:
    """Move a term from its region to a free bitmap row."""
    words = bits[row]
    clear(words)
    for i in range(term.start, term.start + term.main + term.tail):
        if pool[i] >= 0:
            slot = np.uint64(pool[i])
            words[slot >> SIX] |= ONE << (slot & LAST_SIX)
    progress.holes += term.room
    term.start, term.room, term.main, term.tail, term.dead, term.row = 0, 0, 0, 0, 0, row
    owner[row] = number


@njit(nogil=True)
def make_sparse(term: Any, progress: Any, pool: np.ndarray, bits: np.ndarray, owner: np.ndarray) -> None:
    """Move a term from its bitmap row to a region at the end of the pool, which has the room."""
    term.start, term.room, term.main = progress.end, roomy(term.count), term.count
    progress.end += term.room
    at, words = term.start, bits[term.row]
    for w in range(len(words)):
        word = words[w]
        while word != 0:
            pool[at] = np.uint64(64 * w) + lowest(word)
            at += 1
            word &= word - ONE
    owner[term.row] = -1
    term.row = -1


@njit(nogil=True)
def free_row(owner: np.ndarray) -> int:
    """The first bitmap row no term owns, -1 if there is none."""
    for row in range(len(owner)):
        if owner[row] < 0:
            return row
    return -1


@njit(nogil=True)
def roomy(entries: int) -> int:
    """The room of a new region for so many entries; no room for none."""
    return entries + (entries >> 3) + 2 if entries > 0 else 0


@njit(nogil=True)
def tight(room: int, entries: int) -> bool:
    """Whether so many entries leave a region so little slack that it would soon be tidied again: it should move."""
    return entries > 0 and room < entries + (entries >> 4) + 1


@njit(nogil=True)
def close_holes(order: np.ndarray, progress: Any, terms: np.ndarray, pool: np.ndarray) -> None:
    """Move the regions together; `order` are the terms that have one, by their start."""
    end = np.int64(0)
    for number in order:
        term = terms[number]
        used = np.int64(term.main) + term.tail
        for i in range(used):
            pool[end + i] = pool[term.start + i]
        term.start, term.room = end, min(np.int64(term.room), roomy(used))
        end += term.room
    progress.end, progress.holes = end, 0
