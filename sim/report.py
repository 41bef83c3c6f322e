"""From runs to `report.json`: arms, lifts, frontier, headline, placebos, and what the plots show.

Every interval resamples campaigns and, where money and qualified applications are known per person, original persons;
the wider one is reported. A report is a function of (code, configuration, seed, inputs); times stand under `seconds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.bootstrap import Estimate, bootstrap_statistic, cluster_bootstrap, relative_lift
from sim.experiment import BASELINE, PERMUTED, Results, Run

SCHEMA = 1
DRAWS = 400
RATIOS = {  # name: (numerator, denominator) of per-campaign sums
    "budget_utilization": ("posted", "allowed"),
    "cost_per_qualified_application_micros": ("posted", "qualified"),
    "click_rate": ("clicks", "impressions"),
}
TOTALS = ("posted", "clicks", "impressions", "applications", "qualified", "hires")
LIFT_NAMES = {
    "posted": "spend_micros",
    "qualified": "qualified_applications",
    "hires": "attributed_hires",
    "clicks": "clicks",
    "impressions": "impressions",
    "applications": "applications",
}


def build_report(results: Results, config: dict[str, Any], seed: int, seconds: dict[str, float]) -> dict[str, Any]:
    """The whole JSON document of CONTRACT section 5, plus `plots` for the page."""
    arms = results.config.arms
    rng = np.random.default_rng([seed, 59])
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "config": config,
        "seed": seed,
        "evidence": _evidence(config),
        "arms": {arm: arm_summary(results.select(arm), rng, sum(results.bounds)) for arm in arms},
        "lift": {},
        "frontier": {arm: frontier(results, arm) for arm in arms},
        "budget_levels": {arm: budget_grid(results, arm) for arm in arms},
        "headline": {},
        "placebo": {"permuted_hires": {}, "flat_clicks": {}},
        "behaviour_sha256": results.behaviour_sha256,
        "seconds": seconds,
    }
    if BASELINE in arms:
        for arm in arms:
            if arm != BASELINE:
                report["lift"][f"{arm}_vs_{BASELINE}"] = lifts(results, arm, BASELINE, rng)
                report["headline"][arm] = headline(results, arm, rng)
        _oracle_share(report)
    if results.select(PERMUTED) and "random" in arms:
        report["placebo"]["permuted_hires"] = permuted_hires(results, rng)
    if results.config.flat_clicks and "graph" in arms and "random" in arms:
        report["placebo"]["flat_clicks"] = flat_clicks(results, rng)
    return report


def _evidence(config: dict[str, Any]) -> str:
    mechanics = "impressions, clicks and applications are mechanics of a click model of ours"
    if config.get("world", {}).get("kind") == "careers":
        return f"next occupations are recorded; {mechanics}"
    return f"nothing here is evidence: careers are generated, {mechanics}"


def stack(runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Per-campaign columns of several seeds, one below the other; `cluster` is the campaign within its seed."""
    columns: dict[str, list[np.ndarray]] = {}
    for run in runs:
        outcome = run.outcome
        found = {
            "posted": outcome.posted,
            "valid": outcome.valid,
            "allowed": run.allowed,
            "budget": run.budget,
            "impressions": outcome.impressions,
            "clicks": outcome.clicks,
            "applications": outcome.applications,
            "qualified": outcome.qualified,
            "hires": outcome.hires,
            "billed_value": outcome.billed_value,
            "cluster": run.seed * 1_000_000 + np.arange(len(run.budget)),
        }
        for name, values in found.items():
            columns.setdefault(name, []).append(np.asarray(values, float))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def arm_summary(runs: Sequence[Run], rng: np.random.Generator, bound: float = 0.0) -> dict[str, Any]:
    """One row of the table; sums are over all seeds. bound: hindsight bound of all their markets."""
    data = stack(runs)
    organic = sum(run.outcome.organic for run in runs)
    total = {name: data[name].sum() for name in data}
    spent_share = data["posted"] / np.maximum(1, data["budget"])
    ratio = {name: _ratio(data, *pair, rng).report() for name, pair in RATIOS.items()}
    return {
        "budget_utilization": ratio["budget_utilization"],
        "utilization_unweighted": float(np.mean(data["posted"] / np.maximum(1, data["allowed"]))),
        "campaigns_95_percent_spent": float(np.mean(spent_share >= 0.95)),
        "spend_micros": int(total["posted"]),
        "budget_micros": int(total["budget"]),
        "overspend_micros": int(np.maximum(0, data["posted"] - data["budget"]).sum()),
        "unbilled_share": float(1 - total["posted"] / total["valid"]) if total["valid"] else 0.0,
        "impressions": int(total["impressions"]),
        "clicks": int(total["clicks"]),
        "click_rate": ratio["click_rate"],
        "applications": int(total["applications"]),
        "qualified_applications": float(total["qualified"]),
        "attributed_hires": int(total["hires"]),
        "organic_applications": int(organic[2]),
        "organic_qualified_applications": float(organic[3]),
        "ad_load": _ad_load(total["impressions"], organic[0]),
        "cost_per_qualified_application_micros": ratio["cost_per_qualified_application_micros"],
        "value_to_bound": float(total["billed_value"] / bound) if bound > 0 else None,
        "reach": float(np.mean([run.reach for run in runs])),
        "plan_gap": float(max(run.plan_gap for run in runs)),
    }


