"""Whose turn it is: a few requests are worked on at once, a few wait shortly, the rest is told to come back.

With more threads than cores every request becomes slower and none is finished sooner; with a long queue every answer
comes after its asker has gone. So the queue is as long as what can be answered within `queue_seconds`, and whoever
would wait longer hears so at once. Two lanes: events, campaigns and jobs go before searches, because a lost event is
money and a shed search is one page without new jobs; but of four turns one belongs to the searches.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

Lane = Literal["records", "searches"]

_TURNS = 4  # of so many turns one belongs to the searches, if any waits
_WEIGHT = 0.1  # of the latest request in the moving mean of how long one takes
_FIRST_GUESS_SECONDS = 0.005


class Turns:
    """At most `concurrency` requests between `enter` and `leave`. For one event loop; nothing here blocks."""

    def __init__(
        self, concurrency: int, queue_seconds: float, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._concurrency, self._queue_seconds, self._monotonic = concurrency, queue_seconds, monotonic
        self._waiting: dict[Lane, deque[asyncio.Future[bool]]] = {"records": deque(), "searches": deque()}
        self._running, self._turn, self._mean_seconds = 0, 0, _FIRST_GUESS_SECONDS

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def hopeless(self, lane: Lane) -> bool:
        """Would a request that comes now wait longer than it may?"""
        if self._running < self._concurrency:
            return False
        ahead = len(self._waiting["records"]) + (len(self._waiting["searches"]) if lane == "searches" else 0)
        return (ahead + 1) * self._mean_seconds / self._concurrency > self._queue_seconds

    async def enter(self, lane: Lane) -> bool:
        """True: it is this request's turn, `leave` has to follow. False: come back later."""
        if self._running < self._concurrency and not self.waiting:
            self._running += 1
            return True
        if self.hopeless(lane):
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting[lane].append(turn)
        patience = loop.call_later(self._queue_seconds, self._give_up, lane, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._pass_on()
            else:
                self._give_up(lane, turn)
            raise
        finally:
            patience.cancel()

    def leave(self, seconds: float) -> None:
        """The request has been answered, `seconds` after it was let in."""
        self._mean_seconds += _WEIGHT * (seconds - self._mean_seconds)
        self._pass_on()

    def _pass_on(self) -> None:
        self._running -= 1
        while self._running < self._concurrency and (turn := self._next()) is not None:
            if not turn.done():
                self._running += 1
                turn.set_result(True)

    def _next(self) -> asyncio.Future[bool] | None:
        self._turn = (self._turn + 1) % _TURNS
        lanes: tuple[Lane, Lane] = ("searches", "records") if self._turn == 0 else ("records", "searches")
        return next((self._waiting[lane].popleft() for lane in lanes if self._waiting[lane]), None)

    def _give_up(self, lane: Lane, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            turn.set_result(False)
        if turn in self._waiting[lane]:
            self._waiting[lane].remove(turn)
