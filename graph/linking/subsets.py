"""Which of many sets are covered by a given set: every conjunction of attributes an entity satisfies.

Each set is filed under its rarest member, so an entity looks only into the drawers of its own attributes and verifies
the few sets found there: cost grows with the sets filed under these attributes, not with all sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


class SubsetIndex:
    """Positions of the sets (any sequence of strings, duplicates ignored) that a query set covers; ascending."""

    def __init__(self, sets: Sequence[Sequence[str]]) -> None:
        self._sets = [frozenset(members) for members in sets]
        frequency = Counter(member for members in self._sets for member in members)
        self._drawers: dict[str, list[int]] = {}
        self._everybody = []  # the empty set is covered by every query
        for position, members in enumerate(self._sets):
            if not members:
                self._everybody.append(position)
                continue
            rarest = min(members, key=lambda member: (frequency[member], member))
            self._drawers.setdefault(rarest, []).append(position)

    def __len__(self) -> int:
        return len(self._sets)

    def covered_by(self, members: Iterable[str]) -> list[int]:
        """Positions of the sets that are subsets of `members`, ascending."""
        have = frozenset(members)
        found = list(self._everybody)
        for member in have:
            found.extend(position for position in self._drawers.get(member, ()) if self._sets[position] <= have)
        return sorted(found)
