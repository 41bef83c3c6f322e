"""Vacancies: what employers look for, and from which day to which.

A vacancy is filled after a time without memory, or taken down when its posting runs out; the site takes postings in and
down at midnight, so every life is a number of whole days. Employers with a need open one vacancy or several alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError
from market.taxonomy import Metros, Taxonomy
from sim.behaviour import Behaviour
from sim.facts import Facts
from sim.lives import draw_employers


@dataclass(frozen=True)
class Vacancies:
    """J vacancies: occupation, metro, employer int32[J]; wage float64[J] a year; remote bool[J]; openings int32[J];
    title int32[J]: which of the occupation's titles; posted_day, expires_day float64[J]: open from the first on, no
    longer open from the second on, days since 1970."""

    occupation: np.ndarray
    metro: np.ndarray
    employer: np.ndarray
    wage: np.ndarray
    posted_day: np.ndarray
    expires_day: np.ndarray
    remote: np.ndarray
    title: np.ndarray
    openings: np.ndarray

    def __len__(self) -> int:
        return len(self.occupation)

    def open_between(self, first_day: float, last_day: float) -> np.ndarray:
        """int64[n]: rows that are open at some time of [first_day, last_day)."""
        return np.flatnonzero((self.posted_day < last_day) & (self.expires_day > first_day))


def open_vacancies(
    facts: Facts,
    behaviour: Behaviour,
    occupation: np.ndarray,
    metro: np.ndarray,
    employer: np.ndarray,
    posted_day: np.ndarray,
    life_days: np.ndarray,
    remote_share: float,
    rng: np.random.Generator,
) -> Vacancies:
    """Vacancies with wages around the occupation's wage in the metro, [J] each."""
    n = len(occupation)
    return Vacancies(
        occupation.astype(np.int32),
        metro.astype(np.int32),
        employer.astype(np.int32),
        facts.wage[occupation, metro] * np.exp(rng.normal(0, behaviour["vacancies"]["wage_sd"], n)),
        posted_day,
        posted_day + life_days,
        rng.random(n) < remote_share,
        rng.integers(0, 1 << 16, n).astype(np.int32),
        rng.geometric(1 / behaviour["campaigns"]["openings_mean"], n).astype(np.int32),
    )


def window_inventory(
    occupations: np.ndarray,
    taxonomy: Taxonomy,
    metros: Metros,
    facts: Facts,
    behaviour: Behaviour,
    window_day: float,
    open_at_start: int,
    posting_days: int,
    remote_share: float,
    rng: np.random.Generator,
) -> Vacancies:
    """`open_at_start` vacancies open when the window opens, then those posted in its first `posting_days` days.

    occupations int[n]: what employers look for is drawn from these (hires of the past); metros by employment. New
    vacancies come as fast as old ones go, so that the number open stays about the same.
    """
    if not len(occupations):
        raise ConfigError("nobody of the fit persons was hired before the window; raise persons or last_year")
    rules = behaviour["vacancies"]
    mean, longest = rules["filled_after_days"], rules["expires_after_days"]
    later = round(open_at_start * posting_days / (mean * -np.expm1(-longest / mean)))
    count = open_at_start + later

    need = np.repeat(np.arange(count), rng.geometric(1 / rules["vacancies_per_need"], count))[:count]
    need = rng.permutation(need)
    occupation = rng.choice(occupations, count)[need]
    metro = rng.choice(len(metros), count, p=metros.employment / metros.employment.sum())[need]
    employer = draw_employers(taxonomy.major[occupation], metro, len(metros), rng)
    _, first, of_need = np.unique(need, return_index=True, return_inverse=True)
    employer = employer[first][of_need]

    # what is open at a moment has an age whose density falls like the share that lives so long
    age = np.floor(-mean * np.log1p(rng.random(open_at_start) * np.expm1(-longest / mean)))
    posted = np.concatenate([-age, 1.0 + rng.integers(0, max(1, posting_days), later)])
    known = np.concatenate([age, np.zeros(later)])  # days it has lived when the window first sees it
    life = np.minimum(known + np.maximum(1, np.ceil(rng.exponential(mean, count))), longest)
    return open_vacancies(
        facts,
        behaviour,
        occupation,
        metro,
        employer,
        window_day + posted,
        np.maximum(life, known + 1),
        remote_share,
        rng,
    )
