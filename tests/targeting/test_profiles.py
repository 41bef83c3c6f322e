"""Titles of a request become occupations, by name where one bears it, else by the nearest text."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from market.records import SeekerProfile
from market.taxonomy import build_taxonomy
from targeting.learned import Learned
from targeting.profiles import YEARS_PER_POSITION, ProfileReader
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned

TAXONOMY = build_taxonomy(
    "four",
    [
        ("10", "Registered nurse", "Care", "Health"),
        ("11", "Night nurse", "Care", "Health"),
        ("20", "Line cook", "Kitchen", "Food"),
        ("21", "Line cook", "Kitchen", "Food"),
    ],
)
NURSE, NIGHT, COOK = 0, 1, 2
NOW = datetime(2026, 7, 2, tzinfo=UTC)


@pytest.fixture
def reader() -> ProfileReader:
    return ProfileReader(TAXONOMY, WordEncoder())


def test_a_title_that_an_occupation_bears_is_that_occupation_however_it_is_written(reader: ProfileReader) -> None:
    assert reader.occupations(["registered NURSE!", "Line  cook"]) == [NURSE, COOK]  # the first of two that bear it


def test_another_title_is_the_nearest_by_text(reader: ProfileReader) -> None:
    assert reader.occupations(["cook", "Registered nurse", "night shifts"]) == [COOK, NURSE, NIGHT]


def test_texts_are_encoded_only_when_a_title_is_not_known_and_once() -> None:
    encoder = WordEncoder()
    reader = ProfileReader(TAXONOMY, encoder)
    reader.occupations(["Night nurse"])
    assert encoder.encoded == []
    reader.occupations(["cook"])
    reader.occupations(["chef"])
    assert encoder.encoded == [*TAXONOMY.titles, "cook", "chef"]


def test_one_by_one_equals_all_at_once(reader: ProfileReader) -> None:
    titles = ["cook", "Night nurse", "a nurse", "cook", "line"]
    assert reader.occupations(titles) == [reader.occupations([title])[0] for title in titles]
    assert reader.occupations([]) == []


def test_titles_come_newest_first_and_histories_are_oldest_first(reader: ProfileReader) -> None:
    seeker = SeekerProfile("s", ("Line cook", " ", "Night nurse"), education_years=12)
    example = reader.example(seeker, NOW)
    assert example.item_occupation.tolist() == [NIGHT, COOK]
    assert example.current.tolist() == [COOK]
    assert np.diff(example.item_year).tolist() == [YEARS_PER_POSITION]
    assert example.year[0] == pytest.approx(2026.5, abs=0.01)
    assert example.item_year[-1] == pytest.approx(example.year[0] - YEARS_PER_POSITION, abs=1e-3)
    assert example.education_years.tolist() == [12]


def test_somebody_who_says_nothing_has_an_empty_history(reader: ProfileReader) -> None:
    example = reader.example(SeekerProfile(), NOW)
    assert example.lengths.tolist() == [0]
    assert example.current.tolist() == [-1]
    assert np.isnan(example.education_years).all()


def test_lift_by_present_occupation_is_that_of_people_who_hold_nothing_else() -> None:
    learned: Learned = small_learned()
    reader = ProfileReader(learned.taxonomy, WordEncoder())
    lift, probability = reader.lift_into(learned.affinity, 7)
    assert lift.shape == probability.shape == (len(learned.taxonomy),)
    assert lift == pytest.approx(np.log(probability) - np.log(learned.model.popularity[7]), abs=1e-4)
    assert lift[7] > 0  # to stay is likelier than to come
