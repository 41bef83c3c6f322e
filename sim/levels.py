"""What the baseline spends of its budgets at each budget level, on validation persons: how a grid of levels is chosen.

Served persons are never looked at: levels chosen on them would be chosen for a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sim.arms import arm_scores, mark_live
from sim.experiment import BASELINE, ExperimentConfig, run_arm, tune_attribute
from sim.market import day_shares
from sim.stage import Stage
from sim.world import VALIDATE, WorldConfig

LEVELS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


def validation_world(config: WorldConfig) -> WorldConfig:
    """A world with as many validation seekers as `config` has served ones, and hardly any of the latter."""
    share = (1 - config.fit_share - config.validate_share) / config.validate_share
    return replace(config, validate_replicas=max(1, round(config.serve_replicas * share)), serve_replicas=1)


def baseline_levels(
    stage: Stage,
    config: ExperimentConfig,
    levels: Sequence[float] = LEVELS,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Size of the market and one row per level: utilization over live campaign-days and what came of it."""
    market = stage.market(replace(config.market, fold=VALIDATE))
    scheme = tune_attribute(stage, config)
    mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
    score = arm_scores(BASELINE, stage.world, market, stage.learned, stage.index, scheme)
    share = day_shares(stage.world)
    rows = []
    for number, level in enumerate(levels):
        progress(f"level {level:g}", number, len(levels))
        run = run_arm(
            config, stage.world.behaviour, market.with_budget_level(level), BASELINE, score, config.theta, share
        )
        outcome = run.outcome
        rows.append(
            {
                "budget_level": level,
                "budget_utilization": float(outcome.posted.sum() / run.allowed.sum()),
                "utilization_unweighted": float(np.mean(outcome.posted / np.maximum(1, run.allowed))),
                "impressions": int(outcome.impressions.sum()),
                "clicks": int(outcome.clicks.sum()),
                "qualified_applications": float(outcome.qualified.sum()),
            }
        )
    window = stage.world.window_day
    reach = np.diff(market.pairs.start)
    return {
        "market": {
            "seekers": len(market.seeker),
            "people": len(np.unique(market.person)),
            "visits": len(market.traffic.seeker),
            "campaigns": len(market.terms.job),
            "employers": len(np.unique(market.employer)),
            "promoted_share": len(market.terms.job)
            / len(stage.world.inventory.open_between(window, window + market.config.days)),
            "live_days": float(market.live.sum(0).mean()),
            "campaigns_in_reach": {"mean": float(reach.mean()), "least": int(reach.min()), "most": int(reach.max())},
        },
        "levels": rows,
    }
