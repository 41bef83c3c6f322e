"""Vacancies come and go: as many as were asked for are open, lives have the stated lengths, employers have several."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import ConfigError
from sim.behaviour import read_behaviour
from sim.facts import generated_facts
from sim.generated import generated_metros, generated_taxonomy
from sim.vacancies import Vacancies, window_inventory

BEHAVIOUR = read_behaviour()
RULES = BEHAVIOUR["vacancies"]
OPEN, DAYS, WINDOW = 6_000, 14, 19_000.0


def drawn(occupations: np.ndarray = np.arange(40), seed: int = 0) -> Vacancies:
    rng = np.random.default_rng(seed)
    taxonomy, metros = generated_taxonomy(), generated_metros(4, rng)
    facts = generated_facts(taxonomy, metros, rng)
    return window_inventory(occupations, taxonomy, metros, facts, BEHAVIOUR, WINDOW, OPEN, DAYS, 0.05, rng)


@pytest.fixture(scope="module")
def jobs() -> Vacancies:
    return drawn()


def test_as_many_are_open_at_every_midnight_as_at_the_start(jobs: Vacancies) -> None:
    assert len(jobs.open_between(WINDOW, WINDOW + 1)) == OPEN
    for day in range(1, DAYS + 1):
        assert len(jobs.open_between(WINDOW + day, WINDOW + day + 1)) == pytest.approx(OPEN, rel=0.05)


def test_lives_are_whole_days_and_end_when_filled_or_expired(jobs: Vacancies) -> None:
    life = jobs.expires_day - jobs.posted_day
    assert (jobs.posted_day % 1 == 0).all()
    assert (life % 1 == 0).all()
    assert life.min() >= 1
    assert life.max() == RULES["expires_after_days"]
    fresh = life[jobs.posted_day > WINDOW]  # geometric by the day, cut off at the expiry
    mean, longest = RULES["filled_after_days"], RULES["expires_after_days"]
    expected = sum(np.exp(-day / mean) for day in range(int(longest)))
    assert fresh.mean() == pytest.approx(expected, abs=5 * fresh.std() / np.sqrt(len(fresh)))


def test_what_is_filled_in_a_week_follows_the_daily_rate(jobs: Vacancies) -> None:
    at_start = jobs.expires_day[jobs.posted_day <= WINDOW]
    gone = (at_start <= WINDOW + 7).mean()
    unfilled = np.exp(-7 / RULES["filled_after_days"])
    assert 1 - unfilled < gone < 1 - unfilled + 0.03  # and a few run out


def test_an_employer_may_have_several_alike_and_the_largest_has_many(jobs: Vacancies) -> None:
    alike = np.column_stack([jobs.employer, jobs.occupation, jobs.metro])
    _, copies = np.unique(alike, axis=0, return_counts=True)
    assert (copies > 1).sum() > 0.1 * len(copies)
    assert np.bincount(np.unique(jobs.employer, return_inverse=True)[1]).max() > 30


def test_nobody_hired_before_the_window_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="raise persons or last_year"):
        drawn(np.empty(0, np.int64))


def test_the_same_generator_gives_the_same_vacancies(jobs: Vacancies) -> None:
    assert drawn().wage.tobytes() == jobs.wage.tobytes()
    assert drawn(seed=1).wage.tobytes() != jobs.wage.tobytes()
