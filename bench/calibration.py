"""Are the hire model's probabilities right on persons never seen: overall, given a change, and year by year?"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from graph.bipartite import examples_from_careers
from graph.evaluate import evaluate
from graph.learner import CareersConfig
from graph.train import fit
from market.careers import read_careers
from sim.generated import generated_careers

FOLD = "bench"  # the persons of the table `graph`: a hashed fifth
LOWEST, HIGHEST, LARGEST_ERROR = (
    0.9,
    1.1,
    0.02,
)  # goals: every ratio between the first two, top-1 error at most the last


def run(data: Path | None) -> dict[str, Any]:
    """`graph.evaluate.calibration` of a model fitted on the other persons, with intervals by person."""
    if data is None:
        careers, source = generated_careers(4_000, np.random.default_rng(0)), "generated careers (no data directory)"
    else:
        careers, source = read_careers(data / "nlsy79_careers"), "NLSY79"
    held_out = np.array([_hash(person_id) % 5 == 0 for person_id in careers.person_ids])
    others = examples_from_careers(careers.of_persons(~held_out))
    model = fit(others, careers.taxonomy, CareersConfig().train)
    metrics = evaluate(model, careers.of_persons(held_out), np.random.default_rng(0))
    found = metrics["calibration"]
    ratios = [row["ratio"] for part in (found, found["changes"]) for row in part["bins"]]
    errors = [part["top1"]["ece"] for part in (found, found["changes"])]
    return {
        "source": source,
        "persons_held_out": int(held_out.sum()),
        "calibration": found,
        "goals": {
            "every_ratio": bool(ratios) and min(ratios) >= LOWEST and max(ratios) <= HIGHEST,
            "top1_ece": max(errors) <= LARGEST_ERROR,
            "skill_over_recent_history": found["changes"]["log_loss"]["skill"],
        },
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    """Pairs in ten bins of equal mass, then the best occupation, the log loss and the calendar years."""
    found = result["calibration"]
    rows = [["", "predicted", "observed", "ratio", "95 %", "n"]]
    for name, part in (("pairs", found), ("pairs given a change", found["changes"])):
        rows += [_bin(name if not i else "", row) for i, row in enumerate(part["bins"])]
        rows.append([f"{name}: calibration error, slope", f"{part['ece']:.4f}", f"{part['slope']:.2f}", "", "", ""])
    for name, part in (("best occupation", found["top1"]), ("given a change", found["changes"]["top1"])):
        means = (f"{part['confidence']:.3f}", f"{part['hit_rate']:.3f}")
        rows.append([name, *means, "", f"error {part['ece']:.4f}, by chance {part['floor']:.4f}", str(part["n"])])
    loss = found["changes"]["log_loss"]
    told = f"{loss['model']:.3f} against {loss['baseline']:.3f}"
    rows.append(["log loss of changes, recent history", told, "", f"skill {loss['skill']:.3f}", "", str(loss["n"])])
    for row in found["periods"]:
        low_high = "" if row["stay_ci95"] is None else "{:.3f} to {:.3f}".format(*row["stay_ci95"])
        stays = ("", "", "") if row["stay_predicted"] is None else _stays(row)
        rows.append([f"stays {row['period']}", *stays, low_high, str(row["n"])])
        changes = f"top-1 error {row['top1_ece']:.3f}, slope {row['slope']:.2f}"
        rows.append([f"changes {row['period']}", "", "", "", changes, str(row["changes"])])
    return rows


def _bin(name: str, row: dict[str, Any]) -> list[str]:
    low_high = "" if row["ci95"] is None else "{:.2f} to {:.2f}".format(*row["ci95"])
    return [name, f"{row['predicted']:.4f}", f"{row['observed']:.4f}", f"{row['ratio']:.2f}", low_high, str(row["n"])]


def _stays(row: dict[str, Any]) -> tuple[str, str, str]:
    ratio = row["stay_observed"] / row["stay_predicted"] if row["stay_predicted"] else float("nan")
    return f"{row['stay_predicted']:.3f}", f"{row['stay_observed']:.3f}", f"{ratio:.2f}"


def _hash(person_id: str) -> int:
    return int(hashlib.sha256(f"{FOLD}:{person_id}".encode()).hexdigest()[:12], 16)
