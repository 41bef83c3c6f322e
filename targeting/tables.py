"""The tables of the store. `targeting.migrations` makes them; a test compares what it makes with what stands here."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from market.money import MAX_MICROS


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes in and out, UTC inside; SQLite has no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None if dialect.name == "sqlite" else UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )


class KeyRow(Base):
    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


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


# The money. `targeting.journal` is the only writer.


class BalanceRow(Base):
    """What a campaign has spent. The cap is its total budget, or what was spent when the budget was cut below that."""

    __tablename__ = "balances"
    __table_args__ = (
        CheckConstraint("posted_micros >= 0 AND posted_micros <= cap_micros", name="posted_within_cap"),
        CheckConstraint("reserved_micros >= 0", name="reserved_not_negative"),
    )

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"), primary_key=True)
    cap_micros: Mapped[int] = mapped_column(BigInteger)
    posted_micros: Mapped[int] = mapped_column(BigInteger)
    reserved_micros: Mapped[int] = mapped_column(BigInteger)


class DayBalanceRow(Base):
    """The same for one local day of the campaign, the day of serving; without a daily cap the total is the cap."""

    __tablename__ = "day_balances"
    __table_args__ = (
        CheckConstraint("posted_micros >= 0 AND posted_micros <= cap_micros", name="posted_within_cap"),
        CheckConstraint("reserved_micros >= 0", name="reserved_not_negative"),
        Index("ix_day_balances_day", "day"),
    )

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    cap_micros: Mapped[int] = mapped_column(BigInteger)
    posted_micros: Mapped[int] = mapped_column(BigInteger)
    reserved_micros: Mapped[int] = mapped_column(BigInteger)


class SlateRow(Base):
    """What was served with at least one promoted item; items are [{job_id, kind, position, score, campaign_id}]."""

    __tablename__ = "slates"

    slate_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seeker_id: Mapped[str | None] = mapped_column(String(128))
    served_at: Mapped[datetime] = mapped_column(UtcTime)
    items: Mapped[list[dict[str, object]]] = mapped_column(JSON)


class ReserveRow(Base):
    """One promoted item served: its price, what is held for it until release_at, what its click was billed.

    lane groups the tokens of which together only the dearest is billed; state is open, clicked or released.
    """

    __tablename__ = "reserves"
    __table_args__ = (
        CheckConstraint("price_micros >= 0 AND held_micros >= 0", name="not_negative"),
        CheckConstraint("posted_micros >= 0 AND posted_micros <= price_micros", name="posted_within_price"),
        CheckConstraint("state IN ('open', 'clicked', 'released')", name="state_known"),
        Index("ix_reserves_lane", "lane"),
        Index("ix_reserves_due", "state", "release_at"),
    )

    token_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    slate_id: Mapped[str] = mapped_column(ForeignKey("slates.slate_id"))
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"))
    seeker_id: Mapped[str | None] = mapped_column(String(128))
    day: Mapped[str] = mapped_column(String(10))
    lane: Mapped[str | None] = mapped_column(String(64))
    price_micros: Mapped[int] = mapped_column(BigInteger)
    held_micros: Mapped[int] = mapped_column(BigInteger)
    posted_micros: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    release_at: Mapped[datetime] = mapped_column(UtcTime)


class EventRow(Base):
    """An accepted event, kept for ever: its id is what makes a second delivery harmless."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_type", "type", "occurred_at"), Index("ix_events_campaign_id", "campaign_id"))

    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(16))
    occurred_at: Mapped[datetime] = mapped_column(UtcTime)
    received_at: Mapped[datetime] = mapped_column(UtcTime)
    seeker_id: Mapped[str | None] = mapped_column(String(128))
    job_id: Mapped[str] = mapped_column(String(128))
    request_id: Mapped[str | None] = mapped_column(String(128))
    position: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(Text)
    token_id: Mapped[str | None] = mapped_column(String(64))
    campaign_id: Mapped[str | None] = mapped_column(String(64))
    billed_micros: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    code: Mapped[str | None] = mapped_column(String(32))


class QuarantineRow(Base):
    """A well-formed event that could not be taken; it is judged again when it is sent again.

    campaign_id and price_micros are those of a click that came too late to be billed.
    """

    __tablename__ = "quarantine"
    __table_args__ = (Index("ix_quarantine_campaign_id", "campaign_id"),)

    event_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(32))
    received_at: Mapped[datetime] = mapped_column(UtcTime)
    campaign_id: Mapped[str | None] = mapped_column(String(64))
    price_micros: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict[str, object]] = mapped_column(JSON)


class PostingRow(Base):
    """One movement of money, never changed nor deleted (triggers see to that); the sum is the balance."""

    __tablename__ = "postings"
    __table_args__ = (
        CheckConstraint("amount_micros > 0", name="amount_positive"),
        Index("ix_postings_campaign_id", "campaign_id", "day"),
    )

    event_id: Mapped[str] = mapped_column(ForeignKey("events.event_id"), primary_key=True)
    token_id: Mapped[str] = mapped_column(ForeignKey("reserves.token_id"), unique=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"))
    day: Mapped[str] = mapped_column(String(10))
    amount_micros: Mapped[int] = mapped_column(BigInteger)
    posted_at: Mapped[datetime] = mapped_column(UtcTime)
