"""The targeting experiment: arms side by side on the same seekers, campaigns, clicks and ranker.

Truth of an arm is its own full market ("copy"). "budget-split" estimates it inside one market: disjoint parts of the
original persons and an equal part of every budget each. The headline is the difference in budget utilisation at equal
cost per qualified application, read off each arm's frontier over theta; intervals resample campaigns, and original
persons, and the wider of the two is kept. What rests on the click model is mechanics, not evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from market.errors import ConfigError
from sim.arms import DEFAULT_ARMS, AttributeScheme, arm_scores, check_arms, mark_live
from sim.behaviour import Behaviour, examination
from sim.bound import hindsight_bound
from sim.campaigns import with_budgets
from sim.loop import Outcome, Traffic, run_market
from sim.market import Market, MarketConfig, day_shares
from sim.stage import Stage
from sim.world import SERVE, VALIDATE
from targeting.auction import PRICING
from targeting.audience import Liquidity, campaign_thresholds, eligible_pairs
from targeting.ledger import KAPPA
from targeting.pacing.day_plan import cold_prices, plan_budgets
from targeting.pacing.descent import ControlConfig, Policy

Design = Literal["copy", "budget-split"]
BASELINE = "attribute"
PERMUTED = "graph on permuted hires"  # the placebo arm; never in the table


@dataclass(frozen=True)
class ExperimentConfig:
    """theta and phi are those of the arms table; thetas make the frontier; budget_levels the grid beside it."""

    arms: tuple[str, ...] = DEFAULT_ARMS
    seeds: int = 3
    threads: int = 2
    theta: float = 0.2
    phi: int = 20
    thetas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.35, 0.6)
    budget_levels: tuple[float, ...] = (0.2, 0.5, 2.0, 3.0)  # by `simulate levels`: the baseline spends .94 to .4
    pacing: Policy = "plan+descent"
    auction: str = "second"
    design: Design = "copy"
    flat_clicks: bool = True
    market: MarketConfig = field(default_factory=MarketConfig)

    def __post_init__(self) -> None:
        check_arms(self.arms)
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}, expected at least 1")
        if self.auction not in PRICING:
            raise ConfigError(f"auction {self.auction!r} is unknown; use one of {', '.join(PRICING)}")
        if self.design not in ("copy", "budget-split"):
            raise ConfigError(f"design {self.design!r} is unknown; use copy or budget-split")


@dataclass(frozen=True)
class Run:
    """One arm in one market: its settings, what was possible and what came of it."""

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


@dataclass(frozen=True)
class Results:
    config: ExperimentConfig
    behaviour_sha256: str
    scheme: AttributeScheme
    runs: list[Run]
    markets: list[Market]
    share: np.ndarray
    bounds: list[float] = field(default_factory=list)  # hindsight bound of each market at the table's budgets

    def select(self, arm: str, **wanted: Any) -> list[Run]:
        default = {"theta": self.config.theta, "budget_level": self.config.market.budget_level, "flat_clicks": False}
        want = default | wanted
        return [r for r in self.runs if r.arm == arm and all(getattr(r, name) == v for name, v in want.items())]


def run_experiment(
    stage: Stage, config: ExperimentConfig, progress: Callable[[str, int, int], None] = lambda *_: None
) -> Results:
    """All runs of the configuration; `progress(what, done, total)` after each."""
    scheme = tune_attribute(stage, config)
    share = day_shares(stage.world)
    runs: list[Run] = []
    markets: list[Market] = []
    total = config.seeds * len(config.arms)
    with ThreadPoolExecutor(config.threads) as pool:  # the market loop and the solver hold no interpreter lock
        for seed in range(config.seeds):
            market = stage.market(replace(config.market, seed=config.market.seed + seed, fold=SERVE))
            mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
            markets.append(market)
            for number, arm in enumerate(config.arms):
                progress(f"seed {seed + 1} of {config.seeds}: {arm}", seed * len(config.arms) + number, total)
                score = arm_scores(arm, stage.world, market, stage.learned, stage.index, scheme)
                part = split_market(market, number, len(config.arms)) if config.design == "budget-split" else market
                runs.extend(
                    pool.map(
                        partial(_play, config, stage.world.behaviour, arm, score, share),
                        _plays(config, arm, part),
                    )
                )
            if stage.permuted is not None and config.design == "copy":  # a split market has no part for it
                runs.append(_permuted_run(stage, config, market, share))
    progress("done", total, total)
    exponent = float(stage.world.behaviour["examination"]["exponent"])
    bounds = [hindsight_bound(market, exponent) for market in markets]
    return Results(config, stage.world.behaviour.sha256, scheme, runs, markets, share, bounds)


def _permuted_run(stage: Stage, config: ExperimentConfig, market: Market, share: np.ndarray) -> Run:
    """The placebo at the table's theta: retrieval by a model of shuffled hires, ranker and all else as ever.

    Its vectors are not in the index: rows of the graph space belong to the real model, so pairs are scored directly.
    """
    assert stage.permuted is not None
    row = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))
    occupation = stage.world.inventory.occupation[market.terms.job[market.pairs.campaign]]
    score = stage.permuted.retrieval(market.examples) @ stage.permuted.occupation_vectors.T
    return run_arm(config, stage.world.behaviour, market, PERMUTED, score[row, occupation], config.theta, share)


def _plays(config: ExperimentConfig, arm: str, market: Market) -> list[tuple[Market, float, bool]]:
    """(market, theta, flat clicks) of every run of an arm: the frontier, the grid of budgets, the placebo."""
    thetas = [config.theta] if arm == "all" else sorted({*config.thetas, config.theta})
    plays = [(market, theta, False) for theta in thetas]
    levels = [level for level in config.budget_levels if level != config.market.budget_level]
    plays += [(market.with_budget_level(level), config.theta, False) for level in levels]
    if config.flat_clicks:
        plays.append((flat_market(market), config.theta, True))
    return plays


def _play(
    config: ExperimentConfig,
    behaviour: Behaviour,
    arm: str,
    score: np.ndarray,
    share: np.ndarray,
    play: tuple[Market, float, bool],
) -> Run:
    market, theta, flat = play
    return run_arm(config, behaviour, market, arm, score, theta, share, flat)


def run_arm(
    config: ExperimentConfig,
    behaviour: Behaviour,
    market: Market,
    arm: str,
    score: np.ndarray,
    theta: float,
    share: np.ndarray,
    flat: bool = False,
) -> Run:
    """Audience, plan and market of one arm at one theta: production functions on the same estimates for every arm."""
    pairs, terms = market.pairs, market.terms
    campaigns = len(terms.job)
    control = ControlConfig(config.pacing)
    threshold = campaign_thresholds(pairs.start, pairs.campaign, score, campaigns, config.phi)
    if arm == "all":
        eligible = np.ones(len(score), bool)
    else:
        eligible = eligible_pairs(pairs.start, pairs.campaign, score, Liquidity(theta, config.phi), threshold)
    plan = plan_budgets(
        market.segment, market.supply, pairs.start, pairs.campaign, eligible,
        pairs.p_click, pairs.value_per_click, terms.max_bid, terms.budget,
    )  # fmt: skip
    cold = cold_prices(pairs.campaign, pairs.value_per_click, terms.max_bid)
    price = {"plan+descent": plan.price, "descent": np.full(campaigns, cold), "greedy": np.zeros(campaigns)}
    eta = {"plan+descent": control.eta, "descent": control.eta_cold, "greedy": 0.0}
    outcome = run_market(
        pairs,
        eligible,
        market.organic,
        market.traffic,
        terms,
        days=market.config.days,
        share=share,
        start_price=price[control.policy],
        price_floor=control.floor_share * cold,
        eta=eta[control.policy],
        promoted_positions=np.array(market.config.promoted_positions),
        page=market.config.page,
        exam=examination(behaviour, market.config.page),
        frequency_cap=market.config.frequency_cap,
        repeat_effect=behaviour["click"]["repeat"],
        hire_given_qualified=behaviour["hire"]["given_qualified"],
        click_delay_seconds=behaviour["traffic"]["click_delay_minutes"] * 60.0,
        kappa=KAPPA,
        pricing=PRICING[config.auction],
        seed=1_000_003 * (market.config.seed + 1),
    )
    remaining = terms.budget - np.cumsum(outcome.by_day, axis=0) + outcome.by_day
    allowed = (np.minimum(terms.day_budget, remaining) * market.live).sum(0).astype(float)
    return Run(
        arm, market.config.seed, theta, market.config.budget_level, flat, outcome, allowed, terms.budget,
        plan.planned_micros, plan.plan.gap, float(eligible.sum() / max(1, len(pairs.start) - 1)),
    )  # fmt: skip


def split_market(market: Market, part: int, parts: int) -> Market:
    """One arm's part of a budget-split test: a part of the original persons (by hash), an equal part of each budget."""
    draw = [int(hashlib.sha256(f"split:{person}".encode()).hexdigest()[:8], 16) % parts for person in market.person]
    mine = np.array(draw) == part
    keep = mine[market.traffic.seeker]
    traffic = Traffic(*(getattr(market.traffic, name)[keep] for name in ("seeker", "second", "number")))
    budget = np.maximum(1, market.terms.budget // parts)
    terms = with_budgets(market.terms, budget, market.config.days)
    return replace(market, traffic=traffic, terms=terms, supply=market.supply * mine.mean())


def flat_market(market: Market) -> Market:
    """The placebo world: clicks depend on nothing that makes a job fit (grade, wage, level); all else stays."""
    return replace(
        market,
        pairs=replace(market.pairs, click_logit=market.flat_pairs),
        organic=replace(market.organic, click_logit=market.flat_organic),
    )


def tune_attribute(stage: Stage, config: ExperimentConfig) -> AttributeScheme:
    """The attribute arm's variant with most expected qualified applications per impression on validation persons."""
    if BASELINE not in config.arms:
        return AttributeScheme()
    market = stage.market(replace(config.market, fold=VALIDATE, seed=config.market.seed + 7_919))
    mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
    kinds = AttributeScheme().kinds
    variants = [
        AttributeScheme(kinds, "lift"),
        AttributeScheme(kinds, "specific"),
        AttributeScheme(("occupation", "section", "major"), "lift"),
        AttributeScheme(("occupation", "section", "past_occupation", "major"), "specific"),
    ]
    return max(variants, key=lambda scheme: _grade_reached(stage, config, market, scheme))


def _grade_reached(stage: Stage, config: ExperimentConfig, market: Market, scheme: AttributeScheme) -> float:
    """Mean recorded grade of the pairs retrieved at the table's theta, on persons nobody is judged on."""
    pairs = market.pairs
    score = arm_scores(BASELINE, stage.world, market, stage.learned, stage.index, scheme)
    threshold = campaign_thresholds(pairs.start, pairs.campaign, score, len(market.terms.job), config.phi)
    chosen = eligible_pairs(pairs.start, pairs.campaign, score, Liquidity(config.theta, config.phi), threshold)
    return float(pairs.grade[chosen].sum())


def describe(config: ExperimentConfig) -> dict[str, Any]:
    """The configuration as plain data; threads are left out, they change no result."""
    return {name: value for name, value in asdict(config).items() if name != "threads"}
