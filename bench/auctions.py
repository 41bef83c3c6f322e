"""Auctions a second of processor time: the market loop beside numpy in batches and plain Python, 50 eligible campaigns.

One synthetic market: 1,000 campaigns, 50 of them eligible for each seeker, three slots, generalised second price with a
reserve, clicks, integer budgets. The loop does everything it always does: exact budgets after every click, reserves
until a token's life is over, frequency caps, a clock; its time includes the copying and sorting of the pairs. Who has
clicked a campaign is not shown it again, so about one pair in fifteen is gone at the end, half as many in the mean.

The batches know every score beforehand (prices stand still), gather, mask, partition and settle a whole batch at once:
budgets are checked between batches only, so they overspend, and nothing else of the above is done. The plain Python
loop does what the batches do, visit by visit, with exact budgets.
"""

from __future__ import annotations

import random
import resource
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from bench.index_rounds import Timed, interleave
from sim.loop import OrganicLists, Outcome, Pacing, Pairs, Rules, Terms, Traffic, play_market
from targeting.serving import ServingConfig

ROUNDS = 7
CAMPAIGNS, ELIGIBLE, SLOTS = 1_000, 50, 3
SEEKERS, VISITS = 10_000, 500_000
PLAIN_VISITS = 2_000
WEEK_SEEKERS, WEEK_VISITS, WEEK_DAYS = 48_000, 1_000_000, 7
RESERVE = 100_000
EXAM = np.arange(1, 11) ** -0.65
UNCAPPED = ServingConfig(max_ad_load=1.0, per_hour=1_000, per_day=1_000)


@dataclass(frozen=True)
class Market:
    pairs: Pairs
    organic: OrganicLists
    traffic: Traffic
    terms: Terms
    rules: Rules
    pacing: Pacing

    def play(self) -> Outcome:
        everybody = np.ones(len(self.pairs.campaign), bool)
        return play_market(self.pairs, everybody, self.organic, self.traffic, self.terms, self.rules, self.pacing)


