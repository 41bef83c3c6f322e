"""The site's logs: what they may know, the noise of production in them, and what can be confirmed from them."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from graph.hires import confirm
from market.tables import SCHEMAS, Tables, check_table
from sim.log_tables import education_before
from sim.logs import LoggingConfig, _serve_lists, write_logs
from sim.world import FIT, World

EVENTS = ("impressions", "clicks", "applications", "saves", "dismissals")
Logs = dict[str, pa.Table]


def window(world: World) -> pd.Timestamp:
    return pd.Timestamp(0, tz="UTC") + pd.Timedelta(days=world.window_day)


def fit_ids(world: World) -> set[str]:
    return {world.seeker_id(seeker) for seeker in np.flatnonzero(world.fold == FIT)}


def test_every_table_passes_the_check_of_production(logs: Logs) -> None:
    assert set(logs) == set(SCHEMAS) - {"hires"}
    for name, table in logs.items():
        assert table.num_rows
        assert check_table(name, table).equals(table)


def test_no_person_who_is_served_or_validated_on_appears(world: World, logs: Logs) -> None:
    for name in ("seekers", "positions", *EVENTS):
        assert set(logs[name]["seeker_id"].to_pylist()) <= fit_ids(world)


def test_nothing_in_the_logs_lies_after_the_window_opens(world: World, logs: Logs) -> None:
    for name in EVENTS:
        assert pc.max(logs[name]["occurred_at"]).as_py() < window(world)
    for column in ("started_at", "recorded_at", "ended_at"):
        assert pc.max(logs["positions"][column]).as_py() < window(world)
    assert pc.max(logs["jobs"]["posted_at"]).as_py() < window(world)
    assert pc.max(logs["seekers"]["updated_at"]).as_py() <= window(world)


def test_schooling_is_that_of_the_last_visible_survey(world: World) -> None:
    known = education_before(world)
    for seeker in range(0, len(known), 50):
        mine = np.flatnonzero(
            (world.careers.person == world.lives.person[seeker]) & (world.careers.year <= world.config.last_year)
        )
        assert known[seeker] == world.careers.education_years[mine[-1]]


def test_a_list_shows_open_jobs_of_the_seekers_metro_and_none_twice(logs: Logs) -> None:
    shown = logs["impressions"].to_pandas().drop_duplicates("event_id")
    seekers = logs["seekers"].to_pandas()
    joined = shown.merge(logs["jobs"].to_pandas(), on="job_id").merge(seekers, on="seeker_id", suffixes=("", "_seeker"))
    assert len(joined) == len(shown)
    assert (joined.geo == joined.geo_seeker).all()
    assert (joined.posted_at <= joined.occurred_at).all()
    assert (joined.occurred_at < joined.expires_at).all()
    assert not shown.duplicated(["request_id", "job_id"]).any()
    for _, request in shown.groupby("request_id"):
        assert sorted(request.position) == list(range(1, len(request) + 1))


def test_a_click_and_a_save_belong_to_an_impression(logs: Logs) -> None:
    shown = set(zip(*(logs["impressions"][c].to_pylist() for c in ("request_id", "job_id")), strict=True))
    for name in ("clicks", "saves", "dismissals"):
        assert set(zip(*(logs[name][c].to_pylist() for c in ("request_id", "job_id")), strict=True)) <= shown


def test_the_noise_of_production_is_in_the_logs(world: World, logs: Logs) -> None:
    for name in ("impressions", "applications"):
        ids, times = logs[name]["event_id"].to_pylist(), logs[name]["occurred_at"].to_pylist()
        assert 0 < len(ids) - len(set(ids)) < 0.05 * len(ids)
        assert times != sorted(times)
        whole = Counter(tuple(row.values()) for row in logs[name].to_pylist())
        assert len(whole) == len(set(ids))  # a duplicate is a copy, never another event of the same id
    held = logs["positions"].to_pandas()
    assert not held.seeker_id.is_monotonic_increasing
    assert held.employer_id.isna().mean() == pytest.approx(LoggingConfig().missing_employer_share, abs=0.015)
    late = (held.recorded_at - held.started_at) > pd.Timedelta(days=200)
    assert 0 < late.mean() < 0.05


@pytest.fixture(scope="module")
def true_hires(world: World) -> set[tuple[str, str, int]]:
    """(seeker, employer, start in whole microseconds) of every hire of the fit persons before the window."""
    lives = world.lives
    rows = np.flatnonzero(lives.hired & (lives.start_day < world.window_day) & (world.fold[lives.seeker] == FIT))
    return {
        (world.seeker_id(lives.seeker[row]), f"e{lives.employer[row]}", int(lives.start_day[row] * 86_400_000_000))
        for row in rows
    }


def test_only_true_hires_are_confirmed_and_most_of_them(
    world: World, logs: Logs, true_hires: set[tuple[str, str, int]]
) -> None:
    found = confirm(Tables(logs, world.careers.taxonomy)).hires
    start = found["started_at"].cast(pa.int64()).to_pylist()
    confirmed = list(zip(found["seeker_id"].to_pylist(), found["employer_id"].to_pylist(), start, strict=True))
    assert len(set(confirmed)) == len(confirmed)
    assert set(confirmed) <= true_hires
    assert len(confirmed) > 0.7 * len(true_hires)
    assert set(found["rule"].to_pylist()) <= {"occupation", "section"}


def test_there_are_hires_without_application_and_applications_without_hire(
    world: World, logs: Logs, true_hires: set[tuple[str, str, int]]
) -> None:
    confirmed = confirm(Tables(logs, world.careers.taxonomy))
    assert len(confirmed) < 0.95 * len(true_hires)
    assert "not_hired" in set(confirmed.outcomes["outcome"].to_pylist())


def test_no_vacancy_is_posted_in_the_future_whatever_the_draw(world: World) -> None:
    """All hires in the weeks before the window: their vacancies fall into the period the window lies in."""
    quick = LoggingConfig(lag_median_days=0.01, extra_job_share=5.0)
    posted = write_logs(world, quick)["jobs"]["posted_at"]
    assert pc.max(posted).as_py() < window(world)


def test_the_same_seed_gives_the_same_tables(world: World, logs: Logs) -> None:
    again = write_logs(world, LoggingConfig())
    assert again.keys() == logs.keys()
    assert all(again[name].equals(logs[name]) for name in logs)


# ---- the logging policy on a metro of three open jobs

UNIFORM, WEIGHT = 0.3, 3.0


def served(sessions: int, length: int, section: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Metro 0 has jobs 0-4: one too old, one not posted yet, three open ones of sections 1, 1, 2. Metro 1 has one."""
    return _serve_lists(
        np.zeros(sessions, np.int32),
        np.full(sessions, 100.0),
        np.full(sessions, section, np.int32),
        np.array([39.0, 41.0, 60.0, 99.0, 101.0, 99.0]),
        np.array([1, 1, 1, 2, 1, 1], np.int32),
        np.array([0, 5, 6]),
        60.0,
        length,
        UNIFORM,
        WEIGHT,
        seed=5,
    )


