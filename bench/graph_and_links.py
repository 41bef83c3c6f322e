"""What the network and the links each add: alone, together, where links fire and where none does.

    network           log P of the hire model, as it is, and rescaled by one temperature
    links             log popularity of the occupation + beta sum of weights of the links that fire
    network + links   scale log P of the hire model + beta sum of weights of the links that fire

Model and links are fitted on four fifths of the training persons, scales and betas on the last fifth of them, and
everything is looked at once on the held-out fold. Changes of occupation only; differences are paired, with 95 %
intervals by person.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import one_in, split
from graph.affinity import Affinity
from graph.bipartite import Examples, examples_from_careers
from graph.combined import Blend, LinkScores, blended, fit_blend, log_changes
from graph.evaluate import summarise
from graph.learner import CareersConfig, Fitted, fit_careers
from graph.predictions import rank_of_target
from market.bootstrap import cluster_bootstrap, paired_difference
from market.careers import Careers

DEVELOPMENT = "dev"
NETWORK, RESCALED, LINKS, BOTH = "network", "network, rescaled", "links", "network + links"
DRAWS = 1000


@dataclass(frozen=True)
class Sides:
    """Changes of occupation and what each side says of them: [n, C] each, -inf at the current occupation."""

    examples: Examples
    seen: np.ndarray
    network: np.ndarray
    popularity: np.ndarray
    links: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """bool[n]: the outcome is an occupation of the training data."""
        target = np.minimum(self.examples.target, len(self.seen) - 1)
        return (self.examples.target < len(self.seen)) & self.seen[target]

    @property
    def fires(self) -> np.ndarray:
        """bool[n]: some link joins the person and the outcome."""
        target = np.minimum(self.examples.target, len(self.seen) - 1)
        return self.known & (self.links[np.arange(len(target)), target] > 0)

    def log_chances(self, name: str, blend: Blend) -> np.ndarray:
        return blended(self.popularity if name == LINKS else self.network, self.links, blend)


def run(data: Path | None) -> dict[str, Any]:
    """Recall@10, MRR and log loss of each, on all changes and by whether a link fires; shares covered; the blends."""
    people = split(data)
    development = np.array([one_in(5, DEVELOPMENT, person_id) for person_id in people.others.person_ids])
    began = time.perf_counter()
    fitted = fit_careers(people.others.of_persons(~development), CareersConfig())
    seconds = time.perf_counter() - began
    blends = fit_blends(read_sides(fitted, people.others.of_persons(development)))
    found = compare(read_sides(fitted, people.judges), blends, np.random.default_rng(0))
    return {
        "source": people.source,
        "no_hires": fitted.links.source,
        "links": len(fitted.links),
        "fit_seconds": round(seconds, 1),
        "blends": {name: {"scale": blend.scale, "beta": blend.beta} for name, blend in blends.items()},
        **found,
    }


def read_sides(fitted: Fitted, careers: Careers) -> Sides:
    """Both sides' view of every change of these persons."""
    model = fitted.model
    examples = examples_from_careers(careers)
    examples = examples.take(examples.changed)
    network = log_changes(Affinity(model), examples)
    popularity = np.where(np.isfinite(network), np.log(model.popularity), -np.inf)
    scores = LinkScores(fitted.links, model.taxonomy)
    return Sides(examples, model.seen, network, popularity, scores.of(scores.held(examples)))


def fit_blends(sides: Sides) -> dict[str, Blend]:
    """The numbers of each, of least cross entropy on these persons."""
    known, target = sides.known, sides.examples.target
    rows = sides.links[known], target[known]
    return {
        NETWORK: Blend(1.0, 0.0),
        RESCALED: fit_blend(sides.network[known], *rows, links=False),
        LINKS: fit_blend(sides.popularity[known], *rows),
        BOTH: fit_blend(sides.network[known], *rows),
    }


def compare(sides: Sides, blends: dict[str, Blend], rng: np.random.Generator) -> dict[str, Any]:
    """Metrics of every blend, and its differences from the network alone."""
    examples, known, fires = sides.examples, sides.known, sides.fires
    target = np.minimum(examples.target, len(sides.seen) - 1)
    inside = np.where(sides.links > 0, 0.0, -np.inf)  # candidates some link leads to
    rows = np.arange(len(examples))
    slices = {"fires": fires, "none_fires": known & ~fires}
    ranks, losses, table = {}, {}, {}
    for name, blend in blends.items():
        chances = sides.log_chances(name, blend)
        ranks[name] = rank_of_target(chances, examples, sides.seen, current=False)
        losses[name] = -chances[rows, target]
        among_links = rank_of_target(chances + inside, examples, sides.seen, current=False)
        table[name] = {
            "changes": summarise(ranks[name]),
            "mrr_ci95": cluster_bootstrap(examples.person, 1 / ranks[name], rng=rng, draws=DRAWS).ci,
            "log_loss": float(losses[name][known].mean()),
            **{part: summarise(ranks[name][chosen]) for part, chosen in slices.items()},
            "inside_links": summarise(among_links[fires]),
            "against_network": differences(examples.person, known, ranks, losses, name, rng),
        }
    return {
        "persons": len(np.unique(examples.person)),
        "covered": {
            "changes": float(fires.mean()),
            "pairs": float((sides.links[np.isfinite(sides.network)] > 0).mean()),
        },
        "table": table,
    }


def differences(
    person: np.ndarray,
    known: np.ndarray,
    ranks: dict[str, np.ndarray],
    losses: dict[str, np.ndarray],
    name: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """{metric: {"mean", "ci95"}} of this blend minus the network as it is; log loss over outcomes seen in training."""
    columns = {
        "mrr": (person, 1 / ranks[name], 1 / ranks[NETWORK]),
        "recall@10": (person, ranks[name] <= 10, ranks[NETWORK] <= 10),
        "log_loss": (person[known], losses[name][known], losses[NETWORK][known]),
    }
    return {
        metric: paired_difference(who, mine, its, rng=rng, draws=DRAWS).report()
        for metric, (who, mine, its) in columns.items()
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["", "recall@10", "MRR", "log loss", "MRR, difference", "log loss, difference"]
    rows = [[*head, "where a link fires", "among linked", "where none fires", "scale, beta"]]
    for name, row in result["table"].items():
        against, blend = row["against_network"], result["blends"][name]
        rows.append(
            [
                name,
                f"{row['changes']['recall@10']:.3f}",
                f"{row['changes']['mrr']:.4f}",
                f"{row['log_loss']:.4f}",
                _interval(against["mrr"]) if name != NETWORK else "reference",
                _interval(against["log_loss"]) if name != NETWORK else "reference",
                *(f"{row[part]['mrr']:.3f}" for part in ("fires", "inside_links", "none_fires")),
                f"{blend['scale']:.2f}, {blend['beta']:.2f}",
            ]
        )
    covered = result["covered"]
    shares = f"{covered['changes']:.1%}", f"{covered['pairs']:.1%} of pairs", f"{1 - covered['changes']:.1%}"
    return [*rows, ["share of changes", *[""] * 5, *shares, f"{result['links']} links"]]


def _interval(found: dict[str, Any]) -> str:
    low, high = found["ci95"] or (float("nan"), float("nan"))
    return f"{found['mean']:+.4f} [{low:+.4f}, {high:+.4f}]"
