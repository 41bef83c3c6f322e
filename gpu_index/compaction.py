"""Giving room back after many deletes: the last rows move into the lowest free slots, then the end is cut off.

It happens a step at a time, so that searches get their turn in between; they see every row at every moment.
"""

from __future__ import annotations

import numpy as np

from gpu_index.bags import bags_of
from gpu_index.bitmap import is_on, slots_on
from gpu_index.engine import Engine
from gpu_index.rows import RowStore
from gpu_index.terms import TermStore

WORTH_IT = 1 << 15  # slots below which free ones are left to be used again


def is_due(rows: RowStore) -> bool:
    """Whether more than half of the slots are free, of enough that it matters."""
    return rows.extent > WORTH_IT and 2 * rows.free() > rows.extent


def step(rows: RowStore, terms: TermStore, engine: Engine, most: int) -> bool:
    """Move at most so many rows, or cut off the end if none is left to move; whether there is more to do."""
    live = slots_on(rows.live)
    movers = live[live >= len(live)][-most:]
    if not len(movers):
        _cut(rows, terms, engine)
        return False
    ids = rows.ids[movers]
    bags = terms.bags(movers)
    vectors = {}
    for name, space in rows.spaces.items():
        there = np.flatnonzero(is_on(space.present, movers))
        vectors[name] = there, space.vectors(movers[there])
    rows.release(ids)
    _empty(movers, terms, engine)
    rows.lowest_first()
    slots = rows.claim(ids)
    for name, (there, values) in vectors.items():
        rows.spaces[name].put(slots[there], values)
    engine.wrote(slots, *terms.replace(slots, bags))
    return True


def _cut(rows: RowStore, terms: TermStore, engine: Engine) -> None:
    """All rows are below their number: what deleted rows left behind above goes."""
    _empty(np.arange(len(rows), rows.extent), terms, engine)
    rows.truncate()
    terms.truncate(rows.extent)
    engine.trimmed()


def _empty(slots: np.ndarray, terms: TermStore, engine: Engine) -> None:
    engine.deleted(slots)
    engine.wrote(slots, *terms.replace(slots, bags_of(None, len(slots))))
