"""The tables of keys, jobs, campaigns and what people did to them.

`targeting.migrations` makes all tables; a test compares what it makes with what stands here, in `ledger_tables` and in
`seeker_tables`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from market.money import MAX_MICROS
from targeting.storage.base import Base, UtcTime


class KeyRow(Base):
    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)


class JobRow(Base):
    """A deleted job stays as a row: campaigns refer to it, and other processes have to hear of the deletion."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_revision", "revision", "job_id"), Index("ix_jobs_expires_at", "expires_at"))

    job_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(128))
    title: Mapped[str] = mapped_column(Text)
    company: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    geo: Mapped[str] = mapped_column(Text)
    occupation: Mapped[str | None] = mapped_column(Text)
    skills: Mapped[list[str]] = mapped_column(JSON)
    seniority: Mapped[str | None] = mapped_column(Text)
    remote: Mapped[bool]
    wage: Mapped[float | None]
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    posted_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revision: Mapped[int] = mapped_column(BigInteger)
    deleted: Mapped[bool]


class CampaignRow(Base):
    """Money is whole micros of `currency`; the database itself refuses what the rules of a campaign forbid."""

    __tablename__ = "campaigns"
    __table_args__ = (
        CheckConstraint(f"total_micros > 0 AND total_micros <= {MAX_MICROS}", name="total_in_range"),
        CheckConstraint("daily_micros > 0 AND daily_micros <= total_micros", name="daily_in_range"),
        CheckConstraint("max_cpc_micros > 0 AND max_cpc_micros <= total_micros", name="max_cpc_in_range"),
        CheckConstraint("target_cpa_micros > 0 AND target_cpa_micros <= total_micros", name="target_cpa_in_range"),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        Index("ix_campaigns_account_id", "account_id", "campaign_id"),
        Index("ix_campaigns_status", "status"),
    )

    campaign_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(128))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"))
    name: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(String(3))
    total_micros: Mapped[int] = mapped_column(BigInteger)
    daily_micros: Mapped[int | None] = mapped_column(BigInteger)
    bid_mode: Mapped[str] = mapped_column(String(16))
    max_cpc_micros: Mapped[int | None] = mapped_column(BigInteger)
    target_cpa_micros: Mapped[int | None] = mapped_column(BigInteger)
    objective: Mapped[str] = mapped_column(String(32))
    starts_at: Mapped[datetime] = mapped_column(UtcTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcTime)
    time_zone: Mapped[str] = mapped_column(String(64))
    pacing: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class AnswerRow(Base):
    __tablename__ = "answers"
    __table_args__ = (Index("ix_answers_created_at", "created_at"),)

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    etag: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class RevisionRow(Base):
    """One counter per kind of object, raised by every write of that kind."""

    __tablename__ = "revisions"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class LinkEditRow(Base):
    """What a person decided about one link of one campaign, with both sides of the link; a reset deletes the row."""

    __tablename__ = "link_edits"
    __table_args__ = (
        CheckConstraint("action IN ('veto', 'boost')", name="action_known"),
        CheckConstraint("(action = 'boost') = (weight IS NOT NULL)", name="weight_of_boosts"),
    )

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"), primary_key=True)
    link_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seeker: Mapped[list[str]] = mapped_column(JSON)
    job: Mapped[list[str]] = mapped_column(JSON)
    action: Mapped[str] = mapped_column(String(8))
    weight: Mapped[float | None]
    key_id: Mapped[str] = mapped_column(String(64))
    edited_at: Mapped[datetime] = mapped_column(UtcTime)


class AuditRow(Base):
    """One change by a person; rows stay as they are. digest = SHA-256 over the digest before and this row."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_account_id", "account_id", "number"),
        Index("ix_audit_log_digest", "digest", unique=True),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime)
    account_id: Mapped[str] = mapped_column(String(128))
    key_id: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(160))
    before: Mapped[dict[str, object] | None] = mapped_column(JSON)
    after: Mapped[dict[str, object] | None] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))


class OperationRow(Base):
    """Work that outlives its request; subject is a keyed digest where it names a person."""

    __tablename__ = "operations"
    __table_args__ = (CheckConstraint("state IN ('running', 'done', 'failed')", name="state_known"),)

    operation_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)
    result: Mapped[dict[str, object] | None] = mapped_column(JSON)
