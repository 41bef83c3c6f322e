"""Mechanics: activity aggregators on the logs of the simulated site; the proxy task, random negatives, storage.

What was applied to, saved and dismissed here is our own click model's doing: this says that the machinery learns what
the logs hold, not how real seekers behave. Visits are sparse on that site (the table says how few seekers have four
actions within 28 days), so ten years of impressions are written and a row reaches back as far as it goes.

proxy AUC: of the newest action, hidden, liked against dismissed, and liked against random jobs. next application: the
occupation of the job applied to next, of all, through one shared predictor (see activity_task). Intervals are 95 % by
person: all copies of a person are in one fold. The judging fold is looked at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.activity_task import GAINS, Budget, Folds, Moves, Outcome, closed_form, frozen, interval, judged
from bench.judged import one_in
from market.bootstrap import paired_difference
from market.tables import Tables
from market.text import TextEncoder, TextVectors
from organic.activity.aggregators import Aggregator, Learned, Weighted
from organic.activity.job_space import fit_job_space
from organic.activity.network import NETWORKS, encode, one_thread
from organic.activity.proxy import (
    ProxyConfig,
    Questions,
    RandomJobs,
    answers,
    random_questions,
    real_questions,
    together,
    train_proxy,
)
from organic.activity.sequences import ACTIONS, APPLY, ActivityLog, WindowConfig, ending, log_of_tables, windows
from organic.activity.store import ActivityStore
from sim.behaviour import read_behaviour
from sim.logs import LoggingConfig, write_logs
from sim.world import WorldConfig, build_world

CACHE = Path(".cache/text")
IMPRESSION_DAYS = 3650
FAR_BACK = WindowConfig(window_days=None, stride=4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STORED = 500  # seekers whose vectors are computed twice: at once, and event by event


@dataclass(frozen=True)
class Site:
    """log of everybody; jobs float32[J, D]; occupation int64[J] of each job; fold int8[S] of each seeker: 0 training,
    1 validation, 2 judging; person, whose copy each seeker is."""

    log: ActivityLog
    jobs: np.ndarray
    occupation: np.ndarray
    fold: np.ndarray
    person: np.ndarray

    def part(self, fold: int) -> ActivityLog:
        return self.log.of_seekers(self.fold == fold)


def site_of(tables: Tables, vectors: Callable[[list[str]], np.ndarray]) -> Site:
    """Seekers of a log export in three folds; a seeker id is `person` or `person-copy`."""
    log = log_of_tables(tables)
    titles = vectors(tables["jobs"]["title"].to_pylist())
    person = np.array([seeker_id.split("-")[0] for seeker_id in log.seeker_ids])
    fold = np.array([_fold_of(name) for name in person.tolist()], np.int8)
    used = np.isin(np.arange(len(titles)), log.job[fold[log.seeker] == 0])
    codes = {code: position for position, code in enumerate(tables.taxonomy.codes)}
    occupation = np.array([codes[code] for code in tables["jobs"]["occupation"].to_pylist()], np.int64)
    return Site(log, fit_job_space(titles[used]).project(titles), occupation, fold, person)


def _fold_of(person: str) -> int:
    if one_in(5, "activity judging", person):
        return 2
    return 1 if one_in(5, "activity validation", person) else 0


def next_applications(site: Site, fold: int, config: WindowConfig = FAR_BACK) -> Moves:
    """Every application of the fold's seekers that comes after at least `minimum` actions; target: its occupation."""
    log = site.part(fold)
    rows = np.flatnonzero(log.action == APPLY)
    rows = rows[(rows > 0) & (log.seeker[rows] == log.seeker[rows - 1])]
    before = ending(log, rows, np.full(len(rows), -(1 << 62)), site.jobs, config.length)
    enough = before.count >= config.minimum
    target = site.occupation[log.job[rows[enough]]]
    return Moves(before.take(enough), np.full(len(target), -1), target)


