"""The hire model beside its baselines on persons never seen: a hashed fifth, fitted and looked at once."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np

from graph.baselines import BASELINES
from graph.evaluate import evaluate
from graph.learner import CareersConfig, fit_careers
from hiregraph.pipeline import peak_mib
from market.careers import read_careers
from sim.generated import generated_careers

FOLD = "bench"


def run(data: Path | None) -> dict[str, Any]:
    """Recall@10 and MRR on changes, all and cold; seconds and peak memory of the fit."""
    if data is None:
        careers, source = generated_careers(4_000, np.random.default_rng(0)), "generated careers (no data directory)"
    else:
        careers, source = read_careers(data / "nlsy79_careers"), "NLSY79"
    held_out = np.array([_hash(person_id) % 5 == 0 for person_id in careers.person_ids])
    began = time.perf_counter()
    fitted = fit_careers(careers.of_persons(~held_out), CareersConfig())
    seconds = time.perf_counter() - began
    metrics = evaluate(fitted.model, careers.of_persons(held_out))
    metrics["calibration"].pop("bins", None)
    return {
        "source": source,
        "persons_held_out": int(held_out.sum()),
        "fit_seconds": round(seconds, 1),
        "peak_mib": round(peak_mib()),
        "metrics": metrics,
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    metrics = result["metrics"]
    rows = [["recall@10 / MRR", "changes", "all", "cold"]]
    for name in ("hire model", *BASELINES):
        row = metrics if name == "hire model" else metrics["baselines"][name]
        rows.append([name, *(f"{row[s]['recall@10']:.3f} / {row[s]['mrr']:.3f}" for s in ("changes", "all", "cold"))])
    return rows


def _hash(person_id: str) -> int:
    return int(hashlib.sha256(f"{FOLD}:{person_id}".encode()).hexdigest()[:12], 16)
