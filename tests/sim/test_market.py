"""One market of the small world: who is in reach of what, what is known beforehand, and what is true."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from gpu_index import Clause
from sim.arms import mark_live
from sim.behaviour import grade_table
from sim.campaigns import planned_days
from sim.market import HORIZON_DAYS, Market, MarketConfig, active_seekers, day_shares
from sim.stage import Stage
from sim.traffic import arrivals
from sim.world import SERVE, VALIDATE, World

CONFIG = MarketConfig(days=3, campaigns=40)


@pytest.fixture(scope="module")
def market(stage: Stage) -> Market:
    return stage.market(CONFIG)


@pytest.fixture(scope="module")
def market_with_text(stage_with_text: Stage) -> Market:
    return stage_with_text.market(CONFIG)


def seeker_of_pair(market: Market) -> np.ndarray:
    return np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))


def test_pairs_in_reach_are_those_of_the_own_metro_and_remote_ones(world: World, market: Market) -> None:
    jobs = world.inventory
    for seeker in range(len(market.seeker)):
        mine = slice(market.pairs.start[seeker], market.pairs.start[seeker + 1])
        expected = [
            c for c, job in enumerate(market.terms.job) if jobs.metro[job] == market.metro[seeker] or jobs.remote[job]
        ]
        assert market.pairs.campaign[mine].tolist() == expected


def test_the_index_finds_the_same_campaigns_in_reach(stage: Stage, market: Market) -> None:
    mark_live(stage.index, stage.world, stage.learned, market, stage.job_vectors)
    for seeker in range(0, len(market.seeker), 10):
        geo = f"geo={stage.world.metros.ids[market.metro[seeker]]}"
        clause = Clause(all_of=[[geo, "remote=yes"], ["campaign=live"]])
        anything = np.zeros((1, stage.learned.occupation_vectors.shape[1]), np.float32)
        found = stage.index.search(anything, space="graph", k=CONFIG.campaigns, where=[clause]).ids[0]
        mine = slice(market.pairs.start[seeker], market.pairs.start[seeker + 1])
        assert found[found >= 0].tolist() == market.terms.job[market.pairs.campaign[mine]].tolist()


def test_only_people_of_the_fold_who_will_move_soon_are_served(world: World) -> None:
    for fold in (SERVE, VALIDATE):
        served = active_seekers(world, fold)
        assert len(served)
        following = world.lives.known_at(world.window_day)[2]
        for seeker in range(len(world.lives.person)):
            moves = (
                following[seeker] >= 0 and world.lives.start_day[following[seeker]] < world.window_day + HORIZON_DAYS
            )
            begun = bool(((world.lives.seeker == seeker) & (world.lives.start_day <= world.window_day)).any())
            assert (seeker in served) == (world.fold[seeker] == fold and moves and begun)


def test_profiles_know_what_was_held_before_the_window_and_nothing_later(world: World, market: Market) -> None:
    lives, examples = world.lives, market.examples
    assert (examples.target == -1).all()
    opens = 1970 + world.window_day / 365.25
    for row, seeker in enumerate(market.seeker):
        rows = np.flatnonzero((lives.seeker == seeker) & (lives.start_day <= world.window_day))
        held = examples.item_occupation[examples.start[row] : examples.stop[row]]
        assert held.tolist() == lives.occupation[rows].tolist()
        assert market.next_occupation[row] == lives.occupation[rows[-1] + 1]
    assert (examples.item_year <= opens).all()


def test_grades_are_those_of_the_recorded_next_occupation(world: World, market: Market) -> None:
    table = grade_table(world.careers.taxonomy, world.behaviour)
    seeker = seeker_of_pair(market)
    job = market.terms.job[market.pairs.campaign]
    grade = table[market.next_occupation[seeker], world.inventory.occupation[job]]
    apart = world.metros.distance_km[market.metro[seeker], world.inventory.metro[job]]
    assert (market.pairs.grade[apart == 0] == grade[apart == 0]).all()
    assert (market.pairs.grade[world.inventory.remote[job]] == grade[world.inventory.remote[job]]).all()


def test_estimates_are_probabilities_and_see_no_truth(market: Market) -> None:
    pairs = market.pairs
    for name in ("p_click", "value_per_click", "p_apply"):
        assert ((getattr(pairs, name) > 0) & (getattr(pairs, name) < 1)).all()
    assert np.isfinite(pairs.click_logit).all()


def test_the_same_job_appeals_alike_whether_promoted_or_organic(market_with_text: Market) -> None:
    pairs, organic = market_with_text.pairs, market_with_text.organic
    job = market_with_text.terms.job[pairs.campaign]
    compared = 0
    for row in range(len(market_with_text.seeker)):
        mine = slice(pairs.start[row], pairs.start[row + 1])
        _, one, other = np.intersect1d(job[mine], organic.job[row], return_indices=True)
        compared += len(one)
        assert pairs.click_logit[mine][one] == pytest.approx(organic.click_logit[row][other], abs=1e-5)
        assert pairs.p_apply[mine][one] == pytest.approx(organic.p_apply[row][other], abs=1e-6)
    assert compared > 100


def test_organic_lists_hold_jobs_of_the_own_metro_or_remote_ones(world: World, market_with_text: Market) -> None:
    jobs = world.inventory
    for row, listed in enumerate(market_with_text.organic.job):
        listed = listed[listed >= 0]
        assert len(listed) == len(set(listed.tolist())) == CONFIG.organic_list
        assert ((jobs.metro[listed] == market_with_text.metro[row]) | jobs.remote[listed]).all()


def test_budgets_follow_vacancies_and_scale_with_the_level(world: World, stage: Stage, market: Market) -> None:
    terms = market.terms
    assert np.unique(terms.job).tolist() == terms.job.tolist()
    assert (terms.openings == world.inventory.openings[terms.job]).all()
    planned = planned_days(terms, CONFIG.days)
    clicks = terms.budget / terms.max_bid / terms.openings * CONFIG.days / planned
    assert clicks == pytest.approx(
        np.full(len(terms.job), world.behaviour["campaigns"]["clicks_per_opening"]), rel=1e-4
    )
    assert (terms.day_budget * planned >= terms.budget).all()
    assert ((terms.day_budget - 1) * planned < terms.budget).all()
    assert (terms.reserve >= 1).all()
    doubled = market.with_budget_level(2.0)
    assert (np.abs(doubled.terms.budget - 2 * terms.budget) <= 1).all()
    assert doubled.config.budget_level == 2.0
    built_so = stage.market(replace(CONFIG, budget_level=2.0)).terms
    assert (np.abs(built_so.budget - doubled.terms.budget) <= 1).all()


def test_traffic_is_in_time_order_and_every_visit_has_a_number_of_its_own(market: Market) -> None:
    traffic = market.traffic
    assert (np.diff(traffic.second) >= 0).all()
    assert 0 <= traffic.second[0] <= traffic.second[-1] < CONFIG.days * 86_400
    assert len(np.unique(traffic.number)) == len(traffic.number)
    assert (traffic.number // 100_000 == market.seeker[traffic.seeker]).all()


def test_visits_follow_the_hours_of_the_behaviour_file(world: World) -> None:
    rules = world.behaviour["traffic"]
    many = np.arange(500)
    second = arrivals(rules, many, np.full(500, 3.0), world.window_day, 28, np.random.default_rng(2)).second
    share = np.bincount((second // 3_600).astype(int) % 24, minlength=24) / len(second)
    hours = np.array(world.behaviour["traffic"]["hours"])
    expected = hours / hours.sum()
    assert np.abs(share - expected).max() < 5 * np.sqrt(expected.max() / len(second))
    planned = day_shares(world)
    assert planned[0] == 0
    assert planned[-1] == 1
    assert np.diff(planned[::60]) == pytest.approx(expected)


def test_supply_counts_the_promoted_places_that_are_looked_at(market: Market) -> None:
    """Expected visits per segment, times the examination of places 1, 4 and 8; the drawn visits are near it."""
    seen = 1 + 4**-0.65 + 8**-0.65
    assert len(market.supply) == len(market.segment_names) == market.segment.max() + 1
    visits = np.bincount(market.segment[market.traffic.seeker], minlength=len(market.supply))
    assert market.supply.sum() == pytest.approx(visits.sum() * seen, rel=0.1)


def test_the_same_seed_gives_the_same_market_and_another_seed_other_campaigns(stage: Stage, market: Market) -> None:
    again, other = stage.market(CONFIG), stage.market(replace(CONFIG, seed=1))
    for part in ("terms", "pairs", "traffic", "organic"):
        for one, two in zip(astuple(getattr(market, part)), astuple(getattr(again, part)), strict=True):
            assert one.tobytes() == two.tobytes()
    assert other.terms.job.tolist() != market.terms.job.tolist()
    assert other.seeker.tolist() == market.seeker.tolist()
