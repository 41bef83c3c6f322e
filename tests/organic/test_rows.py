"""Terms survive any string; rows keep their numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from gpu_index import Clause, Index
from market.errors import IndexInputError, NotFoundError
from organic.rows import JobBook, canonical, job_terms, term, week_of
from tests.organic.small_market import JOBS, NOW, job

STRANGE = ["a=b", "=", "  ", "ü 看護師", "tab\tline\n", "\ud800", "\x00", "x" * 10_000, "%0a", "-1", "a,b|c&d"]


def test_a_job_row_says_what_can_be_filtered():
    posting = job("j1", "Nurse", "Acme Inc.", geo="31080", occupation="29-1141", skills=("Triage", "triage "))
    assert job_terms(posting) == [
        "job=j1",
        "geo=31080",
        "remote=no",
        "company=acme inc.",
        "occupation=29-1141",
        "status=open",
        "duplicate=no",
        "skills=few",
        "unknown=posted",
        "skill=triage",
    ]


def test_terms_say_week_and_language_and_what_is_not_known():
    posting = job("j", "Nurse", description="You will work with the team on the ward", posted_at=NOW, geo=" ")
    terms = job_terms(posting, duplicate=True)
    assert {"posted=2026-W09", "language=en", "duplicate=yes", "unknown=geo"} <= set(terms)
    assert "unknown=posted" not in terms
    assert not any(found.startswith("language=") for found in job_terms(job("j", "Nurse")))


def test_three_skills_are_not_few_however_often_two_of_them_are_said():
    assert "skills=few" not in job_terms(job("j", "Nurse", skills=("a", "b", "c")))
    assert "skills=few" in job_terms(job("j", "Nurse", skills=("a", "b", " A ", "")))


def test_weeks_are_those_of_the_calendar_in_utc():
    assert week_of(datetime(2027, 1, 3, tzinfo=UTC)) == "2026-W53"
    assert week_of(datetime(2026, 3, 1, 23, tzinfo=timezone(timedelta(hours=-5)))) == "2026-W10"


def test_names_lose_their_spelling_and_ids_keep_it():
    assert term("company", " ＡＣＭＥ\n Inc.") == term("company", "acme inc.")
    assert term("job", "A") != term("job", "a")
    assert term("geo", " x") != term("geo", "x")


@pytest.mark.parametrize("value", STRANGE, ids=ascii)
@pytest.mark.parametrize("field", ["job", "skill"])
def test_a_term_in_its_final_form_does_not_change_again(field, value):
    once = term(field, value)
    assert term(field, once.partition("=")[2]) == once


def test_different_strange_ids_stay_different():
    terms = {term("job", value) for value in [*STRANGE, "x" * 9_999, "x" * 99 + "y" * 9_901, "tab\tline"]}
    assert len(terms) == len(STRANGE) + 3


def test_every_strange_id_is_found_and_excluded_again():
    index = Index({"organic": 2}, device="cpu")
    postings = [job(value, "Nurse", skills=(value,)) for value in STRANGE if value.strip()]
    rows = JobBook().add(postings)
    index.upsert(rows, vectors={"organic": np.ones((len(rows), 2), np.float32)}, terms=[job_terms(p) for p in postings])
    for posting in postings:
        assert index.count(Clause(all_of=[[term("job", posting.job_id)]])) == 1
        assert index.count(Clause(none_of=[term("job", posting.job_id)])) == len(postings) - 1


def test_expiry_is_a_term_once_the_clock_says_so():
    posting = job("j", "Nurse", expires_at=NOW)
    assert "status=open" in job_terms(posting)
    assert "status=open" in job_terms(posting, NOW - timedelta(seconds=1))
    assert "status=expired" in job_terms(posting, NOW)


@pytest.mark.parametrize("wrong", ["", "geo", "=x", "geo=", " = ", "geo= "])
def test_what_is_no_term_is_refused(wrong):
    with pytest.raises(IndexInputError, match="expected field=value"):
        canonical(wrong)


def test_a_job_keeps_its_row_when_it_is_replaced():
    book = JobBook(JOBS)
    before = book.row("nurse-2")
    assert book.add([job("nurse-2", "Day nurse")]).tolist() == [before]
    assert book.job(before).title == "Day nurse"


def test_newer_jobs_have_smaller_rows_and_rows_are_never_given_twice():
    book = JobBook()
    first, second = book.add([job("a", "Cook"), job("b", "Cook")]).tolist()
    assert second < first
    assert book.remove("b") == second
    assert book.add([job("b", "Cook")])[0] < second


def test_what_was_removed_is_gone():
    book = JobBook(JOBS)
    row = book.remove("nurse-1")
    assert book.remove("nurse-1") is None
    assert (book.job(row), book.company(row), book.row("nurse-1")) == (None, None, None)
    with pytest.raises(NotFoundError, match="nurse-1"):
        book.rows(["nurse-2", "nurse-1"])
