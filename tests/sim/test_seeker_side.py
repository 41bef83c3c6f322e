"""The seekers' side: steps that only lose people, and repeats counted seeker by seeker."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sim.experiment import Results
from sim.seeker_side import OFTEN, funnel, seeker_side


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_every_step_of_the_funnel_loses_people(experiment: Results) -> None:
    visits = sum(len(market.traffic.seeker) for market in experiment.markets)
    for arm in experiment.config.arms:
        steps = funnel(experiment, arm)
        assert steps["visits"] == visits
        counts = [steps[name] for name in steps if name not in ("visits", "attributed_hires")]
        assert counts == sorted(counts, reverse=True)
        assert steps["attributed_hires"] <= steps["applications"]


def test_a_part_of_a_split_market_has_no_visits_of_its_own(experiment: Results) -> None:
    runs = [replace(run, design="budget-split") for run in experiment.runs]
    split = replace(experiment, config=replace(experiment.config, design="budget-split"), runs=runs)
    assert funnel(split, "graph")["visits"] is None


def test_repeats_add_up_to_impressions(experiment: Results) -> None:
    for arm in experiment.config.arms:
        side = seeker_side(experiment, arm, rng())
        shown = np.concatenate([run.outcome.seeker_shown for run in experiment.select(arm)])
        assert sum(side["exposures"]) == pytest.approx(1)
        assert side["seekers_shown"] == pytest.approx((shown > 0).mean())
        assert side["impressions_per_pair"] * side["campaigns_per_seeker"] == pytest.approx(shown[shown > 0].mean())
        assert 0 <= side["seekers_shown_again"] <= 1
        for measure in ("qualified_per_impression", "qualified_share_of_applications"):
            assert side[measure]["ci95"][0] <= side[measure]["mean"] <= side[measure]["ci95"][1]


def by_hand(shown: list[int], campaigns: list[int], exposures: list[int]) -> dict[str, Any]:
    """The side of one run of these seekers, a campaign that had all the impressions."""
    total = sum(shown)
    one = {name: np.array([1.0]) for name in ("posted", "valid", "looks", "first_looks", "billed_value")}
    outcome = SimpleNamespace(
        **one, impressions=np.array([total]), clicks=np.array([0]), first_clicks=np.array([0]),
        applications=np.array([0]), qualified=np.array([0.0]), hires=np.array([0]), seeker_shown=np.array(shown),
        seeker_campaigns=np.array(campaigns), exposures=np.array(exposures), seeker_posted=np.zeros(len(shown)),
        seeker_qualified=np.zeros(len(shown)), seeker_looks=np.zeros(len(shown)),
    )  # fmt: skip
    run = SimpleNamespace(outcome=outcome, allowed=np.ones(1), budget=np.ones(1), seed=0)
    market = SimpleNamespace(person=np.arange(len(shown)), config=SimpleNamespace(seed=0))
    results: Any = SimpleNamespace(select=lambda arm: [run], markets=[market])
    return seeker_side(results, "graph", rng())


def test_repeats_by_hand() -> None:
    """Three seekers: one saw two jobs once, one saw one job seven times, one saw nothing."""
    side = by_hand(shown=[2, 7, 0], campaigns=[2, 1, 0], exposures=[4, 2, 0, 0, 0, 0, 0, 1])
    assert side["seekers_shown"] == pytest.approx(2 / 3)
    assert side["campaigns_per_seeker"] == pytest.approx(1.5)
    assert side["seekers_shown_again"] == pytest.approx(0.5)
    assert side["impressions_per_pair"] == pytest.approx(3)
    assert side["exposures"] == pytest.approx([2 / 3, 0, 0, 0, 1 / 3])
    assert len(side["exposures"]) == OFTEN


def test_where_nothing_was_shown_nothing_is_said() -> None:
    side = by_hand(shown=[0, 0], campaigns=[0, 0], exposures=[5])
    assert side["exposures"] is side["impressions_per_pair"] is side["seekers_shown_again"] is None
    assert side["qualified_per_impression"]["mean"] is None
