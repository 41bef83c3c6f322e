"""Near-identical postings: what counts as the same, and who is the newest after every insert and delete."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organic.quality.duplicates import posting_digest
from organic.rows import JobBook
from tests.organic.small_market import NOW, job

COOK = job("a", "Line cook", company="Acme Inc.", description="Ref. 1234: cook for our canteen, from 1.3.2026")


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": "other"},
        {"title": "LINE  COOK!"},
        {"company": "acme inc"},
        {"description": "Ref. 9999 - cook for our canteen, from 2.4.2026"},
        {"wage": 30_000.0},
        {"posted_at": NOW},
    ],
)
def test_spelling_numbers_and_dates_do_not_make_another_posting(changes):
    assert posting_digest(replace(COOK, **changes)) == posting_digest(COOK)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Head cook"},
        {"company": "Bcme"},
        {"company": "Acme Inc. 2"},
        {"geo": "hamburg"},
        {"description": "cook for our hotel"},
    ],
)
def test_another_word_or_area_makes_another_posting(changes):
    assert posting_digest(replace(COOK, **changes)) != posting_digest(COOK)


def test_words_do_not_wander_from_one_field_into_the_next():
    assert posting_digest(replace(COOK, title="Line", company="cook Acme Inc.")) != posting_digest(COOK)


def test_the_posting_with_the_latest_date_is_the_newest_and_a_date_beats_none():
    days = {"old": NOW - timedelta(days=3), "new": NOW, "undated": None}
    book = JobBook(replace(COOK, job_id=name, posted_at=at) for name, at in days.items())
    assert {name: book.is_duplicate(name) for name in days} == {"old": True, "new": False, "undated": True}


def test_others_whose_standing_changed_are_named_once():
    book = JobBook([COOK])
    assert book.take_overtaken() == []
    again = replace(COOK, job_id="b")
    book.add([again])
    assert book.take_overtaken() == [COOK]
    assert book.take_overtaken() == []
    book.remove("b")
    assert book.take_overtaken() == [COOK]
    assert not book.is_duplicate("a")


def test_a_posting_that_becomes_another_one_frees_the_older():
    book = JobBook([COOK, replace(COOK, job_id="b")])
    book.take_overtaken()
    book.add([replace(COOK, job_id="b", title="Pastry cook")])
    assert book.take_overtaken() == [COOK]
    assert not book.is_duplicate("a")
    assert not book.is_duplicate("b")


def test_of_jobs_written_together_none_wants_writing_again():
    book = JobBook()
    book.add([COOK, replace(COOK, job_id="b")])
    assert book.take_overtaken() == []
    assert book.is_duplicate("a")


def test_terms_of_the_book_carry_the_standing():
    book = JobBook([COOK, replace(COOK, job_id="b")])
    assert "duplicate=yes" in book.terms(COOK)
    assert "duplicate=no" in book.terms(replace(COOK, job_id="b"))
    assert "duplicate=no" in book.terms(job("unknown", "Cook"))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove"]),
        st.sampled_from("abcd"),
        st.sampled_from(["cook", "nurse"]),
        st.none() | st.integers(0, 2),
    ),
    max_size=25,
)


@given(ACTIONS)
def test_after_any_inserts_and_deletes_the_index_would_be_right(actions):
    """Rows written as `take_overtaken` asks carry what a fresh look at all jobs would say."""
    book, written = JobBook(), {}
    for action, job_id, title, day in actions:
        if action == "add":
            posted = None if day is None else NOW + timedelta(days=day)
            posting = job(job_id, title, company="Acme", posted_at=posted)
            book.add([posting])
            written[job_id] = "duplicate=yes" in book.terms(posting)
        elif book.remove(job_id) is not None:
            del written[job_id]
        for other in book.take_overtaken():
            assert other.job_id in written
            written[other.job_id] = "duplicate=yes" in book.terms(other)

        jobs = [book.job(book.row(each)) for each in written]
        for mine in jobs:
            key = (_seconds(mine), -book.row(mine.job_id))
            others = [(_seconds(each), -book.row(each.job_id)) for each in jobs if each.title == mine.title]
            assert written[mine.job_id] == (key != max(others))


def _seconds(posting) -> float:
    return float("-inf") if posting.posted_at is None else posting.posted_at.timestamp()
