"""When seekers visit: spells of searching days, weekdays, hours.

A seeker of rate r has r sessions on an average day, but not every day: it searches in spells, and rests between them.

    P(searching) = a on every day, spells of L days on average (a two-state Markov chain, stationary from day 0)
    sessions of a day | searching  ~  Poisson(r / a * weight of the weekday)

So the expected sessions of day d are r * weekday[d], whatever a and L: that is what a forecast may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.loop import Traffic

THURSDAY = 3  # 1 January 1970, counted from Monday
VISITS_NUMBERED = 100_000  # visits of a seeker that keep their numbers apart from the next seeker's


def weekday_weights(rules: Mapping[str, Any], first_day: float, days: int) -> np.ndarray:
    """float64[days]: sessions of each day of a window over those of an average day; first_day since 1970."""
    weights = np.array(rules["weekdays"], float)
    return (weights / weights.mean())[(THURSDAY + int(first_day) + np.arange(days)) % 7]


def session_rates(rules: Mapping[str, Any], seekers: int, rng: np.random.Generator) -> np.ndarray:
    """float64[seekers]: expected sessions of each seeker on an average day; log-normal, its mean as stated."""
    sd = rules["session_sd"]
    return np.asarray(rules["sessions_per_day"] * np.exp(rng.normal(0, sd, seekers) - sd * sd / 2))


def searching_days(rules: Mapping[str, Any], seekers: int, days: int, rng: np.random.Generator) -> np.ndarray:
    """bool[seekers, days]: on which days each seeker looks for a job at all."""
    share = rules["searching_share"]
    stop = 1 / rules["spell_days"]
    begin = stop * share / (1 - share) if share < 1 else 1.0
    found = np.empty((seekers, days), bool)
    state = rng.random(seekers) < share
    for day in range(days):
        if day:
            draw = rng.random(seekers)
            state = np.where(state, draw >= stop, draw < begin) if share < 1 else state
        found[:, day] = state
    return found


def arrivals(
    rules: Mapping[str, Any],
    seeker: np.ndarray,
    rate: np.ndarray,
    first_day: float,
    days: int,
    rng: np.random.Generator,
) -> Traffic:
    """The visits of a window. seeker int[S]: stable numbers, from which those of visits are made; rate float64[S]."""
    weights = weekday_weights(rules, first_day, days)
    searching = searching_days(rules, len(seeker), days, rng)
    visits = rng.poisson(rate[:, None] / rules["searching_share"] * weights * searching)  # [S, days]
    who, day = np.divmod(np.repeat(np.arange(visits.size), visits.ravel()), days)
    hours = np.array(rules["hours"])
    second = day * 86_400.0 + rng.choice(24, len(who), p=hours / hours.sum()) * 3_600.0 + rng.random(len(who)) * 3_600.0
    order = np.lexsort((second, who))
    who, second = who[order], second[order]
    total = visits.sum(1)
    of_seeker = np.arange(len(who)) - np.repeat(np.cumsum(total) - total, total)
    number = seeker[who].astype(np.int64) * VISITS_NUMBERED + of_seeker
    order = np.lexsort((number, second))
    return Traffic(who[order].astype(np.int32), second[order], number[order])
