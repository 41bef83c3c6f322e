"""Keeps an engine equal to the store, which is the truth.

Every worker process has an engine of its own. `catch_up` before each search makes what any worker wrote visible to
all of them; it costs one small SELECT when nothing is new. The clock counts too: campaigns start and end, jobs expire,
and once a second campaigns without money leave the engine and those with money again come back.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from market.clock import Clock
from market.records import Job
from targeting.campaigns import Campaign, next_change, serves
from targeting.engine import Engine
from targeting.storage.audit_log import Who
from targeting.storage.database import StoreUnavailableError
from targeting.storage.journal import Journal
from targeting.storage.link_edits import LinkEdits
from targeting.storage.store import Revision, Store

log = structlog.get_logger()

MONEY_LOOK = timedelta(seconds=1)


@dataclass(frozen=True)
class Refusal:
    """Why one job of a batch was not taken."""

    code: str
    detail: str


class Mirror:
    """The only writer of the engine: jobs go through it, campaigns and other processes' jobs are carried over."""

    def __init__(self, store: Store, engine: Engine, clock: Clock, journal: Journal, link_edits: LinkEdits) -> None:
        self._store, self._engine, self._clock, self._journal = store, engine, clock, journal
        self._link_edits = link_edits
        self._lock = threading.Lock()
        self._seen = Revision(jobs=0, campaigns=-1)
        self._looked_at: datetime | None = None
        self._wake_at: datetime | None = None  # when time alone changes what may be shown
        self._promoted: frozenset[str] = frozenset()  # job ids of running campaigns
        self._serving: list[Campaign] = []  # what may be shown, if it has money
        self.running: tuple[tuple[Campaign, Job], ...] = ()  # the same, with their jobs; replaced as a whole
        self._closed: frozenset[str] = frozenset()  # campaigns without money
        self._look_at_money: datetime | None = None

    def catch_up(self, wait_seconds: float = -1) -> None:
        """Bring the engine up to the store and the clock; give up after wait_seconds behind a writer (-1: never)."""
        revision = self._store.revision()
        if not (self._stale(revision) or self._money_due()) or not self._lock.acquire(timeout=wait_seconds):
            return
        try:
            revision = self._store.revision()
            if self._stale(revision):
                self._take_jobs(revision)
                self._take_campaigns()
                self._seen = revision
            elif self._money_due():
                self._take_money()
        finally:
            self._lock.release()

    def lag(self) -> float:
        """Writes of the store that the engine has not taken over; NaN while the store does not answer."""
        try:
            revision = self._store.revision()
        except StoreUnavailableError:
            return math.nan
        return revision.jobs - self._seen.jobs + revision.campaigns - max(0, self._seen.campaigns)

    def close(self, campaign_ids: frozenset[str]) -> None:
        """Take campaigns off the engine until the next look at their money; at once or, behind a writer, not at all."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not campaign_ids <= self._closed:
                self._show(self._closed | campaign_ids)
        finally:
            self._lock.release()

    def put_jobs(self, jobs: Sequence[Job]) -> list[Refusal | None]:
        """Insert or replace jobs, durable and searchable when this returns; per job None or why it was refused."""
        now = self._clock.now()
        with self._lock:
            known = self._store.jobs_by_id([job.job_id for job in jobs])
            refusals = _refusals(jobs, {job_id: job.account_id for job_id, (job, _) in known.items()})
            candidates = [at for at, refusal in enumerate(refusals) if refusal is None and not _over(jobs[at], now)]
            # Engine first: it may refuse, and what it holds without the store's knowledge dies with the process.
            for at, why in zip(candidates, self._engine.upsert_jobs([jobs[at] for at in candidates]), strict=True):
                refusals[at] = None if why is None else Refusal("refused", why)
            accepted = [job for job, refusal in zip(jobs, refusals, strict=True) if refusal is None]
            try:
                revision = self._store.put_jobs(accepted)
            except Exception:
                self._restore(accepted, {job_id: job for job_id, (job, deleted) in known.items() if not deleted})
                raise
            for job in accepted:
                if _over(job, now):
                    self._engine.delete_job(job.job_id)
            self._advance(revision, accepted)
        self.catch_up()
        return refusals

    def delete_job(self, job_id: str, who: Who | None = None) -> bool:
        """Delete a job from the store, then from the engine; False when there was none."""
        with self._lock:
            job, deleted = self._store.jobs_by_id([job_id]).get(job_id, (None, True))
            if job is None or deleted:
                return False
            revision = self._store.delete_job(job_id, who)
            self._engine.delete_job(job_id)
            self._advance(revision, [job])
        self.catch_up()
        return True

    def _stale(self, revision: Revision) -> bool:
        return revision != self._seen or (self._wake_at is not None and self._clock.now() >= self._wake_at)

    def _advance(self, revision: int, jobs: Sequence[Job]) -> None:
        # Only when nobody else wrote in between is everything up to this revision in the engine already.
        # campaigns=-1 makes the next catch_up ask again which campaigns have a job to show.
        if revision == self._seen.jobs + 1:
            touched = any(job.job_id in self._promoted for job in jobs)
            self._seen = Revision(revision, -1 if touched else self._seen.campaigns)
        self._wake_at = _earliest(self._wake_at, *(job.expires_at for job in jobs), after=self._clock.now())

    def _take_jobs(self, revision: Revision) -> None:
        now = self._clock.now()
        for jobs, gone in self._store.job_changes(self._seen.jobs, revision.jobs):
            present = [job for job in jobs if not _over(job, now)]
            for job, why in zip(present, self._engine.upsert_jobs(present), strict=True):
                if why is not None:
                    log.warning("the engine refused a stored job", job_id=job.job_id, why=why)
            for job_id in [*gone, *(job.job_id for job in jobs if _over(job, now))]:
                self._engine.delete_job(job_id)
        if self._looked_at is not None:
            for job_id in self._store.jobs_expired(self._looked_at, now):
                self._engine.delete_job(job_id)
        self._looked_at = now

    def _take_campaigns(self) -> None:
        now = self._clock.now()
        running = self._store.running_campaigns(now)
        self._promoted = frozenset(campaign.job_id for campaign in running)
        jobs = {job_id: None if gone else job for job_id, (job, gone) in self._store.jobs_by_id(self._promoted).items()}
        self._serving = [campaign for campaign in running if serves(campaign, jobs[campaign.job_id], now)]
        found = [(campaign, jobs[campaign.job_id]) for campaign in self._serving]
        self.running = tuple((campaign, job) for campaign, job in found if job is not None)
        # Before the campaigns: none is shown for a moment to those whom a veto keeps out.
        self._engine.set_link_edits(self._link_edits.of_campaigns([each.campaign_id for each in running]))
        self._show(self._journal.closed(self._serving, now))
        self._look_at_money = now + MONEY_LOOK
        changes = [next_change(campaign, now) for campaign in running]
        self._wake_at = _earliest(*changes, self._store.next_job_expiry(now), after=now)

    def _money_due(self) -> bool:
        return self._look_at_money is not None and self._clock.now() >= self._look_at_money

    def _take_money(self) -> None:
        now = self._clock.now()
        closed = self._journal.closed(self._serving, now)
        self._look_at_money = now + MONEY_LOOK
        if closed != self._closed:
            self._show(closed)

    def _show(self, closed: frozenset[str]) -> None:
        self._engine.set_campaigns([campaign for campaign in self._serving if campaign.campaign_id not in closed])
        self._closed = closed

    def _restore(self, written: Sequence[Job], before: Mapping[str, Job]) -> None:
        self._engine.upsert_jobs([before[job.job_id] for job in written if job.job_id in before])
        for job in written:
            if job.job_id not in before:
                self._engine.delete_job(job.job_id)


def _refusals(jobs: Sequence[Job], accounts: Mapping[str, str]) -> list[Refusal | None]:
    refusals: list[Refusal | None] = []
    seen: set[str] = set()
    for job in jobs:
        if job.job_id in seen:
            refusals.append(Refusal("duplicate", "the job_id occurs twice in this batch; the first one counts"))
        elif accounts.get(job.job_id, job.account_id) != job.account_id:
            refusals.append(Refusal("conflict", "a job can not change its account_id; use another job_id"))
        else:
            refusals.append(None)
        seen.add(job.job_id)
    return refusals


def _over(job: Job, now: datetime) -> bool:
    return job.expires_at is not None and job.expires_at <= now


def _earliest(*moments: datetime | None, after: datetime) -> datetime | None:
    return min((moment for moment in moments if moment is not None and moment > after), default=None)
