"""The store: keys, jobs, campaigns and remembered answers.

A method is one transaction; what it has returned from survives a kill and a loss of power. `scope` is the account whose
objects exist for the caller, None the whole marketplace. Tables are made by `targeting.migrations`, never by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import bindparam, delete, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from market.errors import ConflictError, NotFoundError
from market.money import Money
from market.records import Job
from targeting.campaigns import Bid, BidMode, Budget, Campaign, Objective, Pacing, Status
from targeting.storage.audit_log import CONSOLE, Change, Who, append
from targeting.storage.balances import change_caps, open_balance
from targeting.storage.database import Database
from targeting.storage.keys import ApiKey, Role
from targeting.storage.tables import AnswerRow, CampaignRow, JobRow, KeyRow, RevisionRow

# Asked by every request, so put together once.
_REVISIONS = select(RevisionRow.name, RevisionRow.value)
_KEY = select(KeyRow.key_id, KeyRow.digest, KeyRow.account_id, KeyRow.role, KeyRow.created_at).where(
    KeyRow.digest == bindparam("digest"), KeyRow.revoked_at.is_(None)
)
ANSWERS_KEPT = timedelta(hours=24)
_CHUNK = 5_000


@dataclass(frozen=True)
class Revision:
    """How often jobs and campaigns have been written; equal revisions mean equal contents."""

    jobs: int
    campaigns: int


@dataclass(frozen=True)
class Answer:
    """What a request with an Idempotency-Key was answered, to be said again word for word."""

    key_id: str
    idempotency_key: str
    request_digest: str
    status: int
    body: str
    etag: str | None
    created_at: datetime


class Store:
    """Everything that has to outlive the process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        return self._database

    def revision(self) -> Revision:
        with self._database.looking() as connection:
            values = {name: value for name, value in connection.execute(_REVISIONS)}
        return Revision(values["jobs"], values["campaigns"])

    def ping(self) -> None:
        self._database.ping()

    def checkpoint(self) -> None:
        self._database.checkpoint()

    def close(self) -> None:
        self._database.close()

    # Keys

    def add_key(self, key: ApiKey) -> None:
        made = {"role": key.role}
        with self._database.writing() as session:
            session.execute(insert(KeyRow).values(**vars(key)))
            append(session, Change(key.created_at, key.account_id, CONSOLE, "key.created", key.key_id, None, made))

    def revoke_key(self, key_id: str, now: datetime) -> ApiKey:
        """Revoke the key, from the next request on in every process; one that was revoked before stays as it is."""
        with self._database.writing() as session:
            row = session.get(KeyRow, key_id)
            if row is None:
                raise NotFoundError(f"no key {key_id!r}; `hiregraph keys list` shows them")
            if row.revoked_at is None:
                row.revoked_at = now
                session.flush()
                was, gone = {"role": row.role}, {"role": row.role, "revoked": True}
                append(session, Change(now, row.account_id, CONSOLE, "key.revoked", key_id, was, gone))
            return _key_of(row)

    def list_keys(self) -> list[ApiKey]:
        """All keys, revoked ones too, by account and age."""
        query = select(KeyRow).order_by(KeyRow.account_id, KeyRow.created_at, KeyRow.key_id)
        with self._database.reading() as session:
            return [_key_of(row) for row in session.scalars(query)]

    def key_by_digest(self, digest: str) -> ApiKey | None:
        """The key, unless it is unknown or revoked."""
        with self._database.looking() as connection:
            row = connection.execute(_KEY, {"digest": digest}).one_or_none()
            if row is None:
                return None
            return ApiKey(row.key_id, row.digest, row.account_id, cast(Role, row.role), row.created_at)

    # Jobs

    def job(self, job_id: str, scope: str | None) -> Job:
        """The job, or NotFoundError when it is missing, deleted or of another account."""
        query = _scoped(select(JobRow).where(JobRow.job_id == job_id, ~JobRow.deleted), JobRow.account_id, scope)
        with self._database.reading() as session:
            row = session.scalar(query)
            if row is None:
                raise NotFoundError(f"no job {job_id!r}; check the job_id, or upload it with POST /v1/jobs:batch")
            return job_of(row)

    def jobs_by_id(self, job_ids: Collection[str]) -> dict[str, tuple[Job, bool]]:
        """{job_id: (job, has it been deleted)} of those that were ever stored."""
        wanted, found = sorted(job_ids), {}
        with self._database.reading() as session:
            for start in range(0, len(wanted), _CHUNK):
                query = select(JobRow).where(JobRow.job_id.in_(wanted[start : start + _CHUNK]))
                found.update({row.job_id: (job_of(row), row.deleted) for row in session.scalars(query)})
        return found

    def put_jobs(self, jobs: Sequence[Job]) -> int:
        """Insert or replace jobs; a job never changes its account. Returns the new revision of jobs."""
        if not jobs:
            return self.revision().jobs
        with self._database.writing() as session:
            revision = raise_revision(session, "jobs")
            upsert = sqlite_insert(JobRow) if self._database.path else postgresql_insert(JobRow)
            columns = {column.name: upsert.excluded[column.name] for column in JobRow.__table__.columns}
            same_account = JobRow.account_id == upsert.excluded.account_id
            statement = upsert.on_conflict_do_update(index_elements=["job_id"], set_=columns, where=same_account)
            rows = [{**vars(job), "skills": list(job.skills), "revision": revision, "deleted": False} for job in jobs]
            session.execute(statement, rows)
            return revision

    def delete_job(self, job_id: str, who: Who | None = None) -> int:
        """Mark the job deleted, and write down who did it. Returns the new revision of jobs."""
        with self._database.writing() as session:
            revision = raise_revision(session, "jobs")
            gone = update(JobRow).where(JobRow.job_id == job_id).values(deleted=True, revision=revision)
            row = session.execute(gone.returning(JobRow.account_id, JobRow.title)).one_or_none()
            if who is not None and row is not None:
                was = {"title": row.title}
                append(session, Change(who.at, row.account_id, who.key_id, "job.deleted", job_id, was, None))
            return revision

    def job_changes(self, since: int, until: int) -> Iterator[tuple[list[Job], list[str]]]:
        """Jobs written after revision `since` up to `until`, in portions: (present, ids of the deleted)."""
        place, after = tuple_(JobRow.revision, JobRow.job_id), JobRow.revision > since
        while True:
            query = select(JobRow).where(after, JobRow.revision <= until)
            with self._database.reading() as session:
                rows = session.scalars(query.order_by(JobRow.revision, JobRow.job_id).limit(_CHUNK)).all()
                if not rows:
                    return
                after = place > (rows[-1].revision, rows[-1].job_id)
                portion = [job_of(row) for row in rows if not row.deleted], [row.job_id for row in rows if row.deleted]
            yield portion

    def jobs_expired(self, after: datetime, until: datetime) -> list[str]:
        """Ids of the jobs whose expires_at lies in (after, until]."""
        with self._database.reading() as session:
            query = select(JobRow.job_id).where(JobRow.expires_at > after, JobRow.expires_at <= until)
            return list(session.scalars(query))

    def next_job_expiry(self, now: datetime) -> datetime | None:
        query = select(JobRow.expires_at).where(JobRow.expires_at > now).order_by(JobRow.expires_at).limit(1)
        with self._database.reading() as session:
            return session.scalar(query)

    # Campaigns

    def add_campaign(self, campaign: Campaign, answer: Answer | None = None, change: Change | None = None) -> None:
        """Store a new campaign and, in the same transaction, what its request is answered and who made it."""
        with self._database.writing() as session:
            session.execute(insert(CampaignRow).values(**_columns(campaign)))
            open_balance(session, campaign)
            raise_revision(session, "campaigns")
            _remember(session, answer)
            _write_down(session, change)

    def replace_campaign(self, campaign: Campaign, answer: Answer | None = None, change: Change | None = None) -> None:
        """Store the next version; ConflictError when somebody else has changed the campaign in the meantime."""
        current = (CampaignRow.campaign_id == campaign.campaign_id) & (CampaignRow.version == campaign.version - 1)
        with self._database.writing() as session:
            result = session.execute(update(CampaignRow).where(current).values(**_columns(campaign)))
            if cast(CursorResult[Any], result).rowcount != 1:
                raise ConflictError("the campaign was changed at the same moment; read it again and repeat")
            change_caps(session, campaign)
            raise_revision(session, "campaigns")
            _remember(session, answer)
            _write_down(session, change)

    def campaign(self, campaign_id: str, scope: str | None) -> Campaign:
        """The campaign, or NotFoundError when it is missing or of another account."""
        query = select(CampaignRow).where(CampaignRow.campaign_id == campaign_id)
        with self._database.reading() as session:
            row = session.scalar(_scoped(query, CampaignRow.account_id, scope))
            if row is None:
                raise NotFoundError(f"no campaign {campaign_id!r}; GET /v1/campaigns lists yours")
            return campaign_of(row)

    def campaigns(self, scope: str | None, after: str, limit: int) -> list[Campaign]:
        """At most `limit` campaigns with an id after `after`, oldest first."""
        query = _scoped(select(CampaignRow).where(CampaignRow.campaign_id > after), CampaignRow.account_id, scope)
        with self._database.reading() as session:
            return [campaign_of(row) for row in session.scalars(query.order_by(CampaignRow.campaign_id).limit(limit))]

    def running_campaigns(self, now: datetime) -> list[Campaign]:
        """Campaigns that are active or will be by the clock alone, by id."""
        not_over = CampaignRow.ends_at.is_(None) | (CampaignRow.ends_at > now)
        query = select(CampaignRow).where(CampaignRow.status.in_(("scheduled", "active")), not_over)
        with self._database.reading() as session:
            return [campaign_of(row) for row in session.scalars(query.order_by(CampaignRow.campaign_id))]

    # Answers

    def answer(self, key_id: str, idempotency_key: str, now: datetime) -> Answer | None:
        """What this key was answered within the last 24 hours."""
        mine = (AnswerRow.key_id == key_id) & (AnswerRow.idempotency_key == idempotency_key)
        with self._database.reading() as session:
            row = session.scalar(select(AnswerRow).where(mine, AnswerRow.created_at > now - ANSWERS_KEPT))
            if row is None:
                return None
            return Answer(
                row.key_id, row.idempotency_key, row.request_digest, row.status, row.body, row.etag, row.created_at
            )


