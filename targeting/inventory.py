"""What may be shown: jobs as rows of one index, and the live campaigns that promote some of them.

A job is one row: vectors `organic` (text) and `graph` (hire model), terms for filters, learned links and whether a
campaign promotes it. Jobs come and go while searches go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np

from gpu_index import Index
from graph.linking.attributes import job_attributes
from market.errors import ConflictError
from market.records import Filters, Job
from market.taxonomy import Taxonomy
from organic.capped import SPACE
from organic.recommend import Edition
from organic.renewal import renew
from organic.rows import JobBook
from organic.towers import Towers
from targeting.campaigns import Campaign
from targeting.learned import Learned
from targeting.pacing.prices import PriceBoard
from targeting.profiles import ProfileReader

GRAPH_SPACE = "graph"
LIVE = Filters((("campaign=live",),))


class Inventory:
    """Rows, occupations and campaigns of the jobs; one writer at a time, searches beside it."""

    def __init__(
        self,
        learned: Learned,
        titles: ProfileReader,
        towers: Towers,
        now: Callable[[], datetime],
        prices: PriceBoard | None = None,
    ) -> None:
        self._prices = prices or PriceBoard()
        self._learned, self._titles, self._now = learned, titles, now
        self._taxonomy: Taxonomy = learned.taxonomy
        self._editions = [self._empty(towers)]  # two while vectors are renewed, the newer last
        self.book = JobBook()
        self._occupation: dict[str, int] = {}  # job id -> occupation
        self._terms_of: dict[int, list[str]] = {}  # occupation -> its learnt terms
        self._campaigns: Mapping[str, tuple[Campaign, ...]] = {}  # job id -> live campaigns, highest ceiling first
        self.job_of_campaign: Mapping[str, str] = {}  # the live ones; replaced as a whole
        self._counted: tuple[np.ndarray, dict[str, np.ndarray]] | None = None  # see `_promoted_jobs`
        self._lock = threading.Lock()

    @property
    def index(self) -> Index:
        return self._editions[0].index

    @property
    def campaigns(self) -> Mapping[str, tuple[Campaign, ...]]:
        """{job id: its live campaigns, highest ceiling first}; a new mapping after every change."""
        return self._campaigns

    def attributes_of(self, job_id: str) -> list[str]:
        """What links may speak of; empty for a job that is not here."""
        occupation = self._occupation.get(job_id)
        return [] if occupation is None else job_attributes(occupation, self._taxonomy)

    def occupation_of(self, job: Job) -> int:
        """As read when the job came; a job that is not here is read by its title."""
        known = self._occupation.get(job.job_id)
        return self._titles.occupations([job.title])[0] if known is None else known

    def upsert(self, jobs: Sequence[Job]) -> list[str | None]:
        """Per job None, or why it was refused."""
        answers: list[str | None] = []
        accepted: list[tuple[Job, int]] = []
        titles = [job.title for job in jobs if job.occupation is None]
        by_text = dict(zip(titles, self._titles.occupations(titles), strict=True))
        for job in jobs:
            if job.occupation is not None and job.occupation not in self._taxonomy.position:
                answers.append(
                    f"occupation {job.occupation!r} is not in {self._taxonomy.scheme}; use its codes or leave it out"
                )
                continue
            found = self._taxonomy.find(job.occupation) if job.occupation is not None else by_text[job.title]
            accepted.append((job, found))
            answers.append(None)
        with self._lock:
            for job, occupation in accepted:
                self._occupation[job.job_id] = occupation
            self._put([job for job, _ in accepted])
            self._counted = None
        return answers

    def delete(self, job_id: str) -> bool:
        with self._lock:
            row = self.book.remove(job_id)
            self._occupation.pop(job_id, None)
            self._counted = None
            if row is None:
                return False
            found = max(edition.index.delete(np.array([row])) for edition in self._editions)
            self._put(self.book.take_overtaken())
            return found > 0

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        by_job: dict[str, list[Campaign]] = {}
        for campaign in live:
            by_job.setdefault(campaign.job_id, []).append(campaign)
        with self._lock:
            before = set(self._campaigns)
            self._campaigns = {
                job_id: tuple(sorted(found, key=lambda c: (-self._prices.ceiling(c), c.campaign_id)))
                for job_id, found in by_job.items()
            }
            self.job_of_campaign = {each.campaign_id: each.job_id for each in live}
            self._counted = None
            changed = before.symmetric_difference(self._campaigns)
            rows = [row for job_id in sorted(changed) if (row := self.book.row(job_id)) is not None]
            self._put([job for row in rows if (job := self.book.job(row)) is not None])

    def promoted(self, rows: Sequence[int]) -> list[tuple[Job, int, tuple[Campaign, ...]]]:
        """(job, occupation, campaigns best bid first) of the rows, in order; those not there or over are left out."""
        campaigns, now, found = self._campaigns, self._now(), []
        for row in rows:
            job = self.book.job(row) if row >= 0 else None
            if job is None or (job.expires_at is not None and job.expires_at <= now):
                continue
            occupation, live = self._occupation.get(job.job_id), campaigns.get(job.job_id)
            if occupation is not None and live:
                if len(live) > 1:
                    live = tuple(sorted(live, key=lambda c: (-self._prices.keenness(c), c.campaign_id)))
                found.append((job, occupation, live))
        return found

    def live_beside(self, job: Job) -> np.ndarray:
        """float64[C]: other promoted jobs by occupation, as seekers of the job's area see them; a remote job is seen
        from all areas, and has an average area beside it."""
        remote, by_area = self._promoted_jobs()
        near = remote + (0.0 if job.remote else by_area.get(job.geo, 0.0))
        here = by_area
        row = self.book.row(job.job_id) if job.job_id in self._campaigns else None
        own, at = None if row is None else self.book.job(row), self._occupation.get(job.job_id)
        if own is not None and at is not None:
            if own.remote or (own.geo == job.geo and not job.remote):
                near[at] -= 1
            elif job.remote:
                here = {geo: counts.copy() for geo, counts in by_area.items()}
                here[own.geo][at] -= 1
        if not job.remote:
            return np.asarray(near)
        areas = [counts for counts in here.values() if counts.any()]
        return np.asarray(near + sum(areas, np.zeros(len(near))) / max(1, len(areas)))

    def _promoted_jobs(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(remote, {area: the others}) float64[C] each: promoted jobs by occupation; counted again after a change."""
        counted = self._counted
        if counted is None:
            remote, by_area = np.zeros(len(self._taxonomy)), dict[str, np.ndarray]()
            with self._lock:
                for job_id in self._campaigns:
                    occupation, row = self._occupation.get(job_id), self.book.row(job_id)
                    found = None if row is None else self.book.job(row)
                    if found is None or occupation is None:
                        continue
                    counts = remote if found.remote else by_area.setdefault(found.geo, np.zeros(len(remote)))
                    counts[occupation] += 1
                counted = self._counted = remote, by_area
        return counted

    def renew(self, towers: Towers, switch: Callable[[Index, Towers], None]) -> int:
        """Give all jobs the vectors of other towers; `switch` is called once all have one. Returns how many."""
        fresh = self._empty(towers)
        with self._lock:
            if len(self._editions) > 1:
                raise ConflictError("vectors are being renewed already; wait until that is done")
            self._editions, job_ids = [*self._editions, fresh], list(self._occupation)
        try:
            written = renew(self.book, job_ids, towers, partial(self._write, fresh.index), self._lock)
        except BaseException:
            with self._lock:
                self._editions = self._editions[:1]
            raise
        with self._lock:
            self._editions = [fresh]
            switch(fresh.index, towers)
        return written

    def _empty(self, towers: Towers) -> Edition:
        spaces = {SPACE: towers.dimension, GRAPH_SPACE: self._learned.occupation_vectors.shape[1]}
        return Edition(Index(spaces=spaces, device="cpu"), towers)

    def _put(self, jobs: Sequence[Job]) -> None:
        """Write rows into every edition, and those of jobs that others have turned into duplicates."""
        last = {job.job_id: self._with_occupation(job) for job in jobs}
        self.book.add(last.values())
        overtaken = {job.job_id: job for job in self.book.take_overtaken()}
        rows = list((overtaken | last).values())
        if rows:
            for edition in self._editions:
                self._write(edition.index, rows, edition.towers.job_vectors(rows))

    def _with_occupation(self, job: Job) -> Job:
        return replace(job, occupation=self._taxonomy.codes[self._occupation[job.job_id]])

    def _write(self, index: Index, jobs: Sequence[Job], organic: np.ndarray) -> None:
        """Rows of jobs that the book holds: both vectors, filter terms, link terms, whether a campaign promotes it."""
        occupation = np.array([self._occupation[job.job_id] for job in jobs])
        terms = []
        for job, o in zip(jobs, occupation.tolist(), strict=True):
            live = ["campaign=live"] if job.job_id in self._campaigns else []
            terms.append(list(dict.fromkeys([*self.book.terms(job, self._now()), *self._learnt_terms(o), *live])))
        vectors = {SPACE: organic, GRAPH_SPACE: self._learned.occupation_vectors[occupation]}
        index.upsert(self.book.rows([job.job_id for job in jobs]), vectors=vectors, terms=terms)

    def _learnt_terms(self, occupation: int) -> list[str]:
        """Attributes of an occupation's jobs and the links that begin there; the same for each of them."""
        found = self._terms_of.get(occupation)
        if found is None:
            attributes = job_attributes(occupation, self._taxonomy)
            found = self._terms_of[occupation] = [*attributes, *self._learned.links.terms_of_job(attributes)]
        return found
