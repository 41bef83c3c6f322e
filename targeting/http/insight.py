"""Forecasts and delivery reports put together: what is stored, what the engine says, and the pure rules on both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from market.clock import account_day
from market.records import Job
from organic.question import Note
from targeting.campaigns import Campaign, delivery
from targeting.delivery import (
    HOURS,
    DeliveryReport,
    Figures,
    Market,
    Today,
    bid_for_half,
    causes,
    today_of,
    utilization,
)
from targeting.engine import Engine
from targeting.forecast import (
    ForecastConfig,
    Scenario,
    Terms,
    TrackRecord,
    bar_shares,
    chances,
    forecast,
    horizon_end,
    win_chances,
)
from targeting.http.config import ServiceConfig
from targeting.pacing.planned_day import DayPlanner
from targeting.pacing.told import ShadowPrice, held_back, shadow_price
from targeting.storage.database import Database
from targeting.storage.delivery_store import DeliveryStore
from targeting.storage.pacing_store import PacingStore
from targeting.storage.track_record import TrackRecords
from targeting.storage.traffic_store import TrafficStore
from targeting.supply import Supply, fit_supply
from targeting.traffic import UNKNOWN, History

if TYPE_CHECKING:
    from targeting.prospects import Prospects

WEEK_DAYS = 7
MOST_TIMES = 100  # a bid that would win is looked for up to so many times the bid
FEW_CLICKS = 20


@dataclass(frozen=True)
class Outlook:
    """A forecast and what it rests on; scenarios in the order of `forecast.FACTORS`."""

    terms: Terms
    days: float
    requests: int
    expected_requests: float
    slates: int
    track: TrackRecord
    scenarios: tuple[Scenario, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Insight:
    """What forecasts and delivery reports read."""

    traffic: TrafficStore
    track: TrackRecords
    ledger: DeliveryStore
    pacing: PacingStore
    config: ForecastConfig

    def outlook(self, draft: Campaign, job: Job, prospects: Prospects, now: datetime, seed: int) -> Outlook:
        """The forecast of a draft. Nothing is stored; the same draft on the same data has the same answer."""
        history, track = self.traffic.history(now), self.track.latest(now)
        start = max(now, draft.starts_at)
        end, cut = horizon_end(start, (draft.ends_at, job.expires_at), self.config.most_days)
        daily = draft.budget.daily
        terms = Terms(
            draft.budget.total.amount_micros,
            None if daily is None else daily.amount_micros,
            start,
            max(start, end),
            draft.time_zone,
        )
        supply = fit_supply(history, draft.time_zone, in_reach(job), prospects.section_of)
        found = chances(supply, prospects, history.prices, track.open_share)
        scenarios = forecast(supply, found, track, terms, seed, self.config)
        expected = supply.total / supply.hours * supply.weight(start, terms.end) if supply.hours else 0.0
        slates = sum(sum(levels.values()) for levels in history.prices.values())
        shown = float((supply.mean * found.shown).sum())
        said = _notes(draft, job, prospects, supply, track, self.config, cut=cut, slates=slates, shown=shown)
        days = len(history.requests) / 24
        return Outlook(terms, days, int(supply.seen.sum()), expected, slates, track, scenarios, said)

    def report(
        self, campaign: Campaign, job: Job | None, engine: Engine, out_of_money: bool, now: datetime
    ) -> tuple[DeliveryReport, ShadowPrice | None]:
        """How the campaign is doing, and what its money is worth (None: not priced yet); job None: deleted."""
        stands = delivery(campaign, job, now, engine.ready(), out_of_money)
        figures = self.figures(campaign, now)
        today, market = today_of(campaign, figures, now), None
        if job is not None and stands.state == "delivering":
            market = self.market(campaign, job, engine.prospects(campaign, job), today, now)
        why = causes(campaign, job, stands, figures, today, market)
        day = DayPlanner(now, {campaign.time_zone: self.shape(campaign, now)}).of(campaign, today)
        stored = self.pacing.plan_of(campaign.campaign_id)
        if stored is not None and stands.state == "delivering":
            cause = held_back(campaign, today, day, stored.plan)
            why = why if cause is None else (cause, *why)
        price = None if stored is None else shadow_price(campaign, stored.state, day)
        overall = utilization(campaign, figures, now)
        report = DeliveryReport(campaign, stands.state, why, figures, today, overall, day.budget, day.share, now)
        return report, price

    def figures(self, campaign: Campaign, now: datetime) -> Figures:
        since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
        day = account_day(since - timedelta(hours=1), campaign.time_zone).isoformat()
        return self.ledger.figures(campaign.campaign_id, since, day)

    def shape(self, campaign: Campaign, now: datetime) -> np.ndarray:
        """float64[168]: requests by hour of the week in the campaign's zone."""
        return fit_supply(self.traffic.history(now), campaign.time_zone, lambda _: True).shape

    def market(self, campaign: Campaign, job: Job, prospects: Prospects, today: Today, now: datetime) -> Market:
        """How the campaign fares among the requests of the last week."""
        history, track = self.traffic.history(now, WEEK_DAYS), self.track.latest(now)
        supply = fit_supply(history, campaign.time_zone, in_reach(job), prospects.section_of)
        found = chances(supply, prospects, history.prices, track.open_share)
        retrieved = supply.seen * _retrieved(supply, prospects)
        share_won = _share_won(supply, prospects, found.p_click, retrieved, history)
        bid = prospects.bid_micros
        rate = (track.clicks + self.config.trust) / (track.expected_clicks + self.config.trust)
        earned = float((supply.seen * found.shown * found.p_click * found.price).sum()) * rate
        full = 1.0 - float(bar_shares(("",), history.prices)[0, 0]) if history.prices else 0.0
        return Market(
            requests=float(supply.seen.sum()),
            found=float(retrieved.sum()),
            won=share_won(bid),
            half_bid=bid_for_half(share_won, prospects.reserve_micros, MOST_TIMES * max(bid, prospects.reserve_micros)),
            a_day=earned * 24 / supply.hours * _days(today) if supply.hours else 0.0,
            open_share=track.open_share,
            full=full,
            filled=history.sold / history.slots if history.slots else 0.0,
        )


