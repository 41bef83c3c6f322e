"""Two towers, one space: jobs on one side, what a seeker asks on the other; the inner product says how well they fit.

Towers        the interface that learned towers share with the one below
TextTowers    no training: weighted means of text vectors
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from market.errors import ConfigError
from market.records import Job, SeekerProfile
from market.text import TextVectors


@dataclass(frozen=True)
class Request:
    """What is asked: a profile, words typed now, and the jobs of the seeker's activity, newest first."""

    seeker: SeekerProfile
    query: str | None = None
    liked: tuple[Job, ...] = ()  # applied to or saved
    dismissed: tuple[Job, ...] = ()

    @property
    def says_nothing(self) -> bool:
        """Nothing to personalise by: a dismissal alone does not say what is wanted."""
        texts = (self.query or "", *self.seeker.titles, *self.seeker.skills)
        return not self.liked and not any(text.strip() for text in texts)


class Towers(Protocol):
    """Vectors have length 1; a request that says nothing may be a row of zeros."""

    @property
    def dimension(self) -> int: ...

    def job_vectors(self, jobs: Sequence[Job]) -> np.ndarray:
        """float32[n, dimension], row i for jobs[i]."""
        ...

    def request_vectors(self, requests: Sequence[Request]) -> np.ndarray:
        """float32[n, dimension], row i for requests[i]."""
        ...


@dataclass(frozen=True)
class TextWeights:
    """Weights of the parts, chosen by hand, not tuned: within a side only their proportions matter."""

    title: float = 0.7
    description: float = 0.3
    query: float = 1.0
    titles: float = 0.6
    title_decay: float = 0.6  # each older title counts this much of the one after it
    skills: float = 0.3
    liked: float = 0.5
    dismissed: float = 0.1  # subtracted

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise ConfigError(f"{field.name} is {value}, expected a finite weight of at least 0")
        if not self.title:
            raise ConfigError("title is 0: a job with a title alone would have no vector; give it a weight")


class TextTowers:
    """Both towers are weighted means of vectors of one text encoder, scaled to length 1.

    job      .7 title + .3 (description and skills)
    request  query + .6 titles (newest first, decay .6) + .3 skills + .5 mean of liked jobs - .1 mean of dismissed jobs

    Parts that are missing are left out. Requests, and the jobs of their activity, go through `request_encoder` where
    one is given: a fast student of `encoder`, in the same space.
    """

    def __init__(
        self, encoder: TextVectors, weights: TextWeights | None = None, request_encoder: TextVectors | None = None
    ) -> None:
        self._encoder, self._request_encoder = encoder, request_encoder or encoder
        self._weights = weights or TextWeights()
        if self._request_encoder.dimension != encoder.dimension:
            raise ConfigError(
                f"request_encoder has {self._request_encoder.dimension} dimensions, the encoder {encoder.dimension}; "
                "give one that was fitted to this encoder"
            )

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def job_vectors(self, jobs: Sequence[Job]) -> np.ndarray:
        return self._means(self._encoder, [self._job_parts(job) for job in jobs])

    def request_vectors(self, requests: Sequence[Request]) -> np.ndarray:
        mentioned = dict.fromkeys(job for request in requests for job in (*request.liked, *request.dismissed))
        vectors = self._means(self._request_encoder, [self._job_parts(job) for job in mentioned])  # [m, d]
        of_job = dict(zip(mentioned, vectors, strict=True))
        activity = [self._activity(request, of_job) for request in requests]
        return self._means(self._request_encoder, [self._request_parts(request) for request in requests], activity)

    def _job_parts(self, job: Job) -> list[tuple[float, str]]:
        described = ". ".join(part for part in (job.description.strip(), ", ".join(job.skills)) if part)
        return _given([(self._weights.title, job.title), (self._weights.description, described)])

    def _request_parts(self, request: Request) -> list[tuple[float, str]]:
        weights, titles = self._weights, [title for title in request.seeker.titles if title.strip()]
        decay = weights.title_decay ** np.arange(len(titles))
        shares = weights.titles * decay / decay.sum() if titles else decay
        return _given(
            [
                (weights.query, request.query or ""),
                *zip(shares.tolist(), titles, strict=True),
                (weights.skills, ", ".join(request.seeker.skills)),
            ]
        )

    def _activity(self, request: Request, of_job: dict[Job, np.ndarray]) -> np.ndarray:
        """float64[d]: what the jobs of the activity add to the request."""
        total = np.zeros(self.dimension)
        for weight, jobs in ((self._weights.liked, request.liked), (-self._weights.dismissed, request.dismissed)):
            for job in jobs:
                total += weight / len(jobs) * of_job[job]
        return total

    def _means(
        self, encoder: TextVectors, parts: Sequence[list[tuple[float, str]]], plus: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """float32[n, d]: per row the weighted sum of its texts' vectors (and plus), scaled to length 1.

        Rows are summed one by one in float64: a row does not depend on the others.
        """
        texts = {text: None for row in parts for _, text in row}
        of_text = dict(zip(texts, encoder.encode(list(texts)), strict=True))
        out = np.zeros((len(parts), self.dimension), np.float32)
        for number, row in enumerate(parts):
            total = np.zeros(self.dimension) if plus is None else plus[number]
            for weight, text in row:
                total = total + weight * of_text[text].astype(np.float64)
            length = float(np.sqrt((total * total).sum()))
            if length > 1e-9:
                out[number] = total / length
        return out


def _given(parts: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(weight, text.strip()) for weight, text in parts if weight and text.strip()]
