"""Targeting with links: which of a seeker's links to ask for, so that it reaches enough jobs and no more.

    seeker --mapping--> seeker segment P --link--> job segment Q --> job          four layers
    seeker --link id--> job                                                       what is stored and asked: three

A seeker segment is a distinct seeker side of the links; a mapping is a seeker's membership in one, and its score the
mean weight of the links that start there, whoever the seeker is. Liquidity of a seeker is how many of the campaigns
that pass the hard filters share a link with it. Two ways to prune to a liquidity theta (Shen et al., Learning to
Retrieve for Job Matching, arXiv 2402.13435):

    mappings   section 4.2: remove all, then restore by descending score until liquidity >= theta or none is left
    links      Algorithm 1: the same with single links, by descending weight

What is kept collapses to link ids: a seeker asks for `link=ID`, a job carries `LinkSet.terms_of_job`. A floor phi
guards the other side: a campaign's phi best seekers keep what leads to it, whatever theta says. The floor looks only at
the links, never at theta, so jobs in reach never shrink as theta grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graph.linking.subsets import SubsetIndex
from graph.links import Conjunction, LinkSet
from market.compiled import njit
from market.errors import ConfigError, DataError

Unit = Literal["mappings", "links"]


@dataclass(frozen=True)
class Pruning:
    """unit: what is restored one by one; theta: liquidity wanted of a seeker, a share of the campaigns in its reach or
    a count of them (inf keeps all, 0 none); phi: seekers of the pool that every campaign keeps at least."""

    unit: Unit = "mappings"
    theta: float = 0.2
    theta_is: Literal["share", "count"] = "share"
    phi: int = 0

    def __post_init__(self) -> None:
        if self.unit not in ("mappings", "links"):
            raise ConfigError(f"pruning by {self.unit!r} is unknown; use mappings or links")
        if self.theta_is not in ("share", "count"):
            raise ConfigError(f"theta_is {self.theta_is!r} is unknown; use share or count")
        if not self.theta >= 0:
            raise ConfigError(f"theta is {self.theta}, expected 0 (keep nothing) or more (inf keeps everything)")
        if self.phi < 0:
            raise ConfigError(f"phi is {self.phi}, expected 0 or more seekers per campaign")


@dataclass(frozen=True)
class Lists:
    """n lists of positions laid end to end: list i is items[start[i]:start[i + 1]]. start, items int64."""

    start: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.items[self.start[row] : self.start[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.start)

    @property
    def rows(self) -> np.ndarray:
        """int64[m]: the list each item belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def keep(self, chosen: np.ndarray) -> Lists:
        """The items with chosen[i] True (bool[m]), lists as before."""
        count = np.bincount(self.rows[chosen], minlength=len(self))
        return Lists(_starts(count), self.items[chosen])

    def through(self, onward: Lists) -> Lists:
        """Every item replaced by the list it points to in `onward`; each list ascending, an item once."""
        lengths = onward.lengths[self.items]
        row = np.repeat(self.rows, lengths)
        first = np.repeat(onward.start[self.items] - (np.cumsum(lengths) - lengths), lengths)
        found = onward.items[first + np.arange(len(row))]
        width = int(found.max(initial=0)) + 1
        key = np.sort(row * width + found)  # np.unique hashes, which takes forty times as long here
        key = key[np.diff(key, prepend=-1) > 0]
        row, found = np.divmod(key, width)
        return Lists(_starts(np.bincount(row, minlength=len(self))), found)


def lists_of(found: Sequence[Sequence[int] | np.ndarray]) -> Lists:
    """Lists from Python lists."""
    count = np.array([len(row) for row in found], np.int64)
    items = np.concatenate([np.asarray(row, np.int64) for row in found]) if count.sum() else np.empty(0, np.int64)
    return Lists(_starts(count), items)


