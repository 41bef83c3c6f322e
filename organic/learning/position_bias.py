"""How likely a rank was looked at, from the randomised part of the logs, and what a click there should count.

The site logs the probability p with which chance put a job at its place. Weighing by 1 / p makes the jobs of every
rank alike, so what is left between ranks is attention (Joachims, Swaminathan and Schnabel, WSDM 2017):

    rate(r) = sum of clicks / p  /  sum of 1 / p        over the impressions at rank r, 1 / p at most `largest_inverse`
    P(examined at r) = rate(r) / rate(1), not rising with r (isotonic, weighed by impressions)
    weight of a click at r = min(1 / P(examined at r), largest_weight)

Without propensities attention and the ranking of the past can not be told apart, and every click counts 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from market.errors import ConfigError
from market.tables import Tables


@dataclass(frozen=True)
class PositionBiasConfig:
    """least_clicks: fewer in all, or none at rank 1, estimate nothing."""

    largest_weight: float = 10.0
    largest_inverse: float = 1000.0
    least_clicks: int = 200

    def __post_init__(self) -> None:
        if not (self.largest_weight >= 1 and self.largest_inverse >= 1 and self.least_clicks >= 1):
            raise ConfigError(
                f"largest_weight {self.largest_weight}, largest_inverse {self.largest_inverse}, least_clicks "
                f"{self.least_clicks}; expected at least 1 each"
            )


@dataclass(frozen=True)
class Examination:
    """P(examined) float64[R] of ranks 1 to R, 1 at the first; no ranks where nothing could be estimated."""

    probability: np.ndarray
    largest_weight: float

    def weights(self, position: np.ndarray) -> np.ndarray:
        """float64[n] for positions float64[n] from 1 (NaN: not in a list, weight 1); ranks beyond R count as R."""
        ranks = len(self.probability)
        out = np.ones(len(position))
        if ranks:
            known = np.isfinite(position)
            place = np.clip(np.asarray(position)[known].astype(np.int64), 1, ranks) - 1
            out[known] = np.minimum(1 / np.maximum(self.probability[place], 1e-12), self.largest_weight)
        return out


def examination_of(tables: Tables, until: int | None = None, config: PositionBiasConfig | None = None) -> Examination:
    """The estimate from impressions with `position`, `propensity` and an `event_id` or request and job that clicks
    share; `until`, in microseconds since 1970, leaves out what happened from then on."""
    config = config or PositionBiasConfig()
    nothing = Examination(np.zeros(0), config.largest_weight)
    key = ["request_id", "job_id"]
    for name in ("impressions", "clicks"):
        if name not in tables or not {*key, "position", "propensity"} <= set(tables[name].column_names):
            return nothing
    shown = tables["impressions"].select([*key, "position", "propensity", "occurred_at"]).to_pandas()
    if until is not None:
        shown = shown[shown.occurred_at < pd.Timestamp(until, unit="us", tz="UTC")]
    shown = shown.dropna().drop_duplicates(key)
    shown = shown[(shown.position >= 1) & (shown.propensity > 0)]
    clicked = tables["clicks"].select(key).to_pandas().dropna().drop_duplicates()
    shown = shown.merge(clicked.assign(clicked=1.0), on=key, how="left").fillna({"clicked": 0.0})
    if shown.clicked.sum() < config.least_clicks or not shown.clicked[shown.position == 1].any():
        return nothing
    return Examination(
        _decline(
            shown.position.to_numpy(np.int64),
            shown.clicked.to_numpy(float),
            np.minimum(1 / shown.propensity.to_numpy(float), config.largest_inverse),
        ),
        config.largest_weight,
    )


def _decline(position: np.ndarray, clicked: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """float64[R]: P(examined) of the module's docstring; ranks without impressions lie between their neighbours."""
    seen = np.bincount(position)[1:].astype(float)  # [R]
    mass = np.bincount(position, inverse)[1:]
    gained = np.bincount(position, inverse * clicked)[1:]
    ranks = np.flatnonzero(seen)
    fit = IsotonicRegression(increasing=False, out_of_bounds="clip")
    fit.fit(ranks, gained[ranks] / mass[ranks], sample_weight=seen[ranks])
    rate = fit.predict(np.arange(len(seen)))
    return rate / rate[0]
