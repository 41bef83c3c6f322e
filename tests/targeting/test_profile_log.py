"""What is noted of a request's profile, and what is not."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from market.errors import ConfigError
from market.records import Activity, SeekerProfile
from targeting.profile_log import NotedProfile, PrivacyConfig, ProfileLog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NURSE = SeekerProfile("s1", ("Nurse", "Carer"), ("care",), "31080", "senior", 14.0, (Activity("j1", "save", NOON),))


def test_titles_area_and_schooling_are_noted_and_nothing_else() -> None:
    log = ProfileLog()
    log.note(NURSE, NOON, "29-1141")
    assert log.take() == [NotedProfile("s1", ("Nurse", "Carer"), "31080", 14.0, "29-1141", NOON)]
    assert log.take() == []
    assert {field.name for field in fields(NotedProfile)} == {
        "seeker_id",
        "titles",
        "geo",
        "education_years",
        "occupation",
        "seen_at",
    }


def test_an_unchanged_profile_is_noted_once_and_a_changed_one_again() -> None:
    log = ProfileLog()
    for profile in (NURSE, NURSE, replace(NURSE, activity=(), skills=()), replace(NURSE, geo="12420"), NURSE):
        log.note(profile, NOON)
        log.take()
        noted = log.known()
    assert noted == ["s1"]
    log.note(NURSE, NOON + timedelta(days=1))
    assert log.take() == []
    log.note(replace(NURSE, titles=("Chief nurse", "Nurse")), NOON)
    assert [each.titles for each in log.take()] == [("Chief nurse", "Nurse")]


@pytest.mark.parametrize(
    "nothing", [replace(NURSE, seeker_id=None), SeekerProfile("s1"), SeekerProfile("s1", skills=("x",))]
)
def test_a_profile_without_a_seeker_or_without_content_is_not_noted(nothing: SeekerProfile) -> None:
    log = ProfileLog()
    log.note(nothing, NOON)
    assert log.take() == []


def test_nothing_is_noted_where_profiles_are_not_recorded() -> None:
    log = ProfileLog(PrivacyConfig(record_profiles=False))
    log.note(NURSE, NOON)
    assert log.take() == []
    assert log.known() == []


def test_blank_and_repeated_titles_are_dropped() -> None:
    log = ProfileLog()
    log.note(replace(NURSE, titles=("", "Nurse", " ", "Carer", "Nurse")), NOON)
    assert log.take()[0].titles == ("Nurse", "Carer")


def test_memory_is_bounded_and_what_did_not_fit_comes_again() -> None:
    log = ProfileLog(PrivacyConfig(waiting=2, remembered=3))
    for number in range(5):
        log.note(replace(NURSE, seeker_id=f"s{number}"), NOON)
    assert log.dropped == 3
    assert [each.seeker_id for each in log.take()] == ["s0", "s1"]
    log.note(replace(NURSE, seeker_id="s4"), NOON)
    assert [each.seeker_id for each in log.take()] == ["s4"]
    for number in range(10):
        log.note(replace(NURSE, seeker_id=f"t{number}"), NOON)
        log.take()
    assert len(log.known()) == 3


def test_what_could_not_be_written_waits_behind_what_is_newer() -> None:
    log = ProfileLog()
    log.note(NURSE, NOON)
    taken = log.take()
    log.note(replace(NURSE, geo="12420"), NOON)
    log.put_back(taken)
    assert [each.geo for each in log.take()] == ["12420"]


def test_a_forgotten_seeker_is_gone_from_both_memories() -> None:
    log = ProfileLog()
    log.note(NURSE, NOON)
    assert log.forget("s1") == 2
    assert log.forget("s1") == 0
    assert log.take() == []


@pytest.mark.parametrize("wrong", [{"flush_seconds": 0}, {"flush_seconds": float("nan")}, {"waiting": 0}])
def test_a_configuration_that_can_not_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        PrivacyConfig(**wrong)  # type: ignore[arg-type]
