"""The winner's curse: are estimates still right on the pairs that an auction shows, chosen because they were high?

The pages are those every seeker would be shown at the closing prices of a market of the graph arm: production's auction
on production's bids. Hires are recorded next occupations; clicks and applications are drawn from the click model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.calibration import reliability
from market.bootstrap import cluster_bootstrap
from market.compiled import njit
from market.tables import Tables
from sim.arms import AttributeScheme, arm_scores, mark_live
from sim.experiment import ExperimentConfig, run_arm
from sim.logs import LoggingConfig, write_logs
from sim.market import Market, MarketConfig, day_shares
from sim.play import Run
from sim.stage import Stage, build_stage
from sim.world import SERVE, VALIDATE, World
from targeting.auction import SECOND_PRICE, run_auction
from targeting.audience import Liquidity, campaign_thresholds, eligible_pairs
from targeting.learned import SITE_TRAIN, Learned, LearnedConfig, fit_learned
from targeting.pacing.descent import paced_bid
from targeting.response import ResponseModel, pair_features

SEED, LINE_SEED = 0, 5
DRAWS = 300
DECILES = 10


@dataclass(frozen=True)
class Played:
    """A market of the graph arm. All per pair: estimates, truth, and whether a first page shows it (`won`)."""

    run: Run
    person: np.ndarray
    won: np.ndarray
    features: np.ndarray
    p_hire: np.ndarray
    hired: np.ndarray  # the recorded next occupation is the job's
    click_chance: np.ndarray
    clicked: np.ndarray  # one look at the top of the page, drawn
    qualified_per_click: np.ndarray


def table(world: World, people: Examples) -> dict[str, Any]:
    """{"unseen persons", "pairs", "markets"}: the model on persons outside the logs; estimates before and after the
    auction; what the markets of each variant came to."""
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learned, _ = fit_learned(tables, LearnedConfig(train=replace(SITE_TRAIN, epochs=4)))
    stage = build_stage(world, learned, None)
    forecast = replace(learned.response, looks=None)
    # the line is fitted on the pages of validation persons, in another market, and judged on the persons served
    training = play(stage, learned.response, VALIDATE, LINE_SEED)
    won = training.won
    line = learned.response.corrected(training.features[won], np.ones(won.sum()), training.clicked[won])
    variants = {"forecast's grade": forecast, "total probability": learned.response, "and a line on the winners": line}
    played = {name: play(stage, response, SERVE, SEED) for name, response in variants.items()}
    return {
        "unseen persons": _calibration(learned, people),
        "line": list(line.line),
        "pairs": {name: _pairs(market, variants[name]) for name, market in played.items()},
        "markets": {name: _market(market.run) for name, market in played.items()},
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = []
    unseen = result["unseen persons"]
    bins = " ".join(f"{number:.2f}" for number in unseen["bins"])
    figures = f"ECE {unseen['ece']:.4f}, slope {unseen['slope']:.2f}, bins {bins}"
    rows.append(["P(hire) of persons outside the logs", "happened / predicted", figures])
    for variant, row in result["pairs"].items():
        for what in ("P(hire)", "P(click)", "value per click"):
            for where in ("all pairs", "shown"):
                found = row[where][what]
                low, high = found["ci95"]
                figures = f"{found['ratio']:.2f} [{low:.2f}, {high:.2f}], best decile {found['deciles'][-1]:.2f}"
                rows.append([f"{what}, {where}", variant, figures])
    for variant, row in result["markets"].items():
        figures = f"qualified {row['qualified']:.0f}, cost per qualified {row['cost_per_qualified']:.2f}, "
        rows.append(["market of the graph arm", variant, figures + f"budget used {row['budget_used']:.1%}"])
    return rows


def play(stage: Stage, response: ResponseModel, fold: int, seed: int) -> Played:
    """The market of one seed under a response model, and the first pages at its closing prices."""
    world, learned = stage.world, replace(stage.learned, response=response)
    market = replace(stage, learned=learned).market(MarketConfig(fold=fold, seed=seed))
    mark_live(stage.index, world, learned, market, stage.job_vectors)
    score = arm_scores("graph", world, market, learned, stage.index, AttributeScheme())
    config = ExperimentConfig(market=market.config)
    run = run_arm(config, world.behaviour, market, "graph", score, config.theta, day_shares(world))
    pairs, terms = market.pairs, market.terms
    threshold = campaign_thresholds(pairs.start, pairs.campaign, score, len(terms.job), config.phi)
    eligible = eligible_pairs(pairs.start, pairs.campaign, score, Liquidity(config.theta, config.phi), threshold)
    won = first_pages(
        pairs.start,
        pairs.campaign,
        eligible,
        pairs.p_click.astype(np.float64),
        pairs.value_per_click.astype(np.float64),
        run.outcome.final_price,
        terms.max_bid,
        terms.reserve,
        len(market.config.promoted_positions),
    )
    row = np.repeat(np.arange(len(market.seeker)), np.diff(pairs.start))
    occupation = world.inventory.occupation[terms.job[pairs.campaign]]
    features, p_hire = _features(world, learned, market, row, occupation)
    chance = expit(pairs.click_logit.astype(np.float64))
    return Played(
        run,
        market.person[row],
        won,
        features,
        p_hire,
        market.next_occupation[row] == occupation,
        chance,
        np.random.default_rng([SEED, fold, seed]).random(len(chance)) < chance,
        pairs.p_apply.astype(np.float64) * pairs.grade,
    )


@njit()
def first_pages(
    start: np.ndarray,
    campaign: np.ndarray,
    eligible: np.ndarray,
    p_click: np.ndarray,
    value: np.ndarray,
    price: np.ndarray,
    max_bid: np.ndarray,
    reserve: np.ndarray,
    slots: int,
) -> np.ndarray:
    """bool[n]: the pairs on the first page of each seeker, by the product's bids and auction at these prices."""
    won = np.zeros(len(campaign), np.bool_)
    winner, cost = np.empty(slots + 1, np.int64), np.empty(slots + 1, np.int64)
    for s in range(len(start) - 1):
        entry = np.flatnonzero(eligible[start[s] : start[s + 1]]) + start[s]
        bids, floors = np.empty(len(entry), np.int64), np.empty(len(entry), np.int64)
        for i in range(len(entry)):
            c = campaign[entry[i]]
            bids[i], floors[i] = paced_bid(value[entry[i]], price[c], max_bid[c]), reserve[c]
        sold = run_auction(bids, p_click[entry], floors, slots, SECOND_PRICE, winner, cost)
        for slot in range(sold):
            won[entry[winner[slot]]] = True
    return won


