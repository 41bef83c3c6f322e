"""Logged slates with what each of them could have shown: the log tables, and `candidates` beside them.

    impressions          of promoted jobs, with request_id, position and the propensity that serving logged
    clicks, applications of the same request and job
    candidates           one row for each campaign that took part in the auction of a request:

        request_id, job_id text; bid_micros int64; p_click, value_per_click, score float64; in_reach int64;
        lot bool, may be drawn by lot; policy text, what filled the slots, as in `sim.slate_policy`

There is a row for every promoted slot that was served; slots are counted in the order of positions. Logs without
`candidates` can be read too, and say what the policy that was served has earned; what another one would have shown
they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from market.errors import DataError
from market.tables import check_table, load_table
from sim.slate_policy import Choices, SlatePolicy, slot_chances

Reward = Literal["click", "application", "qualified"]
REWARDS: tuple[Reward, ...] = ("click", "application", "qualified")
CANDIDATES: Mapping[str, pa.DataType] = {
    "request_id": pa.string(),
    "job_id": pa.string(),
    "bid_micros": pa.int64(),
    "p_click": pa.float64(),
    "value_per_click": pa.float64(),
    "score": pa.float64(),
    "in_reach": pa.int64(),
    "lot": pa.bool_(),
    "policy": pa.string(),
}
TOLERANCE = 1e-6  # between the logged propensity and the lottery's own


@dataclass(frozen=True)
class DecisionLog:
    """R requests with n filled slots. seeker int64[R]; request, slot int64[n], rows by request and slot; propensity
    float64[n]; clicked, applied bool[n].

    choices, policy: of each request, and candidate int64[n], the row of what was shown; None where the log has no
    candidates.
    """

    seeker: np.ndarray
    request: np.ndarray
    slot: np.ndarray
    propensity: np.ndarray
    clicked: np.ndarray
    applied: np.ndarray
    candidate: np.ndarray | None = None
    choices: list[Choices] | None = None
    policy: list[SlatePolicy] | None = None

    @property
    def slots(self) -> np.ndarray:
        """int64[R]: how many slots of each request were filled."""
        return np.bincount(self.request, minlength=len(self.seeker))

    def reward(self, name: Reward) -> np.ndarray:
        """float64[n] of each filled slot. qualified: of a click, the qualified applications the product expects of it,
        for whether an application was qualified no log knows in time."""
        if name == "click":
            return self.clicked.astype(float)
        if name == "application":
            return self.applied.astype(float)
        return self.clicked * self.of_shown("value")

    def of_shown(self, name: Literal["p_click", "value"]) -> np.ndarray:
        """float64[n]: the estimate of what was shown."""
        if self.choices is None or self.candidate is None:
            raise DataError("candidates", "the logs hold none", "add the table, or ask for click or application")
        pairs = zip(self.request.tolist(), self.candidate.tolist(), strict=True)
        return np.array([getattr(self.choices[r], name)[c] for r, c in pairs], float)


def read_decisions(folder: Path) -> DecisionLog:
    """Read and check a directory of log tables; DataError names table, row and remedy."""
    found = {name: load_table(folder, name) for name in ("impressions", "clicks", "applications")}
    candidates = load_table(folder, "candidates")
    if found["impressions"] is None:
        raise DataError("impressions", f"no impressions table in {folder}", "export the logs of the service")
    tables = {name: check_table(name, table) for name, table in found.items() if table is not None}
    return decisions_of(tables, candidates)


def decisions_of(tables: Mapping[str, pa.Table], candidates: pa.Table | None) -> DecisionLog:
    """From checked tables; repeated events count once, impressions without a propensity are refused."""
    shown = _promoted(tables["impressions"])
    key = ["request_id", "job_id"]
    for name, flag in (("clicks", "clicked"), ("applications", "applied")):
        table = tables.get(name)
        if table is None or "request_id" not in table.column_names:
            shown[flag] = False
            continue
        events = table.select(key).to_pandas().drop_duplicates()
        shown = shown.merge(events.assign(**{flag: True}), on=key, how="left")
        shown[flag] = shown[flag].eq(True)
    request, names = pd.factorize(shown.request_id)
    slot = shown.groupby("request_id", sort=False).cumcount().to_numpy(np.int64)
    seeker = pd.factorize(shown.drop_duplicates("request_id").seeker_id)[0]
    log = DecisionLog(
        seeker.astype(np.int64),
        request.astype(np.int64),
        slot,
        shown.propensity.to_numpy(float),
        shown.clicked.to_numpy(bool),
        shown.applied.to_numpy(bool),
    )
    return log if candidates is None else _with_candidates(log, shown, list(names), candidates)


def _promoted(impressions: pa.Table) -> pd.DataFrame:
    needed = {"request_id", "position", "promoted", "propensity"}
    missing = sorted(needed - set(impressions.column_names))
    if missing:
        raise DataError("impressions", f"no column {missing[0]!r}", "log it with every promoted impression")
    shown = impressions.to_pandas().drop_duplicates("event_id")
    shown = shown[shown.promoted.eq(True)]
    if not len(shown):
        raise DataError("impressions", "none of them is promoted", "only promoted slots have been left to chance")
    for row, propensity in zip(shown.index.tolist(), shown.propensity.tolist(), strict=True):
        if not 0 < propensity <= 1:
            came = "missing" if np.isnan(propensity) else propensity
            raise DataError("impressions", f"propensity is {came}", "log the chance of each draw, in (0, 1]", row=row)
    bare = shown[shown.request_id.isna() | shown.position.isna()]
    if len(bare):
        row = int(bare.index[0])
        raise DataError("impressions", "a promoted row lacks request_id or position", "log both", row=row)
    shown = shown.sort_values(["request_id", "position"], kind="stable")
    again = shown[shown.duplicated(["request_id", "position"]) | shown.duplicated(["request_id", "job_id"])]
    if len(again):
        row = int(again.index[0])
        raise DataError("impressions", "a second row of the same request and place or job", "give one a slot", row=row)
    return shown.reset_index(drop=True)


def _with_candidates(log: DecisionLog, shown: pd.DataFrame, names: list[str], candidates: pa.Table) -> DecisionLog:
    for column, kind in CANDIDATES.items():
        if column not in candidates.column_names:
            raise DataError("candidates", f"no column {column!r}", f"the table has {', '.join(CANDIDATES)}")
        if candidates[column].null_count:
            raise DataError("candidates", f"{column} is missing in {candidates[column].null_count} rows", "fill it")
        try:
            candidates[column].cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError("candidates", f"{column} is no {kind}", f"write it as {kind}") from None
    frame = pa.table({name: candidates[name].cast(kind) for name, kind in CANDIDATES.items()}).to_pandas()
    number = {name: at for at, name in enumerate(names)}
    frame["request"] = frame.request_id.map(number)
    frame = frame[frame.request.notna()].sort_values("request", kind="stable").reset_index(drop=True)
    for column, good in (
        ("p_click", (frame.p_click > 0) & (frame.p_click <= 1)),
        ("value_per_click", (frame.value_per_click >= 0) & (frame.value_per_click <= 1)),
        ("bid_micros", frame.bid_micros >= 0),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise DataError("candidates", f"{column} is {frame[column][row]}", "write sound estimates", row=row)
    start = np.searchsorted(frame.request.to_numpy(), np.arange(len(names) + 1))
    policies: dict[str, SlatePolicy] = {text: SlatePolicy.parse(text) for text in frame.policy.unique()}
    columns = {name: frame[name].to_numpy() for name in CANDIDATES}
    choices, policy = [], []
    for at, name in enumerate(names):
        rows = slice(int(start[at]), int(start[at + 1]))
        if rows.start == rows.stop:
            raise DataError("candidates", f"none of request {name!r}", "log what each request could have shown")
        choices.append(
            Choices(
                columns["bid_micros"][rows],
                columns["p_click"][rows],
                columns["value_per_click"][rows],
                columns["score"][rows],
                columns["lot"][rows],
                int(columns["in_reach"][rows.start]),
            )
        )
        policy.append(policies[columns["policy"][rows.start]])
    place = {pair: at for at, pair in enumerate(zip(columns["request_id"], columns["job_id"], strict=True))}
    rows_of = [place.get(pair, -1) for pair in zip(shown.request_id, shown.job_id, strict=True)]
    if min(rows_of) < 0:
        row = rows_of.index(-1)
        raise DataError("candidates", f"job {shown.job_id[row]!r} was shown, and no candidate", "log all of them")
    candidate = np.array(rows_of) - start[log.request]
    full = DecisionLog(
        log.seeker, log.request, log.slot, log.propensity, log.clicked, log.applied, candidate, choices, policy
    )
    _check_propensities(full, names)
    return full


def _check_propensities(log: DecisionLog, names: list[str]) -> None:
    """The policy the log names must give what it logged: else every weight would be wrong without a sign of it."""
    assert log.choices is not None
    assert log.policy is not None
    assert log.candidate is not None
    slots = log.slots
    begin = np.cumsum(slots) - slots
    for at, (choices, policy) in enumerate(zip(log.choices, log.policy, strict=True)):
        rows = slice(int(begin[at]), int(begin[at] + slots[at]))
        chances = slot_chances(policy.lottery(choices, int(slots[at])), len(choices))
        known = log.slot[rows] < len(chances)
        own = np.where(known, chances[np.minimum(log.slot[rows], len(chances) - 1), log.candidate[rows]], 0.0)
        wrong = np.flatnonzero(np.abs(own - log.propensity[rows]) > TOLERANCE)
        if len(wrong):
            row = rows.start + int(wrong[0])
            raise DataError(
                "impressions",
                f"propensity {log.propensity[row]:g} in slot {log.slot[row]} of request {names[at]!r} is not the "
                f"{own[wrong[0]]:g} of policy {str(policy)!r} on its candidates",
                "log the candidates and the policy as they were served",
            )
