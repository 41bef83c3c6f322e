"""What a question may ask beyond a list: not personalised, seen jobs, newer first, facets, notes, why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index import Index
from market.errors import ConfigError, NotFoundError, UserError
from market.records import Filters, SeekerProfile
from organic.facets import count_facets
from organic.freshness import Freshness
from organic.question import FACETS, Answer, FacetCount, Question
from organic.recommend import RecommendConfig, Recommender, put_jobs
from organic.rows import JobBook
from organic.towers import TextTowers
from tests.organic.small_market import JOBS, NOW, WordEncoder, job, seeker


class Market:
    def __init__(self, jobs=JOBS, **options) -> None:
        self.towers = TextTowers(WordEncoder())
        self.index, self.book = Index({"organic": self.towers.dimension}), JobBook()
        put_jobs(self.index, self.book, self.towers, jobs)
        self.recommender = Recommender(self.index, self.towers, self.book, **options)

    def answer(self, *question, **more) -> Answer:
        return self.recommender.answer(Question(*question, **more), NOW)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market()


def ids(answer: Answer) -> list[str]:
    return [item.job_id for item in answer.items]


def codes(answer: Answer) -> list[str]:
    return [note.code for note in answer.notes]


def test_without_personalisation_titles_skills_and_activity_change_nothing(market):
    bare = market.answer(seeker(geo="berlin"), k=11)
    told = market.answer(seeker("Nurse", geo="berlin", skills=("triage",), cook_1="save"), k=11, personalise=False)
    assert [(item.job_id, item.score) for item in told.items] == [(item.job_id, item.score) for item in bare.items]
    assert "as you asked" in told.items[0].reasons[0]
    assert codes(told) == ["not_personalised"]


def test_without_personalisation_the_area_and_what_was_decided_still_hold(market):
    found = ids(market.answer(seeker("Nurse", geo="hamburg", nurse_remote="dismiss"), k=11, personalise=False))
    assert found == ["nurse-hamburg"]


def test_without_personalisation_a_search_still_ranks(market):
    answer = market.answer(seeker("Nurse"), "welder", k=2, personalise=False)
    assert set(ids(answer)) == {"welder-1", "welder-2"}
    assert answer.notes == ()


def test_seen_jobs_come_later_and_stay_findable():
    market = Market([job("one", "Cook"), job("two", "Cook"), job("three", "Pilot")])
    before, after = market.answer(seeker("Cook")), market.answer(seeker("Cook"), seen=("two", "never-heard-of"))
    assert ids(before) == ["two", "one", "three"]
    assert ids(after) == ["one", "two", "three"]
    assert after.items[1].score == pytest.approx(before.items[0].score - 0.2, abs=1e-6)


def test_seen_jobs_are_left_out_where_the_setting_says_so():
    market = Market(config=RecommendConfig(seen="exclude"))
    found = ids(market.answer(seeker("Welder"), k=11, seen=("welder-1", "never-heard-of")))
    assert "welder-1" not in found
    assert found[0] == "welder-2"


def test_only_the_newest_of_a_long_list_of_seen_jobs_count():
    market = Market(config=RecommendConfig(seen="exclude", most_seen=1))
    assert ids(market.answer(seeker("Welder"), k=1, seen=("welder-2", "welder-1"))) == ["welder-1"]


def test_of_equal_jobs_the_newer_posting_comes_first_but_a_better_one_before_both():
    old, new = NOW - timedelta(weeks=6), NOW - timedelta(days=2)
    market = Market(
        [job("new", "Cook", posted_at=new), job("old", "Cook", posted_at=old), job("far", "Pilot", posted_at=new)]
    )
    answer = market.answer(seeker("Cook"), k=3)
    assert ids(answer) == ["new", "old", "far"]
    assert answer.items[0].score == pytest.approx(answer.items[1].score + 0.02, abs=1e-6)
    assert "Posted within the last week" in answer.items[0].reasons
    assert "Posted within the last week" not in answer.items[1].reasons


def test_freshness_can_be_switched_off_and_has_limits():
    jobs = [job("old", "Cook", posted_at=NOW - timedelta(weeks=6)), job("new", "Cook", posted_at=NOW)]
    market = Market(jobs, config=RecommendConfig(freshness=None))
    first, second = market.answer(seeker("Cook"), k=2).items
    assert first.score == second.score
    with pytest.raises(ConfigError, match="weeks 0"):
        Freshness(weeks=0)


def test_freshness_falls_week_by_week():
    weights = Freshness(most=0.08, share=0.5, weeks=3).boosts(NOW)  # a Sunday: its week began six days ago
    assert weights == {"posted=2026-W09": 0.08, "posted=2026-W08": 0.04, "posted=2026-W07": 0.02}


def test_facets_count_all_jobs_within_the_filters(market):
    answer = market.answer(
        seeker("Cook"), filters=Filters((("geo=berlin",),)), k=1, facets=("geo", "company", "remote")
    )
    assert answer.facets is not None
    assert answer.facets["geo"] == (FacetCount("berlin", 9),)
    assert answer.facets["company"][0] == FacetCount("acme inc.", 4)
    assert answer.facets["remote"] == (FacetCount("no", 9),)


def test_facets_are_counted_only_when_asked_for(market):
    assert market.answer(seeker("Cook")).facets is None
    with pytest.raises(UserError, match="facet 'wage'"):
        Question(seeker("Cook"), facets=("wage",))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y z", "Y  Z"]), st.booleans()), max_size=25),
    st.sampled_from([Filters(), Filters((("geo=a", "geo=b"),)), Filters(none_of=("company=x",))]),
)
def test_facets_equal_a_count_by_hand(rows, filters):
    jobs = [job(f"j{n}", "Cook", company, geo, remote=remote) for n, (geo, company, remote) in enumerate(rows)]
    book, index = JobBook(), Index({"organic": 2})
    numbers = book.add(jobs)
    if jobs:
        index.upsert(numbers, {"organic": np.ones((len(jobs), 2), np.float32)}, [book.terms(each) for each in jobs])
    found = count_facets(index, jobs, filters, FACETS, shown=2)
    for field in FACETS:
        expected: dict[str, int] = {}
        for each in jobs:
            terms = set(book.terms(each))
            passes = all(terms & set(group) for group in filters.all_of) and not terms & set(filters.none_of)
            for term in (one for one in terms if passes and one.startswith(f"{field}=")):
                expected[term.partition("=")[2]] = expected.get(term.partition("=")[2], 0) + 1
        best = sorted(expected.items(), key=lambda pair: (-pair[1], pair[0]))[:2]
        assert [(each.value, each.count) for each in found[field]] == best


def test_an_answer_without_notes_is_one_as_expected(market):
    assert market.answer(seeker("Nurse", geo="berlin")).notes == ()


def test_who_says_nothing_is_told_so(market):
    assert codes(market.answer(SeekerProfile("nobody-knows"))) == ["not_personalised"]
    assert codes(market.answer(seeker(geo="berlin"))) == ["not_personalised"]


def test_words_nobody_knows_give_the_newest_jobs_and_say_so(market):
    answer = market.answer(SeekerProfile(titles=("☃☃☃",)), k=2)
    assert ids(answer) == ["cook-5", "cook-4"]
    assert codes(answer) == ["not_understood"]
    assert "None of your words" in answer.items[0].reasons[0]


def test_an_unknown_place_gets_remote_jobs_and_says_so(market):
    answer = market.answer(seeker("Nurse", geo="atlantis"))
    assert ids(answer) == ["nurse-remote"]
    assert codes(answer) == ["unknown_place"]


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (Filters((("occupation=99-9999", "occupation=x"),)), "No job has occupation=99-9999 or occupation=x"),
        (Filters(((),)), "No job has one of no terms at all"),
        (Filters((("geo=hamburg",), ("company=canteen ltd",))), "Jobs pass each filter"),
        (Filters((("job=cook-5",),), ("job=cook-5",)), "Jobs pass each filter"),
    ],
)
def test_an_empty_answer_names_the_filter(market, filters, said):
    answer = market.answer(seeker("Nurse"), filters=filters)
    assert answer.items == ()
    assert said in answer.notes[-1].detail


def test_an_empty_answer_names_the_area(market):
    answer = market.answer(seeker("Nurse", geo="hamburg"), filters=Filters((("company=canteen ltd",),)))
    assert answer.items == ()
    assert "in the area hamburg" in answer.notes[-1].detail


def test_an_empty_answer_names_the_rule_or_the_empty_market(market):
    only = Filters((("job=welder-1",),))
    answer = market.answer(seeker("Welder", welder_1="apply"), filters=only)
    assert codes(answer) == ["rule:already-decided"]
    assert codes(Market([]).answer(seeker("Nurse"))) == ["no_jobs"]


def test_why_not_names_everything_that_keeps_a_job_away(market):
    asked = Question(seeker("Nurse", geo="berlin", nurse_hamburg="dismiss"), filters=Filters((("remote=yes",),)))
    found = market.recommender.why_not(asked, "nurse-hamburg", NOW)
    assert [note.code for note in found] == ["filter", "area", "rule:already-decided"]
    assert market.recommender.why_not(Question(seeker("Nurse")), "welder-1", NOW) == ()
    late = market.recommender.why_not(Question(seeker("Cook")), "cook-5", NOW + timedelta(days=2))
    assert [note.code for note in late] == ["expired"]
    with pytest.raises(NotFoundError, match="'nowhere'"):
        market.recommender.why_not(Question(seeker()), "nowhere")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([None, "berlin", "hamburg", "atlantis"]),
    st.dictionaries(
        st.sampled_from([each.job_id.replace("-", "_") for each in JOBS]), st.sampled_from(["apply", "save"])
    ),
    st.sampled_from([Filters(), Filters((("remote=yes", "geo=berlin"),)), Filters(none_of=("company=acme inc.",))]),
    st.booleans(),
)
def test_a_job_is_missing_exactly_when_something_keeps_it_away(geo, activity, filters, personalise):
    market = _uncapped()
    question = Question(seeker("Cook", geo=geo, **activity), None, filters, 50, personalise)
    shown = set(ids(market.recommender.answer(question, NOW)))
    kept_away = {each.job_id for each in JOBS if market.recommender.why_not(question, each.job_id, NOW)}
    assert shown == {each.job_id for each in JOBS} - kept_away


UNCAPPED: list[Market] = []


def _uncapped() -> Market:
    if not UNCAPPED:
        UNCAPPED.append(Market(config=RecommendConfig(per_employer=None)))
    return UNCAPPED[0]


def test_a_duplicate_term_follows_the_newest_posting():
    market = Market([job("first", "Cook", "Canteen", description="Cooks wanted", posted_at=NOW - timedelta(days=9))])
    again = job("again", "Cook", "Canteen", description="Cooks wanted", posted_at=NOW)
    put_jobs(market.index, market.book, market.towers, [again])
    terms = {name: market.index.terms_of(market.book.row(name)) for name in ("first", "again")}
    assert "duplicate=yes" in terms["first"]
    assert "duplicate=no" in terms["again"]


def test_a_long_search_is_quoted_in_one_short_line():
    long = "nurse\n" * 2_000
    reasons = Market().answer(SeekerProfile(), long, k=1).items[0].reasons
    assert all(len(reason) < 150 and "\n" not in reason for reason in reasons)


def test_a_switch_of_index_and_towers_happens_in_one_step():
    market = Market()

    class Other(WordEncoder):
        dimension = 64

    towers = TextTowers(Other())
    index = Index({"organic": 64})
    put_jobs(index, market.book, towers, [replace(each, title=f"Master {each.title}") for each in JOBS])
    market.recommender.switch(index, towers)
    assert ids(market.answer(seeker("Master Welder"), k=1)) == ["welder-1"]


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="seen 'hide'"):
        RecommendConfig(seen="hide")
    with pytest.raises(UserError, match="k is 0"):
        Question(seeker(), k=0)
