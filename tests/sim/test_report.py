"""The report: the keys others rely on, and its figures on runs of two campaigns that can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graph.train import TrainConfig
from market.tables import Tables
from sim.arms import AttributeScheme
from sim.columns import stack
from sim.experiment import ExperimentConfig, Results, run_experiment
from sim.headline import decomposition, headline
from sim.loop import Outcome, Pairs
from sim.market import MarketConfig
from sim.nulls import PERMUTED
from sim.play import Run
from sim.report import arm_summary, build_report, frontier, lifts
from sim.stage import Stage
from targeting.learned import LearnedConfig
from targeting.placebo import fit_placebo
from tests.sim.small_world import small_logs

ARM_KEYS = {
    "budget_utilization", "spend_micros", "budget_micros", "overspend_micros", "unbilled_share", "impressions",
    "clicks", "applications", "qualified_applications", "attributed_hires", "organic_applications", "ad_load",
    "cost_per_qualified_application_micros", "value_to_bound",
}  # fmt: skip
KEYS = {
    "schema", "config", "seed", "arms", "lift", "frontier", "headline", "placebo", "behaviour_sha256", "seconds",
    "complete", "seeds", "funnel", "seeker_side", "power",
}  # fmt: skip
FRONTIER_KEYS = {
    "theta", "budget_utilization", "qualified_applications", "cost_per_qualified_application_micros",
    "organic_applications",
}  # fmt: skip


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def report(experiment: Results) -> dict[str, Any]:
    return build_report(experiment, {"note": "small"}, 0, {"markets": 1.0})


def test_the_report_has_the_keys_others_rely_on(report: dict[str, Any], experiment: Results) -> None:
    assert report.keys() >= KEYS
    assert report["schema"] == 1
    arms = experiment.config.arms
    assert set(report["arms"]) == set(report["frontier"]) == set(arms)
    others = [arm for arm in arms if arm != "attribute"]
    assert set(report["lift"]) == {f"{arm}_vs_attribute" for arm in others}
    assert set(report["headline"]) == set(others)
    for row in report["arms"].values():
        assert row.keys() >= ARM_KEYS
        assert row["budget_utilization"].keys() == {"mean", "ci95"}
    for rows in report["frontier"].values():
        assert all(row.keys() >= FRONTIER_KEYS for row in rows)
    for found in report["lift"].values():
        assert all(metric.keys() == {"relative", "ci95"} for metric in found.values())
    for found in report["headline"].values():
        assert found["utilization_at_equal_cost"].keys() >= {"difference", "relative", "ci95"}
        assert "share_of_oracle_headroom" in found
    assert report["placebo"].keys() == {"permuted_hires", "flat_clicks"}
    assert report["placebo"]["flat_clicks"].keys() >= {"relative", "ci95"}


def test_the_report_is_json_as_the_standard_has_it(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)) == json.loads(json.dumps(report))


def test_the_same_runs_give_the_same_report(report: dict[str, Any], experiment: Results) -> None:
    again = build_report(experiment, {"note": "small"}, 0, {"markets": 2.0})
    assert report.pop("seconds") != again.pop("seconds")
    assert json.dumps(report) == json.dumps(again)
    report["seconds"] = {"markets": 1.0}


def test_the_same_seed_gives_the_same_report_and_another_seed_another(stage: Stage) -> None:
    config = ExperimentConfig(
        arms=("attribute", "graph"), seeds=1, thetas=(0.1,), budget_levels=(), market=MarketConfig(days=1, campaigns=30)
    )
    one, again = (json.dumps(build_report(run_experiment(stage, config), {}, 0, {})) for _ in range(2))
    assert one == again
    other = replace(config, market=replace(config.market, seed=9))
    assert json.dumps(build_report(run_experiment(stage, other), {}, 0, {})) != one


def test_the_placebo_of_permuted_hires_is_reported_where_it_was_learned(
    stage: Stage, experiment: Results, report: dict[str, Any]
) -> None:
    assert report["placebo"]["permuted_hires"] == {}
    assert experiment.select(PERMUTED) == []
    tables = Tables(small_logs(), stage.world.careers.taxonomy)
    learn = LearnedConfig(train=TrainConfig(epochs=1))
    shuffled = tuple(fit_placebo(tables, stage.learned, learn, draw=draw) for draw in range(2))
    changes = {"arms": ("graph", "random"), "seeds": 1, "thetas": (), "budget_levels": ()}
    results = run_experiment(replace(stage, permuted=shuffled), replace(experiment.config, **changes))
    found = build_report(results, {}, 0, {})
    assert set(found["arms"]) == {"graph", "random"}  # never in the table
    placebo = found["placebo"]["permuted_hires"]
    assert len(placebo["draws"]) == 2
    assert placebo["relative"] == pytest.approx(np.mean(placebo["draws"]))
    assert placebo["ci95"][0] <= placebo["relative"] <= placebo["ci95"][1]
    for draw, value in enumerate(placebo["draws"]):
        rates = []
        for null in (False, True):
            [run] = [run for run in results.select(PERMUTED, null=null) if run.draw == draw]
            rates.append(run.outcome.qualified.sum() / run.outcome.looks.sum())
        assert value == pytest.approx(rates[0] / rates[1] - 1)


def test_sums_of_the_table_are_the_sums_of_the_runs(report: dict[str, Any], experiment: Results) -> None:
    for arm, row in report["arms"].items():
        runs = experiment.select(arm)
        assert row["spend_micros"] == sum(run.outcome.posted.sum() for run in runs)
        assert row["budget_micros"] == sum(run.budget.sum() for run in runs)
        assert row["overspend_micros"] == 0
        assert row["clicks"] == sum(run.outcome.clicks.sum() for run in runs)
        used = row["spend_micros"] / sum(run.allowed.sum() for run in runs)
        assert row["budget_utilization"]["mean"] == pytest.approx(used)
        low, high = row["budget_utilization"]["ci95"]
        assert low <= used <= high
        assert 0 <= row["unbilled_share"] < 1
        assert 0 < row["ad_load"] < 0.31


def test_an_arm_has_no_lift_over_itself(experiment: Results) -> None:
    found = lifts(experiment, "graph", "graph", rng())
    assert found["budget_utilization"]["ci95"] == pytest.approx([0, 0])
    for metric in found.values():
        assert metric["relative"] == pytest.approx(0)
        assert metric["ci95"] is None or metric["ci95"] == pytest.approx([0, 0])  # hires are too few here


def test_the_oracle_has_all_of_its_own_headroom(report: dict[str, Any]) -> None:
    if report["headline"]["oracle"]["utilization_at_equal_cost"]["difference"]:
        assert report["headline"]["oracle"]["share_of_oracle_headroom"] == pytest.approx(1)


# ---- runs by hand


@dataclass(frozen=True)
class TwoPeople:
    """All that a report asks of a market: whose copies the seekers are, and what supply the campaigns have."""

    person: np.ndarray = field(default_factory=lambda: np.arange(2))
    config: MarketConfig = field(default_factory=MarketConfig)
    traffic: Any = field(default_factory=lambda: SimpleNamespace(seeker=np.zeros(300, int)))
    pairs: Pairs = field(default_factory=lambda: Pairs(np.array([0, 1, 2]), np.arange(2), *[np.ones(2)] * 5))
    terms: Any = field(default_factory=lambda: SimpleNamespace(budget=np.full(2, 100)))


def run_of(
    arm: str, posted: list[int], qualified: list[float], theta: float = 0.2, clicks: list[int] | None = None
) -> Run:
    """A run of campaigns with a budget of 100 each; 10 clicks in 100 impressions unless said otherwise."""
    n = len(posted)
    clicked = np.array(clicks or [10] * n)
    paid = np.array(posted)
    zeros = np.zeros(n, np.int64)
    outcome = Outcome(
        posted=paid, valid=paid, impressions=np.full(n, 100), clicks=clicked, applications=clicked,
        qualified=np.array(qualified), hires=zeros, billed_value=zeros.astype(float), by_day=paid[None],
        by_hour=np.eye(24, dtype=np.int64)[0] * paid.sum(),
        seeker_posted=paid, seeker_qualified=np.array(qualified), seeker_shown=np.full(n, 100),
        organic=np.array([500.0, 5.0, 3.0, 1.0]), final_price=zeros.astype(float), looks=np.full(n, 50.0),
        seeker_looks=np.full(n, 50.0), first_looks=np.full(n, 20.0), first_clicks=clicked,
        seeker_organic=np.zeros((n, 2)), reach=np.full(n, 60), seeker_campaigns=np.full(n, 40),
        exposures=np.array([20, 70, 40, 10, 5]),
    )  # fmt: skip
    budget = np.full(n, 100)
    return Run(arm, 0, theta, 1.0, False, outcome, budget.astype(float), budget, zeros.astype(float), 0.0, 5.0)


def results_of(*runs: Run, flat_clicks: bool = False) -> Results:
    arms = tuple(dict.fromkeys(run.arm for run in runs))
    config = ExperimentConfig(arms, seeds=1, theta=0.2, thetas=(), budget_levels=(), flat_clicks=flat_clicks)
    return Results(config, "digest", AttributeScheme(), list(runs), [TwoPeople()], np.zeros(0))


def test_the_headline_reads_the_frontier_at_the_baselines_cost() -> None:
    """Baseline: 80 spent for 8, so 10 each, 40 % used. The arm uses 30 % at 6 each and 70 % at 14: at 10 each 50 %."""
    results = results_of(
        run_of("attribute", [40, 40], [4.0, 4.0]),
        run_of("graph", [30, 30], [5.0, 5.0], theta=0.1),
        run_of("graph", [70, 70], [5.0, 5.0], theta=0.2),
    )
    found = headline(results, "graph", rng())["utilization_at_equal_cost"]
    assert found["difference"] == pytest.approx(0.1)
    assert found["relative"] == pytest.approx(0.25)
    assert found["ci95"] == pytest.approx([0.25, 0.25])  # both campaigns are alike


def test_power_scales_the_headlines_interval_to_one_point(report: dict[str, Any], experiment: Results) -> None:
    """Half a width of h points with n campaigns takes n h^2 campaigns for one point."""
    campaigns = sum(len(market.terms.budget) for market in experiment.markets)
    for arm, found in report["power"].items():
        low, high = report["headline"][arm]["utilization_at_equal_cost"]["difference_ci95"]
        assert found["half_width"] == pytest.approx((high - low) / 2)
        assert found["campaigns"] == campaigns
        assert found["campaigns_for_one_point"] == np.ceil(campaigns * (100 * found["half_width"]) ** 2 - 1e-9)


def test_there_is_no_headline_for_an_arm_that_never_comes_down_to_the_baselines_cost() -> None:
    results = results_of(run_of("attribute", [40, 40], [8.0, 8.0]), run_of("graph", [70, 70], [5.0, 5.0]))
    report = build_report(results, {}, 0, {})
    at_equal = report["headline"]["graph"]["utilization_at_equal_cost"]
    assert at_equal["difference"] is at_equal["relative"] is at_equal["ci95"] is None
    assert report["headline"]["graph"]["share_of_oracle_headroom"] is None


def test_an_arm_that_is_always_cheaper_is_read_at_its_dearest_point() -> None:
    results = results_of(
        run_of("attribute", [40, 40], [2.0, 2.0]),
        run_of("graph", [30, 30], [5.0, 5.0], theta=0.1),
        run_of("graph", [50, 50], [5.0, 5.0], theta=0.2),
    )
    assert headline(results, "graph", rng())["utilization_at_equal_cost"]["difference"] == pytest.approx(0.1)


def test_the_share_of_the_oracles_headroom_by_hand() -> None:
    results = results_of(
        run_of("attribute", [40, 40], [4.0, 4.0]),
        run_of("graph", [50, 50], [5.0, 5.0]),
        run_of("oracle", [80, 80], [8.0, 8.0]),
    )
    assert build_report(results, {}, 0, {})["headline"]["graph"]["share_of_oracle_headroom"] == pytest.approx(0.25)


def test_the_decomposition_adds_up() -> None:
    a = stack([run_of("graph", [30, 50], [1.0, 1.0], clicks=[13, 7])])
    b = stack([run_of("attribute", [20, 20], [1.0, 1.0], clicks=[5, 3])])
    found = decomposition(a, b)
    assert found["spend"] == pytest.approx(np.log(80 / 40))
    assert found["click_rate"] == pytest.approx(np.log(20 / 8))
    parts = found["impressions"] + found["click_rate"] + found["price_per_click"]
    assert parts == pytest.approx(found["spend"])


def test_the_frontier_is_sorted_by_theta_and_sums_all_seeds() -> None:
    results = results_of(run_of("graph", [70, 70], [5.0, 5.0]), run_of("graph", [30, 30], [5.0, 7.0], theta=0.1))
    rows = frontier(results, "graph")
    assert [row["theta"] for row in rows] == [0.1, 0.2]
    assert [row["budget_utilization"] for row in rows] == pytest.approx([0.3, 0.7])
    assert rows[0]["cost_per_qualified_application_micros"] == pytest.approx(5)
    assert rows[0]["ad_load"] == pytest.approx(200 / 700)


@pytest.mark.parametrize("spent", [[0, 0], [40, 40]])
def test_an_arm_without_a_click_gives_a_report_without_nan(spent: list[int]) -> None:
    nothing = run_of("graph", [0, 0], [0.0, 0.0], clicks=[0, 0])
    none_shown = replace(nothing.outcome, impressions=np.zeros(2, int), seeker_shown=np.zeros(2), organic=np.zeros(4))
    base = run_of("attribute", spent, [float(x) for x in spent], clicks=[int(x > 0) for x in spent])
    report = build_report(results_of(base, replace(nothing, outcome=none_shown)), {}, 0, {})
    assert report["headline"]["graph"]["decomposition"]["spend"] is None
    json.dumps(report, allow_nan=False)
    assert report["arms"]["graph"]["cost_per_qualified_application_micros"]["mean"] is None
    assert arm_summary(results_of(nothing), [nothing], rng())["ad_load"] == pytest.approx(200 / 700)