def _features(
    world: World, learned: Learned, market: Market, row: np.ndarray, occupation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the market's estimates were made of, and P(hire into the occupation), per pair."""
    section, current = world.careers.taxonomy.section, market.examples.current[row]
    chances = learned.affinity.probabilities(market.examples)
    features = pair_features(
        (chances @ learned.grades)[row, occupation],
        chances[row, occupation],
        market.log_lift[row, occupation],
        section[current] == section[occupation],
        np.log(world.inventory.wage[market.terms.job[market.pairs.campaign]] / learned.wage[current]),
    )
    return features, chances[row, occupation]


def _pairs(played: Played, response: ResponseModel) -> dict[str, Any]:
    p_click = response.p_click(played.features).astype(np.float64)
    value = response.value_per_click(played.features).astype(np.float64)
    # per click: both sides weigh a pair by its chance of a click, which is how often it gets to count
    kinds = {
        "P(hire)": (played.hired.astype(np.float64), played.p_hire.astype(np.float64), played.p_hire),
        "P(click)": (played.clicked.astype(np.float64), p_click, p_click),
        "value per click": (played.click_chance * played.qualified_per_click, played.click_chance * value, value),
    }
    found: dict[str, Any] = {}
    for where, rows in (("all pairs", np.arange(len(played.won))), ("shown", np.flatnonzero(played.won))):
        found[where] = {
            what: _ratio(played.person[rows], happened[rows], predicted[rows], order[rows])
            for what, (happened, predicted, order) in kinds.items()
        }
    return found


def _ratio(person: np.ndarray, happened: np.ndarray, predicted: np.ndarray, order: np.ndarray) -> dict[str, Any]:
    """Happened over predicted, interval by person, and by decile of the estimate (lowest first)."""
    rng = np.random.default_rng(SEED)
    parts = np.array_split(np.argsort(order, kind="stable"), DECILES)
    return {
        "n": len(person),
        **cluster_bootstrap(person, happened, predicted, rng=rng, draws=DRAWS).report("ratio"),
        "deciles": [float(happened[part].sum() / max(predicted[part].sum(), 1e-12)) for part in parts],
    }


def _calibration(learned: Learned, people: Examples) -> dict[str, Any]:
    chances = Affinity(learned.model).probabilities(people)
    happened = np.arange(chances.shape[1]) == people.target[:, None]
    found = reliability(chances.ravel(), happened.ravel(), DECILES)
    bins = [row["observed"] / row["predicted"] for row in found["bins"]]
    return {"ece": found["ece"], "slope": found["slope"], "n": found["n"], "bins": bins}


def _market(run: Run) -> dict[str, float]:
    outcome = run.outcome
    return {
        "qualified": float(outcome.qualified.sum()),
        "cost_per_qualified": float(outcome.posted.sum() / 1e6 / max(outcome.qualified.sum(), 1e-9)),
        "budget_used": float(outcome.posted.sum() / run.allowed.sum()),
        "clicks": int(outcome.clicks.sum()),
    }
