"""The supply forecast on the past: as it would have been made on each of the last days, beside what came.

Each origin sees only the hours before it. Areas are forecast one by one, the largest first, and all together; rows of
one origin share their days, so coverages are less sure than their number of rows suggests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from targeting.forecast import estimate
from targeting.supply import fit_supply
from targeting.traffic import History

DAY = timedelta(days=1)
HORIZONS = (1, 7)
AREAS = 20
Read = Callable[[datetime, int], History]  # (until, days) -> whole hours before


@dataclass(frozen=True)
class Backtest:
    """One horizon: n forecasts; shares inside the intervals; |mean - came| and mean - came, over what came."""

    horizon_days: int
    n: int
    coverage80: float
    coverage95: float
    absolute_error: float
    bias: float


def backtest(
    read: Read,
    now: datetime,
    days: int,
    *,
    history_days: int = 28,
    horizons: Sequence[int] = HORIZONS,
    draws: int = 400,
    seed: int = 0,
    zone: str = "UTC",
) -> list[Backtest]:
    """One row per horizon that the last `days` have room for; origins are a day apart."""
    end = now.replace(minute=0, second=0, microsecond=0)
    found = []
    for horizon in horizons:
        rows = []
        for back in range(horizon, days + 1):
            origin = end - back * DAY
            seen, came = read(origin, history_days), read(origin + horizon * DAY, horizon)
            if len(seen.requests) >= 24:
                rng = np.random.default_rng([seed, horizon, back])
                rows += _rows(seen, came, origin, horizon, draws, rng, zone)
        if rows:
            found.append(_scored(horizon, np.array(rows)))
    return found


def _rows(
    seen: History, came: History, origin: datetime, horizon: int, draws: int, rng: np.random.Generator, zone: str
) -> list[tuple[float, ...]]:
    """(came, mean, low and high of 80 %, of 95 %) for all areas together, then for the largest ones."""
    size: dict[str, int] = {}
    for (_, area), requests in seen.cells.items():
        size[area] = size.get(area, 0) + requests
    largest = sorted(size, key=lambda area: (-size[area], area))[:AREAS]
    rows: list[tuple[float, ...]] = []
    for wanted in (None, *largest):
        supply = fit_supply(seen, zone, lambda area, wanted=wanted: wanted in (None, area))  # type: ignore[misc]
        drawn = supply.requests(origin, origin + horizon * DAY, draws, rng)
        found = estimate(drawn)
        real = sum(requests for (_, area), requests in came.cells.items() if wanted in (None, area))
        rows.append((float(real), found.mean, *found.ci80, *found.ci95))
    return rows


def _scored(horizon: int, rows: np.ndarray) -> Backtest:
    came, mean, low80, high80, low95, high95 = rows.T
    whole = max(float(came.sum()), 1.0)
    return Backtest(
        horizon,
        len(rows),
        float(((low80 <= came) & (came <= high80)).mean()),
        float(((low95 <= came) & (came <= high95)).mean()),
        float(np.abs(mean - came).sum() / whole),
        float((mean - came).sum() / whole),
    )
