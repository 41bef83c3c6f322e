"""The hire model beside its baselines on persons never seen; 95 % intervals by person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import fitted, split
from graph.baselines import BASELINES
from graph.evaluate import evaluate

SLICES = ("changes", "all", "cold")


def run(data: Path | None) -> dict[str, Any]:
    """Recall@10 and MRR on changes, all and cold with intervals; seconds and peak memory of the fit."""
    people, once = split(data), fitted(data)
    metrics = evaluate(once.fitted.model, people.judges, np.random.default_rng(0))
    metrics.pop("calibration")  # has a table of its own
    return {
        "source": people.source,
        "persons_held_out": len(people.judges.person_ids),
        "fit_seconds": round(once.seconds, 1),
        "peak_mib": round(once.peak_mib),
        "metrics": metrics,
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    metrics, rows = result["metrics"], [["recall@10 / MRR", *SLICES]]
    for name in ("hire model", *BASELINES):
        row = metrics if name == "hire model" else metrics["baselines"][name]
        rows.append([name, *(f"{row[s]['recall@10']:.3f} / {row[s]['mrr']:.3f}" for s in SLICES)])
    interval = metrics["ci95"]
    rows.append(["hire model, MRR 95 %", *("{:.3f} to {:.3f}".format(*interval[s]["mrr"]) for s in SLICES)])
    for name in ("recent_history", "markov"):
        over = [interval[s]["over"][name] for s in SLICES]
        told = ["{:+.1%} [{:+.1%}, {:+.1%}]".format(found["relative"], *found["ci95"]) for found in over]
        rows.append([f"MRR over {name.replace('_', ' ')}", *told])
    rows.append(["fit", f"{result['fit_seconds']:.0f} s", f"{result['peak_mib']} MiB", ""])
    return rows
