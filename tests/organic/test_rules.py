"""Quality rules become clauses and are counted."""

from __future__ import annotations

import numpy as np

from gpu_index import Index
from market.records import Filters, SeekerProfile
from organic.rows import JobBook, job_terms
from organic.rules import ALREADY_DECIDED, EXPIRED, RULES, both, jobs_removed
from tests.organic.small_market import JOBS, NOW, job, seeker


def test_applied_and_dismissed_jobs_are_excluded_and_saved_ones_not():
    filters = ALREADY_DECIDED.compile(seeker("Nurse", a="apply", b="save", c="dismiss"))
    assert filters == Filters(none_of=("job=a", "job=c"))


def test_a_seeker_without_activity_is_not_restricted():
    assert ALREADY_DECIDED.compile(SeekerProfile()) == Filters()


def test_expired_jobs_are_excluded_for_everybody():
    assert EXPIRED.compile(SeekerProfile()) == Filters(none_of=("status=expired",))


def test_filters_are_joined_by_and_without_repeats():
    joined = both([Filters((("a=1", "a=2"),), ("b=1",)), Filters((("a=1", "a=2"), ("c=1",)), ("b=1", "b=2"))])
    assert joined == Filters((("a=1", "a=2"), ("c=1",)), ("b=1", "b=2"))


def test_a_rule_knows_how_many_jobs_it_takes_away():
    jobs = [*JOBS, job("old", "Cook", expires_at=NOW)]
    index = Index({"organic": 2}, device="cpu")
    vectors = {"organic": np.ones((len(jobs), 2), np.float32)}
    index.upsert(JobBook().add(jobs), vectors=vectors, terms=[job_terms(posting, NOW) for posting in jobs])
    person = seeker(cook_1="apply", nurse_1="dismiss", gone="apply")
    assert jobs_removed(index, RULES, person, Filters()) == {"already-decided": 2, "expired": 1}
    only_nurses = Filters((("job=nurse-1", "job=nurse-2"),))
    assert jobs_removed(index, RULES, person, only_nurses) == {"already-decided": 1, "expired": 0}


def test_every_rule_has_its_own_id_a_reason_and_an_owner():
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.reason and rule.owner for rule in RULES)
