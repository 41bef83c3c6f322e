"""From runs to `report.json`: arms, lifts, frontier, headline, placebos, designs, and what the plots show.

Every interval resamples campaigns and, where a quantity is known per person, original persons; the wider one is
reported. A report is a function of (code, configuration, seed, inputs); times stand under `seconds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.bootstrap import cluster_bootstrap, relative_lift
from sim.bias import design_report
from sim.columns import DRAWS, Columns, by_person, lift, relative, stack
from sim.columns import ratio as ratio_of
from sim.experiment import BASELINE, Results
from sim.headline import headline, share_of_oracle
from sim.market import Market
from sim.organic_arms import KINDS
from sim.placebos import match_information, placebos
from sim.play import Run
from sim.power import NORMAL_95, Size, campaigns_needed, standard_error
from sim.rankers import CROSSED
from sim.seeker_side import funnel, seeker_side

SCHEMA = 1
SUPPLY_GROUPS = 10
ONE_POINT = 0.01
RATIOS = {  # name: (numerator, denominator) of sums
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
    """The whole JSON document of CONTRACT section 5, plus what the page shows:

    complete (false: interrupted; seeds tells of how many), evidence, spend_by_hour, supply_groups and budget_levels by
    arm, funnel and seeker_side by arm (`sim.seeker_side`), match_information and placebo (`sim.placebos`), two_by_two,
    organic, design (`sim.bias`), power by arm. worst_campaigns (`sim.underdelivery`), predicted_rates
    (`sim.predicted_rates`) and delivery_parity (`graph.fairness.parity`) ask for more than the runs: who has a stage
    adds them.
    """
    arms = results.config.arms
    rng = np.random.default_rng([seed, 59])
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "config": config,
        "seed": seed,
        "evidence": _evidence(config),
        "complete": results.finished == results.config.seeds,  # false where it was interrupted
        "seeds": {"finished": results.finished, "asked": results.config.seeds},
        "arms": {arm: arm_summary(results, results.select(arm), rng, sum(results.bounds)) for arm in arms},
        "lift": {},
        "frontier": {arm: frontier(results, arm) for arm in arms},
        "budget_levels": {arm: budget_grid(results, arm) for arm in arms},
        "spend_by_hour": {
            "plan": results.share[::60].tolist(),
            "arms": {
                arm: so_far.tolist() for arm in arms if (so_far := spend_by_hour(results.select(arm))) is not None
            },
        },
        "supply_groups": {arm: found for arm in arms if (found := supply_groups(results, arm))},
        "headline": {},
        "placebo": placebos(results, rng),
        "match_information": match_information(results, rng),
        "two_by_two": two_by_two(results, rng),
        "organic": organic(results, rng),
        "design": design_report(results, BASELINE if BASELINE in arms else arms[0], rng),
        "behaviour_sha256": results.behaviour_sha256,
        "config_sha256": results.config_sha256,
        "seconds": seconds,
    }
    if BASELINE in arms:
        for arm in arms:
            if arm != BASELINE:
                report["lift"][f"{arm}_vs_{BASELINE}"] = lifts(results, arm, BASELINE, rng)
                report["headline"][arm] = headline(results, arm, rng)
        share_of_oracle(report["headline"])
    report["power"] = {arm: found for arm, row in report["headline"].items() if (found := power(results, row))}
    rng = np.random.default_rng([seed, 67])  # a stream of its own: what stands above does not move when this grows
    report["funnel"] = {arm: funnel(results, arm) for arm in arms}
    report["seeker_side"] = {arm: seeker_side(results, arm, rng) for arm in arms}
    return report


def _evidence(config: dict[str, Any]) -> str:
    mechanics = "impressions, clicks and applications are mechanics of a click model of ours"
    if config.get("world", {}).get("kind") == "careers":
        return f"next occupations are recorded; {mechanics}"
    return f"nothing here is evidence: careers are generated, {mechanics}"


def arm_summary(results: Results, runs: Sequence[Run], rng: np.random.Generator, bound: float = 0.0) -> dict[str, Any]:
    """One row of the table; sums are over all seeds. bound: hindsight bound of all their markets."""
    data, people = stack(runs), by_person(results, runs)
    shown = sum(run.outcome.organic for run in runs)
    total = {name: data[name].sum() for name in data}
    spent_share = data["posted"] / np.maximum(1, data["budget"])
    ratio = {name: ratio_of(data, people, *pair, rng).report() for name, pair in RATIOS.items()}
    return {
        "budget_utilization": ratio["budget_utilization"],
        "utilization_unweighted": float(np.mean(data["posted"] / np.maximum(1, data["allowed"]))),
        "campaigns_95_percent_spent": float(np.mean(spent_share >= 0.95)),
        "spend_micros": int(total["posted"]),
        "budget_micros": int(total["budget"]),
        "overspend_micros": int(np.maximum(0, data["posted"] - data["budget"]).sum()),
        "unbilled_share": float(1 - total["posted"] / total["valid"]) if total["valid"] else 0.0,
        "impressions": int(total["impressions"]),
        "looks": float(total["looks"]),
        "clicks": int(total["clicks"]),
        "click_rate": ratio["click_rate"],
        "applications": int(total["applications"]),
        "qualified_applications": float(total["qualified"]),
        "attributed_hires": int(total["hires"]),
        "organic_applications": int(shown[2]),
        "organic_qualified_applications": float(shown[3]),
        "ad_load": _ad_load(total["impressions"], shown[0]),
        "cost_per_qualified_application_micros": ratio["cost_per_qualified_application_micros"],
        "value_to_bound": float(total["billed_value"] / bound) if bound > 0 else None,
        "reach": float(np.mean([run.reach for run in runs])),
        "plan_gap": float(max(run.plan_gap for run in runs)),
    }


def lifts(results: Results, arm: str, base: str, rng: np.random.Generator) -> dict[str, Any]:
    """Relative differences at the table's theta, paired by campaign (and by person where possible)."""
    mine, theirs = results.select(arm), results.select(base)
    found = {name: relative(lift(results, mine, theirs, top, bottom, rng)) for name, (top, bottom) in RATIOS.items()}
    found |= {LIFT_NAMES[name]: relative(lift(results, mine, theirs, name, None, rng)) for name in TOTALS}
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
    """The same arm over the grid of budget levels, the baseline's utilisation at each beside it."""
    rows = []
    for level in sorted({run.budget_level for run in results.runs if run.arm == arm}):
        data = stack(results.select(arm, budget_level=level))
        base = results.select(BASELINE, budget_level=level)
        rows.append(
            {
                "budget_level": level,
                "budget_utilization": float(data["posted"].sum() / data["allowed"].sum()),
                "baseline_utilization": _used(stack(base)) if base else None,
                "qualified_applications": float(data["qualified"].sum()),
                "cost_per_qualified_application_micros": _cost(data),
            }
        )
    return rows


