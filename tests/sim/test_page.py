"""The report page: one file, the report's own numbers, the same bytes, and no trust in any text."""

from __future__ import annotations

import copy
import re
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.offline
import pytest

import sim.report
from graph.train import TrainConfig
from market.tables import Tables
from sim.behaviour import read_behaviour
from sim.experiment import ExperimentConfig, Results, describe, run_experiment
from sim.logs import LoggingConfig, write_logs
from sim.market import MarketConfig
from sim.page import write_page
from sim.page_audiences import SMALLEST_GROUP, example_campaigns, occupation_groups
from sim.page_headline import headline_sentence, leaves_zero
from sim.page_plots import frontier_figure
from sim.predicted_rates import predicted_rates
from sim.report import build_report, expected_supply, spend_by_hour, supply_groups
from sim.second_look import second_look
from sim.stage import Stage, build_stage
from sim.underdelivery import worst_delivering
from sim.world import WorldConfig, build_world
from targeting.learned import LearnedConfig, fit_learned

CONFIG = ExperimentConfig(seeds=1, thetas=(0.08, 0.3), budget_levels=(2.0,), market=MarketConfig(campaigns=40, days=2))


OPTIONAL = (
    "funnel",
    "seeker_side",
    "worst_campaigns",
    "two_by_two",
    "design",
    "power",
    "match_information",
    "predicted_rates",
)


@dataclass(frozen=True)
class Played:
    stage: Stage
    results: Results
    report: dict[str, Any]

    def page(self, folder: Path, report: dict[str, Any] | None = None, results: Results | None = None) -> str:
        """What a reader gets, without the plotting library."""
        write_page(folder / "report.html", report or self.report, self.stage, results or self.results)
        return without_library((folder / "report.html").read_text(encoding="utf-8"))


def without_library(page: str) -> str:
    return page.replace(plotly.offline.get_plotlyjs(), "")


@pytest.fixture(scope="module")
def played() -> Played:
    shape = WorldConfig(kind="generated", persons=600, serve_replicas=2, inventory=300, metros=3)
    world = build_world(shape, read_behaviour(), None, None)
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learned, _ = fit_learned(tables, LearnedConfig(train=TrainConfig(epochs=1)))
    stage = build_stage(world, learned, None)
    results = run_experiment(stage, CONFIG)
    config = {"world": asdict(shape), "experiment": describe(CONFIG)}
    report = build_report(results, config, 0, {})
    report["worst_campaigns"] = worst_delivering(stage, second_look(stage, results, "graph"))
    report["predicted_rates"] = predicted_rates(learned, results.markets[0], np.random.default_rng(61))
    return Played(stage, results, report)


def parity_of(name: str) -> dict[str, Any]:
    """Delivery parity of a shown and a withheld group, both called `name`, in a section of that name."""
    shares = {"eligible_share": 0.5, "shown_share": 0.4}
    group = {"category": name, "people": 1_234, **shares, "ratio": 0.8, "ci95": [0.75, 0.85]}
    section = {"section": name, "group": name, **shares, "ratio": 0.77}
    return {
        "groups": [group, {"category": name, "withheld": True}],
        "sections": [section],
        "below_four_fifths": {name: 3},
        "withheld_sections": 1,
    }


def play_again(played: Played, **changes: Any) -> tuple[dict[str, Any], Results]:
    short = replace(CONFIG, thetas=(), budget_levels=(), flat_clicks=False, market=MarketConfig(campaigns=20, days=1))
    results = run_experiment(played.stage, replace(short, **changes))
    return build_report(results, {}, 0, {}), results


def test_page_loads_nothing_from_elsewhere(played: Played, tmp_path: Path) -> None:
    page = played.page(tmp_path)
    assert not re.search(r"(?:src|href|action|data)\s*=\s*[\"']?", page.split("<body>")[1])
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src 'none'" in page


