"""The tables of pacing: prices of money that all worker processes share, and whose turn it is to move them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from targeting.storage.base import Base, UtcTime


class PacingRow(Base):
    """The price of one campaign and what it was last reckoned from, see `pacing.controller`.

    plan_price: of a plan that was made since the last step and waits to be mixed in; plan: what it says in words.
    """

    __tablename__ = "pacing"
    __table_args__ = (CheckConstraint("price >= 0 AND lowest >= 0 AND highest >= lowest", name="prices_in_order"),)

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.campaign_id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10))
    price: Mapped[float]
    lowest: Mapped[float]
    highest: Mapped[float]
    planned: Mapped[bool]
    budget_micros: Mapped[float]
    spent_micros: Mapped[float]
    share: Mapped[float]
    cpa_price: Mapped[float | None]
    cpa_cost: Mapped[float]
    cpa_value: Mapped[float]
    stepped_at: Mapped[datetime] = mapped_column(UtcTime)
    plan_price: Mapped[float | None]
    plan: Mapped[dict[str, object] | None] = mapped_column(JSON)


class PacingTurnRow(Base):
    """One row per kind of work; whoever moves it on by a conditional update does the work, the others read."""

    __tablename__ = "pacing_turns"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger)
