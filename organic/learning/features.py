"""What each tower reads: means of text vectors (deep) and hashed entities (wide). Places are filters, never features.

    request   query, newest title, earlier titles (decay .6), skills, jobs liked, jobs dismissed
              entities: titles and the occupations they name, skills, seniority, occupations of jobs liked and dismissed
    job       title, description and skills, title of its occupation
              entities: title, occupation, skills, seniority

Entities that mean the same have one name on both sides. `occupations`, {code: title}, is the classification of the
logs: through it a title that names an occupation and a job that bears its code meet.

A part is a weighted mean of the vectors of texts, kept as a sparse row over the distinct texts, so that a million
requests over few titles are cheap: dense = [part 1 | ... | part P | which parts there are]. A missing part is zeros,
and its flag says so. Training and serving call the same two functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from market.errors import ConfigError
from market.records import Job
from market.taxonomy import normalise_title
from market.text import TextVectors
from organic.towers import Request

REQUEST_PARTS = ("query", "newest title", "earlier titles", "skills", "liked", "dismissed")
JOB_PARTS = ("title", "description", "occupation")

Bag = dict[str, float]  # text or entity -> weight


@dataclass(frozen=True)
class FeatureConfig:
    """buckets: rows of a table of entities; two entities that fall into one bucket share its vector."""

    buckets: int = 1 << 14
    title_decay: float = 0.6  # each older title counts this much of the one after it
    job_title_share: float = 0.7  # of a job in the mean of jobs liked or dismissed; the rest is its description

    def __post_init__(self) -> None:
        if self.buckets < 1 or not 0 <= self.title_decay <= 1 or not 0 < self.job_title_share <= 1:
            raise ConfigError(
                f"buckets {self.buckets}, title_decay {self.title_decay}, job_title_share {self.job_title_share}; "
                "expected at least 1, 0 to 1, above 0 to 1"
            )


@dataclass(frozen=True)
class Features:
    """N rows of one side. parts: P sparse float32[N, T] over texts float32[T, d]; present float32[N, P], 1 where a row
    has the part; entities sparse float32[N, buckets]."""

    texts: np.ndarray
    parts: tuple[scipy.sparse.csr_matrix, ...]
    present: np.ndarray
    entities: scipy.sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.present)

    @property
    def width(self) -> int:
        """Columns of `dense`: P * (d + 1)."""
        return dense_width(len(self.parts), self.texts.shape[1])

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """float32[m, P * (d + 1)] of rows int64[m]; a row does not depend on the others."""
        blocks = [part[rows] @ self.texts for part in self.parts]  # P of [m, d]
        return np.concatenate([*blocks, self.present[rows]], axis=1).astype(np.float32)

    def bags(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(buckets int64[e], begins int64[m], weights float32[e]): the entities of row i start at begins[i]."""
        picked = self.entities[rows]
        return picked.indices.astype(np.int64), picked.indptr[:-1].astype(np.int64), picked.data


def dense_width(parts: int, dimension: int) -> int:
    return parts * (dimension + 1)


def request_features(
    requests: Sequence[Request],
    encoder: TextVectors,
    occupations: Mapping[str, str],
    config: FeatureConfig | None = None,
) -> Features:
    """Row i for requests[i]; the jobs of the activity go through the same encoder as the rest of the request."""
    config = config or FeatureConfig()
    code_of: dict[str, str] = {}
    for code, title in occupations.items():
        code_of.setdefault(normalise_title(title), code)
    bags: list[tuple[Bag, ...]] = []
    entities: list[Bag] = []
    for request in requests:
        seeker = request.seeker
        titles = [title for title in seeker.titles if title.strip()]
        decay = config.title_decay ** np.arange(len(titles))
        bags.append(
            (
                _mean([(request.query or "", 1.0)]),
                _mean([(title, 1.0) for title in titles[:1]]),
                _mean(zip(titles[1:], decay.tolist(), strict=False)),
                _mean([(", ".join(seeker.skills), 1.0)]),
                _mean(_mentions(request.liked, config)),
                _mean(_mentions(request.dismissed, config)),
            )
        )
        names = [normalise_title(title) for title in titles]
        shares = (config.title_decay ** np.arange(len(titles))).tolist()
        entities.append(
            _scaled(
                [
                    *((f"newest={name}", 1.0) for name in names[:1]),
                    *((f"title={name}", share) for name, share in zip(names, shares, strict=True)),
                    *(
                        (f"occupation={code_of[name]}", share)
                        for name, share in zip(names, shares, strict=True)
                        if name in code_of
                    ),
                    *((f"skill={skill.strip().casefold()}", 1.0) for skill in seeker.skills),
                    *((f"liked={job.occupation}", 1.0) for job in request.liked if job.occupation),
                    *((f"dismissed={job.occupation}", 1.0) for job in request.dismissed if job.occupation),
                    *_level(seeker.seniority),
                ]
            )
        )
    return _features(bags, entities, len(REQUEST_PARTS), encoder, config)