def draw_market(seekers: int, visits: int, days: int, listed: int, seed: int = 0) -> Market:
    """Chances around 2 %, bids around .80, budgets that most campaigns do not exhaust; `listed` organic jobs each."""
    rng = np.random.default_rng(seed)
    eligible = np.sort(np.argpartition(rng.random((seekers, CAMPAIGNS), np.float32), ELIGIBLE, 1)[:, :ELIGIBLE], 1)
    n = eligible.size
    p_click = np.clip(np.exp(rng.normal(np.log(0.02), 0.5, n)), 0.002, 0.4).astype(np.float32)
    pairs = Pairs(
        np.arange(0, n + 1, ELIGIBLE),
        eligible.ravel().astype(np.int32),
        p_click,
        (0.01 * np.exp(rng.normal(0, 0.8, n))).astype(np.float32),
        np.log(p_click / (1 - p_click)),
        np.full(n, 0.2, np.float32),
        np.full(n, 0.5, np.float32),
    )
    max_bid = np.exp(rng.normal(np.log(800_000), 0.5, CAMPAIGNS)).astype(np.int64)
    budget = (max_bid * (visits * 0.15 / CAMPAIGNS)).astype(np.int64)
    money = (budget, -(-budget // days), max_bid, np.full(CAMPAIGNS, RESERVE), np.full(CAMPAIGNS, 5))
    job = np.full((seekers, max(listed, 1)), -1, np.int32)
    if listed:
        job[:] = rng.integers(CAMPAIGNS, 20_000, job.shape)
    organic = OrganicLists(job, *(np.full(job.shape, value, np.float32) for value in (-3, 0.2, 0.5)))
    traffic = Traffic(
        rng.integers(0, seekers, visits).astype(np.int32),
        np.sort(rng.uniform(0, days * 86_400, visits)),
        np.arange(visits),
    )
    places, page = ((0, 3, 7), 10) if listed else (tuple(range(SLOTS)), SLOTS)
    rules = Rules(days, places, page, EXAM, serving=UNCAPPED, frequency_cap=1_000)
    terms = Terms(np.arange(CAMPAIGNS, dtype=np.int32), *money)
    return Market(pairs, organic, traffic, terms, rules, Pacing(np.full(CAMPAIGNS, 0.01 / 800_000)))


@dataclass(frozen=True)
class Scored:
    """What the peers read: campaign, bid, chance, score [S, 50] of the pairs, all known beforehand."""

    campaign: np.ndarray
    bid: np.ndarray
    chance: np.ndarray
    score: np.ndarray
    seeker: np.ndarray
    budget: np.ndarray

    @classmethod
    def of(cls, market: Market) -> Scored:
        pairs, terms = market.pairs, market.terms
        bid = np.minimum(terms.max_bid[pairs.campaign], pairs.value_per_click / market.pacing.start_price[0]).astype(
            np.int64
        )
        score = np.where(bid >= RESERVE, bid * pairs.p_click, 0).astype(np.float32)
        shape = (-1, ELIGIBLE)
        columns = (pairs.campaign, bid, pairs.p_click, score)
        return cls(*(each.reshape(shape) for each in columns), market.traffic.seeker, market.terms.budget)


def in_batches(scored: Scored, size: int, seed: int = 1) -> int:
    """Micros billed, budgets checked once a batch."""
    rng = np.random.default_rng(seed)
    left, billed = scored.budget.copy(), 0
    seen = EXAM[:SLOTS].astype(np.float32)
    for low in range(0, len(scored.seeker), size):
        s = scored.seeker[low : low + size]
        campaign = scored.campaign[s]  # [B, 50]
        score = scored.score[s] * (left[campaign] > 0)
        top = np.argpartition(score, ELIGIBLE - SLOTS - 1, axis=1)[:, ELIGIBLE - SLOTS - 1 :]
        held = np.take_along_axis(score, top, 1)
        order = np.argsort(-held, 1)
        top, held = np.take_along_axis(top, order, 1), np.take_along_axis(held, order, 1)  # [B, 4]
        won = top[:, :SLOTS]
        chance, bid = scored.chance[s[:, None], won], scored.bid[s[:, None], won]
        price = np.minimum(bid, np.maximum(RESERVE, np.ceil(held[:, 1:] / chance))).astype(np.int64)
        clicked = (rng.random(chance.shape, np.float32) < chance * seen) & (held[:, :SLOTS] > 0)
        payer = np.take_along_axis(campaign, won, 1)[clicked]
        charge = np.minimum(left, np.bincount(payer, price[clicked], CAMPAIGNS).astype(np.int64))
        left -= charge
        billed += int(charge.sum())
    return billed


def plainly(scored: Scored, visits: int, seed: int = 1) -> int:
    """Micros billed, visit by visit in Python."""
    draw = random.Random(seed)
    campaigns, bids, chances, scores = (
        each.tolist() for each in (scored.campaign, scored.bid, scored.chance, scored.score)
    )
    left, billed = scored.budget.tolist(), 0
    for s in scored.seeker[:visits].tolist():
        mine, score, chance = campaigns[s], scores[s], chances[s]
        live = [k for k in range(ELIGIBLE) if score[k] > 0 and left[mine[k]] > 0]
        ranked = sorted(live, key=lambda k: -score[k])[: SLOTS + 1]
        for slot, k in enumerate(ranked[:SLOTS]):
            rival = score[ranked[slot + 1]] if slot + 1 < len(ranked) else 0.0
            if draw.random() < chance[k] * EXAM[slot]:
                charge = min(left[mine[k]], bids[s][k], max(RESERVE, -int(-rival // chance[k])))
                left[mine[k]] -= charge
                billed += charge
    return billed


def week(seed: int) -> dict[str, float]:
    """Two arms of one simulated week, paced, with organic lists and the service's caps: processor seconds, memory."""
    market = draw_market(WEEK_SEEKERS, WEEK_VISITS, WEEK_DAYS, 20, seed)
    rules = replace(market.rules, serving=ServingConfig(), frequency_cap=10)
    market = replace(market, rules=rules, pacing=replace(market.pacing, eta=10.0, floor=1e-12))
    replace(market, traffic=Traffic(*(each[:10] for each in vars(market.traffic).values()))).play()  # compiled by now
    tracemalloc.start()
    market.play()
    more = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    began = process_time()
    outcomes = [
        replace(market, pairs=replace(market.pairs, p_click=p)).play()
        for p in (market.pairs.p_click, market.pairs.p_click[::-1].copy())
    ]
    seconds = process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = float(np.mean([each.posted.sum() / market.terms.budget.sum() for each in outcomes]))
    return {"cpu_seconds": seconds, "loop_gib": more / 2**30, "peak_gib": peak / 2**20, "spent": spent}


def run(data: Path | None, rounds: int = ROUNDS) -> dict[str, Any]:
    bare, listed = draw_market(SEEKERS, VISITS, 1, 0), draw_market(SEEKERS, VISITS, 1, 20)
    paced = replace(bare, pacing=replace(bare.pacing, eta=10.0, floor=1e-12))
    scored = Scored.of(bare)
    shown = bare.play()
    timed = interleave(
        {
            "market loop": bare.play,
            "market loop, prices move each minute": paced.play,
            "market loop, 20 organic jobs listed, page of ten": listed.play,
            "numpy, batches of 2,000": lambda: in_batches(scored, 2_000),
            "numpy, batches of 20,000": lambda: in_batches(scored, 20_000),
            "plain Python": lambda: plainly(scored, PLAIN_VISITS),
        },
        rounds,
    )
    visits = {name: PLAIN_VISITS if name == "plain Python" else VISITS for name in timed}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        of_week = pool.submit(week, 0).result()
    return {
        "rounds": rounds,
        "visits": VISITS,
        "impressions_per_visit": float(shown.impressions.sum() / VISITS),
        "clicks_per_visit": float(shown.clicks.sum() / VISITS),
        "rates": {name: rate(each, visits[name]) for name, each in timed.items()},
        "slower_than_loop": {name: slower(each, visits[name], timed["market loop"]) for name, each in timed.items()},
        "week": of_week,
    }


def rate(timed: Timed, visits: int) -> dict[str, float]:
    """Auctions a processor second: median, 10th and 90th percentile over the rounds; the median by the wall clock."""
    low, middle, high = np.percentile(visits / timed.cpu, [10, 50, 90]).tolist()
    return {"median": middle, "p10": low, "p90": high, "wall": float(np.median(visits / timed.wall))}


def slower(timed: Timed, visits: int, loop: Timed) -> float:
    """Median over the rounds of how many times the loop's processor time an auction takes."""
    return float(np.median((timed.cpu / visits) / (loop.cpu / VISITS)))


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["method", "M auctions / CPU second", "10th to 90th percentile", "wall", "time / loop's"]]
    for name, found in result["rates"].items():
        low, high = found["p10"] / 1e6, found["p90"] / 1e6
        ratio = result["slower_than_loop"][name]
        table.append(
            [
                name,
                f"{found['median'] / 1e6:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{found['wall'] / 1e6:.3f}",
                f"{ratio:.2f}",
            ]
        )
    found = result["week"]
    seconds, loop, whole = f"{found['cpu_seconds']:.1f} CPU s", found["loop_gib"], found["peak_gib"]
    memory = [f"{loop:.2f} GiB in the loop", f"{whole:.2f} GiB the process"]
    table.append(["one week, 1 M visits, two arms", seconds, *memory, ""])
    return table
