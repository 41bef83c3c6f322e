"""The selection table: whom it judges on, which logs a young site has, which pairs an auction shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import auction_selection, selection
from bench.auction_selection import first_pages, play
from market.tables import Tables
from sim.world import FIT, SERVE
from targeting.pacing.descent import paced_bid
from tests.graph.toy_logs import application, day, impression, job, logs, position
from tests.sim.small_world import small_learned, small_logs, small_stage, small_world


def test_people_are_judged_on_every_recorded_hire_of_one_copy_of_each() -> None:
    world = small_world()
    people = selection.recorded_hires(world, SERVE)
    lives = world.lives
    logged = set(small_logs()["positions"]["seeker_id"].to_pylist())
    assert all(world.seeker_id(s) not in logged for s in np.flatnonzero(world.fold == SERVE))
    for person in np.unique(people.person)[:20]:
        seeker = int(np.flatnonzero((lives.person == person) & (lives.replica == 0))[0])
        assert world.fold[seeker] == SERVE != FIT
        held = lives.occupation[(lives.seeker == seeker) & (lives.start_day < world.window_day + 365)]
        mine = people.take(people.person == person)
        assert mine.target.tolist() == held[1:].tolist()
        assert mine.current.tolist() == held[:-1].tolist()


def test_a_young_site_knows_old_profiles_but_no_old_events() -> None:
    tables = logs(
        applications=[application(str(at), "acme-111", at) for at in (0, 50, 99, 101)],
        impressions=[impression("i", "acme-111", 10, 0.5)],
        positions=[position("acme", "111", -500), position("acme", "112", 90, recorded=120)],
        jobs=[job("acme-111", -30), job("zeta-111", 150)],
    )
    seen = selection.logged_between(tables, day(40), day(100))
    assert seen["applications"]["event_id"].to_pylist() == ["50", "99"]
    assert seen["impressions"].num_rows == 0
    assert seen["positions"]["occupation"].to_pylist() == ["111"]
    assert seen["jobs"]["job_id"].to_pylist() == ["acme-111"]


@pytest.mark.parametrize("seed", range(5))
def test_first_pages_are_the_best_bids_that_reach_the_reserve(seed: int) -> None:
    """Written plainly: sort the eligible pairs of a seeker by bid times chance, keep the first two."""
    rng = np.random.default_rng(seed)
    start = np.array([0, 4, 4, 9])
    campaign = np.array([0, 1, 2, 3, 0, 1, 2, 3, 4])
    eligible, chance, value = rng.random(9) < 0.8, rng.uniform(0.01, 0.2, 9), rng.random(9)
    price, most, least = rng.uniform(0, 0.01, 5), rng.integers(50, 400, 5), rng.integers(1, 150, 5)
    won = first_pages(start, campaign, eligible, chance, value, price, most, least, 2)
    for s in range(3):
        offers = []
        for e in range(start[s], start[s + 1]):
            bid = paced_bid(value[e], price[campaign[e]], most[campaign[e]])
            if eligible[e] and bid >= least[campaign[e]]:
                offers.append((-bid * chance[e], e))
        best = {e for _, e in sorted(offers)[:2]}
        assert set(np.flatnonzero(won[start[s] : start[s + 1]]) + start[s]) == best


def test_a_played_market_shows_some_pairs_and_its_features_give_back_its_estimates() -> None:
    stage = small_stage()
    played = play(stage, stage.learned.response, SERVE, 3)
    assert 0 < played.won.sum() < len(played.won)
    better = played.p_hire[played.won].mean() / played.p_hire.mean()
    assert better > 1  # an auction shows what looks good
    ratios = auction_selection._pairs(played, stage.learned.response)
    assert {what for rows in ratios.values() for what in rows} == {"P(hire)", "P(click)", "value per click"}
    assert ratios["all pairs"]["P(click)"]["n"] == len(played.won)
    assert ratios["shown"]["P(click)"]["n"] == played.won.sum()


def test_the_same_seed_plays_the_same_market() -> None:
    stage = small_stage()
    one, two = (play(stage, stage.learned.response, SERVE, 3) for _ in range(2))
    assert (one.won == two.won).all()
    assert (one.clicked == two.clicked).all()


def test_quality_against_itself_is_no_difference() -> None:
    world = small_world()
    people = selection.recorded_hires(world, SERVE)
    reached = selection.quality(small_learned().model, people, world.careers.taxonomy)
    report = reached.report()
    assert report["stayed"] == pytest.approx(1 - people.changed.mean())
    assert 0 < report["mrr"] < 1
    for found in reached.against(reached).values():
        assert found["mean"] == 0
    worse = replace(reached, loss=reached.loss + 1)
    assert worse.against(reached)["log_loss_against_first"]["mean"] == pytest.approx(1)


@pytest.mark.slow
def test_without_data_the_whole_table_runs_on_a_generated_world() -> None:
    result = selection.run(None)
    rows = selection.show(result)
    assert all(len(row) == len(rows[0]) for row in rows)
    for row in result["delays"]:
        assert row["open_as_no_hire"] < row["later"] < row["open_left_out"]
        assert abs(row["kaplan_meier"] - row["later"]) < row["later"] - row["open_as_no_hire"]


def test_the_small_logs_can_be_cut_without_breaking_them() -> None:
    tables = Tables(small_logs(), small_world().careers.taxonomy)
    end = selection._window(small_world())
    seen = selection.logged_between(tables, end.replace(year=end.year - 1), end)
    assert 0 < seen["applications"].num_rows < tables["applications"].num_rows
    assert seen["seekers"].num_rows == tables["seekers"].num_rows
