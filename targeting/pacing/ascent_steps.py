"""The compiled passes of dual ascent over a market of campaigns, segments and buckets of time (the day form has one).

Pairs lie segment by segment, start int64[S + 1]; a pair's row over the buckets is contiguous. One thread, so that the
same problem gives the same plan.
"""

from __future__ import annotations

import numpy as np

from market.compiled import njit

CLOSED = -1e30  # value of a pair in a bucket in which it may not be shown
MOST_NEWTON_STEPS = 50


@njit()
def respond(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    price: np.ndarray,
    bonus: np.ndarray,
    gamma: float,
    cap: float,
    share: np.ndarray,
    theta: np.ndarray,
    mean: np.ndarray,
    weight: float,
    spend: np.ndarray,
    shown: np.ndarray,
) -> None:
    """What every segment shows at these prices, smoothed by gamma, into share, spend and shown.

        r = (value - price * cost + bonus) / gamma
        share = clip(r - theta, 0, cap),   theta >= 0 smallest with sum of the shares <= 1

    theta by Newton on the piecewise linear sum, from the last pass's theta, bisecting where a step leaves the bracket.
    The running mean moves by `weight` towards the shares. value, share, mean [P, T], cost [P], supply, theta [S, T],
    price, spend [C, T], bonus, shown [C].
    """
    buckets = supply.shape[1]
    spend[:] = 0.0
    shown[:] = 0.0
    total = np.empty(buckets, np.float32)
    per_gamma = np.float32(1.0 / gamma)
    most = np.float32(cap)
    zero, one = np.float32(0.0), np.float32(1.0)
    for s in range(len(start) - 1):
        first, end = start[s], start[s + 1]
        total[:] = zero
        for i in range(first, end):
            c = campaign[i]
            each, extra = np.float32(cost[i]), np.float32(bonus[c])
            for t in range(buckets):
                r = (value[i, t] - price[c, t] * each + extra) * per_gamma
                share[i, t] = r
                total[t] += min(max(r, zero), most)
        for t in range(buckets):
            level = zero
            if total[t] > one:
                low, high = zero, zero
                for i in range(first, end):
                    high = max(high, share[i, t])
                level = theta[s, t]
                if level <= low or level >= high:
                    level = np.float32(0.5) * high
                for _ in range(MOST_NEWTON_STEPS):
                    over, slope = -one, 0
                    for i in range(first, end):
                        r = share[i, t] - level
                        if r > zero:
                            if r < most:
                                over += r
                                slope += 1
                            else:
                                over += most
                    if abs(over) < 1e-6:
                        break
                    if over > zero:
                        low = level
                    else:
                        high = level
                    level = level + over / slope if slope > 0 else high
                    if level <= low or level >= high:
                        level = np.float32(0.5) * (low + high)
            theta[s, t] = level
        for i in range(first, end):
            c = campaign[i]
            each = np.float32(cost[i])
            seen = 0.0
            for t in range(buckets):
                z = min(max(share[i, t] - theta[s, t], zero), most)
                share[i, t] = z
                x = z * supply[s, t]
                spend[c, t] += each * x
                seen += x
            shown[c] += seen
            if weight > 0:
                for t in range(buckets):
                    mean[i, t] += np.float32(weight) * (share[i, t] - mean[i, t])


@njit()
def curvature(
    start: np.ndarray,
    campaign: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    share: np.ndarray,
    cap: float,
    bent: np.ndarray,
    bent_shown: np.ndarray,
) -> None:
    """Sums over the shares that prices can move: of cost^2 * supply into bent [C, T], of supply into bent_shown [C]."""
    bent[:] = 0.0
    bent_shown[:] = 0.0
    for s in range(len(start) - 1):
        for i in range(start[s], start[s + 1]):
            c = campaign[i]
            for t in range(supply.shape[1]):
                if 0.0 < share[i, t] < cap:
                    bent[c, t] += cost[i] * cost[i] * supply[s, t]
                    bent_shown[c] += supply[s, t]


