"""Everything learned from one set of logs, as one artefact: hires, links, the hire model, response rates, wages.

    logs -> confirmed hires -> links, hire model -> response model (cross-fitted) -> Learned

`fit_learned` is the pipeline of `hiregraph graph fit --logs` and of the demo; serving and simulator read the result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.hires import NOT_HIRED, HireRules, Hires, confirm
from graph.history import examples_from_hires
from graph.linking.edits import load_links
from graph.linking.mining import LinkConfig, mine_links
from graph.linking.no_hires import IMPRESSIONS, NoHireConfig
from graph.links import LinkSet
from graph.model import HireModel
from graph.network.gnn import ModelConfig
from graph.segments import SegmentScheme, fit_segments
from graph.selection.training_set import SelectionConfig, training_set
from graph.train import TrainConfig, fit
from market.artefacts import open_artefact, writing
from market.errors import ArtefactError, ConfigError
from market.qualification import Qualification
from market.tables import Tables
from market.taxonomy import Taxonomy
from targeting.response import ResponseConfig, ResponseModel
from targeting.sessions import cross_fitted_response

FORMAT = 1
KIND = "learned"
# One member, since logs are fitted again and again; chosen on validation persons, see docs/decisions/0008.
SITE_TRAIN = TrainConfig(backwards=0.3, model=ModelConfig(copy="gated"))
SITE_LINKS = LinkConfig(no_hires=NoHireConfig(sources=("applications", "sampled")))


@dataclass(frozen=True)
class LearnedConfig:
    """How to learn from logs, stage by stage; see the configuration of each."""

    seed: int = 0
    hires: HireRules = field(default_factory=HireRules)
    links: LinkConfig = SITE_LINKS
    train: TrainConfig = SITE_TRAIN
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    response: ResponseConfig = field(default_factory=ResponseConfig)
    qualification: Qualification = field(default_factory=Qualification)
    minimum_segment_hires: int = 5
    shuffles: int = 4  # placebos, each learned from another shuffle of the hires
    rarity: float = 0.5  # chosen on validation persons among 0, .5 and 1

    def __post_init__(self) -> None:
        if not 0 <= self.rarity <= 1:
            raise ConfigError(f"rarity is {self.rarity}, expected 0 (expected grade) to 1 (its lift)")


@dataclass(frozen=True)
class Learned:
    """C occupations: wage float64[C] (median of jobs), open_jobs float64[C] (share), hires_by_occupation int64[C];
    seekers_by_occupation int64[C]: people of the logs by present occupation.

    rarity: 0 retrieves by expected grade, 1 by its lift over how common it is; see LearnedConfig.
    attribute_lift: for a seeker attribute value, how much likelier a hire is into a job that has the same value.
    """

    model: HireModel
    links: LinkSet
    response: ResponseModel
    segments: SegmentScheme
    qualification: Qualification
    rarity: float
    wage: np.ndarray
    open_jobs: np.ndarray
    hires_by_occupation: np.ndarray
    seekers_by_occupation: np.ndarray
    attribute_lift: dict[str, float]
    metrics: dict[str, float]

    @property
    def taxonomy(self) -> Taxonomy:
        return self.model.taxonomy

    @cached_property
    def affinity(self) -> Affinity:
        return Affinity(self.model)

    @cached_property
    def occupation_vectors(self) -> np.ndarray:
        """float32[C, C]: rows of the index's graph space: grades of a job of occupation o, over how common they are.

        row o = grade[:, o] / (sum_n popularity_n grade[n, o]) ** rarity
        """
        common = np.maximum(self.model.popularity @ self.grades, 1e-9)  # [C]
        return np.asarray(self.grades.T / common[:, None] ** self.rarity, np.float32)

    def retrieval(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: queries of the graph space. The dot product with an occupation's row is the expected grade of
        a job there under the forecast of the seeker's next occupation, raised for jobs few people would qualify for."""
        return self.affinity.probabilities(examples)

    @cached_property
    def grades(self) -> np.ndarray:
        """float32[C, C]: grade of a job of column's occupation for somebody who moves into row's."""
        return self.qualification.table(self.taxonomy)

    def save(self, folder: Path) -> None:
        """One directory: model/, links/ and rates/; each part carries its own digests.

        For what was just fitted: what `load` gives holds edits of people, which saving would make learned links.
        """
        self.model.save(folder / "model")
        self.links.save(folder / "links")
        with writing(folder / "rates", KIND, FORMAT, metrics=dict(self.metrics)) as scratch:
            np.savez(
                scratch / "occupations.npz",
                wage=self.wage,
                open_jobs=self.open_jobs,
                hires_by_occupation=self.hires_by_occupation,
                seekers_by_occupation=self.seekers_by_occupation,
            )
            (scratch / "response.json").write_text(self.response.to_json())
            content = {
                "segments": self.segments.to_json(),
                "qualification": self.qualification.__dict__,
                "rarity": self.rarity,
                "attribute_lift": self.attribute_lift,
            }
            (scratch / "rates.json").write_text(json.dumps(content))

    @classmethod
    def load(cls, folder: Path) -> Learned:
        folder = Path(folder)
        manifest = open_artefact(folder / "rates", KIND, (FORMAT,))
        content = json.loads((folder / "rates" / "rates.json").read_text())
        arrays = np.load(folder / "rates" / "occupations.npz", allow_pickle=False)
        model = HireModel.load(folder / "model")
        lengths = {name: len(arrays[name]) for name in arrays.files}
        if set(lengths.values()) != {len(model.taxonomy)}:
            raise ArtefactError(
                f"{folder / 'rates'} is about {lengths} occupations, the model {len(model.taxonomy)}; fit both again"
            )
        return cls(
            model,
            load_links(folder),
            ResponseModel.from_json((folder / "rates" / "response.json").read_text()),
            SegmentScheme.from_json(content["segments"]),
            Qualification(**content["qualification"]),
            float(content["rarity"]),
            arrays["wage"],
            arrays["open_jobs"],
            arrays["hires_by_occupation"],
            arrays["seekers_by_occupation"],
            content["attribute_lift"],
            dict(manifest.metrics),
        )


