"""Are the hire model's probabilities right on persons never seen: overall, given a change, and year by year?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.judged import fitted, split
from graph.evaluate import evaluate

LOWEST, HIGHEST = 0.9, 1.1  # goal of every bin's ratio
LARGEST_ERROR = 0.02  # goal of the top-1 calibration error


def run(data: Path | None) -> dict[str, Any]:
    """`graph.evaluate.calibration` of a model fitted on the other persons, with intervals by person."""
    people = split(data)
    metrics = evaluate(fitted(data).fitted.model, people.judges, np.random.default_rng(0))
    found = metrics["calibration"]
    ratios = [row["ratio"] for part in (found, found["changes"]) for row in part["bins"]]
    errors = [part["top1"]["ece"] for part in (found, found["changes"])]
    return {
        "source": people.source,
        "persons_held_out": len(people.judges.person_ids),
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
