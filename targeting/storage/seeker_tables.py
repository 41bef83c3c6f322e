"""What is kept about seekers, so that logs can be learned from, and traffic counted without naming anyone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from targeting.storage.base import Base, UtcTime


class SeekerRow(Base):
    """The profile a seeker was last seen with. There is no column for sex, race, age or birth date."""

    __tablename__ = "seekers"

    seeker_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    geo: Mapped[str | None] = mapped_column(Text)
    education_years: Mapped[float | None]
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class SeekerTitleRow(Base):
    """A title of a profile, when it was first seen and its place then (0 is the newest); occupation as it was read."""

    __tablename__ = "seeker_titles"

    seeker_id: Mapped[str] = mapped_column(ForeignKey("seekers.seeker_id"), primary_key=True)
    title: Mapped[str] = mapped_column(Text, primary_key=True)
    place: Mapped[int]
    occupation: Mapped[str | None] = mapped_column(Text)
    geo: Mapped[str | None] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(UtcTime)


class ErasedRow(Base):
    """Who must not come back: a keyed digest of the seeker id."""

    __tablename__ = "erased_seekers"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(UtcTime)


class TrafficRow(Base):
    """Slate requests of one hour by present occupation and area: how many, promoted slots asked for, slots sold."""

    __tablename__ = "traffic"

    hour: Mapped[datetime] = mapped_column(UtcTime, primary_key=True)
    occupation: Mapped[str] = mapped_column(Text, primary_key=True)
    geo: Mapped[str] = mapped_column(Text, primary_key=True)
    requests: Mapped[int]
    slots: Mapped[int]
    sold: Mapped[int]


class PriceRow(Base):
    """What it took to win a promoted slot on one day: slates by present occupation and level of the lowest winner.

    level numbers the buckets of `targeting.traffic`; slots left empty are level -1.
    """

    __tablename__ = "price_levels"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    occupation: Mapped[str] = mapped_column(Text, primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    slates: Mapped[int]