def fit_learned(
    tables: Tables,
    config: LearnedConfig = LearnedConfig(),
    as_of: datetime | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Learned, Hires]:
    """Learn everything from logs; every stage is a pure function of (logs, config)."""
    taxonomy = tables.taxonomy
    progress("confirming hires")
    hires = confirm(tables, as_of, config.hires)
    examples, seekers = examples_from_hires(tables, hires)
    open_jobs, wage = _jobs_by_occupation(tables, taxonomy)
    progress("mining links")
    ignored = ignored_impressions(tables, hires) if IMPRESSIONS in config.links.no_hires.sources else None
    links = mine_links(examples, taxonomy, open_jobs, config.links, _not_hired(tables, hires), ignored)
    progress("training the hire model")
    learnt_from = training_set(tables, hires, config.train, config.selection, config.qualification)
    model = fit(learnt_from.examples, taxonomy, learnt_from.train, weights=learnt_from.weights)
    progress("cross-fitting response rates")
    response = cross_fitted_response(tables, learnt_from, config.qualification, wage, config.response)
    by_occupation = np.bincount(examples.target, minlength=len(taxonomy))
    learned = Learned(
        model,
        links,
        response,
        fit_segments(taxonomy, by_occupation, config.minimum_segment_hires),
        config.qualification,
        config.rarity,
        wage,
        open_jobs,
        by_occupation,
        _seekers_by_occupation(tables, taxonomy),
        _attribute_lift(examples, taxonomy, open_jobs),
        {"persons": len(seekers), "hires": len(hires), "links": len(links)},
    )
    return learned, hires


