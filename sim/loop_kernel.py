"""The compiled market clock: minute ticks, clicks, expiries and visits in time order, one visit an auction and a page.

Money lies in `sim.campaign_books`, clicks to come in `sim.click_queue`. A served item holds its reserve for a limited
time, so what is open fits a ring, and a run needs eight bytes per impression beyond it. Nothing is allocated per visit.

An auction reads every candidate's bid and score, and asks whether it may be shown only if it would stand among the
slots + 1 best: most never get that far, and the outcome is the same. No fast-math anywhere; same inputs, same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.compiled import njit
from sim.behaviour import hash_uniform
from sim.campaign_books import MINUTES_A_DAY, Books, CampaignTerms, hold, move_prices, post, refresh
from sim.click_queue import pop, push
from targeting.auction import enter, price_slots
from targeting.ledger import held_micros
from targeting.pacing.descent import paced_bid

HOUR_SECONDS, DAY_SECONDS = 3_600.0, 86_400.0
SERVING_TRIES = 3  # as the service: made again without the campaigns that could not pay, then without any
GONE = -1  # of an organic job: not there, or applied to


class Candidates(NamedTuple):
    """The eligible pairs in CSR form by seeker, as `sim.loop.Pairs`; p_click is set to 0 when a pair is done with."""

    start: np.ndarray
    campaign: np.ndarray
    p_click: np.ndarray
    value: np.ndarray
    click_logit: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray


class Organic(NamedTuple):
    """As `sim.loop.OrganicLists`; against = exp(-logit) float64, the odds against a click of what is seen first;
    exposures int16[S, K], GONE where there is nothing to show."""

    job: np.ndarray
    against: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    exposures: np.ndarray


class Visits(NamedTuple):
    seeker: np.ndarray
    second: np.ndarray
    number: np.ndarray


class Numbers(NamedTuple):
    """`sim.loop.Rules` and `Pacing` as numbers. slots_of int64[page + 1]: promoted slots by organic jobs at hand;
    fade float64[most exposures + 1]: by how much earlier exposures multiply the odds against a click."""

    days: int
    page: int
    positions: np.ndarray
    exam: np.ndarray
    slots_of: np.ndarray
    fade: np.ndarray
    pricing: int
    per_hour: int
    per_day: int
    per_window: int
    repeat_effect: float
    hire_given_qualified: float
    click_delay: float
    kappa: float
    life: float
    grace: float
    seed: int
    share: np.ndarray
    eta: float
    price_floor: float


class OpenItems(NamedTuple):
    """Served items whose click can still be billed or whose reserve is still held: item i lies at i & mask."""

    campaign: np.ndarray
    day: np.ndarray
    seeker: np.ndarray
    price: np.ndarray
    held: np.ndarray  # GONE once it was let go of
    expected: np.ndarray
    value: np.ndarray
    until: np.ndarray


class Shown(NamedTuple):
    """Every promoted impression in order: when, and the one before of the same pair (-1: none). of_pair: the latest."""

    visit: np.ndarray
    before: np.ndarray
    of_pair: np.ndarray
    exposures: np.ndarray  # int16 per pair


class Counts(NamedTuple):
    """What an outcome counts beside money; see `sim.loop.Outcome`."""

    valid: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    applications: np.ndarray
    qualified: np.ndarray
    hires: np.ndarray
    billed_value: np.ndarray
    by_hour: np.ndarray
    seeker_posted: np.ndarray
    seeker_qualified: np.ndarray
    seeker_shown: np.ndarray
    organic: np.ndarray


class Scratch(NamedTuple):
    """Room for one auction: the candidates that came near, the ranking, the prices, who was refused."""

    entry: np.ndarray
    bid: np.ndarray
    chance: np.ndarray
    floor: np.ndarray
    winner: np.ndarray
    price: np.ndarray
    refused: np.ndarray


@njit()
def let_go(items: OpenItems, at: int, books: Books, terms: CampaignTerms, today: int) -> None:
    if items.held[at] != GONE:
        c = items.campaign[at]
        hold(books, c, items.day[at], -items.held[at], -items.expected[at])
        items.held[at] = GONE
        refresh(books, terms, c, today)


@njit()
def bill(items: OpenItems, at: int, when: float, books: Books, terms: CampaignTerms, counts: Counts) -> None:
    """A click inside the life of its token: posted as far as both caps allow."""
    c, price = items.campaign[at], items.price[at]
    charge = post(books, terms, c, items.day[at], price)
    counts.valid[c] += price
    counts.by_hour[min(int(when // HOUR_SECONDS), len(counts.by_hour) - 1)] += charge
    counts.seeker_posted[items.seeker[at]] += charge
    if charge > 0:  # a price of 0 is legal where no reserve asks for more
        counts.billed_value[c] += items.value[at] * charge / price


@njit()
def shown_enough(shown: Shown, pair: int, now: float, second: np.ndarray, per_hour: int, per_day: int) -> bool:
    """Was the pair shown per_hour times in the last 60 minutes or per_day times in the last 24 hours?"""
    times = 0
    item = shown.of_pair[pair]
    while item >= 0:
        then = second[shown.visit[item]]
        if then <= now - DAY_SECONDS:
            return False
        times += 1
        if times >= per_day or (times >= per_hour and then > now - HOUR_SECONDS):
            return True
        item = shown.before[item]
    return False


@njit()
def auction(
    s: int, now: float, slots: int, pairs: Candidates, books: Books, terms: CampaignTerms, second: np.ndarray,
    shown: Shown, numbers: Numbers, room: Scratch,
) -> int:  # fmt: skip
    """Fill room.entry, room.winner and room.price; return how many slots were sold."""
    count, held, bar = 0, 0, 0.0
    for e in range(pairs.start[s], pairs.start[s + 1]):
        c = pairs.campaign[e]
        bid = paced_bid(np.float64(pairs.value[e]), books.price[c], books.ceiling[c])
        chance = np.float64(pairs.p_click[e])
        if not bid * chance > bar or bid < terms.reserve[c]:
            continue
        if shown_enough(shown, e, now, second, numbers.per_hour, numbers.per_day):
            continue
        room.entry[count], room.bid[count], room.chance[count], room.floor[count] = e, bid, chance, terms.reserve[c]
        held = enter(count, room.bid, room.chance, held, slots, room.winner)
        count += 1
        if held > slots:
            last = room.winner[slots]
            bar = room.bid[last] * room.chance[last]
    return price_slots(room.bid, room.chance, room.floor, held, slots, numbers.pricing, room.winner, room.price)


@njit()
def sell(
    s: int, now: float, today: int, slots: int, pairs: Candidates, books: Books, terms: CampaignTerms,
    second: np.ndarray, shown: Shown, numbers: Numbers, room: Scratch,
) -> int:  # fmt: skip
    """The auction, made again without the campaigns that can not hold what their slot costs."""
    refused, sold = 0, 0
    for _ in range(SERVING_TRIES):
        sold = auction(s, now, slots, pairs, books, terms, second, shown, numbers, room)
        before = refused
        for slot in range(sold):
            won = room.winner[slot]
            c = pairs.campaign[room.entry[won]]
            if books.free[c] < max(1, held_micros(room.chance[won], room.price[slot], numbers.kappa)):
                books.ceiling[c] = 0
                room.refused[refused] = c
                refused += 1
        if refused == before:
            break
        sold = 0
    for i in range(refused):
        refresh(books, terms, room.refused[i], today)
    return sold


@njit(nogil=True)
def play(
    pairs: Candidates, organic: Organic, visits: Visits, terms: CampaignTerms, numbers: Numbers, books: Books,
    items: OpenItems, shown: Shown, counts: Counts, room: Scratch, heap: np.ndarray, moment: np.ndarray,
) -> None:  # fmt: skip
    """Run all visits and what follows from them; books, counts, pairs.p_click and organic.exposures are changed."""
    campaigns, ticks, mask = len(terms.job), numbers.days * MINUTES_A_DAY, len(items.until) - 1
    queued, served, oldest, minute, visit, today = 0, 0, 0, 0, 0, 0
    opened, closed = 0, 0
    end = numbers.days * DAY_SECONDS + numbers.life + numbers.grace + 1.0
    while True:
        now = visits.second[visit] if visit < len(visits.second) else end
        # minute ticks, clicks and expiries up to now, in time order; at one moment clicks come first, ticks last
        while True:
            tick = (minute + 1) * 60.0 if minute < ticks else np.inf
            click_at = moment[0] if queued > 0 else np.inf
            expiry = items.until[oldest & mask] if oldest < served else np.inf
            first = min(tick, click_at, expiry)
            if first > now:
                break
            if click_at == first:
                at = heap[0] & mask
                queued = pop(heap, moment, queued)
                bill(items, at, click_at, books, terms, counts)
                let_go(items, at, books, terms, today)
            elif expiry == first:
                let_go(items, oldest & mask, books, terms, today)
                oldest += 1
            else:
                if numbers.eta > 0.0:
                    move_prices(books, terms, minute, numbers.share, numbers.eta, numbers.price_floor)
                minute += 1
        if visit == len(visits.second):
            break
        if min(int(now // DAY_SECONDS), numbers.days - 1) != today:
            today = min(int(now // DAY_SECONDS), numbers.days - 1)
            for c in range(campaigns):
                refresh(books, terms, c, today)
        while opened < campaigns and terms.opens[terms.by_opening[opened]] <= now:
            c = terms.by_opening[opened]
            books.alive[c] = now < terms.closes[c]
            refresh(books, terms, c, today)
            opened += 1
        while closed < campaigns and terms.closes[terms.by_close[closed]] <= now:
            c = terms.by_close[closed]
            books.alive[c] = False
            refresh(books, terms, c, today)
            closed += 1

        s, number = visits.seeker[visit], visits.number[visit]
        slots = numbers.slots_of[at_hand(organic, s, now, numbers.page)]
        sold = sell(s, now, today, slots, pairs, books, terms, visits.second, shown, numbers, room)
        slot, rank, place = 0, 0, 0
        while place < numbers.page:
            seen = numbers.exam[place]
            promoted = slot < sold and numbers.positions[slot] <= place
            if not promoted:
                rank = next_organic(organic, s, rank, now, sold, pairs, terms, room)
                if rank == organic.job.shape[1]:
                    if slot == sold:
                        break
                    promoted = True  # where the organic jobs run out the promoted ones close up
            if promoted:
                won = room.winner[slot]
                at = served & mask
                shown.visit[served] = visit
                serve(s, room.entry[won], room.price[slot], seen, now, today, served, at, pairs, books, terms, numbers,
                      items, shown, counts)  # fmt: skip
                click_at = look(s, room.entry[won], number, seen, now, pairs, terms, numbers, shown, counts)
                if click_at < now + numbers.life:
                    queued = push(heap, moment, queued, click_at, served)
                served += 1
                slot += 1
            else:
                look_at_organic(s, rank, number, seen, organic, numbers, counts)
                rank += 1
            place += 1
        visit += 1


@njit()
def serve(
    s: int, e: int, price: int, seen: float, now: float, today: int, item: int, at: int, pairs: Candidates,
    books: Books, terms: CampaignTerms, numbers: Numbers, items: OpenItems, shown: Shown, counts: Counts,
) -> None:  # fmt: skip
    """One promoted item goes out: counted and its reserve held, as the ledger does, whatever its place; what the
    controller expects it to cost knows the place."""
    c, chance = pairs.campaign[e], np.float64(pairs.p_click[e])
    held, expected = held_micros(chance, price, numbers.kappa), chance * seen * price
    items.campaign[at], items.day[at], items.seeker[at] = c, today, s
    items.price[at], items.held[at], items.expected[at] = price, held, expected
    items.value[at] = pairs.p_apply[e] * pairs.grade[e]
    items.until[at] = now + numbers.life + numbers.grace
    hold(books, c, today, held, expected)
    refresh(books, terms, c, today)
    shown.before[item], shown.of_pair[e] = shown.of_pair[e], item
    counts.impressions[c] += 1
    counts.seeker_shown[s] += 1


@njit()
def look(
    s: int, e: int, number: int, seen: float, now: float, pairs: Candidates, terms: CampaignTerms, numbers: Numbers,
    shown: Shown, counts: Counts,
) -> float:  # fmt: skip
    """What the seeker does with a promoted item: when it is clicked, infinity when never. Who clicks applies or not."""
    c, before = pairs.campaign[e], shown.exposures[e]
    job, seed = terms.job[c], numbers.seed
    shown.exposures[e] = before + 1
    if before + 1 >= numbers.per_window:
        pairs.p_click[e] = 0.0
    draw = hash_uniform(number, job, seed)
    if draw >= seen:  # the chance is never above that of being seen
        return np.inf
    if draw >= seen / (1.0 + math.exp(-(pairs.click_logit[e] + numbers.repeat_effect * before))):
        return np.inf
    pairs.p_click[e] = 0.0  # who has clicked is not shown it again
    counts.clicks[c] += 1
    if hash_uniform(number, job, seed + 2) < pairs.p_apply[e]:
        counts.applications[c] += 1
        counts.qualified[c] += pairs.grade[e]
        counts.seeker_qualified[s] += pairs.grade[e]
        chance = pairs.grade[e] * numbers.hire_given_qualified
        if counts.hires[c] < terms.openings[c] and hash_uniform(number, job, seed + 3) < chance:
            counts.hires[c] += 1
    return now - numbers.click_delay * math.log(1.0 - hash_uniform(number, job, seed + 1))


@njit()
def may_show(organic: Organic, s: int, rank: int, now: float) -> bool:
    """Whether a listed job is on the site and not applied to."""
    on_site = organic.opens[s, rank] <= now < organic.closes[s, rank]
    return on_site and organic.exposures[s, rank] != GONE


@njit()
def at_hand(organic: Organic, s: int, now: float, most: int) -> int:
    """How many listed jobs may be shown, counted up to `most`."""
    found, rank = 0, 0
    while found < most and rank < organic.job.shape[1]:
        found += may_show(organic, s, rank, now)
        rank += 1
    return found


@njit()
def next_organic(
    organic: Organic, s: int, rank: int, now: float, sold: int, pairs: Candidates, terms: CampaignTerms, room: Scratch
) -> int:
    """The rank of the next job to show, from `rank` on; those promoted on this page or gone are passed over."""
    while rank < organic.job.shape[1]:
        free = may_show(organic, s, rank, now)
        if free:
            for slot in range(sold):
                if terms.job[pairs.campaign[room.entry[room.winner[slot]]]] == organic.job[s, rank]:
                    free = False
        if free:
            break
        rank += 1
    return rank


@njit()
def look_at_organic(
    s: int, rank: int, number: int, seen: float, organic: Organic, numbers: Numbers, counts: Counts
) -> None:
    job, before = organic.job[s, rank], organic.exposures[s, rank]
    counts.organic[0] += 1
    organic.exposures[s, rank] = before + 1
    draw = hash_uniform(number, job, numbers.seed)
    if draw * (1.0 + organic.against[s, rank] * numbers.fade[before]) >= seen:
        return
    counts.organic[1] += 1
    if hash_uniform(number, job, numbers.seed + 2) < organic.p_apply[s, rank]:
        organic.exposures[s, rank] = GONE
        counts.organic[2] += 1
        counts.organic[3] += organic.grade[s, rank]
