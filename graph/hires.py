"""Confirmed hires: applications joined with the positions that followed them.

Rules, each with its test:

 1. A hire is an application to a job and a new position of the same seeker at that job's employer that starts at or
    after the application and within the attribution window (default 180 days).
 2. The position matches the job if the occupation is the same (rule "occupation"), else if both lie in the same
    section (rule "section"). Anything else is no hire.
 3. A position without employer confirms nothing.
 4. An employer the seeker already worked for when applying confirms nothing: an internal move is not a hire.
 5. Several candidate applications of one position: the better rule, then the latest application, then the smallest
    event id. One application explains one position: its earliest, by the same order.
 6. Duplicated events (same event id) and duplicated positions (same seeker, employer, occupation, start) count once.
 7. Only what was recorded by `as_of` exists. An application without hire is a negative only when its whole window
    lies before `as_of`; a younger one is censored and is neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import daft
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from market.errors import ConfigError, DataError
from market.tables import Tables, check_table

HIRED, NOT_HIRED, CENSORED = "hired", "not_hired", "censored"


@dataclass(frozen=True)
class HireRules:
    window_days: int = 180
    allow_section: bool = True  # rule 2's second form

    def __post_init__(self) -> None:
        if self.window_days < 1:
            raise ConfigError(f"window_days is {self.window_days}, expected at least 1")


@dataclass(frozen=True)
class Hires:
    """hires: table of CONTRACT's `hires` columns plus occupation. outcomes: every distinct application with its
    outcome ("hired", "not_hired", "censored"), event_id, seeker_id, job_id, applied_at."""

    hires: pa.Table
    outcomes: pa.Table

    def __len__(self) -> int:
        return self.hires.num_rows


def confirm(tables: Tables, as_of: datetime | None = None, rules: HireRules = HireRules()) -> Hires:
    """Derive confirmed hires from logs. `as_of` defaults to the latest record of the logs."""
    positions = tables["positions"]
    if positions.num_rows == 0 or tables["applications"].num_rows == 0:
        raise DataError("applications", "no rows to join with positions", "export applications and positions")
    if as_of is None:
        as_of = max(pc.max(positions["recorded_at"]).as_py(), pc.max(tables["applications"]["occurred_at"]).as_py())
    if "employer_id" not in positions.column_names:
        raise DataError("positions", "no column 'employer_id', so no hire can be confirmed", "add the column")
    sections = dict(zip(tables.taxonomy.codes, tables.taxonomy.section.tolist(), strict=True))
    cut = pd.Timestamp(as_of) if as_of.tzinfo else pd.Timestamp(as_of, tz="UTC")

    # Daft does the heavy part: distinct rows, the three-way join, the window filter
    applied = _first_of_each_event(tables["applications"], as_of)
    jobs = daft.from_arrow(tables["jobs"].select(["job_id", "employer_id", "occupation"])).distinct()
    seen = pc.less_equal(positions["recorded_at"], pa.scalar(as_of, positions["recorded_at"].type))
    held = (
        daft.from_arrow(positions.filter(seen).select(["seeker_id", "employer_id", "occupation", "started_at"]))
        .where(col("employer_id").not_null())
        .distinct()
        .with_column_renamed("occupation", "position_occupation")
    )
    window = np.timedelta64(rules.window_days, "D")
    candidates = (
        daft.from_arrow(applied)
        .join(jobs, on="job_id")
        .join(held, on=["seeker_id", "employer_id"])
        .where(col("started_at") >= col("applied_at"))
        .to_pandas()
    )
    candidates = candidates[candidates.started_at - candidates.applied_at <= window]
    candidates = _without_internal_moves(candidates, held.to_pandas())
    same = candidates.occupation == candidates.position_occupation
    near = candidates.occupation.map(sections) == candidates.position_occupation.map(sections)
    candidates = candidates.assign(rule=np.where(same, "occupation", np.where(near, "section", "")))
    allowed = ["occupation", "section"] if rules.allow_section else ["occupation"]
    candidates = candidates[candidates.rule.isin(allowed)]
    hires = _one_to_one(candidates)

    outcomes = applied.to_pandas()
    hired = outcomes.event_id.isin(set(hires.application_event_id))
    young = outcomes.applied_at > cut - window
    outcomes["outcome"] = np.where(hired, HIRED, np.where(young, CENSORED, NOT_HIRED))
    columns = ["seeker_id", "job_id", "employer_id", "application_event_id", "applied_at", "started_at", "rule"]
    table = pa.Table.from_pandas(hires[[*columns, "occupation"]], preserve_index=False)
    return Hires(check_table("hires", table), pa.Table.from_pandas(outcomes, preserve_index=False))


def _first_of_each_event(applications: pa.Table, as_of: datetime) -> pa.Table:
    """One row per event id: the earliest; nothing that happened after `as_of`."""
    known = pc.less_equal(applications["occurred_at"], pa.scalar(as_of, applications["occurred_at"].type))
    frame = applications.filter(known).select(["event_id", "seeker_id", "job_id", "occurred_at"]).to_pandas()
    frame = frame.sort_values(["event_id", "occurred_at"]).drop_duplicates("event_id")
    return pa.Table.from_pandas(frame.rename(columns={"occurred_at": "applied_at"}), preserve_index=False)


def _without_internal_moves(candidates: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Drop candidates whose seeker had begun a position at that employer before applying (rule 4)."""
    first = held.groupby(["seeker_id", "employer_id"], as_index=False).agg(first_at_employer=("started_at", "min"))
    joined = candidates.merge(first, on=["seeker_id", "employer_id"])
    return joined[joined.first_at_employer >= joined.applied_at].drop(columns="first_at_employer")


def _one_to_one(candidates: pd.DataFrame) -> pd.DataFrame:
    """Rule 5: best application per position, then earliest position per application."""
    position = ["seeker_id", "employer_id", "position_occupation", "started_at"]
    ordered = candidates.assign(second=candidates.rule != "occupation").sort_values(
        [*position, "second", "applied_at", "event_id"], ascending=[True] * 5 + [False, True]
    )
    best = ordered.drop_duplicates(position)
    best = best.sort_values(["event_id", "second", "started_at"]).drop_duplicates("event_id")
    best = best.rename(columns={"event_id": "application_event_id"})
    return best.sort_values(["applied_at", "application_event_id"]).reset_index(drop=True)
