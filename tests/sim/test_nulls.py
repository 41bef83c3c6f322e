"""Audiences handed to other seekers: what a placebo is judged against."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from market.bootstrap import Estimate
from sim.columns import wider
from sim.experiment import Results
from sim.market import Market, MarketConfig
from sim.nulls import shuffled_audience
from sim.placebos import mean_interval, same_campaign_ratio
from sim.play import Audience
from sim.rankers import ranked_by_attribute
from sim.report import organic
from sim.stage import Stage


@pytest.fixture(scope="module")
def market(stage: Stage) -> Market:
    return stage.market(MarketConfig(days=1, campaigns=40))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sets_of(market: Market, eligible: np.ndarray) -> list[tuple[int, ...]]:
    start, campaign = market.pairs.start, market.pairs.campaign
    return [tuple(campaign[a:b][eligible[a:b]]) for a, b in itertools.pairwise(start)]


def test_a_shuffled_audience_keeps_every_reach_and_every_set_and_loses_whose_they_are(market: Market) -> None:
    score = rng().random(len(market.pairs.campaign)).astype(np.float32)
    real, null = (
        Audience.of(market, one, phi=10).eligible(market, 0.2)
        for one in (score, shuffled_audience(market, score, rng()))
    )
    reach = [np.bincount(market.pairs.campaign[chosen], minlength=40) for chosen in (real, null)]
    assert (reach[0] == reach[1]).all()
    mine, theirs = sets_of(market, real), sets_of(market, null)
    for metro in np.unique(market.metro):
        rows = np.flatnonzero(market.metro == metro)
        assert sorted(mine[row] for row in rows) == sorted(theirs[row] for row in rows)
    assert np.mean([a == b for a, b in zip(mine, theirs, strict=True)]) < 0.05


def test_nobody_keeps_the_own_scores_but_who_is_alone(market: Market) -> None:
    own = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start)).astype(np.float32)
    handed = shuffled_audience(market, own, rng())
    assert (handed != own).all()
    alone: Any = SimpleNamespace(
        seeker=np.arange(1), metro=np.zeros(1, int), pairs=replace(market.pairs, start=np.array([0, 3]))
    )
    assert shuffled_audience(alone, np.arange(3.0), rng()).tolist() == [0, 1, 2]


def test_an_arm_of_chance_is_worth_nothing_over_its_null(market: Market) -> None:
    """Scores that know nothing reach as good jobs as their shuffled audience, up to chance."""
    differences = []
    for draw in range(30):
        score = rng(draw).random(len(market.pairs.campaign)).astype(np.float32)
        grades = [
            market.pairs.grade[Audience.of(market, one, 10).eligible(market, 0.2)].mean()
            for one in (score, shuffled_audience(market, score, rng(draw)))
        ]
        differences.append(grades[0] - grades[1])
    found = mean_interval(differences, level=0.999)
    assert found.ci is not None
    assert found.ci[0] < 0 < found.ci[1]


def test_the_audience_of_everyone_is_everyone(market: Market) -> None:
    score = np.zeros(len(market.pairs.campaign), np.float32)
    assert Audience.of(market, score, 0, everyone=True).eligible(market, 0.01).all()


def test_the_click_rate_is_compared_within_campaigns() -> None:
    """Each campaign has one rate in both arms; the first arm shows the better campaign more. Pooled it would lead."""
    shown = {"cluster": np.arange(2.0), "first_looks": np.array([900.0, 100.0]), "first_clicks": np.array([90.0, 1.0])}
    other = {"cluster": np.arange(2.0), "first_looks": np.array([100.0, 900.0]), "first_clicks": np.array([10.0, 9.0])}
    found = same_campaign_ratio(shown, other, rng())
    assert found.value == pytest.approx(0)
    assert found.ci == pytest.approx((0, 0))


def test_a_mean_of_few_has_students_interval() -> None:
    found = mean_interval([1.0, 2.0, 3.0])
    assert found.value == pytest.approx(2)
    assert found.ci == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert mean_interval([1.0]).ci is None
    assert mean_interval([np.nan]).value is None


def test_the_wider_of_two_intervals_is_kept_about_the_first_value() -> None:
    narrow, wide = Estimate(1.0, (0.9, 1.1), 5), Estimate(1.0, (0.5, 1.2), 7)
    assert wider(narrow, wide) == Estimate(1.0, (0.5, 1.2), 5)
    assert wider(wide, narrow) == wide
    assert wider(wide, None) == wide
    assert wider(wide, Estimate(1.0, None, 1)) == wide
    assert wider(Estimate(1.0, None, 1), wide).ci == wide.ci


def test_the_attribute_ranker_knows_three_classes_and_is_right_on_the_whole(market: Market, stage: Stage) -> None:
    pooled = ranked_by_attribute(market, stage.world).pairs
    assert len(np.unique(pooled.p_click)) <= 3
    assert pooled.p_click.mean() == pytest.approx(market.pairs.p_click.mean(), rel=1e-4)
    worth = [float((pairs.p_click * pairs.value_per_click).sum()) for pairs in (pooled, market.pairs)]
    assert worth[0] == pytest.approx(worth[1], rel=1e-4)
    assert (pooled.click_logit == market.pairs.click_logit).all()


def test_looks_add_up_by_campaign_and_by_seeker(experiment: Results) -> None:
    for run in experiment.runs:
        outcome = run.outcome
        assert outcome.looks.sum() == pytest.approx(outcome.seeker_looks.sum())
        assert (outcome.looks <= outcome.impressions + 1e-9).all()
        assert (outcome.first_looks <= outcome.looks + 1e-9).all()
        assert (outcome.first_clicks <= outcome.clicks).all()
        assert outcome.seeker_organic.sum(axis=0) == pytest.approx([outcome.organic[1], outcome.organic[3]])
        # three places of a page, seen with 1, 4 ** -.65 and 8 ** -.65
        assert (outcome.looks >= 8**-0.65 * outcome.impressions - 1e-9).all()


def test_organic_lists_are_compared_between_parts_of_the_members(experiment: Results) -> None:
    found = organic(experiment, rng())
    assert set(found) == {"evidence", "text", "popular", "random"}
    for played in experiment.organic:
        for part in range(3):
            persons = [set(played.person[played.part == other]) for other in range(3) if other != part]
            assert not set(played.person[played.part == part]) & set().union(*persons)
    assert "clicks_vs_text" not in found["text"]
    assert found["random"]["clicks_vs_text"].keys() == {"relative", "ci95"}
