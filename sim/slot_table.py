"""Off-policy estimates from one plain table of slots, whatever system and policy it comes from.

    request_id, seeker_id text; slot whole, from 0; reward, propensity numbers
    NAME                             the chance policy NAME had of putting what was shown into this slot
    model:NAME, expected:NAME        q of what was shown; the sum over candidates of chance times q of this slot

The table holds every slot that was filled; a policy is taken to fill them all, and how much of its mass the log could
never show is not known here: look at the mean weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.errors import DataError
from market.tables import load_table
from sim.off_policy import LoggedRewards, diagnose, evaluate

COLUMNS = ("request_id", "seeker_id", "slot", "reward", "propensity")


def read_slots(path: Path) -> pd.DataFrame:
    """The table of a Parquet or CSV file, with its numbers as numbers; DataError names column and row."""
    name = path.name.split(".")[0]
    table = load_table(path.parent, name)
    if table is None or not table.num_rows:
        raise DataError(path.name, "no rows in a .parquet, .csv or .csv.gz file", "write one row for each filled slot")
    frame = table.to_pandas()
    for column in COLUMNS:
        if column not in frame:
            raise DataError(path.name, f"no column {column!r}", f"the table has {', '.join(COLUMNS)} and the policies")
    for column in frame.columns.difference(["request_id", "seeker_id"]):
        numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong) and column in COLUMNS:
            came = frame[column].iloc[wrong[0]]
            raise DataError(path.name, f"{column} is {came!r}", "write a finite number", row=int(wrong[0]))
        frame[column] = numbers
    bad = np.flatnonzero((frame.slot < 0) | (frame.slot % 1 != 0))
    if len(bad):
        raise DataError(path.name, f"slot is {frame.slot[bad[0]]}", "count slots 0, 1, 2, ...", row=int(bad[0]))
    frame["slot"] = frame.slot.astype(np.int64)
    return frame


def judge_slots(
    frame: pd.DataFrame, names: Sequence[str], *, clip: float | None = None, draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Estimates and diagnostics of each policy, as `sim.counterfactual.judge` gives them."""
    report = {}
    for name in names:
        seen = slots_under(frame, name)
        values = evaluate(seen, clip=clip, rng=np.random.default_rng([seed, 83]), draws=draws)
        report[name] = {
            "estimates": {estimator: value.report() for estimator, value in values.items()},
            "diagnostics": asdict(diagnose(seen, clip)),
        }
    return report


def slots_under(frame: pd.DataFrame, name: str) -> LoggedRewards:
    """The table seen with the eyes of policy `name`; "logged" is the one that was served."""
    column = "propensity" if name == "logged" else name
    if column not in frame or (name in COLUMNS and name != "logged"):
        found = sorted(set(frame.columns) - set(COLUMNS))
        raise DataError("slots", f"no column {name!r} with the policy's chances", f"found {', '.join(found) or 'none'}")
    if not np.isfinite(frame[column]).all():
        row = int(np.flatnonzero(~np.isfinite(frame[column]))[0])
        raise DataError("slots", f"{column} is missing", "write the policy's chance of what was shown", row=row)
    slate, _ = pd.factorize(frame.request_id)
    seeker = pd.factorize(frame.seeker_id)[0][np.unique(slate, return_index=True)[1]]
    mass = np.zeros((len(seeker), int(frame.slot.max()) + 1))
    mass[slate, frame.slot] = 1.0
    model = expected = None
    if {f"model:{name}", f"expected:{name}"} <= set(frame.columns):
        model = frame[f"model:{name}"].to_numpy(float)
        expected = np.bincount(slate, frame[f"expected:{name}"], minlength=len(seeker))
        if not (np.isfinite(model).all() and np.isfinite(expected).all()):
            raise DataError("slots", f"the reward model of {name!r} is not finite", "write finite numbers")
    return LoggedRewards(
        slate.astype(np.int64),
        frame.slot.to_numpy(),
        frame.reward.to_numpy(float),
        frame.propensity.to_numpy(float),
        frame[column].to_numpy(float),
        seeker.astype(np.int64),
        mass,
        np.zeros(len(seeker)) if name == "logged" else None,
        model,
        expected,
    )
