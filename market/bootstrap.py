"""Percentile bootstrap by cluster: intervals for means, ratios of sums, and what one arm has over another.

Rows of one cluster (a person, a campaign) are not independent, so whole clusters are drawn. With G clusters, one draw
is a weight vector w ~ Multinomial(G; 1/G, ..., 1/G), and every statistic is a function of weighted sums over clusters:

    R(w) = sum over g of w_g N_g / sum over g of w_g D_g          N_g, D_g = sums over the rows of cluster g

The interval is the (1 - level)/2 and (1 + level)/2 quantile of the statistic over the draws (Efron and Tibshirani
1993, chapter 13). Where nothing can be said, nothing is: see `Estimate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.errors import ConfigError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]

BLOCK_CELLS = 1 << 22  # weights held at a time, draws x clusters


@dataclass(frozen=True)
class Estimate:
    """The statistic of the data itself, and its interval.

    value is None where the statistic is undefined (no rows, a denominator of 0, a control of 0). ci is None where the
    value is, where fewer than two clusters say nothing about spread, and where the statistic is undefined in more
    than a share 1 - level of the draws (the others are left out).
    """

    value: float | None
    ci: tuple[float, float] | None
    clusters: int

    def report(self, name: str = "mean") -> dict[str, float | list[float] | None]:
        """{name: value, "ci95": [low, high] or None}, as reports write it."""
        return {name: self.value, "ci95": None if self.ci is None else list(self.ci)}


def cluster_bootstrap(
    clusters: ArrayLike,
    numerators: ArrayLike,
    denominators: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """sum(numerators) / sum(denominators), or the mean of numerators when there are no denominators.

    One row each: clusters (ids of any kind), numerators, denominators >= 0. Undefined where the denominators sum to 0.
    """
    table, rows = _table(clusters, numerators=numerators, denominators=denominators)
    return _estimate(table, rows, lambda sums: _ratio(sums[:, 0], sums[:, 1]), rng, draws, level)


def relative_lift(
    clusters: ArrayLike,
    treatment: ArrayLike,
    control: ArrayLike,
    treatment_denominators: ArrayLike | None = None,
    control_denominators: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """R_treatment / R_control - 1 of two arms that share their clusters: each draw weighs both arms alike.

    One row holds what the same unit did in both arms (the same campaign, the same person). R is the ratio of sums;
    without denominators it is the mean, and the lift is also that of the totals. Undefined where R_control <= 0.
    """
    table, rows = _paired(clusters, treatment, control, treatment_denominators, control_denominators)

    def lift(sums: Floats) -> Floats:
        base = _ratio(sums[:, 2], sums[:, 3])
        return _ratio(_ratio(sums[:, 0], sums[:, 1]), np.where(base > 0, base, 0.0)) - 1.0

    return _estimate(table, rows, lift, rng, draws, level)


def paired_difference(
    clusters: ArrayLike,
    treatment: ArrayLike,
    control: ArrayLike,
    treatment_denominators: ArrayLike | None = None,
    control_denominators: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """R_treatment - R_control of two arms that share their clusters; rows and ratios as in `relative_lift`."""
    table, rows = _paired(clusters, treatment, control, treatment_denominators, control_denominators)

    def difference(sums: Floats) -> Floats:
        return _ratio(sums[:, 0], sums[:, 1]) - _ratio(sums[:, 2], sums[:, 3])

    return _estimate(table, rows, difference, rng, draws, level)


def _estimate(
    table: Floats, rows: int, statistic: Statistic, rng: np.random.Generator, draws: int, level: float
) -> Estimate:
    """table [G, M]: sums per cluster; statistic maps weighted sums [n, M] to values [n], NaN where undefined."""
    if draws < 1:
        raise ConfigError(f"draws is {draws}; expected at least 1")
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; expected a number between 0 and 1")
    groups = len(table)
    value = float(statistic(table.sum(axis=0, keepdims=True))[0]) if rows else np.nan
    if np.isnan(value):
        return Estimate(None, None, groups)
    if groups < 2:
        return Estimate(value, None, groups)
    block = max(1, BLOCK_CELLS // groups)
    values = np.concatenate(
        [statistic(_weights(groups, min(block, draws - at), rng) @ table) for at in range(0, draws, block)]
    )
    defined = values[~np.isnan(values)]
    if draws - len(defined) > (1 - level) * draws:
        return Estimate(value, None, groups)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, (float(low), float(high)), groups)


def _weights(groups: int, draws: int, rng: np.random.Generator) -> Floats:
    """Multinomial(G; 1/G, ..., 1/G) counts, float64[draws, G]: how often each cluster is picked in G picks."""
    picks = rng.integers(groups, size=(draws, groups)) + groups * np.arange(draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=draws * groups).astype(np.float64)
    return counts.reshape(draws, groups)


def _ratio(numerators: Floats, denominators: Floats) -> Floats:
    """NaN where the denominator is 0 (or undefined itself)."""
    ratio = np.full(len(numerators), np.nan)
    np.divide(numerators, denominators, out=ratio, where=denominators != 0)
    return ratio


def _paired(
    clusters: ArrayLike,
    treatment: ArrayLike,
    control: ArrayLike,
    treatment_denominators: ArrayLike | None,
    control_denominators: ArrayLike | None,
) -> tuple[Floats, int]:
    treated, rows = _table(clusters, treatment=treatment, treatment_denominators=treatment_denominators)
    untreated, _ = _table(clusters, control=control, control_denominators=control_denominators)
    return np.concatenate([treated, untreated], axis=1), rows  # [G, 4]


def _table(clusters: ArrayLike, **columns: ArrayLike | None) -> tuple[Floats, int]:
    """Sums of the columns per cluster, float64[G, M], clusters in sorted order; and the number of rows."""
    ids = np.asarray(clusters)
    if ids.ndim != 1:
        raise ConfigError(f"clusters has {ids.ndim} dimensions; expected one id per row")
    _, group = np.unique(ids, return_inverse=True)
    groups = int(group.max()) + 1 if len(ids) else 0
    sums = np.zeros((groups, len(columns)))
    for at, (name, given) in enumerate(columns.items()):
        column = np.ones(len(ids)) if given is None else np.asarray(given, dtype=np.float64)
        if column.shape != ids.shape:
            raise ConfigError(f"{name} has shape {column.shape}, clusters {ids.shape}; give one entry per row")
        least = 0.0 if "denominators" in name else -np.inf
        wrong = np.flatnonzero(~(np.isfinite(column) & (column >= least)))
        if len(wrong):
            bound = " from 0" if least == 0 else ""
            raise ConfigError(f"{name}[{wrong[0]}] is {column[wrong[0]]}; expected a finite number{bound}")
        sums[:, at] = np.bincount(group, column, minlength=groups)
    return sums, len(ids)


def bootstrap_statistic(
    clusters: ArrayLike,
    columns: ArrayLike,
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """Any statistic of weighted column sums: columns float64[rows, M]; statistic maps sums [n, M] to values [n]."""
    table = np.asarray(columns, dtype=np.float64)
    sums, rows = _table(clusters, **{f"column {at}": table[:, at] for at in range(table.shape[1])})
    return _estimate(sums, rows, statistic, rng, draws, level)
