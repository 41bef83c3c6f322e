"""Peers of the towers: BM25, TF-IDF, implicit ALS and two controls, all under the same hard filters.

A peer scores every open job for every request; `ranked` keeps the best of those in the request's area or remote. None
of them may look at anything but what the towers look at: profile, activity before the moment, the jobs, the pairs of
the training part. What a peer can choose (fields, weights, factors) is a grid, searched on validation requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from market.taxonomy import Taxonomy, normalise_title
from organic.learning.engagement import DAY_US, Engagement
from organic.learning.features import described
from organic.towers import Request

ROWS_PER_STEP = 64
Scores = Callable[[np.ndarray], np.ndarray]  # rows of requests int64[b] -> float[b, J]


@dataclass(frozen=True)
class TextChoice:
    """fields of a job's document: title, description, occupation (its title in the taxonomy). decay 0: newest title
    only; liked: weight of each title of a job applied to or saved."""

    fields: tuple[str, ...] = ("title", "occupation")
    decay: float = 0.6
    liked: float = 0.5
    k1: float = 1.2
    b: float = 0.75
    letters: bool = False  # TF-IDF only: 3 to 5 letters within words, not words


@dataclass(frozen=True)
class AlsChoice:
    """items: "job", "title" or "occupation"; confidence 1 + alpha an interaction; reg is lambda."""

    items: str = "occupation"
    factors: int = 32
    alpha: float = 10.0
    reg: float = 1.0
    rounds: int = 8


def ranked(judged: Engagement, scores: Scores, k: int) -> np.ndarray:
    """int64[N, k] rows of the inventory, best first, ties by row, padded with -1: `recall.retrieve` by brute force."""
    inventory, days = judged.inventory, judged.moment // DAY_US
    area = np.array([job.geo for job in inventory.jobs])
    remote = np.array([job.remote for job in inventory.jobs])
    out = np.full((len(judged), k), -1, np.int64)
    for start in range(0, len(judged), ROWS_PER_STEP):
        rows = np.arange(start, min(start + ROWS_PER_STEP, len(judged)))
        for row, values in zip(rows.tolist(), scores(rows), strict=True):
            day, place = int(days[row]), judged.requests[row].seeker.geo
            allowed = (inventory.posted < (day + 1) * DAY_US) & (inventory.expires > day * DAY_US)
            if place:
                allowed &= remote | (area == place)
            offered = np.flatnonzero(allowed)
            best = offered[np.lexsort((offered, -values[offered]))[:k]]
            out[row, : len(best)] = best
    return out


def bm25(judged: Engagement, taxonomy: Taxonomy, choice: TextChoice) -> Scores:
    """sum over terms of q idf tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)); Robertson and Zaragoza 2009."""
    documents, place = _documents(judged, taxonomy, choice.fields)
    words = CountVectorizer(analyzer=_words)
    counts = words.fit_transform(documents).astype(np.float64)  # [u, v]
    copies = np.bincount(place, minlength=len(documents))
    length = np.asarray(counts.sum(1)).ravel()
    frequency = (counts > 0).T @ copies  # [v], jobs with the term
    idf = np.log1p((len(place) - frequency + 0.5) / (frequency + 0.5))
    coo = counts.tocoo()
    norm = choice.k1 * (1 - choice.b + choice.b * length / (length @ copies / len(place)))
    values = idf[coo.col] * coo.data * (choice.k1 + 1) / (coo.data + norm[coo.row])
    weighed = scipy.sparse.csr_matrix((values, (coo.row, coo.col)), shape=coo.shape)
    return _matched(_queries(judged, words, choice), weighed, place)


def tfidf(judged: Engagement, taxonomy: Taxonomy, choice: TextChoice) -> Scores:
    """Cosine of TF-IDF vectors; the idf counts distinct documents."""
    documents, place = _documents(judged, taxonomy, choice.fields)
    words = (
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)) if choice.letters else TfidfVectorizer(analyzer=_words)
    )
    weighed = words.fit_transform(documents)  # [u, v], rows of length 1
    return _matched(_queries(judged, words, choice), weighed, place)


def als(train: Engagement, judged: Engagement, taxonomy: Taxonomy, choice: AlsChoice) -> Scores:
    """Hu, Koren and Volinsky 2008: c (p - x y)^2 summed over all pairs, least squares of either side in turn.

    Titles of a profile are interactions too where items are titles or occupations. A request is folded in: its own
    vector is solved from its profile, its activity and what its seeker took in the training part.
    """
    item_of, count = _items(judged, taxonomy, choice.items)
    title_of = _titles(judged, taxonomy, choice.items)
    seeker_of = train.seekers
    history: dict[str, list[int]] = {}
    for row, item in zip(train.request.tolist(), train.item.tolist(), strict=True):
        history.setdefault(seeker_of[row], []).append(int(item_of[item]))
    profiles = {request.seeker.seeker_id or "": _profile(request, title_of) for request in train.requests}
    seekers = sorted(history)
    known = _bags(([*history[seeker], *profiles[seeker]] for seeker in seekers), count)  # [s, items]
    rng = np.random.default_rng(0)
    items = 0.01 * rng.standard_normal((count, choice.factors))
    turned = known.T.tocsr()
    for _ in range(choice.rounds):
        people = _solved(known, items, choice)
        items = _solved(turned, people, choice)
    number = {job.job_id: row for row, job in enumerate(judged.inventory.jobs)}
    asked = _bags(
        (
            [
                *history.get(request.seeker.seeker_id or "", []),
                *_profile(request, title_of),
                *(int(item_of[number[job.job_id]]) for job in request.liked),
            ]
            for request in judged.requests
        ),
        count,
    )
    people = _solved(asked, items, choice)
    return lambda rows: (people[rows] @ items.T)[:, item_of]


def chance(judged: Engagement, seed: int) -> Scores:
    """Control: every allowed job alike."""
    return lambda rows: np.random.default_rng([seed, int(rows[0])]).random((len(rows), len(judged.inventory)))


def informed(judged: Engagement, seed: int) -> Scores:
    """Control: the occupation of what was applied to is known, nothing else; a bound for whatever reads occupations."""
    names, occupation = np.unique([job.occupation or "" for job in judged.inventory.jobs], return_inverse=True)
    wanted = np.zeros((len(judged), len(names)))
    wanted[judged.request[judged.applied], occupation[judged.item[judged.applied]]] = 1
    noise = np.random.default_rng(seed).random(len(occupation))
    return lambda rows: wanted[rows][:, occupation] + 0.5 * noise


def _documents(judged: Engagement, taxonomy: Taxonomy, fields: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Distinct documents, and which of them each job is, int64[J]."""
    titles = dict(zip(taxonomy.codes, taxonomy.titles, strict=True))
    parts = {
        "title": lambda job: job.title,
        "description": described,
        "occupation": lambda job: titles.get(job.occupation or "", ""),
    }
    place_of: dict[str, int] = {}
    place = [
        place_of.setdefault(" . ".join(parts[field](job) for field in fields), len(place_of))
        for job in judged.inventory.jobs
    ]
    return list(place_of), np.array(place, np.int64)


