"""How well links retrieve, and how many it takes: recall against false positives against number of links.

A pair is linked when at least one kept link fires on it. Over pairs of people unseen in mining:

    recall                   linked hires / hires
    linked among no hires    linked pairs without hire / pairs without hire
    no hires among linked    linked pairs without hire / linked pairs          (depends on how many were sampled a hire)

A method is a path: one setting after another, each keeping some links. Two paths are compared at equal recall, between
settings by interpolation (false positives linear in recall, the logarithm of the number of links too). Intervals draw
persons, with the links as mined. After figure 7 of Shen et al., arXiv 2402.13435, which does not state its denominator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from market.bootstrap import bootstrap_statistic
from market.errors import ConfigError, DataError

LinkPath = Iterable[tuple[float, np.ndarray]]  # (setting, bool[links] kept), as `thresholds` and `positive` yield


@dataclass(frozen=True)
class Pairs:
    """Judged pairs: fires [pairs, links], hired bool[pairs], person [pairs], by whom intervals are drawn."""

    fires: sp.csr_matrix
    hired: np.ndarray
    person: np.ndarray

    def __post_init__(self) -> None:
        if not self.fires.shape[0] == len(self.hired) == len(self.person):
            shape = f"{self.fires.shape[0]} rows, {len(self.hired)} hired, {len(self.person)} persons"
            raise DataError("link pairs", shape, "align them")
        if not self.hired.any() or self.hired.all():
            raise DataError("link pairs", "only one of hires and pairs without hire is there", "give both")


@dataclass(frozen=True)
class Curve:
    """S settings of one method, judged: setting, links float64[S]; per person (G) and setting what is linked.

    linked_hires, linked_no_hires float64[G, S]; hires, no_hires float64[G].
    """

    setting: np.ndarray
    links: np.ndarray
    linked_hires: np.ndarray
    linked_no_hires: np.ndarray
    hires: np.ndarray
    no_hires: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """float64[S]."""
        return self.linked_hires.sum(0) / self.hires.sum()

    @property
    def linked_among_no_hires(self) -> np.ndarray:
        """float64[S]."""
        return self.linked_no_hires.sum(0) / self.no_hires.sum()

    def columns(self) -> np.ndarray:
        """float64[G, 2 S + 2]: linked hires, linked pairs without, hires, pairs without; what a bootstrap adds up."""
        return np.hstack([self.linked_hires, self.linked_no_hires, self.hires[:, None], self.no_hires[:, None]])

    def points(self, rng: np.random.Generator, draws: int = 500) -> list[dict[str, Any]]:
        """Every setting with its three shares, each with an interval by person."""
        settings, persons, columns = len(self.setting), np.arange(len(self.hires)), self.columns()
        found = []
        for s in range(settings):
            ours = columns[:, [s, settings + s, 2 * settings, 2 * settings + 1]]
            shares = {
                "recall": lambda sums: _share(sums[:, 0], sums[:, 2]),
                "linked_among_no_hires": lambda sums: _share(sums[:, 1], sums[:, 3]),
                "no_hires_among_linked": lambda sums: _share(sums[:, 1], sums[:, 0] + sums[:, 1]),
            }
            point: dict[str, Any] = {"setting": float(self.setting[s]), "links": int(self.links[s])}
            for name, share in shares.items():
                point[name] = bootstrap_statistic(persons, ours, share, rng=rng, draws=draws).report()
            found.append(point)
        return found


def judge(path: LinkPath, pairs: Pairs) -> Curve:
    """What every setting of a path links. The order of settings is that of the path; at least one is needed."""
    _, person = np.unique(pairs.person, return_inverse=True)
    persons = int(person.max()) + 1
    hired = np.asarray(pairs.hired, bool)
    setting, links, hires, no_hires = [], [], [], []
    for value, kept in path:
        linked = pairs.fires @ np.asarray(kept, np.float64) > 0
        setting.append(value)
        links.append(int(np.count_nonzero(kept)))
        hires.append(np.bincount(person, hired & linked, persons))
        no_hires.append(np.bincount(person, ~hired & linked, persons))
    if not setting:
        raise ConfigError("the path has no setting; give at least one")
    totals = (np.bincount(person, hired, persons), np.bincount(person, ~hired, persons))
    return Curve(np.array(setting, float), np.array(links, float), np.array(hires).T, np.array(no_hires).T, *totals)


def thresholds(quality: np.ndarray, count: int) -> Iterator[tuple[float, np.ndarray]]:
    """The links above each of `count` thresholds: from all links down to the best one, evenly in log number."""
    ordered = np.sort(quality)[::-1]
    numbers = np.unique(np.rint(np.geomspace(1, len(quality), count)).astype(np.int64))[::-1]
    for number in numbers.tolist():
        threshold = float(ordered[number]) if number < len(ordered) else float(np.nextafter(ordered[-1], -np.inf))
        yield threshold, quality > threshold


def without_implied(quality: np.ndarray, contained: np.ndarray, count: int) -> Iterator[tuple[float, np.ndarray]]:
    """`thresholds`, without the links that fire only where another kept link does; so they link the same pairs.

    contained float64[links]: the best quality of a link whose values are part of this one's, see `best_contained`.
    """
    for threshold, kept in thresholds(quality, count):
        yield threshold, kept & ~(contained > threshold)


def best_contained(contains: sp.csr_matrix, quality: np.ndarray) -> np.ndarray:
    """float64[links]: best quality among the links contained in each, itself left out; -inf where there is none.

    contains [links, links]: entry where the column's values are all among the row's, as `fires` of
    graph.linking.firing tells of links that are taken for pairs.
    """
    found = np.full(contains.shape[0], -np.inf)
    row = np.repeat(np.arange(contains.shape[0]), np.diff(contains.indptr))
    other = contains.indices != row
    np.maximum.at(found, row[other], quality[contains.indices[other]])
    return found


def positive(path: Iterable[tuple[float, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
    """The links of positive weight at each setting of a path of weights, as the regressions yield it."""
    for setting, weights in path:
        yield setting, weights > 0


@dataclass(frozen=True)
class AtRecall:
    """Of one method at R recall levels: number of links and share of linked pairs without hire; NaN out of reach."""

    links: np.ndarray
    linked_among_no_hires: np.ndarray


def at_recall(curve: Curve, levels: Sequence[float]) -> AtRecall:
    """The curve read off at these levels; no extrapolation."""
    links, share = _read_off(curve.columns().sum(0, keepdims=True), curve.links, np.asarray(levels, float))
    return AtRecall(links[0], share[0])


def compare(
    curve: Curve, reference: Curve, levels: Sequence[float], rng: np.random.Generator, draws: int = 1000
) -> dict[str, Any]:
    """Per recall level, and over those that both reach: how many times fewer links, how many more false positives.

    times_fewer = reference links / links (over levels: geometric mean); more_false_positives = linked pairs without
    hire / those of the reference - 1 (over levels: mean); more_among_linked likewise for their share of linked pairs.
    """
    if not len(levels) or not all(0 < level < 1 for level in levels):
        raise ConfigError(f"recall levels are {tuple(levels)}, expected some between 0 and 1")
    if len(curve.hires) != len(reference.hires):
        raise DataError("curves", "they judge different people", "judge both on the same pairs")
    mine, theirs = at_recall(curve, levels), at_recall(reference, levels)
    reached = np.flatnonzero(~np.isnan(mine.links) & ~np.isnan(theirs.links))
    asked = np.asarray(levels, float)
    columns = np.hstack([curve.columns(), reference.columns()])
    width = curve.columns().shape[1]

    def both(sums: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(log times fewer, more false positives, more among linked), each [n, levels]."""
        links, share = _read_off(sums[:, :width], curve.links, at)
        other_links, other_share = _read_off(sums[:, width:], reference.links, at)
        ratio = sums[:, [width - 1]] / sums[:, [width - 2]]  # pairs without hire a hire
        among, other_among = (found * ratio / (found * ratio + at) for found in (share, other_share))
        return np.log(other_links / links), share / other_share - 1, among / other_among - 1

    def measured(at: np.ndarray) -> dict[str, Any]:
        names = ("times_fewer", "more_false_positives", "more_among_linked")
        found = {}
        for number, name in enumerate(names):
            estimate = bootstrap_statistic(
                np.arange(len(columns)), columns, lambda sums, n=number: both(sums, at)[n].mean(1), rng=rng, draws=draws
            ).report()
            found[name] = _exponential(estimate) if name == "times_fewer" else estimate
        return found

    rows = []
    for level in reached.tolist():
        row: dict[str, Any] = {"recall": float(asked[level])}
        row |= {"links": float(mine.links[level]), "reference_links": float(theirs.links[level])}
        rows.append(row | measured(asked[[level]]))
    overall = measured(asked[reached]) if len(reached) else {}
    return {"levels": rows, "missed_levels": [float(v) for v in np.delete(asked, reached)], **overall}


def _read_off(sums: np.ndarray, links: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(links, linked share of pairs without hire), float64[n, levels] each, from n rows of summed `Curve.columns`."""
    settings = len(links)
    recall = sums[:, :settings] / sums[:, [2 * settings]]
    share = sums[:, settings : 2 * settings] / sums[:, [2 * settings + 1]]
    number, false = np.full((len(sums), len(levels)), np.nan), np.full((len(sums), len(levels)), np.nan)
    log_links = np.log(np.maximum(links, 1))
    for i in range(len(sums)):
        order = np.argsort(recall[i], kind="stable")
        known = recall[i, order]
        number[i] = np.exp(np.interp(levels, known, log_links[order], left=np.nan, right=np.nan))
        false[i] = np.interp(levels, known, share[i, order], left=np.nan, right=np.nan)
    return number, false


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _exponential(estimate: dict[str, Any]) -> dict[str, Any]:
    ci = estimate["ci95"]
    return {
        "mean": None if estimate["mean"] is None else float(np.exp(estimate["mean"])),
        "ci95": None if ci is None else [float(np.exp(edge)) for edge in ci],
    }
