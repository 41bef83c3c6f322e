"""The targeting experiment: arms side by side on the same seekers, campaigns, clicks and ranker.

Truth of an arm is its own full market ("copy"). "budget-split" and "switch-back" (`sim.designs`) estimate it inside one
market; the truth is played beside them, so that their bias can be told. The headline is the difference in budget
utilisation at equal cost per qualified application (`sim.headline`). Placebos and the arms' own nulls (`sim.nulls`) are
part of every run. What rests on the click model is mechanics, not evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from market.artefacts import digest_of
from market.errors import ConfigError
from sim.arms import BRACKETS, DEFAULT_ARMS, AttributeScheme, arm_scores, check_arms, mark_live
from sim.behaviour import Behaviour
from sim.bound import hindsight_bound
from sim.cells import read_cell, write_cell
from sim.designs import DESIGNS, SwitchBack, split_market, switch_back_market, turns
from sim.market import Market, MarketConfig, day_shares
from sim.nulls import PERMUTED, flat_market, permuted_scores, shuffled_audience
from sim.organic_arms import OrganicArms, play_organic_arms
from sim.play import Audience, Run, play_market
from sim.rankers import CROSSED, Ranker, ranked_by_attribute
from sim.stage import Stage
from sim.world import SERVE, VALIDATE
from targeting.auction import PRICING
from targeting.pacing.descent import Policy

Design = Literal["copy", "budget-split", "switch-back"]
BASELINE = "attribute"
FLAT_ARMS = ("graph", "random")  # the arms that are played in the world without a match


@dataclass(frozen=True)
class ExperimentConfig:
    """theta and phi are those of the arms table; thetas make the frontier; budget_levels the grid beside it.

    flat_clicks, nulls, two_by_two, organic_arms: whether the placebo world, the arms' shuffled audiences, the 2 x 2
    with the ranker and the organic arms are played. block_hours: length of a turn of the switch-back.
    """

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
    block_hours: int = 24
    flat_clicks: bool = True
    nulls: bool = True
    two_by_two: bool = True
    organic_arms: bool = True
    market: MarketConfig = field(default_factory=MarketConfig)

    def __post_init__(self) -> None:
        check_arms(self.arms)
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}, expected at least 1")
        if self.auction not in PRICING:
            raise ConfigError(f"auction {self.auction!r} is unknown; use one of {', '.join(PRICING)}")
        if self.design not in DESIGNS:
            raise ConfigError(f"design {self.design!r} is unknown; use one of {', '.join(DESIGNS)}")
        if self.design != "copy" and len(self.arms) < 2:
            raise ConfigError(f"design {self.design} compares arms; give at least two")
        if self.block_hours < 1:
            raise ConfigError(f"block_hours is {self.block_hours}, expected at least 1")


@dataclass(frozen=True)
class Play:
    """One run to be played: a market, who may be shown (an arm's audience at theta), and what is varied."""

    arm: str
    market: Market
    audience: Audience
    theta: float
    flat_clicks: bool = False
    null: bool = False
    draw: int = 0
    ranker: Ranker = "learned"
    pacing: Policy | None = None  # None: the experiment's
    design: str = "copy"


@dataclass(frozen=True)
class Results:
    """runs of all finished seeds, in order; markets: the first in full, of the others what a report needs.

    finished: seeds that were played to the end, fewer than config.seeds after an interruption.
    """

    config: ExperimentConfig
    behaviour_sha256: str
    scheme: AttributeScheme
    runs: list[Run]
    markets: list[Market]
    share: np.ndarray
    bounds: list[float] = field(default_factory=list)  # hindsight bound of each market at the table's budgets
    switch_backs: list[SwitchBack] = field(default_factory=list)
    organic: list[OrganicArms] = field(default_factory=list)
    config_sha256: str = ""

    @property
    def finished(self) -> int:
        return len(self.markets)

    def select(self, arm: str, **wanted: Any) -> list[Run]:
        """Runs of an arm at the table's settings, but for what is `wanted`."""
        default = {
            "theta": self.config.theta,
            "budget_level": self.config.market.budget_level,
            "flat_clicks": False,
            "null": False,
            "ranker": "learned",
            "pacing": self.config.pacing,
            "design": "budget-split" if self.config.design == "budget-split" else "copy",
        }
        want = default | wanted
        return [r for r in self.runs if r.arm == arm and all(getattr(r, name) == v for name, v in want.items())]


def run_experiment(
    stage: Stage,
    config: ExperimentConfig,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    cells: Path | None = None,
) -> Results:
    """All runs of the configuration; `progress(what, done, total)` before each arm of a seed.

    cells: where finished seeds are kept and read back from; the folder has to stand for the stage, the configuration's
    digest is added to it. An interruption (Ctrl-C) gives the results of the seeds that are finished, if there is one.
    """
    frozen = config_digest(stage, config)
    folder = None if cells is None else cells / frozen[:16]
    scheme = tune_attribute(stage, config)
    results = Results(
        config, stage.world.behaviour.sha256, scheme, [], [], day_shares(stage.world), config_sha256=frozen
    )
    total = config.seeds * len(config.arms)
    pool = ThreadPoolExecutor(config.threads)  # the market loop and the solver hold no interpreter lock
    try:
        for seed in range(config.seeds):
            market = stage.market(replace(config.market, seed=config.market.seed + seed, fold=SERVE))
            done = read_cell(folder, market.config.seed)
            if done is None:
                done = _play_seed(stage, config, scheme, market, results.share, pool, progress)
                write_cell(folder, market.config.seed, *done)
            runs, bound, switch_back, organic = done
            results.runs.extend(runs)
            results.bounds.append(bound)
            results.switch_backs.extend([] if switch_back is None else [switch_back])
            results.organic.extend([] if organic is None else [organic])
            results.markets.append(market if seed == 0 else without_truth(market))
    except KeyboardInterrupt:
        if not results.finished:
            raise
    finally:
        pool.shutdown(cancel_futures=True)
    if results.finished == config.seeds:
        progress("done", total, total)
    return results


def config_digest(stage: Stage, config: ExperimentConfig) -> str:
    """SHA-256 of everything that was decided before an arm was played: experiment, world and behaviour."""
    return digest_of(describe(config), asdict(stage.world.config), stage.world.behaviour.sha256)


def without_truth(market: Market) -> Market:
    """A market a report can still read; what only the playing of it needs is let go."""
    empty = np.empty(0, np.float32)
    pairs = replace(market.pairs, click_logit=empty, p_apply=empty, grade=empty)
    organic = replace(market.organic, click_logit=empty, p_apply=empty, grade=empty)
    traffic = replace(market.traffic, second=empty, number=empty)
    return replace(
        market, pairs=pairs, organic=organic, traffic=traffic, log_lift=empty, flat_pairs=empty, flat_organic=empty
    )


def _play_seed(
    stage: Stage,
    config: ExperimentConfig,
    scheme: AttributeScheme,
    market: Market,
    share: np.ndarray,
    pool: ThreadPoolExecutor,
    progress: Callable[[str, int, int], None],
) -> tuple[list[Run], float, SwitchBack | None, OrganicArms | None]:
    """Everything of one market: all plays of all arms, placebos, designs, the organic arms and the hindsight bound."""
    number = market.config.seed - config.market.seed
    mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
    play = partial(_play, config, stage.world.behaviour, share)
    runs: list[Run] = []
    audiences: dict[str, Audience] = {}
    for at, arm in enumerate(config.arms):
        progress(
            f"seed {number + 1} of {config.seeds}: {arm}",
            number * len(config.arms) + at,
            config.seeds * len(config.arms),
        )
        score = arm_scores(arm, stage.world, market, stage.learned, stage.index, scheme)
        audience = Audience.of(market, score, config.phi, arm == "all")
        audiences[arm] = audience
        runs.extend(pool.map(play, _plays(stage, config, arm, at, market, audience)))
    switch_back, organic = None, None
    if config.design == "copy":  # a split market has no part for the rest
        runs.extend(pool.map(play, _permuted_plays(stage, config, market)))
        shown = next(audiences[arm] for arm in ("graph", *config.arms) if arm in audiences)
        if config.organic_arms and stage.job_vectors is not None:
            eligible = shown.eligible(market, config.theta)
            organic = play_organic_arms(stage, market, share, eligible, config.pacing, config.auction)
    elif config.design == "switch-back":
        switch_back = play_switch_back(config, stage.world.behaviour, share, market, audiences, number)
    bound = hindsight_bound(market, float(stage.world.behaviour["examination"]["exponent"]))
    return runs, bound, switch_back, organic


def _plays(
    stage: Stage, config: ExperimentConfig, arm: str, number: int, market: Market, audience: Audience
) -> list[Play]:
    """Every run of an arm: the frontier, the grid of budgets, its null, the flat world, the 2 x 2."""
    at_table = Play(arm, market, audience, config.theta)
    if config.design == "budget-split":
        part = split_market(market, number, len(config.arms))
        return [at_table, replace(at_table, market=part, design="budget-split")]
    if config.design == "switch-back":
        return [at_table]
    thetas = [config.theta] if arm == "all" else sorted({*config.thetas, config.theta})
    plays = [replace(at_table, theta=theta) for theta in thetas]
    levels = [level for level in config.budget_levels if level != config.market.budget_level]
    plays += [replace(at_table, market=market.with_budget_level(level)) for level in levels]
    null = None
    if config.nulls and arm not in BRACKETS:
        null = Audience.of(market, shuffled_audience(market, audience.score, _shuffling(market, 0)), config.phi)
        plays.append(replace(at_table, audience=null, null=True))
    if config.flat_clicks and arm in FLAT_ARMS:
        flat = flat_market(market)
        plays.append(replace(at_table, market=flat, flat_clicks=True))
        if null is not None:
            plays.append(replace(at_table, market=flat, audience=null, flat_clicks=True, null=True))
    if config.two_by_two and arm in CROSSED and set(CROSSED) <= set(config.arms):
        pooled = ranked_by_attribute(market, stage.world)
        plays.append(replace(at_table, market=pooled, ranker="attribute"))
        if config.pacing == "plan+descent":
            plays.append(replace(at_table, pacing="descent"))
            plays.append(replace(at_table, market=pooled, ranker="attribute", pacing="descent"))
    return plays


def _permuted_plays(stage: Stage, config: ExperimentConfig, market: Market) -> list[Play]:
    """Every network of shuffled hires at the table's theta, beside the same audience handed to other seekers."""
    plays = []
    for draw, permuted in enumerate(stage.permuted):
        score = permuted_scores(stage, market, permuted)
        shuffled = shuffled_audience(market, score, _shuffling(market, 1 + draw))
        for null, scores in ((False, score), (True, shuffled)):
            audience = Audience.of(market, scores, config.phi)
            plays.append(Play(PERMUTED, market, audience, config.theta, null=null, draw=draw))
    return plays


def _shuffling(market: Market, draw: int) -> np.random.Generator:
    return np.random.default_rng([market.config.seed, draw, 83])


def _play(config: ExperimentConfig, behaviour: Behaviour, share: np.ndarray, play: Play) -> Run:
    eligible = play.audience.eligible(play.market, play.theta)
    pacing = play.pacing or config.pacing
    run = play_market(behaviour, share, play.market, eligible, pacing, config.auction, play.arm, play.theta)
    return replace(
        run, flat_clicks=play.flat_clicks, null=play.null, draw=play.draw, ranker=play.ranker, design=play.design
    )


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
    eligible = Audience.of(market, score, config.phi, arm == "all").eligible(market, theta)
    run = play_market(behaviour, share, market, eligible, config.pacing, config.auction, arm, theta)
    return replace(run, flat_clicks=flat)


def play_switch_back(
    config: ExperimentConfig,
    behaviour: Behaviour,
    share: np.ndarray,
    market: Market,
    audiences: dict[str, Audience],
    number: int,
) -> SwitchBack:
    """One market whose arms take turns; who begins moves on from seed to seed."""
    arms = len(config.arms)
    turn = turns(market.config.days * 24, arms, config.block_hours, first=number % arms)
    eligible = np.concatenate([audiences[arm].eligible(market, config.theta) for arm in config.arms])
    doubled = switch_back_market(market, arms, turn)
    run = play_market(behaviour, share, doubled, eligible, config.pacing, config.auction, "switch-back", config.theta)
    return SwitchBack(config.arms, turn, run)


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
    """Sum of recorded grades of the pairs retrieved at the table's theta, on persons nobody is judged on."""
    score = arm_scores(BASELINE, stage.world, market, stage.learned, stage.index, scheme)
    chosen = Audience.of(market, score, config.phi).eligible(market, config.theta)
    return float(market.pairs.grade[chosen].sum())


def describe(config: ExperimentConfig) -> dict[str, Any]:
    """The configuration as plain data; threads are left out, they change no result."""
    return {name: value for name, value in asdict(config).items() if name != "threads"}
