"""What of a table of people may be shown: no small cell, and none that the margins give away.

Two rules, both for tables whose margins are public:

    withheld   one table of groups, for instance sex x race. Whole columns are withheld until nothing withheld is small
               or alone: every row then has at least two withheld cells that sum to the minimum or more, so no single
               one follows from a margin.
    pooled     one row of groups for each of many segments. A segment with a small cell is not shown; all such segments
               become one row, "the rest". While that row has a small cell, or stands for a single segment, the smallest
               segment still shown joins it. The rows shown add up to the margins, and each is large in every group.

Counts are of distinct people. See Willenborg and de Waal, Elements of Statistical Disclosure Control (2001), on
primary and secondary suppression; whole rows and columns are withheld here so that nothing has to be solved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError


@dataclass(frozen=True)
class PrivacyFloor:
    """A cell of fewer people than `minimum` is small; an empty one as well, for it tells of everybody outside."""

    minimum: int = 20

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ConfigError(f"the smallest cell to show is {self.minimum} people; expected at least 1")

    def withheld(self, people: np.ndarray) -> np.ndarray:
        """bool[c]: the columns of a table int[r, c] whose cells may not be shown.

        The column with the smallest cell joins first; ties: the first column.
        """
        hidden = (people < self.minimum).any(axis=0)
        for column in np.argsort(people.min(axis=0), kind="stable"):
            if not hidden.any() or (hidden.sum() >= 2 and (people[:, hidden].sum(axis=1) >= self.minimum).all()):
                break
            hidden[column] = True
        return np.asarray(hidden)

    def pooled(self, member: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
        """bool[s]: the segments that may not be shown alone and go into the row of the rest.

        member bool[s, p]: person p counts in segment s; group int[p], from 0 to groups - 1. A segment is small as well
        where it leaves out fewer than the minimum of a group. All are pooled if nothing less will do; the rest may then
        be small still and `shown_rest` says so. Ties: the first segment.
        """
        people = people_by_group(member, group, groups)  # [s, g]
        least = np.minimum(people, np.bincount(group, minlength=groups) - people).min(axis=1)  # [s]
        hidden = least < self.minimum
        for segment in np.argsort(least, kind="stable"):
            if not hidden.any() or (hidden.sum() >= 2 and self.shown_rest(member[hidden], group, groups)):
                break
            hidden[segment] = True
        return np.asarray(hidden)

    def shown_rest(self, member: np.ndarray, group: np.ndarray, groups: int) -> bool:
        """Whether a row that pools these segments (bool[s, p]) has no small cell."""
        anywhere = member.any(axis=0)[None]  # [1, p]
        return bool((people_by_group(anywhere, group, groups) >= self.minimum).all())


def people_by_group(member: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """int64[s, g]: distinct people of each group in each segment; member bool[s, p], group int[p]."""
    return np.stack([member[:, group == g].sum(axis=1) for g in range(groups)], axis=1)
