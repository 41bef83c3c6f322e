"""Placebos: what must show nothing, and how much of an arm's result is knowledge of the seeker.

permuted_hires   networks of shuffled hires against their own audiences handed to other seekers, qualified
                 applications per look. One shuffled network is one arbitrary map from people to jobs; by luck it suits
                 them or not, and that luck is larger than all other noise. So the interval is Student's t over several
                 networks, or that of campaigns or persons where it is wider.
flat_clicks      the graph against its own audience handed to other seekers where clicks ignore the match: clicks per
                 look at first exposures, campaign by campaign. Places on the page, repeats and what a campaign's own
                 appeal brings are thereby held equal; they are no match.
match            every arm against its own shuffled audience in the real world: what knowing the seeker is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

from market.bootstrap import Estimate, bootstrap_statistic
from sim.arms import BRACKETS
from sim.columns import DRAWS, lift, relative, stack, wider
from sim.nulls import PERMUTED

if TYPE_CHECKING:
    from sim.experiment import Results
    from sim.play import Run


def placebos(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    """{"permuted_hires", "flat_clicks"}, each {} where it was not played, else metric, relative, ci95 and more."""
    return {"permuted_hires": permuted_hires(results, rng), "flat_clicks": flat_clicks(results, rng)}


def permuted_hires(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    mine, null = results.select(PERMUTED), results.select(PERMUTED, null=True)
    if not mine or not null:
        return {}
    draws = sorted({run.draw for run in mine})
    each = [[[run for run in runs if run.draw == draw] for runs in (mine, null)] for draw in draws]
    values = [_rate_ratio(ours, theirs) - 1 for ours, theirs in each]
    found = wider(mean_interval(values), _pooled(results, each, rng))
    against_random = results.select("random")
    return {
        "metric": "qualified applications per look, graph on permuted hires vs its own audience shuffled",
        **relative(found),
        "draws": values,
        "vs_random": relative(lift(results, each[0][0], against_random, "qualified", "looks", rng))
        if against_random
        else None,
    }


def flat_clicks(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    mine = results.select("graph", flat_clicks=True)
    null = results.select("graph", flat_clicks=True, null=True)
    if not mine or not null:
        return {}
    random = results.select("random", flat_clicks=True)
    return {
        "metric": "clicks per look at first exposures, graph vs its own audience shuffled, campaign by campaign",
        **relative(same_campaign_ratio(stack(mine), stack(null), rng)),
        "vs_random": relative(same_campaign_ratio(stack(mine), stack(random), rng)) if random else None,
    }


def match_information(results: Results, rng: np.random.Generator) -> dict[str, Any]:
    """{arm: lifts over its own shuffled audience}: qualified applications per look, click rate per look, spend."""
    found = {}
    for arm in results.config.arms:
        mine, null = results.select(arm), results.select(arm, null=True)
        if arm in BRACKETS or not null:
            continue
        found[arm] = {
            "qualified_per_look": relative(lift(results, mine, null, "qualified", "looks", rng)),
            "clicks_per_look": relative(lift(results, mine, null, "clicks", "looks", rng)),
            "spend_micros": relative(lift(results, mine, null, "posted", None, rng)),
        }
    return found


def same_campaign_ratio(a: dict[str, np.ndarray], b: dict[str, np.ndarray], rng: np.random.Generator) -> Estimate:
    """Click rate of a over that of b, less 1, standardised over campaigns (Mantel and Haenszel 1959).

    With clicks k and looks n of first exposures:   sum k_a n_b / (n_a + n_b)  over  sum k_b n_a / (n_a + n_b)
    """
    n_a, n_b = a["first_looks"], b["first_looks"]
    both = np.maximum(n_a + n_b, 1e-12)
    columns = np.stack([a["first_clicks"] * n_b / both, b["first_clicks"] * n_a / both], axis=1)

    def ratio(sums: np.ndarray) -> np.ndarray:
        return np.where(sums[:, 1] > 0, sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], 1.0), np.nan) - 1

    return bootstrap_statistic(a["cluster"], columns, ratio, rng=rng, draws=DRAWS)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean of independent values and Student's t interval; none from a single value."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Estimate(None, None, 0)
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(mean, None, len(known))
    half = float(scipy.stats.t.ppf((1 + level) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return Estimate(mean, (mean - half, mean + half), len(known))


def _pooled(results: Results, each: Sequence[Sequence[Sequence[Run]]], rng: np.random.Generator) -> Estimate | None:
    """Noise of campaigns and people about the mean of the draws, as if it were the same in all of them: they share one
    market, so averaging over draws is not counted on to reduce it."""
    found = [lift(results, ours, theirs, "qualified", "looks", rng) for ours, theirs in each]
    known = [estimate for estimate in found if estimate.ci is not None and estimate.value is not None]
    if not known:
        return None
    mean = float(np.mean([estimate.value for estimate in known]))
    low = float(np.mean([estimate.value - estimate.ci[0] for estimate in known if estimate.ci]))
    high = float(np.mean([estimate.ci[1] - estimate.value for estimate in known if estimate.ci]))
    return Estimate(mean, (mean - low, mean + high), len(known))


def _rate_ratio(mine: Sequence[Run], null: Sequence[Run]) -> float:
    a, b = stack(mine), stack(null)
    rates = [data["qualified"].sum() / max(float(data["looks"].sum()), 1e-12) for data in (a, b)]
    return float(rates[0] / rates[1]) if rates[1] > 0 else float("nan")
