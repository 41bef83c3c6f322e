"""Mechanics: towers on engagement logs of the simulated site against BM25, TF-IDF, zero-shot text and implicit ALS.

Whom a person was hired as next is recorded (NLSY79 careers); which posting was shown, clicked and applied to is our own
click model's doing, so this says that the machinery learns what the logs hold, not how real seekers behave. Requests of
180 days are judged: who applied, out of 50,000 vacancies open throughout and the site's own; every method searches the
jobs of the seeker's area or remote that are open that day. A fifth of the persons is never trained on (cold). Peers and
"towers: as chosen" choose on the 180 days before, with 50,000 other vacancies, of persons training leaves out then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import one_in
from bench.organic_peers import AlsChoice, Scores, TextChoice, als, bm25, chance, informed, ranked, tfidf
from market.bootstrap import cluster_bootstrap, paired_difference
from market.tables import Tables
from market.taxonomy import Taxonomy, normalise_title
from market.text import TextEncoder, TextVectors
from organic.learning.engagement import DAY_US, Engagement, EngagementConfig, Inventory, read_engagement
from organic.learning.fit import BUDGET, TRAIN, FitConfig, fit_towers
from organic.learning.recall import recall_at, retrieve, taken
from organic.learning.schedule import in_batch, with_hardest, with_inventory
from organic.towers import TextTowers, TextWeights, Towers
from sim.behaviour import read_behaviour
from sim.logs import LoggingConfig, write_logs
from sim.stage import inventory_jobs
from sim.world import World, WorldConfig, build_world

VACANCIES = 50_000
JUDGED_DAYS = 180
SETTLED_DAYS = 60  # the world runs on for so long: hires are what makes most applications, and they come later
K = 20
LABELS = EngagementConfig(click_weight=0.2, save_weight=0.2)  # applications are what is judged
PEERS = ("BM25", "TF-IDF", "zero-shot encoder", "implicit ALS")
OURS = "towers: as chosen"
JUDGES = "engagement"
CACHE = Path(".cache/text")
DRAWS = 1000


@dataclass(frozen=True)
class Case:
    """train: what may be learned from; judged: requests with an application; cold bool[N]: the seeker is new."""

    train: Engagement
    judged: Engagement
    cold: np.ndarray


def run(data: Path | None) -> dict[str, Any]:
    """{"methods": {name: {"recall@20", "ci95", "cold", …}}, "difference": …} on the judging days."""
    began = time.perf_counter()
    encoder = TextEncoder(cache_dir=CACHE)
    logs, taxonomy, start = market_of(data, encoder)
    day = JUDGED_DAYS * DAY_US
    validation = case(logs, start - day, start, "validation")
    test = case(logs, start, start + day, JUDGES)
    chosen: dict[str, Any] = {}
    found: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    for name, (grid, method) in methods(encoder, taxonomy).items():
        at = time.perf_counter()
        best = (
            max(grid, key=lambda choice: mean(recalls(validation, method(validation, choice))))
            if len(grid) > 1
            else grid[0]
        )
        chosen[name] = str(best)
        found[name] = recalls(test, method(test, best))
        seconds[name] = round(time.perf_counter() - at, 1)
    return {
        "source": "generated" if data is None else "careers",
        "requests": len(test.judged),
        "applications": int(test.judged.applied.sum()),
        "trained_pairs": len(test.train.request),
        "open_jobs": len(open_jobs(test.judged)),
        **compared(test, found),
        "chosen": chosen,
        "seconds": {**seconds, "all": round(time.perf_counter() - began, 1)},
    }


def methods(encoder: TextVectors, taxonomy: Taxonomy) -> dict[str, tuple[list[Any], Callable[[Case, Any], np.ndarray]]]:
    """Per name the choices it has, and case, choice -> rows int64[N, K]."""

    def brute(scores: Callable[[Case, Any], Scores]) -> Callable[[Case, Any], np.ndarray]:
        return lambda case, choice: ranked(case.judged, scores(case, choice), K)

    def indexed(towers: Callable[[Case, Any], Towers]) -> Callable[[Case, Any], np.ndarray]:
        return lambda case, choice: found_by(towers(case, choice), case.judged)

    fields = [("title",), ("title", "occupation")]
    texts = [TextChoice(f, decay, 0.5) for f, decay in product(fields, (0.0, 0.6))]
    lettered = [replace(choice, letters=True) for choice in texts]
    zero_shot = [
        TextWeights(title, 1 - title, title_decay=decay) for title, decay in ((0.7, 0.0), (0.7, 0.6), (1.0, 0.0))
    ]
    factors = [
        AlsChoice("job", rounds=2),
        AlsChoice("title"),
        AlsChoice(alpha=3.0),
        AlsChoice(alpha=30.0),
        AlsChoice(factors=64, alpha=30.0),
    ]
    trained = partial(learned, encoder)
    schedules = {
        "in-batch": in_batch(BUDGET),
        "+ random inventory": with_inventory(BUDGET),
        "+ hardest half": with_hardest(BUDGET, BUDGET.items // 2),
    }
    return {
        "chance": ([0], brute(lambda case, seed: chance(case.judged, seed))),
        "BM25": (texts, brute(lambda case, choice: bm25(case.judged, taxonomy, choice))),
        "TF-IDF": (texts + lettered, brute(lambda case, choice: tfidf(case.judged, taxonomy, choice))),
        "zero-shot encoder": (zero_shot, indexed(lambda case, weights: TextTowers(encoder, weights))),
        "implicit ALS": (factors, brute(lambda case, choice: als(case.train, case.judged, taxonomy, choice))),
        **{
            f"towers: {name}": ([FitConfig(schedule=schedule)], indexed(trained))
            for name, schedule in schedules.items()
        },
        OURS: (
            [
                FitConfig(schedule=schedule, train=replace(TRAIN, temperature=temperature))
                for schedule, temperature in product(schedules.values(), (0.05, 0.1))
            ],
            indexed(trained),
        ),
        "next occupation known (bound)": ([0], brute(lambda case, seed: informed(case.judged, seed))),
    }


def learned(encoder: TextVectors, case: Case, config: FitConfig) -> Towers:
    return fit_towers(case.train, encoder, config, seed=0)[0]


def found_by(towers: Towers, judged: Engagement) -> np.ndarray:
    """int64[N, K]; only jobs that are open in the judged days get a vector."""
    rows = open_jobs(judged)
    vectors = np.zeros((len(judged.inventory), towers.dimension), np.float32)
    vectors[rows] = towers.job_vectors([judged.inventory.jobs[row] for row in rows.tolist()])
    return retrieve(judged, towers.request_vectors(judged.requests), vectors, K)[0]


def open_jobs(judged: Engagement) -> np.ndarray:
    days = judged.moment // DAY_US
    return judged.inventory.open_between(int(days.min()) * DAY_US, (int(days.max()) + 1) * DAY_US)


def recalls(case: Case, rows: np.ndarray) -> np.ndarray:
    """float64[N]: applications recall@20 of each request."""
    return recall_at(rows, taken(case.judged, applications_only=True), K)


def mean(values: np.ndarray) -> float:
    return float(values.mean())


def compared(case: Case, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """Every method with its interval by seeker and its slices; ours against the peer that did best here."""
    seekers = np.array(case.judged.seekers)
    acted = np.array([bool(request.liked) for request in case.judged.requests])
    slices = {"cold": case.cold, "seen": ~case.cold, "another occupation": moves(case.judged), "with activity": acted}
    table = {
        name: {
            "recall@20": mean(values),
            "ci95": cluster_bootstrap(seekers, values, rng=np.random.default_rng(1), draws=DRAWS).ci,
            **{part: mean(values[rows]) if rows.any() else None for part, rows in slices.items()},
        }
        for name, values in found.items()
    }
    best = max(PEERS, key=lambda name: table[name]["recall@20"])
    difference = paired_difference(seekers, found[OURS], found[best], rng=np.random.default_rng(2), draws=DRAWS)
    return {
        "methods": table,
        "best_peer": best,
        "difference": difference.report("difference"),
        "n": {part: int(rows.sum()) for part, rows in slices.items()},
    }


def moves(judged: Engagement) -> np.ndarray:
    """bool[N]: no job applied to is of the occupation that the newest title names."""
    newest = [normalise_title(request.seeker.titles[0]) if request.seeker.titles else "" for request in judged.requests]
    titles = {code: normalise_title(title) for code, title in judged.inventory.occupations.items()}
    stays = [
        titles[judged.inventory.jobs[item].occupation or ""] == newest[row]
        for row, item in zip(judged.request.tolist(), judged.item.tolist(), strict=True)
    ]
    return np.bincount(judged.request, np.array(stays) & judged.applied, minlength=len(judged)) == 0


def market_of(data: Path | None, encoder: TextEncoder) -> tuple[Engagement, Taxonomy, int]:
    """Engagement of a whole site, vacancies added for both judged periods, and the first microsecond of the second."""
    config = WorldConfig(
        "generated" if data is None else "careers",
        fit_share=0.98,
        validate_share=0.01,
        serve_replicas=1,
        inventory=2 * VACANCIES,
        window_after_days=31 + JUDGED_DAYS + SETTLED_DAYS,
    )
    world = build_world(config, read_behaviour(), data, encoder)
    logs = write_logs(world, LoggingConfig())
    tables = Tables(logs, world.careers.taxonomy)
    start = round((world.window_day - SETTLED_DAYS - JUDGED_DAYS) * DAY_US)
    return with_vacancies(read_engagement(tables, LABELS, bias_until=start), world, start), tables.taxonomy, start


def with_vacancies(logs: Engagement, world: World, start: int) -> Engagement:
    """The first half of the world's vacancies is open in the period from `start` on, the other in the one before it.

    Rows are dealt anew, so that ties fall alike on jobs that were applied to and on those that were added.
    """
    here = world.inventory.open_between(world.window_day, world.window_day + 1)[: 2 * VACANCIES]
    records, old = inventory_jobs(world), logs.inventory
    added = [records[row] for row in here.tolist()]
    posted = np.where(np.arange(len(added)) < VACANCIES, start, start - JUDGED_DAYS * DAY_US)
    expires = posted + JUDGED_DAYS * DAY_US
    major = world.careers.taxonomy.major[world.inventory.occupation[here]]
    order = np.random.default_rng([world.config.seed, 31]).permutation(len(old) + len(added))
    place = np.argsort(order)
    jobs = [*old.jobs, *added]
    inventory = Inventory(
        tuple(jobs[row] for row in order.tolist()),
        np.concatenate([old.posted, posted])[order],
        np.concatenate([old.expires, expires])[order],
        np.concatenate([old.major, major]).astype(np.int32)[order],
        old.major_names,
        old.occupations,
    )
    return replace(logs, inventory=inventory, item=place[logs.item])


def case(logs: Engagement, start: int, stop: int, salt: str) -> Case:
    """Judge the requests with an application of start <= moment < stop; learn from what was before, of other persons.

    The persons that `salt` picks are left out of training, so that some who are judged are new.
    """
    left_out = np.array([one_in(5, salt, seeker) for seeker in logs.seekers])
    applied = np.bincount(logs.request[logs.applied], minlength=len(logs)) > 0
    within = (logs.moment >= start) & (logs.moment < stop)
    if salt != JUDGES:  # whom the table judges cold is not chosen on either
        within &= ~np.array([one_in(5, JUDGES, seeker) for seeker in logs.seekers])
        left_out |= np.array([one_in(5, JUDGES, seeker) for seeker in logs.seekers])
    train = logs.take((logs.moment < start) & ~left_out)
    judged = logs.take(within & applied)
    trained = set(train.seekers)
    return Case(train, judged, np.array([seeker not in trained for seeker in judged.seekers]))


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["method", "applications recall@20", "cold", "seen", "another occupation", "with activity"]
    rows = [
        [
            name,
            f"{row['recall@20']:.4f} [{row['ci95'][0]:.4f}, {row['ci95'][1]:.4f}]",
            *("-" if row[part] is None else f"{row[part]:.4f}" for part in head[2:]),
        ]
        for name, row in result["methods"].items()
    ]
    low, high = result["difference"]["ci95"]
    over = f"{result['difference']['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    return [head, *rows, [f"towers over {result['best_peer']}", over, *[""] * 4]]
