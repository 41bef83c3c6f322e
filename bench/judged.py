"""The judging fold of the careers tables, a hashed fifth of the persons, and the model fitted once on the others."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from graph.learner import CareersConfig, Fitted, fit_careers
from hiregraph.pipeline import peak_mib
from market.careers import Careers, read_careers
from sim.generated import generated_careers

FOLD = "bench"
GENERATED_PERSONS = 4_000  # where there is no data directory


@dataclass(frozen=True)
class Split:
    """others: for whatever is learned or chosen; judges: looked at once a table."""

    others: Careers
    judges: Careers
    source: str


@dataclass(frozen=True)
class FittedOnce:
    fitted: Fitted
    seconds: float
    peak_mib: float


def one_in(parts: int, salt: str, name: str) -> bool:
    """Whether a name falls into the first of so many equal parts, which salt and name alone decide."""
    return int(hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()[:12], 16) % parts == 0


@cache
def split(data: Path | None) -> Split:
    if data is None:
        careers = generated_careers(GENERATED_PERSONS, np.random.default_rng(0))
        source = "generated careers (no data directory)"
    else:
        careers, source = read_careers(data / "nlsy79_careers"), "NLSY79"
    judging = np.array([one_in(5, FOLD, person_id) for person_id in careers.person_ids])
    return Split(careers.of_persons(~judging), careers.of_persons(judging), source)


@cache
def fitted(data: Path | None) -> FittedOnce:
    """What `graph fit` learns of the others; several tables look at it, one fit serves them all."""
    began = time.perf_counter()
    found = fit_careers(split(data).others, CareersConfig())
    return FittedOnce(found, time.perf_counter() - began, peak_mib())
