"""Careers from lists of titles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from targeting import profiles
from targeting.storage.positions import YEARS_PER_POSITION, Title, from_hire, from_profile

FIRST, LATER = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
TWO_YEARS = timedelta(days=730.5)


def test_years_are_those_that_requests_are_read_with() -> None:
    assert YEARS_PER_POSITION == profiles.YEARS_PER_POSITION


def test_the_first_profile_is_dated_backwards_newest_title_last() -> None:
    titles = [Title("Nurse", 0, "31080", FIRST, "29"), Title("Carer", 1, "31080", FIRST, None)]
    rows = from_profile("s1", titles, {"Carer": "31"})
    assert [(row["title"], row["occupation"], row["started_at"]) for row in rows] == [
        ("Carer", "31", FIRST - 2 * TWO_YEARS),
        ("Nurse", "29", FIRST - TWO_YEARS),
    ]
    assert {(row["seeker_id"], row["recorded_at"], row["employer_id"]) for row in rows} == {("s1", FIRST, None)}


def test_titles_that_appear_in_front_began_when_they_were_seen_in_their_order() -> None:
    titles = [
        Title("Carer", 0, "31080", FIRST, "31"),
        Title("Chief", 0, "31080", LATER, "11"),
        Title("Nurse", 1, "31080", LATER, "29"),
    ]
    rows = from_profile("s1", titles, {})
    assert [row["title"] for row in rows] == ["Carer", "Nurse", "Chief"]
    assert rows[2]["started_at"] == LATER


def test_a_title_that_appears_behind_known_ones_is_an_older_position() -> None:
    titles = [Title("Nurse", 0, "31080", FIRST, "29"), Title("Waiter", 1, "31080", LATER, "35")]
    rows = from_profile("s1", titles, {})
    assert [row["title"] for row in rows] == ["Waiter", "Nurse"]


def test_a_hire_is_a_position_at_the_employer_of_the_job() -> None:
    job = {"job_id": "j1", "employer_id": "acme", "occupation": "29", "title": "Nurse", "geo": "31080"}
    assert from_hire("s1", job, FIRST, LATER) == {
        "seeker_id": "s1",
        "employer_id": "acme",
        "occupation": "29",
        "title": "Nurse",
        "geo": "31080",
        "started_at": FIRST,
        "ended_at": None,
        "recorded_at": LATER,
    }