def run(
    data: Path | None,
    budget: Budget | None = None,
    encoder: TextVectors | None = None,
    logs: Tables | None = None,
    kept: int = STORED,
) -> dict[str, Any]:
    """{"actions", "within_28_days", "aggregators": {name: {"storage", "proxy"?, "next"}}} on the simulated site."""
    encoder = encoder or TextEncoder(cache_dir=CACHE)
    budget = budget or Budget(proxy_epochs=6, seeds=(0, 1), rates=(0.6, 0.8, 0.9))
    site = site_of(logs or site_logs(data, encoder), encoder.encode)
    counts = np.bincount(site.log.action, minlength=3)
    month = windows(site.log, site.jobs, WindowConfig(stride=1))
    found: dict[str, Any] = {
        "source": "generated" if data is None else "careers",
        "actions": dict(zip(("apply", "save", "dismiss"), counts.tolist(), strict=True)),
        "seekers": len(site.log.seeker_ids),
        "within_28_days": len(np.unique(month.owner)),
    }
    training = site.part(0)
    rows = windows(training, site.jobs, FAR_BACK)
    asked = (next_applications(site, fold) for fold in range(3))
    folds = Folds(*asked, rows, training, int(site.occupation.max()) + 1)
    found |= {"training_rows": len(rows), "liked_share": float(real_questions(rows).liked.mean())}
    with torch.random.fork_rng(devices=[]), one_thread():
        found["aggregators"] = measured(site, folds, budget, kept)
    return found


def site_logs(data: Path | None, encoder: TextEncoder) -> Tables:
    world = build_world(WorldConfig(kind="generated" if data is None else "careers"), read_behaviour(), data, encoder)
    return Tables(write_logs(world, LoggingConfig(impression_days=IMPRESSION_DAYS)), world.careers.taxonomy)


def measured(site: Site, folds: Folds, budget: Budget, kept: int) -> dict[str, Any]:
    """One entry per aggregator; learned ones with and without random negatives."""
    seed = budget.seeds[0]
    person = site.person[folds.judge.person]
    mean = [frozen(folds, closed_form(1.0), budget, seed)]
    by_rate = {rate: frozen(folds, closed_form(rate), budget, seed) for rate in budget.rates}
    rate = min(by_rate, key=lambda rate: by_rate[rate].loss)
    found: dict[str, Any] = {}
    for title, chosen, outcome in (("mean", 1.0, mean[0]), (f"decay, r = {rate:g}", rate, by_rate[rate])):
        proxy = areas(site, closed_form_answers(folds, Weighted(chosen), seed))
        found[title] = {"next": judged(person, [outcome], mean), "proxy": proxy, **stored(site, Weighted(chosen), kept)}
    for name in NETWORKS:
        auc: dict[int, list[dict[str, float]]] = {0: [], 1: []}
        outcomes: dict[int, list[Outcome]] = {0: [], 1: []}
        last: dict[int, Aggregator] = {}
        for negatives in (1, 0):
            for own in budget.seeds:
                config = ProxyConfig(seed=own, epochs=budget.proxy_epochs, random_negatives=negatives)
                net, head, _ = train_proxy(name, folds.rows, folds.log, config)
                auc[negatives].append(areas(site, lambda q, net=net, head=head: answers(net, head, q)))
                outcomes[negatives].append(frozen(folds, lambda s, net=net: encode(net, s, 1024), budget, own))
                last[negatives] = Learned(name, net, folds.rows.length)
        for negatives, title in ((1, name), (0, f"{name}, no random negatives")):
            row = {"next": judged(person, outcomes[negatives], mean), "proxy": _means(auc[negatives])}
            found[title] = row | (stored(site, last[negatives], kept) if negatives else {})
        found[name]["over no random negatives"] = _gain(person, outcomes[1], outcomes[0])
    return found


Answer = Callable[[Questions], np.ndarray]