class LinkReach:
    """The layers of one link set. Segments and job segments are numbered: segments best score first.

    segments: distinct seeker sides; score float64[P]: mean weight of the links of each, descending, ties by attributes
    links_of_segment: positions in the link set, best first.
    """

    def __init__(self, links: LinkSet) -> None:
        self.links = links
        of_side: dict[Conjunction, list[int]] = {}
        for position, side in enumerate(links.seeker):
            of_side.setdefault(side, []).append(position)
        mean = {side: float(links.weight[rows].mean()) for side, rows in of_side.items()}
        self.segments = tuple(sorted(of_side, key=lambda side: (-mean[side], side)))
        self.score = np.array([mean[side] for side in self.segments])
        self.links_of_segment = lists_of([of_side[side] for side in self.segments])
        self.job_segments = tuple(dict.fromkeys(links.job))
        number = {side: i for i, side in enumerate(self.job_segments)}
        self._job_segment_of_link = np.array([number[side] for side in links.job], np.int64)
        self._job_side = SubsetIndex(self.job_segments)
        count = Counter(attribute for side in self.segments for attribute in side)
        # rare attributes first: a segment is filed under its first token, where the fewest seekers look
        self._token = {name: i for i, name in enumerate(sorted(count, key=lambda name: (count[name], name)))}
        self._members = lists_of([sorted(self._token[name] for name in side) for side in self.segments])
        filed: list[list[int]] = [[] for _ in self._token]
        for segment, first in enumerate(self._members.items[self._members.start[:-1]].tolist()):
            filed[first].append(segment)
        self._filed = lists_of(filed)

    def mappings(self, seekers: Sequence[Sequence[str]]) -> Lists:
        """The segments of each seeker (given by its attributes), best first. As `graph.linking.subsets`, compiled."""
        token = self._token
        have = lists_of([sorted({token[name] for name in attributes if name in token}) for attributes in seekers])
        parts = (have, self._members, self._filed)
        columns = [column for lists in parts for column in (lists.start, lists.items)]
        count, _ = _covered(*columns, np.empty(0, np.int64))
        _, found = _covered(*columns, np.empty(count.sum(), np.int64))
        return Lists(_starts(count), found)

    def links_of(self, mappings: Lists) -> Lists:
        """The links behind mappings, best first: the layer that collapses."""
        return mappings.through(self.links_of_segment)

    def prune(
        self, mappings: Lists, campaigns: Sequence[Sequence[str]], in_reach: Lists, pruning: Pruning = Pruning()
    ) -> Lists:
        """Positions of the links each seeker keeps, best first: what a store would hold under the seeker's id.

        mappings: of `mappings`; campaigns: attributes of each campaign's job; in_reach: per seeker the campaigns that
        pass its hard filters, each once. The seekers are also the reference pool of phi.
        """
        if len(in_reach) != len(mappings):
            raise DataError("in_reach", f"{len(in_reach)} seekers, mappings of {len(mappings)}", "align them")
        unit_of_seeker, links_of_unit = mappings, self.links_of_segment
        if pruning.unit == "links":
            unit_of_seeker = self.links_of(mappings)
            links_of_unit = Lists(np.arange(len(self.links) + 1), np.arange(len(self.links)))
        covered = self._campaigns_of_job_segments(campaigns)
        ways = links_of_unit.through(Lists(np.arange(len(self.links) + 1), self._job_segment_of_link))
        first = _first_cover(
            unit_of_seeker.start, unit_of_seeker.items, ways.start, ways.items, covered.start, covered.items,
            in_reach.start, in_reach.items, len(campaigns),
        )  # fmt: skip
        kept = _until_liquid(unit_of_seeker, first, in_reach.lengths, pruning)
        kept[_floor(unit_of_seeker, first, in_reach.items, pruning.phi)] = True
        return unit_of_seeker.keep(kept).through(links_of_unit)

    def reached(self, kept: Lists, campaigns: Sequence[Sequence[str]], in_reach: Lists) -> np.ndarray:
        """bool[m]: which pairs of `in_reach` the kept links of each seeker lead to."""
        covered = self._campaigns_of_job_segments(campaigns)
        ways = Lists(np.arange(len(self.links) + 1), self._job_segment_of_link)
        first = _first_cover(
            kept.start, kept.items, ways.start, ways.items, covered.start, covered.items,
            in_reach.start, in_reach.items, len(campaigns),
        )  # fmt: skip
        return first >= 0

    def _campaigns_of_job_segments(self, campaigns: Sequence[Sequence[str]]) -> Lists:
        """Campaigns in each job segment, ascending; campaigns of one occupation look the same and are asked once."""
        same: dict[tuple[str, ...], list[int]] = {}
        for campaign, attributes in enumerate(campaigns):
            same.setdefault(tuple(attributes), []).append(campaign)
        found: list[list[int]] = [[] for _ in self.job_segments]
        for attributes, rows in same.items():
            for segment in self._job_side.covered_by(attributes):
                found[segment].extend(rows)
        return lists_of(found)