def save_hires(hires: Hires, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(hires.hires, folder / "hires.parquet", compression="zstd")


def _not_hired(tables: Tables, hires: Hires) -> Examples | None:
    """Applications whose whole window passed without hire, as examples with the job's occupation as target."""
    outcome = hires.outcomes.to_pandas()
    return _examples_at(tables, hires, outcome[outcome.outcome == NOT_HIRED])


def ignored_impressions(tables: Tables, hires: Hires) -> Examples | None:
    """Impressions of jobs the seeker never applied to, as examples with the job's occupation as target."""
    shown = tables["impressions"].select(["event_id", "seeker_id", "job_id", "occurred_at"]).to_pandas()
    shown = shown.drop_duplicates("event_id").rename(columns={"occurred_at": "applied_at"})
    applied = tables["applications"].select(["seeker_id", "job_id"]).to_pandas().drop_duplicates()
    beside = shown.merge(applied, on=["seeker_id", "job_id"], how="left", indicator=True)
    return _examples_at(tables, hires, beside[beside._merge == "left_only"].drop(columns="_merge"))


def _examples_at(tables: Tables, hires: Hires, events: pd.DataFrame) -> Examples | None:
    """What was known of the seeker at each event (event_id, seeker_id, job_id, applied_at)."""
    jobs = tables["jobs"].select(["job_id", "employer_id", "occupation"]).to_pandas().drop_duplicates("job_id")
    table = events.merge(jobs, on="job_id")
    if not len(table):
        return None
    table = table.assign(application_event_id=table.event_id, started_at=table.applied_at, rule="")
    examples, _ = examples_from_hires(tables, Hires(pa.Table.from_pandas(table, preserve_index=False), hires.outcomes))
    return examples


def _jobs_by_occupation(tables: Tables, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Share of jobs and median wage, float64[C] each; unknown wages take the section's, then the overall median."""
    columns = [name for name in ("occupation", "wage") if name in tables["jobs"].column_names]
    jobs = tables["jobs"].select(columns).to_pandas()
    jobs["occupation"] = jobs.occupation.map(taxonomy.position)
    share = np.bincount(jobs.occupation, minlength=len(taxonomy)).astype(float)
    if "wage" not in jobs or jobs.wage.isna().all():
        return share / share.sum(), np.ones(len(taxonomy))
    jobs["section"] = taxonomy.section[jobs.occupation]
    wage = np.full(len(taxonomy), jobs.wage.median())
    of_section = jobs.groupby("section").wage.median()
    for section, median in of_section.items():
        wage[taxonomy.section == section] = median
    of_occupation = jobs.groupby("occupation").wage.median().dropna()
    wage[of_occupation.index.to_numpy()] = of_occupation.to_numpy()
    return share / share.sum(), wage


def _seekers_by_occupation(tables: Tables, taxonomy: Taxonomy) -> np.ndarray:
    held = tables["positions"].select(["seeker_id", "occupation", "started_at"]).to_pandas()
    present = held.sort_values(["seeker_id", "started_at"]).drop_duplicates("seeker_id", keep="last")
    return np.bincount(present.occupation.map(taxonomy.position), minlength=len(taxonomy))


def _attribute_lift(examples: Examples, taxonomy: Taxonomy, open_jobs: np.ndarray) -> dict[str, float]:
    """P(job has the value | hired seeker has it) / P(job has the value), smoothed with one pseudo hire at lift 1."""
    current = examples.current
    known = (current >= 0) & (examples.target >= 0)
    mine, target = current[known], examples.target[known]
    found: dict[str, float] = {}

    def put(kind: str, own: np.ndarray, job: np.ndarray, share: np.ndarray, names: tuple[str, ...]) -> None:
        have = np.bincount(own, minlength=len(names)).astype(float)
        hit = np.bincount(own[own == job], minlength=len(names)).astype(float)
        base = np.maximum(share, 1e-9)
        lift = (hit + 1) / (have * base + 1)
        found.update({f"{kind}={names[i]}": float(lift[i]) for i in np.flatnonzero(have)})

    section, major = taxonomy.section, taxonomy.major
    put("occupation", mine, target, open_jobs, taxonomy.codes)
    put("section", section[mine], section[target], np.bincount(section, open_jobs), taxonomy.section_names)
    put("major", major[mine], major[target], np.bincount(major, open_jobs), taxonomy.major_names)
    before = examples.item_at(1)
    has = (before >= 0) & (before != current) & (examples.target >= 0)
    put("past_occupation", before[has], examples.target[has], open_jobs, taxonomy.codes)
    return found