def lifts(results: Results, arm: str, base: str, rng: np.random.Generator) -> dict[str, Any]:
    """Relative differences at the table's theta, paired by campaign (and by person where possible)."""
    mine, theirs = results.select(arm), results.select(base)
    a, b = stack(mine), stack(theirs)
    found = {}
    for name, (top, bottom) in RATIOS.items():
        found[name] = _relative(_lift(a, b, top, bottom, rng))
    for name in TOTALS:
        estimate = relative_lift(a["cluster"], a[name], b[name], rng=rng, draws=DRAWS)
        person = _by_person(results, mine, theirs, name, rng)
        found[LIFT_NAMES[name]] = _relative(_wider(estimate, person))
    return found


def frontier(results: Results, arm: str) -> list[dict[str, float | None]]:
    """Utilisation and cost over theta, all seeds together."""
    rows = []
    for theta in sorted({run.theta for run in results.runs if run.arm == arm}):
        runs = results.select(arm, theta=theta)
        if not runs:
            continue
        data = stack(runs)
        rows.append(
            {
                "theta": theta,
                "reach": float(np.mean([run.reach for run in runs])),
                "budget_utilization": float(data["posted"].sum() / data["allowed"].sum()),
                "qualified_applications": float(data["qualified"].sum()),
                "cost_per_qualified_application_micros": _cost(data),
                "organic_applications": float(sum(run.outcome.organic[2] for run in runs)),
                "ad_load": _ad_load(data["impressions"].sum(), sum(run.outcome.organic[0] for run in runs)),
            }
        )
    return rows


def budget_grid(results: Results, arm: str) -> list[dict[str, float | None]]:
    """The same arm over the grid of budget levels."""
    rows = []
    for level in sorted({run.budget_level for run in results.runs if run.arm == arm}):
        data = stack(results.select(arm, budget_level=level))
        rows.append(
            {
                "budget_level": level,
                "budget_utilization": float(data["posted"].sum() / data["allowed"].sum()),
                "qualified_applications": float(data["qualified"].sum()),
                "cost_per_qualified_application_micros": _cost(data),
            }
        )
    return rows


