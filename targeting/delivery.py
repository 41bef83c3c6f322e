"""How a campaign is doing: where its money is, what it should have spent by now, and why it does not spend more.

    utilization    posted / min(daily cap, remaining), over the campaign-days it was live on; today, and all days
    pacing target  share of the day's budget that its pacing would have spent by now:  even, what has passed of the
                   day;  traffic, what has passed of the day's requests;  asap, all of it

`delivery` in `campaigns` says whether a campaign is shown. The reasons here say more: since when, which constraint
binds, what would help; and for one that is shown, what keeps it from spending its day's budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from market.clock import account_day, day_bounds, format_rfc3339
from market.money import Money
from market.records import Job
from targeting.campaigns import Campaign, Delivery, DeliveryState, as_of
from targeting.supply import hours_between
from targeting.traffic import HOUR

Constraint = Literal[
    "status",
    "schedule",
    "job",
    "engine",
    "budget_total",
    "budget_daily",
    "bid",
    "audience",
    "frequency_cap",
    "ad_load",
    "competition",
]
HOURS = 48
LOW_SHARE = 0.5  # a bid that wins less than this share of its slates is called low
CAPPED_SHARE = 0.7  # a frequency cap that leaves less than this of the impressions is worth a word


@dataclass(frozen=True)
class DayFigures:
    """Micros of one local day of serving; posted is net of what was credited. clicks: those that were billed."""

    day: str
    cap: int
    posted: int
    reserved: int
    credited: int
    clicks: int


@dataclass(frozen=True)
class HourFigures:
    """Micros posted in one hour (UTC), before credits, and the clicks they were for."""

    hour: datetime
    posted: int
    clicks: int


@dataclass(frozen=True)
class Figures:
    """Micros of one campaign. unbilled: prices of valid clicks that were not billed, late ones included."""

    cap: int
    posted: int
    reserved: int
    unbilled: int
    days: tuple[DayFigures, ...]
    hours: tuple[HourFigures, ...]
    last_posted_at: datetime | None

    @property
    def credited(self) -> int:
        return sum(day.credited for day in self.days)


@dataclass(frozen=True)
class Cause:
    """Why a campaign does not deliver (more). since None: not known."""

    code: str
    detail: str
    since: datetime | None
    binding_constraint: Constraint
    suggested_fix: str


@dataclass(frozen=True)
class Today:
    """The campaign's local day that `now` lies in; micros. budget: min(daily cap, what remained when it began)."""

    day: str
    start: datetime
    end: datetime
    budget: int
    posted: int
    reserved: int

    @property
    def remaining(self) -> int:
        return max(0, self.budget - self.posted - self.reserved)


@dataclass(frozen=True)
class Market:
    """How a shown campaign fares among the requests of the last week. requests in its areas; found: those its job was
    retrieved for; won: share of these that its bid would have won; half_bid: a bid that would win half of them (None:
    none would); a_day: micros it could spend on a day; open_share: left by the frequency cap; full: share of slates
    without an empty slot; filled: slots sold of those asked for."""

    requests: float
    found: float
    won: float
    half_bid: int | None
    a_day: float
    open_share: float
    full: float
    filled: float


@dataclass(frozen=True)
class DeliveryReport:
    """utilization over all live days (None: none yet); planned: micros that the pacing means for today, share of them
    that it would have spent by now."""

    campaign: Campaign
    state: DeliveryState
    causes: tuple[Cause, ...]
    figures: Figures
    today: Today
    utilization: float | None
    planned: int
    share: float
    now: datetime


def today_of(campaign: Campaign, figures: Figures, now: datetime) -> Today:
    """The day as the ledger counts it: a campaign without daily cap may spend all that remains."""
    day = account_day(now, campaign.time_zone)
    start, end = day_bounds(day, campaign.time_zone)
    mine = next((each for each in figures.days if each.day == day.isoformat()), None)
    posted, reserved = (0, 0) if mine is None else (mine.posted, mine.reserved)
    return Today(day.isoformat(), start, end, day_budget(campaign, figures.posted - posted), posted, reserved)


def utilization(campaign: Campaign, figures: Figures, now: datetime) -> float | None:
    """Over all local days from the first one live to today or the last one; None before the first.

    Days are live from starts_at to ends_at; pauses are not subtracted, they show as days without spending.
    """
    current = as_of(campaign, now)
    end = now if campaign.ends_at is None else min(now, campaign.ends_at)
    if current.status in ("draft", "scheduled") or end < campaign.starts_at:
        return None
    by_day = {day.day: day.posted for day in figures.days}
    day, last = (account_day(at, campaign.time_zone) for at in (campaign.starts_at, end))
    if day_bounds(last, campaign.time_zone)[0] == end and last > day:
        last -= timedelta(days=1)  # it ended as this day began
    before = could = 0
    while day <= last:
        first, following = day_bounds(day, campaign.time_zone)
        if first < following:
            could += day_budget(campaign, before)
            before += by_day.get(day.isoformat(), 0)
        day += timedelta(days=1)
    return figures.posted / could if could else None


def pacing_share(campaign: Campaign, today: Today, now: datetime, shape: np.ndarray) -> float:
    """Share of today's budget that the campaign's pacing would have spent by now, between its start and its end.

    shape float64[168]: requests by hour of the week in the campaign's zone, for pacing by traffic.
    """
    start = max(today.start, campaign.starts_at)
    end = today.end if campaign.ends_at is None else min(today.end, campaign.ends_at)
    if now <= start or start >= end:
        return 0.0
    if now >= end or campaign.pacing == "asap":
        return 1.0
    if campaign.pacing == "even":
        return (now - start) / (end - start)
    passed, whole = (
        sum(weight for _, weight in hours_between(shape, campaign.time_zone, start, until)) for until in (now, end)
    )
    return passed / whole if whole > 0 else (now - start) / (end - start)


