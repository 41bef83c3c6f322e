"""Methods timed side by side: each runs once a round, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PATIENCE_SECONDS = 0.1  # a method that is faster repeats within its turn and counts with the median
REPEATS = 15
CLOCK_STEP = 1e-9  # seconds


@dataclass(frozen=True)
class Timed:
    """Wall and processor seconds of each round, and what the first call, a warm-up outside the rounds, answered."""

    wall: np.ndarray
    cpu: np.ndarray
    answer: Any

    def summary(self, unit_seconds: float) -> dict[str, float]:
        """Median, 10th and 90th percentile of the wall time and the median of the processor time, in units."""
        low, middle, high = (np.percentile(self.wall, [10, 50, 90]) / unit_seconds).tolist()
        return {"median": middle, "p10": low, "p90": high, "cpu": float(np.median(self.cpu)) / unit_seconds}


def interleave(methods: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timed]:
    """A warm-up call of each method, then `rounds` rounds; the first of a round changes from round to round."""
    answers = {name: method() for name, method in methods.items()}
    names = list(methods)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(_turn(methods[name]))
    return {
        name: Timed(*np.array(times[name]).reshape(rounds, 2).T, answers[name])  # type: ignore[call-arg]
        for name in names
    }


def ratio(slower: Timed, faster: Timed) -> dict[str, float]:
    """How many times the wall time of `faster` the other takes: median, 10th and 90th percentile over the rounds.

    `cpu` is the median of the same ratio of processor times, which other jobs on the machine disturb less.
    """
    low, middle, high = np.percentile(slower.wall / faster.wall, [10, 50, 90]).tolist()
    cpu = float(np.median(slower.cpu / np.maximum(faster.cpu, CLOCK_STEP)))
    return {"median": middle, "p10": low, "p90": high, "cpu": cpu}


def seconds_of(action: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _turn(method: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = [], []
    began = time.perf_counter()
    while not wall or (len(wall) < REPEATS and time.perf_counter() - began < PATIENCE_SECONDS):
        start, start_cpu = time.perf_counter(), time.process_time()
        method()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return float(np.median(wall)), float(np.median(cpu))
