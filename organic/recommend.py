"""Organic recommendations: one exact search of the index under hard filters, then a cap per employer, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from gpu_index import Clause, Index
from market.errors import ConfigError, UserError
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.reasons import reasons_for
from organic.rows import JobBook, canonical_filters, job_terms, term
from organic.rules import RULES, Rule, both, clause_of
from organic.towers import Request, Towers

SPACE = "organic"
SEEKERS_PER_SEARCH = 1024
NO_FILTERS = Filters()


@dataclass(frozen=True)
class RecommendConfig:
    """per_employer None: no cap. The search fetches overfetch * k rows, so that the cap can drop some of them."""

    per_employer: int | None = 3
    overfetch: int = 4
    newest_activity: int = 20

    def __post_init__(self) -> None:
        if self.per_employer is not None and self.per_employer < 1:
            raise ConfigError(f"per_employer is {self.per_employer}, expected at least 1, or None for no cap")
        if self.overfetch < 2 or self.newest_activity < 0:
            raise ConfigError(
                f"overfetch is {self.overfetch}, newest_activity {self.newest_activity}; expected at least 2 and 0"
            )


class Recommender:
    """Jobs for seekers, from the space `organic` of an index whose rows a JobBook numbers and `job_terms` describes.

    A request that says nothing (no query, titles, skills or known jobs) is not personalised: it gets the jobs nearest
    to `typical`, a float32[d] such as the mean vector of jobs people applied to, or else the newest, all scored 0.
    """

    def __init__(
        self,
        index: Index,
        towers: Towers,
        book: JobBook,
        *,
        rules: Sequence[Rule] = RULES,
        config: RecommendConfig | None = None,
        typical: np.ndarray | None = None,
    ) -> None:
        self._index, self._towers, self._book = index, towers, book
        self._rules = tuple(rules)
        self._config = config or RecommendConfig()
        self._typical = typical

    def recommend(
        self,
        seeker: SeekerProfile,
        query: str | None = None,
        filters: Filters = NO_FILTERS,
        k: int = 20,
        now: datetime | None = None,
    ) -> list[Recommendation]:
        """At most k jobs, best first; fewer when fewer pass the filters."""
        rows, scores = self.recommend_batch([seeker], [query], [filters], k, now)
        request, answer = self.request(seeker, query), []
        for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True):
            job = self._book.job(row)  # None: nothing more, or deleted a moment ago
            if job is not None:
                reasons = reasons_for(job, request, typical=self._typical is not None)
                answer.append(Recommendation(job.job_id, score, reasons))
        return answer

    def recommend_batch(
        self,
        seekers: Sequence[SeekerProfile],
        queries: Sequence[str | None] | None = None,
        filters: Sequence[Filters] | None = None,
        k: int = 20,
        now: datetime | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """-> (rows int64[B, k] padded with -1, scores float32[B, k] padded with -inf), best first, ties by row.

        A batch equals its seekers one by one. With `now`, jobs that expired before it are left out even when the index
        has not heard of it yet.
        """
        queries = [None] * len(seekers) if queries is None else queries
        filters = [NO_FILTERS] * len(seekers) if filters is None else filters
        if not len(seekers) == len(queries) == len(filters):
            raise UserError(f"{len(seekers)} seekers, {len(queries)} queries, {len(filters)} filters; give one each")
        if k < 1:
            raise UserError(f"k is {k}, expected at least 1")
        rows = np.full((len(seekers), k), -1, np.int64)
        scores = np.full((len(seekers), k), -np.inf, np.float32)
        for start in range(0, len(seekers), SEEKERS_PER_SEARCH):
            part = slice(start, start + SEEKERS_PER_SEARCH)
            requests = [self.request(seeker, query) for seeker, query in zip(seekers[part], queries[part], strict=True)]
            clauses = [
                clause_of(self.hard_filters(seeker, given))
                for seeker, given in zip(seekers[part], filters[part], strict=True)
            ]
            self._search(self._vectors(requests), clauses, now, rows[part], scores[part])
        return rows, scores

    def request(self, seeker: SeekerProfile, query: str | None = None) -> Request:
        """The request with the jobs of the seeker's newest activity; of the actions on one job the last counts."""
        actions = {event.job_id: event.action for event in sorted(seeker.activity, key=lambda event: event.at)}
        newest = sorted(seeker.activity, key=lambda event: event.at, reverse=True)
        known: dict[str, Job] = {}
        for event in newest[: self._config.newest_activity]:
            row = self._book.row(event.job_id)
            job = None if row is None else self._book.job(row)
            if job is not None:
                known.setdefault(event.job_id, job)
        return Request(
            seeker,
            query,
            liked=tuple(job for job_id, job in known.items() if actions[job_id] != "dismiss"),
            dismissed=tuple(job for job_id, job in known.items() if actions[job_id] == "dismiss"),
        )

    def hard_filters(self, seeker: SeekerProfile, filters: Filters = NO_FILTERS) -> Filters:
        """What every answer satisfies: the given facets, the rules, and the seeker's area or remote.

        A facet that names an area replaces the seeker's own: looking elsewhere is a choice.
        """
        given = canonical_filters(filters)
        place = Filters()
        if seeker.geo and not any(wanted.startswith("geo=") for group in given.all_of for wanted in group):
            place = Filters(((term("geo", seeker.geo), term("remote", "yes")),))
        return both([given, place, *(rule.compile(seeker) for rule in self._rules)])

    def _search(
        self,
        vectors: np.ndarray,
        clauses: list[Clause],
        now: datetime | None,
        rows: np.ndarray,
        scores: np.ndarray,
    ) -> None:
        """Fill rows and scores [b, k] for vectors [b, d]."""
        k, inventory = rows.shape[1], max(1, len(self._index))
        fetch = min(inventory, k * self._config.overfetch)
        pending = np.arange(len(vectors))
        while len(pending):
            hits = self._index.search(vectors[pending], space=SPACE, k=fetch, where=[clauses[at] for at in pending])
            unfinished = []
            for at, found, values in zip(pending.tolist(), hits.ids, hits.scores, strict=True):
                kept = self._allowed(found, k, now)
                rows[at, : len(kept)], scores[at, : len(kept)] = found[kept], values[kept]
                if len(kept) < k and found[-1] >= 0 and fetch < inventory:
                    unfinished.append(at)
            # rare: one employer fills everything that was fetched; look four times as deep for these seekers only
            pending, fetch = np.array(unfinished, np.int64), min(inventory, 4 * fetch)

    def _vectors(self, requests: Sequence[Request]) -> np.ndarray:
        vectors = np.array(self._towers.request_vectors(requests), np.float32)  # [B, d]
        for number, request in enumerate(requests):
            if request.says_nothing:
                vectors[number] = 0 if self._typical is None else self._typical
        return vectors

    def _allowed(self, found: np.ndarray, k: int, now: datetime | None) -> list[int]:
        """Positions of the first k rows that still exist, are open and respect the cap per employer."""
        seen: dict[str, int] = {}
        kept: list[int] = []
        for position, row in enumerate(found.tolist()):
            job = self._book.job(row)
            if job is None or (now is not None and job.expires_at is not None and job.expires_at <= now):
                continue
            company = self._book.company(row)
            if company and self._config.per_employer is not None:
                seen[company] = seen.get(company, 0) + 1
                if seen[company] > self._config.per_employer:
                    continue
            kept.append(position)
            if len(kept) == k:
                break
        return kept


def put_jobs(index: Index, book: JobBook, towers: Towers, jobs: Sequence[Job], now: datetime | None = None) -> None:
    """Insert or replace jobs in an index of organic vectors only; visible to the next search."""
    if jobs:
        last = {job.job_id: job for job in jobs}  # of two postings under one id the later one counts
        current = list(last.values())
        vectors = towers.job_vectors(current)  # [n, d]
        terms = [job_terms(job, now) for job in current]
        index.upsert(book.add(current), vectors={SPACE: vectors}, terms=terms)


def drop_job(index: Index, book: JobBook, job_id: str) -> bool:
    """Forget a job; False when it was not there."""
    row = book.remove(job_id)
    return row is not None and index.delete(np.array([row], np.int64)) > 0
