"""An open-loop load generator: requests leave at moments fixed beforehand, whatever became of those before them.

    arrivals = poisson(rate, seconds, rng, payloads)
    played = play(arrivals, SocketWire(host, port))

Every latency counts from the *intended* send time. A closed loop, which waits for an answer before it sends the next
request, sends nothing while the server stands still and so leaves out the very requests that would have waited
("coordinated omission"); here they are all sent, or wait for a connection with their clock running.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

LEAD_SECONDS = 0.05  # between the call and the first request


@dataclass(frozen=True)
class Arrival:
    """One request: intended seconds after the start, what it is counted as, and its bytes."""

    at: float
    kind: str
    payload: bytes


@dataclass(frozen=True)
class Answer:
    """What came back for the numbered request, and when; status 0: nothing did, the connection broke."""

    number: int
    at: float
    status: int
    body: bytes


class Wire(Protocol):
    """What carries requests and answers, and the clock of both."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def send(self, number: int, payload: bytes) -> None:
        """Send, or line up for sending; does not wait."""

    def wait(self, until: float) -> list[Answer]:
        """Answers, as soon as there are some; at `until` at the latest."""


@dataclass(frozen=True)
class Played:
    """What became of n requests, in the order of sending.

    due, sent, done float64[n]: intended and real time of sending and time of the answer, seconds after the start,
    done NaN where none came; status int64[n], 0 where none came; kind: n names; bodies: of the kinds that were kept.
    """

    due: np.ndarray
    sent: np.ndarray
    done: np.ndarray
    status: np.ndarray
    kind: np.ndarray
    bodies: dict[int, bytes]

    def latency_ms(self, kind: str | None = None, statuses: Iterable[int] = (200,), after: float = 0.0) -> np.ndarray:
        """float64[m] from the intended time of sending to the answer, of requests due at `after` seconds or later."""
        chosen = np.isin(self.status, list(statuses)) & (self.due >= after)
        if kind is not None:
            chosen &= self.kind == kind
        return 1e3 * (self.done - self.due)[chosen]

    def summary(self, kind: str | None = None, after: float = 0.0) -> dict[str, object]:
        """Percentiles of the answers with status 200 in milliseconds, counts by status, rates; see `Played`."""
        mine = (self.due >= after) & ((self.kind == kind) if kind is not None else True)
        counts = dict(Counter(self.status[mine].tolist()))
        span = float(np.ptp(self.due[mine])) if mine.any() else 0.0
        return {
            **percentiles(self.latency_ms(kind, after=after)),
            "statuses": counts,
            "errors": int(mine.sum()) - counts.get(200, 0),
            "offered_per_s": float(mine.sum()) / span if span else 0.0,
            "late_ms_p99": float(np.percentile(1e3 * (self.sent - self.due)[mine], 99)) if mine.any() else 0.0,
        }


def percentiles(milliseconds: np.ndarray) -> dict[str, float]:
    """n, p50, p99, p99.9 and max; NaN without any."""
    if not len(milliseconds):
        return {"n": 0, "p50": np.nan, "p99": np.nan, "p999": np.nan, "max": np.nan}
    p50, p99, p999 = np.percentile(milliseconds, [50, 99, 99.9]).tolist()
    return {"n": len(milliseconds), "p50": p50, "p99": p99, "p999": p999, "max": float(milliseconds.max())}


def poisson_times(rate: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """float64[n] moments of a Poisson stream: what many independent callers make."""
    gaps = rng.exponential(1 / rate, int(rate * seconds + 10 * np.sqrt(rate * seconds) + 10))
    times = np.cumsum(gaps)
    return times[times < seconds]


def even_times(rate: float, seconds: float) -> np.ndarray:
    """float64[n] moments 1/rate apart."""
    return np.arange(int(rate * seconds)) / rate


def merged(*streams: Sequence[Arrival]) -> list[Arrival]:
    """Several streams as one, by time."""
    return sorted((arrival for stream in streams for arrival in stream), key=lambda arrival: arrival.at)


def play(
    arrivals: Sequence[Arrival],
    wire: Wire,
    patience_seconds: float = 10.0,
    keep: Callable[[str], bool] = lambda kind: False,
) -> Played:
    """Send everything at its time, collect the answers; those that have not come `patience` after the last are lost.

    arrivals: by time. keep(kind): whether the bodies of that kind's answers are wanted.
    """
    n = len(arrivals)
    due = np.array([arrival.at for arrival in arrivals])
    sent, done, status = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64)
    bodies: dict[int, bytes] = {}
    wanted = [keep(arrival.kind) for arrival in arrivals]
    collecting = gc.isenabled()
    gc.disable()  # a collection here would be read as latency of the server
    try:
        began = wire.now() + LEAD_SECONDS
        moments = (began + due).tolist()
        following = open_requests = 0
        while following < n or open_requests:
            now = wire.now()
            while following < n and moments[following] <= now:
                wire.send(following, arrivals[following].payload)
                sent[following] = now - began
                following, open_requests, now = following + 1, open_requests + 1, wire.now()
            until = moments[following] if following < n else moments[-1] + patience_seconds
            if following == n and now >= until:
                break
            for answer in wire.wait(until):
                open_requests -= 1
                done[answer.number] = answer.at - began if answer.status else np.nan
                status[answer.number] = answer.status
                if wanted[answer.number]:
                    bodies[answer.number] = answer.body
    finally:
        if collecting:
            gc.enable()
    return Played(due, sent, done, status, np.array([arrival.kind for arrival in arrivals]), bodies)