def areas(site: Site, answer: Answer) -> dict[str, float]:
    """AUC on the judging seekers' hidden actions: liked against dismissed, and liked against as many random jobs."""
    log = site.part(2)
    asked = real_questions(windows(log, site.jobs, FAR_BACK))
    config = ProxyConfig(jitter_hours=0.0)
    drawn = random_questions(asked, RandomJobs(log), config, np.random.default_rng(7))
    real, random = answer(asked), answer(drawn)
    liked = real[asked.liked]
    against_random = np.concatenate([np.ones(len(liked), bool), np.zeros(len(random), bool)])
    return {
        "n": float(len(asked)),
        "liked or dismissed": float(roc_auc_score(asked.liked, real)),
        "liked or random": float(roc_auc_score(against_random, np.concatenate([liked, random]))),
    }


def closed_form_answers(folds: Folds, aggregator: Weighted, seed: int) -> Answer:
    """The head of the proxy task on a closed form: w (E * e_n) + b over its three vectors, same rows and negatives."""
    config = ProxyConfig(seed=seed)
    asked = real_questions(folds.rows)
    drawn = random_questions(asked, RandomJobs(folds.log), config, np.random.default_rng([seed, 3]))
    questions = together(asked, drawn)

    def products(q: Questions) -> np.ndarray:
        e = np.tile(q.before.jobs[q.job], (1, len(ACTIONS)))  # [n, 3 D]
        return aggregator.vectors(q.before) * e

    scale = products(questions).std(axis=0) + 1e-6
    head = LogisticRegression(max_iter=300)
    head.fit(products(questions) / scale, questions.liked, sample_weight=questions.weight)
    return lambda q: head.decision_function(products(q) / scale)


def stored(site: Site, aggregator: Aggregator, kept: int) -> dict[str, Any]:
    """Bytes and milliseconds per seeker, of the first `kept`; how many vectors are the same, told event by event."""
    few = np.arange(len(site.log.seeker_ids)) < kept
    log = site.log.of_seekers(few)
    batch, live = (ActivityStore(aggregator, log.job_ids, site.jobs, FAR_BACK) for _ in range(2))
    as_of = int(log.at.max())
    began = time.perf_counter()
    batch.build(log, as_of)
    built = time.perf_counter()
    for i in np.argsort(log.at, kind="stable"):
        at = EPOCH + timedelta(microseconds=int(log.at[i]))
        live.update(log.seeker_ids[log.seeker[i]], log.job_ids[log.job[i]], ACTIONS[log.action[i]], at)
    told = time.perf_counter()
    names = [log.seeker_ids[seeker] for seeker in np.unique(log.seeker)]
    same = [batch.of(name).vector.tobytes() == live.of(name).vector.tobytes() for name in names]
    return {
        "storage": {
            **batch.storage(),
            "same_bits": f"{sum(same)}/{len(same)}",
            "ms_per_seeker_in_batch": 1000 * (built - began) / len(names),
            "ms_per_update": 1000 * (told - built) / len(log),
        }
    }


def _means(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


def _gain(person: np.ndarray, own: list[Outcome], other: list[Outcome]) -> dict[str, Any]:
    sides = (np.mean([GAINS["recall@10"](each.judge) for each in side], axis=0) for side in (own, other))
    return paired_difference(person, *sides, rng=np.random.default_rng(0)).report("recall@10")


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["aggregator", "AUC dismissed", "AUC random", "next recall@10", "over mean", "95 %", "bytes", "same bits"]
    rows = [head]
    for name, row in result["aggregators"].items():
        over = row["next"]["recall@10 over mean"]
        storage = row.get("storage")
        rows.append(
            [
                name,
                f"{row['proxy']['liked or dismissed']:.3f}",
                f"{row['proxy']['liked or random']:.3f}",
                f"{row['next']['recall@10']['mean']:.3f}",
                "" if name == "mean" else f"{over['difference']:+.4f}",
                "" if name == "mean" else interval(over["ci95"], "+.4f"),
                "" if storage is None else f"{storage['vector_bytes']:.0f} + {storage['event_bytes']:.0f}",
                "" if storage is None else storage["same_bits"],
            ]
        )
    return rows
