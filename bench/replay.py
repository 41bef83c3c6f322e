"""Bidders on recorded auctions: clicks under tight budgets, against the constant CPC that was best on the train log.

Twenty generated markets (bench/replay_world.py) of seeds 100 to 119, none of them tuned on; 300,000 auctions each to
learn from and to bid on, the second log with shifted prices and click probabilities. The budget of an episode is a
share of what its auctions cost on average in the train log. A click counts with its true probability in the world, so
that luck with clicks does not blur the comparison; drawn clicks stand beside it. Synthetic: it compares bidders.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.replay_world import click_rate, draw_log, draw_world
from market.bootstrap import relative_lift
from sim.auction_log import Auctions
from sim.replay import Bidder, ConstantCpc, Episodes, PacedByValue, PacedCold, replay
from targeting.pacing.episode import episode_value, learn_landscape

SEEDS = tuple(range(100, 120))
AUCTIONS = 300_000
LENGTHS = (1_000, 100_000)
SHARES = (32, 8, 2)
UNIT = 10**9  # expected clicks are counted in billionths
GREEDY = 1e15  # bids what is left of the budget
BIDDERS = ("constant CPC", "greedy", "constant CPC, best in hindsight", "paced, cold", "paced, train")


def counted(auctions: Auctions, rate: np.ndarray) -> Auctions:
    """The log with the probability of a click, in billionths, in the place of the click."""
    return replace(auctions, click=np.rint(rate * UNIT).astype(np.int64))


def best_constant(auctions: Auctions, episodes: Episodes, mean_pctr: float) -> ConstantCpc:
    """The constant CPC with most clicks on a log, of 41 that bid 1 to 1,000 for an auction of mean pctr."""
    bidders = [ConstantCpc(float(cpc)) for cpc in np.geomspace(1, 1_000, 41) / mean_pctr]
    return max(bidders, key=lambda bidder: replay([auctions], episodes, bidder).clicks)


def one(seed: int, length: int, share: int) -> dict[str, Any]:
    """All bidders on one market; the best constant CPC is tuned on pctr, which is what a bidder knows of clicks."""
    rng = np.random.default_rng(seed)
    world = draw_world(rng)
    train, test = draw_log(world, AUCTIONS, rng, test=False), draw_log(world, AUCTIONS, rng, test=True)
    expected = counted(test, click_rate(world, test.pctr))
    mean = float(train.pctr.mean())
    episodes = Episodes(length, int(train.price.mean() * length / share))
    began = time.process_time()
    value = episode_value(learn_landscape(train.price, train.pctr), episodes.budget, length)
    learning = time.process_time() - began
    bidders: tuple[Bidder, ...] = (
        best_constant(counted(train, train.pctr), episodes, mean),
        ConstantCpc(GREEDY),
        best_constant(expected, episodes, mean),
        PacedCold(),
        PacedByValue(value),
    )
    rows = {}
    for name, bidder in zip(BIDDERS, bidders, strict=True):
        began = time.process_time()
        result = replay([expected], episodes, bidder)
        seconds = time.process_time() - began
        rows[name] = {
            "expected_clicks": result.clicks / UNIT,
            "clicks": replay([test], episodes, bidder).clicks,
            "spent": result.cost / (result.episodes * episodes.budget),
            "overspent": int(np.maximum(0, result.by_episode[:, 2] - episodes.budget).sum()),
            "auctions_per_second": AUCTIONS / max(seconds, 1e-9),
        }
    return {"seed": seed, "length": length, "share": share, "learning_seconds": learning, "bidders": rows}


def run(data: Path | None, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    one(0, LENGTHS[0], SHARES[0])  # compiles
    runs = [one(seed, length, share) for length in LENGTHS for share in SHARES for seed in seeds]
    return {"seeds": list(seeds), "auctions": AUCTIONS, "runs": runs}


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["bidder", "auctions", "budget", "expected clicks", "95 %", "worst", "drawn clicks", "spent"]
    table = [[*head, "overspent", "M auctions / CPU s"]]
    for length in LENGTHS:
        for share in SHARES:
            runs = [each for each in result["runs"] if (each["length"], each["share"]) == (length, share)]
            for name in BIDDERS:
                table.append([name, f"{length:,}", f"1/{share}", *_compared(runs, name)])
    return table


def _compared(runs: list[dict[str, Any]], name: str) -> list[str]:
    """Mean over markets of clicks relative to the constant CPC of the same market, interval over markets."""
    rows, base = [each["bidders"][name] for each in runs], [each["bidders"][BIDDERS[0]] for each in runs]
    ratio = np.array([row["expected_clicks"] / low["expected_clicks"] for row, low in zip(rows, base, strict=True)])
    rng = np.random.default_rng(0)
    lift = relative_lift([each["seed"] for each in runs], ratio, np.ones(len(runs)), rng=rng)
    drawn = sum(row["clicks"] for row in rows) / sum(low["clicks"] for low in base) - 1
    return [
        f"{100 * (ratio.mean() - 1):+.1f} %",
        "" if lift.ci is None else f"[{100 * lift.ci[0]:+.1f}, {100 * lift.ci[1]:+.1f}]",
        f"{100 * (ratio.min() - 1):+.1f} %",
        f"{100 * drawn:+.1f} %",
        f"{np.mean([row['spent'] for row in rows]):.3f}",
        f"{sum(row['overspent'] for row in rows)}",
        f"{np.median([row['auctions_per_second'] for row in rows]) / 1e6:.1f}",
    ]
