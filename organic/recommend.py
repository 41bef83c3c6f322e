"""Organic recommendations: one exact search of the index under hard filters, then a cap per employer, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np

from gpu_index import Index
from market.errors import ConfigError, NotFoundError, UserError
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.absence import why_not, why_nothing
from organic.capped import SPACE, Asked, CappedSearch
from organic.facets import count_facets
from organic.freshness import Freshness
from organic.question import NO_FILTERS, Answer, Note, Question
from organic.reasons import Reasons, Unranked, Why, note_of
from organic.rows import JobBook, canonical_filters, term
from organic.rules import RULES, Rule, both, clause_of
from organic.towers import Request, Towers

SEEKERS_PER_SEARCH = 1024
FACET_ROWS = 1000  # best jobs whose values are offered as facets


@dataclass(frozen=True)
class RecommendConfig:
    """per_employer None: no cap. The search fetches overfetch * k rows, so that the cap can drop some of them.

    seen          "demote" takes seen_penalty (a cosine) off the score of jobs the seeker has seen, "exclude" drops them
    most_seen     of a longer list the newest count
    freshness     None: a newer job comes first among equal scores only
    """

    per_employer: int | None = 3
    overfetch: int = 4
    newest_activity: int = 20
    seen: Literal["demote", "exclude"] = "demote"
    seen_penalty: float = 0.2
    most_seen: int = 200
    freshness: Freshness | None = field(default_factory=Freshness)

    def __post_init__(self) -> None:
        if self.per_employer is not None and self.per_employer < 1:
            raise ConfigError(f"per_employer is {self.per_employer}, expected at least 1, or None for no cap")
        if self.overfetch < 2 or self.newest_activity < 0:
            raise ConfigError(
                f"overfetch is {self.overfetch}, newest_activity {self.newest_activity}; expected at least 2 and 0"
            )
        if self.seen not in ("demote", "exclude") or not 0 <= self.seen_penalty <= 2 or self.most_seen < 0:
            raise ConfigError(
                f"seen {self.seen!r}, seen_penalty {self.seen_penalty}, most_seen {self.most_seen}; "
                "expected 'demote' or 'exclude', 0 to 2, and at least 0"
            )


@dataclass(frozen=True)
class Edition:
    """An index and the towers whose vectors are in it: a request reads both together, or the scores mean nothing."""

    index: Index
    towers: Towers


class Recommender:
    """Jobs for seekers, from the space `organic` of an index whose rows a JobBook numbers and `job_terms` describes.

    A request that says nothing (no query, titles, skills or known jobs), or only words the towers do not know, is not
    personalised: it gets the jobs nearest to `typical`, a float32[d] such as the mean vector of jobs people applied to,
    or else the newest.

    score = <request, job> + freshness of the job's week (when `now` is given) - penalty if seen
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
        self._edition, self._book = Edition(index, towers), book
        self._rules = tuple(rules)
        self._config = config or RecommendConfig()
        self._search = CappedSearch(book, self._config.per_employer, self._config.overfetch)
        self._typical = typical

    def switch(self, index: Index, towers: Towers) -> None:
        """Answer from another index with the same rows from now on; requests under way finish on the old one."""
        self._edition = Edition(index, towers)  # one assignment: no request sees one without the other

    def answer(self, question: Question, now: datetime | None = None) -> Answer:
        """At most question.k jobs, best first, with notes where the answer is not what one would expect."""
        edition = self._edition
        request = self._ranking(question)
        vectors, (understood,) = self._vectors(edition, [request])
        asked = self._prepared(question, vectors[0], now)
        rows, scores, fetched = self._search(
            edition.index, [asked], question.k, now, at_least=FACET_ROWS if question.facets else 0
        )
        unranked = None if understood else self._unranked(question)
        reasons, items = Reasons(request, unranked, now), []
        for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True):
            job = self._book.job(row)  # None: nothing more, or deleted a moment ago
            if job is not None:
                items.append(Recommendation(job.job_id, score, reasons.of(job)))
        facets = None
        if question.facets:
            within = self.hard_filters(question.filtering, question.filters)
            best = [job for row in fetched.tolist() if (job := self._book.job(row)) is not None]
            facets = count_facets(edition.index, best, within, question.facets)
        return Answer(tuple(items), self._notes(edition.index, question, understood, bool(items)), facets)

    def recommend(
        self,
        seeker: SeekerProfile,
        query: str | None = None,
        filters: Filters = NO_FILTERS,
        k: int = 20,
        now: datetime | None = None,
    ) -> list[Recommendation]:
        """At most k jobs, best first; fewer when fewer pass the filters."""
        return list(self.answer(Question(seeker, query, filters, k), now).items)

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
        questions = [Question(*each, k) for each in zip(seekers, queries, filters, strict=True)]
        edition = self._edition
        rows = np.full((len(seekers), k), -1, np.int64)
        scores = np.full((len(seekers), k), -np.inf, np.float32)
        for start in range(0, len(questions), SEEKERS_PER_SEARCH):
            part = slice(start, start + SEEKERS_PER_SEARCH)
            vectors, _ = self._vectors(edition, [self._ranking(question) for question in questions[part]])
            asked = [self._prepared(*each, now) for each in zip(questions[part], vectors, strict=True)]
            rows[part], scores[part], _ = self._search(edition.index, asked, k, now)
        return rows, scores

    def why_not(self, question: Question, job_id: str, now: datetime | None = None) -> tuple[Note, ...]:
        """What keeps this job from this seeker, rule by rule; empty when nothing does: then other jobs are nearer.

        NotFoundError when the job is not known.
        """
        row = self._book.row(job_id)
        job = None if row is None else self._book.job(row)
        if row is None or job is None:
            raise NotFoundError(f"job {job_id!r} is not known here; add it first")
        given, place = self._given(question.filtering, question.filters)
        terms = self._edition.index.terms_of(row)
        return why_not(job, terms, given, place, self._rules, question.filtering, now)

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
        return both([*self._given(seeker, filters), *(rule.compile(seeker) for rule in self._rules)])

    def _given(self, seeker: SeekerProfile, filters: Filters) -> tuple[Filters, Filters]:
        """The filters of the request in the form of the index, and the seeker's own area."""
        given, place = canonical_filters(filters), Filters()
        named = any(wanted.startswith("geo=") for group in given.all_of for wanted in group)
        if seeker.geo and seeker.geo.strip() and not named:
            place = Filters(((term("geo", seeker.geo), term("remote", "yes")),))
        return given, place

    def _ranking(self, question: Question) -> Request:
        if question.personalise:
            return self.request(question.seeker, question.query)
        return Request(SeekerProfile(geo=question.seeker.geo), question.query)

    def _prepared(self, question: Question, vector: np.ndarray, now: datetime | None) -> Asked:
        config = self._config
        filters = self.hard_filters(question.filtering, question.filters)
        boosts = {} if config.freshness is None or now is None else config.freshness.boosts(now)
        seen = tuple(dict.fromkeys(term("job", job_id) for job_id in question.seen[: config.most_seen]))
        if config.seen == "exclude":
            filters = both([filters, Filters(none_of=seen)])
        else:
            boosts |= dict.fromkeys(seen, -config.seen_penalty)
        return Asked(vector, clause_of(filters), boosts)

    def _vectors(self, edition: Edition, requests: Sequence[Request]) -> tuple[np.ndarray, list[bool]]:
        """float32[B, d], and which of them came from what the request says: the others are `typical`, or zero."""
        vectors = np.array(edition.towers.request_vectors(requests), np.float32)  # [B, d]
        understood = [
            not request.says_nothing and bool(vector.any()) for request, vector in zip(requests, vectors, strict=True)
        ]
        for number in np.flatnonzero(~np.array(understood, bool)):
            vectors[number] = 0 if self._typical is None else self._typical
        return vectors, understood

    def _unranked(self, question: Question) -> Unranked:
        """Why the answer is what is usual, and what that is."""
        why: Why = "unknown"
        if not question.personalise and not (question.query or "").strip():
            why = "as asked"
        elif self._ranking(question).says_nothing:
            why = "nothing said"
        return Unranked(why, "newest" if self._typical is None else "typical")

    def _notes(self, index: Index, question: Question, understood: bool, found: bool) -> tuple[Note, ...]:
        notes = [] if understood else [note_of(self._unranked(question))]
        given, place = self._given(question.filtering, question.filters)
        if place.all_of and not index.count(clause_of(Filters((place.all_of[0][:1],)))):
            notes.append(Note("unknown_place", f"No job here is in the area {question.seeker.geo}; remote ones only"))
        if not found:
            notes += why_nothing(index, given, place, self._rules, question.filtering)
        return tuple(notes)


def put_jobs(index: Index, book: JobBook, towers: Towers, jobs: Sequence[Job], now: datetime | None = None) -> None:
    """Insert or replace jobs in an index of organic vectors only; visible to the next search."""
    last = {job.job_id: job for job in jobs}  # of two postings under one id the later one counts
    _write(index, book, towers, list(last.values()), now)
    _write(index, book, towers, book.take_overtaken(), now)


def drop_job(index: Index, book: JobBook, job_id: str) -> bool:
    """Forget a job; False when it was not there. Duplicates of it are seen to by the next `put_jobs`."""
    row = book.remove(job_id)
    return row is not None and index.delete(np.array([row], np.int64)) > 0


def _write(index: Index, book: JobBook, towers: Towers, jobs: Sequence[Job], now: datetime | None) -> None:
    if jobs:
        rows = book.add(jobs)
        vectors = towers.job_vectors(jobs)  # [n, d]
        index.upsert(rows, vectors={SPACE: vectors}, terms=[book.terms(job, now) for job in jobs])
