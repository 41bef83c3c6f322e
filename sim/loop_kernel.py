"""The compiled market clock: minute ticks, clicks, expiries and visits in time order, one visit an auction and a page.

Money lies in `sim.campaign_books`, clicks to come in `sim.click_queue`. A served item holds its reserve for a limited
time, so what is open fits a ring, whatever the number of visits. Nothing is allocated on the way.

An auction goes through the pairs from the highest possible score down and stops where no later one can reach the
slots + 1 best; the outcome is that of `targeting.auction.run_auction` on all of them in this order. No fast-math
anywhere; same inputs, same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from market.compiled import njit, part, whole
from market.prefetch import prefetch
from sim.behaviour import hash_uniform
from sim.campaign_books import MINUTES_A_DAY, Books, Lives, hold, live, move_prices, post, refresh
from sim.click_queue import pop, push
from targeting.auction import enter, price_slots
from targeting.ledger import held_micros
from targeting.pacing.descent import paced_bid

HOUR_SECONDS, DAY_SECONDS = 3_600.0, 86_400.0
SERVING_TRIES = 3  # as the service: made again without the campaigns that could not pay, then without any
LOGIT, APPLY, GRADE, TIMES, SHOWN_AT = range(5)  # columns of what is needed of a pair once it is shown
AHEAD, LINES = 2, 12  # how many visits ahead memory is asked for, and how much of a seeker's pairs
GONE = -1  # of an organic job: not there, or applied to


# What an auction reads of a pair, side by side in memory. rests: the second from which the pair may be shown (again),
# infinity when it is done with; most: no score of the pair is above it.
PAIR = np.dtype([("rests", "f8"), ("most", "f4"), ("campaign", "u4"), ("p_click", "f4"), ("value", "f4")])
# A served item whose click can still be billed or whose reserve is still held. held: GONE once it was let go of.
ITEM = np.dtype(
    [("campaign", "u4"), ("day", "u4"), ("seeker", "i8"), ("price", "i8"), ("held", "i8")]
    + [(name, "f8") for name in ("expected", "value", "until")]
)


class Candidates(NamedTuple):
    """The eligible pairs in CSR form by seeker, those with the highest possible score first: start uint64[S + 1];
    pair PAIR[n]; shown float64[n, SHOWN_AT + depth]: what is needed once it is shown. Its columns: click logit,
    P(application | click), grade, how often it was shown, and when for the last few times, a ring."""

    start: np.ndarray
    pair: np.ndarray
    shown: np.ndarray


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
    depth: int  # of the memory of moments that per_hour and per_day need
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


class Jobs(NamedTuple):
    """job, openings int64[C] of the campaigns."""

    job: np.ndarray
    openings: np.ndarray


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
    looks: np.ndarray
    seeker_looks: np.ndarray
    first_looks: np.ndarray
    first_clicks: np.ndarray
    seeker_organic: np.ndarray


class Scratch(NamedTuple):
    """Room for one auction: the candidates that came near, the ranking, the prices, who was refused."""

    entry: np.ndarray  # uint64
    bid: np.ndarray
    chance: np.ndarray
    floor: np.ndarray
    winner: np.ndarray
    price: np.ndarray
    refused: np.ndarray


@part()
def let_go(items: np.ndarray, at: int, books: Books, today: int) -> None:
    """Let go of what item `at` of the ring still holds."""
    item = items[at]
    if item["held"] != GONE:
        hold(books, item["campaign"], item["day"], today, -item["held"], -item["expected"])
        item["held"] = GONE


@part()
def bill(items: np.ndarray, at: int, when: float, books: Books, today: int, counts: Counts) -> None:
    """A click inside the life of its token: posted as far as both caps allow."""
    item = items[at]
    c, price = item["campaign"], item["price"]
    charge = post(books, c, item["day"], today, price)
    counts.valid[c] += price
    counts.by_hour[min(int(when / HOUR_SECONDS), len(counts.by_hour) - 1)] += charge
    counts.seeker_posted[item["seeker"]] += charge
    if charge > 0:  # a price of 0 is legal where no reserve asks for more
        counts.billed_value[c] += item["value"] * charge / price


@part()
def show_again(shown: np.ndarray, now: float, numbers: Numbers) -> float:
    """Note in a pair's row that it is shown; from when on it will have been shown less often than 60 minutes, 24 hours
    and the window allow."""
    times, depth = np.uint32(shown[TIMES]) + np.uint32(1), np.uint32(len(shown) - SHOWN_AT)
    shown[TIMES] = times
    shown[np.uint32(SHOWN_AT) + (times - np.uint32(1)) % depth] = now
    if times >= numbers.per_window:
        return np.inf
    until = 0.0
    if times >= numbers.per_hour:
        until = shown[np.uint32(SHOWN_AT) + np.uint32(times - numbers.per_hour) % depth] + HOUR_SECONDS
    if times >= numbers.per_day:
        until = max(until, shown[np.uint32(SHOWN_AT) + np.uint32(times - numbers.per_day) % depth] + DAY_SECONDS)
    return until


@part()
def auction(s: int, now: float, slots: int, pairs: Candidates, books: Books, pricing: int, room: Scratch) -> int:
    """Fill room.entry, room.winner and room.price; return how many slots were sold."""
    count, held, bar = np.uint64(0), 0, 0.0
    for e in range(pairs.start[s], pairs.start[s + 1]):
        pair = pairs.pair[e]
        if pair["most"] <= bar:
            break  # as are all that follow
        offer = books.offer[pair["campaign"]]
        bid = paced_bid(np.float64(pair["value"]), offer["price"], offer["ceiling"])
        chance = np.float64(pair["p_click"])
        if pair["rests"] > now or not bid * chance > bar or bid < offer["reserve"]:
            continue
        room.entry[count], room.bid[count], room.chance[count], room.floor[count] = e, bid, chance, offer["reserve"]
        prefetch(pairs.shown, e, 0)  # it may well be shown
        prefetch(pairs.shown, e, 64)
        held = enter(count, room.bid, room.chance, held, slots, room.winner)
        count += np.uint64(1)
        if held > slots:
            last = room.winner[slots]
            bar = room.bid[last] * room.chance[last]
    return price_slots(room.bid, room.chance, room.floor, held, slots, pricing, room.winner, room.price)


@part()
def sell(
    s: int, now: float, today: int, slots: int, pairs: Candidates, books: Books, numbers: Numbers, room: Scratch
) -> int:
    """The auction, made again without the campaigns that can not hold what their slot costs."""
    refused, sold = 0, 0
    for _ in range(SERVING_TRIES):
        sold = auction(s, now, slots, pairs, books, numbers.pricing, room)
        before = refused
        for slot in range(sold):
            won = room.winner[slot]
            c = pairs.pair[room.entry[won]]["campaign"]
            if books.account[c]["free"] < max(1, held_micros(room.chance[won], room.price[slot], numbers.kappa)):
                books.offer[c]["ceiling"] = 0
                room.refused[refused] = c
                refused += 1
        if refused == before:
            break
        sold = 0
    for i in range(refused):
        refresh(books, room.refused[i], today)
    return sold


@whole()
def play(
    pairs: Candidates, organic: Organic, visits: Visits, jobs: Jobs, lives: Lives, numbers: Numbers, books: Books,
    items: np.ndarray, counts: Counts, room: Scratch, heap: np.ndarray, moment: np.ndarray,
) -> None:  # fmt: skip
    """Run all visits and what follows from them; books, counts, pairs and organic.exposures are changed.

    items ITEM[a power of two above what can be open at once]: item i lies at i modulo that; heap int64 and moment
    float64 of the same length: the clicks to come.
    """
    campaigns, ticks, mask = len(books.offer), numbers.days * MINUTES_A_DAY, np.uint64(len(items) - 1)
    queued, minute, visit, today, opened, closed = 0, 0, 0, 0, 0, 0
    served, oldest = np.uint64(0), np.uint64(0)
    end = numbers.days * DAY_SECONDS + numbers.life + numbers.grace + 1.0
    while True:
        now = visits.second[visit] if visit < len(visits.second) else end
        # minute ticks, clicks and expiries up to now, in time order; at one moment clicks come first, ticks last
        while True:
            tick = (minute + 1) * 60.0 if minute < ticks else np.inf
            click_at = moment[0] if queued > 0 else np.inf
            expiry = items[oldest & mask]["until"] if oldest < served else np.inf
            first = min(tick, click_at, expiry)
            if first > now:
                break
            if click_at == first:
                at = np.uint64(heap[0]) & mask
                queued = pop(heap, moment, queued)
                bill(items, at, click_at, books, today, counts)
                let_go(items, at, books, today)
            elif expiry == first:
                let_go(items, oldest & mask, books, today)
                oldest += np.uint64(1)
            else:
                if numbers.eta > 0.0:
                    move_prices(books, lives, minute, numbers.share, numbers.eta, numbers.price_floor)
                minute += 1
        if visit == len(visits.second):
            break
        if now >= (today + 1) * DAY_SECONDS and today + 1 < numbers.days:
            today = min(int(now / DAY_SECONDS), numbers.days - 1)
            for c in range(campaigns):
                refresh(books, c, today)
        while opened < campaigns and lives.opens[lives.by_opening[opened]] <= now:
            c = lives.by_opening[opened]
            live(books, c, 1 if now < lives.closes[c] else 0, today)
            opened += 1
        while closed < campaigns and lives.closes[lives.by_close[closed]] <= now:
            live(books, lives.by_close[closed], 0, today)
            closed += 1

        if visit + 2 * AHEAD < len(visits.seeker):
            prefetch(pairs.start, visits.seeker[visit + 2 * AHEAD], 0)
            soon = visits.seeker[visit + AHEAD]
            prefetch(counts.seeker_shown, soon, 0)
            for line in range(LINES):
                prefetch(pairs.pair, pairs.start[soon], 64 * line)
        s, number = visits.seeker[visit], visits.number[visit]
        slots = numbers.slots_of[at_hand(organic, s, now, numbers.page)]
        sold = sell(s, now, today, slots, pairs, books, numbers, room)
        slot, rank, place = 0, 0, 0
        while place < numbers.page:
            seen = numbers.exam[place]
            promoted = slot < sold and numbers.positions[slot] <= place
            if not promoted:
                rank = next_organic(organic, s, rank, now, sold, pairs, jobs, room)
                if rank == organic.job.shape[1]:
                    if slot == sold:
                        break
                    promoted = True  # where the organic jobs run out the promoted ones close up
            if promoted:
                e = room.entry[room.winner[slot]]
                serve(items[served & mask], s, e, room.price[slot], seen, now, today, pairs, books, numbers, counts)
                click_at = look(s, e, number, seen, now, pairs, jobs, numbers, counts)
                if click_at < now + numbers.life:
                    queued = push(heap, moment, queued, click_at, np.int64(served))
                served += np.uint64(1)
                slot += 1
            else:
                look_at_organic(s, rank, number, seen, organic, numbers, counts)
                rank += 1
            place += 1
        visit += 1


@part()
def serve(
    item: np.ndarray, s: int, e: int, price: int, seen: float, now: float, today: int, pairs: Candidates, books: Books,
    numbers: Numbers, counts: Counts,
) -> None:  # fmt: skip
    """One promoted item goes out: counted and its reserve held, as the ledger does, whatever its place; what the
    controller expects it to cost knows the place."""
    c, chance = pairs.pair[e]["campaign"], np.float64(pairs.pair[e]["p_click"])
    held, expected = held_micros(chance, price, numbers.kappa), chance * seen * price
    item["campaign"], item["day"], item["seeker"] = c, today, s
    item["price"], item["held"], item["expected"] = price, held, expected
    item["value"] = pairs.shown[e, APPLY] * pairs.shown[e, GRADE]
    item["until"] = now + numbers.life + numbers.grace
    hold(books, c, today, today, held, expected)
    counts.impressions[c] += 1
    counts.seeker_shown[s] += 1
    counts.looks[c] += seen
    counts.seeker_looks[s] += seen


@part()
def look(
    s: int, e: int, number: int, seen: float, now: float, pairs: Candidates, jobs: Jobs, numbers: Numbers,
    counts: Counts,
) -> float:  # fmt: skip
    """What the seeker does with a promoted item: when it is clicked, infinity when never. Who clicks applies or not."""
    c, before = pairs.pair[e]["campaign"], pairs.shown[e, TIMES]
    job, seed = jobs.job[c], numbers.seed
    if before == 0:
        counts.first_looks[c] += seen
    pairs.pair[e]["rests"] = show_again(pairs.shown[e], now, numbers)
    draw = hash_uniform(number, job, seed)
    if draw >= seen:  # the chance is never above that of being seen
        return np.inf
    if draw >= seen / (1.0 + math.exp(-(pairs.shown[e, LOGIT] + numbers.repeat_effect * before))):
        return np.inf
    pairs.pair[e]["rests"] = np.inf  # who has clicked is not shown it again
    counts.clicks[c] += 1
    if before == 0:
        counts.first_clicks[c] += 1
    if hash_uniform(number, job, seed + 2) < pairs.shown[e, APPLY]:
        grade = pairs.shown[e, GRADE]
        counts.applications[c] += 1
        counts.qualified[c] += grade
        counts.seeker_qualified[s] += grade
        chance = grade * numbers.hire_given_qualified
        if counts.hires[c] < jobs.openings[c] and hash_uniform(number, job, seed + 3) < chance:
            counts.hires[c] += 1
    return now - numbers.click_delay * math.log(1.0 - hash_uniform(number, job, seed + 1))


@part()
def may_show(organic: Organic, s: int, rank: int, now: float) -> bool:
    """Whether a listed job is on the site and not applied to."""
    on_site = organic.opens[s, rank] <= now < organic.closes[s, rank]
    return on_site and organic.exposures[s, rank] != GONE


@part()
def at_hand(organic: Organic, s: int, now: float, most: int) -> int:
    """How many listed jobs may be shown, counted up to `most`."""
    found, rank = 0, 0
    while found < most and rank < organic.job.shape[1]:
        found += may_show(organic, s, rank, now)
        rank += 1
    return found


@part()
def next_organic(
    organic: Organic, s: int, rank: int, now: float, sold: int, pairs: Candidates, jobs: Jobs, room: Scratch
) -> int:
    """The rank of the next job to show, from `rank` on; those promoted on this page or gone are passed over."""
    while rank < organic.job.shape[1]:
        free = may_show(organic, s, rank, now)
        if free:
            for slot in range(sold):
                if jobs.job[pairs.pair[room.entry[room.winner[slot]]]["campaign"]] == organic.job[s, rank]:
                    free = False
        if free:
            break
        rank += 1
    return rank


@part()
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
    counts.seeker_organic[s, 0] += 1
    if hash_uniform(number, job, numbers.seed + 2) < organic.p_apply[s, rank]:
        organic.exposures[s, rank] = GONE
        counts.organic[2] += 1
        counts.organic[3] += organic.grade[s, rank]
        counts.seeker_organic[s, 1] += organic.grade[s, rank]


@njit(nogil=True)
def best_first(start: np.ndarray, most: np.ndarray) -> np.ndarray:
    """int64[n]: the order that puts the pairs of each seeker by `most`, the highest first; equals stay as they were."""
    order = np.empty(len(most), np.int64)
    for s in range(len(start) - 1):
        low, high = start[s], start[s + 1]
        order[low:high] = low + np.argsort(-most[low:high], kind="mergesort")
    return order
