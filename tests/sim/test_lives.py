"""From an occupation a year to positions at employers: by hand on three people, then on generated careers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.careers import Careers
from market.errors import ConfigError
from market.taxonomy import build_taxonomy
from sim.generated import generated_careers
from sim.lives import EMPLOYERS_PER_CELL, Lives, draw_employers, live

COOK, BAKER, NURSE = 0, 1, 2
TAXONOMY = build_taxonomy(
    "three", [("0", "Cook", "Kitchen", "Food"), ("1", "Baker", "Kitchen", "Food"), ("2", "Nurse", "Care", "Health")]
)
SHIFT = 31


def careers_of(*people: Sequence[tuple[int, int]]) -> Careers:
    """Careers as (year, occupation) pairs, one list per person."""
    rows = [(number, year, occupation) for number, person in enumerate(people) for year, occupation in person]
    person, year, occupation = map(np.array, zip(*rows, strict=True))
    return Careers(
        tuple(f"p{i}" for i in range(len(people))),
        person.astype(np.int32),
        year.astype(np.int16),
        occupation.astype(np.int32),
        np.full(len(rows), np.nan, np.float32),
        TAXONOMY,
    )


def lives_of(careers: Careers, share: float = 0.0, replicas: int = 1, metros: int = 1, seed: int = 0) -> Lives:
    each = np.full(len(careers.person_ids), replicas)
    return live(careers, each, np.ones(metros), share, SHIFT, np.random.default_rng(seed))


def first_of_july(year: int) -> float:
    return float((np.datetime64(f"{year + SHIFT}-07-01") - np.datetime64("1970-01-01")).astype(int))


def observation_days(careers: Careers) -> np.ndarray:
    return np.array([first_of_july(int(year)) for year in careers.year])


def test_a_change_between_two_observations_is_one_hire_between_their_dates() -> None:
    careers = careers_of([(1988, COOK), (1989, COOK), (1990, NURSE)], [(1985, BAKER), (1988, COOK)])
    lives = lives_of(careers)
    assert lives.seeker.tolist() == [0, 0, 1, 1]
    assert lives.occupation.tolist() == [COOK, NURSE, BAKER, COOK]
    assert lives.hired.tolist() == [False, True, False, True]
    assert first_of_july(1989) <= lives.start_day[1] < first_of_july(1990)
    assert first_of_july(1985) <= lives.start_day[3] < first_of_july(1988)
    assert lives.start_day[0] < first_of_july(1988)


def test_a_person_seen_once_has_one_position_and_no_hire() -> None:
    lives = lives_of(careers_of([(1990, COOK)], [(1990, BAKER), (1991, NURSE)]))
    assert lives.hired.tolist() == [False, False, True]


def test_stays_become_hires_into_the_same_occupation_by_the_stated_share() -> None:
    """One change asks for 2/3 of a hire at a share of .4, and there is one stay to put it on."""
    careers = careers_of([(1988, COOK), (1989, COOK), (1990, NURSE)])
    positions = [len(lives_of(careers, share=0.4, seed=seed).seeker) for seed in range(300)]
    assert set(positions) == {2, 3}
    assert np.mean(positions) == pytest.approx(2 + 2 / 3, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6])
def test_the_share_of_same_occupation_hires_is_near_the_configured_one(share: float) -> None:
    careers = generated_careers(1_500, np.random.default_rng(1))
    lives = lives_of(careers, share)
    hired = np.flatnonzero(lives.hired)
    same = lives.occupation[hired] == lives.occupation[hired - 1]
    assert same.mean() == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("share", [-0.1, 0.7, 1.0])
def test_a_share_that_can_not_be_reached_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="same_occupation_share"):
        lives_of(careers_of([(1990, COOK), (1991, NURSE)]), share)


generated = st.builds(
    lambda persons, seed: generated_careers(persons, np.random.default_rng(seed)),
    persons=st.integers(1, 60),
    seed=st.integers(0, 1_000),
)


@settings(max_examples=25, deadline=None)
@given(generated, st.floats(0, 0.69), st.integers(1, 3), st.integers(1, 4))
def test_what_was_observed_is_what_the_seeker_is_on_that_day(
    careers: Careers, share: float, replicas: int, metros: int
) -> None:
    """Every observation of every copy; so every hire lies between the two observations that tell of it."""
    lives = lives_of(careers, share, replicas, metros)
    start, stop = lives.bounds()
    day = observation_days(careers)
    for seeker in range(len(lives.person)):
        begun = lives.start_day[start[seeker] : stop[seeker]]
        mine = careers.person == lives.person[seeker]
        held = np.searchsorted(begun, day[mine], side="right") - 1
        assert (held >= 0).all()
        assert (lives.occupation[start[seeker] + held] == careers.occupation[mine]).all()
        assert begun[-1] <= day[mine][-1]


@settings(max_examples=40, deadline=None)
@given(generated, st.floats(0, 0.69), st.integers(1, 3))
def test_nobody_is_hired_by_the_employer_they_are_at(careers: Careers, share: float, metros: int) -> None:
    lives = lives_of(careers, share, metros=metros)
    hired = np.flatnonzero(lives.hired)
    assert (lives.employer[hired] != lives.employer[hired - 1]).all()


@settings(max_examples=15, deadline=None)
@given(generated, st.integers(1, 3), st.integers(1, 4))
def test_positions_are_sorted_and_only_the_first_began_without_a_hire(
    careers: Careers, replicas: int, metros: int
) -> None:
    lives = lives_of(careers, 0.4, replicas, metros)
    order = np.lexsort((lives.start_day, lives.seeker))
    assert (order == np.arange(len(order))).all()
    start, _ = lives.bounds()
    assert np.flatnonzero(~lives.hired).tolist() == start.tolist()
    assert (np.bincount(lives.person) == replicas).all()
    assert lives.replica.tolist() == list(range(replicas)) * len(careers.person_ids)
    cell = careers.taxonomy.major[lives.occupation] * metros + lives.metro[lives.seeker]
    assert (lives.employer // EMPLOYERS_PER_CELL == cell).all()


def test_a_person_with_no_replicas_is_left_out() -> None:
    careers = careers_of([(1990, COOK), (1991, BAKER)], [(1990, NURSE), (1991, COOK)])
    lives = live(careers, np.array([0, 2]), np.ones(1), 0.0, SHIFT, np.random.default_rng(0))
    assert lives.person.tolist() == [1, 1]
    assert lives.seeker.tolist() == [0, 0, 1, 1]
    assert lives.occupation.tolist() == [NURSE, COOK] * 2


def test_known_at_splits_each_life_at_the_day() -> None:
    careers = generated_careers(80, np.random.default_rng(3))
    lives = lives_of(careers, 0.4)
    day = first_of_july(1988)
    start, end, following = lives.known_at(day)
    for seeker in range(len(lives.person)):
        rows = np.flatnonzero(lives.seeker == seeker)
        known = rows[lives.start_day[rows] <= day]
        later = rows[lives.start_day[rows] > day]
        assert np.arange(start[seeker], end[seeker]).tolist() == known.tolist()
        assert following[seeker] == (later[0] if len(later) else -1)


def test_employers_have_zipf_sizes_within_a_metro_and_major_group() -> None:
    n = 200_000
    drawn = draw_employers(np.full(n, 2), np.full(n, 1), 3, np.random.default_rng(0))
    cell, rank = np.divmod(drawn, EMPLOYERS_PER_CELL)
    assert (cell == 2 * 3 + 1).all()
    size = np.arange(1, EMPLOYERS_PER_CELL + 1) ** -0.8
    expected = n * size / size.sum()
    assert np.abs(np.bincount(rank) - expected).max() < 5 * np.sqrt(expected.max())


def test_the_same_seed_gives_the_same_lives() -> None:
    careers = generated_careers(50, np.random.default_rng(0))
    one, again, other = (lives_of(careers, 0.4, seed=seed) for seed in (5, 5, 6))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(astuple(one), astuple(again), strict=True))
    assert one.start_day.tobytes() != other.start_day.tobytes()
