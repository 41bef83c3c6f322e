"""Recommendations on a market of eleven jobs that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from gpu_index import Index
from market.errors import ConfigError, IndexInputError, UserError
from market.records import Activity, Filters, SeekerProfile
from organic.recommend import RecommendConfig, Recommender, drop_job, put_jobs
from organic.rows import JobBook
from organic.towers import TextTowers
from tests.organic.small_market import JOBS, NOW, WordEncoder, job, seeker


class Market:
    """An index, its book and a recommender on the same jobs."""

    def __init__(self, jobs=JOBS, **options) -> None:
        towers = TextTowers(WordEncoder())
        self.index, self.book, self.towers = Index({"organic": towers.dimension}, device="cpu"), JobBook(), towers
        put_jobs(self.index, self.book, towers, jobs)
        self.recommender = Recommender(self.index, towers, self.book, **options)

    def ids(self, *arguments, **options) -> list[str]:
        return [found.job_id for found in self.recommender.recommend(*arguments, **options)]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market()


def test_the_nearest_jobs_come_first_with_falling_scores(market):
    found = market.recommender.recommend(seeker("Welder"), k=4)
    assert [answer.job_id for answer in found[:2]] == ["welder-1", "welder-2"]
    scores = [answer.score for answer in found]
    assert scores == sorted(scores, reverse=True)


def test_typed_words_weigh_more_than_the_profile(market):
    assert market.ids(seeker("Welder"), "registered nurse", k=1)[0].startswith("nurse")


def test_a_seeker_with_an_area_gets_that_area_or_remote(market):
    assert set(market.ids(seeker("Nurse", geo="hamburg"), k=11)) == {"nurse-hamburg", "nurse-remote"}


def test_a_seeker_without_an_area_gets_all(market):
    uncapped = Market(config=RecommendConfig(per_employer=None))
    assert len(uncapped.ids(seeker("Nurse"), k=20)) == len(JOBS)


def test_a_facet_with_an_area_replaces_the_own_area(market):
    found = market.ids(seeker("Nurse", geo="berlin"), filters=Filters((("geo=hamburg",),)), k=11)
    assert set(found) == {"nurse-hamburg", "nurse-remote"}


def test_facets_are_read_in_any_spelling(market):
    found = market.ids(seeker("Cook"), filters=Filters((("company=ACME INC.", "company=canteen ltd"),)), k=11)
    assert len(found) == 4  # three of the four of Acme, and the canteen's
    assert set(found) < {"cook-1", "cook-2", "cook-3", "cook-4", "cook-5"}
    assert market.ids(seeker("Cook"), filters=Filters((("skill=mig Welding",),))) == ["welder-1"]
    assert "cook-5" not in market.ids(seeker("Cook"), filters=Filters(none_of=("company= Canteen  LTD",)), k=11)


def test_a_malformed_facet_is_refused(market):
    with pytest.raises(IndexInputError, match="field=value"):
        market.ids(seeker("Cook"), filters=Filters((("berlin",),)))


def test_jobs_applied_to_or_dismissed_never_come_back(market):
    found = market.ids(seeker("Nurse", nurse_1="apply", nurse_2="dismiss", nurse_remote="save"), k=11)
    assert {"nurse-1", "nurse-2"}.isdisjoint(found)
    assert {"nurse-hamburg", "nurse-remote"} <= set(found)


def test_activity_alone_personalises(market):
    assert market.ids(seeker(welder_1="apply"), k=1) == ["welder-2"]


def test_what_is_like_a_dismissed_job_moves_down():
    market = Market([job("gone", "Pastry chef"), job("pastry", "Pastry cook"), job("breakfast", "Breakfast cook")])
    before = {found.job_id: found.score for found in market.recommender.recommend(seeker("Cook"))}
    after = {found.job_id: found.score for found in market.recommender.recommend(seeker("Cook", gone="dismiss"))}
    assert after["pastry"] - before["pastry"] < after["breakfast"] - before["breakfast"]


def test_the_last_action_on_a_job_counts(market):
    request = market.recommender.request(seeker("Cook", cook_1="dismiss", cook_2="save"))
    assert [liked.job_id for liked in request.liked] == ["cook-2"]
    changed_mind = SeekerProfile(
        activity=(Activity("cook-1", "save", NOW), Activity("cook-1", "dismiss", NOW - timedelta(days=1)))
    )
    assert [liked.job_id for liked in market.recommender.request(changed_mind).liked] == ["cook-1"]


def test_at_most_three_jobs_of_one_employer_however_it_is_spelled(market):
    found = market.ids(seeker("Cook"), k=11)
    assert sum(job_id in found for job_id in ("cook-1", "cook-2", "cook-3", "cook-4")) == 3


def test_an_employer_that_floods_the_market_does_not_shorten_the_answer():
    flood = [job(f"flood-{n}", "Cook", company="Flood") for n in range(300)]
    others = [job(f"other-{n}", "Cook of other things entirely") for n in range(5)]
    found = Market(flood + others).ids(seeker("Cook"), k=8)
    assert sum(job_id.startswith("flood") for job_id in found) == 3
    assert sum(job_id.startswith("other") for job_id in found) == 5


def test_jobs_without_a_named_employer_are_not_capped():
    nameless = [replace(job(f"job-{n}", "Cook"), company=" ") for n in range(6)]
    assert len(Market(nameless).ids(seeker("Cook"), k=6)) == 6


def test_fewer_matches_than_k_are_padded_in_the_batch_form(market):
    rows, scores = market.recommender.recommend_batch([seeker("Nurse", geo="hamburg")], k=5)
    assert rows.shape == scores.shape == (1, 5)
    assert rows.dtype == np.int64
    assert scores.dtype == np.float32
    assert rows[0, 2:].tolist() == [-1, -1, -1]
    assert np.isneginf(scores[0, 2:]).all()


def test_a_batch_equals_its_seekers_one_by_one(market):
    seekers = [seeker("Nurse", geo="berlin"), seeker(), seeker("Cook", cook_1="apply"), seeker(skills=("triage",))]
    queries = [None, "welder", "", None]
    filters = [Filters(), Filters(), Filters((("remote=no",),)), Filters()]
    rows, scores = market.recommender.recommend_batch(seekers, queries, filters, k=6)
    for number, (one, query, given) in enumerate(zip(seekers, queries, filters, strict=True)):
        alone, alone_scores = market.recommender.recommend_batch([one], [query], [given], k=6)
        np.testing.assert_array_equal(rows[number], alone[0])
        np.testing.assert_array_equal(scores[number], alone_scores[0])


def test_no_seekers_give_no_rows(market):
    rows, scores = market.recommender.recommend_batch([], k=3)
    assert rows.shape == scores.shape == (0, 3)


def test_who_says_nothing_gets_the_newest_jobs_and_is_told_so(market):
    first = market.recommender.recommend(SeekerProfile("nobody-knows"), k=2)
    assert [found.job_id for found in first] == ["cook-5", "cook-4"]
    assert first[0].score == 0
    assert "Not personalised yet" in first[0].reasons[0]
    assert "newest" in first[0].reasons[0]


def test_who_says_nothing_gets_typical_jobs_where_these_are_known():
    towers = TextTowers(WordEncoder())
    market = Market(typical=towers.job_vectors([job("x", "Welder")])[0])
    first = market.recommender.recommend(SeekerProfile(), k=1)[0]
    assert first.job_id == "welder-1"
    assert "typical job" in first.reasons[0]


def test_blank_texts_and_unknown_jobs_say_nothing(market):
    blank = SeekerProfile(titles=("", " "), skills=(" ",), activity=(Activity("gone", "apply", NOW),))
    assert market.ids(blank, "  ", k=1) == ["cook-5"]


def test_reasons_name_title_place_and_skills(market):
    profile = seeker("Registered Nurse", geo="berlin", skills=("Triage", "Excel"))
    first = market.recommender.recommend(profile, k=1)[0]
    assert first.job_id == "nurse-1"
    assert first.reasons == (
        "The same title as yours: Registered Nurse",
        "In your area",
        "Asks for skills you have: triage",
    )


def test_reasons_name_search_and_remote_work(market):
    found = market.recommender.recommend(seeker(geo="munich"), "telephone", k=1)[0]
    assert found.reasons == ("Its title matches your search “telephone”", "Remote")


def test_a_job_is_found_at_once_and_after_deletion_no_more():
    market = Market()
    put_jobs(market.index, market.book, market.towers, [job("astronaut", "Astronaut")])
    assert market.ids(seeker("Astronaut"), k=1) == ["astronaut"]
    assert drop_job(market.index, market.book, "astronaut")
    assert not drop_job(market.index, market.book, "astronaut")
    assert "astronaut" not in market.ids(seeker("Astronaut"), k=11)


def test_a_replaced_job_has_its_new_title_only():
    market = Market()
    put_jobs(market.index, market.book, market.towers, [job("welder-1", "Astronaut"), job("welder-1", "Pilot")])
    assert market.ids(seeker("Pilot"), k=1) == ["welder-1"]
    assert market.ids(seeker("Welder"), k=1) == ["welder-2"]
    assert len(market.index) == len(market.book) == len(JOBS)


def test_an_expired_job_is_left_out_by_clock_and_by_term():
    market = Market()
    later = NOW + timedelta(days=2)
    assert "cook-5" in market.ids(seeker("Canteen"), k=11, now=NOW)
    assert "cook-5" not in market.ids(seeker("Canteen"), k=11, now=later)
    put_jobs(market.index, market.book, market.towers, JOBS, now=later)
    assert "cook-5" not in market.ids(seeker("Canteen"), k=11)


def test_an_empty_market_recommends_nothing():
    assert Market([]).ids(seeker("Nurse")) == []


def test_impossible_requests_are_refused(market):
    with pytest.raises(UserError, match="k is 0"):
        market.ids(seeker("Nurse"), k=0)
    with pytest.raises(UserError, match="give one each"):
        market.recommender.recommend_batch([seeker("Nurse")], queries=[])
    with pytest.raises(ConfigError, match="per_employer is 0"):
        RecommendConfig(per_employer=0)
