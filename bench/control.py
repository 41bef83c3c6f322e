"""The controller of the service: the step of a minute and a plan of the market, by the number of campaigns.

A store on SQLite with that many live campaigns that have served today, beside an engine that answers from memory: what
an engine takes to say what a campaign may expect, once a plan, comes on top and is not timed here. CPU
seconds of one thread, and seconds on the clock, which contain the waits for the disk.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from market.clock import FixedClock
from market.money import Money
from market.records import Job
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import NoEngine
from targeting.migrations import upgrade
from targeting.pacer import Pacer
from targeting.pacing.controller import PacingConfig
from targeting.pacing.prices import PriceBoard
from targeting.prospects import Prospects
from targeting.storage.database import Database
from targeting.storage.ledger_tables import BalanceRow, DayBalanceRow
from targeting.storage.pacing_store import PacingStore
from targeting.storage.store import Store, _columns
from targeting.storage.tables import CampaignRow
from targeting.storage.track_record import TrackRecords
from targeting.storage.traffic_store import TrafficStore
from targeting.traffic import Counts

SIZES = (1_000, 10_000)
OCCUPATIONS, AREAS, MINUTES = 300, 20, 3
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CODES = (*(f"o{number}" for number in range(OCCUPATIONS)), "")


class QuickEngine(NoEngine):
    """Each campaign has one of fifty audiences: twenty to sixty occupations that click and apply at their own rates."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__("none")
        self._found = []
        for _ in range(50):
            near = rng.random(len(CODES)) < rng.uniform(0.07, 0.2)
            chance, value = rng.lognormal(-3.5, 0.5, len(CODES)), rng.lognormal(-2.5, 0.7, len(CODES))
            rates = near * 1.0, chance, np.minimum(value * 2, 1.0)
            self._found.append(Prospects(CODES, *rates, 800_000, 100_000, {}, np.minimum(value, 1.0)))

    def prospects(self, campaign: Campaign, job: Job) -> Prospects:
        return self._found[int(campaign.campaign_id[-6:]) % len(self._found)]


def run(data: Path | None) -> dict[str, Any]:
    return {"rows": [_measured(size) for size in SIZES]}


def _measured(campaigns: int) -> dict[str, Any]:
    rng, clock = np.random.default_rng(campaigns), FixedClock(NOW)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/bench.sqlite")
        upgrade(database)
        running = _filled(Store(database), campaigns, rng)
        outcomes: list[str] = []
        engine = QuickEngine(rng)
        pacer = Pacer(
            PacingStore(database),
            PriceBoard(),
            clock,
            lambda: running,
            lambda: engine,
            TrafficStore(database),
            TrackRecords(database, 2.0, 2, 6),
            config=PacingConfig(replan_seconds=10**9),
            planned=outcomes.append,
        )
        while len(pacer._store.read()) < campaigns:  # all of them get a first price
            pacer._step(clock.now(), running)
            clock.advance(timedelta(minutes=1))
        steps = []
        for _ in range(MINUTES):
            clock.advance(timedelta(minutes=1))
            steps.append(_timed(lambda: pacer._step(clock.now(), running)))
        plan = _timed(lambda: pacer._try_plan(clock.now(), running))
        stored = pacer._store.read().values()
        database.close()
    return {
        "campaigns": campaigns,
        "step_cpu": float(np.median([cpu for cpu, _ in steps])),
        "step_wall": float(np.median([wall for _, wall in steps])),
        "plan_cpu": plan[0],
        "plan_wall": plan[1],
        "outcomes": outcomes,
        "bound": sum((found.plan_price or 0) > 0 for found in stored),
        "explained": sum("code" in (found.plan or {}) for found in stored),
    }


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _filled(store: Store, campaigns: int, rng: np.random.Generator) -> tuple[tuple[Campaign, Job], ...]:
    """Live campaigns with a third of the day's budget spent, and four weeks of traffic."""
    areas = [f"a{number}" for number in range(AREAS)]
    jobs = [Job(f"j{at}", "acme", "t", "c", "", areas[at % AREAS]) for at in range(campaigns)]
    store.put_jobs(jobs)
    first = Campaign(
        "", "acme", "", "n", Budget(Money(10**9, "EUR")), Bid("auto"), "qualified_applications",
        NOW - timedelta(days=9), None, "UTC", "even", "active", 1, NOW,
    )  # fmt: skip
    daily = (rng.lognormal(-0.3, 1.0, campaigns) * 1e6).astype(int) + 10_000
    made = [
        replace(
            first,
            campaign_id=f"cmp_{at:06}",
            job_id=f"j{at}",
            budget=Budget(Money(10**9, "EUR"), Money(min(int(daily[at]), 10**9), "EUR")),
        )
        for at in range(campaigns)
    ]
    spent = [
        {"posted_micros": each.budget.daily.amount_micros // 3, "reserved_micros": 0}
        for each in made
        if each.budget.daily
    ]
    with store.database.writing() as session:
        session.execute(insert(CampaignRow), [_columns(each) for each in made])
        keys = [{"campaign_id": each.campaign_id, "cap_micros": 10**9} for each in made]
        session.execute(insert(BalanceRow), [key | money for key, money in zip(keys, spent, strict=True)])
        day = {"day": NOW.date().isoformat()}
        session.execute(insert(DayBalanceRow), [key | day | money for key, money in zip(keys, spent, strict=True)])
    counts, hour = Counts(), int(NOW.timestamp()) // 3600
    for back in range(1, 24 * 28 + 1):
        for _ in range(60):
            cell = hour - back, CODES[int(rng.integers(OCCUPATIONS))], areas[int(rng.integers(AREAS))]
            requests = int(rng.poisson(campaigns / 10)) + 1
            counts.cells[cell] = [requests, 2 * requests, 2 * requests]
    for day_back in range(28):
        for code in CODES[:-1]:
            counts.prices[hour // 24 - day_back, code, 52 + int(rng.integers(8))] = (
                40  # bars of 8 to 30 thousand micros
            )
    TrafficStore(store.database).add(counts)
    return tuple(zip(made, jobs, strict=True))


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [
        ["campaigns", "step: CPU s", "on the clock", "plan: CPU s", "on the clock", "accepted", "bound", "explained"]
    ]
    for row in result["rows"]:
        seconds = [f"{row[name]:.2f}" for name in ("step_cpu", "step_wall", "plan_cpu", "plan_wall")]
        table.append(
            [f"{row['campaigns']:,}", *seconds, str(row["outcomes"]), str(row["bound"]), str(row["explained"])]
        )
    return table
