"""Explanations and counters agree with what the index itself answers, also after postings come and go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from gpu_index import Index
from market.records import Activity, Filters, SeekerProfile
from organic.quality.areas import near_areas
from organic.quality.build import Context, build_rules, jobs_of, occupations_by_title
from organic.quality.config import RULE_IDS, RuleConfig
from organic.quality.explain import RemovalCounter, suppressed
from organic.recommend import SPACE, Recommender, drop_job, put_jobs
from organic.rows import JobBook
from organic.rules import RULES, clause_of
from organic.towers import TextTowers
from tests.organic.quality.small_logs import AREAS, small_taxonomy
from tests.organic.small_market import NOW, WordEncoder, job

COOK = job("a", "Cook", company="Acme", seniority="senior", skills=("grill", "pastry", "sauces"), posted_at=NOW)
JOBS = (
    COOK,
    replace(COOK, job_id="b", posted_at=NOW - timedelta(days=5)),
    replace(COOK, job_id="c", company="Bolt", posted_at=NOW - timedelta(days=200)),
    replace(COOK, job_id="d", company="Core", geo="hamburg"),
    replace(COOK, job_id="e", company="Dorn", seniority="intern", skills=()),
)
SEEKER = SeekerProfile(
    titles=("Cook",),
    skills=("welding", "soldering", "english"),
    geo="berlin",
    seniority="director",
    activity=(Activity("e", "dismiss", NOW, "company"),),
)


def market():
    index, book, towers = Index({SPACE: WordEncoder.dimension}, device="cpu"), JobBook(), TextTowers(WordEncoder())
    put_jobs(index, book, towers, JOBS, NOW)
    config = RuleConfig(rules=RULE_IDS, areas=AREAS, stale_weeks=4)
    return index, book, towers, build_rules(config, Context(lambda: NOW, jobs_of(book)))


def test_every_rule_removes_from_the_index_what_it_explains():
    index, book, _, rules = market()
    explained = {
        posting.job_id: {each.rule for each in suppressed(book, rules, SEEKER, posting, NOW)} for posting in JOBS
    }
    assert explained == {
        "a": {"missing-skill"},
        "b": {"missing-skill", "duplicate"},
        "c": {"missing-skill", "stale"},
        "d": {"missing-skill", "too-far"},
        "e": {"already-decided", "too-junior", "company-muted"},
    }
    for rule in rules:
        left = index.count(clause_of(rule.compile(SEEKER)))
        assert left == sum(rule.id not in found for found in explained.values()), rule.id


def test_a_counter_adds_up_requests():
    index, _, _, rules = market()
    counter = RemovalCounter()
    assert counter.record(index, rules, SEEKER, Filters())["missing-skill"] == 4
    counter.record(index, rules, SeekerProfile(), Filters((("geo=hamburg",),)))
    assert counter.requests == 2
    assert counter.removed["duplicate"] == 1
    assert counter.removed["already-decided"] == 1
    assert set(counter.removed) == {rule.id for rule in rules}


def test_the_older_posting_comes_back_when_the_newer_one_goes():
    index, book, towers, rules = market()
    duplicate = next(rule for rule in rules if rule.id == "duplicate")
    clause = clause_of(duplicate.compile(SEEKER))
    assert index.count(clause) == 4
    drop_job(index, book, "a")
    put_jobs(index, book, towers, [], NOW)  # nothing new: the rows that were overtaken are written with the next ones
    put_jobs(index, book, towers, [job("x", "Nurse")], NOW)
    assert index.count(clause) == 5
    assert not suppressed(book, [duplicate], SEEKER, JOBS[1], NOW)


def test_the_recommender_serves_what_the_rules_leave():
    index, book, towers, rules = market()
    known = replace(SEEKER, skills=(), activity=())
    free = Recommender(index, towers, book, rules=RULES).recommend(known, now=NOW)
    ruled = Recommender(index, towers, book, rules=rules).recommend(known, now=NOW)
    assert {each.job_id for each in free} == {"a", "b", "c", "e"}
    assert {each.job_id for each in ruled} == {"a"}


def test_occupations_are_those_of_the_newest_titles_or_none():
    of = occupations_by_title(small_taxonomy(), {"Chef de partie": "c"})
    assert of(SeekerProfile(titles=("NURSE", "chef de-partie"))) == ["n", "c"]
    assert of(SeekerProfile(titles=("Nurse", "Wizard"))) == ()
    assert of(SeekerProfile(titles=("Nurse", " ", "Cook", "Doctor"))) == ["n", "c"]
    assert list(of(SeekerProfile())) == []


def test_areas_are_near_within_the_distance_and_always_to_themselves():
    assert near_areas(AREAS, 50) == {
        "berlin": ("berlin", "potsdam"),
        "potsdam": ("berlin", "potsdam"),
        "hamburg": ("hamburg",),
    }
    assert near_areas(AREAS, 0) == {name: (name,) for name in AREAS}
    assert near_areas({}, 80) == {}
    assert np.all([len(near) == 3 for near in near_areas(AREAS, 300).values()])
