"""The audit of the market loop: the same small market, request by request, through what the service runs.

`play_market` is fast because it does the arithmetic of the product without its machinery. Here a visit is a request:
the ledger on disk says who has money (`Journal.closed`) and who was shown enough (`Frequency`), the auction of the
service sells the slots (`targeting.selling.Auction`), tokens are signed, `Journal.reserve` holds their charges, clicks
come in through `Ingestion`, and what was posted is read back from the ledger. Only looking and clicking is the world's.
Money has to agree to the micro, per campaign and day of serving.

So that nothing is rounded on the way, the market has chances that a token's six decimals hold exactly and visits at
whole seconds. Bids are second price, as the service sells.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from market.money import Money
from market.records import Job, Recommendation
from sim.behaviour import hash_uniform
from sim.loop import OrganicLists, Outcome, Pacing, Pairs, Rules, Terms, Traffic, play_market
from sim.loop_kernel import SERVING_TRIES
from targeting.campaigns import Bid, Budget, Campaign, status_at
from targeting.migrations import upgrade
from targeting.pacing.descent import paced_bid
from targeting.selling import RESERVE_MICROS, Auction
from targeting.slate import Sale, beside, merge, position_of, sign_sale
from targeting.storage.database import Database
from targeting.storage.frequency import Frequency
from targeting.storage.ingestion import Event, Ingestion
from targeting.storage.journal import BillingConfig, Journal, Served
from targeting.storage.store import Store
from targeting.tokens import verify

OPENS = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = b"of the audit, signs nothing else"
DAY_SECONDS = 86_400
LISTED = 11  # organic jobs of a seeker: once two are applied to, the ad load allows fewer slots


@dataclass(frozen=True)
class SmallMarket:
    """All that `play_market` takes."""

    pairs: Pairs
    organic: OrganicLists
    traffic: Traffic
    terms: Terms
    rules: Rules
    pacing: Pacing

    def play(self) -> Outcome:
        everybody = np.ones(len(self.pairs.campaign), bool)
        return play_market(self.pairs, everybody, self.organic, self.traffic, self.terms, self.rules, self.pacing)


@dataclass(frozen=True)
class Ledgered:
    """What the ledger says afterwards: by_day int64[days, C] posted, valid int64[C] prices of valid clicks,
    impressions int64[C] items served."""

    by_day: np.ndarray
    valid: np.ndarray
    impressions: np.ndarray


def draw_market(seed: int, visits: int = 300, campaigns: int = 40, seekers: int = 25, days: int = 2) -> SmallMarket:
    """Budgets of a few clicks, so that caps, partial last clicks, refusals and closing campaigns all happen."""
    rng = np.random.default_rng([seed, 53])
    near = np.flatnonzero(rng.random(seekers * campaigns) < 0.6)
    row, campaign = near // campaigns, (near % campaigns).astype(np.int32)
    n = len(near)

    def some(low: float, high: float, shape: int | tuple[int, int] = n) -> np.ndarray:
        return rng.uniform(low, high, shape).astype(np.float32)

    p_click = (rng.integers(1, 17, n) / 64).astype(np.float32)
    pairs = Pairs(
        np.concatenate([[0], np.cumsum(np.bincount(row, minlength=seekers))]),
        campaign, p_click, some(0.1, 1.0), some(-1.5, 1.5), some(0.2, 1.0), some(0, 1),
    )  # fmt: skip
    budget = rng.integers(2, 30, campaigns) * RESERVE_MICROS + rng.integers(0, RESERVE_MICROS, campaigns)
    opens = np.where(rng.random(campaigns) < 0.3, rng.integers(0, DAY_SECONDS, campaigns), 0).astype(np.float64)
    closes = np.where(rng.random(campaigns) < 0.3, rng.integers(DAY_SECONDS, days * DAY_SECONDS, campaigns), 1e9)
    terms = Terms(
        np.arange(campaigns, dtype=np.int32),
        budget,
        -(-budget // days),
        np.minimum(rng.integers(RESERVE_MICROS, 12 * RESERVE_MICROS, campaigns), -(-budget // days)),
        np.full(campaigns, RESERVE_MICROS),
        np.full(campaigns, 3),
        opens,
        closes.astype(np.float64),
    )
    lists = (seekers, LISTED)
    job = np.stack([rng.permutation(campaigns + 20)[:LISTED] for _ in range(seekers)]).astype(np.int32)
    organic = OrganicLists(job, some(-2, 1, lists), some(0.2, 1, lists), some(0, 1, lists))
    second = np.sort(rng.choice(days * DAY_SECONDS // 2, visits, replace=False) * 2).astype(np.float64)
    traffic = Traffic(rng.integers(0, seekers, visits).astype(np.int32), second, np.arange(visits))
    rules = Rules(
        days, (0, 3, 7), 10, np.arange(1, 11) ** -0.3, repeat_effect=-0.25, click_delay_seconds=600.0, seed=seed
    )
    return SmallMarket(pairs, organic, traffic, terms, rules, Pacing(np.full(campaigns, 4e-7)))


def through_the_ledger(market: SmallMarket, folder: Path) -> Ledgered:
    """The market through the service's own code, on a database in `folder`, which has to be empty of one."""
    path = _Requests(market, folder / "audit.sqlite")
    try:
        return path.play()
    finally:
        path.database.close()


