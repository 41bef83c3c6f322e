"""What a campaign means to spend today, and which share of that by now.

    with a daily budget      that, or what remains of the total
    with an end              what remained when the day began, shared out over the days to the end as its pacing says
    neither, or paced asap   all that remains

The days are those of the campaign's zone, whatever their length; weights of `even` are seconds, of `traffic` requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from targeting.campaigns import Campaign
from targeting.delivery import Today, pacing_share
from targeting.supply import WEEK, hours_between

Key = tuple[object, ...]


@dataclass(frozen=True)
class PlannedDay:
    """budget: micros meant for today, at most what today may spend; share: of it by now, from 0 to 1."""

    budget: int
    share: float


class DayPlanner:
    """Plans of many campaigns at one moment; what they have in common is reckoned once.

    shape float64[168]: requests by hour of the week in the zone that is asked for.
    """

    def __init__(self, now: datetime, shapes: dict[str, np.ndarray]) -> None:
        self._now, self._shapes = now, shapes
        self._shares: dict[Key, float] = {}
        self._parts: dict[Key, float] = {}

    def of(self, campaign: Campaign, today: Today) -> PlannedDay:
        shape = self._shapes[campaign.time_zone]
        start = max(today.start, campaign.starts_at)
        end = today.end if campaign.ends_at is None else min(today.end, campaign.ends_at)
        key: Key = (campaign.pacing, campaign.time_zone, start, end)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = pacing_share(campaign, today, self._now, shape)
        if campaign.budget.daily is not None or campaign.ends_at is None or campaign.pacing == "asap":
            return PlannedDay(today.budget, share)
        if campaign.ends_at <= today.end or start >= end:
            return PlannedDay(today.budget, share)
        key = *key, campaign.ends_at
        part = self._parts.get(key)
        if part is None:
            today_weighs = _weight(campaign, shape, start, end)
            part = today_weighs / max(today_weighs + _weight(campaign, shape, end, campaign.ends_at), 1e-9)
            self._parts[key] = part
        return PlannedDay(min(today.budget, round(part * today.budget)), share)

    def hours_left(self, campaign: Campaign, today: Today) -> float:
        """What is left of its day, in average hours of requests."""
        end = today.end if campaign.ends_at is None else min(today.end, campaign.ends_at)
        key = campaign.time_zone, end
        left = self._parts.get(key)
        if left is None:
            hours = hours_between(self._shapes[campaign.time_zone], campaign.time_zone, self._now, end)
            left = self._parts[key] = float(sum(weight for _, weight in hours))
        return left


def _weight(campaign: Campaign, shape: np.ndarray, start: datetime, end: datetime) -> float:
    """Of a span, as the pacing counts it; whole weeks are worth WEEK average hours each."""
    if campaign.pacing == "even":
        return (end - start) / timedelta(hours=1)
    weeks = max(0, (end - start) // timedelta(weeks=1))
    rest = hours_between(shape, campaign.time_zone, start + weeks * timedelta(weeks=1), end)
    return float(WEEK * weeks + sum(weight for _, weight in rest))
