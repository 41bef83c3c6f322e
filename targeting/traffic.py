"""Counting requests for promoted slots in memory: how many came from where, and what it took to win a slot.

Nobody is named: a count is of one hour, one present occupation and one area. `TrafficStore.flush` writes a buffer down
every few seconds and at shutdown; a process that is killed loses the counts since then, and nothing else.

    level of a bar b (lowest winning score, expected micros an impression)
        EMPTY              a slot stayed empty: the reserve price was enough
        floor(4 log2 b)    else; a level is 19 % wide, LEVELS of them reach 10^18 micros
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from market.errors import ConfigError
from targeting.engine import Slate, SlateRequest

EMPTY = -1
LEVELS = 240
UNKNOWN = ""  # occupation or area that nobody told
HOUR = timedelta(hours=1)
_STEPS = 4  # levels to a doubling
_SECONDS = 3600


@dataclass(frozen=True)
class TrafficConfig:
    """flush_seconds: how often counts are written down; history_days: what a forecast looks back on;
    kept_days: when counts are forgotten; most_cells: cells in memory, above which areas are not told apart."""

    flush_seconds: float = 5.0
    history_days: int = 28
    kept_days: int = 400
    most_cells: int = 20_000

    def __post_init__(self) -> None:
        if not self.flush_seconds > 0:
            raise ConfigError(f"flush_seconds {self.flush_seconds}; give a number of seconds above zero")
        if not 1 <= self.history_days <= self.kept_days:
            raise ConfigError(
                f"history_days {self.history_days} of {self.kept_days} kept; give at least 1 and at most what is kept"
            )
        if self.most_cells < 1:
            raise ConfigError(f"most_cells {self.most_cells}; give 1 or more")


@dataclass(frozen=True)
class History:
    """Whole hours of traffic: requests int64[H] by hour from `since`; cells {(occupation, area): requests} and prices
    {occupation: {level: slates}} over all of them. slots and sold of the whole, for the ad load."""

    since: datetime
    requests: np.ndarray
    cells: Mapping[tuple[str, str], int]
    prices: Mapping[str, Mapping[int, int]]
    slots: int = 0
    sold: int = 0

    @property
    def until(self) -> datetime:
        return self.since + HOUR * len(self.requests)

    @property
    def total(self) -> int:
        return int(self.requests.sum())


@dataclass
class Counts:
    """What a buffer holds: cells {(hour, occupation, area): [requests, slots, sold]} with the hour counted from 1970,
    and prices {(day, occupation, level): slates} with the UTC day counted from 1970."""

    cells: dict[tuple[int, str, str], list[int]] = field(default_factory=dict)
    prices: dict[tuple[int, str, int], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.cells or self.prices)


class TrafficBuffer:
    """Counts since the last `take`; safe among threads."""

    def __init__(self, config: TrafficConfig = TrafficConfig()) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._counts = Counts()

    def note(self, asked: SlateRequest, slate: Slate, now: datetime) -> None:
        """Count one request; one without promoted slots is no supply and is not counted."""
        if not asked.promoted:
            return
        hour = int(now.timestamp()) // _SECONDS
        occupation, area = slate.occupation or UNKNOWN, area_of(asked)
        sold = sum(item.kind == "promoted" for item in slate.items)
        level = None if slate.bar is None else level_of(slate.bar)
        with self._lock:
            cells = self._counts.cells
            cell = cells.get((hour, occupation, area))
            if cell is None:
                if len(cells) >= self.config.most_cells:
                    area = UNKNOWN
                cell = cells.setdefault((hour, occupation, area), [0, 0, 0])
            cell[0] += 1
            cell[1] += asked.promoted
            cell[2] += sold
            if level is not None:
                price = hour // 24, occupation, level
                self._counts.prices[price] = self._counts.prices.get(price, 0) + 1

    def take(self) -> Counts:
        """What was counted; the buffer is empty afterwards."""
        with self._lock:
            taken, self._counts = self._counts, Counts()
        return taken

    def give_back(self, counts: Counts) -> None:
        """Count again what could not be written down."""
        with self._lock:
            mine = self._counts
            for place, more in counts.cells.items():
                cell = mine.cells.setdefault(place, [0, 0, 0])
                for at, number in enumerate(more):
                    cell[at] += number
            for price, slates in counts.prices.items():
                mine.prices[price] = mine.prices.get(price, 0) + slates


def area_of(asked: SlateRequest) -> str:
    """Where the seeker looks: the one area of the filters, else their own; UNKNOWN for several or none."""
    named = {wanted[4:] for group in asked.filters.all_of for wanted in group if wanted.startswith("geo=")}
    if named:
        return named.pop().strip() if len(named) == 1 else UNKNOWN
    return (asked.seeker.geo or UNKNOWN).strip()


def level_of(bar: float) -> int:
    """The level of a bar in micros; see above."""
    return EMPTY if bar <= 0 else min(LEVELS - 1, max(0, math.floor(_STEPS * math.log2(bar))))


def bar_of(level: float) -> float:
    """The lower end of a level in micros, 0 for EMPTY; a half past a level is its middle."""
    return 0.0 if level < 0 else float(2 ** (level / _STEPS))


def hour_of(number: int) -> datetime:
    """The beginning of the number-th hour since 1970."""
    return datetime.fromtimestamp(number * _SECONDS, UTC)
