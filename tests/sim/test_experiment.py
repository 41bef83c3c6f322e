"""Arms side by side: which runs there are, what they share, and how one market is split between arms."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.errors import ConfigError
from sim.arms import AttributeScheme
from sim.designs import SwitchBack, split_market, switch_back_market, turn_shares, turns
from sim.experiment import ExperimentConfig, Results, config_digest, describe, run_experiment, tune_attribute
from sim.market import MarketConfig
from sim.nulls import flat_market
from sim.play import Run
from sim.report import build_report
from sim.stage import Stage

SHORT = ExperimentConfig(
    arms=("attribute", "graph"),
    seeds=1,
    thetas=(),
    budget_levels=(),
    flat_clicks=False,
    nulls=False,
    two_by_two=False,
    market=MarketConfig(days=1, campaigns=30),
)


def bits(run: Run) -> bytes:
    return b"".join(column.tobytes() for column in astuple(run.outcome)) + run.allowed.tobytes()


def test_every_arm_plays_its_frontier_the_grid_of_budgets_its_null_and_the_placebo(experiment: Results) -> None:
    for arm in experiment.config.arms:
        for seed in (0, 1):
            mine = [run for run in experiment.runs if run.arm == arm and run.seed == seed and run.ranker == "learned"]
            mine = [run for run in mine if run.pacing == experiment.config.pacing]
            found = sorted((run.theta, run.budget_level, run.flat_clicks, run.null) for run in mine)
            thetas = [0.2] if arm == "all" else [0.05, 0.2, 0.5]
            expected = [(theta, 1.0, False, False) for theta in thetas] + [(0.2, 0.2, False, False)]
            expected += [(0.2, 1.0, False, True)] if arm in ("attribute", "links", "graph") else []
            expected += [(0.2, 1.0, True, False)] if arm in ("graph", "random") else []
            expected += [(0.2, 1.0, True, True)] if arm == "graph" else []
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
    "wrong",
    [
        {"arms": ()},
        {"arms": ("tarot",)},
        {"seeds": 0},
        {"auction": "dutch"},
        {"design": "before-after"},
        {"arms": ("graph",), "design": "switch-back"},
        {"block_hours": 0},
    ],
)
def test_an_impossible_experiment_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SHORT, **wrong)


def test_unknown_pacing_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="pacing"):
        run_experiment(stage, replace(SHORT, pacing="slow"))  # type: ignore[arg-type]


@pytest.mark.parametrize("arm", ["attribute", "graph"])
def test_the_two_by_two_crosses_retrieval_with_ranker_and_plan(experiment: Results, arm: str) -> None:
    for ranker in ("learned", "attribute"):
        for pacing in ("plan+descent", "descent"):
            assert [run.seed for run in experiment.select(arm, ranker=ranker, pacing=pacing)] == [0, 1]


def test_the_digest_is_of_what_was_decided_before_any_arm_was_played(stage: Stage, experiment: Results) -> None:
    assert experiment.config_sha256 == config_digest(stage, experiment.config)
    assert config_digest(stage, replace(experiment.config, threads=1)) == experiment.config_sha256
    assert config_digest(stage, replace(experiment.config, theta=0.3)) != experiment.config_sha256


# ---- interruptions


def test_an_interrupted_experiment_reports_the_seeds_it_finished_and_goes_on_from_there(
    stage: Stage, tmp_path: Path
) -> None:
    config = replace(SHORT, arms=("graph",), seeds=2, market=MarketConfig(days=1, campaigns=20))

    def interrupt(what: str, done: int, total: int) -> None:
        played.append(what)
        if what.startswith("seed 2"):
            raise KeyboardInterrupt

    played: list[str] = []
    partly = run_experiment(stage, config, interrupt, cells=tmp_path)
    assert partly.finished == 1
    assert build_report(partly, {}, 0, {})["seeds"] == {"finished": 1, "asked": 2}
    again: list[str] = []
    whole = run_experiment(stage, config, lambda what, *_: again.append(what), cells=tmp_path)
    assert [what[:6] for what in again] == ["seed 2", "done"]  # the first seed was read back
    assert whole.finished == 2
    fresh = run_experiment(stage, config)
    assert [bits(run) for run in whole.runs] == [bits(run) for run in fresh.runs]
    assert json.dumps(build_report(whole, {}, 0, {})) == json.dumps(build_report(fresh, {}, 0, {}))


def test_an_interruption_before_the_first_seed_is_done_is_an_interruption(stage: Stage) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(stage, SHORT, interrupt)


def test_a_torn_cell_is_played_again(stage: Stage, tmp_path: Path) -> None:
    config = replace(SHORT, arms=("graph",), market=MarketConfig(days=1, campaigns=20))
    first = run_experiment(stage, config, cells=tmp_path)
    [cell] = tmp_path.rglob("seed-0.npz")
    cell.write_bytes(cell.read_bytes()[:1000])
    assert [bits(run) for run in run_experiment(stage, config, cells=tmp_path).runs] == [bits(r) for r in first.runs]


# ---- designs


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
        assert (abs(part.terms.budget - market.terms.budget / 2) <= 1).all()
        assert (part.terms.day_budget == part.terms.budget).all()  # one day
        assert (np.diff(part.traffic.second) >= 0).all()
    assert sum(part.supply.sum() for part in parts) == pytest.approx(market.supply.sum())


def test_in_a_split_experiment_arms_never_meet_the_same_person_and_the_truth_is_played_beside(stage: Stage) -> None:
    results = run_experiment(stage, replace(SHORT, design="budget-split"))
    [market] = results.markets
    split = [run for arm in SHORT.arms for run in results.select(arm)]
    shown = [set(market.person[run.outcome.seeker_shown > 0].tolist()) for run in split]
    assert shown[0]
    assert shown[1]
    assert not shown[0] & shown[1]
    assert all((abs(run.budget - market.terms.budget / 2) <= 1).all() for run in split)
    truth = [run for arm in SHORT.arms for run in results.select(arm, design="copy")]
    assert [bits(run) for run in truth] == [bits(run) for run in run_experiment(stage, SHORT).runs]
    found = build_report(results, {}, 0, {})["design"]
    assert found["design"] == "budget-split"
    row = found["arms"]["graph"]["budget_utilization"]
    assert row["bias"]["difference"] == pytest.approx(row["estimate"]["relative"] - row["truth"]["relative"])
    assert row["bias"]["ci95"] is None  # one market says nothing of spread


def test_the_people_of_a_part_are_others_in_another_market(stage: Stage) -> None:
    market = stage.market(SHORT.market)
    other = replace(market, config=replace(market.config, seed=1))
    first = [set(split_market(one, 0, 2).person[split_market(one, 0, 2).traffic.seeker]) for one in (market, other)]
    assert first[0] != first[1]


def test_in_a_switch_back_every_visit_is_served_by_the_arm_whose_turn_it_is(stage: Stage) -> None:
    market = stage.market(MarketConfig(days=2, campaigns=30))
    turn = turns(48, 2, block_hours=6)
    doubled = switch_back_market(market, 2, turn)
    arm, seeker = np.divmod(doubled.traffic.seeker, len(market.seeker))
    assert (seeker == market.traffic.seeker).all()
    assert (arm == (market.traffic.second // (6 * 3600)).astype(int) % 2).all()
    assert len(doubled.pairs.campaign) == 2 * len(market.pairs.campaign)
    for copy in (0, 1):
        for row in (0, 5):
            mine = slice(*doubled.pairs.start[copy * len(market.seeker) + row :][:2])
            there = slice(*market.pairs.start[row:][:2])
            assert (doubled.pairs.campaign[mine] == market.pairs.campaign[there]).all()
            assert (doubled.pairs.grade[mine] == market.pairs.grade[there]).all()


def test_a_switch_back_compares_spend_over_what_could_be_spent_in_an_arms_turns(stage: Stage) -> None:
    config = replace(SHORT, market=MarketConfig(days=2, campaigns=30), arms=("graph", "graph+links"))
    results = run_experiment(stage, replace(config, design="switch-back"))
    [played] = results.switch_backs
    assert played.run.outcome.posted.sum() == played.run.outcome.by_hour.sum()
    shares = turn_shares(played.turn, results.share, 2)
    assert shares.sum(axis=1) == pytest.approx(1)
    row = build_report(results, {}, 0, {})["design"]["arms"]["graph+links"]["budget_utilization"]
    assert row["estimate"]["ci95"][0] <= row["estimate"]["relative"] <= row["estimate"]["ci95"][1]
    seeker = played.run.outcome.seeker_posted.reshape(2, -1).sum(axis=1)
    assert row["estimate"]["relative"] == pytest.approx((seeker[1] / seeker[0]) * rooms(played, results.share) - 1)


def rooms(played: SwitchBack, share: np.ndarray) -> float:
    """What could be spent in the turns of the first arm over that in the turns of the second."""
    assert played.run.allowed_by_day.sum() == pytest.approx(played.run.allowed.sum())
    room = played.run.allowed_by_day @ turn_shares(played.turn, share, 2)
    return float(room[0] / room[1])


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
