"""Why campaigns leave money: the plan's reason where the plan leaves it, else where the day fell short."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sim.experiment import Results
from sim.second_look import SecondLook, by_section, second_look
from sim.stage import Stage
from sim.underdelivery import SPENT, _why, worst_delivering
from targeting.pacing.problem import PlanProblem
from targeting.pacing.reasons import delivery_reasons
from targeting.plan import solve


@pytest.fixture(scope="module")
def look(stage_with_text: Stage, experiment: Results) -> SecondLook:
    return second_look(stage_with_text, experiment, "graph")


def test_a_second_look_sees_the_run_that_was_played(look: SecondLook, experiment: Results) -> None:
    assert look.run.outcome.digest() == experiment.select("graph")[0].outcome.digest()
    assert not look.times[~look.eligible].any()
    campaign = look.market.pairs.campaign
    shown = np.bincount(campaign, look.times, minlength=len(look.run.budget))
    assert shown.tolist() == look.run.outcome.impressions.tolist()


def test_impressions_by_section_are_those_of_the_people_and_the_sections(
    look: SecondLook, stage_with_text: Stage
) -> None:
    names, person, reach, shown = by_section(stage_with_text, look)
    assert reach.shape == shown.shape == (len(names), len(person))
    assert shown.sum() == look.run.outcome.impressions.sum()
    assert reach.sum() == len(look.times)
    assert (reach[shown > 0] > 0).all()
    of_person = np.bincount(np.searchsorted(person, look.market.person), look.run.outcome.seeker_shown)
    assert shown.sum(axis=0).tolist() == of_person.tolist()


def test_the_worst_campaigns_are_those_with_most_money_left(look: SecondLook, stage_with_text: Stage) -> None:
    rows = worst_delivering(stage_with_text, look)
    left = [row["could_spend_micros"] - row["spent_micros"] for row in rows]
    short = look.run.outcome.posted < SPENT * look.run.allowed
    missing = np.where(short, look.run.allowed - look.run.outcome.posted, 0)
    assert left == sorted(missing.astype(int).tolist(), reverse=True)[: len(rows)]
    assert len(rows) == min(10, int((missing > 0).sum()))
    for row in rows:
        assert row["why"].endswith(".")
        assert row["utilization"] < SPENT
        assert row["reach"] is None or row["reach"] >= 30


def test_where_everything_is_spent_there_is_nothing_to_explain(look: SecondLook, stage_with_text: Stage) -> None:
    spent = replace(look.run.outcome, posted=look.run.allowed.astype(np.int64))
    assert worst_delivering(stage_with_text, replace(look, run=replace(look.run, outcome=spent))) == []


# ---- two campaigns, one segment of 100 visits, by hand


def told(
    budget: list[float], cost: list[float], looks: float = 50.0, clicks: int = 10, posted: int = 500, opens: float = 0.0
) -> tuple[str, str]:
    """What is said of campaign 0; campaign 1 brings twice as much with a visit and pays the same for it."""
    problem = PlanProblem(
        np.array(budget), np.array([100.0]), np.array([0, 1]), np.zeros(2, int), np.array([1.0, 2.0]), np.array(cost)
    )
    plan = solve(problem)
    terms = SimpleNamespace(
        budget=np.array(budget), max_bid=np.array([100.0, 100.0]), opens=np.array([opens, 0.0]), job=np.zeros(2, int)
    )
    outcome = SimpleNamespace(looks=np.array([looks, 0]), clicks=np.array([clicks, 0]), posted=np.array([posted, 0]))
    market: Any = SimpleNamespace(terms=terms, config=SimpleNamespace(days=7))
    run: Any = SimpleNamespace(outcome=outcome)
    wanted = np.array([budget[0] / cost[0], 0.0])
    reasons = {reason.campaign: reason for reason in delivery_reasons(problem, plan, wanted)}
    return _why(SecondLook(market, np.ones(2, bool), np.ones(2, int), run), problem, plan, 0, reasons.get(0))


def test_too_few_visits_for_the_budget_is_thin_supply() -> None:
    cause, why = told(budget=[2_000.0, 1.0], cost=[10.0, 10.0])
    assert cause == "thin supply"
    assert "Every visit of its segments would use 50% of the budget." in why


def test_visits_that_a_rival_gets_are_outbid() -> None:
    cause, why = told(budget=[500.0, 1_000.0], cost=[10.0, 10.0])
    assert cause == "outbid"
    assert why.startswith("Not in the plan, though the budget could pay for 50 qualified applications: other campaigns")


@pytest.mark.parametrize(
    ("day", "cause"),
    [
        ({"looks": 5.0, "clicks": 1, "posted": 70}, "shown too little"),
        ({"looks": 5.0, "clicks": 1, "posted": 70, "opens": 86_400.0}, "late open"),
        ({"looks": 50.0, "clicks": 0, "posted": 0}, "click rate"),
        ({"looks": 50.0, "clicks": 7, "posted": 70}, "cheap clicks"),
    ],
)
def test_where_the_plan_would_spend_it_the_day_fell_short(day: dict[str, Any], cause: str) -> None:
    """Planned: 50 looks, a seventh of them clicked, 70 a click."""
    found, why = told(budget=[500.0, 1.0], cost=[10.0, 10.0], **day)
    assert found == cause
    assert "The plan would spend the budget." in why
    assert ("Open from day 2 of 7." in why) == (cause == "late open")
