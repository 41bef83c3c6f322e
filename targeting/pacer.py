"""Runs the controller on the live campaigns: every minute a step, every few hours a plan, prices for the slates.

    tick, every few seconds in every worker
        takes the minute's turn     -> reads ledger and prices, steps them, stores and shows them
        somebody else took it       -> shows the prices that are stored
        takes the plan's turn       -> solves the plan in a thread of its own; refused plans change nothing

Slates only ever read the board. Where anything here fails they go on with the prices they have; a plan or a minute that
was lost is made up for by the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import structlog

from market.clock import Clock, account_day, day_bounds
from market.errors import PlanError
from market.records import Job
from targeting.campaigns import Campaign
from targeting.delivery import Today, day_budget
from targeting.engine import Engine
from targeting.ledger import KAPPA
from targeting.pacing.acceptance import refusal
from targeting.pacing.controller import Paced, PacingConfig, Reading, Span, advance, begun, shown, span_of
from targeting.pacing.market_plan import Entry, MarketPlan, market_plan, traffic_of
from targeting.pacing.planned_day import DayPlanner
from targeting.pacing.prices import Pool, Price, PriceBoard, pool_of, worth
from targeting.pacing.said import said
from targeting.plan import solve
from targeting.prospects import Prospects
from targeting.storage.pacing_store import Funds, PacingStore, Stored
from targeting.storage.track_record import TrackRecords
from targeting.storage.traffic_store import TrafficStore
from targeting.supply import fit_shape

log = structlog.get_logger()

Running = Sequence[tuple[Campaign, Job]]
LEAST_REQUESTS = 100  # of the history: on fewer nothing is planned
NEW_A_MINUTE = 500  # campaigns that get their first price in one step; the others have the prior until the next
KEPT = timedelta(days=2)  # a price that was not stepped for so long is dropped
TRUST = 20.0  # clicks that a click rate of 1 is worth, as in forecasts


class Pacer:
    """One per worker process. `tick` is a housekeeping task."""

    def __init__(
        self,
        store: PacingStore,
        board: PriceBoard,
        clock: Clock,
        running: Callable[[], Running],
        engine: Callable[[], Engine],
        traffic: TrafficStore,
        track: TrackRecords,
        kappa: float = KAPPA,
        config: PacingConfig = PacingConfig(),
        planned: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        """running: campaigns that may be shown now, with their jobs; kappa: that of the reserves; planned: told
        "accepted", "refused" or "failed" after each plan."""
        self._store, self.board, self._clock, self._running, self._engine = store, board, clock, running, engine
        self._traffic, self._track, self._kappa, self.config = traffic, track, kappa, config
        self._planned = planned
        self._shown, self._look_again = -1, False
        self._shapes: dict[str, tuple[datetime, np.ndarray]] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False

    def tick(self) -> None:
        """What is due now; safe beside the ticks of other processes."""
        now, running = self._clock.now(), self._running()
        minute = int(now.timestamp()) // 60
        if self._store.take("minute", minute):
            self._step(now, running)
            self._shown = minute
        else:
            self._follow(now, running)
        turn = int(now.timestamp() // self.config.replan_seconds)
        planning = self._thread is not None and self._thread.is_alive()
        if not planning and not self._stopping and running and self._store.take("plan", turn):
            self._thread = threading.Thread(target=self._try_plan, args=(now, running), name="plan", daemon=True)
            self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Until the plan that is being made is done, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def stop(self, seconds: float) -> None:
        """No plan is begun any more; waits for one that is being made."""
        self._stopping = True
        self.wait(seconds)

    def minutes_behind(self) -> float:
        """Minutes since prices were last moved by anybody."""
        return int(self._clock.now().timestamp()) // 60 - self._store.turn("minute")

    def planner(self, now: datetime, zones: set[str]) -> DayPlanner:
        """Plans of the day by the traffic of the last weeks."""
        return DayPlanner(now, {zone: self._shape(zone, now) for zone in zones})

    def _step(self, now: datetime, running: Running) -> None:
        stored = self._store.read()
        readings = self._readings(now, [campaign for campaign, _ in running])
        states: dict[str, Paced] = {}
        mixed: dict[str, float] = {}
        for campaign, _ in running:
            name = campaign.campaign_id
            before = stored.get(name)
            if before is not None:
                states[name] = advance(before.state, readings[name], now, self.config, before.plan_price)
                if before.plan_price is not None:
                    mixed[name] = before.plan_price
        self._store.save(states, mixed)
        new = self._begin(now, running, stored, readings)
        self._show(running, {name: Stored(state, None, None) for name, state in (states | new).items()})

    def _begin(
        self, now: datetime, running: Running, stored: Mapping[str, Stored], readings: Mapping[str, Reading]
    ) -> dict[str, Paced]:
        """First prices of the campaigns that are not stored, as many as one turn can do."""
        priors = _priors({each.campaign_id: each for each, _ in running}, stored)
        new = [(campaign, job) for campaign, job in running if campaign.campaign_id not in stored][:NEW_A_MINUTE]
        states = {}
        for campaign, job in new:
            span = _span(campaign, self._engine().prospects(campaign, job))
            prior = priors.get(pool_of(campaign))
            states[campaign.campaign_id] = begun(span, prior, readings[campaign.campaign_id], now)
        self._store.begin(states)
        return states

    def _follow(self, now: datetime, running: Running) -> None:
        """Show what another worker has stored, twice a turn, since it takes the turn before it stores; and begin with
        campaigns that are new: they do not wait for the minute."""
        turn = self._store.turn("minute")
        known = self.board.known()
        unknown = [each for each, _ in running if each.campaign_id not in known]
        if turn == self._shown and not self._look_again and not unknown:
            return
        self._look_again = turn != self._shown
        self._shown = turn
        stored = self._store.read()
        if unknown:
            begun_now = self._begin(now, running, stored, self._readings(now, unknown_of(running, stored)))
            stored |= {name: Stored(state, None, None) for name, state in begun_now.items()}
        self._show(running, stored)

    def _show(self, running: Running, stored: Mapping[str, Stored]) -> None:
        campaigns = {each.campaign_id: each for each, _ in running}
        prices = {
            name: Price(shown(stored[name].state, self.config), stored[name].state.cpa)
            for name in campaigns
            if name in stored
        }
        self.board.put(prices, _middles(campaigns, prices))

    def _readings(self, now: datetime, campaigns: Sequence[Campaign]) -> dict[str, Reading]:
        funds, today = self.todays(now, campaigns)
        planner = self.planner(now, {each.time_zone for each in campaigns})
        targets = {
            each.campaign_id: today[each.campaign_id].day for each in campaigns if each.bid.target_cpa is not None
        }
        clicks = self._store.cost_and_value(targets) if targets else {}
        found = {}
        for each in campaigns:
            name, target = each.campaign_id, each.bid.target_cpa
            day = planner.of(each, today[name])
            spent = funds[name].day_posted + funds[name].day_reserved / self._kappa
            cost, value = clicks.get(name, (0.0, 0.0))
            goal = None if target is None else target.amount_micros
            found[name] = Reading(today[name].day, day.budget, spent, day.share, goal, cost, value)
        return found

    def todays(self, now: datetime, campaigns: Sequence[Campaign]) -> tuple[dict[str, Funds], dict[str, Today]]:
        """By campaign id, from one reading of the ledger."""
        days = {zone: account_day(now, zone) for zone in {each.time_zone for each in campaigns}}
        bounds = {zone: day_bounds(day, zone) for zone, day in days.items()}
        funds = self._store.funds({each.campaign_id: days[each.time_zone].isoformat() for each in campaigns})
        today = {}
        for each in campaigns:
            mine, (start, end) = funds[each.campaign_id], bounds[each.time_zone]
            budget = day_budget(each, mine.posted - mine.day_posted)
            day = days[each.time_zone].isoformat()
            today[each.campaign_id] = Today(day, start, end, budget, mine.day_posted, mine.day_reserved)
        return funds, today

    def _try_plan(self, now: datetime, running: Running) -> None:
        try:
            why = self._plan(now, running)
            if why is not None:
                log.warning("plan refused, the last prices stay", why=why)
            self._planned("accepted" if why is None else "refused")
        except Exception as error:
            log.error("no plan, the last prices stay", error=type(error).__name__)
            self._planned("failed")

    def _plan(self, now: datetime, running: Running) -> str | None:
        """Plan what is left of everybody's day and store it; or why not."""
        began = time.perf_counter()
        try:
            entries, market = self.market(now, running)
        except PlanError as error:
            return str(error)
        plan = solve(market.problem, self.config.solve_seconds)
        why = refusal(plan)
        if why is not None:
            return why
        prices, told = said(entries, market, plan, now, self.config.explained)
        spans = {each.campaign.campaign_id: _span(each.campaign, each.prospects) for each in entries}
        self._store.put_plan(prices, told, spans)
        self._store.forget(now - KEPT)
        log.info(
            "market planned",
            campaigns=len(entries),
            pairs=len(market.problem.value),
            bound_by_budget=int((plan.budget_price > 0).sum()),
            gap=f"{plan.gap:.2e}",
            solver=plan.solver,
            seconds=round(time.perf_counter() - began, 2),
        )
        return None

    def market(self, now: datetime, running: Running) -> tuple[list[Entry], MarketPlan]:
        """What there is to plan: what is left of everybody's day. PlanError without campaigns or traffic."""
        history = self._traffic.history(now)
        if history.total < LEAST_REQUESTS:
            raise PlanError(f"{history.total} requests were counted so far; at least {LEAST_REQUESTS} are needed")
        if not running:
            raise PlanError("no campaign runs now; activate one")
        prospects = [self._engine().prospects(campaign, job) for campaign, job in running]
        readings = self._readings(now, [campaign for campaign, _ in running])
        _, today = self.todays(now, [campaign for campaign, _ in running])
        planner = self.planner(now, {campaign.time_zone for campaign, _ in running})
        entries = []
        for (campaign, job), found in zip(running, prospects, strict=True):
            name = campaign.campaign_id
            left = max(0.0, readings[name].budget - readings[name].spent)
            entries.append(Entry(campaign, job, found, left, planner.hours_left(campaign, today[name])))
        recent = self._traffic.read(now, 1)
        sections = prospects[0].section_of
        record = self._track.latest(now)
        traffic = traffic_of(history, recent, sections, record, TRUST, self.config.shrinkage)
        return entries, market_plan(entries, traffic, self.config.segments)

    def _shape(self, zone: str, now: datetime) -> np.ndarray:
        """float64[168]: requests by hour of the week in the zone, at most an hour old."""
        at, shape = self._shapes.get(zone, (None, None))
        if at is None or shape is None or not timedelta(0) <= now - at < timedelta(hours=1):
            shape = fit_shape(self._traffic.history(now), zone)[0]
            self._shapes[zone] = now, shape
        return shape


