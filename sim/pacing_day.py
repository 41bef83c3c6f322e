"""One day of one market under one pacing policy.

The loop owns visits and clicks. Scores, prices, reserves and charges are the product's own functions
(`targeting.pacing`, `targeting.ledger`): an impression reserves kappa times its expected charge until its outcome is
reported; a click is billed min(price, what is left), so nothing is ever overspent. What is not billed of a click's
price is unbilled delivery, and its value does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from market.compiled import njit
from sim.pacing_bound import median_value
from sim.pacing_market import HOURS, MINUTES, PacingMarket, Visits
from targeting.ledger import free_micros, postable, reservation
from targeting.pacing.lookahead import LookaheadConfig, due_until, look, steered, supply_ratio
from targeting.pacing.policies import PacingPolicy, advance, first_price, score

FLOOR_SHARE = 1e-3  # of the median value per micro


@dataclass(frozen=True)
class Forecast:
    """What is known before the day: prices of the plan, and a day of logged visits like those to come."""

    price: np.ndarray
    visits: Visits


@dataclass(frozen=True)
class Day:
    """posted int64[C, 1441] micros by the minute a click was reported (the last column: after midnight), served
    int64[C, 1440] the same micros by the minute of the impression; unbilled int64[C] micros.

    billed_value: expected value of what was shown, less that of clicks as far as they were not billed.
    """

    posted: np.ndarray
    served: np.ndarray
    unbilled: np.ndarray
    impressions: int
    billed_value: float


def run_day(
    market: PacingMarket,
    visits: Visits,
    forecast: Forecast,
    policy: PacingPolicy,
    delay_minutes: int,
    ahead: LookaheadConfig = LookaheadConfig(),
    seed: int = 0,
) -> Day:
    """Play the day. The policy knows the forecast and what has happened so far, never the visits to come."""
    median = float(median_value(market)[0])
    before = forecast.price if policy.planned else np.full(len(market.budget), median)
    floor = FLOOR_SHARE * median
    price = np.array([first_price(policy.kind, each) for each in np.maximum(before, floor)])
    state = _State.new(market, len(visits), price)
    draws = np.random.default_rng(seed).random(1 << 16)
    expected = np.concatenate([np.zeros((len(market.rate), 1)), np.cumsum(market.rate, 1)], 1)
    first = np.searchsorted(visits.minute, np.arange(MINUTES + 1))
    step = ahead.minutes if policy.name == "lookahead" else MINUTES
    for minute in range(0, MINUTES, step):
        if policy.name == "lookahead":
            seen = np.bincount(visits.segment[: first[minute]], minlength=len(market.rate)).astype(np.float64)
            ratio = supply_ratio(seen, expected[:, minute], ahead.shrinkage)
            _steer(market, forecast.visits, minute, ratio, ahead, state, floor)
        _play(
            market.start,
            market.campaign,
            market.p_click,
            market.value,
            market.cost,
            market.price,
            market.budget,
            market.share,
            visits.segment,
            visits.minute,
            visits.draw,
            visits.noise,
            first,
            minute,
            min(MINUTES, minute + step),
            policy.kind,
            policy.gain,
            policy.kappa,
            policy.deviations,
            policy.least_click,
            delay_minutes,
            floor,
            draws,
            *state.arrays,
        )
    _settle_until(MINUTES + delay_minutes, MINUTES, delay_minutes, market.price, market.budget, *state.ledger)
    return Day(state.posted, state.served, state.unbilled, int(state.queued[1]), float(state.value[0]))


@dataclass(frozen=True)
class _State:
    """What a day has come to; arrays that the compiled loop writes. queued: [first open, next free] of the queue."""

    price: np.ndarray
    spent_before: np.ndarray
    share_before: np.ndarray
    integral: np.ndarray
    error: np.ndarray
    posted: np.ndarray
    served: np.ndarray
    billed: np.ndarray
    unbilled: np.ndarray
    reserved: np.ndarray
    pending: np.ndarray
    value: np.ndarray
    queued: np.ndarray
    due: np.ndarray
    of_campaign: np.ndarray
    held: np.ndarray
    charge: np.ndarray
    worth: np.ndarray

    @classmethod
    def new(cls, market: PacingMarket, visits: int, price: np.ndarray) -> _State:
        campaigns = len(market.budget)
        floats = [np.zeros(campaigns) for _ in range(4)]
        money = [np.zeros(campaigns, np.int64) for _ in range(3)]
        return cls(
            price.copy(),
            *floats,
            np.zeros((campaigns, MINUTES + 1), np.int64),
            np.zeros((campaigns, MINUTES), np.int64),
            *money,
            np.zeros(campaigns),
            np.zeros(1),
            np.zeros(2, np.int64),
            np.empty(visits, np.int32),
            np.empty(visits, np.int32),
            np.empty(visits, np.int64),
            np.empty(visits),
            np.empty(visits),
        )

    @property
    def ledger(self) -> tuple[np.ndarray, ...]:
        return (
            self.posted,
            self.served,
            self.billed,
            self.unbilled,
            self.reserved,
            self.pending,
            self.value,
            self.queued,
            self.due,
            self.of_campaign,
            self.held,
            self.charge,
            self.worth,
        )

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.price, self.spent_before, self.share_before, self.integral, self.error, *self.ledger


def _steer(
    market: PacingMarket,
    logged: Visits,
    minute: int,
    ratio: np.ndarray,
    ahead: LookaheadConfig,
    state: _State,
    floor: float,
) -> None:
    """One step of the prices on samples of the logged visits after this minute, as many as today's traffic says."""
    left = np.maximum(1.0, market.budget - state.billed - state.pending)
    near = min(MINUTES, minute + ahead.near_minutes)
    move = np.zeros(len(left))
    for until, step in ((MINUTES, ahead.step), (near, ahead.near_step)):
        if step == 0.0:
            continue
        begin, end = np.searchsorted(logged.minute, (minute, until)).tolist()
        every = max(1, (end - begin) // ahead.visits)
        chosen = slice(begin + (minute // ahead.minutes) % every, end, every)
        segment = logged.segment[chosen]
        if len(segment) < len(ratio):
            return  # the day is over but for a few visits
        spend = np.zeros((len(left), HOURS))
        look(
            market.start,
            market.campaign,
            market.value,
            market.cost,
            segment,
            logged.minute[chosen] // (MINUTES // HOURS),
            np.arange(len(logged))[chosen],
            logged.noise,
            ratio[segment] * every,
            np.repeat(state.price[:, None], HOURS, 1),
            spend,
        )
        due = due_until(left, market.budget, market.share[:, until])
        move += step * (spend.sum(1) / due - 1.0)
    state.price[:] = steered(state.price, move, floor)


@njit()
def _settle_until(
    now: int,
    minute: int,
    delay: int,
    price: np.ndarray,
    budget: np.ndarray,
    posted: np.ndarray,
    served: np.ndarray,
    billed: np.ndarray,
    unbilled: np.ndarray,
    reserved: np.ndarray,
    pending: np.ndarray,
    value: np.ndarray,
    queued: np.ndarray,
    due: np.ndarray,
    of_campaign: np.ndarray,
    held: np.ndarray,
    charge: np.ndarray,
    worth: np.ndarray,
) -> None:
    """Let go of the reserves whose outcome is known by `now`, and bill the clicks among them at `minute`.

    worth: the value of a click (0: none happened), charge: expected micros.
    """
    while queued[0] < queued[1] and due[queued[0]] <= now:
        i = queued[0]
        c = of_campaign[i]
        reserved[c] -= held[i]
        pending[c] -= charge[i]
        if worth[i] > 0.0:
            amount = postable(price[c], budget[c], budget[c], billed[c], billed[c])
            billed[c] += amount
            posted[c, minute] += amount
            served[c, due[i] - delay] += amount
            unbilled[c] += price[c] - amount
            value[0] -= worth[i] * (1.0 - amount / price[c])
        queued[0] += 1


@njit()
def _play(
    start: np.ndarray,
    campaign: np.ndarray,
    p_click: np.ndarray,
    worth_of: np.ndarray,
    cost: np.ndarray,
    price_of: np.ndarray,
    budget: np.ndarray,
    share: np.ndarray,
    segment: np.ndarray,
    minute_of: np.ndarray,
    draw: np.ndarray,
    noise: np.ndarray,
    first: np.ndarray,
    begin: int,
    end: int,
    kind: int,
    gain: float,
    kappa: float,
    deviations: float,
    least_click: float,
    delay: int,
    floor: float,
    draws: np.ndarray,
    price: np.ndarray,
    spent_before: np.ndarray,
    share_before: np.ndarray,
    integral: np.ndarray,
    error: np.ndarray,
    posted: np.ndarray,
    served: np.ndarray,
    billed: np.ndarray,
    unbilled: np.ndarray,
    reserved: np.ndarray,
    pending: np.ndarray,
    value: np.ndarray,
    queued: np.ndarray,
    due: np.ndarray,
    of_campaign: np.ndarray,
    held: np.ndarray,
    charge: np.ndarray,
    worth: np.ndarray,
) -> None:
    mask = len(noise) - 1
    for minute in range(begin, end):
        _settle_until(
            minute,
            minute,
            delay,
            price_of,
            budget,
            posted,
            served,
            billed,
            unbilled,
            reserved,
            pending,
            value,
            queued,
            due,
            of_campaign,
            held,
            charge,
            worth,
        )
        for c in range(len(budget)):
            spent = billed[c] + pending[c]
            price[c], integral[c], error[c] = advance(
                kind,
                gain,
                price[c],
                floor,
                spent,
                spent_before[c],
                float(billed[c]),
                float(budget[c]),
                share[c, minute],
                share_before[c],
                integral[c],
                error[c],
            )
            spent_before[c], share_before[c] = spent, share[c, minute]
        for v in range(first[minute], first[minute + 1]):
            s, hour = segment[v], minute // 60
            best, won, best_value = 0.0, -1, 0.0
            for pair in range(start[s], start[s + 1]):
                c = campaign[pair]
                z = worth_of[pair, hour]
                if mask >= 0:
                    z *= noise[(v * 31 + pair * 7919) & mask]
                got = score(kind, z, cost[pair], price[c], draws[(v * 61 + pair * 7919) & 65535])
                if got <= best:
                    continue
                hold = reservation(p_click[pair], price_of[c], kappa)
                room = max(hold, deviations * math.sqrt(pending[c] * price_of[c]) + least_click * price_of[c])
                if free_micros(budget[c], budget[c], billed[c], billed[c], reserved[c], reserved[c]) < max(1.0, room):
                    continue
                best, won, best_value = got, pair, z
            if won < 0:
                continue
            c, i = campaign[won], queued[1]
            hold = reservation(p_click[won], price_of[c], kappa)
            reserved[c] += hold
            pending[c] += cost[won]
            value[0] += best_value
            due[i], of_campaign[i], held[i], charge[i] = minute + delay, c, hold, cost[won]
            worth[i] = best_value / p_click[won] if draw[v] < p_click[won] else 0.0
            queued[1] += 1
