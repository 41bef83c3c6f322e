"""Activity aggregators on real sequences: the next occupation from the embeddings of the past ones (NLSY79).

A person's occupations in the order of the survey stand for activity: every observation is one action, of one type, so
mean and decay have one vector of 64 instead of three and the networks see no dismissal. The question is asked where the
next observation differs from the current one; all other occupations are candidates. Every aggregator's vector goes
through the same predictor, a linear softmax over occupations, with the same budget and the same grid of learning rates.

Persons are split into training, validation and a judging fold. The rate of decay is chosen on the validation persons;
the judging fold is looked at once. Intervals are 95 % by person; learned rows are means over seeds. "proxy": trained on
random negatives alone (nothing is dismissed here), with a row for every action, and then frozen, as the source does it;
"task": one seed of the same network trained on the question itself, through a predictor of its own, and then frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.activity_task import HEAD, Budget, Folds, Moves, by_proxy, cells, closed_form, frozen, judged, through
from bench.judged import one_in, split
from market.careers import Careers
from market.text import TextEncoder, TextVectors
from organic.activity.job_space import WIDTH, fit_job_space
from organic.activity.network import NETWORKS, one_thread
from organic.activity.proxy import ProxyConfig
from organic.activity.sequences import (
    APPLY,
    DAY_US,
    ActivityLog,
    Sequences,
    WindowConfig,
    activity_log,
    ending,
    windows,
)

VALIDATION = "activity validation"
EVERY_ACTION = WindowConfig(window_days=None, stride=1)


def as_log(careers: Careers) -> ActivityLog:
    """Every observation as an action about an occupation, dated 1 July."""
    years = (careers.year.astype(np.int64) - 1970).astype("datetime64[Y]")
    day = (years.astype("datetime64[M]") + np.timedelta64(6, "M")).astype("datetime64[D]").astype(np.int64)
    seekers = np.char.zfill(careers.person.astype(str), 9)  # sorted as the persons are
    actions = np.full(len(careers), APPLY, np.int64)
    return activity_log(seekers, careers.taxonomy.codes, careers.occupation.astype(np.int64), actions, day * DAY_US)


def moves(careers: Careers, vectors: np.ndarray) -> Moves:
    """Every pair of consecutive observations whose occupations differ. vectors float32[C, D] of the occupations."""
    pairs = careers.pairs()
    changed = pairs[careers.occupation[pairs] != careers.occupation[pairs + 1]]
    log = as_log(careers)
    before = ending(log, changed + 1, np.full(len(changed), -(1 << 62)), vectors, EVERY_ACTION.length)
    return Moves(before, careers.occupation[changed].astype(np.int64), careers.occupation[changed + 1].astype(np.int64))


def text_vectors(careers: Careers, encoder: TextVectors) -> np.ndarray:
    """float32[C, 64]: vectors of the titles, axes fitted on the occupations that the training persons held."""
    found = encoder.encode(list(careers.taxonomy.titles))
    return fit_job_space(found[np.unique(careers.occupation)]).project(found)


def cooccurrence_vectors(careers: Careers, width: int = WIDTH) -> np.ndarray:
    """float32[C, width]: truncated SVD of positive pointwise mutual information of consecutive occupations, unit rows.

    M = max(0, log(n_ab n / (n_a n_b))), n_ab counted both ways between neighbours that differ; rows are U sqrt(S)
    (Levy and Goldberg 2014). An occupation without a move in training has zeros.
    """
    pairs = careers.pairs()
    a, b = careers.occupation[pairs], careers.occupation[pairs + 1]
    size = len(careers.taxonomy)
    counts = np.zeros((size, size))
    np.add.at(counts, (a[a != b], b[a != b]), 1)
    counts += counts.T
    share = np.maximum(counts.sum(axis=1), 1)
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(counts * counts.sum() / (share[:, None] * share)), 0)
    u, s, _ = np.linalg.svd(information)
    found = np.zeros((size, width))
    found[:, : min(width, size)] = (u * np.sqrt(s))[:, :width]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(length > 1e-9, found / np.maximum(length, 1e-9), 0).astype(np.float32)


def aggregators(folds: Folds, budget: Budget, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """{"rates": validation figures by r, "rows": {aggregator: judged figures}}."""
    first = budget.seeds[0]
    with torch.random.fork_rng(devices=[]), one_thread():
        outcomes = {"mean": [frozen(folds, of_applications(1.0), budget, first)]}
        by_rate = {rate: frozen(folds, of_applications(rate), budget, first) for rate in budget.rates}
        chosen = min(by_rate, key=lambda rate: by_rate[rate].loss)
        outcomes[f"decay, r = {chosen:g}"] = [by_rate[chosen]]
        note(f"decay, r = {chosen:g}: {by_rate[chosen].validation()}")
        for name in NETWORKS:
            proxies = [ProxyConfig(seed=seed, epochs=budget.proxy_epochs) for seed in budget.seeds]
            outcomes[f"{name}, proxy"] = [by_proxy(folds, name, config, budget) for config in proxies]
            note(f"{name}, proxy: {outcomes[f'{name}, proxy'][0].validation()}")
        for name in NETWORKS:
            outcomes[f"{name}, task"] = [through(folds, name, budget, first)]
            note(f"{name}, task: {outcomes[f'{name}, task'][0].validation()}")
    tried = {f"{rate:g}": found for rate, found in by_rate.items()} | {"1": outcomes["mean"][0]}
    return {
        "rates": {rate: found.validation() for rate, found in tried.items()},
        "rows": {name: judged(folds.judge.person, found, outcomes["mean"]) for name, found in outcomes.items()},
    }


def of_applications(rate: float) -> Callable[[Sequences], np.ndarray]:
    """The third of the vector that the one action type there is fills."""
    return lambda sequences: closed_form(rate)(sequences)[:, : sequences.jobs.shape[1]]


def folds_of(others: Careers, judges: Careers, embed: Callable[[Careers], np.ndarray]) -> Folds:
    """Training and validation persons out of `others`; vectors of occupations come from the training persons."""
    checking = np.array([one_in(5, VALIDATION, person_id) for person_id in others.person_ids])
    training, check = others.of_persons(~checking), others.of_persons(checking)
    vectors, log = embed(training), as_log(training)
    rows = windows(log, vectors, EVERY_ACTION)
    asked = (moves(careers, vectors) for careers in (training, check, judges))
    return Folds(*asked, rows, log, len(vectors))


def run(
    data: Path | None,
    budget: Budget | None = None,
    encoder: TextVectors | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """{embedding: {"rates", "rows"}}, the occupations embedded by co-occurrence ("moves") and by title ("text")."""
    budget, encoder = budget or Budget(), encoder or TextEncoder()
    people = split(data)
    found: dict[str, Any] = {"source": people.source, "persons_held_out": len(people.judges.person_ids)}
    for name, embed in (("moves", cooccurrence_vectors), ("text", lambda careers: text_vectors(careers, encoder))):
        found[name] = aggregators(folds_of(people.others, people.judges, embed), budget, note)
    return found


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["occupations by", *HEAD]]
    for embedding in ("moves", "text"):
        found = result[embedding]["rows"]
        rows += [[embedding if not i else "", *cells(name, row)] for i, (name, row) in enumerate(found.items())]
    return rows