def power(results: Results, headline_row: dict[str, Any]) -> dict[str, float]:
    """{"half_width" of the headline's interval, "campaigns" in all markets, "campaigns_for_one_point" of half-width};
    {} without an interval."""
    interval = headline_row["utilization_at_equal_cost"]["difference_ci95"]
    if interval is None:
        return {}
    campaigns = sum(len(market.terms.budget) for market in results.markets)
    error = standard_error(interval)
    needed = campaigns_needed(Size(campaigns, results.config.market.days, error), ONE_POINT)
    return {"half_width": NORMAL_95 * error, "campaigns": campaigns, "campaigns_for_one_point": needed}


def supply_groups(results: Results, arm: str) -> list[float]:
    """Utilisation of campaigns in ten equal groups by expected supply, thinnest first; the same groups for all arms."""
    markets = {market.config.seed: market for market in results.markets}
    runs = results.select(arm)
    if not runs:
        return []
    data, supply = stack(runs), np.concatenate([expected_supply(markets[run.seed]) for run in runs])
    groups = np.array_split(np.argsort(supply, kind="stable"), min(SUPPLY_GROUPS, len(supply)))
    return [float(data["posted"][group].sum() / max(data["allowed"][group].sum(), 1.0)) for group in groups]


def spend_by_hour(runs: Sequence[Run]) -> np.ndarray | None:
    """float64[25]: share of a day's spend posted by each full hour, the mean over all days with any spend."""
    days = [run.outcome.by_hour.reshape(-1, 24).astype(float) for run in runs]
    spend = np.concatenate(days) if days else np.empty((0, 24))
    spend = spend[spend.sum(1) > 0]
    if not len(spend):
        return None
    so_far = (np.cumsum(spend, axis=1) / spend.sum(1, keepdims=True)).mean(0)  # [24]
    return np.concatenate([[0.0], so_far])