def all_hours(figures: Figures, now: datetime) -> tuple[HourFigures, ...]:
    """The last HOURS hours, oldest first, those without a posting too."""
    last = now.replace(minute=0, second=0, microsecond=0)
    found = {each.hour: each for each in figures.hours}
    hours = [last - HOUR * back for back in range(HOURS - 1, -1, -1)]
    return tuple(found.get(hour, HourFigures(hour, 0, 0)) for hour in hours)


def causes(
    campaign: Campaign,
    job: Job | None,
    stands: Delivery,
    figures: Figures,
    today: Today,
    market: Market | None,
) -> tuple[Cause, ...]:
    """Why it is not shown, or, when it is, what keeps it from spending; the first is the one to mend first.

    market None: nothing is known of it (the engine is not ready, or the campaign is not shown).
    """
    found = tuple(_known_cause(campaign, job, reason.code, reason.detail, figures, today) for reason in stands.reasons)
    return found if found or market is None else _market_causes(campaign, today, market)


def bid_for_half(share_won: Callable[[int], float], reserve_micros: int, most_micros: int) -> int | None:
    """The least bid, to 1 %, that wins LOW_SHARE of the slates; None when most_micros does not either."""
    low, high = reserve_micros, most_micros
    if share_won(high) < LOW_SHARE:
        return None
    while high > low * 1.01 + 1:
        middle = round((low * high) ** 0.5)
        if share_won(middle) < LOW_SHARE:
            low = middle
        else:
            high = middle
    return high


def day_budget(campaign: Campaign, posted_before: int) -> int:
    """Micros a day may spend that begins when so much has been posted: min(daily cap, what remains)."""
    total, daily = campaign.budget.total.amount_micros, campaign.budget.daily
    left = max(0, total - posted_before)
    return left if daily is None else min(left, daily.amount_micros)


def _known_cause(campaign: Campaign, job: Job | None, code: str, detail: str, figures: Figures, today: Today) -> Cause:
    """A reason of `campaigns.delivery` with what else is known about it."""
    if code == "budget_used_up":
        in_total = figures.posted + figures.reserved >= figures.cap
        waits = figures.posted < figures.cap if in_total else today.posted < today.budget
        held = " Part of it is reserved for items served and not clicked yet, and may come back." if waits else ""
        fix = "Raise budget.total." if in_total else f"Raise budget.daily, or wait until {format_rfc3339(today.end)}."
        said = "Nothing is left of the total budget." if in_total else "Nothing is left of today's budget."
        constraint: Constraint = "budget_total" if in_total else "budget_daily"
        return Cause(code, said + held, figures.last_posted_at, constraint, fix)
    expired = None if job is None else job.expires_at
    known: dict[str, tuple[datetime | None, Constraint, str]] = {
        "draft": (campaign.created_at, "status", "POST to /activate."),
        "paused": (None, "status", "POST to /resume."),
        "cancelled": (None, "status", "Create a new campaign."),
        "completed": (campaign.ends_at, "schedule", "Create a new campaign with a later end."),
        "starts_later": (campaign.created_at, "schedule", "Wait, or change starts_at."),
        "job_expired": (expired, "job", "Upload the job again with a later expires_at."),
        "job_deleted": (None, "job", "Upload the job again, or cancel the campaign."),
        "engine_not_ready": (None, "engine", "Give the service its artefacts; nothing to do for an advertiser."),
    }
    since, binds, fix = known.get(code, (None, "status", "See the detail."))
    return Cause(code, detail, since, binds, fix)


def _market_causes(campaign: Campaign, today: Today, market: Market) -> tuple[Cause, ...]:
    found = []
    if market.requests <= 0:
        if today.posted or today.reserved:
            return ()  # it is being served: traffic counts by whole hours, and the first is not over
        said = "No request for promoted jobs came from the job's area in the last week."
        return (Cause("no_traffic", said, None, "audience", "Check the job's geo, or make the job remote."),)
    if market.found < 0.5:
        said = "Seekers came to the job's area in the last week, but other jobs fitted all of them better."
        return (Cause("audience_too_small", said, None, "audience", "Check the job's occupation, title and geo."),)
    if market.won < LOW_SHARE:
        said = f"Its bid would have won {market.won:.0%} of the slates its job was found for in the last week."
        if market.half_bid is None:
            fix = "Raise bid.max_cpc; no bid that was tried wins half of them."
        else:
            fix = f"A bid of {Money(market.half_bid, campaign.currency)} a click would have won half of them."
        found.append(Cause("bid_low", said, None, "bid", fix))
        if market.full > 0 and market.filled < 0.9 * market.full:
            said = (
                f"Only {market.filled:.0%} of the promoted slots asked for may be filled: ads share a page with jobs."
            )
            found.append(Cause("ad_load", said, None, "ad_load", "Bid more; the share is set by the marketplace."))
    if market.open_share < CAPPED_SHARE:
        said = f"Seekers come back often: only {market.open_share:.0%} of their visits may show the same campaign."
        found.append(Cause("frequency_cap", said, None, "frequency_cap", "Add campaigns for other jobs."))
    if market.a_day < today.budget and market.won >= LOW_SHARE:
        could = Money(round(market.a_day), campaign.currency)
        said = f"With last week's traffic it can spend about {could} a day, less than today's budget."
        fix = "Lower the budget or take a longer span; a wider area or remote work reaches more seekers."
        found.append(Cause("audience_too_small", said, None, "audience", fix))
    return tuple(found)
