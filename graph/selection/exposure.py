"""Exposure weights: a hire can only be confirmed where the job was shown, so hires are a sample biased by the past.

A logging policy that favours what is near the present occupation confirms mostly hires that are near it. Where the log
says how likely each thing shown was (`propensity` of an impression: the chance of that draw), a hire counts the
inverse of its chance to be seen at all (Horvitz and Thompson 1952; Schnabel et al. 2016):

    m_i = impressions of the seeker while the job was open, up to the application     draws that could have shown it
    p_i = mean logged propensity of the impressions that showed it
    e_i = 1 - (1 - p_i)^m_i                                                           chance of being shown at all
    w_i = min(clip, (1 / e_i) / mean(1 / e)), scaled to a mean of 1 again             self-normalised, clipped

A hire whose job was never shown by a logged impression came another way (a search, a friend, a time before the log):
the policy did not select it, and it weighs 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from graph.hires import Hires
from market.errors import ConfigError, DataError
from market.tables import Tables

Weighting = Literal["off", "inverse"]


@dataclass(frozen=True)
class ExposureConfig:
    """weighting "off" leaves every hire alike; clip bounds a weight, in multiples of the mean weight."""

    weighting: Weighting = "off"
    clip: float = 5.0

    def __post_init__(self) -> None:
        if self.weighting not in ("off", "inverse"):
            raise ConfigError(f"exposure weighting {self.weighting!r} is unknown; use off or inverse")
        if not self.clip >= 1:
            raise ConfigError(f"clip is {self.clip}, expected at least 1 (times the mean weight)")


@dataclass(frozen=True)
class Exposure:
    """One entry per row of `Hires.hires`: shown bool[n], chance float64[n] to be shown at all, 1 where it was not."""

    shown: np.ndarray
    chance: np.ndarray


def exposure_of(tables: Tables, hires: Hires) -> Exposure:
    """How each confirmed hire came to be seen; DataError where the impressions carry no (sound) propensity."""
    made = hires.hires.to_pandas().assign(row=np.arange(len(hires)))
    shown = _impressions(tables)
    hit = made[["row", "seeker_id", "job_id", "applied_at"]].merge(shown, on=["seeker_id", "job_id"])
    hit = hit[hit.occurred_at <= hit.applied_at].groupby("row", sort=True).propensity.mean()
    chance = np.ones(len(hires))
    if len(hit):
        draws = _draws(made.iloc[hit.index], tables, shown)
        chance[hit.index] = 1 - (1 - hit.to_numpy()) ** draws
    was_shown = np.zeros(len(hires), bool)
    was_shown[hit.index] = True
    return Exposure(was_shown, chance)


def exposure_weights(tables: Tables, hires: Hires, config: ExposureConfig) -> np.ndarray | None:
    """float64[n]: weight of every confirmed hire in the order of `Hires.hires`; None with weighting "off"."""
    if config.weighting == "off":
        return None
    exposure = exposure_of(tables, hires)
    weights = np.ones(len(hires))
    weights[exposure.shown] = inverse_weights(exposure.chance[exposure.shown], config.clip)
    return weights


def inverse_weights(chance: np.ndarray, clip: float) -> np.ndarray:
    """float64[n]: 1 / chance with a mean of 1, no entry above `clip` before it is scaled to a mean of 1 once more."""
    if not len(chance):
        return np.zeros(0)
    inverse = 1 / chance
    clipped = np.minimum(inverse / inverse.mean(), clip)
    return np.asarray(clipped / clipped.mean())


def _impressions(tables: Tables) -> pd.DataFrame:
    if "impressions" not in tables or "propensity" not in tables["impressions"].column_names:
        raise DataError(
            "impressions", "no logged propensities to weigh hires by", "log them, or set exposure weighting to off"
        )
    shown = tables["impressions"].select(["event_id", "seeker_id", "job_id", "propensity", "occurred_at"]).to_pandas()
    shown = shown.drop_duplicates("event_id").dropna(subset=["propensity"])
    wrong = (shown.propensity <= 0) | (shown.propensity > 1)
    if wrong.any():
        value = shown.propensity[wrong].iloc[0]
        raise DataError("impressions", f"propensity {value} is no chance of a draw", "log numbers in (0, 1]")
    return shown


def _draws(made: pd.DataFrame, tables: Tables, shown: pd.DataFrame) -> np.ndarray:
    """int64[k]: impressions of each hire's seeker between the job's posting and the application; at least 1."""
    columns = [name for name in ("job_id", "posted_at", "expires_at") if name in tables["jobs"].column_names]
    jobs = tables["jobs"].select(columns).to_pandas().drop_duplicates("job_id").set_index("job_id")
    opened, closed = _utc(made.job_id.map(jobs.posted_at)), _utc(made.applied_at)
    if "expires_at" in jobs:
        closed = np.fmin(closed, _utc(made.job_id.map(jobs.expires_at)))  # fmin: no expiry is no limit
    times = {seeker: np.sort(_utc(group)) for seeker, group in shown.groupby("seeker_id").occurred_at}
    draws = [
        np.searchsorted(times[seeker], end, side="right") - np.searchsorted(times[seeker], begin)
        for seeker, begin, end in zip(made.seeker_id, opened, closed, strict=True)
    ]
    return np.maximum(np.array(draws, np.int64), 1)


def _utc(when: pd.Series) -> np.ndarray:
    """datetime64[us]: instants as plain UTC; NaT where there is none."""
    return pd.to_datetime(when, utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
