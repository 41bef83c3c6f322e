"""Predicted hire rates and click rates of a market against what happened: what `report.json` says of calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from graph.calibration import SMALLEST_PREDICTION, reliability
from market.bootstrap import cluster_bootstrap
from sim.market import Market
from targeting.learned import Learned

BINS = 10
DRAWS = 200


def predicted_rates(learned: Learned, market: Market, rng: np.random.Generator) -> dict[str, Any]:
    """{"hires": see `hire_rates`, "clicks": see `click_rates`, "people": original persons among the served}."""
    return {
        "hires": hire_rates(learned, market, rng),
        "clicks": click_rates(market),
        "people": len(np.unique(market.person)),
    }


def hire_rates(learned: Learned, market: Market, rng: np.random.Generator) -> dict[str, Any]:
    """Predicted P(next occupation) of the served seekers against what happened; see `graph.calibration.reliability`.

    Each bin also has "ci95" of the observed share, resampling original persons.
    """
    predicted = learned.affinity.probabilities(market.examples)  # [S, C]
    row, occupation = np.nonzero(predicted >= SMALLEST_PREDICTION)
    p = predicted[row, occupation].astype(float)
    happened = market.next_occupation[row] == occupation
    found = reliability(p, happened, BINS)
    person = market.person[row]
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    for bin_, part in zip(found["bins"], parts, strict=True):
        bin_["ci95"] = cluster_bootstrap(person[part], happened[part], rng=rng, draws=DRAWS).ci
    return found


def click_rates(market: Market) -> list[dict[str, float]]:
    """Estimated against true P(click | seen) at first sight, pairs in reach in ten equal groups of the estimate."""
    estimate, truth = market.pairs.p_click.astype(float), expit(market.pairs.click_logit.astype(float))
    parts = [part for part in np.array_split(np.argsort(estimate, kind="stable"), BINS) if len(part)]
    return [
        {"predicted": float(estimate[part].mean()), "observed": float(truth[part].mean()), "n": len(part)}
        for part in parts
    ]