def test_plotting_library_is_inside_once_and_the_file_stays_below_six_megabytes(played: Played, tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", played.report, played.stage, played.results)
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written.count(plotly.offline.get_plotlyjs()) == 1
    assert len(written.encode()) < 6_000_000


def test_every_arm_and_its_numbers_are_in_the_table(played: Played, tmp_path: Path) -> None:
    page = played.page(tmp_path)
    for arm, row in played.report["arms"].items():
        assert f">{arm}</span>" in page
        used, cost = row["budget_utilization"], row["cost_per_qualified_application_micros"]
        low, high = (f"{100 * edge:.1f} %" for edge in used["ci95"])
        assert f"{100 * used['mean']:.1f} %<small>{low} to {high}</small>" in page
        assert f">{cost['mean'] / 1e6:,.2f}<" in page
        assert f">{row['qualified_applications']:,.0f}<" in page
        assert f">{100 * row['click_rate']['mean']:.2f} %<" in page


def test_headline_says_the_numbers_of_the_report(played: Played, tmp_path: Path) -> None:
    sentence = headline_sentence(played.report, "USD")
    base = played.report["arms"]["attribute"]
    assert f"{base['cost_per_qualified_application_micros']['mean'] / 1e6:.2f} USD" in sentence
    assert f"{100 * base['budget_utilization']['mean']:.1f} %" in sentence
    for arm in ("graph", "links"):
        found = played.report["headline"][arm]["utilization_at_equal_cost"]["difference"]
        assert found is None or f"{abs(100 * found):.1f} points" in sentence
    assert sentence in played.page(tmp_path)


@pytest.mark.parametrize(
    ("difference", "interval", "said"),
    [
        (0.04, [0.01, 0.07], "the hire graph can spend 4.0 points more (95 % interval +1.0 to +7.0)"),
        (-0.04, [-0.07, -0.01], "the hire graph can spend 4.0 points less (95 % interval -7.0 to -1.0)"),
        (
            0.04,
            [-0.01, 0.07],
            "4.0 points more, but the 95 % interval -1.0 to +7.0 covers zero: no difference is shown",
        ),
        (0.04, None, "4.0 points more (no interval can be given)"),
        (None, None, "the hire graph: no setting that cheap (at best"),
    ],
)
def test_headline_claims_no_more_than_its_interval(
    played: Played, difference: float | None, interval: list[float] | None, said: str
) -> None:
    report = copy.deepcopy(played.report)
    report["headline"]["graph"]["utilization_at_equal_cost"].update(difference=difference, difference_ci95=interval)
    assert said in headline_sentence(report, "USD")


def test_generated_world_is_no_evidence(played: Played, tmp_path: Path) -> None:
    assert "Nothing on this page. This is the generated world" in played.page(tmp_path)


def test_same_inputs_give_the_same_bytes(played: Played, tmp_path: Path) -> None:
    write_page(tmp_path / "one.html", played.report, played.stage, played.results)
    write_page(tmp_path / "two.html", copy.deepcopy(played.report), played.stage, played.results)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_all_seven_plots_are_drawn(played: Played, tmp_path: Path) -> None:
    page = played.page(tmp_path)
    assert re.findall(r'draw\("plot-([a-z-]+)"', page) == [
        "exposures",
        "frontier",
        "spend",
        "supply",
        "budgets",
        "hire-rates",
        "click-rates",
    ]


@pytest.mark.parametrize("arms", [("random",), ("links", "graph"), ("attribute", "all")])
def test_page_of_few_arms_can_be_written(played: Played, tmp_path: Path, arms: tuple[str, ...]) -> None:
    report, results = play_again(played, arms=arms)
    page = played.page(tmp_path, report, results)
    assert all(f">{arm}</span>" in page for arm in arms)
    assert "budget used:" in headline_sentence(report, "USD")
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_page_of_a_budget_split_says_so(played: Played, tmp_path: Path) -> None:
    report, results = play_again(played, arms=("attribute", "graph"), design="budget-split")
    page = played.page(tmp_path, report, results)
    assert "Design budget-split" in page
    assert "Full markets say" in page


def test_page_of_a_report_with_holes_can_be_written(played: Played, tmp_path: Path) -> None:
    report = copy.deepcopy(played.report)
    report.update(
        frontier={}, budget_levels={}, headline={}, lift={}, placebo={"permuted_hires": {}, "flat_clicks": {}}
    )
    for row in report["arms"].values():
        for measured in ("budget_utilization", "click_rate", "cost_per_qualified_application_micros"):
            row[measured] = {"mean": None, "ci95": None}
    page = played.page(tmp_path, report)
    assert "no cost to compare at" in page
    assert "Not measured: permuted hires, flat clicks." in page
    assert page.count("Not measured in this run.") == 3  # frontier, budget levels, decomposition
    for section in OPTIONAL:  # with nothing to show
        report.pop(section)
    page = played.page(tmp_path, report)
    for head in ("From visits to hires", "The seekers' side", "leave most money", "which part does it", "Tests on one"):
        assert head not in page


def test_the_headline_table_has_both_terms_and_no_share_of_a_headroom_that_may_be_none(
    played: Played, tmp_path: Path
) -> None:
    report = copy.deepcopy(played.report)
    oracle = report["headline"]["oracle"]["utilization_at_equal_cost"]
    report["headline"]["graph"]["share_of_oracle_headroom"] = 4.32
    report["headline"]["links"]["utilization_at_equal_cost_and_ad_load"].update(difference=0.123, difference_ci95=None)
    oracle["difference_ci95"] = [0.01, 0.02]
    page = played.page(tmp_path, report)
    assert "At equal cost and ad load, points" in page
    assert ">+12.3<" in page
    assert ">432 %<" in page
    oracle["difference_ci95"] = [-0.01, 0.02]
    assert ">432 %<" not in played.page(tmp_path, report)


def test_the_worst_campaigns_and_the_seekers_side_are_the_reports(played: Played, tmp_path: Path) -> None:
    page = played.page(tmp_path)
    assert played.report["worst_campaigns"]
    for row in played.report["worst_campaigns"]:
        assert escape(row["title"]) in page
        assert escape(row["why"]) in page
    for arm, side in played.report["seeker_side"].items():
        assert f">{100 * side['seekers_shown_again']:.1f} %<" in page
        assert f">{played.report['funnel'][arm]['visits']:,.0f}<" in page


def test_delivery_by_group_is_shown_where_it_was_measured_and_else_said_not_to_be(
    played: Played, tmp_path: Path
) -> None:
    assert "Not measured: the people of this world carry no audited attributes" in played.page(tmp_path)
    report = played.report | {
        "delivery_parity": {"minimum_people": 20, "arms": {"graph": {"sex": parity_of("Female")}}}
    }
    page = played.page(tmp_path, report)
    assert ">×0.80<small>×0.75 to ×0.85<" in page
    assert ">withheld<" in page
    assert ">×0.77<" in page


def test_an_interrupted_run_says_how_much_of_it_is_there(played: Played, tmp_path: Path) -> None:
    partly = replace(played.results, config=replace(played.results.config, seeds=3))
    report = build_report(partly, {}, 0, {})
    assert report["complete"] is False
    assert "Interrupted: 1 of 3 seeds are finished" in played.page(tmp_path, report, partly)
    assert played.report["complete"] is True
    assert "Interrupted" not in played.page(tmp_path)


def test_labels_of_the_frontier_keep_apart(played: Played) -> None:
    points = [("attribute", 1e6, 0.30), ("links", 1.001e6, 0.301), ("graph", 3e6, 0.6)]
    frontier = {
        arm: [
            {
                "theta": 0.2,
                "cost_per_qualified_application_micros": cost,
                "budget_utilization": used,
                "qualified_applications": 1,
            }
        ]
        for arm, cost, used in points
    }
    figure = frontier_figure({"frontier": frontier}, 0.2, "USD")
    assert figure is not None
    assert [trace.text for trace in figure.data] == [("0.2",), ("",), ("0.2",)]


def test_hostile_text_is_escaped(played: Played, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&{plotly}"
    careers, facts = played.stage.world.careers, played.stage.world.facts
    n = len(careers.taxonomy)
    taxonomy = replace(
        careers.taxonomy,
        titles=(hostile,) * n,
        section_names=tuple(hostile + name for name in careers.taxonomy.section_names),
    )
    world = replace(
        played.stage.world,
        careers=replace(careers, taxonomy=taxonomy),
        facts=replace(facts, titles=((hostile,),) * n),
        metros=replace(played.stage.world.metros, names=(hostile,) * len(played.stage.world.metros)),
    )
    report = copy.deepcopy(played.report)
    report["config"] = {hostile: hostile}
    report["behaviour_sha256"] = hostile
    report["placebo"]["flat_clicks"]["metric"] = hostile
    report["worst_campaigns"][0].update(title=hostile, place=hostile, cause=hostile, why=hostile)
    report["delivery_parity"] = {"minimum_people": 20, "arms": {hostile: {hostile: parity_of(hostile)}}}
    write_page(tmp_path / "report.html", report, replace(played.stage, world=world), played.results)
    page = without_library((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<img" not in page


def test_groups_are_never_smaller_than_thirty_people(played: Played) -> None:
    market, taxonomy = played.results.markets[0], played.stage.world.careers.taxonomy
    groups = occupation_groups(market, 0, taxonomy)
    assert groups
    assert all(people >= SMALLEST_GROUP for _, people, _ in groups)
    assert sum(people for _, people, _ in groups) <= len(np.unique(market.person))
    lifts = [lift for _, _, lift in groups]
    assert lifts == sorted(lifts, reverse=True)


def test_copies_of_a_person_do_not_make_a_group(played: Played) -> None:
    market, taxonomy = played.results.markets[0], played.stage.world.careers.taxonomy
    few = replace(market, person=market.person % (SMALLEST_GROUP - 1))
    assert occupation_groups(few, 0, taxonomy) == []


def test_examples_are_three_different_campaigns_with_the_largest_budget_first(played: Played) -> None:
    market = played.results.markets[0]
    chosen = [campaign for _, campaign in example_campaigns(played.stage, market)]
    assert len(set(chosen)) == 3
    assert market.terms.budget[chosen[0]] == market.terms.budget.max()


def test_share_of_spend_starts_at_nothing_and_ends_at_all(played: Played) -> None:
    share = spend_by_hour(played.results.select("graph"))
    assert share is not None
    assert share[0] == 0
    assert share[24] == pytest.approx(1)
    assert (np.diff(share) >= 0).all()
    assert spend_by_hour([]) is None


def test_supply_is_the_worth_of_pairs_in_reach_over_the_budget(played: Played) -> None:
    market = played.results.markets[0]
    mine = market.pairs.campaign == 3
    worth = (market.pairs.p_click[mine].astype(float) * market.pairs.value_per_click[mine]).sum()
    assert expected_supply(market)[3] == pytest.approx(worth / market.terms.budget[3])


def test_groups_of_supply_add_up_to_the_utilisation_of_the_arm(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.report, "SUPPLY_GROUPS", 1)
    used = supply_groups(played.results, "graph")
    assert used == pytest.approx([played.report["arms"]["graph"]["budget_utilization"]["mean"]])


@pytest.mark.parametrize(
    ("placebo", "warned"),
    [({"ci95": [0.01, 0.3]}, True), ({"ci95": [-0.1, 0.3]}, False), ({"ci95": None}, False), ({}, False)],
)
def test_a_placebo_counts_as_shown_only_when_its_whole_interval_lies_above_zero(placebo, warned):
    assert leaves_zero(placebo) is warned