def headline(results: Results, arm: str, rng: np.random.Generator) -> dict[str, Any]:
    """Utilisation of `arm` where its cost per qualified application equals the baseline's, minus the baseline's.

    Read by linear interpolation along the arm's frontier. Undefined (None) when even its cheapest point costs more.
    Decomposed, at the table's theta, into impressions x click rate x price.
    """
    thetas = sorted({run.theta for run in results.runs if run.arm == arm})
    points = [stack(results.select(arm, theta=theta)) for theta in thetas]
    base = stack(results.select(BASELINE))
    columns = np.stack(
        [base["posted"], base["allowed"], base["qualified"]]
        + [point[name] for point in points for name in ("posted", "allowed", "qualified")],
        axis=1,
    )

    def at_equal_cost(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(utilisation of the arm at the baseline's cost, utilisation of the baseline), each [n]."""
        groups = sums.reshape(len(sums), -1, 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            cost, used = groups[:, :, 0] / groups[:, :, 2], groups[:, :, 0] / groups[:, :, 1]
        found = np.full(len(sums), np.nan)
        for i in range(len(sums)):
            order = np.argsort(cost[i, 1:], kind="stable")
            x, y = cost[i, 1:][order], used[i, 1:][order]
            if np.isfinite(cost[i, 0]) and x[0] <= cost[i, 0]:
                found[i] = np.interp(cost[i, 0], x, y)
        return found, used[:, 0]

    def difference(sums: np.ndarray) -> np.ndarray:
        mine, theirs = at_equal_cost(sums)
        return mine - theirs

    def relative(sums: np.ndarray) -> np.ndarray:
        mine, theirs = at_equal_cost(sums)
        return mine / theirs - 1

    absolute = bootstrap_statistic(base["cluster"], columns, difference, rng=rng, draws=DRAWS)
    ratio = bootstrap_statistic(base["cluster"], columns, relative, rng=rng, draws=DRAWS)
    return {
        "utilization_at_equal_cost": {
            "difference": absolute.value,
            "difference_ci95": _pair(absolute),
            "relative": ratio.value,
            "ci95": _pair(ratio),
        },
        "decomposition": decomposition(stack(results.select(arm)), base),
        "share_of_oracle_headroom": None,
    }


def decomposition(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float | None]:
    """Log ratio of spend = log ratios of impressions, click rate and price per click; they add up.

    None where an arm had no impression, click or spend to compare."""

    def parts(data: dict[str, np.ndarray]) -> np.ndarray:
        shown, clicks, spend = data["impressions"].sum(), data["clicks"].sum(), data["posted"].sum()
        return np.array([shown, clicks / max(shown, 1), spend / max(clicks, 1), spend])

    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(parts(a) / parts(b))
    names = ("impressions", "click_rate", "price_per_click", "spend")
    return {name: float(value) if np.isfinite(value) else None for name, value in zip(names, log, strict=True)}


def permuted_hires(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    """Placebo: qualified applications per impression with a network of shuffled hires, against random's."""
    a, b = stack(results.select(PERMUTED)), stack(results.select("random"))
    rate = _lift(a, b, "qualified", "impressions", rng)
    metric = "qualified applications per impression, graph on permuted hires vs random"
    return {"metric": metric, "relative": rate.value, "ci95": _pair(rate)}


def flat_clicks(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    """Placebo: in a world where clicks ignore the match, the network's spend over that of random at the same reach."""
    mine, theirs = results.select("graph", flat_clicks=True), results.select("random", flat_clicks=True)
    a, b = stack(mine), stack(theirs)
    rate = _lift(a, b, "clicks", "impressions", rng)
    return {"metric": "click_rate, graph vs random", "relative": rate.value, "ci95": _pair(rate)}


def _ad_load(promoted: float, organic: float) -> float:
    """Promoted share of what was shown; 0 when nothing was."""
    return float(promoted / (promoted + organic)) if promoted + organic else 0.0


def _oracle_share(report: dict[str, Any]) -> None:
    oracle = report["headline"].get("oracle", {}).get("utilization_at_equal_cost", {}).get("difference")
    for content in report["headline"].values():
        mine = content["utilization_at_equal_cost"]["difference"]
        if oracle and mine is not None:
            content["share_of_oracle_headroom"] = mine / oracle


def _by_person(
    results: Results, mine: Sequence[Run], theirs: Sequence[Run], name: str, rng: np.random.Generator
) -> Estimate | None:
    field = {"posted": "seeker_posted", "qualified": "seeker_qualified", "impressions": "seeker_shown"}.get(name)
    if field is None:
        return None
    person = np.concatenate([market.person for market in results.markets])
    a = np.concatenate([getattr(run.outcome, field) for run in mine]).astype(float)
    b = np.concatenate([getattr(run.outcome, field) for run in theirs]).astype(float)
    return relative_lift(person, a, b, rng=rng, draws=DRAWS)


def _cost(data: dict[str, np.ndarray]) -> float | None:
    """Spend per qualified application in micros; None when there was none."""
    qualified = data["qualified"].sum()
    return float(data["posted"].sum() / qualified) if qualified > 0 else None


def _ratio(data: dict[str, np.ndarray], top: str, bottom: str, rng: np.random.Generator) -> Estimate:
    return cluster_bootstrap(data["cluster"], data[top], data[bottom], rng=rng, draws=DRAWS)


def _lift(
    a: dict[str, np.ndarray], b: dict[str, np.ndarray], top: str, bottom: str, rng: np.random.Generator
) -> Estimate:
    """Relative difference of the ratio top / bottom, paired by campaign."""
    return relative_lift(a["cluster"], a[top], b[top], a[bottom], b[bottom], rng=rng, draws=DRAWS)


def _wider(one: Estimate, other: Estimate | None) -> Estimate:
    if other is None or other.ci is None or one.ci is None:
        return one
    return Estimate(one.value, (min(one.ci[0], other.ci[0]), max(one.ci[1], other.ci[1])), one.clusters)


def _pair(estimate: Estimate) -> list[float] | None:
    return None if estimate.ci is None else list(estimate.ci)


def _relative(estimate: Estimate) -> dict[str, Any]:
    return {"relative": estimate.value, "ci95": _pair(estimate)}