def _span(campaign: Campaign, found: Prospects) -> Span:
    each = np.array([worth(campaign, value) for value in found.value.tolist()])
    return span_of(each, found.retrieved * found.p_click, found.bid_micros, found.reserve_micros)


def unknown_of(running: Running, stored: Mapping[str, Stored]) -> list[Campaign]:
    """The campaigns that have no price in the store."""
    return [campaign for campaign, _ in running if campaign.campaign_id not in stored]


def _priors(campaigns: Mapping[str, Campaign], stored: Mapping[str, Stored]) -> dict[Pool, float]:
    """The median price in each pool as a share of the highest, of planned campaigns whose money is a constraint."""
    by_pool: dict[Pool, list[float]] = {}
    for name, found in stored.items():
        state = found.state
        if name in campaigns and state.planned and state.price > state.lowest * (1 + 1e-9):
            by_pool.setdefault(pool_of(campaigns[name]), []).append(state.price / state.highest)
    return {pool: float(np.median(shares)) for pool, shares in by_pool.items()}


def _middles(campaigns: Mapping[str, Campaign], prices: Mapping[str, Price]) -> dict[Pool, float]:
    """The median price in each pool: what a campaign bids by in the seconds before it has a price of its own."""
    by_pool: dict[Pool, list[float]] = {}
    for name, price in prices.items():
        if np.isfinite(price.money):
            by_pool.setdefault(pool_of(campaigns[name]), []).append(price.money)
    return {pool: float(np.median(found)) for pool, found in by_pool.items()}
