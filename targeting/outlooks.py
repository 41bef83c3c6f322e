"""What the hire model says of seekers, remembered by what it is told of them: the same career is read once a day.

The model knows a seeker by occupations, schooling and the date only, so whoever has the same gets the same answer, to
the bit. No id and no text is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from graph.affinity import Affinity
from graph.bipartite import Examples

MOST = 4_096  # careers remembered: 18 MB with 546 occupations


@dataclass(frozen=True)
class Outlook:
    """probability, lift float32[C] of one seeker, see `Affinity`; both read-only."""

    probability: np.ndarray
    lift: np.ndarray


class Outlooks:
    """`Affinity.outlook` of one seeker at a time, the least recently asked for forgotten first; safe among threads."""

    def __init__(self, affinity: Affinity, most: int = MOST) -> None:
        self._affinity, self._most = affinity, most
        self._known: OrderedDict[tuple[bytes, ...], Outlook] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, example: Examples) -> Outlook:
        """example: one instance."""
        items = slice(int(example.start[0]), int(example.stop[0]))
        told = example.item_occupation[items], example.item_year[items], example.year, example.education_years
        key = tuple(each.tobytes() for each in told)
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        probability, lift = self._affinity.outlook(example)  # [1, C] each
        made = Outlook(probability[0], lift[0])
        for array in (made.probability, made.lift):
            array.flags.writeable = False
        with self._lock:
            self._known[key] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made
