"""Finished seeds of an experiment on disk, so that an interrupted run goes on where it stopped.

One `seed-N.npz` a seed, arrays and one JSON document, no code. It is written beside and renamed: a file that is there
is whole. What can not be read (an older layout, a torn disk) counts as not played.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sim.designs import SwitchBack
from sim.loop import Outcome
from sim.organic_arms import OrganicArms
from sim.play import Run

FORMAT = 1
Cell = tuple[list[Run], float, SwitchBack | None, OrganicArms | None]


def write_cell(folder: Path | None, seed: int, *cell: Any) -> None:
    """Keep what was played of one seed; without a folder nothing is kept."""
    if folder is None:
        return
    runs, bound, switch_back, organic = cell
    arrays: dict[str, np.ndarray] = {}
    document = {
        "format": FORMAT,
        "bound": bound,
        "runs": [_run_out(f"run{i}", run, arrays) for i, run in enumerate(runs)],
    }
    if switch_back is not None:
        arrays["turn"] = switch_back.turn
        document |= {"arms": list(switch_back.arms), "switch_back": _run_out("switch_back", switch_back.run, arrays)}
    if organic is not None:
        arrays |= {f"organic.{field.name}": getattr(organic, field.name) for field in fields(OrganicArms)}
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".seed-{seed}.{os.getpid()}.npz"
    np.savez_compressed(scratch, **arrays)
    scratch.replace(folder / f"seed-{seed}.npz")


def read_cell(folder: Path | None, seed: int) -> Cell | None:
    """What `write_cell` kept of a seed; None where there is nothing whole."""
    if folder is None or not (folder / f"seed-{seed}.npz").is_file():
        return None
    try:
        # opened here: a file that turns out to be torn is closed all the same
        with open(folder / f"seed-{seed}.npz", "rb") as file, np.load(file, allow_pickle=False) as arrays:
            document = json.loads(bytes(arrays["document"]))
            if document["format"] != FORMAT:
                return None
            runs = [_run_in(f"run{i}", row, arrays) for i, row in enumerate(document["runs"])]
            switch_back = None
            if "switch_back" in document:
                played = _run_in("switch_back", document["switch_back"], arrays)
                switch_back = SwitchBack(tuple(document["arms"]), arrays["turn"], played)
            organic = None
            if "organic.person" in arrays:
                organic = OrganicArms(**{field.name: arrays[f"organic.{field.name}"] for field in fields(OrganicArms)})
            return runs, float(document["bound"]), switch_back, organic
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _run_out(prefix: str, run: Run, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Plain fields of a run; its arrays go into `arrays` under names that begin with `prefix`."""
    plain: dict[str, Any] = {}
    for field in fields(Run):
        value = getattr(run, field.name)
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}.{field.name}"] = value
        elif field.name != "outcome":
            plain[field.name] = value
    arrays |= {f"{prefix}.outcome.{field.name}": getattr(run.outcome, field.name) for field in fields(Outcome)}
    return plain


def _run_in(prefix: str, plain: dict[str, Any], arrays: Any) -> Run:
    outcome = Outcome(**{field.name: arrays[f"{prefix}.outcome.{field.name}"] for field in fields(Outcome)})
    others = {field.name for field in fields(Run)} - set(plain) - {"outcome"}
    return Run(outcome=outcome, **plain, **{name: arrays[f"{prefix}.{name}"] for name in others})
