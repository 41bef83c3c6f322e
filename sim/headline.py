"""The headline: budget used at equal cost per qualified application, and at equal ad load as well.

An arm's frontier is a handful of settings theta. Running setting i for a share w_i of the visits gives every sum in the
same proportion, so whatever the shares can mix is reachable, and nothing else is claimed. With u_i the utilisation of a
setting, S_i its spend, Q_i its qualified applications, I_i its promoted impressions:

    maximise  sum w_i u_i     subject to   sum w_i (S_i - c Q_i) <= 0     cost per qualified application at most c
                                           sum w_i (I_i - m)     <= 0     impressions on the same visits at most m
                                           w >= 0, sum w_i = 1

c and m are those of the baseline at the table's theta, and the baseline's own frontier is read in the same way. A cost
below the cheapest setting is out of reach: no figure, "never that cheap". An arm that is cheaper everywhere ends at the
setting that spends most; beyond it nothing is extrapolated. A linear program with one or two constraints has its
optimum at a mix of at most two or three settings, so all of those are tried, for all bootstrap draws at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sim.columns import Columns, pair, stack, statistic
from sim.experiment import BASELINE, Results

NAMES = ("posted", "allowed", "qualified", "impressions")
POSTED, ALLOWED, QUALIFIED, IMPRESSIONS = range(4)
SLACK = 1e-9  # of the size of a constraint's terms: the baseline itself must not fail by a rounding
FACTORS = ("impressions", "click_rate", "price_per_click", "spend", "allowed", "utilization")


def headline(results: Results, arm: str, rng: np.random.Generator) -> dict[str, Any]:
    """Utilisation of `arm` less the baseline's where both pay the baseline's cost; the same at its ad load as well.

    `share_of_oracle_headroom` is left to who knows the oracle's.
    """
    at_cost = at_equal(results, arm, rng, ad_load=False)
    at_both = at_equal(results, arm, rng, ad_load=True)
    return {
        "utilization_at_equal_cost": at_cost,
        "utilization_at_equal_cost_and_ad_load": at_both,
        "decomposition": decomposition(stack(results.select(arm)), stack(results.select(BASELINE))),
        "share_of_oracle_headroom": None,
        "share_of_oracle_headroom_at_equal_ad_load": None,
    }


def at_equal(results: Results, arm: str, rng: np.random.Generator, ad_load: bool) -> dict[str, Any]:
    """{"difference", "difference_ci95", "relative", "ci95", "limited_by", "mix", "why"}; see the module."""
    design = {run.design for run in results.select(arm)}
    ours, thetas = _frontier_runs(results, arm)
    theirs, _ = _frontier_runs(results, BASELINE)
    groups = [results.select(BASELINE), *theirs, *ours]
    here = slice(1 + len(theirs), None)

    def both(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = sums.reshape(len(sums), -1, len(NAMES))
        base = points[:, 0]
        mine = best_use(points[:, here], base, ad_load)
        return mine, best_use(points[:, 1 : here.start], base, ad_load)

    def difference(sums: np.ndarray) -> np.ndarray:
        mine, base = both(sums)
        return mine - base

    def ratio(sums: np.ndarray) -> np.ndarray:
        mine, base = both(sums)
        return np.where(base > 0, mine / np.where(base > 0, base, 1.0), np.nan) - 1

    assert len(design) <= 1, "runs of different designs do not lie on one frontier"
    absolute = statistic(results, groups, NAMES, difference, rng)
    relative = statistic(results, groups, NAMES, ratio, rng)
    points = np.array([[stack(runs)[name].sum() for name in NAMES] for runs in groups])
    mix, limited_by = best_mix(points[here], points[0], ad_load)
    return {
        "difference": absolute.value,
        "difference_ci95": pair(absolute),
        "relative": relative.value,
        "ci95": pair(relative),
        "mix": None if mix is None else {f"{t:g}": round(float(w), 4) for t, w in zip(thetas, mix, strict=True) if w},
        "limited_by": limited_by,
        "why": None if mix is not None else _why(points[here], points[0]),
    }


def best_use(points: np.ndarray, base: np.ndarray, ad_load: bool) -> np.ndarray:
    """float64[n]: the most budget used by a mix of the settings; NaN where no mix keeps to the baseline's terms.

    points float64[n, settings, NAMES] and base float64[n, NAMES] are sums.
    """
    used, excess = _problem(points, base, ad_load)
    best = np.full(len(used), -np.inf)
    for value, _ in _vertices(used, excess):
        best = np.maximum(best, value)
    return np.where(best > -np.inf, best, np.nan)


def best_mix(points: np.ndarray, base: np.ndarray, ad_load: bool) -> tuple[np.ndarray | None, str | None]:
    """The shares float64[settings] of the best mix of one table of sums, and what keeps it from using more."""
    used, excess = _problem(points[None], base[None], ad_load)
    best, mix = -np.inf, None
    for value, weight in _vertices(used, excess):
        if value[0] > best:
            best, mix = float(value[0]), weight[0]
    if mix is None:
        return None, None
    tight = [abs(row[0] @ mix) <= SLACK * np.abs(row[0]).max() for row in excess]
    names = [name for name, is_tight in zip(("cost", "ad load"), tight, strict=False) if is_tight]
    return mix, " and ".join(names) or "the frontier's end"


def decomposition(a: Columns, b: Columns) -> dict[str, float | None]:
    """Log ratios of a to b: impressions + click rate + price per click = spend; spend + allowed = utilisation.

    allowed counts negatively: what could be spent is the denominator. None where an arm had nothing to compare.
    """

    def parts(data: Columns) -> np.ndarray:
        shown, clicks, spend = data["impressions"].sum(), data["clicks"].sum(), data["posted"].sum()
        allowed = data["allowed"].sum()
        rate, price = clicks / max(shown, 1), spend / max(clicks, 1)
        return np.array([shown, rate, price, spend, 1 / max(allowed, 1), spend / max(allowed, 1)])

    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(parts(a) / parts(b))
    return {name: float(value) if np.isfinite(value) else None for name, value in zip(FACTORS, log, strict=True)}


def share_of_oracle(found: dict[str, Any]) -> None:
    """Fill in every arm's difference over the oracle's, where the oracle gains anything."""
    for what, share in (
        ("utilization_at_equal_cost", "share_of_oracle_headroom"),
        ("utilization_at_equal_cost_and_ad_load", "share_of_oracle_headroom_at_equal_ad_load"),
    ):
        oracle = found.get("oracle", {}).get(what, {}).get("difference")
        for content in found.values():
            mine = content[what]["difference"]
            if oracle is not None and oracle > 0 and mine is not None:
                content[share] = mine / oracle


def _frontier_runs(results: Results, arm: str) -> tuple[list[list[Any]], list[float]]:
    """Runs of every setting of an arm, and the settings."""
    found = {run.theta: results.select(arm, theta=run.theta) for run in results.runs if run.arm == arm}
    thetas = sorted(theta for theta, runs in found.items() if runs)
    return [found[theta] for theta in thetas], thetas


def _problem(points: np.ndarray, base: np.ndarray, ad_load: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """Utilisation [n, settings], and the constraints' terms, [n, settings] each, that a mix must not bring above 0."""
    used = points[..., POSTED] / np.maximum(points[..., ALLOWED], 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = base[:, POSTED] / base[:, QUALIFIED]
    cost = np.where(base[:, QUALIFIED] > 0, cost, np.nan)
    excess = [points[..., POSTED] - cost[:, None] * points[..., QUALIFIED]]
    if ad_load:
        excess.append(points[..., IMPRESSIONS] - base[:, IMPRESSIONS, None])
    return used, excess


def _vertices(used: np.ndarray, excess: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(utilisation [n], shares [n, settings]) of every vertex: -inf where the vertex is not feasible."""
    n, settings = used.shape
    slack = [SLACK * np.abs(row).max(axis=1, initial=1e-300) for row in excess]
    for size in range(1, min(settings, len(excess) + 1) + 1):
        for chosen in itertools.combinations(range(settings), size):
            for tight in itertools.combinations(range(len(excess)), size - 1):
                weight = np.zeros((n, settings))
                system = np.ones((n, size, size))
                for at, constraint in enumerate(tight):
                    system[:, at + 1] = excess[constraint][:, chosen]
                    system[:, at + 1] /= np.maximum(np.abs(system[:, at + 1]).max(axis=1, keepdims=True), 1e-300)
                whole = np.isfinite(system).all(axis=(1, 2))
                system[~whole] = np.eye(size)
                whole &= np.abs(np.linalg.det(system)) > 1e-12
                system[~whole] = np.eye(size)
                right = np.zeros((n, size, 1))
                right[:, 0] = 1.0
                weight[:, chosen] = np.linalg.solve(system, right)[..., 0]
                feasible = whole & (weight >= -SLACK).all(axis=1)
                for row, room in zip(excess, slack, strict=True):
                    feasible &= (row * weight).sum(axis=1) <= room
                yield np.where(feasible, (used * weight).sum(axis=1), -np.inf), weight


def _why(points: np.ndarray, base: np.ndarray) -> str:
    if not base[QUALIFIED] > 0:
        return "the baseline brought no qualified application, so there is no cost to compare at"
    if (points[:, POSTED] - base[POSTED] / base[QUALIFIED] * points[:, QUALIFIED] > 0).all():
        return "never that cheap"
    return "never that cheap with so few promoted impressions"
