"""Turns: few at once, a short queue, records before searches; and the whole service under more than it can do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.records import Filters, Recommendation, SeekerProfile
from targeting.http.limits import LimitsConfig
from targeting.http.shedding import Lane, Turns
from tests.targeting.http.small_service import Opener, assert_problem


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_as_many_as_may_come_in_at_once_and_the_next_waits() -> None:
    async def story() -> None:
        turns = Turns(2, queue_seconds=5)
        assert await turns.enter("searches")
        assert await turns.enter("searches")
        third = asyncio.ensure_future(turns.enter("searches"))
        await settled()
        assert (turns.running, turns.waiting, third.done()) == (2, 1, False)
        turns.leave(0.001)
        assert await third
        assert (turns.running, turns.waiting) == (2, 0)

    run(story)


def test_who_would_wait_too_long_hears_so_at_once() -> None:
    async def story() -> None:
        turns = Turns(1, queue_seconds=0.05)
        assert await turns.enter("searches")
        turns.leave(1.0)  # a request takes long: the mean is above a tenth of a second now
        assert await turns.enter("searches")
        started = time.perf_counter()
        assert not await turns.enter("searches")
        assert turns.hopeless("searches")
        assert time.perf_counter() - started < 0.02
        turns.leave(0.001)
        assert not turns.hopeless("searches")
        assert await turns.enter("searches")

    run(story)


def test_patience_ends_after_the_time_of_the_queue() -> None:
    async def story() -> None:
        turns = Turns(1, queue_seconds=0.05)
        assert await turns.enter("searches")
        started = time.perf_counter()
        assert not await turns.enter("searches")
        assert 0.04 < time.perf_counter() - started < 1
        assert (turns.running, turns.waiting) == (1, 0)
        turns.leave(0.001)
        assert turns.running == 0

    run(story)


def test_records_go_first_and_every_fourth_turn_is_a_search() -> None:
    async def story() -> None:
        turns, order = Turns(1, queue_seconds=5), []

        async def one(lane: Lane) -> None:
            assert await turns.enter(lane)
            order.append(lane)
            turns.leave(0.0)

        assert await turns.enter("records")
        waiting = [asyncio.ensure_future(one("searches")) for _ in range(3)]
        await settled()
        waiting += [asyncio.ensure_future(one("records")) for _ in range(6)]
        await settled()
        turns.leave(0.0)
        await asyncio.gather(*waiting)
        assert order == [*["records"] * 3, "searches", *["records"] * 3, "searches", "searches"]

    run(story)


def test_who_goes_away_while_waiting_takes_no_turn() -> None:
    async def story() -> None:
        turns = Turns(1, queue_seconds=5)
        assert await turns.enter("records")
        gone, patient = (asyncio.ensure_future(turns.enter("records")) for _ in range(2))
        await settled()
        gone.cancel()
        await settled()
        turns.leave(0.0)
        assert await patient
        late = asyncio.ensure_future(turns.enter("records"))
        await settled()
        turns.leave(0.0)
        late.cancel()  # its turn has come in the same moment
        await settled()
        assert (turns.running, turns.waiting) == (0, 0)

    run(story)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["records", "searches"]), st.floats(0, 0.004), st.booleans()), max_size=40),
    st.integers(1, 4),
)
def test_never_more_at_once_than_allowed_and_nothing_left_behind(
    requests: list[tuple[Lane, float, bool]], concurrency: int
) -> None:
    async def story() -> None:
        turns, at_once = Turns(concurrency, queue_seconds=0.002), 0

        async def one(lane: Lane, seconds: float) -> None:
            nonlocal at_once
            if not await turns.enter(lane):
                return
            at_once += 1
            assert at_once <= concurrency
            try:
                await asyncio.sleep(seconds)
            finally:
                at_once -= 1
                turns.leave(seconds)

        tasks = [asyncio.ensure_future(one(lane, seconds)) for lane, seconds, _ in requests]
        await asyncio.sleep(0)
        for task, (_, _, impatient) in zip(tasks, requests, strict=True):
            if impatient:
                task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(isinstance(each, AssertionError) for each in done)
        assert (turns.running, turns.waiting) == (0, 0)

    run(story)


def test_a_service_with_too_much_to_do_says_so_quickly_and_recovers(open_world: Opener) -> None:
    limits = LimitsConfig(concurrency=2, queue_seconds=0.05)
    with open_world(limits=limits) as world:
        free = threading.Event()

        def slow(seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
            free.wait(20)
            return []

        world.engine.recommend = slow  # type: ignore[method-assign]

        def ask(_: int = 0) -> Any:
            return world.call("platform", "POST", "/v1/recommendations", json={"k": 1})

        with ThreadPoolExecutor(6) as pool:
            busy = [pool.submit(ask) for _ in range(2)]
            while "hiregraph_requests_running 2.0" not in world.client.get("/metrics").text:
                time.sleep(0.01)
            refused = list(pool.map(ask, range(4)))
            for answer in refused:
                assert_problem(answer, 503, "overloaded")
                assert answer.headers["retry-after"] == "1"
            assert world.client.get("/readyz").status_code == 200
            free.set()
            assert [each.result().status_code for each in busy] == [200, 200]
        assert ask().status_code == 200
        assert 'hiregraph_shed_total{reason="load"} 4.0' in world.client.get("/metrics").text


@pytest.mark.parametrize("lane", ["records", "searches"])
def test_the_first_request_after_a_pause_is_never_sent_away(lane: Lane) -> None:
    async def story() -> None:
        turns = Turns(1, queue_seconds=0.001)
        for _ in range(20):
            assert await turns.enter(lane)
            turns.leave(100.0)

    run(story)
