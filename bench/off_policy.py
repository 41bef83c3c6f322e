"""Off-policy estimates beside the truth: slates logged by one policy, another one judged, over many drawn logs.

Mechanics: an invented site (`sim.logged_site`) with 60 kinds of requests, 10 candidates, 3 slots; every replication
draws 300 seekers who come twice. Truth by enumeration (with a cascade, where a click takes attention from the slots
below and estimates by slot may be biased, by simulation). cover: share of the intervals that hold the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim.counterfactual import rewards_under
from sim.decision_log import decisions_of
from sim.logged_site import LoggedSite, drawn_site
from sim.off_policy import ESTIMATORS, diagnose, evaluate
from sim.slate_policy import SlatePolicy

SEED, REPLICATIONS, SEEKERS, VISITS, DRAWS = 4, 200, 300, 2, 200
# what is logged by whom, the cascade, and who is judged
CASES = (
    ("much left to chance", "bid,exploration=0.3,swap=0.3", 0.0, ("bid", "bid,exploration=0.6", "value")),
    ("as served", "bid,exploration=0.02,swap=0.01", 0.0, ("bid", "bid,exploration=0.05,swap=0.05")),
    ("clicks end visits", "bid,exploration=0.3,swap=0.3", 0.7, ("bid", "value")),
)
SHOWN = ("direct", "ips", "snips", "dr", "clipped_dr")


def run(data: Path | None) -> dict[str, Any]:
    rows = []
    for name, served, cascade, targets in CASES:
        site = drawn_site(np.random.default_rng(SEED), kinds=60, candidates=10, cascade=cascade)
        rows += judged(site, name, SlatePolicy.parse(served), [SlatePolicy.parse(text) for text in targets])
    return {"seed": SEED, "replications": REPLICATIONS, "slates": SEEKERS * VISITS, "rows": rows}


def judged(site: LoggedSite, name: str, served: SlatePolicy, targets: Sequence[SlatePolicy]) -> list[dict[str, Any]]:
    """One row for each target and estimator."""
    truths = [true_value(site, target) for target in targets]
    found: list[list[dict[str, Any]]] = [[] for _ in targets]
    for replication in range(REPLICATIONS):
        rng = np.random.default_rng([SEED, replication])
        log = decisions_of(*site.log(served, SEEKERS, VISITS, rng))
        for at, target in enumerate(targets):
            seen = rewards_under(log, target, "click")
            about = diagnose(seen)
            one = {"ess": about.ess / about.rows, "unsupported": about.unsupported_mass}
            values = evaluate(seen, rng=np.random.default_rng([SEED, replication, 1]), draws=DRAWS)
            found[at].append(one | values)
    rows = []
    for at, target in enumerate(targets):
        for estimator in ESTIMATORS:
            values = [one[estimator] for one in found[at]]
            estimate = np.array([value.value for value in values])
            error = np.array([value.standard_error for value in values])
            apart = np.abs(estimate - truths[at])
            inside = [value.ci95[0] <= truths[at] <= value.ci95[1] for value in values]
            rows.append(
                {
                    "case": name,
                    "logged": str(served),
                    "policy": str(target),
                    "estimator": estimator,
                    "truth": truths[at],
                    "estimate": float(estimate.mean()),
                    "bias": float(estimate.mean() - truths[at]),
                    "bias_error": float(estimate.std(ddof=1) / np.sqrt(len(estimate))),
                    "rmse": float(np.sqrt((apart**2).mean())),
                    "half_width": float(1.96 * error.mean()),
                    "cover_linear": float((apart <= 1.96 * error).mean()),
                    "cover_bootstrap": float(np.mean(inside)),
                    "ess_share": float(np.mean([one["ess"] for one in found[at]])),
                    "unsupported_mass": float(np.mean([one["unsupported"] for one in found[at]])),
                }
            )
    return rows


def true_value(site: LoggedSite, target: SlatePolicy) -> float:
    if not site.cascade:
        return site.truth(target)
    return site.simulated(target, "click", 300_000, np.random.default_rng([SEED, 7]))


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["logs", "policy judged", "estimator", "truth", "estimate", "bias", "rmse", "± 95 %", "cover", "ess", "lost"]
    return [head] + [
        [
            row["case"],
            row["policy"],
            row["estimator"],
            f"{row['truth']:.4f}",
            f"{row['estimate']:.4f}",
            f"{row['bias']:+.4f}",
            f"{row['rmse']:.4f}",
            f"{row['half_width']:.4f}",
            f"{row['cover_bootstrap']:.0%}",
            f"{row['ess_share']:.0%}",
            f"{row['unsupported_mass']:.1%}",
        ]
        for row in result["rows"]
        if row["estimator"] in SHOWN
    ]
