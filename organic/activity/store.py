"""The vector of every seeker: computed for all at once, and again for one with each new event.

Both ways end in the same call on the same row, so they give the same bits: a store that was built from a log, and one
that was told the log event by event, are equal (late and repeated events too). What a seeker has done is kept as far as
a vector can depend on it: the newest `length` actions, 13 bytes each.

A seeker with fewer actions in the window than the minimum is flagged: its vector says little, and a request falls back
to the profile. One without any has a vector of zeros.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from market.artefacts import open_artefact, reading, writing
from market.errors import ArtefactError, DataError, NotFoundError
from market.records import ActivityKind
from organic.activity.aggregators import Aggregator, restored
from organic.activity.sequences import ACTIONS, ActivityLog, Sequences, WindowConfig, activity_log, latest, microseconds

KIND, FORMAT = "activity-store", 1
EVENT_BYTES = 13  # time int64, job int32, action int8


@dataclass(frozen=True)
class Activity:
    """vector float32[width]; actions: how many it is made of; fallback: fewer than the minimum, use the profile."""

    vector: np.ndarray
    actions: int
    fallback: bool


class _Seeker:
    """events: the newest (at, job, action), sorted; as_of: the time its vector is for."""

    __slots__ = ("actions", "as_of", "events", "vector")

    def __init__(self, as_of: int, width: int) -> None:
        self.events: list[tuple[int, int, int]] = []
        self.as_of, self.actions = as_of, 0
        self.vector = np.zeros(width, np.float32)


class ActivityStore:
    """Vectors of seekers by id. job_ids and jobs float32[J, D] say what the events are about. Not thread-safe."""

    def __init__(
        self, aggregator: Aggregator, job_ids: Sequence[str], jobs: np.ndarray, config: WindowConfig | None = None
    ) -> None:
        if jobs.ndim != 2 or len(jobs) != len(job_ids):
            raise DataError("jobs", f"vectors {jobs.shape} for {len(job_ids)} ids", "give one row per id")
        self.aggregator, self.config = aggregator, config or WindowConfig()
        self.job_ids, self.jobs = tuple(job_ids), jobs
        self.width = aggregator.width(jobs.shape[1])
        self._row_of = {job_id: row for row, job_id in enumerate(self.job_ids)}
        self._seekers: dict[str, _Seeker] = {}

    def __len__(self) -> int:
        return len(self._seekers)

    def build(self, log: ActivityLog, as_of: int) -> None:
        """Forget everything and compute all seekers of the log as of that microsecond; log.job_ids are this store's."""
        if log.job_ids != self.job_ids:
            raise DataError("activity", "the log speaks of other jobs than the store", "read both from one export")
        self._seekers = {}
        rows = latest(log, self.jobs, as_of, self.config)
        vectors = self.aggregator.vectors(rows)
        kept = latest(log, self.jobs, as_of, WindowConfig(self.config.length, None, self.config.minimum))
        for number, owner in enumerate(rows.owner.tolist()):
            seeker = _Seeker(as_of, self.width)
            held = slice(0, int(kept.count[number]))
            columns = (kept.at[number, held], kept.job[number, held], kept.action[number, held])
            seeker.events = list(zip(*(column.tolist() for column in columns), strict=True))
            seeker.vector, seeker.actions = vectors[number], int(rows.count[number])
            self._seekers[log.seeker_ids[owner]] = seeker

    def update(self, seeker_id: str, job_id: str, action: ActivityKind, at: datetime) -> Activity:
        """Take in one event and return the new vector; an event that is known already changes nothing.

        The vector is as of the newest time this seeker is known at: an event that comes late is put where it belongs.
        NotFoundError for a job without a vector, DataError for an action that is none.
        """
        if job_id not in self._row_of:
            raise NotFoundError(f"job {job_id!r} has no vector here; add the job first")
        if action not in ACTIONS:
            raise DataError("activity", f"action {str(action)[:40]!r}", f"use one of {', '.join(ACTIONS)}")
        time = microseconds(at)
        seeker = self._seekers.setdefault(seeker_id, _Seeker(time, self.width))
        event = (time, self._row_of[job_id], ACTIONS.index(action))
        if event not in seeker.events:
            insort(seeker.events, event)
            del seeker.events[: -self.config.length]
        seeker.as_of = max(seeker.as_of, time)
        self._compute(seeker)
        return self.of(seeker_id)

    def refresh(self, as_of: int) -> None:
        """Bring every vector to that microsecond: actions leave the window though nothing happens."""
        for seeker in self._seekers.values():
            seeker.as_of = max(seeker.as_of, as_of)
            self._compute(seeker)

    def of(self, seeker_id: str) -> Activity:
        """What is known of a seeker; zeros and the flag for one never heard of."""
        seeker = self._seekers.get(seeker_id)
        if seeker is None:
            return Activity(np.zeros(self.width, np.float32), 0, True)
        return Activity(seeker.vector, seeker.actions, seeker.actions < self.config.minimum)

    def storage(self) -> dict[str, float]:
        """Bytes per seeker, means over the seekers: the vector (what a ranker reads) and the actions (to update it)."""
        events = sum(len(seeker.events) for seeker in self._seekers.values())
        seekers = max(len(self._seekers), 1)
        below = sum(seeker.actions < self.config.minimum for seeker in self._seekers.values())
        return {
            "seekers": len(self._seekers),
            "vector_bytes": 4.0 * self.width,
            "event_bytes": EVENT_BYTES * events / seekers,
            "fallback_share": below / seekers,
        }

    def save(self, folder: Path) -> None:
        """Write aggregator, jobs, events and vectors as one artefact."""
        settings, arrays = self.aggregator.state()
        config = {"aggregator": self.aggregator.name, "settings": settings, "window": asdict(self.config)}
        ids = sorted(self._seekers)
        rows = [(number, *event) for number, name in enumerate(ids) for event in self._seekers[name].events]
        columns = list(zip(*rows, strict=True)) or [()] * 4
        with writing(folder, KIND, FORMAT, config=config, metrics=self.storage()) as scratch:
            save_file(
                {"jobs": self.jobs, **{f"net.{name}": a for name, a in arrays.items()}}, scratch / "arrays.safetensors"
            )
            stacked = [self._seekers[name].vector for name in ids]
            as_of = np.array([self._seekers[name].as_of for name in ids], np.int64)
            actions = np.array([self._seekers[name].actions for name in ids], np.int32)
            vectors = np.stack(stacked) if stacked else np.zeros((0, self.width), np.float32)
            save_file({"vectors": vectors, "as_of": as_of, "actions": actions}, scratch / "vectors.safetensors")
            types = (pa.int32(), pa.int64(), pa.int32(), pa.int8())
            names = ("seeker", "at", "job", "action")
            events = {name: pa.array(c, t) for name, c, t in zip(names, columns, types, strict=True)}
            pq.write_table(pa.table(events), scratch / "events.parquet", compression="zstd")
            (scratch / "ids.json").write_text(json.dumps({"seekers": ids, "jobs": list(self.job_ids)}))

    @staticmethod
    def load(folder: Path) -> ActivityStore:
        """What `save` wrote; ArtefactError when it is damaged or something else."""
        return reading(Path(folder), lambda: _read(Path(folder)))

    def _compute(self, seeker: _Seeker) -> None:
        row = self._row(seeker)
        seeker.vector, seeker.actions = self.aggregator.vectors(row)[0], int(row.count[0])

    def _row(self, seeker: _Seeker) -> Sequences:
        columns = np.array(seeker.events, np.int64).reshape(-1, 3)
        log = activity_log([""] * len(columns), self.job_ids, columns[:, 1], columns[:, 2], columns[:, 0])
        return latest(log, self.jobs, seeker.as_of, self.config)


