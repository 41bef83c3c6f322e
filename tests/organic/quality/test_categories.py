"""Every rule: by hand on one seeker and a few jobs, then against its slow twin on records nobody would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.records import Activity, Filters, Job, SeekerProfile
from organic.quality.build import REASONS, Context, build_rules, jobs_of
from organic.quality.config import RULE_IDS, RuleConfig
from organic.quality.explain import against, suppressed
from organic.rows import JobBook, job_terms
from organic.rules import RULES
from tests.organic.quality.slow_rules import allowed
from tests.organic.small_market import NOW, job

AREAS = {"berlin": (52.52, 13.40), "potsdam": (52.40, 13.06), "hamburg": (53.55, 9.99)}
GROUPS = {"nurse": "health", "doctor": "health", "cook": "food", "welder": "metal", "clerk": "office"}
ALL = RuleConfig(
    rules=RULE_IDS,
    groups=GROUPS,
    neighbours={"health": ("office",), "food": (), "metal": ("food",)},  # nothing is known of people in offices
    areas=AREAS,
    languages=("en",),
    stale_weeks=4,
    company_dismissals=2,
)
GERMAN = "Wir suchen eine Köchin für die Küche und den Saal, auch nachts und mit Kindern"
ENGLISH = "You will work with the team in the kitchen and on the floor of our canteen"


def removed_by(seeker: SeekerProfile, posting: Job, config: RuleConfig = ALL, book: JobBook | None = None) -> list[str]:
    book = book or JobBook()
    context = Context(now=lambda: NOW, job_of=jobs_of(book), occupations_of=lambda s: [t.lower() for t in s.titles])
    return [each.rule for each in suppressed(book, build_rules(config, context), seeker, posting, NOW)]


def test_only_near_occupations_are_shown():
    nurse = SeekerProfile(titles=("Nurse",))
    assert removed_by(nurse, job("a", "t", occupation="doctor")) == []
    assert removed_by(nurse, job("a", "t", occupation="clerk")) == []
    assert removed_by(nurse, job("a", "t", occupation="cook")) == ["wrong-occupation"]
    assert removed_by(nurse, job("a", "t", occupation="astronaut")) == []
    assert removed_by(nurse, job("a", "t")) == []


def test_what_is_near_to_one_of_the_occupations_held_is_near():
    assert removed_by(SeekerProfile(titles=("Nurse", "Cook")), job("a", "t", occupation="cook")) == []


@pytest.mark.parametrize("titles", [(), ("Astronaut",), ("Nurse", "Astronaut"), ("Clerk",)])
def test_occupations_outside_the_table_let_everything_pass(titles):
    assert removed_by(SeekerProfile(titles=titles), job("a", "t", occupation="welder")) == []


def test_where_both_list_three_skills_one_is_shared():
    seeker = SeekerProfile(skills=("Triage", "wound  care", "English"))
    assert removed_by(seeker, job("a", "t", skills=("MIG", "TIG", "welding"))) == ["missing-skill"]
    assert removed_by(seeker, job("a", "t", skills=("MIG", "TIG", "TRIAGE"))) == []
    assert removed_by(seeker, job("a", "t", skills=("MIG", "tig", "TIG "))) == []
    assert removed_by(SeekerProfile(skills=("Triage", "English")), job("a", "t", skills=("a", "b", "c"))) == []


def test_a_job_is_at_most_two_steps_away():
    entry = SeekerProfile(seniority="Entry")
    assert removed_by(entry, job("a", "t", seniority="Mid")) == []
    assert removed_by(entry, job("a", "t", seniority=" SENIOR")) == ["too-senior"]
    assert removed_by(SeekerProfile(seniority="Director"), job("a", "t", seniority="junior")) == ["too-junior"]
    assert removed_by(SeekerProfile(seniority="Wizard"), job("a", "t", seniority="intern")) == []
    assert removed_by(entry, job("a", "t", seniority="wizard")) == []
    assert removed_by(entry, job("a", "t")) == []


def test_a_job_is_near_or_remote():
    here = SeekerProfile(geo="berlin")
    assert removed_by(here, job("a", "t", geo="potsdam")) == []
    assert removed_by(here, job("a", "t", geo="hamburg")) == ["too-far"]
    assert removed_by(here, job("a", "t", geo="hamburg", remote=True)) == []
    assert removed_by(here, job("a", "t", geo=" ")) == []
    assert removed_by(SeekerProfile(geo="paris"), job("a", "t", geo="hamburg")) == []


def test_a_language_nobody_named_hides_and_an_unknown_one_does_not():
    assert removed_by(SeekerProfile(), job("a", "Köchin", description=GERMAN)) == ["wrong-language"]
    assert removed_by(SeekerProfile(), job("a", "Cook", description=ENGLISH)) == []
    assert removed_by(SeekerProfile(), job("a", "Köchin")) == []


def test_who_applied_to_a_german_job_reads_german():
    book = JobBook([job("before", "Koch", description=GERMAN)])
    saved = SeekerProfile(activity=(Activity("before", "save", NOW),))
    dismissed = SeekerProfile(activity=(Activity("before", "dismiss", NOW),))
    assert removed_by(saved, job("a", "Köchin", description=GERMAN), book=book) == []
    assert removed_by(dismissed, job("a", "Köchin", description=GERMAN), book=book) == ["wrong-language"]


def test_a_posting_is_stale_by_calendar_weeks():
    assert NOW.isocalendar()[:2] == (2026, 9)  # a Sunday: the week began six days ago
    for days, found in ((0, []), (6 + 28, []), (7 + 28, ["stale"]), (-7, []), (-8, ["stale"])):
        posting = job("a", "t", posted_at=NOW - timedelta(days=days))
        assert removed_by(SeekerProfile(), posting) == found, days
    assert removed_by(SeekerProfile(), job("a", "t")) == []


def test_only_the_newest_of_two_equal_postings_is_shown():
    first, again = job("a", "Cook", company="Acme"), job("b", "COOK", company="Acme!")
    book = JobBook([first, again])
    assert removed_by(SeekerProfile(), first, book=book) == ["duplicate"]
    assert removed_by(SeekerProfile(), again, book=book) == []


def test_a_company_is_muted_by_a_reason_or_by_dismissals_of_two_jobs():
    book = JobBook(
        [job("a", "Cook", company="Acme"), job("b", "Nurse", company="ACME"), job("c", "x", company="Other")]
    )

    def seeker(*activity: Activity) -> SeekerProfile:
        return SeekerProfile(activity=activity)

    posting = job("d", "Welder", company="acme")
    assert removed_by(seeker(Activity("a", "dismiss", NOW)), posting, book=book) == []
    assert removed_by(seeker(Activity("a", "dismiss", NOW, "company")), posting, book=book) == ["company-muted"]
    assert removed_by(seeker(Activity("a", "dismiss", NOW, "stale")), posting, book=book) == []
    twice = Activity("a", "dismiss", NOW), Activity("a", "dismiss", NOW)
    assert removed_by(seeker(*twice), posting, book=book) == []
    both = Activity("a", "dismiss", NOW), Activity("b", "dismiss", NOW)
    assert removed_by(seeker(*both), posting, book=book) == ["company-muted"]
    assert removed_by(seeker(Activity("gone", "dismiss", NOW, "company")), posting, book=book) == []


def test_a_suppression_says_which_rule_why_and_by_which_term():
    rules = build_rules(ALL, Context(now=lambda: NOW))
    old = job("a", "Cook", seniority="head", posted_at=NOW - timedelta(days=90), expires_at=NOW)
    person = SeekerProfile(seniority="junior", activity=(Activity("a", "apply", NOW),))
    found = {each.rule: each for each in suppressed(JobBook(), rules, person, old, NOW)}
    assert list(found) == ["already-decided", "expired", "too-senior", "stale"]
    assert (found["already-decided"].has, found["already-decided"].lacks) == (("job=a",), ())
    assert found["too-senior"].has == ("seniority=head",)
    assert found["too-senior"].reason == REASONS["too-senior"]
    assert found["stale"].has == ()
    assert "posted=2026-W09" in found["stale"].lacks[0]


def test_a_rule_that_is_not_named_is_not_built_and_two_always_are():
    assert build_rules(RuleConfig(), Context()) == RULES
    named = build_rules(RuleConfig(rules=("stale", "duplicate")), Context())
    assert [rule.id for rule in named] == ["already-decided", "expired", "stale", "duplicate"]


def test_every_rule_has_a_reason_and_an_owner_and_its_own_id():
    rules = build_rules(ALL, Context())
    assert len({rule.id for rule in rules}) == len(rules) == len(RULES) + len(RULE_IDS)
    assert set(REASONS) == set(RULE_IDS)
    assert all(rule.reason and rule.owner for rule in rules)


# ---- against the slow twin

WORDS = st.sampled_from(["Intern", "junior", "MID", "senior", "Director", "wizard", "", " "])
SKILLS = st.lists(st.sampled_from(["mig", "TIG ", "triage", "Triage", "wound  care", "sql", "go", " ", ""]), max_size=6)
OCCUPATIONS = st.sampled_from([*GROUPS, "astronaut"])
TEXTS = st.sampled_from(["", GERMAN, ENGLISH, "看護師を募集しています", "Мы ищем сварщика и мы ждём вас", "12 345 %"])
TIMES = st.datetimes(datetime(2025, 11, 1), datetime(2026, 4, 1), timezones=st.just(UTC))
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
JOBS = st.builds(
    Job,
    job_id=st.sampled_from("abcdef"),
    account_id=st.just("account"),
    title=ASCII,
    company=st.sampled_from(["Acme", " acme ", "Other", "", "ACME  Inc"]),
    description=TEXTS,
    geo=st.sampled_from([*AREAS, "paris", "", " "]),
    occupation=st.none() | OCCUPATIONS,
    skills=SKILLS.map(tuple),
    seniority=st.none() | WORDS,
    remote=st.booleans(),
    posted_at=st.none() | TIMES,
)
SEEKERS = st.builds(
    SeekerProfile,
    titles=st.lists(OCCUPATIONS | TEXTS, max_size=3).map(tuple),
    skills=SKILLS.map(tuple),
    geo=st.none() | st.sampled_from([*AREAS, "paris", ""]),
    seniority=st.none() | WORDS,
    activity=st.lists(
        st.builds(
            Activity,
            st.sampled_from("abcdefgh"),
            st.sampled_from(["apply", "save", "dismiss"]),
            TIMES,
            st.none() | st.sampled_from(["company", "stale", "other"]),
        ),
        max_size=8,
    ).map(tuple),
)
CONFIGS = st.builds(
    RuleConfig,
    rules=st.just(RULE_IDS),
    groups=st.just(GROUPS) | st.just({}),
    neighbours=st.just({}),
    least_skills=st.integers(3, 4),
    steps_up=st.integers(0, 4),
    steps_down=st.integers(0, 4),
    areas=st.just(AREAS) | st.just({}),
    distance_km=st.sampled_from([0.0, 30.0, 300.0]),
    languages=st.sampled_from([(), ("en",), ("de", "en")]),
    stale_weeks=st.integers(1, 8),
    company_dismissals=st.integers(1, 3),
) | st.just(ALL)


@settings(deadline=None, max_examples=100)
@given(SEEKERS, st.lists(JOBS, min_size=1, max_size=5), CONFIGS, TIMES)
def test_a_compiled_clause_says_what_the_slow_twin_says(seeker, jobs, config, now):
    book = JobBook(jobs)
    known = {each.job_id: each for each in jobs}
    context = Context(now=lambda: now, job_of=jobs_of(book), occupations_of=lambda s: list(s.titles))
    for rule in build_rules(config, context)[len(RULES) :]:
        compiled = rule.compile(seeker)
        for posting in known.values():
            terms = frozenset(book.terms(posting, now))
            passes = against(terms, compiled) == ((), ())
            duplicate = book.is_duplicate(posting.job_id)
            expected = allowed(rule.id, seeker, posting, config, now, known, list(seeker.titles), duplicate)
            assert passes == expected, (rule.id, seeker, posting)


ODD = st.text(max_size=30) | st.sampled_from(["\ud800", "\x00", "x" * 10_000, "🙂" * 50, "=", "a=b"])


@settings(deadline=None, max_examples=100)
@given(
    st.builds(
        SeekerProfile,
        titles=st.lists(ODD, max_size=4).map(tuple),
        skills=st.lists(ODD, max_size=6).map(tuple),
        geo=st.none() | ODD,
        seniority=st.none() | ODD,
        activity=st.lists(st.builds(Activity, ODD, st.sampled_from(["apply", "dismiss"]), TIMES), max_size=3).map(
            tuple
        ),
    ),
    st.builds(Job, ODD, ODD, ODD, ODD, ODD, ODD, st.none() | ODD, st.lists(ODD, max_size=4).map(tuple), ODD),
)
def test_no_profile_and_no_job_makes_a_rule_fail(seeker, posting):
    book = JobBook([posting])
    context = Context(now=lambda: NOW, job_of=jobs_of(book), occupations_of=lambda s: list(s.titles))
    for rule in build_rules(ALL, context):
        assert isinstance(rule.compile(seeker), Filters)
    suppressed(book, build_rules(ALL, context), seeker, posting, NOW)
    assert job_terms(posting, NOW)