def differences(outcome: Outcome, ledgered: Ledgered) -> list[str]:
    """One line for each campaign whose money or impressions are not the same; none when the audit is passed."""
    found = []
    for day, c in zip(*np.nonzero(outcome.by_day != ledgered.by_day), strict=True):
        loop, ledger = outcome.by_day[day, c], ledgered.by_day[day, c]
        found.append(f"campaign {c}, day {day}: {loop} micros posted in the loop, {ledger} in the ledger")
    for name in ("valid", "impressions"):
        loop, ledger = getattr(outcome, name), getattr(ledgered, name)
        found += [f"campaign {c}: {name} {loop[c]} and {ledger[c]}" for c in np.flatnonzero(loop != ledger)]
    return found


def _at(second: float) -> datetime:
    return OPENS + timedelta(seconds=float(second))


class _Requests:
    """The service without HTTP and models, its clock at the visits; who bids, looks and clicks is given."""

    def __init__(self, market: SmallMarket, path: Path) -> None:
        self.market, self.billing = market, BillingConfig()
        self.database = Database(f"sqlite:///{path}")
        upgrade(self.database)
        store = Store(self.database)
        self.jobs = [Job(f"j{job}", "acme", "Nurse", "Acme", "Care", "31080") for job in market.terms.job]
        store.put_jobs(self.jobs)
        self.campaigns = [self._campaign(c) for c in range(len(self.jobs))]
        for each in self.campaigns:
            store.add_campaign(each)
        self.number = {each.campaign_id: c for c, each in enumerate(self.campaigns)}
        self.journal = Journal(self.database, self.billing)
        self.frequency = Frequency(self.database, market.rules.serving, self.billing.grace)
        self.ingestion = Ingestion(self.database, SECRET, self.billing)
        self.shown: dict[tuple[int, int], int] = defaultdict(int)  # (seeker, pair or list rank) -> exposures
        self.clicked: set[int] = set()  # pairs
        self.applied: set[tuple[int, int]] = set()  # (seeker, rank in the organic list)
        self.clicks: list[tuple[float, int, str]] = []  # (second, number, token)
        self.impressions = np.zeros(len(self.jobs), np.int64)
        self.valid = np.zeros(len(self.jobs), np.int64)
        self.nonces = 0

    def _campaign(self, c: int) -> Campaign:
        terms = self.market.terms
        total, daily, most = (Money(int(each[c]), "EUR") for each in (terms.budget, terms.day_budget, terms.max_bid))
        return Campaign(
            f"cmp_{c:03d}", "acme", f"j{terms.job[c]}", "Nurses", Budget(total, daily), Bid("manual", most), "clicks",
            _at(terms.opens[c]), None if terms.closes[c] >= 1e9 else _at(terms.closes[c]), "UTC", "asap", "scheduled",
            1, OPENS,
        )  # fmt: skip

    def play(self) -> Ledgered:
        traffic, rules = self.market.traffic, self.market.rules
        for seeker, second, number in zip(traffic.seeker, traffic.second, traffic.number, strict=True):
            self._take_clicks(second)
            self._visit(int(seeker), float(second), int(number))
        self._take_clicks(math.inf)
        totals = [self.journal.totals(each.campaign_id) for each in self.campaigns]
        days = [(OPENS + timedelta(days=day)).date().isoformat() for day in range(rules.days)]
        by_day = np.array([[each.posted_by_day.get(day, 0) for each in totals] for day in days], np.int64)
        return Ledgered(by_day, self.valid, self.impressions)

    def _take_clicks(self, until: float) -> None:
        while self.clicks and self.clicks[0][0] <= until:
            second, number, token = heapq.heappop(self.clicks)
            outcome = self.ingestion.take([Event(f"e{number}", "click", _at(second), token)], _at(second))[0]
            if outcome.status == "accepted":
                offer = verify(token, SECRET)
                self.valid[self.number[offer.campaign_id]] += offer.price_micros

    def _visit(self, seeker: int, second: float, number: int) -> None:
        """As `Services.slate` and `Marketplace.slate`: made again without whom the ledger refuses, then without ads."""
        rules, organic = self.market.rules, self.market.organic
        ranks = [rank for rank in range(organic.job.shape[1]) if (seeker, rank) not in self.applied]
        listed = [Recommendation(f"j{organic.job[seeker, rank]}", 0.0, ()) for rank in ranks[: rules.page]]
        asked = len(rules.promoted_positions)
        slots = rules.serving.slots(asked, len(listed), rules.page - asked)
        tired = self.frequency.tired(f"s{seeker}", _at(second))
        sales: list[Sale] = []
        for attempt in range(SERVING_TRIES):
            sales = self._sales(seeker, second, slots, tired)
            shown = len(beside(listed, sales, rules.page))
            sales = [self._signed(sale, position_of(slot, shown), second) for slot, sale in enumerate(sales)]
            items = tuple(merge(listed, sales, rules.page)[: rules.page])
            served = Served(f"sla_{number}_{attempt}", f"s{seeker}", items)
            refused = self.journal.reserve(served, _at(second)) if sales else frozenset()
            if not refused:
                break
            tired, sales = tired | refused, []
        items = tuple(merge(listed, sales, rules.page)[: rules.page])
        for place, item in enumerate(items):
            seen = float(rules.exam[place])
            if item.tracking_token is not None and item.campaign_id is not None:
                self._look(seeker, self.number[item.campaign_id], second, number, seen, item.tracking_token)
            else:
                self._look_at_organic(
                    seeker, next(r for r in ranks if f"j{organic.job[seeker, r]}" == item.job_id), number, seen
                )

    def _sales(self, seeker: int, second: float, slots: int, tired: frozenset[str]) -> list[Sale]:
        pairs, terms, now = self.market.pairs, self.market.terms, _at(second)
        running = [
            each for each in self.campaigns if status_at(each.status, each.starts_at, each.ends_at, now) == "active"
        ]
        gone = tired | self.journal.closed(running, now)
        live = {self.number[each.campaign_id] for each in running if each.campaign_id not in gone}
        found = [e for e in range(pairs.start[seeker], pairs.start[seeker + 1]) if pairs.campaign[e] in live]
        found = [e for e in found if e not in self.clicked and self.shown[seeker, e] < self.market.rules.frequency_cap]
        if not found:
            return []
        of = pairs.campaign[found]
        price = self.market.pacing.start_price
        bid = [
            paced_bid(float(pairs.value_per_click[e]), price[c], terms.max_bid[c])
            for e, c in zip(found, of, strict=True)
        ]
        auction = Auction.of(np.array(bid, np.int64), pairs.p_click[found].astype(np.float64), slots)
        return [
            Sale(self.jobs[of[won]], self.campaigns[of[won]], int(paid), float(auction.p_click[won]), 0.0, ())
            for won, paid in zip(auction.winner[: auction.sold], auction.price, strict=False)
        ]

    def _signed(self, sale: Sale, position: int, second: float) -> Sale:
        self.nonces += 1
        return sign_sale(sale, position, SECRET, _at(second), f"n{self.nonces}")

    def _look(self, seeker: int, c: int, second: float, number: int, seen: float, token: str) -> None:
        pairs, rules, job = self.market.pairs, self.market.rules, int(self.market.terms.job[c])
        low, high = pairs.start[seeker], pairs.start[seeker + 1]
        e = int(low + np.flatnonzero(pairs.campaign[low:high] == c)[0])
        before = self.shown[seeker, e]
        self.shown[seeker, e] += 1
        self.impressions[c] += 1
        chance = seen / (1 + math.exp(-(float(pairs.click_logit[e]) + rules.repeat_effect * before)))
        if hash_uniform(number, job, rules.seed) < chance:
            self.clicked.add(e)
            wait = -rules.click_delay_seconds * math.log(1 - hash_uniform(number, job, rules.seed + 1))
            heapq.heappush(self.clicks, (second + wait, len(self.clicked), token))

    def _look_at_organic(self, seeker: int, rank: int, number: int, seen: float) -> None:
        organic, rules, job = self.market.organic, self.market.rules, int(self.market.organic.job[seeker, rank])
        before = self.shown[seeker, -1 - rank]
        self.shown[seeker, -1 - rank] += 1
        chance = seen / (1 + math.exp(-(float(organic.click_logit[seeker, rank]) + rules.repeat_effect * before)))
        clicks = hash_uniform(number, job, rules.seed) < chance
        if clicks and hash_uniform(number, job, rules.seed + 2) < organic.p_apply[seeker, rank]:
            self.applied.add((seeker, rank))