def _scoped(query: Any, account_column: Any, scope: str | None) -> Any:
    return query if scope is None else query.where(account_column == scope)


def raise_revision(session: Session, name: str) -> int:
    """Say inside a writing transaction that something of this kind has changed; every process looks at it."""
    counter = update(RevisionRow).where(RevisionRow.name == name).values(value=RevisionRow.value + 1)
    return session.execute(counter.returning(RevisionRow.value)).scalar_one()


def _remember(session: Session, answer: Answer | None) -> None:
    if answer is None:
        return
    session.execute(delete(AnswerRow).where(AnswerRow.created_at <= answer.created_at - ANSWERS_KEPT))
    try:
        session.execute(insert(AnswerRow).values(**vars(answer)))
    except IntegrityError:
        raise ConflictError("a request with this Idempotency-Key is being answered right now; repeat it") from None


def _write_down(session: Session, change: Change | None) -> None:
    if change is not None:
        append(session, change)


def _key_of(row: KeyRow) -> ApiKey:
    return ApiKey(row.key_id, row.digest, row.account_id, cast(Role, row.role), row.created_at, row.revoked_at)


def job_of(row: JobRow) -> Job:
    return Job(
        job_id=row.job_id,
        account_id=row.account_id,
        title=row.title,
        company=row.company,
        description=row.description,
        geo=row.geo,
        occupation=row.occupation,
        skills=tuple(row.skills),
        seniority=row.seniority,
        remote=row.remote,
        wage=row.wage,
        expires_at=row.expires_at,
        posted_at=row.posted_at,
    )


