"""The world of a simulated job site: real (or generated) careers, metros, employers, vacancies, folds by person.

Who moves into which occupation next is recorded, never simulated in the careers world; which posting is simulated.
Fit persons make the training logs, validation persons tune baselines, serve persons are what a market is judged on;
all copies of a person are in one fold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from market.careers import Careers, read_careers
from market.errors import ConfigError
from market.taxonomy import Metros
from market.text import TextEncoder
from sim.behaviour import Behaviour
from sim.facts import Facts, generated_facts, read_facts, read_metros
from sim.generated import generated_careers, generated_metros
from sim.lives import Lives, draw_employers, live

Kind = Literal["careers", "generated"]
FIT, VALIDATE, SERVE = 0, 1, 2


@dataclass(frozen=True)
class WorldConfig:
    """Everything that shapes a world, beside the data it reads."""

    kind: Kind = "generated"
    seed: int = 0
    metros: int = 10
    persons: int = 4_000  # generated world only
    fit_share: float = 0.6
    validate_share: float = 0.1
    serve_replicas: int = 8
    same_occupation_share: float = 0.4  # assumption, swept 0 to .6: the survey does not record employers
    calendar_shift: int = 31
    last_year: int = 1991  # the last survey year the engine may see; 1991/92 lies before the recoding of 1993-96
    window_after_days: int = 31  # the market window opens this long after that survey
    inventory: int = 4_000  # vacancies open in the window
    remote_share: float = 0.05  # assumption

    def __post_init__(self) -> None:
        if self.kind not in ("careers", "generated"):
            raise ConfigError(f"world {self.kind!r} is unknown; use careers or generated")
        if self.metros < 1 or self.serve_replicas < 1 or self.inventory < 10 or self.persons < 50:
            raise ConfigError("metros and serve_replicas must be at least 1, inventory 10, persons 50")


@dataclass(frozen=True)
class Vacancies:
    """J vacancies: occupation, metro, employer int32[J]; wage float64[J] a year; day float64[J] posted; remote bool[J];
    title int32[J]: which of the occupation's titles; expires float64[J]; openings int32[J]."""

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


@dataclass(frozen=True)
class World:
    """All of it. fold int8[S] is FIT, VALIDATE or SERVE; window_day is when the market window opens."""

    config: WorldConfig
    behaviour: Behaviour
    careers: Careers
    metros: Metros
    facts: Facts
    lives: Lives
    fold: np.ndarray
    window_day: float
    inventory: Vacancies

    def seeker_id(self, seeker: int) -> str:
        return f"s{self.careers.person_ids[self.lives.person[seeker]]}-{self.lives.replica[seeker]}"

    def title(self, vacancies: Vacancies, row: int) -> str:
        variants = self.facts.titles[vacancies.occupation[row]]
        return variants[vacancies.title[row] % len(variants)]


def build_world(
    config: WorldConfig,
    behaviour: Behaviour,
    data: Path | None,
    encoder: TextEncoder | None,
    progress: Callable[[str], None] = lambda _: None,
) -> World:
    """The world of `config`; the careers world needs the data directory and a text encoder for the mapping."""
    rng = np.random.default_rng([config.seed, 11])
    if config.kind == "careers":
        if data is None or encoder is None:
            raise ConfigError("the careers world needs a data directory; give --data, or use --world generated")
        progress("reading careers")
        careers = read_careers(data / "nlsy79_careers")
        metros = read_metros(data, config.metros)
        facts = read_facts(data, careers.taxonomy, metros, encoder, progress=progress)
    else:
        progress("generating careers")
        careers = generated_careers(config.persons, rng)
        metros = generated_metros(config.metros, rng)
        facts = generated_facts(careers.taxonomy, metros, rng)

    progress("placing lives on the calendar")
    person_fold = folds(careers.person_ids, config)
    replicas = np.where(person_fold == FIT, 1, config.serve_replicas)
    lives = live(careers, replicas, metros.employment, config.same_occupation_share, config.calendar_shift, rng)
    last = np.datetime64(f"{config.last_year + config.calendar_shift}-07-01", "D").astype(float)
    window_day = float(last + config.window_after_days)
    return World(
        config,
        behaviour,
        careers,
        metros,
        facts,
        lives,
        person_fold[lives.person],
        window_day,
        _inventory(config, behaviour, careers, metros, facts, lives, person_fold, window_day, rng),
    )


def folds(person_ids: tuple[str, ...], config: WorldConfig) -> np.ndarray:
    """int8[P]: the fold of each person, by a hash of its id, so that it never depends on who else is there."""
    draw = np.array(
        [int(hashlib.sha256(f"fold:{person_id}".encode()).hexdigest()[:12], 16) / 16**12 for person_id in person_ids]
    )
    edges = [config.fit_share, config.fit_share + config.validate_share]
    return np.searchsorted(edges, draw, side="right").astype(np.int8)


def open_vacancies(
    world_parts: tuple[Careers, Metros, Facts],
    occupation: np.ndarray,
    metro: np.ndarray,
    employer: np.ndarray,
    posted_day: np.ndarray,
    life_days: np.ndarray,
    remote_share: float,
    openings_mean: float,
    rng: np.random.Generator,
) -> Vacancies:
    """Vacancies with wages around the occupation's wage in the metro (log standard deviation .15, assumption)."""
    _, _, facts = world_parts
    n = len(occupation)
    return Vacancies(
        occupation.astype(np.int32),
        metro.astype(np.int32),
        employer.astype(np.int32),
        facts.wage[occupation, metro] * np.exp(rng.normal(0, 0.15, n)),
        posted_day,
        posted_day + life_days,
        rng.random(n) < remote_share,
        rng.integers(0, 1 << 16, n).astype(np.int32),
        rng.geometric(1 / openings_mean, n).astype(np.int32),
    )


def _inventory(
    config: WorldConfig,
    behaviour: Behaviour,
    careers: Careers,
    metros: Metros,
    facts: Facts,
    lives: Lives,
    person_fold: np.ndarray,
    window_day: float,
    rng: np.random.Generator,
) -> Vacancies:
    """What is open in the window: occupations as in the hires of fit persons before it, metros by employment."""
    seen = lives.hired & (lives.start_day < window_day) & (person_fold[lives.person[lives.seeker]] == FIT)
    occupation = rng.choice(lives.occupation[seen], config.inventory)
    metro = rng.choice(len(metros), config.inventory, p=metros.employment / metros.employment.sum())
    employer = draw_employers(careers.taxonomy.major[occupation], metro, len(metros), rng)
    posted = window_day - rng.uniform(0, 45, config.inventory)
    return open_vacancies(
        (careers, metros, facts),
        occupation,
        metro,
        employer,
        posted,
        np.full(config.inventory, 90.0),
        config.remote_share,
        behaviour["campaigns"]["openings_mean"],
        rng,
    )
