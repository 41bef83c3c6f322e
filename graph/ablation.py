"""What each part of the hire model is worth: variants of one configuration, fitted and scored on the same persons.

A development split by person inside the data it is given: nobody who is kept for a final judgement belongs in there.
Every variant changes one thing; its difference to the base, and the interval of that difference, weigh persons as
clusters, since the rows of one person are not independent. The base is the configuration with a single member, so that
ensembles are rows like the others, and every variant starts from the same seed.

Cost: one fit for every variant, then one pass over the validation persons.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graph.backoff import with_first_observations
from graph.bipartite import Examples
from graph.predictions import Predictions, predict
from graph.train import TrainConfig, fit
from market.bootstrap import paired_difference
from market.errors import DataError
from market.taxonomy import Taxonomy

DRAWS = 500
BASE = "base"


@dataclass(frozen=True)
class Variant:
    """What differs from the base: fields of TrainConfig and of its ModelConfig, whether titles are read, and whether
    first observations are learned from."""

    name: str
    train: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    titles: bool = False
    first_observations: bool = False

    def of(self, config: TrainConfig, titles: int) -> TrainConfig:
        """The configuration of this variant; titles: the width of the title vectors."""
        widths = replace(config.model, **self.model, **({"titles": titles} if self.titles else {}))
        return replace(config, **{"encoders": (), "members": 1, **self.train, "model": widths})


VARIANTS = (
    Variant(BASE),
    Variant("history: GraphSAGE mean", model={"encoder": "mean"}),
    Variant("history: recurrent", model={"encoder": "gru"}),
    Variant("history: transformer", model={"encoder": "transformer"}),
    Variant("segments smoothed (LightGCN)", model={"smoothing": 2}),
    Variant("titles read", titles=True),
    Variant("copies by rank only", model={"copy": "rank"}),
    Variant("no copy path", model={"copy": "none"}),
    Variant("careers read forwards only", train={"backwards": 0.0}),
    Variant("hard negatives of the section", train={"hard_negatives": 0.3}),
    Variant("no return rule", train={"thin_hires": 0}),
    Variant("first observations learned", first_observations=True),
    Variant("two members, one kind", train={"members": 2}),
    Variant("two members, two kinds", train={"members": 2, "encoders": ("attention", "gru")}),
)


def ablate(
    examples: Examples,
    taxonomy: Taxonomy,
    config: TrainConfig,
    rng: np.random.Generator,
    *,
    titles: np.ndarray | None = None,
    variants: tuple[Variant, ...] = VARIANTS,
    share: float = 0.25,
    progress: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """One row for every variant, the base first; a `share` of the persons is held out to score all of them.

    titles float32[C, t]: vectors of the occupations' titles; without them the variants that read titles are left out.

    {"name", "seconds", "changes": {"recall@10", "mrr"}, "cold": {"mrr"}, "all": {"mrr"}, "log_loss",
     "over_base": {"changes", "cold", "all": {"mrr", "ci95"}, "recall@10": {...}, "log_loss": {"nats", "ci95"}}}

    log_loss: mean -log P(outcome | it changes) over the changes, in nats, less is better.
    """
    if not variants or variants[0].name != BASE:
        raise DataError("variants", "the base is not the first of them", "put Variant('base') in front")
    persons = rng.permutation(np.unique(examples.person))
    held = np.isin(examples.person, persons[: int(len(persons) * share)])
    train, validation = examples.take(~held), examples.take(held & (examples.target >= 0))
    if not (validation.changed & validation.first).any():
        raise DataError("examples", f"no cold change among {len(persons)} persons", "give more careers")
    rows: list[dict[str, Any]] = []
    base: Predictions | None = None
    for variant in variants:
        if variant.titles and titles is None:
            continue
        progress(variant.name)
        began = time.perf_counter()
        width = 0 if titles is None else titles.shape[1]
        taught = with_first_observations(train) if variant.first_observations else train
        model = fit(taught, taxonomy, variant.of(config, width), titles=titles if variant.titles else None)
        seconds = round(time.perf_counter() - began, 1)
        made = predict(model, validation)
        base = base or made
        rows.append({"name": variant.name, "seconds": seconds, **_scores(made), "over_base": _over(made, base, rng)})
    return rows


def _scores(made: Predictions) -> dict[str, Any]:
    changed, cold = made.examples.changed, made.examples.changed & made.examples.first
    return {
        "changes": {
            "recall@10": float((made.change_rank[changed] <= 10).mean()),
            "mrr": float((1 / made.change_rank[changed]).mean()),
        },
        "cold": {"mrr": float((1 / made.change_rank[cold]).mean())},
        "all": {"mrr": float((1 / made.all_rank).mean())},
        "log_loss": float(-made.change_log[_judged(made)].mean()),
    }


def _over(made: Predictions, base: Predictions, rng: np.random.Generator) -> dict[str, Any]:
    """Differences to the base on the same rows, with intervals by person."""
    examples = made.examples

    def difference(rows: np.ndarray, ours: np.ndarray, theirs: np.ndarray, name: str) -> dict[str, Any]:
        return paired_difference(examples.person[rows], ours[rows], theirs[rows], rng=rng, draws=DRAWS).report(name)

    changed, judged = examples.changed, _judged(made) & _judged(base)
    return {
        "recall@10": difference(changed, made.change_rank <= 10, base.change_rank <= 10, "recall@10"),
        "changes": difference(changed, 1 / made.change_rank, 1 / base.change_rank, "mrr"),
        "cold": difference(changed & examples.first, 1 / made.change_rank, 1 / base.change_rank, "mrr"),
        "all": difference(np.ones(len(made), bool), 1 / made.all_rank, 1 / base.all_rank, "mrr"),
        "log_loss": difference(judged, -made.change_log, -base.change_log, "nats"),
    }


def _judged(made: Predictions) -> np.ndarray:
    """bool[n]: the changes to an occupation that has a probability at all."""
    return made.examples.changed & np.isfinite(made.change_log)
