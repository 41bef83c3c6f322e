"""Tighter clauses on the same rows and queries: is a tighter one ever slower than a looser one?

Two ways to tighten: fewer values in one group (from about half of all places down to a rare one), and one more group
at a time. Every query of a batch has its own chain of clauses, each of which implies the one before. "Over looser": the
time over the least time of any looser clause of the chain, per round; the goal is at most 1.1.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.index_build import build, search, search_alone
from bench.index_process import in_process
from bench.index_queries import Workload, near
from bench.index_rounds import Timed, interleave
from bench.index_size import Size, say
from bench.index_truth import Truth
from bench.index_world import GEO, REMOTE, SENIORITY, SKILL, TITLE, Rows, TermClause, World

SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
ENOUGH = 0.9  # of a share: no more places are added
FEWER, MORE = "fewer values", "more groups"
NOBODY = np.empty(0, np.int64)


def run(data: Path | None) -> dict[str, Any]:
    return in_process("index_tighter")


def measure(size: Size) -> dict[str, Any]:
    """Milliseconds a query along both chains, for the batch and for its queries one by one."""
    world = World(size.dimension)
    sample = world.piece(0)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(sample), size.batch, replace=False)
    vectors = np.stack([near(sample.vectors[row], rng) for row in chosen])
    chains = {FEWER: [_fewer(sample, rng) for _ in chosen], MORE: [_more(sample, int(row), rng) for row in chosen]}
    truths = {
        name: [Truth(Workload(0.0, vectors, level), size.k) for level in zip(*chain, strict=True)]
        for name, chain in chains.items()
    }
    built = build(world, size, [truth for chain in truths.values() for truth in chain], with_peers=False)
    table = []
    for way, ask in (("batch", search), ("single", search_alone)):
        for name, chain in truths.items():
            methods = {str(i): partial(ask, built.index, truth.workload, size.k) for i, truth in enumerate(chain)}
            timed = list(interleave(methods, size.rounds).values())
            table += [
                {"way": way, "chain": name, "pass_rate": truth.pass_rate, "over_looser": over}
                | time.summary(size.batch / 1e3)
                | {"recall": truth.recall(time.answer)}
                for truth, time, over in zip(chain, timed, over_looser(timed), strict=True)
            ]
            say(f"{way}, {name}: at most {max(over_looser(timed)):.3f} of a looser one")
    return size.described() | {"table": table}


def over_looser(timed: list[Timed]) -> list[float]:
    """For each clause of a chain, loosest first, its largest median ratio to a looser one; 0 for the first."""
    return [
        max((float(np.median(time.wall / looser.wall)) for looser in timed[:place]), default=0.0)
        for place, time in enumerate(timed)
    ]


def _fewer(sample: Rows, rng: np.random.Generator) -> tuple[TermClause, ...]:
    """One rare place, then the largest that still fit: few places a clause, so that loose ones are cheap too."""
    share = np.bincount(sample.columns[GEO.columns[0]] - GEO.first, minlength=GEO.size) / len(sample)
    chosen = [int(rng.choice(np.flatnonzero((share > 0) & (share <= SHARES[-1]))))]
    falling, clauses = np.argsort(-share), []
    for wanted in sorted(SHARES):
        for place in falling.tolist():
            if place not in chosen and share[chosen].sum() + share[place] <= wanted:
                chosen.append(place)
            if share[chosen].sum() > ENOUGH * wanted:
                break
        clauses.append(TermClause((np.sort(GEO.first + np.array(chosen)),), NOBODY))
    return tuple(clauses[::-1])


def _more(sample: Rows, row: int, rng: np.random.Generator) -> tuple[TermClause, ...]:
    """Levels, then remote work, places, skills and titles are asked for as well, the row's own always among them."""
    bag = sample.columns[:, row]
    groups = (
        _with(SENIORITY.first + rng.choice(SENIORITY.size, 3, replace=False), bag[2]),
        _with(REMOTE.first + rng.choice(REMOTE.size, 2, replace=False), bag[3]),
        _with(GEO.first + np.arange(30), bag[0]),
        _with(SKILL.first + rng.choice(SKILL.size, 40, replace=False), *bag[5:]),
        _with(TITLE.first + 8 * ((int(bag[1]) - TITLE.first) // 8) + np.arange(8), bag[1]),
    )
    return tuple(TermClause(groups[: count + 1], NOBODY) for count in range(len(groups)))


def _with(terms: np.ndarray, *own: int) -> np.ndarray:
    return np.unique(np.append(terms, own))


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["asked as", "tightened by", "pass rate", "ms/query", "over looser", "recall"]]
    for row in result["table"]:
        over = f"{row['over_looser']:.3f}" if row["over_looser"] else "-"
        cells = [row["way"], row["chain"], f"{row['pass_rate']:.2%}", f"{row['median']:.4f}", over]
        rows.append([*cells, f"{row['recall']:.4f}"])
    worst = max(row["over_looser"] for row in result["table"])
    return [*rows, ["largest of all", "", "", "", f"{worst:.3f}", ""]]