def in_reach(job: Job) -> Callable[[str], bool]:
    """May a seeker who looks in this area see the job? Who names none may see all."""
    return lambda area: job.remote or area in (UNKNOWN, job.geo.strip())


def requests_shown(requests: int, floor: int) -> int | None:
    """Two significant digits; None below the floor, as numbers of people are told."""
    return None if requests < floor else int(float(f"{requests:.2g}"))


def _retrieved(supply: Supply, prospects: Prospects) -> np.ndarray:
    place = {code: at for at, code in enumerate(prospects.occupations)}
    at = np.array([place.get(code, -1) for code in supply.occupations], np.int64)
    return np.asarray(prospects.retrieved[at])


def _share_won(
    supply: Supply, prospects: Prospects, p_click: np.ndarray, retrieved: np.ndarray, history: History
) -> Callable[[int], float]:
    """bid in micros -> share of the slates its job was retrieved for that it would have won."""

    def share(bid_micros: int) -> float:
        wins = win_chances(supply.occupations, p_click, bid_micros, prospects.reserve_micros, history.prices)
        return float((retrieved * wins.won).sum() / max(retrieved.sum(), 1e-300))

    return share


def _days(today: Today) -> float:
    return (today.end - today.start) / timedelta(days=1)


def _notes(
    draft: Campaign,
    job: Job,
    prospects: Prospects,
    supply: Supply,
    track: TrackRecord,
    config: ForecastConfig,
    *,
    cut: bool,
    slates: int,
    shown: float,
) -> tuple[Note, ...]:
    found = []
    if supply.seen.sum() < config.little_requests:
        found.append(Note("little_traffic", "Hardly any request came from the job's area yet; expect other numbers."))
    elif prospects.bid_micros < prospects.reserve_micros:
        found.append(Note("bid_below_reserve", "The bid is below the lowest price of a click; raise bid.max_cpc."))
    elif math.isclose(shown, 0.0, abs_tol=1e-9):
        found.append(Note("no_audience", "Other promoted jobs fit the seekers of the job's area better."))
    if not slates:
        found.append(Note("no_prices", "No prices were recorded yet: slots count as free at the lowest price."))
    if track.clicks < FEW_CLICKS:
        found.append(Note("few_clicks", "Click rates are those of the model; hardly any click could check them yet."))
    if cut:
        until = "has no end" if draft.ends_at is None else "ends later"
        found.append(Note("horizon_limited", f"The campaign {until}; this is of its first {config.most_days} days."))
    if job.expires_at is not None and (draft.ends_at is None or job.expires_at < draft.ends_at):
        found.append(Note("job_expires", "The job expires before the campaign ends; nothing is counted after that."))
    if draft.pacing != "asap":
        found.append(Note("pacing_not_modelled", "The forecast spends as fast as the budgets allow."))
    return tuple(found)


def insight_of(database: Database, config: ServiceConfig) -> Insight:
    """What forecasts and delivery reports read, on the settings of the service."""
    serving = config.serving
    return Insight(
        TrafficStore(database, config.traffic),
        TrackRecords(database, config.billing.kappa, serving.per_hour, serving.per_day),
        DeliveryStore(database),
        PacingStore(database),
        config.forecast,
    )
