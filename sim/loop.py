"""The market clock: one compiled loop over visits in time order, exactly sequential budgets, int64 money.

It owns arrival, looking and clicking; who may be shown comes in, and bids, prices, reserves and charges are the
product's own functions (`targeting.auction`, `targeting.ledger`, `targeting.pacing.descent`). Random numbers depend on
(visit, job) only, so two arms that show the same job in the same place see the same click. Same inputs, same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from market.compiled import njit
from sim.behaviour import hash_uniform
from targeting.auction import run_auction
from targeting.ledger import free_micros, postable, reservation
from targeting.pacing.descent import next_price, paced_bid

TOKEN_SECONDS = 30 * 60.0
MINUTES_A_DAY = 1440


@dataclass(frozen=True)
class Pairs:
    """Seeker-campaign pairs in CSR form: pairs of seeker i are start[i]:start[i+1], campaigns ascending.

    campaign int32[n]; p_click, value_per_click float32[n] are the product's estimates; click_logit, p_apply, grade
    float32[n] are the world's truth.
    """

    start: np.ndarray
    campaign: np.ndarray
    p_click: np.ndarray
    value_per_click: np.ndarray
    click_logit: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray


@dataclass(frozen=True)
class OrganicLists:
    """The organic list of each seeker, best first, [S, K]: job int32 (-1: none), the others float32."""

    job: np.ndarray
    click_logit: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray


@dataclass(frozen=True)
class Traffic:
    """Visits in time order: seeker int32[V], second float64[V] since the window opened, number int64[V] (stable id)."""

    seeker: np.ndarray
    second: np.ndarray
    number: np.ndarray


@dataclass(frozen=True)
class Terms:
    """What campaigns agreed to: job int32[C] in the inventory, openings int32[C], all money int64[C] micros.

    opens, closes float64[C]: seconds since the window opened between which a campaign may be shown (opens included,
    closes not); left out, the whole window.
    """

    job: np.ndarray
    budget: np.ndarray
    day_budget: np.ndarray
    max_bid: np.ndarray
    reserve: np.ndarray
    openings: np.ndarray
    opens: np.ndarray = field(default_factory=lambda: np.empty(0))
    closes: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        campaigns = len(self.job)
        for name, whole in (("opens", 0.0), ("closes", np.inf)):
            if campaigns and not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(campaigns, whole))
            assert getattr(self, name).shape == (campaigns,), f"{name} has to have one entry per campaign"


@dataclass(frozen=True)
class Outcome:
    """What happened. Per campaign [C] unless said otherwise; money in micros.

    by_day [days, C] posted; by_hour [days * 24] posted; seeker_* per seeker [S]; qualified is the sum of grades.
    """

    posted: np.ndarray
    valid: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    applications: np.ndarray
    qualified: np.ndarray
    hires: np.ndarray
    billed_value: np.ndarray
    by_day: np.ndarray
    by_hour: np.ndarray
    seeker_posted: np.ndarray
    seeker_qualified: np.ndarray
    seeker_shown: np.ndarray
    organic: np.ndarray  # impressions, clicks, applications, qualified
    final_price: np.ndarray


def run_market(
    pairs: Pairs,
    eligible: np.ndarray,
    organic: OrganicLists,
    traffic: Traffic,
    terms: Terms,
    *,
    days: int,
    share: np.ndarray,
    start_price: np.ndarray,
    price_floor: float,
    eta: float,
    promoted_positions: np.ndarray,
    page: int,
    exam: np.ndarray,
    frequency_cap: int,
    repeat_effect: float,
    hire_given_qualified: float,
    click_delay_seconds: float,
    kappa: float,
    pricing: int,
    seed: int,
) -> Outcome:
    """Run `days` days. eligible bool[n] says which pairs the arm retrieves; share float64[1441] is the planned
    cumulative share of a day at each minute (share[0] = 0, share[1440] = 1); start_price 0 and eta 0 mean no pacing."""
    assert abs(share[-1] - 1) < 1e-9, "plan shares must sum to one"
    assert share[0] == 0, "plan shares begin at zero"
    result = _run(
        pairs.start,
        pairs.campaign,
        pairs.p_click.astype(np.float64),
        pairs.value_per_click.astype(np.float64),
        pairs.click_logit,
        pairs.p_apply,
        pairs.grade,
        eligible,
        organic.job,
        organic.click_logit,
        organic.p_apply,
        organic.grade,
        traffic.seeker,
        traffic.second,
        traffic.number,
        terms.job,
        terms.budget,
        terms.day_budget,
        terms.max_bid,
        terms.reserve,
        terms.openings,
        terms.opens,
        terms.closes,
        days,
        share,
        start_price.astype(np.float64),
        price_floor,
        eta,
        promoted_positions,
        page,
        exam,
        frequency_cap,
        repeat_effect,
        hire_given_qualified,
        click_delay_seconds,
        kappa,
        pricing,
        seed,
    )
    outcome = Outcome(*result)
    assert (outcome.posted <= terms.budget).all(), "a campaign was billed above its budget"
    assert (outcome.by_day <= terms.day_budget).all(), "a campaign was billed above its daily cap"
    assert (outcome.by_day.sum(0) == outcome.posted).all(), "days do not add up to the total"
    assert outcome.by_hour.sum() == outcome.posted.sum() == outcome.seeker_posted.sum(), "money was lost or made"
    return outcome


@njit()
def _push(heap: np.ndarray, size: int, when: np.ndarray, item: int) -> None:
    """Insert `item` into the binary heap of items ordered by (when[item], item)."""
    child = size
    heap[child] = item
    while child > 0:
        parent = (child - 1) // 2
        if when[heap[parent]] < when[item] or (when[heap[parent]] == when[item] and heap[parent] < item):
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = item


@njit()
def _pop(heap: np.ndarray, size: int, when: np.ndarray) -> int:
    top = heap[0]
    item = heap[size - 1]
    last = size - 1
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= last:
            break
        if child + 1 < last:
            a, b = heap[child], heap[child + 1]
            if when[b] < when[a] or (when[b] == when[a] and b < a):
                child += 1
        other = heap[child]
        if when[item] < when[other] or (when[item] == when[other] and item < other):
            break
        heap[parent] = other
        parent = child
    heap[parent] = item
    return top


@njit(nogil=True)
def _run(
    start, campaign, p_click, value, click_logit, p_apply, grade, eligible,
    organic_job, organic_logit, organic_apply, organic_grade,
    visit_seeker, visit_second, visit_number,
    job, budget, day_budget, max_bid, reserve, openings, opens, closes,
    days, share, start_price, price_floor, eta, promoted_positions, page, exam, frequency_cap,
    repeat_effect, hire_given_qualified, click_delay, kappa, pricing, seed,
):  # fmt: skip
    campaigns, seekers, slots = len(budget), len(start) - 1, len(promoted_positions)
    most = len(visit_seeker) * slots
    # one entry per promoted impression that was clicked or still holds a reserve
    shown_campaign, shown_day = np.empty(most, np.int32), np.empty(most, np.int32)
    shown_price, shown_reserve = np.empty(most, np.int64), np.empty(most, np.int64)
    shown_pending, shown_value = np.empty(most, np.float64), np.empty(most, np.float64)
    shown_seeker, shown_end = np.empty(most, np.int32), np.empty(most, np.float64)
    click_time, open_reserve = np.full(most, np.inf), np.zeros(most, np.bool_)
    heap, heap_size = np.empty(most, np.int64), 0
    shown_count, oldest = 0, 0

    posted, reserved = np.zeros(campaigns, np.int64), np.zeros(campaigns, np.int64)
    posted_day = np.zeros((days + 1, campaigns), np.int64)
    reserved_day = np.zeros((days + 1, campaigns), np.int64)
    pending = np.zeros(campaigns, np.float64)
    valid = np.zeros(campaigns, np.int64)
    impressions, clicks = np.zeros(campaigns, np.int64), np.zeros(campaigns, np.int64)
    applications, hires = np.zeros(campaigns, np.int64), np.zeros(campaigns, np.int64)
    qualified, billed_value = np.zeros(campaigns, np.float64), np.zeros(campaigns, np.float64)
    by_hour = np.zeros(days * 24, np.int64)
    seeker_posted, seeker_qualified = np.zeros(seekers, np.int64), np.zeros(seekers, np.float64)
    seeker_shown = np.zeros(seekers, np.int64)
    organic = np.zeros(4, np.float64)
    price = start_price.copy()
    spent_before = np.zeros(campaigns, np.float64)
    exposures = np.zeros(len(campaign), np.int16)
    clicked_pair = np.zeros(len(campaign), np.bool_)
    organic_exposures = np.zeros(organic_job.shape, np.int16)
    organic_applied = np.zeros(organic_job.shape, np.bool_)

    longest = 0
    for s in range(seekers):
        longest = max(longest, start[s + 1] - start[s])
    entry = np.empty(longest, np.int64)
    bids, floors = np.empty(longest, np.int64), np.empty(longest, np.int64)
    chances = np.empty(longest, np.float64)
    winner, cost = np.empty(slots + 1, np.int64), np.empty(slots + 1, np.int64)
    minute = 0
    end = days * MINUTES_A_DAY * 60.0
    visit = 0
    while visit <= len(visit_seeker):
        now = visit_second[visit] if visit < len(visit_seeker) else end + TOKEN_SECONDS + 1.0
        # minute ticks, clicks and expiries up to now, in time order
        while True:
            tick = (minute + 1) * 60.0 if minute < days * MINUTES_A_DAY else np.inf
            click_at = click_time[heap[0]] if heap_size > 0 else np.inf
            expiry = shown_end[oldest] if oldest < shown_count else np.inf
            first = min(tick, click_at, expiry)
            if first > now:
                break
            if click_at == first:
                item = _pop(heap, heap_size, click_time)
                heap_size -= 1
                c, d = shown_campaign[item], shown_day[item]
                if open_reserve[item]:
                    reserved[c] -= shown_reserve[item]
                    reserved_day[d, c] -= shown_reserve[item]
                    pending[c] -= shown_pending[item]
                    open_reserve[item] = False
                if click_at <= shown_end[item]:
                    charge = postable(shown_price[item], budget[c], day_budget[c], posted[c], posted_day[d, c])
                    posted[c] += charge
                    posted_day[d, c] += charge
                    valid[c] += shown_price[item]
                    by_hour[min(int(click_at // 3600.0), days * 24 - 1)] += charge
                    seeker_posted[shown_seeker[item]] += charge
                    if charge > 0:  # a price of 0 is legal where no reserve asks for more
                        billed_value[c] += shown_value[item] * charge / shown_price[item]
            elif expiry == first:
                if open_reserve[oldest]:
                    c, d = shown_campaign[oldest], shown_day[oldest]
                    reserved[c] -= shown_reserve[oldest]
                    reserved_day[d, c] -= shown_reserve[oldest]
                    pending[c] -= shown_pending[oldest]
                    open_reserve[oldest] = False
                oldest += 1
            else:
                minute += 1
                if eta > 0.0:
                    day, of_day = (minute - 1) // MINUTES_A_DAY, (minute - 1) % MINUTES_A_DAY + 1
                    for c in range(campaigns):
                        if not opens[c] <= tick - 60.0 < closes[c]:
                            spent_before[c] = 0.0  # nothing to steer; the price waits
                            continue
                        # a campaign that closes today has until then to spend the day's money
                        last = math.ceil(min(1.0 * MINUTES_A_DAY, (closes[c] - day * 86_400.0) / 60.0))
                        allowed = min(day_budget[c], budget[c] - posted[c] + posted_day[day, c])
                        spent = posted_day[day, c] + pending[c]
                        if of_day == 1:
                            spent_before[c] = 0.0
                        price[c] = next_price(
                            price[c],
                            spent,
                            spent_before[c],
                            float(allowed),
                            share[of_day] / share[last],
                            share[of_day - 1] / share[last],
                            eta,
                            price_floor,
                        )
                        spent_before[c] = spent
        if visit == len(visit_seeker):
            break

        s, number = visit_seeker[visit], visit_number[visit]
        visit += 1
        day = min(int(now // 86_400.0), days - 1)
        count = 0
        for e in range(start[s], start[s + 1]):
            if not eligible[e] or clicked_pair[e] or exposures[e] >= frequency_cap:
                continue
            c = campaign[e]
            if not opens[c] <= now < closes[c]:
                continue
            bid = paced_bid(value[e], price[c], max_bid[c])
            free = free_micros(
                budget[c], day_budget[c], posted[c], posted_day[day, c], reserved[c], reserved_day[day, c]
            )
            if bid < reserve[c] or free < 1 or free < reservation(p_click[e], bid, kappa):
                continue
            entry[count], bids[count], floors[count], chances[count] = e, bid, reserve[c], p_click[e]
            count += 1
        sold = run_auction(bids[:count], chances[:count], floors[:count], slots, pricing, winner, cost)

        slot, rank_in_list = 0, 0
        for place in range(page):
            seen = exam[place]
            if slot < sold and place == promoted_positions[slot]:
                e = entry[winner[slot]]
                c = campaign[e]
                impressions[c] += 1
                seeker_shown[s] += 1
                chance = seen / (1.0 + math.exp(-(click_logit[e] + repeat_effect * exposures[e])))
                exposures[e] += 1
                item = shown_count
                shown_count += 1
                shown_campaign[item], shown_day[item], shown_seeker[item] = c, day, s
                shown_price[item] = cost[slot]
                shown_reserve[item] = reservation(p_click[e] * seen, cost[slot], kappa)
                shown_pending[item] = p_click[e] * seen * cost[slot]
                shown_value[item] = p_apply[e] * grade[e]
                shown_end[item] = now + TOKEN_SECONDS
                open_reserve[item] = True
                reserved[c] += shown_reserve[item]
                reserved_day[day, c] += shown_reserve[item]
                pending[c] += shown_pending[item]
                if hash_uniform(number, job[c], seed) < chance:
                    clicked_pair[e] = True
                    clicks[c] += 1
                    click_time[item] = now - click_delay * math.log(1.0 - hash_uniform(number, job[c], seed + 1))
                    _push(heap, heap_size, click_time, item)
                    heap_size += 1
                    if hash_uniform(number, job[c], seed + 2) < p_apply[e]:
                        applications[c] += 1
                        qualified[c] += grade[e]
                        seeker_qualified[s] += grade[e]
                        chance_hire = grade[e] * hire_given_qualified
                        if hires[c] < openings[c] and hash_uniform(number, job[c], seed + 3) < chance_hire:
                            hires[c] += 1
                slot += 1
                continue
            # an organic place; jobs already promoted on this page or applied to are passed over
            while rank_in_list < organic_job.shape[1]:
                shown_already = organic_applied[s, rank_in_list] or organic_job[s, rank_in_list] < 0
                for other in range(sold):
                    if job[campaign[entry[winner[other]]]] == organic_job[s, rank_in_list]:
                        shown_already = True
                if not shown_already:
                    break
                rank_in_list += 1
            if rank_in_list >= organic_job.shape[1]:
                continue
            r = rank_in_list
            rank_in_list += 1
            organic[0] += 1
            chance = seen / (1.0 + math.exp(-(organic_logit[s, r] + repeat_effect * organic_exposures[s, r])))
            organic_exposures[s, r] += 1
            if hash_uniform(number, organic_job[s, r], seed) < chance:
                organic[1] += 1
                if hash_uniform(number, organic_job[s, r], seed + 2) < organic_apply[s, r]:
                    organic_applied[s, r] = True
                    organic[2] += 1
                    organic[3] += organic_grade[s, r]
    return (
        posted, valid, impressions, clicks, applications, qualified, hires, billed_value, posted_day[:days], by_hour,
        seeker_posted, seeker_qualified, seeker_shown, organic, price,
    )  # fmt: skip
