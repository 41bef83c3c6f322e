"""Response rates from logged sessions, each scored by a hire model that has not seen the seeker.

The profile of a request is what the positions said just before it; an application within a day of a click, of the same
seeker to the same job, is taken as its fruit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.hires import Hires
from graph.history import examples_from_hires
from graph.selection.training_set import TrainingSet
from graph.train import fit
from market.qualification import Qualification
from market.tables import Tables
from market.taxonomy import Taxonomy
from targeting.response import ResponseConfig, ResponseModel, fit_response, look_rates, pair_features


def _half(seeker_id: str) -> int:
    return hashlib.sha256(f"half:{seeker_id}".encode()).digest()[0] & 1


@dataclass(frozen=True)
class ScoredSessions:
    """Logged impressions with the features of `targeting.response`, of a model that has not seen the seeker.

    features float32[n, 6]; clicked, applied, won (an auction, so far as is known) bool[n]; position float64[n] from 1;
    occupation int64[n] of the job, moved_to int64[n] of the position begun next, -1 where none is on record yet.
    """

    features: np.ndarray
    clicked: np.ndarray
    applied: np.ndarray
    won: np.ndarray
    position: np.ndarray
    occupation: np.ndarray
    moved_to: np.ndarray

    def __len__(self) -> int:
        return len(self.clicked)

    @classmethod
    def joined(cls, parts: Sequence[ScoredSessions]) -> ScoredSessions:
        return cls(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)})


def cross_fitted_response(
    tables: Tables,
    learnt_from: TrainingSet,
    qualification: Qualification,
    wage: np.ndarray,
    config: ResponseConfig = ResponseConfig(),
) -> ResponseModel:
    """Score each half of the seekers with a model of the other half, then regress clicks and applications.

    learnt_from: what the hire model is fitted on; wage float64[C] by occupation.
    """
    sessions = cross_fitted_sessions(tables, learnt_from, qualification, wage)
    return response_of(sessions, tables.taxonomy, qualification, config)


def cross_fitted_sessions(
    tables: Tables, learnt_from: TrainingSet, qualification: Qualification, wage: np.ndarray
) -> ScoredSessions:
    """Every impression of the logs, scored by a model fitted on the hires of the other half of the seekers."""
    taxonomy = tables.taxonomy
    shown, of_session = _sessions(tables, taxonomy)
    half_of_hire = np.array([_half(seeker) for seeker in learnt_from.seekers])[learnt_from.examples.person]
    half_of_session = np.array([_half(seeker) for seeker in of_session.seeker_ids])
    light = replace(learnt_from.train, epochs=max(2, learnt_from.train.epochs // 2))
    features = np.zeros((len(shown), 6), np.float32)
    for half in (0, 1):
        others = half_of_hire != half
        weights = None if learnt_from.weights is None else learnt_from.weights[others]
        model = fit(learnt_from.examples.take(others), taxonomy, light, weights=weights)
        sessions = np.flatnonzero(half_of_session == half)
        if len(sessions):
            _score(features, shown, of_session, sessions, Affinity(model), taxonomy, qualification, wage)
    return _scored(tables, taxonomy, shown, features)


def unseen_sessions(
    tables: Tables, affinity: Affinity, qualification: Qualification, wage: np.ndarray
) -> ScoredSessions:
    """The same of seekers none of whom the model of `affinity` has learned from: it scores them as it is."""
    taxonomy = tables.taxonomy
    shown, of_session = _sessions(tables, taxonomy)
    features = np.zeros((len(shown), 6), np.float32)
    everyone = np.arange(len(of_session.seeker_ids))
    _score(features, shown, of_session, everyone, affinity, taxonomy, qualification, wage)
    return _scored(tables, taxonomy, shown, features)


def response_of(
    sessions: ScoredSessions,
    taxonomy: Taxonomy,
    qualification: Qualification,
    config: ResponseConfig = ResponseConfig(),
) -> ResponseModel:
    """Regress clicks and applications; DataError with too few of them."""
    features, clicked, applied = sessions.features, sessions.clicked, sessions.applied
    response = fit_response(features, sessions.position, clicked, features[clicked], applied[clicked])
    if config.value == "outcomes":
        known = sessions.moved_to >= 0
        moved_to, job = sessions.moved_to[known], sessions.occupation[known]
        seen = sessions.position[known] ** response.click[-1]
        grade = qualification.table(taxonomy)[moved_to, job]
        looks = look_rates(grade, moved_to == job, applied[known], seen, qualification.same_occupation)
        response = replace(response, looks=looks)
    if config.selection == "promoted":
        won = sessions.won
        response = response.corrected(features[won], sessions.position[won], clicked[won])
    return response


def _score(
    features: np.ndarray,
    shown: pd.DataFrame,
    of_session: _Sessions,
    sessions: np.ndarray,
    affinity: Affinity,
    taxonomy: Taxonomy,
    qualification: Qualification,
    wage: np.ndarray,
) -> None:
    """Fill features float32[n, 6] in the rows of these sessions int64[m]."""
    grades = qualification.table(taxonomy)
    mine = of_session.examples.take(sessions)
    place = np.full(len(of_session.seeker_ids), -1)
    place[sessions] = np.arange(len(sessions))
    rows = np.flatnonzero(place[shown.session] >= 0)
    session, job = place[shown.session.to_numpy()[rows]], shown.occupation.to_numpy()[rows]
    probability, lift = affinity.probabilities(mine), affinity.log_lift(mine)
    current = mine.current[session]
    same = np.where(current >= 0, taxonomy.section[current] == taxonomy.section[job], False)
    own_wage = np.where(current >= 0, wage[current], np.median(wage))
    job_wage = shown.wage.to_numpy()[rows]
    features[rows] = pair_features(
        (probability @ grades)[session, job],
        probability[session, job],
        lift[session, job],
        same,
        np.log(np.where(np.isfinite(job_wage), job_wage, wage[job]) / own_wage),
    )


def _scored(tables: Tables, taxonomy: Taxonomy, shown: pd.DataFrame, features: np.ndarray) -> ScoredSessions:
    won = shown.promoted.eq(True).to_numpy(bool) if "promoted" in shown else np.zeros(len(shown), bool)
    return ScoredSessions(
        features,
        shown.clicked.to_numpy(),
        shown.applied.to_numpy(),
        won,  # a missing flag is none
        shown.position.to_numpy(float),
        shown.occupation.to_numpy(np.int64),
        _next_occupation(tables, taxonomy, shown),
    )


def _next_occupation(tables: Tables, taxonomy: Taxonomy, shown: pd.DataFrame) -> np.ndarray:
    """int64[n]: occupation of the position each impression's seeker began next; -1 where none is on record yet."""
    held = tables["positions"].select(["seeker_id", "occupation", "started_at"]).to_pandas()
    held = held.assign(moved_to=held.occupation.map(taxonomy.position)).sort_values("started_at", kind="stable")
    asked = shown[["seeker_id", "occurred_at"]].reset_index(drop=True)
    asked = asked.astype({"occurred_at": held.started_at.dtype}).sort_values("occurred_at", kind="stable")
    found = pd.merge_asof(
        asked,
        held[["seeker_id", "started_at", "moved_to"]],
        left_on="occurred_at",
        right_on="started_at",
        by="seeker_id",
        direction="forward",
        allow_exact_matches=False,
    )
    return found.moved_to.fillna(-1).set_axis(asked.index).sort_index().to_numpy(np.int64)


