"""Cold start in slices: seekers without a past, rare occupations, and occupations never seen, by their title.

A slice is compared on the same persons by everything that answers it; a tenth of the occupations, by title, is hidden
from a model of its own, whose back-offs then rank them among all. Intervals are 95 % by person. All models are single
members of the default kind: what is compared is what to do without hires, not how good the best network is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import one_in, split
from graph.backoff import (
    BackoffConfig,
    blended,
    change_scores,
    first_observations,
    mixture_vectors,
    occupation_mixture,
    section_mixture,
    with_first_observations,
)
from graph.baselines import BASELINES, Counts
from graph.bipartite import Examples, examples_from_careers
from graph.evaluate import summarise
from graph.model import HireModel
from graph.predictions import rank_of_target
from graph.train import TrainConfig, fit
from market.bootstrap import cluster_bootstrap
from market.careers import Careers
from market.taxonomy import Taxonomy, normalise_title
from market.text import TextEncoder, TextVectors

HIDDEN = "hidden occupation"  # a hashed tenth of the titles
FEW, THIN = 5, 20  # hires; the return rule of `graph fit` is for those below THIN
REACH = 0.1  # of all seekers: whom a promoted job would be shown to
DRAWS = 500
ONE_MEMBER = TrainConfig()  # three models are fitted, so not the larger one of `graph fit`: methods are compared here


@dataclass(frozen=True)
class Hidden:
    """The occupations of a taxonomy in another order: `known` first, then the hidden ones.

    order int64[C]: old position of each new one; position int32[C]: the inverse; known: taxonomy of those that stay.
    """

    order: np.ndarray
    position: np.ndarray
    known: Taxonomy

    def renumber(self, examples: Examples) -> Examples:
        """The same instances; hidden occupations are positions from len(known) on, as in careers read for a model."""
        target = np.where(examples.target >= 0, self.position[examples.target], -1).astype(np.int32)
        return replace(examples, target=target, item_occupation=self.position[examples.item_occupation])

    def untouched(self, examples: Examples) -> Examples:
        """For training: no pair that begins or ends in a hidden occupation, and none of them in any history."""
        examples = self.renumber(examples)
        kept = examples.take((examples.target < len(self.known)) & (examples.current < len(self.known)))
        stays = examples.item_occupation < len(self.known)
        before = np.concatenate([[0], np.cumsum(stays)])
        return replace(
            kept,
            start=before[kept.start],
            stop=before[kept.stop],
            item_occupation=examples.item_occupation[stays],
            item_year=examples.item_year[stays],
        )


def hide(taxonomy: Taxonomy, hidden: np.ndarray) -> Hidden:
    """hidden bool[C]: the occupations that training is not to meet."""
    order = np.concatenate([np.flatnonzero(~hidden), np.flatnonzero(hidden)])
    kept = order[: int((~hidden).sum())]
    text = {name: tuple(getattr(taxonomy, name)[o] for o in kept) for name in ("codes", "titles")}
    known = replace(taxonomy, section=taxonomy.section[kept], major=taxonomy.major[kept], **text)
    return Hidden(order, np.argsort(order).astype(np.int32), known)


def run(data: Path | None) -> dict[str, Any]:
    """{slice: {method: {"n", "recall@10", "mrr", "mrr_ci95", "reach"?}}}, on persons never seen."""
    people = split(data)
    return {
        "source": people.source,
        "persons_held_out": len(people.judges.person_ids),
        **slices(people.others, people.judges, TextEncoder()),
    }


def slices(
    train: Careers,
    test: Careers,
    encoder: TextVectors,
    config: TrainConfig = ONE_MEMBER,
    backoff: BackoffConfig = BackoffConfig(),
    hidden: str = HIDDEN,
) -> dict[str, Any]:
    """Every slice; fits three models on `train`."""
    pairs, asked = examples_from_careers(train), examples_from_careers(test)
    changes, first = asked.take(asked.changed), first_observations(asked)
    model = fit(pairs, train.taxonomy, config)
    with_first = fit(with_first_observations(pairs), train.taxonomy, config)
    hires = model.outcomes - np.diag(model.transitions)
    returning = replace(model, calibrators=replace(model.calibrators, thin_hires=THIN))
    few = changes.take(hires[changes.target] < FEW)
    thin = changes.take((hires[changes.target] >= FEW) & (hires[changes.target] < THIN))
    rest = changes.take(hires[changes.target] >= THIN)
    titles = [normalise_title(title) for title in train.taxonomy.titles]
    split = hide(train.taxonomy, np.array([one_in(10, hidden, title) for title in titles]))
    blind = fit(split.untouched(pairs), split.known, config)
    return {
        "seekers with one observation": compare(model, changes.take(changes.first)),
        "seekers with none: first occupation": {
            **compare(model, first),
            "hire model taught first observations": ranked(change_scores(with_first, first), first),
            "by schooling": ranked(by_schooling(first_observations(pairs), first, len(train.taxonomy)), first),
        },
        "all changes, taught first observations": {
            "hire model": ranked(change_scores(model, changes), changes),
            "hire model taught first observations": ranked(change_scores(with_first, changes), changes),
        },
        **{
            name: {
                **compare(model, part),
                "hire model and return rule": ranked(change_scores(returning, part), part),
            }
            for name, part in (
                (f"into occupations of under {FEW} hires", few),
                (f"into occupations of {FEW} to {THIN - 1} hires", thin),
                (f"into occupations of {THIN} hires and more", rest),
            )
        },
        "into hidden occupations": hidden_occupations(blind, model, split, changes, train.taxonomy, encoder, backoff),
    }


def hidden_occupations(
    blind: HireModel,
    model: HireModel,
    split: Hidden,
    changes: Examples,
    taxonomy: Taxonomy,
    encoder: TextVectors,
    backoff: BackoffConfig,
) -> dict[str, Any]:
    """Changes into the hidden occupations, ranked among all by every back-off of the model that never met them.

    "reach": share of these changes that are among the REACH of all changes with the highest P for the occupation, which
    are those of the highest lift.
    """
    known = len(split.known)
    behind = split.order[known:]
    hires = blind.outcomes - np.diag(blind.transitions)
    text = occupation_mixture([taxonomy.titles[o] for o in behind], split.known, encoder, backoff, hires=hires)
    section = section_mixture(taxonomy.section[behind], split.known, hires)
    members = len(blind.members)
    vectors = {
        "by title": mixture_vectors(blind.occupation_vectors, text, members),
        "by title and section": mixture_vectors(
            blind.occupation_vectors, blended(text, section, backoff.text_share), members
        ),
        "by section": mixture_vectors(blind.occupation_vectors, section, members),
        "popularity floor": floor_vectors(blind, len(behind)),
    }
    met = split.renumber(changes)
    scores = {name: change_scores(blind, met, new) for name, new in vectors.items()}
    scores["hire model that met them"] = change_scores(model, changes)[:, split.order]
    into = met.target >= known
    found = {}
    for name, table in scores.items():
        log_p = table - np.logaddexp.reduce(table, axis=1, keepdims=True)  # [n, C]
        edge = np.quantile(log_p, 1 - REACH, axis=0)  # [C]
        own = log_p[into, met.target[into]]
        reached = own > edge[met.target[into]]
        found[name] = {**ranked(table[into], met.take(into)), "reach": float(reached.mean())}
    return found


def floor_vectors(model: HireModel, n: int) -> np.ndarray:
    """float32[n, d]: nothing but the bias of an occupation without a hire, log(1 / (changes + C))."""
    vectors = np.zeros((n, model.occupation_vectors.shape[1]), np.float32)
    width = vectors.shape[1] // len(model.members)
    changes = model.outcomes.sum() - np.diag(model.transitions).sum()
    vectors[:, width - 1 :: width] = -np.log(changes + len(model.outcomes))
    return vectors


def by_schooling(known: Examples, asked: Examples, segments: int, prior: float = 20.0) -> np.ndarray:
    """float64[n, C]: share of each first occupation among people of the same schooling, shrunk to that of all."""
    overall = np.bincount(known.target, minlength=segments) / len(known)
    scores = np.tile(overall, (len(asked), 1))
    for years in np.unique(known.education_years[np.isfinite(known.education_years)]):
        same = np.bincount(known.target[known.education_years == years], minlength=segments)
        scores[asked.education_years == years] = (same + prior * overall) / (same.sum() + prior)
    return scores


def compare(model: HireModel, examples: Examples) -> dict[str, Any]:
    """The model and the three baselines on one slice."""
    counts = Counts.of(model, stays=False)
    tables = {name: baseline(counts, examples) for name, baseline in BASELINES.items()}
    return {
        name: ranked(table, examples)
        for name, table in {"hire model": change_scores(model, examples), **tables}.items()
    }


def ranked(scores: np.ndarray, examples: Examples) -> dict[str, Any]:
    """{"n", "recall@k", "mrr", "mrr_ci95"} with every column a candidate but the current occupation."""
    ranks = rank_of_target(scores, examples, np.ones(scores.shape[1], bool), current=False)
    estimate = cluster_bootstrap(examples.person, 1 / ranks, rng=np.random.default_rng(0), draws=DRAWS)
    return {**summarise(ranks), "mrr_ci95": estimate.report()["ci95"]}


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["slice", "n", "method", "recall@10", "MRR", "95 %", "reach"]]
    for name, methods in result.items():
        if not isinstance(methods, dict):
            continue
        for number, (method, found) in enumerate(methods.items()):
            low_high = "" if found["mrr_ci95"] is None else "{:.3f} to {:.3f}".format(*found["mrr_ci95"])
            told = [
                f"{found['recall@10']:.3f}",
                f"{found['mrr']:.3f}",
                low_high,
                f"{found['reach']:.3f}" if "reach" in found else "",
            ]
            rows.append([name if not number else "", str(found["n"]) if not number else "", method, *told])
    return rows
