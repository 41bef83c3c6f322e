"""How simulated seekers look at, click on and apply to jobs: `behaviour.toml` and the formulas it feeds.

Everything here is *mechanics*: a click model we wrote. What is real is which occupation a person took next.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from market.compiled import njit, part
from market.errors import ConfigError
from market.qualification import Qualification
from market.taxonomy import Taxonomy

PATH = Path(__file__).with_name("behaviour.toml")


@dataclass(frozen=True)
class Behaviour:
    """All coefficients, by section of the file; sha256 is the digest of the file they came from."""

    values: Mapping[str, Mapping[str, Any]]
    sha256: str

    def __getitem__(self, section: str) -> Mapping[str, Any]:
        return self.values[section]

    def with_values(self, section: str, **changes: float) -> Behaviour:
        """A copy with some coefficients changed (sweeps, placebos); the digest says so."""
        unknown = set(changes) - set(self.values[section])
        if unknown:
            raise ConfigError(f"behaviour section {section!r} has no {sorted(unknown)}; see sim/behaviour.toml")
        values = {name: dict(content) for name, content in self.values.items()}
        values[section].update(changes)
        return replace(self, values=values, sha256=f"{self.sha256}+{section}:{sorted(changes.items())}")


def read_behaviour(path: Path = PATH) -> Behaviour:
    content = path.read_bytes()
    return Behaviour(tomllib.loads(content.decode()), hashlib.sha256(content).hexdigest())


def grade_table(taxonomy: Taxonomy, behaviour: Behaviour) -> np.ndarray:
    """float32[C, C]: grade[o, j] of a job of occupation j for a seeker whose recorded next occupation is o."""
    return Qualification(**behaviour["match"]).table(taxonomy)


def click_logit(
    behaviour: Behaviour,
    grade: np.ndarray,
    log_wage_ratio: np.ndarray,
    distance_km: np.ndarray,
    level_gap: np.ndarray,
    taste: np.ndarray,
    appeal: np.ndarray,
) -> np.ndarray:
    """logit P(click | seen) of a first exposure; all arrays broadcast; taste and appeal are standard normal."""
    click = behaviour["click"]
    return np.asarray(
        click["intercept"]
        + click["match"] * grade
        + click["log_wage_ratio"] * log_wage_ratio
        + click["distance_per_100km"] * distance_km / 100
        + click["level_gap"] * level_gap
        + click["taste_sd"] * taste
        + click["campaign_sd"] * appeal,
        np.float32,
    )


def apply_probability(
    behaviour: Behaviour, grade: np.ndarray, log_wage_ratio: np.ndarray, level_gap: np.ndarray
) -> np.ndarray:
    """P(application | click)."""
    weights = behaviour["apply"]
    logit = (
        weights["intercept"]
        + weights["match"] * grade
        + weights["log_wage_ratio"] * log_wage_ratio
        + weights["level_gap"] * level_gap
    )
    return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


def examination(behaviour: Behaviour, ranks: int) -> np.ndarray:
    """float32[ranks]: P(seen) at rank 1, 2, ..."""
    return (np.arange(1, ranks + 1) ** -float(behaviour["examination"]["exponent"])).astype(np.float32)


@part()
def hash_uniform(a: int, b: int, c: int) -> float:
    """A uniform number in [0, 1) that depends on its three integers only: common random numbers between arms."""
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15)
    for salt in (np.uint64(b), np.uint64(c)):  # mixed in between: else (b, c + 1) and (b + 1, c) could be one number
        z = (z ^ salt) + np.uint64(0x632BE59BD9B4E019)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@njit()
def hash_normals(rows: np.ndarray, columns: np.ndarray, salt: int) -> np.ndarray:
    """float32[n] standard normal by (row id, column id), int64[n] each: the same pair, the same taste."""
    assert len(rows) == len(columns)  # compiled code would read beyond the shorter one
    out = np.empty(len(rows), np.float32)
    for i in range(len(rows)):
        u = hash_uniform(rows[i], columns[i], salt)
        v = hash_uniform(rows[i], columns[i], salt + (1 << 32))  # far from every other salt in use
        out[i] = np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2 * np.pi * v)
    return out
