"""The world of a simulated job site: real (or generated) careers, metros, employers, vacancies, folds by person.

Who moves into which occupation next is recorded, never simulated in the careers world; which posting is simulated.
Fit persons make the training logs, validation persons tune baselines, serve persons are what a market is judged on;
all copies of a person are in one fold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from sim.lives import Lives, live
from sim.vacancies import Vacancies, window_inventory

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
    serve_replicas: int = 8  # copies of each person markets are judged on
    validate_replicas: int | None = None  # copies of each validation person; None: as many
    same_occupation_share: float = 0.4  # assumption, swept 0 to .6: the survey does not record employers
    calendar_shift: int = 31
    last_year: int = 1991  # the last survey year the engine may see; 1991/92 lies before the recoding of 1993-96
    window_after_days: int = 31  # the market window opens this long after that survey
    inventory: int = 4_000  # vacancies open when the window opens
    posting_days: int = 14  # new vacancies are posted in this many days after that; no window is longer
    remote_share: float = 0.05  # assumption

    def __post_init__(self) -> None:
        if self.kind not in ("careers", "generated"):
            raise ConfigError(f"world {self.kind!r} is unknown; use careers or generated")
        least = {"metros": 1, "serve_replicas": 1, "validate_replicas": 1, "inventory": 10, "persons": 50}
        for name, smallest in (least | {"posting_days": 1}).items():
            if getattr(self, name) is not None and getattr(self, name) < smallest:
                raise ConfigError(f"{name} of a world is {getattr(self, name)}, expected at least {smallest}")


def scaled(config: WorldConfig, campaigns: int, days: int) -> WorldConfig:
    """The world of `config`, large enough for so many campaigns and so long a window.

    Ten vacancies a campaign open at the start (6 to 8 % of those the window sees are promoted) and, beyond 300
    campaigns, 28 copies of each served person per thousand: near a thousand visits a week for every campaign.
    """
    return replace(
        config,
        inventory=max(config.inventory, 10 * campaigns),
        serve_replicas=max(config.serve_replicas, round(0.028 * campaigns)),
        validate_replicas=config.serve_replicas if config.validate_replicas is None else config.validate_replicas,
        posting_days=max(config.posting_days, days),
    )


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
    validate = config.serve_replicas if config.validate_replicas is None else config.validate_replicas
    replicas = np.array([1, validate, config.serve_replicas])[person_fold]
    lives = live(careers, replicas, metros.employment, config.same_occupation_share, config.calendar_shift, rng)
    last = np.datetime64(f"{config.last_year + config.calendar_shift}-07-01", "D").astype(float)
    window_day = float(last + config.window_after_days)
    fold = person_fold[lives.person]
    # occupations as in the hires of fit persons before the window
    seen = lives.hired & (lives.start_day < window_day) & (fold[lives.seeker] == FIT)
    inventory = window_inventory(
        lives.occupation[seen],
        careers.taxonomy,
        metros,
        facts,
        behaviour,
        window_day,
        config.inventory,
        config.posting_days,
        config.remote_share,
        rng,
    )
    return World(config, behaviour, careers, metros, facts, lives, fold, window_day, inventory)


def folds(person_ids: tuple[str, ...], config: WorldConfig) -> np.ndarray:
    """int8[P]: the fold of each person, by a hash of its id, so that it never depends on who else is there."""
    draw = np.array(
        [int(hashlib.sha256(f"fold:{person_id}".encode()).hexdigest()[:12], 16) / 16**12 for person_id in person_ids]
    )
    edges = [config.fit_share, config.fit_share + config.validate_share]
    return np.searchsorted(edges, draw, side="right").astype(np.int8)
