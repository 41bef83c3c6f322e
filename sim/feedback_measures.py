"""What a round of serving did to the site: who was shown, how unevenly, how true the predictions were, what came of it.

gini        of impressions over campaigns with n of them: sum over i of (2 i - n - 1) x_i / (n sum x), x ascending
top_tenth   share of impressions of the tenth of the campaigns with most
slope, ece  of P(click) as predicted for the place, on promoted impressions that won their auction
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from graph.calibration import reliability
from sim.market import Market
from sim.served_round import ServedRound
from sim.world import World
from targeting.response import ResponseModel

MEASURES = (
    "impressions", "explored_share", "campaigns_shown", "occupations_shown", "seekers_reached", "gini", "top_tenth",
    "slope", "ece", "click_rate", "predicted_click_rate", "qualified_per_1000", "utilization",
)  # fmt: skip


def gini(counts: np.ndarray) -> float:
    """0 where all have the same, (n - 1) / n where one has everything; 0 of nothing."""
    ascending = np.sort(np.asarray(counts, float))
    n, total = len(ascending), float(ascending.sum())
    return float(((2 * np.arange(1, n + 1) - n - 1) * ascending).sum() / (n * total)) if total > 0 else 0.0


def top_tenth(counts: np.ndarray) -> float:
    most = np.sort(np.asarray(counts, float))[::-1][: max(1, round(len(counts) / 10))]
    return float(most.sum() / counts.sum()) if counts.sum() > 0 else 0.0


def measures(world: World, market: Market, served: ServedRound, response: ResponseModel) -> dict[str, float]:
    """The numbers of `MEASURES` for one round; response: the model that was served."""
    campaigns = len(market.terms.job)
    shown = np.bincount(served.campaign, minlength=campaigns)
    occupation = world.inventory.occupation[market.terms.job]
    won = ~served.explored
    at_top = np.clip(market.pairs.p_click[served.pair].astype(float), 1e-9, 1 - 1e-9)
    # position enters the click model before the line that corrects it, see `ResponseModel`
    predicted = expit(logit(at_top) + response.line[0] * response.click[-1] * np.log(served.position))
    judged = reliability(predicted[won], served.clicked[won], bins=10)
    total = max(1, len(served))
    return {
        "impressions": float(len(served)),
        "explored_share": float(served.explored.sum() / total),
        "campaigns_shown": float((shown > 0).mean()),
        "occupations_shown": float(len(np.unique(occupation[shown > 0])) / len(np.unique(occupation))),
        "seekers_reached": float(len(np.unique(served.seeker)) / max(1, served.visitors)),
        "gini": gini(shown),
        "top_tenth": top_tenth(shown),
        "slope": float(judged["slope"]),
        "ece": float(judged["ece"]),
        "click_rate": float(served.clicked[won].mean()) if won.any() else 0.0,
        "predicted_click_rate": float(predicted[won].mean()) if won.any() else 0.0,
        "qualified_per_1000": float(1000 * market.pairs.grade[served.pair][served.applied].sum() / total),
        "utilization": float(served.posted.sum() / market.terms.budget.sum()),
    }
