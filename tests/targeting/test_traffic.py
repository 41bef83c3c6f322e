"""Counting requests in memory: what is counted, where, and what a level is."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from market.records import Filters, SeekerProfile
from targeting.engine import Slate, SlateItem, SlateRequest
from targeting.traffic import EMPTY, LEVELS, UNKNOWN, TrafficBuffer, TrafficConfig, area_of, bar_of, hour_of, level_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = int(NOON.timestamp()) // 3600
AD = SlateItem("j1", "promoted", 1, 1.0, (), True)
JOB = SlateItem("j2", "organic", 2, 1.0, (), False)


def asked(promoted: int = 2, geo: str | None = "31080", filters: Filters = Filters()) -> SlateRequest:
    return SlateRequest(SeekerProfile("s1", geo=geo), None, filters, 3, promoted)


def test_a_request_is_counted_in_its_hour_occupation_and_area() -> None:
    buffer = TrafficBuffer()
    buffer.note(asked(), Slate((AD, JOB), "nurse", 40_000.0), NOON)
    buffer.note(asked(), Slate((AD, AD), "nurse", 0.0), NOON + timedelta(minutes=59))
    buffer.note(asked(geo=None), Slate(()), NOON + timedelta(hours=1))
    taken = buffer.take()
    assert taken.cells == {(HOUR, "nurse", "31080"): [2, 4, 3], (HOUR + 1, UNKNOWN, UNKNOWN): [1, 2, 0]}
    assert taken.prices == {(HOUR // 24, "nurse", level_of(40_000)): 1, (HOUR // 24, "nurse", EMPTY): 1}
    assert not buffer.take()
    assert hour_of(HOUR) == NOON


def test_a_request_without_promoted_slots_is_no_supply() -> None:
    buffer = TrafficBuffer()
    buffer.note(asked(promoted=0), Slate((JOB,), "nurse"), NOON)
    assert not buffer.take()


def test_nobody_is_named() -> None:
    buffer = TrafficBuffer()
    buffer.note(asked(), Slate((AD,), "nurse", 1.0), NOON)
    assert "s1" not in repr(buffer.take())


def test_the_area_is_the_one_that_is_looked_at() -> None:
    elsewhere = Filters(all_of=(("geo=12060",), ("remote=no",)))
    assert area_of(asked(filters=elsewhere)) == "12060"
    assert area_of(asked(filters=Filters(all_of=(("geo=1", "geo=2"),)))) == UNKNOWN
    assert area_of(asked(geo=" 31080 ")) == "31080"
    assert area_of(asked(geo=None)) == UNKNOWN


def test_too_many_areas_are_not_told_apart_and_every_request_still_counts() -> None:
    buffer = TrafficBuffer(TrafficConfig(most_cells=2))
    for number in range(10):
        buffer.note(asked(geo=str(number)), Slate((), "nurse"), NOON)
    cells = buffer.take().cells
    assert len(cells) == 3
    assert sum(cell[0] for cell in cells.values()) == 10


def test_what_is_given_back_is_counted_once_more() -> None:
    buffer = TrafficBuffer()
    buffer.note(asked(), Slate((AD,), "nurse", 5.0), NOON)
    taken = buffer.take()
    buffer.note(asked(), Slate((AD,), "nurse", 5.0), NOON)
    buffer.give_back(taken)
    again = buffer.take()
    assert again.cells == {(HOUR, "nurse", "31080"): [2, 4, 2]}
    assert list(again.prices.values()) == [2]


def test_threads_lose_no_request() -> None:
    buffer, found = TrafficBuffer(), []
    done = threading.Event()

    def note() -> None:
        for _ in range(2_000):
            buffer.note(asked(), Slate((), "nurse"), NOON)

    def take() -> None:
        while not done.is_set():
            found.append(buffer.take())

    writers = [threading.Thread(target=note) for _ in range(4)]
    reader = threading.Thread(target=take)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    found.append(buffer.take())
    assert sum(cell[0] for counts in found for cell in counts.cells.values()) == 8_000


@given(st.floats(0, 1e18))
def test_a_bar_lies_in_its_level_and_levels_grow_with_it(bar: float) -> None:
    level = level_of(bar)
    assert EMPTY <= level < LEVELS
    if bar >= 1:
        assert bar_of(level) <= bar * (1 + 1e-9)
        assert bar < bar_of(level + 1) * (1 + 1e-9) or level == LEVELS - 1
    assert level_of(bar * 2 + 1) >= level


def test_empty_slots_have_a_level_of_their_own() -> None:
    assert level_of(0) == EMPTY
    assert level_of(1e-6) == 0
    assert bar_of(EMPTY) == 0


@pytest.mark.parametrize("wrong", [{"flush_seconds": 0}, {"history_days": 0}, {"history_days": 500}, {"most_cells": 0}])
def test_settings_that_can_not_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        replace(TrafficConfig(), **wrong)  # type: ignore[arg-type]
