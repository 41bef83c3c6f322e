"""Attributes of seekers and jobs on a taxonomy of six occupations, by hand; and how they are told in words."""

from dataclasses import replace

import numpy as np
import pytest

from graph.bipartite import Examples
from graph.linking.attributes import (
    EDUCATION_BANDS,
    education_band,
    job_in_words,
    seeker_attributes,
    seeker_in_words,
)
from market.taxonomy import build_taxonomy

CODES = ("10", "11", "20", "21", "30", "31")
TAXONOMY = build_taxonomy(
    "toy",
    [(code, f"Title {code}", section, major) for code, section, major in zip(CODES, "AABBCC", "XXXXYY", strict=True)],
)


def examples(*rows):
    """One instance per (codes held, oldest first; code hired into; years of schooling)."""
    histories = [[CODES.index(code) for code in held] for held, _, _ in rows]
    stop = np.cumsum([len(h) for h in histories])
    return Examples(
        person=np.arange(len(rows), dtype=np.int32),
        start=stop - [len(h) for h in histories],
        stop=stop,
        item_occupation=np.array([o for h in histories for o in h], np.int32),
        item_year=np.array([2000 + i for h in histories for i in range(len(h))], np.float32),
        year=np.full(len(rows), 2020, np.float32),
        education_years=np.array([years for _, _, years in rows], np.float32),
        target=np.array([CODES.index(code) if code else -1 for _, code, _ in rows], np.int32),
    )


UNKNOWN = np.nan


def test_a_seeker_is_the_present_occupation_its_groups_the_recent_past_and_schooling():
    held = ["30", "20", "10", "20", "31", "10"]
    assert seeker_attributes(examples((held, None, 13)), TAXONOMY) == [
        ["occupation=10", "section=A", "major=X", "past_occupation=20", "past_occupation=31", "education=<=15"]
    ]
    assert seeker_attributes(examples((held, None, UNKNOWN)), TAXONOMY, past_items=1) == [
        ["occupation=10", "section=A", "major=X", "past_occupation=31"]
    ]


def test_a_seeker_without_history_has_schooling_at_most():
    assert seeker_attributes(examples(([], "10", UNKNOWN), ([], "10", 20)), TAXONOMY) == [[], ["education=>16"]]


def test_occupations_no_taxonomy_knows_have_no_attributes():
    stranger = examples((["10", "11"], None, UNKNOWN), (["10", "11"], None, UNKNOWN))
    items = stranger.item_occupation.copy()
    items[0] = items[3] = 6
    assert seeker_attributes(replace(stranger, item_occupation=items), TAXONOMY) == [
        ["occupation=11", "section=A", "major=X"],
        [],
    ]


@pytest.mark.parametrize(
    ("years", "band"), [(0, "<=8"), (8, "<=8"), (9, "<=11"), (12, "<=12"), (16, "<=16"), (17, ">16"), (UNKNOWN, None)]
)
def test_schooling_is_told_in_bands_by_their_upper_edge(years, band):
    assert education_band(years) == band
    assert list(EDUCATION_BANDS) == sorted(EDUCATION_BANDS)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (["occupation=10"], "works as Title 10"),
        (["past_occupation=20"], "worked as Title 20"),
        (["occupation=999"], "works as 999"),
        (["section=A"], "section A"),
        (["major=X"], "major group X"),
        (["education=<=12"], "at most 12 years of schooling"),
        (["education=>16"], "more than 16 years of schooling"),
        (["skill=welding"], "skill welding"),
        (["education=<=12", "occupation=10"], "works as Title 10, at most 12 years of schooling"),
    ],
)
def test_a_seekers_attributes_are_told_in_words(attributes, words):
    assert seeker_in_words(attributes, TAXONOMY) == words


def test_a_jobs_attributes_are_told_in_words():
    assert job_in_words(["section=A", "occupation=10"], TAXONOMY) == "as Title 10, in section A"
    assert job_in_words(["major=X"], TAXONOMY) == "in major group X"


def test_every_attribute_of_a_seeker_has_words_without_an_equals_sign():
    for attribute in seeker_attributes(examples((["20", "10"], None, 13)), TAXONOMY)[0]:
        assert "=" not in seeker_in_words([attribute], TAXONOMY)
