"""Weighted terms: the same queries with weights on two dense and four rare terms each, and without, interleaved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_build import build, search, search_alone
from bench.index_figures import interval
from bench.index_process import in_process
from bench.index_queries import workloads
from bench.index_rounds import interleave, ratio
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import REMOTE, SENIORITY, SKILL, TERMS, TITLE, WORDS, Rows, World

RARE = 4  # weighted terms a query, beside two dense ones
RARE_SHARE = 1 / 64  # of the rows at most
LARGEST = 0.2  # weights lie between minus and plus this; scores of the best rows are around .7


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_boosts")


def measure(size: Size) -> dict[str, Any]:
    """Milliseconds a query weighted and not, for the batch and one by one, at every pass rate."""
    world = World(size.dimension)
    batches = workloads(world, size.rows, size.batch)
    rng = np.random.default_rng(0)
    boosts = [weights(world.piece(0), rng) for _ in range(size.batch)]
    plain, weighted = ([Truth(batch, size.k, which) for batch in batches] for which in (None, boosts))
    built = build(world, size, [*plain, *weighted], with_peers=False)
    named = [{WORDS[term]: weight for term, weight in query.items()} for query in boosts]
    table = []
    for way, ask in (("batch", search), ("single", search_alone)):
        for without, with_weights in zip(plain, weighted, strict=True):
            batch = without.workload
            timed = interleave(
                {
                    "plain": partial(ask, built.index, batch, size.k),
                    "weighted": partial(ask, built.index, batch, size.k, named),
                },
                size.rounds,
            )
            row = {"way": way, "pass_rate": without.pass_rate, "ratio": ratio(timed["weighted"], timed["plain"])}
            for name, truth in (("plain", without), ("weighted", with_weights)):
                row[name] = timed[name].summary(len(batch) / 1e3) | {"recall": truth.recall(timed[name].answer)}
            say(f"{way}, {row['pass_rate']:.2%}: weighted over plain {row['ratio']['median']:.2f}")
            table.append(row)
    return size.described() | {"table": table}


def weights(sample: Rows, rng: np.random.Generator) -> dict[int, float]:
    """{term: weight}: a level and a kind of remote work, and titles and skills that few rows have."""
    counts = np.bincount(sample.columns.ravel(), minlength=TERMS)
    rare = np.flatnonzero((counts > 0) & (counts <= RARE_SHARE * len(sample)))
    rare = rare[((rare >= TITLE.first) & (rare < TITLE.first + TITLE.size)) | (rare >= SKILL.first)]
    dense = [SENIORITY.first + rng.integers(3), REMOTE.first + rng.integers(2)]
    terms = np.append(dense, rng.choice(rare, RARE, replace=False)).tolist()
    return dict(zip(terms, rng.uniform(-LARGEST, LARGEST, len(terms)).tolist(), strict=True))


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["asked as", "pass rate", "plain ms/query", "recall", "weighted ms/query", "recall", "weighted over plain"]]
    for row in result["table"]:
        cells = [row["way"], f"{row['pass_rate']:.2%}"]
        for name in ("plain", "weighted"):
            cells += [f"{row[name]['median']:.3f}", f"{row[name]['recall']:.4f}"]
        rows.append([*cells, interval(row["ratio"], 2)])
    return rows
