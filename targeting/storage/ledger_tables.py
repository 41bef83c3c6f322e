"""The tables of the money; `targeting.storage.journal` and `credits` are the only writers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from targeting.storage.base import Base, UtcTime

CLICKED = text("state = 'clicked'")  # few of many reserves: what a campaign was not billed is found among them


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
    """What was served with at least one promoted item; items as `journal` logs them, with propensities."""

    __tablename__ = "slates"

    slate_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seeker_id: Mapped[str | None] = mapped_column(String(128))
    served_at: Mapped[datetime] = mapped_column(UtcTime)
    items: Mapped[list[dict[str, object]]] = mapped_column(JSON)


class ReserveRow(Base):
    """One promoted item served: its price, what is held for it until release_at, what its click was billed.

    lane groups the tokens of which together only the dearest is billed; state is open, clicked or released. value:
    qualified applications that a click was expected to bring (None: served before that was written down).
    """

    __tablename__ = "reserves"
    __table_args__ = (
        CheckConstraint("price_micros >= 0 AND held_micros >= 0", name="not_negative"),
        CheckConstraint("posted_micros >= 0 AND posted_micros <= price_micros", name="posted_within_price"),
        CheckConstraint("state IN ('open', 'clicked', 'released')", name="state_known"),
        Index("ix_reserves_lane", "lane"),
        Index("ix_reserves_due", "state", "release_at"),
        Index("ix_reserves_seeker_id", "seeker_id", "release_at"),
        Index("ix_reserves_clicked", "campaign_id", sqlite_where=CLICKED, postgresql_where=CLICKED),
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
    value: Mapped[float | None]
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


class CreditRow(Base):
    """Money given back for a posting, a row of its own that stays as it is; balances are net of credits."""

    __tablename__ = "credits"
    __table_args__ = (
        CheckConstraint("amount_micros > 0", name="amount_positive"),
        Index("ix_credits_campaign_id", "campaign_id", "day"),
    )

    event_id: Mapped[str] = mapped_column(ForeignKey("postings.event_id"), primary_key=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"))
    day: Mapped[str] = mapped_column(String(10))
    amount_micros: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(32))
    credited_at: Mapped[datetime] = mapped_column(UtcTime)
