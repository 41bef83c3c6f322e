"""The audit: who is hired, reached and predicted well, by sex, race or ethnicity, and both.

This is the only module that reads protected attributes from a file. They are joined to finished predictions, person by
person, and only groups leave it: every table goes through the privacy floor. What it writes is data for an audit, not
an audit.

    report.json        see `audit`
    segments.parquet   one row per attribute, measure, segment and group, for whoever plans a fair delivery:
        attribute      sex | race
        measure        hired: changes of occupation into the segment; reached: people in the segment's promoted audience
        segment        name of the job segment, or "the rest": all segments with a cell too small to be shown
        segments       number of segments behind the row
        group          name of the group
        people         people of the group in the data
        count          hires of the group, or its reached people
        share          count / count of all groups of the segment
        rate           count / (people * segments)
        impact_ratio   rate / highest rate of the segment's groups
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graph.affinity import Affinity
from graph.bipartite import Examples, examples_from_careers, latest_of_careers
from graph.calibration import reliability, top_one
from graph.evaluate import summarise
from graph.fairness.impact import Partition, above_median, audience, impact_table, segment_rows, steering
from graph.fairness.privacy import PrivacyFloor
from graph.model import HireModel
from graph.predictions import Predictions, predict
from graph.segments import SegmentScheme, fit_segments
from market.artefacts import writing
from market.bootstrap import cluster_bootstrap
from market.careers import Careers
from market.errors import ConfigError, DataError

KIND, FORMAT = "hire-audit", 1
AUDIT_FILE = "audit_attributes"
SEX, SEX_COLUMN = {1: "Male", 2: "Female"}, "sex_1m_2f"
RACE, RACE_COLUMN = {1: "Hispanic", 2: "Black", 3: "Neither Hispanic nor Black"}, "race_1h_2b_3o"
BINS = 10
DRAWS = 500


@dataclass(frozen=True)
class AuditConfig:
    """theta: share of the seekers in a segment's promoted audience, those of the highest lift: they are "selected".

    minimum_people: cells of fewer are not shown; smallest_share: categories with less of the data get no impact ratio;
    segment_hires: occupations with fewer hires are counted with their section or major group.
    """

    theta: float = 0.1
    minimum_people: int = 20
    smallest_share: float = 0.02
    segment_hires: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.theta < 1 or not 0 <= self.smallest_share < 1:
            raise ConfigError(f"theta is {self.theta}, smallest_share {self.smallest_share}; expected between 0 and 1")
        if self.segment_hires < 0:
            raise ConfigError(f"segment_hires is {self.segment_hires}; expected 0 or more")
        PrivacyFloor(self.minimum_people)


@dataclass(frozen=True)
class AuditAttributes:
    """sex, race int8[P]: position in the names of SEX and RACE, -1 unknown; in the order of careers.person_ids."""

    sex: np.ndarray
    race: np.ndarray

    def partitions(self) -> tuple[Partition, Partition, Partition]:
        """Sex, race, and both: group sex * 3 + race, so that a table [sex, race] is the counts reshaped."""
        both = np.where((self.sex >= 0) & (self.race >= 0), self.sex.astype(int) * len(RACE) + self.race, -1)
        names = tuple(f"{sex}, {race}" for sex in SEX.values() for race in RACE.values())
        return (
            Partition("sex", tuple(SEX.values()), self.sex),
            Partition("race", tuple(RACE.values()), self.race),
            Partition("sex and race", names, both),
        )


@dataclass(frozen=True)
class AuditReport:
    """document: what report.json holds; segments: the table of segments.parquet."""

    document: dict[str, Any]
    segments: pa.Table

    def save(self, folder: Path) -> None:
        with writing(folder, KIND, FORMAT, config=self.document["config"]) as scratch:
            (scratch / "report.json").write_text(json.dumps(self.document, indent=1) + "\n")
            pq.write_table(self.segments, scratch / "segments.parquet")


def is_audited(folder: Path) -> bool:
    """Whether a careers directory has the attributes beside its careers."""
    return any(path.is_file() for path in _paths(folder))


def _paths(folder: Path) -> tuple[Path, ...]:
    return tuple(Path(folder) / f"{AUDIT_FILE}{end}" for end in (".csv.gz", ".csv"))


def read_audit_attributes(folder: Path, careers: Careers) -> AuditAttributes:
    """The attributes of the persons of a careers directory; a person without a row, or with an empty value, is unknown.

    DataError if the file is missing, damaged, lacks a column, or has a person twice or a code it should not.
    """
    path = next((path for path in _paths(folder) if path.is_file()), None)
    if path is None:
        raise DataError(AUDIT_FILE, f"{Path(folder) / AUDIT_FILE}.csv.gz (or .csv) not found", "an audit needs it")
    try:
        frame = pd.read_csv(path, dtype={"person_id": str})
    except (ValueError, OSError, EOFError, zlib.error) as problem:
        first = str(problem).splitlines()[0]
        raise DataError(AUDIT_FILE, f"{path} can not be read ({first})", "write it as CSV") from None
    for column in ("person_id", SEX_COLUMN, RACE_COLUMN):
        if column not in frame.columns:
            raise DataError(AUDIT_FILE, f"column {column!r} is missing (found {list(frame.columns)})", "add the column")
    ids = frame.person_id.str.strip()
    if ids.duplicated().any():
        raise DataError(AUDIT_FILE, "a second row of the same person", "keep one", int(ids.duplicated().argmax()))
    known = []
    for column, names in ((SEX_COLUMN, SEX), (RACE_COLUMN, RACE)):
        wrong = ~(frame[column].isna() | frame[column].isin(list(names)))
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(AUDIT_FILE, f"{column} is {frame[column][row]}", f"use one of {list(names)}", row)
        code = dict(zip(ids, frame[column].map({value: i for i, value in enumerate(names)}), strict=True))
        found = np.array([code.get(person_id, np.nan) for person_id in careers.person_ids], np.float64)
        known.append(np.where(np.isnan(found), -1, found).astype(np.int8))
    return AuditAttributes(*known)


def audit(
    model: HireModel,
    careers: Careers,
    attributes: AuditAttributes,
    config: AuditConfig,
    rng: np.random.Generator,
) -> AuditReport:
    """The report on the people of `careers`, read with `read_careers(folder, taxonomy=model.taxonomy)`.

    People of unknown sex or race are left out of everything; their number is stated, or None if it is small itself.

    {"config", "people", "unknown", "segments", "hires",
     "impact": {attribute: rows of `impact_table`},
     "quality": {attribute: [{"category", "people", "changes", "recall@10", "mrr", "mrr_ci95", "ratio", "ratio_ci95",
                 "top1_ece", "top1_floor", "withheld"}]},                 of changes, probabilities given a change
     "representation": {attribute: {"hired" | "reached": {"steering": ..., "pooled": number of segments}}}}

    attribute is "sex", "race" or "sex and race"; representation has the first two, its rows are the table of segments.
    """
    floor = PrivacyFloor(config.minimum_people)
    known = (attributes.sex >= 0) & (attributes.race >= 0)
    if not known.any():
        raise DataError(AUDIT_FILE, "sex and race are unknown for everybody", "check the person ids")
    careers, attributes = careers.of_persons(known), AuditAttributes(attributes.sex[known], attributes.race[known])
    unknown = int((~known).sum())
    scheme = fit_segments(model.taxonomy, model.outcomes - np.diag(model.transitions), config.segment_hires)
    seekers = latest_of_careers(careers, np.arange(len(careers.person_ids)))
    scores = _segment_chances(model, seekers, scheme)  # [P, s]
    chosen, scored = audience(scores, config.theta), above_median(scores)
    made = predict(model, examples_from_careers(careers))
    person, segment = _hires(made.examples, scheme)
    hired = np.zeros(chosen.shape, bool)
    hired[segment, person] = True

    impact, quality, representation, rows = {}, {}, {}, []
    for partition in attributes.partitions():
        withheld = _withheld(partition, made.examples, floor)
        impact[partition.attribute] = impact_table(partition, chosen, scored, withheld, config.smallest_share)
        quality[partition.attribute] = _quality(partition, made, withheld, rng)
        if partition.attribute == "sex and race":
            continue
        representation[partition.attribute] = {}
        for measure, member, count in (
            ("hired", hired, _events(partition, person, segment, len(scheme))),
            ("reached", chosen, np.stack([partition.count(np.flatnonzero(found)) for found in chosen])),
        ):
            part = segment_rows(partition, measure, member, count, scheme.names, floor)
            alone = len({row["segment"] for row in part if row["segments"] == 1})
            representation[partition.attribute][measure] = {
                "shown": alone,
                "pooled": len(scheme) - alone,
                "steering": steering(part),
            }
            rows += part
    document = {
        "config": asdict(config),
        "people": int(known.sum()),
        "unknown": unknown if unknown == 0 or unknown >= config.minimum_people else None,
        "segments": len(scheme),
        "hires": len(person),
        "impact": impact,
        "quality": quality,
        "representation": representation,
    }
    return AuditReport(document, pa.Table.from_pylist(rows, schema=_SEGMENT_SCHEMA))


_SEGMENT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("attribute", "measure", "segment")]
    + [("segments", pa.int64()), ("group", pa.string()), ("people", pa.int64()), ("count", pa.int64())]
    + [(name, pa.float64()) for name in ("share", "rate", "impact_ratio")]
)


def _segment_chances(model: HireModel, seekers: Examples, scheme: SegmentScheme) -> np.ndarray:
    """float64[P, s]: P(next occupation is in the segment); within a segment its order is that of the lift."""
    chances = Affinity(model).probabilities(seekers)  # [P, C]
    return np.stack([chances[:, scheme.of_occupation == s].sum(axis=1) for s in range(len(scheme))], axis=1)


def _hires(examples: Examples, scheme: SegmentScheme) -> tuple[np.ndarray, np.ndarray]:
    """(person, segment) of every change into an occupation the model knows."""
    rows = examples.changed & (examples.target < len(scheme.of_occupation))
    return examples.person[rows], scheme.of_occupation[examples.target[rows]]


def _events(partition: Partition, person: np.ndarray, segment: np.ndarray, segments: int) -> np.ndarray:
    """int64[s, g]: hires of each group into each segment."""
    group = partition.group[person]
    found = np.zeros((segments, len(partition)), np.int64)
    np.add.at(found, (segment[group >= 0], group[group >= 0]), 1)
    return found


def _withheld(partition: Partition, examples: Examples, floor: PrivacyFloor) -> np.ndarray:
    """bool[g]: too few people, or too few with a change. Of sex and race together a race goes with both its sexes."""
    everybody = partition.count(np.arange(len(partition.group)))
    movers = partition.count(np.unique(examples.person[examples.changed]))
    columns = len(RACE) if partition.attribute == "sex and race" else len(partition)
    hidden = floor.withheld(np.stack([everybody, movers]).reshape(-1, columns))
    return np.tile(hidden, len(partition) // columns)


def _quality(
    partition: Partition, made: Predictions, withheld: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One row a category: how well its changes are predicted, and whether the probabilities are right for it."""
    rows = []
    for g, name in enumerate(partition.names):
        if withheld[g]:
            rows.append({"category": name, "withheld": True})
            continue
        mine = made.examples.changed & (partition.group[made.examples.person] == g)
        person, ranks = made.examples.person[mine], made.change_rank[mine]
        pairs = made.change_pairs.of(mine)
        ratio = cluster_bootstrap(
            made.examples.person[pairs.instance], pairs.happened, pairs.predicted, rng=rng, draws=DRAWS
        )
        best = top_one(made.change_confidence[mine], made.change_hit[mine], BINS)
        quality = summarise(ranks)
        rows.append(
            {
                "category": name,
                "withheld": False,
                "people": len(np.unique(person)),
                "changes": int(mine.sum()),
                "recall@10": quality["recall@10"],
                "mrr": quality["mrr"],
                "mrr_ci95": cluster_bootstrap(person, 1 / ranks, rng=rng, draws=DRAWS).report()["ci95"],
                "ratio": ratio.value,
                "ratio_ci95": ratio.report()["ci95"],
                "slope": reliability(pairs.predicted, pairs.happened, BINS)["slope"],
                "top1_ece": best["ece"],
                "top1_floor": best["floor"],
            }
        )
    return rows
