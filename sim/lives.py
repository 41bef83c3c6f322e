"""From careers (an occupation a year) to lives on a calendar: positions at employers, one hire between two of them.

An observation of year Y is dated 1 July Y + shift. A change of occupation between two observations is one hire, its
start uniform between them. A stated share of all hires keeps the occupation and changes the employer, which the survey
does not record: they fall on stays first, and where those do not suffice before a recorded change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.careers import Careers
from market.errors import ConfigError

EMPLOYERS_PER_CELL = 80  # employers of one metro and major group, sizes k^-0.8 (Zipf)


@dataclass(frozen=True)
class Lives:
    """S seekers (replicas of persons in metros) and their N positions, sorted by (seeker, start_day).

    person, replica, metro int32[S]; seeker, occupation, employer int32[N]; start_day float64[N], days since 1970.
    Every position but a seeker's first began with a hire: `hired` bool[N].
    """

    person: np.ndarray
    replica: np.ndarray
    metro: np.ndarray
    seeker: np.ndarray
    occupation: np.ndarray
    employer: np.ndarray
    start_day: np.ndarray
    hired: np.ndarray

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[S], int64[S]: positions of seeker i are rows start[i]:stop[i]."""
        counts = np.bincount(self.seeker, minlength=len(self.person))
        stop = np.cumsum(counts)
        return stop - counts, stop

    def known_at(self, day: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per seeker: first row, end of the rows begun by `day`, and the row of the next hire after it (-1: none)."""
        start, stop = self.bounds()
        begun = np.bincount(self.seeker[self.start_day <= day], minlength=len(self.person))
        end = start + begun
        following = np.where(end < stop, end, -1)
        return start, end, following


def live(
    careers: Careers,
    replicas: np.ndarray,
    metro_weights: np.ndarray,
    same_occupation_share: float,
    calendar_shift: int,
    rng: np.random.Generator,
) -> Lives:
    """Lives of every person, `replicas` int[P] times each (0: left out), each copy in a metro of its own."""
    if not 0 <= same_occupation_share < 0.7:
        raise ConfigError(f"same_occupation_share is {same_occupation_share}, expected 0 to below 0.7")
    person = np.repeat(np.arange(len(careers.person_ids)), replicas).astype(np.int32)
    replica = (np.arange(len(person)) - np.searchsorted(person, person, side="left")).astype(np.int32)
    metro = rng.choice(len(metro_weights), len(person), p=metro_weights / metro_weights.sum()).astype(np.int32)

    observations = np.bincount(careers.person, minlength=len(careers.person_ids))
    first_row = np.cumsum(observations) - observations
    day = _survey_day(careers.year, calendar_shift)

    # every seeker has the pairs of its person: row, row + 1
    pairs_each = observations[person] - 1
    seeker = np.repeat(np.arange(len(person)), pairs_each)
    offset = np.arange(len(seeker)) - np.repeat(np.cumsum(pairs_each) - pairs_each, pairs_each)
    row = first_row[person[seeker]] + offset
    before, after = careers.occupation[row], careers.occupation[row + 1]
    changed = before != after
    change_day = day[row] + rng.random(len(row)) * (day[row + 1] - day[row])

    need = same_occupation_share / (1 - same_occupation_share) * changed.sum()
    stays = max(1, int((~changed).sum()))
    p_stay = min(1.0, need / stays)
    p_change = min(1.0, max(0.0, need - stays) / max(1, int(changed.sum())))
    same = rng.random(len(row)) < np.where(changed, p_change, p_stay)
    until = np.where(changed, change_day, day[row + 1])
    same_day = day[row] + rng.random(len(row)) * (until - day[row])

    begin_day = day[first_row[person]] - rng.uniform(30, 365, len(person))
    all_seeker = np.concatenate([np.arange(len(person)), seeker[changed], seeker[same]])
    all_day = np.concatenate([begin_day, change_day[changed], same_day[same]])
    all_occupation = np.concatenate([careers.occupation[first_row[person]], after[changed], before[same]])
    order = np.lexsort((all_day, all_seeker))
    all_seeker, all_day, all_occupation = all_seeker[order], all_day[order], all_occupation[order]
    hired = np.concatenate([[False], all_seeker[1:] == all_seeker[:-1]])
    employer = draw_employers(careers.taxonomy.major[all_occupation], metro[all_seeker], len(metro_weights), rng)
    employer = _moved_on(employer, hired)
    return Lives(
        person,
        replica,
        metro,
        all_seeker.astype(np.int32),
        all_occupation.astype(np.int32),
        employer.astype(np.int32),
        all_day,
        hired,
    )


def draw_employers(major: np.ndarray, metro: np.ndarray, metros: int, rng: np.random.Generator) -> np.ndarray:
    """int64[n] employer numbers, drawn within (major group, metro) by Zipf sizes."""
    size = np.arange(1, EMPLOYERS_PER_CELL + 1) ** -0.8
    pick = rng.choice(EMPLOYERS_PER_CELL, len(major), p=size / size.sum())
    return (major.astype(np.int64) * metros + metro) * EMPLOYERS_PER_CELL + pick


def _moved_on(employer: np.ndarray, hired: np.ndarray) -> np.ndarray:
    """Nobody is hired by the employer they are at: the next employer of the cell steps in. One place of all careers
    after the other, because a replacement may clash with what follows it."""
    employer = employer.copy()
    first = np.flatnonzero(~hired)
    length = np.diff(np.append(first, len(hired)))
    for place in range(1, int(length.max(initial=0))):
        rows = first[length > place] + place
        rows = rows[employer[rows] == employer[rows - 1]]
        employer[rows] = _neighbour(employer[rows])
    return employer


def _neighbour(employer: np.ndarray) -> np.ndarray:
    cell, pick = np.divmod(employer, EMPLOYERS_PER_CELL)
    return cell * EMPLOYERS_PER_CELL + (pick + 1) % EMPLOYERS_PER_CELL


def _survey_day(year: np.ndarray, shift: int) -> np.ndarray:
    """Days since 1970 of 1 July of year + shift."""
    months = (year.astype(np.int64) + shift - 1970) * 12 + 6
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.float64)