def _queries(judged: Engagement, words: CountVectorizer, choice: TextChoice) -> scipy.sparse.csr_matrix:
    """float64[N, v]: terms of the titles, each older title counting `decay` of the one after it, and of jobs liked."""
    texts, rows, weights = [], [], []
    for row, request in enumerate(judged.requests):
        for age, title in enumerate(request.seeker.titles):
            texts.append(title), rows.append(row), weights.append(choice.decay**age)
        for job in request.liked:
            texts.append(job.title), rows.append(row), weights.append(choice.liked)
    mixed = scipy.sparse.csr_matrix((weights, (rows, np.arange(len(texts)))), shape=(len(judged), len(texts)))
    return (mixed @ words.transform(texts)).tocsr()


def _matched(queries: scipy.sparse.csr_matrix, documents: scipy.sparse.csr_matrix, place: np.ndarray) -> Scores:
    turned = documents.T.tocsr()
    return lambda rows: (queries[rows] @ turned).toarray()[:, place]


def _words(text: str) -> list[str]:
    """Words in lower case, a plural s taken off: titles of occupations are plural, those of jobs are not."""
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in re.findall(r"\w+", text.lower())]


def _items(judged: Engagement, taxonomy: Taxonomy, kind: str) -> tuple[np.ndarray, int]:
    """What ALS calls an item: int64[J] for each job, and how many there are."""
    jobs = judged.inventory.jobs
    if kind == "job":
        return np.arange(len(jobs)), len(jobs)
    if kind == "occupation":
        return np.array([taxonomy.find(job.occupation or "") for job in jobs]), len(taxonomy)
    numbers = _titles(judged, taxonomy, kind)
    return np.array([numbers[normalise_title(job.title)] for job in jobs]), len(numbers)


def _titles(judged: Engagement, taxonomy: Taxonomy, kind: str) -> dict[str, int]:
    """Normalised title of a position -> item; nothing where items are jobs."""
    if kind == "job":
        return {}
    if kind == "occupation":
        return taxonomy.by_title
    names = {normalise_title(job.title) for job in judged.inventory.jobs} | set(taxonomy.by_title)
    return {name: number for number, name in enumerate(sorted(names))}


def _profile(request: Request, title_of: dict[str, int]) -> list[int]:
    names = (normalise_title(title) for title in request.seeker.titles)
    return [title_of[name] for name in names if name in title_of]


def _bags(bags: Iterable[list[int]], count: int) -> scipy.sparse.csr_matrix:
    """float64[n, count]: how often each item is in each bag."""
    given = list(bags)
    begins = np.cumsum([0, *(len(bag) for bag in given)])
    columns = np.array([item for bag in given for item in bag], np.int64)
    table = scipy.sparse.csr_matrix((np.ones(len(columns)), columns, begins), shape=(len(given), count))
    table.sum_duplicates()
    return table


def _solved(known: scipy.sparse.csr_matrix, other: np.ndarray, choice: AlsChoice) -> np.ndarray:
    """x_u = (Y'Y + Y'(C_u - I)Y + lambda I)^-1 Y' C_u p_u for every row u; rows of nothing are 0."""
    base = other.T @ other + choice.reg * np.eye(choice.factors)
    out = np.zeros((known.shape[0], choice.factors))
    for row in np.flatnonzero(np.diff(known.indptr)).tolist():
        part = slice(known.indptr[row], known.indptr[row + 1])
        chosen, extra = other[known.indices[part]], choice.alpha * known.data[part]
        out[row] = np.linalg.solve(base + (chosen.T * extra) @ chosen, chosen.T @ (1 + extra))
    return out