@njit()
def best_mixes(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    price: np.ndarray,
    bonus: np.ndarray,
    cap: float,
) -> float:
    """Sum over segments and buckets of supply * the best mix of value - price * cost + bonus; no share above cap."""
    buckets = supply.shape[1]
    places = int(np.ceil(1.0 / cap - 1e-12))
    top = np.empty((places, buckets))
    answer = 0.0
    for s in range(len(start) - 1):
        top[:] = 0.0
        for i in range(start[s], start[s + 1]):
            c = campaign[i]
            for t in range(buckets):
                r = value[i, t] - price[c, t] * cost[i] + bonus[c]
                place = places - 1
                if r <= top[place, t]:
                    continue
                while place > 0 and r > top[place - 1, t]:
                    top[place, t] = top[place - 1, t]
                    place -= 1
                top[place, t] = r
        for t in range(buckets):
            left, mix = 1.0, 0.0
            for place in range(places):
                part = min(cap, left)
                mix += part * top[place, t]
                left -= part
            answer += supply[s, t] * mix
    return answer


@njit()
def spend_of(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    share: np.ndarray,
    cap: float,
    spend: np.ndarray,
) -> None:
    """What the shares cost, into spend [C, T]: in float64, for the repair has to hold to the last digit."""
    spend[:] = 0.0
    for s in range(len(start) - 1):
        for i in range(start[s], start[s + 1]):
            for t in range(supply.shape[1]):
                if value[i, t] >= 0:
                    spend[campaign[i], t] += min(max(share[i, t], 0.0), cap) * supply[s, t] * cost[i]


@njit()
def amounts_of(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    share: np.ndarray,
    factor: np.ndarray,
    cap: float,
    money: np.ndarray,
    bucket_money: np.ndarray,
    impressions: np.ndarray,
    left: np.ndarray,
) -> None:
    """Impressions [P, T] = shares * supply * factor [C, T], cut to fit every supply; what is left of all limits.

    money [C] and bucket_money [C, T] come in as the limits and go out as what remains, as does left [S, T] of supply.
    """
    buckets = supply.shape[1]
    for s in range(len(start) - 1):
        for t in range(buckets):
            total = 0.0
            for i in range(start[s], start[s + 1]):
                if value[i, t] >= 0:
                    total += min(max(share[i, t], 0.0), cap)
            fit = supply[s, t] * (1.0 - 1e-13) / max(total, 1.0)
            left[s, t] = supply[s, t]
            for i in range(start[s], start[s + 1]):
                x = 0.0
                if value[i, t] >= 0:
                    x = min(max(share[i, t], 0.0), cap) * fit * factor[campaign[i], t]
                impressions[i, t] = x
                left[s, t] -= x
                money[campaign[i]] -= x * cost[i]
                bucket_money[campaign[i], t] -= x * cost[i]


@njit()
def top_up(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    supply: np.ndarray,
    price: np.ndarray,
    bonus: np.ndarray,
    cap: float,
    loss: float,
    money: np.ndarray,
    bucket_money: np.ndarray,
    impressions: np.ndarray,
    left: np.ndarray,
) -> None:
    """Hand what is left to pairs whose reduced value is at least -loss * value, the best pair of a segment first."""
    buckets = supply.shape[1]
    safe = 1.0 - 1e-12
    for s in range(len(start) - 1):
        for t in range(buckets):
            floor = 1e-9 * supply[s, t]
            last, last_pair = np.inf, -1
            while left[s, t] > floor:
                # The next best pair that was not looked at yet: segments hold few pairs, so no sort.
                chosen, best = -1, -np.inf
                for i in range(start[s], start[s + 1]):
                    c = campaign[i]
                    if value[i, t] < 0 or value[i, t] + bonus[c] <= 0 or money[c] <= 0 or bucket_money[c, t] <= 0:
                        continue
                    reduced = value[i, t] - price[c, t] * cost[i] + bonus[c]
                    ahead = reduced < last or (reduced == last and i > last_pair)
                    if ahead and reduced > best and reduced >= -loss * value[i, t]:
                        chosen, best = i, reduced
                if chosen < 0:
                    break
                last, last_pair = best, chosen
                c = campaign[chosen]
                room = min(left[s, t], cap * supply[s, t] * safe - impressions[chosen, t])
                if cost[chosen] > 0:
                    room = min(room, min(money[c], bucket_money[c, t]) / cost[chosen]) * safe
                if room > 0:
                    impressions[chosen, t] += room
                    left[s, t] -= room
                    money[c] -= room * cost[chosen]
                    bucket_money[c, t] -= room * cost[chosen]
