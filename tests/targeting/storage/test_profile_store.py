"""Profiles on disk: the last word on area and schooling, the first sight of every title."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from market.records import SeekerProfile
from targeting.profile_log import NotedProfile, ProfileLog
from targeting.storage.database import StoreUnavailableError
from targeting.storage.profile_store import ProfileStore
from targeting.storage.seeker_tables import SeekerRow, SeekerTitleRow
from targeting.storage.tombstones import Tombstones
from tests.targeting.storage.conftest import NOON, SECRET, Till

DAY = timedelta(days=1)
PROTECTED = {"sex", "gender", "race", "ethnicity", "age", "birth", "birthdate", "religion", "disability", "postcode"}


@pytest.fixture
def store(till: Till) -> ProfileStore:
    return ProfileStore(till.database, Tombstones(SECRET))


def noted(
    *titles: str, seeker: str = "s1", geo: str | None = "31080", years: float | None = 14.0, day: int = 0
) -> NotedProfile:
    return NotedProfile(seeker, titles, geo, years, "29-1" if titles else None, NOON + day * DAY)


def test_a_profile_comes_back_as_it_was_noted(till: Till, store: ProfileStore) -> None:
    assert store.write([noted("Nurse", "Carer")]) == 1
    with till.database.reading() as session:
        [seeker] = session.scalars(select(SeekerRow))
        assert (seeker.seeker_id, seeker.geo, seeker.education_years, seeker.updated_at) == ("s1", "31080", 14.0, NOON)
        found = session.scalars(select(SeekerTitleRow).order_by(SeekerTitleRow.place))
        assert [(row.title, row.place, row.occupation, row.geo, row.first_seen_at) for row in found] == [
            ("Nurse", 0, "29-1", "31080", NOON),
            ("Carer", 1, None, "31080", NOON),
        ]


def test_known_titles_keep_their_first_sight_and_silence_changes_nothing(till: Till, store: ProfileStore) -> None:
    store.write([noted("Nurse")])
    store.write([noted("Chief", "Nurse", geo=None, years=None, day=1)])
    with till.database.reading() as session:
        [seeker] = session.scalars(select(SeekerRow))
        assert (seeker.geo, seeker.education_years, seeker.updated_at) == ("31080", 14.0, NOON + DAY)
        found = session.scalars(select(SeekerTitleRow).order_by(SeekerTitleRow.title))
        assert [(row.title, row.place, row.first_seen_at) for row in found] == [
            ("Chief", 0, NOON + DAY),
            ("Nurse", 0, NOON),
        ]


def test_the_last_profile_of_a_seeker_counts_and_more_than_one_transaction_is_used(
    till: Till, store: ProfileStore
) -> None:
    log = ProfileLog()
    for number in range(1_201):
        log.note(SeekerProfile(f"s{number}", ("Nurse",), geo="a"), NOON)
    log.note(SeekerProfile("s7", ("Nurse",), geo="b"), NOON)
    assert store.flush(log) == 1_201
    with till.database.reading() as session:
        assert session.scalar(select(SeekerRow.geo).where(SeekerRow.seeker_id == "s7")) == "b"


class Down(ProfileStore):
    def write(self, profiles):  # type: ignore[no-untyped-def]
        raise StoreUnavailableError("busy")


def test_profiles_wait_while_the_database_does_not_answer(till: Till, store: ProfileStore) -> None:
    log = ProfileLog()
    log.note(SeekerProfile("s1", ("Nurse",)), NOON)
    with pytest.raises(StoreUnavailableError):
        Down(till.database, Tombstones(SECRET)).flush(log)
    assert store.flush(log) == 1


@pytest.mark.parametrize("table", [SeekerRow, SeekerTitleRow])
def test_no_protected_attribute_has_a_column(table: type) -> None:
    words = {word for column in table.__table__.columns for word in column.name.split("_")}  # type: ignore[attr-defined]
    assert not words & PROTECTED