def chance_of(order: tuple[int, ...], section: int) -> list[float]:
    """The propensity of each draw of an ordered list of the open jobs 1, 2, 3."""
    left = {1: 1, 2: 1, 3: 2}
    found = []
    for job in order:
        weight = {j: WEIGHT if of == section else 1.0 for j, of in left.items()}
        found.append(UNIFORM / len(left) + (1 - UNIFORM) * weight[job] / sum(weight.values()))
        del left[job]
    return found


@pytest.mark.parametrize("section", [1, 2, 9])
def test_propensities_are_the_chances_of_a_brute_force_enumeration(section: int) -> None:
    n = 40_000
    chosen, propensity = served(n, length=2, section=section)
    orders = list(itertools.permutations((1, 2, 3), 2))
    chances = {order: float(np.prod(chance_of(order, section))) for order in orders}
    assert sum(chances.values()) == pytest.approx(1)
    seen = Counter(map(tuple, chosen.tolist()))
    assert set(seen) == set(orders)
    for order, chance in chances.items():
        assert seen[order] / n == pytest.approx(chance, abs=5 * np.sqrt(chance * (1 - chance) / n))
    for order in orders:
        row = chosen.tolist().index(list(order))
        assert propensity[row] == pytest.approx(chance_of(order, section))


def test_a_list_longer_than_the_open_jobs_is_padded() -> None:
    chosen, propensity = served(50, length=5)
    assert (np.sort(chosen[:, :3], axis=1) == [1, 2, 3]).all()
    assert (chosen[:, 3:] == -1).all()
    assert (propensity[:, 3:] == 0).all()
    assert propensity[:, 2] == pytest.approx(1.0)  # only one was left


def test_logged_propensities_are_probabilities(logs: Logs) -> None:
    propensity = logs["impressions"]["propensity"].to_numpy()
    assert ((propensity > 0) & (propensity <= 1)).all()