def expected_supply(market: Market) -> np.ndarray:
    """float64[C]: worth of everybody in reach (P(click) x value of a click) per micro of budget. No arm enters."""
    pairs = market.pairs
    worth = pairs.p_click.astype(float) * pairs.value_per_click
    return np.bincount(pairs.campaign, worth, minlength=len(market.terms.budget)) / market.terms.budget


def two_by_two(results: Results, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Retrieval x ranker x plan: one row a cell; [] where it was not played."""
    if not all(results.select(arm, ranker="attribute") for arm in CROSSED):
        return []
    rows = []
    pacings = dict.fromkeys((results.config.pacing, "descent"))
    for arm in CROSSED:
        for ranker in ("learned", "attribute"):
            for pacing in pacings:
                runs = results.select(arm, ranker=ranker, pacing=pacing)
                if not runs:
                    continue
                data = stack(runs)
                rows.append(
                    {
                        "retrieval": arm,
                        "ranker": ranker,
                        "plan": pacing == "plan+descent",
                        "budget_utilization": _used(data),
                        "qualified_applications": float(data["qualified"].sum()),
                        "cost_per_qualified_application_micros": _cost(data),
                        "qualified_vs_baseline": relative(
                            lift(results, runs, results.select(BASELINE), "qualified", None, rng)
                        ),
                    }
                )
    return rows


def organic(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    """Organic lists by member split: engagement per visit, and its difference to the site's list; mechanics."""
    if not results.organic:
        return {}
    person, part = (np.concatenate([getattr(one, name) for one in results.organic]) for name in ("person", "part"))
    columns = {
        name: np.concatenate([getattr(one, name) for one in results.organic]).astype(float)
        for name in ("visits", "clicks", "qualified", "promoted_qualified")
    }
    found: dict[str, Any] = {"evidence": "mechanics of the click model"}
    for number, kind in enumerate(KINDS):
        mine, text = part == number, part == 0
        row: dict[str, Any] = {"members": len(np.unique(person[mine]))}
        for name in ("clicks", "qualified", "promoted_qualified"):
            rate = cluster_bootstrap(person[mine], columns[name][mine], columns["visits"][mine], rng=rng, draws=DRAWS)
            row[f"{name}_per_visit"] = rate.report()
            if number:
                row[f"{name}_vs_text"] = relative(
                    relative_lift(
                        person, columns[name] * mine, columns[name] * text,
                        columns["visits"] * mine, columns["visits"] * text, rng=rng, draws=DRAWS,
                    )
                )  # fmt: skip
        found[kind] = row
    return found


def _ad_load(promoted: float, organic_shown: float) -> float:
    """Promoted share of what was shown; 0 when nothing was."""
    return float(promoted / (promoted + organic_shown)) if promoted + organic_shown else 0.0


def _used(data: Columns) -> float:
    return float(data["posted"].sum() / max(data["allowed"].sum(), 1.0))


def _cost(data: Columns) -> float | None:
    """Spend per qualified application in micros; None when there was none."""
    qualified = data["qualified"].sum()
    return float(data["posted"].sum() / qualified) if qualified > 0 else None