@dataclass(frozen=True)
class _Sessions:
    examples: Examples
    seeker_ids: list[str]


def _sessions(tables: Tables, taxonomy: Taxonomy) -> tuple[pd.DataFrame, _Sessions]:
    """Impressions with what became of them, and one example per request: the profile just before it."""
    shown = tables["impressions"].to_pandas().drop_duplicates("event_id")
    jobs = tables["jobs"].to_pandas().drop_duplicates("job_id").set_index("job_id")
    shown = shown[shown.job_id.isin(jobs.index)]
    key = ["request_id", "job_id"]
    clicks = tables["clicks"].select(key).to_pandas().drop_duplicates().assign(clicked=True)
    shown = shown.merge(clicks, on=key, how="left")
    shown["clicked"] = shown.clicked.fillna(False).astype(bool)
    pair = ["seeker_id", "job_id"]
    applied = tables["applications"].select([*pair, "occurred_at"]).to_pandas()
    soon = shown[shown.clicked][["event_id", *pair, "occurred_at"]].merge(applied, on=pair, suffixes=("", "_applied"))
    gap = soon.occurred_at_applied - soon.occurred_at
    within = soon[(gap >= pd.Timedelta(0)) & (gap <= pd.Timedelta("1D"))].event_id
    shown["applied"] = shown.event_id.isin(set(within))
    shown["occupation"] = shown.job_id.map(jobs.occupation).map(taxonomy.position)
    shown["wage"] = shown.job_id.map(jobs.wage) if "wage" in jobs else np.nan
    shown["position"] = shown.position.fillna(1) if "position" in shown else 1

    requests = shown.groupby("request_id", sort=True).agg(seeker_id=("seeker_id", "first"), at=("occurred_at", "min"))
    shown["session"] = shown.request_id.map({request: i for i, request in enumerate(requests.index)})
    as_hires = pd.DataFrame(
        {
            "seeker_id": requests.seeker_id.to_numpy(),
            "applied_at": requests["at"].to_numpy(),
            "occupation": taxonomy.codes[0],
        }
    )
    empty = pa.table({})
    profiles, ids = examples_from_hires(tables, Hires(pa.Table.from_pandas(as_hires, preserve_index=False), empty))
    return shown, _Sessions(profiles, [ids[person] for person in profiles.person])
