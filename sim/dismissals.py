"""Why simulated seekers wave a job away: hidden causes, and a reason that few give and some get wrong.

*Mechanics*: every number is an assumption of ours. A seeker who has seen a job and not applied dismisses it with

    P = 1 - (1 - base) * product over the causes that are present of (1 - p_cause)

The causes are known to the world alone; logs hold the dismissal and, for a share of them, a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError
from sim.behaviour import hash_uniform
from sim.vacancies import Vacancies
from sim.world import World

CAUSES = ("occupation", "seniority", "stale", "duplicate", "company", "language")
DISLIKE_SALT = 31
OTHER = "other"  # the reason of a dismissal that nothing but the base rate explains


@dataclass(frozen=True)
class DismissalConfig:
    """All assumptions: probabilities given that the job was seen and not applied to; nothing here was measured."""

    base: float = 0.004
    occupation: float = 0.010  # the job is of no grade for where the seeker moves next
    seniority: float = 0.030  # preparation levels at least `level_gap` apart
    stale: float = 0.015  # posted more than `stale_days` ago
    duplicate: float = 0.080  # a newer near-identical posting is open
    company: float = 0.150  # an employer this seeker dislikes
    language: float = 0.080  # written in a language the seeker does not read
    level_gap: float = 2.0
    stale_days: float = 35.0
    disliked_share: float = 0.03  # of pairs of seeker and employer
    reason_share: float = 0.35  # of dismissals that come with a reason
    wrong_reason_share: float = 0.20  # of the reasons given, drawn from the other words

    def __post_init__(self) -> None:
        names = ("base", *CAUSES, "disliked_share", "reason_share", "wrong_reason_share")
        wrong = next((name for name in names if not 0 <= getattr(self, name) <= 1), None)
        if wrong is not None:
            raise ConfigError(f"{wrong} is {getattr(self, wrong)}; expected a probability from 0 to 1")
        if self.level_gap <= 0 or self.stale_days <= 0:
            raise ConfigError(f"level_gap is {self.level_gap}, stale_days {self.stale_days}; expected more than 0")


def bad_match_probability(config: DismissalConfig, causes: Mapping[str, np.ndarray]) -> np.ndarray:
    """float64[n]: P(some cause that is present makes a seen job a dismissal); causes bool[n] by name, absent: none."""
    unknown = set(causes) - set(CAUSES)
    if unknown:
        raise ConfigError(f"no cause of dismissals is called {sorted(unknown)}; known are {', '.join(CAUSES)}")
    kept = np.ones(len(next(iter(causes.values()))) if causes else 0)
    for name, present in causes.items():
        kept = kept * np.where(present, 1 - getattr(config, name), 1.0)
    return 1 - kept


def dismissal_probability(config: DismissalConfig, causes: Mapping[str, np.ndarray]) -> np.ndarray:
    """float64[n]: P(dismissed | seen, not applied), the base rate included."""
    return 1 - (1 - config.base) * (1 - bad_match_probability(config, causes))


def draw_reasons(config: DismissalConfig, causes: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """object[n]: the reason given with each dismissal, None where the seeker gave none.

    A true reason is one of the causes present, drawn by their probabilities beside the base rate ("other"); a wrong
    one is any other word.
    """
    words = np.array([*causes, OTHER], dtype=object)
    weight = np.stack([*(np.where(causes[name], getattr(config, name), 0.0) for name in causes)], axis=1)  # [n, c]
    weight = np.concatenate([weight, np.full((len(weight), 1), config.base)], axis=1)  # [n, c + 1]
    edge = np.cumsum(weight, axis=1)
    true = (rng.random(len(weight))[:, None] * edge[:, -1:] >= edge).sum(axis=1).clip(max=len(words) - 1)
    other = (true + 1 + rng.integers(0, max(1, len(words) - 1), len(weight))) % len(words)
    told = np.where(rng.random(len(weight)) < config.wrong_reason_share, other, true)
    return np.where(rng.random(len(weight)) < config.reason_share, words[told], None)


def overtaken(keys: np.ndarray, posted: np.ndarray, job: np.ndarray, day: np.ndarray) -> np.ndarray:
    """bool[n]: whether at `day` a newer posting of the same key than `job` was out.

    keys int64[J] (equal: near-identical), posted float64[J] days; job int64[n], day float64[n].
    """
    order = np.lexsort((posted, keys))
    following = np.full(len(keys), np.inf)  # when the next posting of the key came out
    same = keys[order[1:]] == keys[order[:-1]]
    following[order[:-1][same]] = posted[order[1:][same]]
    return following[job] <= day


def posting_keys(world: World, jobs: Vacancies) -> np.ndarray:
    """int64[J]: equal for postings of one employer, metro, occupation and title."""
    variants = np.array([len(titles) for titles in world.facts.titles])[jobs.occupation]
    parts = np.stack([jobs.employer, jobs.metro, jobs.occupation, jobs.title % variants], axis=1)
    return np.unique(parts, axis=0, return_inverse=True)[1].ravel()


def disliked(config: DismissalConfig, seeker: np.ndarray, employer: np.ndarray) -> np.ndarray:
    """bool[n]: a share of pairs, the same pair always alike."""
    pairs = np.stack([seeker, employer], axis=1).astype(np.int64)
    return np.array([hash_uniform(s, e, DISLIKE_SALT) < config.disliked_share for s, e in pairs.tolist()], bool)
