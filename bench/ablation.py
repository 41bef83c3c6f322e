"""What each part of the hire model is worth: variants against one member of the default, on validation persons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import split
from graph.ablation import ablate
from graph.bipartite import examples_from_careers
from graph.learner import CareersConfig
from market.careers import Careers
from market.text import TextEncoder


@dataclass(frozen=True)
class Size:
    """How much is spent: about twelve minutes of one core by default; the quick one only shows that it runs."""

    persons: int = 4_000  # of the development persons
    epochs: int = 8


QUICK = Size(persons=400, epochs=2)


def run(data: Path | None, size: Size | None = None) -> dict[str, Any]:
    """One row for every variant with differences to the base and their intervals by person; see `ablate`."""
    size = size or (QUICK if data is None else Size())
    people = split(data)
    development = fewer(people.others, size.persons)
    config = replace(CareersConfig().train, epochs=size.epochs)
    titles = TextEncoder().encode(list(development.taxonomy.titles))
    rows = ablate(
        examples_from_careers(development), development.taxonomy, config, np.random.default_rng(0), titles=titles
    )
    return {"source": people.source, "persons": len(development.person_ids), "epochs": size.epochs, "rows": rows}


def show(result: dict[str, Any]) -> list[list[str]]:
    """Values of the base, and of the others the differences to it with 95 % intervals by person."""
    head = ["variant", "changes recall@10", "changes MRR", "cold MRR", "all MRR", "log loss", "seconds"]
    base, *others = result["rows"]
    table = [
        head,
        [
            base["name"],
            f"{base['changes']['recall@10']:.3f}",
            f"{base['changes']['mrr']:.4f}",
            f"{base['cold']['mrr']:.4f}",
            f"{base['all']['mrr']:.4f}",
            f"{base['log_loss']:.3f}",
            f"{base['seconds']:.0f}",
        ],
    ]
    keys = (("recall@10", "recall@10"), ("changes", "mrr"), ("cold", "mrr"), ("all", "mrr"), ("log_loss", "nats"))
    for row in others:
        cells = [_with_interval(row["over_base"][part], name) for part, name in keys]
        table.append([row["name"], *cells, f"{row['seconds']:.0f}"])
    return table


def _with_interval(found: dict[str, Any], name: str) -> str:
    if found["ci95"] is None:
        return f"{found[name]:+.4f}"
    low, high = found["ci95"]
    return f"{found[name]:+.4f} [{low:+.4f}, {high:+.4f}]"


def fewer(careers: Careers, most: int) -> Careers:
    """At most so many persons, those with the smallest hashes."""
    keys = [hashlib.sha256(f"ablation:{person_id}".encode()).hexdigest() for person_id in careers.person_ids]
    chosen = np.argsort(keys, kind="stable")[:most]
    return careers.of_persons(np.isin(np.arange(len(keys)), chosen))