def job_features(
    jobs: Sequence[Job], encoder: TextVectors, occupations: Mapping[str, str], config: FeatureConfig | None = None
) -> Features:
    """Row i for jobs[i]."""
    config = config or FeatureConfig()
    bags = [
        tuple(_mean([(text, 1.0)]) for text in (job.title, described(job), occupations.get(job.occupation or "", "")))
        for job in jobs
    ]
    entities = [
        _scaled(
            [
                (f"title={normalise_title(job.title)}", 1.0),
                *((f"skill={skill.strip().casefold()}", 1.0) for skill in job.skills),
                *([(f"occupation={job.occupation}", 1.0)] if job.occupation else []),
                *_level(job.seniority),
            ]
        )
        for job in jobs
    ]
    return _features(bags, entities, len(JOB_PARTS), encoder, config)


def described(job: Job) -> str:
    """The description and the skills of a job as one text."""
    return ". ".join(part for part in (job.description.strip(), ", ".join(job.skills)) if part)


def bucket_of(entity: str, buckets: int) -> int:
    """A bucket that entity and count alone decide, on every machine."""
    return int.from_bytes(hashlib.blake2b(entity.encode("utf-8", "replace"), digest_size=8).digest()) % buckets


def _mentions(jobs: Sequence[Job], config: FeatureConfig) -> Iterable[tuple[str, float]]:
    for job in jobs:
        text = described(job)
        yield job.title, config.job_title_share if text else 1.0
        yield text, 1.0 - config.job_title_share


def _mean(weighted: Iterable[tuple[str, float]]) -> Bag:
    """{text: share}, shares adding up to 1; texts without letters and weights of 0 are left out."""
    bag: Bag = {}
    for text, weight in weighted:
        if weight and (clean := text.strip()):
            bag[clean] = bag.get(clean, 0.0) + weight
    total = sum(bag.values())
    return {text: weight / total for text, weight in bag.items()}


def _scaled(weighted: Iterable[tuple[str, float]]) -> Bag:
    """{entity: weight}, the squares adding up to 1: a row of many entities is not a longer row."""
    bag: Bag = {}
    for entity, weight in weighted:
        if weight and not entity.endswith("="):
            bag[entity] = bag.get(entity, 0.0) + weight
    length = sum(weight * weight for weight in bag.values()) ** 0.5
    return {entity: weight / length for entity, weight in bag.items()}


def _level(seniority: str | None) -> list[tuple[str, float]]:
    return [(f"seniority={seniority.strip().casefold()}", 1.0)] if seniority else []


def _features(
    bags: Sequence[tuple[Bag, ...]], entities: Sequence[Bag], parts: int, encoder: TextVectors, config: FeatureConfig
) -> Features:
    row_of: dict[str, int] = {}
    for row in bags:
        for bag in row:
            for text in bag:
                row_of.setdefault(text, len(row_of))
    texts = encoder.encode(list(row_of)) if row_of else np.zeros((0, encoder.dimension), np.float32)
    buckets: dict[str, int] = {}
    for bag in entities:
        for entity in bag:
            if entity not in buckets:
                buckets[entity] = bucket_of(entity, config.buckets)
    return Features(
        np.asarray(texts, np.float32),
        tuple(_sparse([row[part] for row in bags], row_of, len(row_of)) for part in range(parts)),
        np.array([[bool(bag) for bag in row] for row in bags], np.float32).reshape(len(bags), parts),
        _sparse(entities, buckets, config.buckets),
    )


def _sparse(bags: Sequence[Bag], column_of: dict[str, int], columns: int) -> scipy.sparse.csr_matrix:
    """float32[n, columns]; a row's entries in the order of its bag, so that its sums do not depend on other rows."""
    begins = np.cumsum([0, *(len(bag) for bag in bags)])
    names = [column_of[name] for bag in bags for name in bag]
    values = np.array([weight for bag in bags for weight in bag.values()], np.float32)
    return scipy.sparse.csr_matrix((values, np.array(names, np.int64), begins), shape=(len(bags), columns))
