"""How many requests for promoted slots will come: calendar shape x level, with intervals.

    shape    f(h) of the hour of the week h in the campaign's zone, mean 1; thin hours lean on day x hour
    level    requests an average hour. A thin cell leans on its parent, occupation -> section -> all; what is expected
             of a cell comes from its share of the parent over all areas (Gamma-Poisson, K pseudo requests):
                 expected e = level of the parent x share;   level = e (n + K) / (e + K) with n seen
    days     a whole day is better or worse than its hours say, by a factor of mean 1 and variance `noise`

    requests of an hour ~ Poisson(level x f(h) x day);  levels and days ~ Gamma

Level and shape are learned from the same hours, so the level is that of an average hour of the week, whatever part of
a week was seen. Nothing is assumed about trends: a market that grows is underestimated until the window has moved on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from market.clock import account_day, day_bounds
from targeting.traffic import HOUR, History

K = 50.0  # pseudo requests that a parent's say is worth; from the pacing study, not tuned here
WEEK = 168
PRIOR_NOISE, PRIOR_DAYS = 0.01, 2.0  # a day is 10 % off until days have been seen


@dataclass(frozen=True)
class Supply:
    """Cells [n] of the areas in reach. seen int64[n] requests; mean float64[n] expected ones over the same hours;
    hours: how many average hours those were; shape float64[168], Monday 0:00 first; noise: variance of a day's factor;
    days: how many days it was learned from."""

    occupations: tuple[str, ...]
    seen: np.ndarray
    mean: np.ndarray
    strength: np.ndarray  # float64[n]: pseudo requests behind each mean, for its interval
    hours: float
    shape: np.ndarray
    noise: float
    days: float
    zone: str

    @property
    def total(self) -> float:
        """Expected requests in reach over the hours it was learned from."""
        return float(self.mean.sum())

    def weight(self, start: datetime, end: datetime) -> float:
        """How many average hours the hours between two times are worth."""
        return float(sum(weight for _, weight in hours_between(self.shape, self.zone, start, end)))

    def levels(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """float64[draws, n]: possible requests an average hour, by cell. The total is as sure as the total count is,
        and no surer than the days allow; how it is shared out is as sure as the cells are."""
        if self.hours <= 0 or self.total <= 0:
            return np.zeros((draws, len(self.mean)))
        drawn = rng.gamma(np.maximum(self.strength, 1e-9), 1.0, (draws, len(self.mean)))  # [draws, n]
        parts = drawn * (self.mean / np.maximum(self.strength, 1e-9))
        parts /= np.maximum(parts.sum(1, keepdims=True), 1e-300)
        sureness = 1 / (1 / (self.seen.sum() + 0.5) + self.noise / max(self.days, 1.0))
        total = self.total * rng.gamma(sureness, 1 / sureness, (draws, 1))
        return np.asarray(parts * total / self.hours)

    def requests(self, start: datetime, end: datetime, draws: int, rng: np.random.Generator) -> np.ndarray:
        """int64[draws]: possible numbers of requests in reach between two times."""
        level = self.levels(draws, rng).sum(1)
        found = np.zeros(draws, np.int64)
        for first, last in local_days(self.zone, start, end):
            found += rng.poisson(level * self.weight(first, last) * self.day_factors(draws, rng))
        return found

    def day_factors(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """float64[draws]: how one day differs from what its hours say."""
        if self.noise < 1e-9:  # its inverse has to stay a number
            return np.ones(draws)
        return rng.gamma(1 / self.noise, self.noise, draws)


def fit_supply(
    history: History, zone: str, in_reach: Callable[[str], bool], section_of: Mapping[str, str] | None = None
) -> Supply:
    """What `history` says about the areas for which `in_reach` holds; occupations without section are one of their own.

    No traffic at all gives a supply of nothing.
    """
    codes = tuple(sorted({occupation for occupation, _ in history.cells}))
    place = {code: at for at, code in enumerate(codes)}
    everywhere, here = np.zeros(len(codes), np.int64), np.zeros(len(codes), np.int64)
    for (occupation, area), requests in history.cells.items():
        everywhere[place[occupation]] += requests
        if in_reach(area):
            here[place[occupation]] += requests
    sections = section_of or {}
    names = {name: at for at, name in enumerate(sorted({sections.get(code, "") for code in codes}))}
    section = np.array([names[sections.get(code, "")] for code in codes], np.int64)
    mean, strength = _pooled(everywhere, here, section, len(names))
    shape, hours, days = fit_shape(history, zone)
    return Supply(codes, here, mean, strength, hours, shape, days.noise, days.count, zone)


@dataclass(frozen=True)
class Cells:
    """level float64[n, A]: requests an average hour by seekers of each present occupation in each area."""

    occupations: tuple[str, ...]
    areas: tuple[str, ...]
    level: np.ndarray


def cells_of(history: History, section_of: Mapping[str, str] | None = None) -> Cells:
    """Every cell of the traffic, each area by itself with its thin cells pooled as in `fit_supply`."""
    codes = tuple(sorted({occupation for occupation, _ in history.cells}))
    areas = tuple(sorted({area for _, area in history.cells}))
    place, column = ({name: at for at, name in enumerate(names)} for names in (codes, areas))
    seen = np.zeros((len(codes), len(areas)), np.int64)
    for (occupation, area), requests in history.cells.items():
        seen[place[occupation], column[area]] = requests
    sections = section_of or {}
    names = {name: at for at, name in enumerate(sorted({sections.get(code, "") for code in codes}))}
    section = np.array([names[sections.get(code, "")] for code in codes], np.int64)
    everywhere = seen.sum(1)
    mean = [_pooled(everywhere, seen[:, at], section, len(names))[0] for at in range(len(areas))]
    _, hours, _ = fit_shape(history, "UTC")
    level = np.stack(mean, axis=1) if mean else np.zeros((len(codes), 0))
    return Cells(codes, areas, level / max(hours, 1e-9))


def _pooled(
    everywhere: np.ndarray, here: np.ndarray, section: np.ndarray, sections: int
) -> tuple[np.ndarray, np.ndarray]:
    """(mean float64[n], strength float64[n]) of the cells in reach, over the hours seen."""
    total, all_here = everywhere.sum(), here.sum()
    if not total:
        return np.zeros(len(here)), np.zeros(len(here))
    of_section = np.bincount(section, everywhere, minlength=sections)
    seen_section = np.bincount(section, here, minlength=sections)
    expected = all_here * of_section / total
    level = expected * (seen_section + K) / (expected + K)  # [sections]
    share = everywhere / np.maximum(of_section[section], 1)
    expected = level[section] * share  # [n]
    return expected * (here + K) / (expected + K), here + K


def fit_shape(history: History, zone: str) -> tuple[np.ndarray, float, Days]:
    """(shape float64[168] of mean 1, how many average hours the history is worth, what was learned of days)."""
    days = _days(history)
    if not history.total:
        return np.ones(WEEK), float(len(history.requests)), days
    slot = np.array([hour_of_week(history.since + HOUR * at, zone) for at in range(len(history.requests))])
    seen = np.bincount(slot, history.requests, minlength=WEEK).reshape(7, 24).astype(float)
    hours = np.bincount(slot, minlength=WEEK).reshape(7, 24).astype(float)
    expected = hours * (history.total / len(history.requests))
    of_hour = (seen.sum(0) + K) / (expected.sum(0) + K)  # [24]
    of_day = (seen.sum(1) + K) / ((expected * of_hour).sum(1) + K)  # [7]
    parent = of_day[:, None] * of_hour  # [7, 24]
    inside = of_hour * (seen + K) / (expected * parent + K)
    inside /= inside.mean(1, keepdims=True)
    shape = (inside * (1 + days.trust * (of_day - 1))[:, None]).ravel()
    shape /= shape.mean()
    return shape, float((hours.ravel() * shape).sum()), days


@dataclass(frozen=True)
class Days:
    """trust: how far the difference between the days of the week is believed, 0 to 1; noise: variance of the factor by
    which a coming day misses its expectation; count: whole days seen."""

    trust: float
    noise: float
    count: float


def _days(history: History) -> Days:
    """Analysis of variance of whole days, seven groups: within a group is noise, between groups the calendar.

    Days of one group are a week apart. With r the requests of a day over the mean of all, E that mean, w weeks:
        within^2 = noise + 1/E;   between^2 = calendar + within^2 / w;   trust = calendar / between^2
    A coming day misses by the noise and by what is uncertain about its group. One week can not tell the two apart: half
    of what its days differ counts as noise.
    """
    count = len(history.requests) // 24
    if not history.total or count < 2:
        return Days(0.5, PRIOR_NOISE, float(max(count, 1)))
    days = history.requests[len(history.requests) - 24 * count :].reshape(count, 24).sum(1)
    mean = max(float(days.mean()), 1e-9)
    ratio, group = days / mean, np.arange(count) % 7
    groups = min(7, count)
    size = np.bincount(group, minlength=groups)
    middle = np.bincount(group, ratio, minlength=groups) / size
    weeks, free = count / groups, count - groups
    between = float(((middle - 1) ** 2).sum() / (groups - 1))
    within = float(((ratio - middle[group]) ** 2).sum() / free) if free else between / 2
    noise = max(0.0, (PRIOR_DAYS * PRIOR_NOISE + max(free, 1) * (within - 1 / mean)) / (PRIOR_DAYS + max(free, 1)))
    unsure = (noise + 1 / mean) / weeks
    trust = max(0.0, between - unsure) / max(between, unsure)
    return Days(trust, noise + trust * unsure, float(count))


def hour_of_week(moment: datetime, zone: str) -> int:
    """0 is Monday 0:00 to 1:00 by the clocks of the zone."""
    local = moment.astimezone(ZoneInfo(zone))
    return local.weekday() * 24 + local.hour


def hours_between(shape: np.ndarray, zone: str, start: datetime, end: datetime) -> list[tuple[datetime, float]]:
    """(beginning, weight) of the hours between two times, the first and the last cut to what lies between."""
    found, at = [], start
    while at < end:
        following = min(end, at.replace(minute=0, second=0, microsecond=0) + HOUR)
        found.append((at, float(shape[hour_of_week(at, zone)]) * ((following - at) / HOUR)))
        at = following
    return found


def local_days(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The days of the zone between two times, the first and the last cut to what lies between."""
    if start >= end:
        return []
    cuts, day = [start], account_day(start, zone)
    while (after := day_bounds(day, zone)[1]) < end:
        if after > cuts[-1]:
            cuts.append(after)
        day += timedelta(days=1)
    return list(pairwise([*cuts, end]))
