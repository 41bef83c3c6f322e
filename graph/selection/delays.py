"""Delayed hires: an application that is still open is neither a hire nor a no-hire.

At any moment `as_of` the youngest applications have had no time to become hires. Counting them as no-hires makes
P(hire | application) too small; leaving only them out makes it too large, because the early hires of the same weeks
stay in. Both mistakes vanish when open applications count as long as they were watched (Kaplan and Meier 1958):

    d_t = hires on record t days after the application, r_t = applications watched at least t days without one before
    S(t) = product over s <= t of (1 - d_s / r_s),  P(hire on record within h days) = 1 - S(h)

A hire is on record when its position has begun *and* has been recorded; that delay is what is measured here, since
nothing can be known earlier. The estimate holds where hiring is as quick for young applications as for old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from graph.hires import HIRED, Hires
from market.errors import ConfigError, DataError
from market.tables import Tables

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Watched:
    """n applications: days float64[n] from applying to the hire on record, or to `as_of` without one; hired bool[n]."""

    days: np.ndarray
    hired: np.ndarray

    def __len__(self) -> int:
        return len(self.days)


def watched(tables: Tables, hires: Hires, as_of: datetime) -> Watched:
    """How long each application of `confirm(tables, as_of)` was watched, in the order of `hires.outcomes`."""
    cut = pd.Timestamp(as_of) if as_of.tzinfo else pd.Timestamp(as_of, tz="UTC")
    outcomes = hires.outcomes.to_pandas()
    hired = (outcomes.outcome == HIRED).to_numpy()
    end = _on_record(tables, hires).reindex(outcomes.event_id).fillna(cut)
    days = ((end.array - outcomes.applied_at) / DAY).to_numpy(np.float64)
    return Watched(np.maximum(days, 0.0), hired)


def _on_record(tables: Tables, hires: Hires) -> pd.Series:
    """Application event id -> when its hire could first be seen: begun and recorded."""
    key = ["seeker_id", "employer_id", "started_at"]
    positions = tables["positions"].select([*key, "recorded_at"]).to_pandas().groupby(key, as_index=False).min()
    made = hires.hires.to_pandas().merge(positions, on=key, how="left").set_index("application_event_id")
    return made[["started_at", "recorded_at"]].max(axis=1)


def hire_rate(applications: Watched, horizon_days: float) -> float:
    """P(hire on record within `horizon_days` of applying), by Kaplan and Meier; 0 without any hire.

    DataError when nobody was watched that long: the tail would be a guess.
    """
    if not horizon_days > 0:
        raise ConfigError(f"horizon_days is {horizon_days}, expected above 0")
    if not len(applications) or applications.days.max() < horizon_days:
        longest = applications.days.max(initial=0.0)
        raise DataError(
            "applications", f"none was watched for {horizon_days:g} days (longest {longest:.0f})", "shorten the horizon"
        )
    days, hired = _until(applications, horizon_days)
    times, hires = np.unique(days[hired], return_counts=True)
    at_risk = len(days) - np.searchsorted(np.sort(days), times)  # watched at least that long
    return float(1 - np.prod(1 - hires / at_risk))


def censoring_weights(applications: Watched, horizon_days: float) -> np.ndarray:
    """float64[n]: inverse chance of having been watched long enough; 0 where the outcome by the horizon is not known.

    weight_i = 1 / G(t_i-), G the Kaplan-Meier curve of *stopping to watch*, t_i the day of the hire or the horizon.
    sum(weight * hired) / n is `hire_rate`; the weights go where a regression of P(hire | application, x) is fitted.
    """
    days, hired = _until(applications, horizon_days)
    known = hired | (applications.days >= horizon_days)
    times, stops = np.unique(days[~known], return_counts=True)
    # of a hire and a stop on one day the hire comes first: it is no longer at risk of stopping
    hire_days = np.sort(days[hired])
    same_day = np.searchsorted(hire_days, times, side="right") - np.searchsorted(hire_days, times)
    at_risk = len(days) - np.searchsorted(np.sort(days), times) - same_day
    curve = np.concatenate([[1.0], np.cumprod(1 - stops / at_risk)])
    before = np.searchsorted(times, days, side="left")  # stops strictly before the day
    return np.where(known, 1 / np.maximum(curve[before], 1e-12), 0.0)


def _until(applications: Watched, horizon_days: float) -> tuple[np.ndarray, np.ndarray]:
    """Days cut at the horizon, and who was hired by then."""
    hired = applications.hired & (applications.days <= horizon_days)
    return np.minimum(applications.days, horizon_days), hired