def _columns(campaign: Campaign) -> dict[str, Any]:
    same = "campaign_id account_id job_id name objective starts_at ends_at time_zone pacing status version created_at"
    daily, max_cpc, target_cpa = campaign.budget.daily, campaign.bid.max_cpc, campaign.bid.target_cpa
    return {name: getattr(campaign, name) for name in same.split()} | {
        "currency": campaign.currency,
        "total_micros": campaign.budget.total.amount_micros,
        "daily_micros": None if daily is None else daily.amount_micros,
        "bid_mode": campaign.bid.mode,
        "max_cpc_micros": None if max_cpc is None else max_cpc.amount_micros,
        "target_cpa_micros": None if target_cpa is None else target_cpa.amount_micros,
    }


def campaign_of(row: CampaignRow) -> Campaign:
    def money(micros: int | None) -> Money | None:
        return None if micros is None else Money(micros, row.currency)

    return Campaign(
        campaign_id=row.campaign_id,
        account_id=row.account_id,
        job_id=row.job_id,
        name=row.name,
        budget=Budget(Money(row.total_micros, row.currency), money(row.daily_micros)),
        bid=Bid(cast(BidMode, row.bid_mode), money(row.max_cpc_micros), money(row.target_cpa_micros)),
        objective=cast(Objective, row.objective),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        time_zone=row.time_zone,
        pacing=cast(Pacing, row.pacing),
        status=cast(Status, row.status),
        version=row.version,
        created_at=row.created_at,
    )
