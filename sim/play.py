"""One market played once: who may be shown, the plan, the clock, and what came of it.

Arms, placebos and designs differ in the pairs they make eligible and in nothing that happens here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim import loop
from sim.behaviour import Behaviour, examination
from sim.loop import Outcome, Pacing, Rules
from sim.market import Market
from targeting.audience import Liquidity, campaign_thresholds, eligible_by_rank, seeker_ranks
from targeting.ledger import KAPPA
from targeting.pacing.day_plan import cold_prices, plan_budgets
from targeting.pacing.descent import ControlConfig, Policy


@dataclass(frozen=True)
class Run:
    """One arm in one market: its settings, what was possible and what came of it.

    null: the arm's audience was handed to other seekers; draw: which of several networks of shuffled hires; ranker and
    pacing: what ranked and what paced; design: the part of a design it plays, "copy" being a full market.
    """

    arm: str
    seed: int
    theta: float
    budget_level: float
    flat_clicks: bool
    outcome: Outcome
    allowed: np.ndarray  # float64[C] sum over live days of min(daily cap, remaining)
    budget: np.ndarray
    planned_micros: np.ndarray
    plan_gap: float
    reach: float  # mean eligible campaigns per seeker
    null: bool = False
    draw: int = 0
    ranker: str = "learned"
    pacing: str = "plan+descent"
    design: str = "copy"
    allowed_by_day: np.ndarray = field(default_factory=lambda: np.empty(0))  # float64[days], all campaigns together


@dataclass(frozen=True)
class Audience:
    """An arm's scores of a market's pairs, sorted once. everyone: the arm that targets nobody in particular."""

    score: np.ndarray
    rank: np.ndarray
    threshold: np.ndarray
    phi: int
    everyone: bool = False

    @classmethod
    def of(cls, market: Market, score: np.ndarray, phi: int, everyone: bool = False) -> Audience:
        pairs, campaigns = market.pairs, len(market.terms.job)
        return cls(
            score,
            seeker_ranks(pairs.start, pairs.campaign, score),
            campaign_thresholds(pairs.start, pairs.campaign, score, campaigns, phi),
            phi,
            everyone,
        )

    def eligible(self, market: Market, theta: float) -> np.ndarray:
        """bool[n]: the pairs that may be shown."""
        if self.everyone:
            return np.ones(len(self.score), bool)
        pairs, liquidity = market.pairs, Liquidity(theta, self.phi)
        return eligible_by_rank(pairs.start, pairs.campaign, self.score, self.rank, liquidity, self.threshold)


def play_market(
    behaviour: Behaviour,
    share: np.ndarray,
    market: Market,
    eligible: np.ndarray,
    pacing: Policy,
    auction: str,
    arm: str = "",
    theta: float = 1.0,
    times: np.ndarray | None = None,
) -> Run:
    """Plan and play a market in which the pairs `eligible` bool[n] may be shown: production functions for every arm.

    share float64[1441]: planned cumulative share of a day's traffic; arm and theta only name the run.
    times int64[n], where given, is filled with how often each pair was shown.
    """
    pairs, terms = market.pairs, market.terms
    campaigns = len(terms.job)
    control = ControlConfig(pacing)
    plan = plan_budgets(
        market.segment, market.supply, pairs.start, pairs.campaign, eligible,
        pairs.p_click, pairs.value_per_click, terms.max_bid, terms.budget,
    )  # fmt: skip
    cold = cold_prices(pairs.campaign, pairs.value_per_click, terms.max_bid)
    price = {"plan+descent": plan.price, "descent": np.full(campaigns, cold), "greedy": np.zeros(campaigns)}
    eta = {"plan+descent": control.eta, "descent": control.eta_cold, "greedy": 0.0}
    rules = Rules(
        days=market.config.days,
        promoted_positions=tuple(market.config.promoted_positions),
        page=market.config.page,
        exam=examination(behaviour, market.config.page),
        auction=auction,
        frequency_cap=market.config.frequency_cap,
        repeat_effect=behaviour["click"]["repeat"],
        hire_given_qualified=behaviour["hire"]["given_qualified"],
        click_delay_seconds=behaviour["traffic"]["click_delay_minutes"] * 60.0,
        kappa=KAPPA,
        seed=1_000_003 * (market.config.seed + 1),
    )
    pace = Pacing(price[control.policy], eta[control.policy], control.floor_share * cold, share)
    outcome = loop.play_market(pairs, eligible, market.organic, market.traffic, terms, rules, pace, times)
    remaining = terms.budget - np.cumsum(outcome.by_day, axis=0) + outcome.by_day
    allowed = (np.minimum(terms.day_budget, remaining) * market.live).astype(float)  # [days, C]
    return Run(
        arm, market.config.seed, theta, market.config.budget_level, False, outcome, allowed.sum(0), terms.budget,
        plan.planned_micros, plan.plan.gap, float(eligible.sum() / max(1, len(pairs.start) - 1)), pacing=pacing,
        allowed_by_day=allowed.sum(1),
    )  # fmt: skip