def _until_liquid(units: Lists, first: np.ndarray, in_reach: np.ndarray, pruning: Pruning) -> np.ndarray:
    """bool[entries]: the units of each seeker, best first, up to the one that reaches theta.

    A unit is restored while fewer campaigns than wanted are reached by the better ones.
    """
    new = np.bincount(first[first >= 0], minlength=len(units.items))  # campaigns an entry is the first to reach
    total = np.concatenate([[0], np.cumsum(new)])
    before = total[:-1] - total[units.start[units.rows]]
    share = pruning.theta_is == "share" and np.isfinite(pruning.theta)  # inf times no campaign is no number
    wanted = pruning.theta * in_reach if share else np.full(len(in_reach), pruning.theta)
    # with nothing in reach every share is met at once, but infinite means infinite
    return np.asarray(before < wanted[units.rows])


def _floor(units: Lists, first: np.ndarray, campaign: np.ndarray, phi: int) -> np.ndarray:
    """Entries that lead a campaign's phi best seekers to it, by score of the unit, ties to the earlier seeker."""
    pair = np.flatnonzero(first >= 0)
    entry = first[pair]
    order = np.lexsort((entry, units.items[entry], campaign[pair]))  # units are numbered best first
    entry, of_campaign = entry[order], campaign[pair][order]
    begins = np.searchsorted(of_campaign, of_campaign)
    return entry[np.arange(len(entry)) - begins < phi]


@njit()
def _covered(
    have_start: np.ndarray,
    have: np.ndarray,
    member_start: np.ndarray,
    member: np.ndarray,
    filed_start: np.ndarray,
    filed: np.ndarray,
    found: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(int64[seekers] segments whose members a seeker all has, `found` filled with them ascending if it has room)."""
    seekers = len(have_start) - 1
    count = np.zeros(seekers, np.int64)
    owner = np.full(len(filed_start) - 1, -1, np.int64)
    at = 0
    for seeker in range(seekers):
        begin = at
        mine = have[have_start[seeker] : have_start[seeker + 1]]
        for token in mine:
            owner[token] = seeker
        for token in mine:
            for f in range(filed_start[token], filed_start[token + 1]):
                whole = True
                for m in range(member_start[filed[f]], member_start[filed[f] + 1]):
                    whole = whole and owner[member[m]] == seeker
                if whole:
                    if len(found):
                        found[at] = filed[f]
                    at += 1
        if len(found):
            found[begin:at].sort()
        count[seeker] = at - begin
    return count, found


@njit()
def _first_cover(
    unit_start: np.ndarray,
    unit: np.ndarray,
    way_start: np.ndarray,
    way: np.ndarray,
    covered_start: np.ndarray,
    covered: np.ndarray,
    reach_start: np.ndarray,
    reach: np.ndarray,
    campaigns: int,
) -> np.ndarray:
    """int64[pairs in reach]: the seeker's first entry of `unit` that leads to the campaign, -1 where none does.

    Lists in start/items form: seeker -> units, unit -> job segments, job segment -> campaigns, seeker -> campaigns.
    """
    first = np.full(len(reach), -1, np.int64)
    pair_of = np.full(campaigns, -1, np.int64)
    for seeker in range(len(unit_start) - 1):
        left = reach_start[seeker + 1] - reach_start[seeker]
        for pair in range(reach_start[seeker], reach_start[seeker + 1]):
            pair_of[reach[pair]] = pair
        for entry in range(unit_start[seeker], unit_start[seeker + 1]):
            if left == 0:
                break
            for w in range(way_start[unit[entry]], way_start[unit[entry] + 1]):
                for c in range(covered_start[way[w]], covered_start[way[w] + 1]):
                    pair = pair_of[covered[c]]
                    if pair >= 0:
                        first[pair] = entry
                        pair_of[covered[c]] = -1
                        left -= 1
        for pair in range(reach_start[seeker], reach_start[seeker + 1]):
            pair_of[reach[pair]] = -1
    return first


def _starts(count: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(count, dtype=np.int64)])