def _read(folder: Path) -> ActivityStore:
    manifest = open_artefact(folder, KIND, (FORMAT,))
    try:
        arrays, state = load_file(folder / "arrays.safetensors"), load_file(folder / "vectors.safetensors")
        ids = json.loads((folder / "ids.json").read_text())
        jobs, config = arrays.pop("jobs"), manifest.config
        net = {name.removeprefix("net."): array for name, array in arrays.items()}
        aggregator = restored(config["aggregator"], config["settings"], net, jobs.shape[1])
        store = ActivityStore(aggregator, ids["jobs"], jobs, WindowConfig(**config["window"]))
        events = pq.read_table(folder / "events.parquet").to_pydict()
        columns = (state["as_of"].tolist(), state["actions"].tolist(), state["vectors"])
        for name, as_of, actions, vector in zip(ids["seekers"], *columns, strict=True):
            seeker = store._seekers[name] = _Seeker(as_of, store.width)
            seeker.actions, seeker.vector = actions, vector
        for number, *event in zip(*(events[name] for name in ("seeker", "at", "job", "action")), strict=True):
            store._seekers[ids["seekers"][number]].events.append(tuple(event))
    except (KeyError, TypeError, IndexError) as problem:
        raise ArtefactError(f"{folder} is no complete activity store ({problem!r}); fit it again") from None
    return store
