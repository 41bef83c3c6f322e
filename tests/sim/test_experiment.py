"""Arms side by side: which runs there are, what they share, and how one market is split between arms."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from market.errors import ConfigError
from sim.experiment import (
    AttributeScheme,
    ExperimentConfig,
    Results,
    Run,
    describe,
    flat_market,
    run_experiment,
    split_market,
    tune_attribute,
)
from sim.market import MarketConfig
from sim.stage import Stage

SHORT = ExperimentConfig(
    arms=("attribute", "graph"),
    seeds=1,
    thetas=(),
    budget_levels=(),
    flat_clicks=False,
    market=MarketConfig(days=1, campaigns=30),
)


def bits(run: Run) -> bytes:
    return b"".join(column.tobytes() for column in astuple(run.outcome)) + run.allowed.tobytes()


def test_every_arm_plays_its_frontier_the_grid_of_budgets_and_the_placebo(experiment: Results) -> None:
    for arm in experiment.config.arms:
        for seed in (0, 1):
            mine = [run for run in experiment.runs if run.arm == arm and run.seed == seed]
            found = sorted((run.theta, run.budget_level, run.flat_clicks) for run in mine)
            thetas = [0.2] if arm == "all" else [0.05, 0.2, 0.5]
            expected = [(theta, 1.0, False) for theta in thetas] + [(0.2, 0.2, False), (0.2, 1.0, True)]
            assert found == sorted(expected)
        assert [run.seed for run in experiment.select(arm)] == [0, 1]
    assert len(experiment.markets) == 2


def test_nothing_is_overspent_and_what_could_be_spent_follows_the_rule(experiment: Results) -> None:
    """Per live campaign-day the smaller of the daily cap and what remains of the total."""
    markets = {market.config.seed: market for market in experiment.markets}
    for run in experiment.runs:
        outcome = run.outcome
        terms = markets[run.seed].terms
        days = np.arange(len(outcome.by_day))
        opens, closes = terms.opens / 86_400, terms.closes / 86_400
        cap = -(-run.budget // (len(days) - opens.astype(int)))
        assert (outcome.posted <= run.budget).all()
        left, allowed = run.budget.copy(), np.zeros(len(run.budget))
        for day, posted in zip(days, outcome.by_day, strict=True):
            live = (opens <= day) & (day < closes)
            allowed += np.minimum(cap, left) * live
            assert not posted[~live].any()
            left = left - posted
        assert run.allowed.tolist() == allowed.tolist()
        assert (outcome.posted <= run.allowed).all()


def test_all_arms_of_a_seed_have_the_same_budgets_and_all_reaches_most(experiment: Results) -> None:
    for arm in experiment.config.arms:
        for run, reference in zip(experiment.select(arm), experiment.select("all"), strict=True):
            assert (run.budget == reference.budget).all()
            assert run.reach <= reference.reach


def test_knowing_the_next_occupation_beats_not_looking(experiment: Results) -> None:
    """A bracket that must hold in any world where clicks depend on the match."""
    qualified = {
        arm: sum(run.outcome.qualified.sum() for run in experiment.select(arm)) for arm in ("oracle", "random")
    }
    assert qualified["oracle"] > 1.2 * qualified["random"]


def test_threads_change_no_result(stage: Stage) -> None:
    one = run_experiment(stage, replace(SHORT, threads=1))
    two = run_experiment(stage, replace(SHORT, threads=2))
    assert [bits(run) for run in one.runs] == [bits(run) for run in two.runs]
    assert describe(one.config) == describe(two.config)


def test_another_seed_plays_another_market(stage: Stage) -> None:
    one = run_experiment(stage, replace(SHORT, arms=("graph",)))
    other = run_experiment(stage, replace(SHORT, arms=("graph",), market=replace(SHORT.market, seed=1)))
    assert bits(one.runs[0]) != bits(other.runs[0])


def test_an_arm_alone_plays_as_it_does_in_company(stage: Stage) -> None:
    [alone] = run_experiment(stage, replace(SHORT, arms=("graph",))).runs
    company = run_experiment(stage, SHORT).runs
    assert bits(alone) == bits(next(run for run in company if run.arm == "graph"))


@pytest.mark.parametrize("policy", ["plan+descent", "descent", "greedy"])
@pytest.mark.parametrize("auction", ["second", "first"])
def test_every_pacing_and_auction_keeps_to_the_budgets(stage: Stage, policy: str, auction: str) -> None:
    changed: Any = replace(SHORT, arms=("graph",), pacing=policy, auction=auction)  # type: ignore[arg-type]
    [run] = run_experiment(stage, changed).runs
    assert run.outcome.impressions.sum() > 0
    assert (run.outcome.posted <= run.budget).all()


@pytest.mark.parametrize(
    "wrong", [{"arms": ()}, {"arms": ("tarot",)}, {"seeds": 0}, {"auction": "dutch"}, {"design": "before-after"}]
)
def test_an_impossible_experiment_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SHORT, **wrong)


def test_unknown_pacing_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="pacing"):
        run_experiment(stage, replace(SHORT, pacing="slow"))  # type: ignore[arg-type]


# ---- budget split


def test_a_split_gives_each_arm_its_own_persons_and_an_equal_part_of_every_budget(stage: Stage) -> None:
    market = stage.market(SHORT.market)
    parts = [split_market(market, part, 2) for part in (0, 1)]
    persons = [set(part.person[part.traffic.seeker].tolist()) for part in parts]
    assert persons[0]
    assert persons[1]
    assert not persons[0] & persons[1]
    visits = np.concatenate([part.traffic.number for part in parts])
    assert sorted(visits.tolist()) == sorted(market.traffic.number.tolist())
    for part in parts:
        assert (part.terms.budget == market.terms.budget // 2).all()
        assert (part.terms.day_budget == part.terms.budget).all()  # one day
        assert (np.diff(part.traffic.second) >= 0).all()
    assert sum(part.supply.sum() for part in parts) == pytest.approx(market.supply.sum())


def test_in_a_split_experiment_arms_never_meet_the_same_person(stage: Stage) -> None:
    results = run_experiment(stage, replace(SHORT, design="budget-split"))
    [market] = results.markets
    shown = [set(market.person[run.outcome.seeker_shown > 0].tolist()) for run in results.runs]
    assert shown[0]
    assert shown[1]
    assert not shown[0] & shown[1]
    assert all((run.budget == market.terms.budget // 2).all() for run in results.runs)


# ---- placebo and tuning


def test_in_the_flat_world_the_match_is_taken_out_of_clicks_and_out_of_nothing_else(stage_with_text: Stage) -> None:
    market = stage_with_text.market(SHORT.market)
    flat = flat_market(market)
    for before, after in ((market.pairs, flat.pairs), (market.organic, flat.organic)):
        assert np.corrcoef(before.click_logit.ravel(), before.grade.ravel())[0, 1] > 0.3
        assert abs(np.corrcoef(after.click_logit.ravel(), after.grade.ravel())[0, 1]) < 0.1
        assert (before.p_apply == after.p_apply).all()
    assert (flat.pairs.p_click == market.pairs.p_click).all()


def test_the_attribute_arm_is_tuned_on_people_nobody_is_judged_on(stage: Stage) -> None:
    asked = []

    class Watched(Stage):
        def market(self, config: MarketConfig) -> Any:
            asked.append(config.fold)
            return super().market(config)

    watched = Watched(stage.world, stage.learned, stage.index, None, None)
    assert tune_attribute(watched, SHORT) == tune_attribute(stage, SHORT)
    assert asked == [1]
    assert tune_attribute(stage, replace(SHORT, arms=("graph",))) == AttributeScheme()
