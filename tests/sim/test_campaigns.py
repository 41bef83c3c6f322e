"""Campaigns follow their vacancies: live when these are open, paid for the days they were planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.errors import ConfigError
from sim.campaigns import draw_campaigns, live_days, planned_days, with_budgets
from sim.loop import Terms
from sim.market import MarketConfig
from sim.stage import Stage
from sim.world import World

CONFIG = MarketConfig(days=7, campaigns=120)
DAY = 86_400.0


@pytest.fixture(scope="module")
def terms(world: World) -> Terms:
    return draw_campaigns(world, CONFIG, np.random.default_rng(1))


def test_a_campaign_is_live_on_the_days_its_vacancy_is_open(world: World, terms: Terms) -> None:
    live, jobs = live_days(terms, CONFIG.days), world.inventory
    assert live.any(0).all()
    for campaign, job in enumerate(terms.job):
        for day in range(CONFIG.days):
            today = world.window_day + day
            assert live[day, campaign] == (jobs.posted_day[job] <= today < jobs.expires_day[job])


def test_some_campaigns_open_late_and_some_close_early(terms: Terms) -> None:
    assert 0.05 < (terms.opens > 0).mean() < 0.4
    assert 0.05 < (terms.closes < CONFIG.days * DAY).mean() < 0.4


def test_a_late_campaign_has_its_days_part_of_the_budget_and_an_early_end_changes_nothing(terms: Terms) -> None:
    planned = planned_days(terms, CONFIG.days)
    assert (planned == CONFIG.days - terms.opens // DAY).all()
    a_day = terms.budget / planned / terms.max_bid / terms.openings
    assert a_day == pytest.approx(np.full(len(a_day), a_day[0]), rel=1e-4)
    assert (with_budgets(terms, terms.budget, CONFIG.days).day_budget == terms.day_budget).all()


def test_employers_that_promote_one_vacancy_promote_others_too(world: World) -> None:
    """With the employers' effects more campaigns share an employer than among vacancies drawn one by one."""

    def employers(sd: float) -> float:
        behaviour = world.behaviour.with_values("campaigns", employer_sd=sd)
        changed = replace(world, behaviour=behaviour)
        found = [draw_campaigns(changed, CONFIG, np.random.default_rng(seed)).job for seed in range(20)]
        return float(np.mean([len(np.unique(world.inventory.employer[job])) for job in found]))

    assert employers(2.0) < employers(0.0) - 2


def test_a_window_longer_than_the_postings_is_refused(world: World) -> None:
    with pytest.raises(ConfigError, match="posting_days"):
        draw_campaigns(world, replace(CONFIG, days=15), np.random.default_rng(1))


def test_an_organic_list_holds_only_jobs_that_open_in_the_window(world: World, stage_with_text: Stage) -> None:
    market = stage_with_text.market(replace(CONFIG, days=2))
    organic = market.organic
    assert (organic.job >= 0).all()
    jobs = world.inventory
    assert (jobs.posted_day[organic.job] < world.window_day + 2).all()
    assert (jobs.expires_day[organic.job] > world.window_day).all()
    assert (organic.opens == (jobs.posted_day[organic.job] - world.window_day) * DAY).all()
    assert (organic.closes == (jobs.expires_day[organic.job] - world.window_day) * DAY).all()
    assert (organic.opens > 0).any()


def test_a_market_without_seekers_is_a_clear_error(stage: Stage) -> None:
    nobody = replace(stage, world=replace(stage.world, fold=np.zeros_like(stage.world.fold)))
    with pytest.raises(ConfigError, match="no seeker"):
        nobody.market(CONFIG)
