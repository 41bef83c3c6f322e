"""Learned towers as serving knows them: weights, the encoders they read with, one artefact. No torch.

A request or job becomes features (`features.py`) and goes through its tower (`network.py` has the formula) in float64,
in passes of exactly 16 rows, the last one filled up with zeros: every row meets the same shapes alone or in a crowd.

The artefact holds towers.safetensors (weights, and vectors of a few probe texts), occupations.json, and `student/`
where requests are read by a student of the encoder. A model meets only encoders that give its probes the vectors it was
trained with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from market.artefacts import Manifest, open_artefact, writing
from market.errors import ArtefactError
from market.records import Job
from market.text import TextVectors
from organic.language.student import StaticEncoder, StudentConfig
from organic.learning.features import FeatureConfig, Features, described, job_features, request_features
from organic.towers import Request

KIND, FORMAT = "engagement-towers", 1
ROWS_PER_PASS = 16
PROBES = ("registered nurse", "truck driver", "software developer", "line cook", "accounting, spreadsheets")
LEAST_COSINE = 0.999  # of a probe with itself; other hardware moves vectors by about 1e-6


@dataclass(frozen=True)
class TowerWeights:
    """inner [H, W], inner_bias [H], outer [D, H], direct [D, W], entities [buckets, D]; see `network.py`."""

    inner: np.ndarray
    inner_bias: np.ndarray
    outer: np.ndarray
    direct: np.ndarray
    entities: np.ndarray

    def vectors(self, features: Features) -> np.ndarray:
        """float32[n, D], of length 1 (0 where a row comes out as nothing)."""
        inner, outer, direct = (part.T.astype(np.float64) for part in (self.inner, self.outer, self.direct))
        out = np.zeros((len(features), outer.shape[1]), np.float32)
        for start in range(0, len(features), ROWS_PER_PASS):
            rows = np.arange(start, min(start + ROWS_PER_PASS, len(features)))
            dense = np.zeros((ROWS_PER_PASS, inner.shape[0]))
            dense[: len(rows)] = features.dense(rows)
            total = np.maximum(dense @ inner + self.inner_bias, 0) @ outer + dense @ direct  # [16, D]
            buckets, begins, weights = features.bags(rows)
            ends = np.append(begins[1:], len(buckets))
            for place, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
                vectors = self.entities[buckets[begin:end]].astype(np.float64)
                total[place] += (weights[begin:end, None] * vectors).sum(0)
            lengths = np.sqrt((total * total).sum(1, keepdims=True))
            out[rows] = (total / np.maximum(lengths, 1e-12))[: len(rows)]
        return out


class LearnedTowers:
    """`organic.towers.Towers`, trained on engagement. A request that says nothing is a row of zeros."""

    def __init__(
        self,
        request: TowerWeights,
        job: TowerWeights,
        encoder: TextVectors,
        occupations: Mapping[str, str],
        request_encoder: TextVectors | None = None,
        config: FeatureConfig | None = None,
    ) -> None:
        self._request, self._job, self._occupations = request, job, dict(occupations)
        self._encoder, self._request_encoder = encoder, request_encoder or encoder
        self._config = config or FeatureConfig()

    @property
    def dimension(self) -> int:
        return int(self._job.outer.shape[0])

    def job_vectors(self, jobs: Sequence[Job]) -> np.ndarray:
        """float32[n, dimension]; jobs that say the same are computed once."""
        alike = [(job.title, described(job), job.occupation, job.seniority) for job in jobs]
        first = dict(zip(reversed(alike), range(len(jobs) - 1, -1, -1), strict=True))
        chosen = sorted(first.values())
        row_of = {alike[place]: row for row, place in enumerate(chosen)}
        features = job_features([jobs[place] for place in chosen], self._encoder, self._occupations, self._config)
        return self._job.vectors(features)[[row_of[key] for key in alike]]

    def request_vectors(self, requests: Sequence[Request]) -> np.ndarray:
        """float32[n, dimension]."""
        features = request_features(requests, self._request_encoder, self._occupations, self._config)
        vectors = self._request.vectors(features)
        vectors[[request.says_nothing for request in requests]] = 0
        return vectors

    def save(
        self,
        path: Path,
        *,
        config: Mapping[str, Any] | None = None,
        seed: int | None = None,
        inputs: Mapping[str, str] | None = None,
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """Write the artefact; `config` is kept beside the configuration of the features."""
        from safetensors.numpy import save_file

        arrays = {
            **_named("request", self._request),
            **_named("job", self._job),
            "probes": self._encoder.encode(PROBES),
            "request_probes": self._request_encoder.encode(PROBES),
        }
        written = {**(config or {}), "features": asdict(self._config)}
        with writing(path, KIND, FORMAT, config=written, seed=seed, inputs=inputs, metrics=metrics) as folder:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, _weights_file(folder))
            (folder / "occupations.json").write_text(json.dumps(self._occupations, indent=0) + "\n", encoding="utf-8")
            if isinstance(self._request_encoder, StaticEncoder):
                self._request_encoder.save(folder / "student", StudentConfig(), {}, {})

    @classmethod
    def load(
        cls, path: Path, encoder: TextVectors, request_encoder: TextVectors | None = None
    ) -> tuple[LearnedTowers, Manifest]:
        """The towers and their manifest. ArtefactError for an encoder that is not the one of the training.

        Requests are read by `request_encoder`, else by the student of the artefact, else by `encoder`.
        """
        from safetensors.numpy import load_file

        manifest = open_artefact(path, KIND, (FORMAT,))
        arrays = load_file(_weights_file(Path(path)))
        if request_encoder is None and (Path(path) / "student").is_dir():
            request_encoder = StaticEncoder.load(Path(path) / "student")
        _same_encoder("text", encoder, arrays["probes"], path)
        _same_encoder("request text", request_encoder or encoder, arrays["request_probes"], path)
        towers = cls(
            _weights_of("request", arrays),
            _weights_of("job", arrays),
            encoder,
            json.loads((Path(path) / "occupations.json").read_text(encoding="utf-8")),
            request_encoder,
            FeatureConfig(**manifest.config["features"]),
        )
        return towers, manifest


def _same_encoder(what: str, encoder: TextVectors, probes: np.ndarray, path: Path) -> None:
    if encoder.dimension != probes.shape[1]:
        raise ArtefactError(
            f"{path} was trained with a {what} encoder of {probes.shape[1]} dimensions, this one has "
            f"{encoder.dimension}; give the encoder of the training, or train again"
        )
    cosines = (encoder.encode(PROBES).astype(np.float64) * probes).sum(1)
    lengths = (probes.astype(np.float64) ** 2).sum(1)
    if (cosines < LEAST_COSINE * lengths).any():
        raise ArtefactError(
            f"{path} was trained with another {what} encoder (a probe has cosine {cosines.min():.3f}); give the "
            "encoder of the training, or train again"
        )


def _named(side: str, weights: TowerWeights) -> dict[str, np.ndarray]:
    return {f"{side}.{name}": np.asarray(value, np.float32) for name, value in vars(weights).items()}


def _weights_of(side: str, arrays: Mapping[str, np.ndarray]) -> TowerWeights:
    return TowerWeights(**{field.name: arrays[f"{side}.{field.name}"] for field in fields(TowerWeights)})


def _weights_file(folder: Path) -> Path:
    return folder / "towers.safetensors"
