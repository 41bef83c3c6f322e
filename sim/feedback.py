"""The feedback loop: a site that retrains on what it has shown itself, round after round, with and without exploration.

Every round serves other people (all copies of a person in one round) the same campaigns with fresh budgets, and leaves
log tables; then the response model, what turns a forecast into P(click), P(application) and value, is fitted again on
the last `memory` rounds of tables, the neutral logs of before being round 0. Hire model and links stay: hires of a
round are on record months later. Nobody who is served was learned from before, neither by the hire model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from graph.hires import confirm
from graph.selection.training_set import training_set
from market.errors import ConfigError
from market.tables import Tables, write_tables
from sim.feedback_measures import MEASURES, measures
from sim.market import Market, MarketConfig
from sim.served_round import round_tables, serve
from sim.slate_policy import SlatePolicy
from sim.stage import Stage
from targeting.audience import Liquidity, campaign_thresholds, eligible_pairs
from targeting.learned import Learned, LearnedConfig
from targeting.response import MINIMUM_EVENTS, ResponseModel
from targeting.serving import ServingConfig
from targeting.sessions import ScoredSessions, cross_fitted_sessions, response_of, unseen_sessions

WITHOUT, WITH = "without exploration", "with exploration"
ARMS = (WITHOUT, WITH)


@dataclass(frozen=True)
class FeedbackConfig:
    """rounds of `market.days` days; memory: rounds of logs a fit sees (older ones too where these hold too few clicks);
    theta, phi as in the targeting experiment; serving gives the exploration arm its shares."""

    rounds: int = 5
    seeds: int = 3
    memory: int = 2
    theta: float = 0.2
    phi: int = 20
    serving: ServingConfig = field(default_factory=ServingConfig)
    market: MarketConfig = field(default_factory=MarketConfig)

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.seeds < 1 or self.memory < 1:
            raise ConfigError(
                f"rounds is {self.rounds}, seeds {self.seeds}, memory {self.memory}; expected at least 1 each"
            )

    def policy(self, arm: str) -> SlatePolicy:
        if arm == WITHOUT:
            return SlatePolicy("bid")
        return SlatePolicy("bid", self.serving.exploration, self.serving.swap)


@dataclass(frozen=True)
class Round:
    """seed, arm, number (from 1) of a finished round, its measures, and impressions by campaign."""

    seed: int
    arm: str
    number: int
    measures: dict[str, float]
    impressions: list[int]


def neutral_sessions(tables: Tables, learned: Learned, config: LearnedConfig) -> ScoredSessions:
    """Round 0: the neutral logs, scored across the halves of their people, as `fit_learned` does."""
    learnt_from = training_set(
        tables, confirm(tables, None, config.hires), config.train, config.selection, config.qualification
    )
    return cross_fitted_sessions(tables, learnt_from, config.qualification, learned.wage)


def run_feedback(
    stage: Stage,
    neutral: ScoredSessions,
    config: FeedbackConfig,
    logs: Path | None = None,
    begin: Callable[[str, int], None] = lambda *_: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Round]:
    """Rounds as they finish: by seed, then round, then arm, so that finished ones can be compared.

    logs: where the tables of each round are written (None: nowhere). `begin` hears what starts and its visits,
    `advance` of visits done.
    """
    for seed in range(config.seeds):
        learned = dict.fromkeys(ARMS, stage.learned)
        past = {arm: [neutral] for arm in ARMS}
        for number in range(1, config.rounds + 1):
            for arm in ARMS:
                market = replace(stage, learned=learned[arm]).market(
                    replace(config.market, seed=config.market.seed + seed)
                )
                visits = np.flatnonzero(group_of(market, config.rounds)[market.traffic.seeker] == number - 1)
                begin(f"seed {seed + 1} of {config.seeds}, round {number}, {arm}", len(visits))
                served = serve(
                    stage.world,
                    market,
                    _eligible(stage, learned[arm], market, config),
                    visits,
                    config.policy(arm),
                    np.random.default_rng([config.market.seed, seed, number, 89]).random,
                    config.serving,
                    1_000_003 * (config.market.seed + seed + 1) + number,
                    advance,
                )
                found = measures(stage.world, market, served, learned[arm].response)
                day = stage.world.window_day + (number - 1) * config.market.days
                tables = round_tables(stage.world, market, served, day, f"s{seed}-{number}")
                if logs is not None:
                    folder = logs / f"seed{seed}" / arm.replace(" ", "-") / f"round{number}"
                    write_tables(folder, tables, stage.world.careers.taxonomy.scheme)
                if len(served):
                    known = Tables(tables, stage.world.careers.taxonomy)
                    model = learned[arm]
                    past[arm].append(unseen_sessions(known, model.affinity, model.qualification, model.wage))
                response = _retrained(past[arm], learned[arm], config.memory)
                learned[arm] = replace(learned[arm], response=response)
                shown = np.bincount(served.campaign, minlength=len(market.terms.job))
                yield Round(seed, arm, number, found, shown.tolist())


def group_of(market: Market, groups: int) -> np.ndarray:
    """int64[S]: the round in which each seeker is served, by a hash of the original person."""
    draw = {
        int(person): int(hashlib.sha256(f"round:{person}".encode()).hexdigest()[:8], 16) % groups
        for person in np.unique(market.person)
    }
    return np.array([draw[int(person)] for person in market.person], np.int64)


def summary(rounds: list[Round]) -> list[dict[str, Any]]:
    """One row a round and arm: mean and 95 % interval over seeds (Student's t; None with one seed) of each measure,
    and of the difference to the arm without exploration in the same seed and round."""
    by_key = {(each.arm, each.number, each.seed): each for each in rounds}
    rows = []
    for arm in ARMS:
        for number in sorted({each.number for each in rounds}):
            mine = [each for each in rounds if each.arm == arm and each.number == number]
            if not mine:
                continue
            row: dict[str, Any] = {"arm": arm, "round": number, "seeds": len(mine)}
            for name in MEASURES:
                row[name] = _interval(np.array([each.measures[name] for each in mine]))
                if arm == WITH:
                    pairs = [
                        each.measures[name] - by_key[WITHOUT, number, each.seed].measures[name]
                        for each in mine
                        if (WITHOUT, number, each.seed) in by_key
                    ]
                    row[f"{name}_difference"] = _interval(np.array(pairs)) if pairs else None
            rows.append(row)
    return rows


def _interval(values: np.ndarray) -> dict[str, Any]:
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "ci95": None}
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "ci95": [mean - half, mean + half]}


def _eligible(stage: Stage, learned: Learned, market: Market, config: FeedbackConfig) -> np.ndarray:
    """bool[pairs]: retrieval by the graph, as serving and the experiment do."""
    pairs = market.pairs
    row = np.repeat(np.arange(len(market.seeker)), np.diff(pairs.start))
    occupation = stage.world.inventory.occupation[market.terms.job[pairs.campaign]]
    score = (learned.retrieval(market.examples) @ learned.occupation_vectors.T)[row, occupation]
    threshold = campaign_thresholds(pairs.start, pairs.campaign, score, len(market.terms.job), config.phi)
    return eligible_pairs(pairs.start, pairs.campaign, score, Liquidity(config.theta, config.phi), threshold)


def _retrained(past: list[ScoredSessions], learned: Learned, memory: int) -> ResponseModel:
    """The response of the newest `memory` rounds, and of as many older ones as it takes to have enough events.

    Where people went next is not on record for the own rounds; the rates that need it stay as they were.
    """
    used = min(memory, len(past))
    while used < len(past) and not _enough(past[-used:]):
        used += 1
    fitted = response_of(ScoredSessions.joined(past[-used:]), learned.taxonomy, learned.qualification)
    return fitted if fitted.looks is not None else replace(fitted, looks=learned.response.looks)


def _enough(parts: list[ScoredSessions]) -> bool:
    clicked = np.concatenate([part.clicked for part in parts])
    applied = np.concatenate([part.applied for part in parts])[clicked]
    return all(min(label.sum(), (~label).sum()) >= MINIMUM_EVENTS for label in (clicked, applied))
