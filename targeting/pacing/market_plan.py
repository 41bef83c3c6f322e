"""The plan of the live market: who should be shown to whom at an average hour of what is left of everybody's day.

    segments     present occupation x area, as traffic is counted; supply: requests x slots that are sold of each
    pairs        a campaign and a segment of its area in which its job is retrieved and its ceiling wins half of the
                 slates; at most `segments` of a campaign, those that could bring most
    budget       what is left of the day, an average hour;  cost: P(click) x the price such a click went for lately
    openings     segments that lack one thing: a higher bid, or that the job be among the best for those seekers

An hour and not a day, since days end at other times in other zones; prices do not depend on it. Campaigns for clicks
count a click as what it is worth to the others on average (`exchange`), so that all plan in one unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from market.records import Job
from targeting.campaigns import Campaign
from targeting.forecast import TrackRecord, bar_shares
from targeting.pacing.lookahead import supply_ratio
from targeting.pacing.prices import unit_of, worth
from targeting.pacing.problem import PlanProblem
from targeting.pacing.reasons import Openings
from targeting.prospects import Prospects
from targeting.supply import Cells, cells_of, fit_shape, hours_between
from targeting.traffic import EMPTY, LEVELS, UNKNOWN, History, bar_of

UNIT = 1_000_000.0  # micros to a unit of money in the plan
RETRIEVED = 0.02  # chance to be among the best below which a job counts as not retrieved
WINS = 0.5
OPENINGS = 5  # of each kind, of one campaign


@dataclass(frozen=True)
class Entry:
    """A campaign as it enters a plan. budget: micros left of its day; hours: average hours left of it."""

    campaign: Campaign
    job: Job
    prospects: Prospects
    budget: float
    hours: float


@dataclass(frozen=True)
class Traffic:
    """What the plan is made of besides campaigns. prices: as of `History`; slots: promoted ones sold of a request;
    open_share: left by the frequency cap; click_rate: clicks beside expected ones."""

    cells: Cells
    prices: Mapping[str, Mapping[int, int]]
    slots: float
    open_share: float = 1.0
    click_rate: float = 1.0


def traffic_of(
    history: History, recent: History, section_of: Mapping[str, str], track: TrackRecord, trust: float, shrinkage: float
) -> Traffic:
    """What a plan assumes of the next hours: the level of `history`, corrected by what came in `recent`.

    Where most slates were full, only the slots that were sold are supply: the rest may not be filled with ads.
    """
    cells = cells_of(history, section_of)
    shape, _, _ = fit_shape(history, "UTC")
    hours = sum(weight for _, weight in hours_between(shape, "UTC", recent.since, recent.until))
    seen = np.array([[recent.cells.get((code, area), 0) for area in cells.areas] for code in cells.occupations], float)
    ratio = supply_ratio(seen.ravel(), (cells.level * hours).ravel(), shrinkage).reshape(cells.level.shape)
    full = 1.0 - float(bar_shares(("",), history.prices)[0, 0]) if history.prices else 0.0
    slots = history.sold if full >= WINS else history.slots
    rate = (track.clicks + trust) / (track.expected_clicks + trust)
    return Traffic(
        replace(cells, level=cells.level * ratio),
        history.prices,
        slots / max(history.total, 1),
        track.open_share,
        rate,
    )


@dataclass(frozen=True)
class MarketPlan:
    """problem, openings, bid float64[C] in units of money and hires an average hour; campaigns in the order of the
    entries. segments: (occupation, area) in the order of the supply; exchange: hires that a click counts as."""

    problem: PlanProblem
    openings: Openings
    bid: np.ndarray
    segments: tuple[tuple[str, str], ...]
    exchange: float


class Bars:
    """What it took to win: float64[n, 1 + LEVELS] shares of slates at or below each level, and their mean bar."""

    def __init__(self, occupations: tuple[str, ...], prices: Mapping[str, Mapping[int, int]]) -> None:
        shares = bar_shares(occupations, prices)
        self._bars = np.array([bar_of(level + 0.5) if level > EMPTY else 0.0 for level in range(EMPTY, LEVELS)])
        self._won = np.cumsum(shares, axis=1)
        self._paid = np.cumsum(shares * self._bars, axis=1)
        self._middle = self._bars[(self._won >= WINS).argmax(axis=1)]  # [n]

    def at(self, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(share of slates that a score wins, mean bar of those) float64[n]; score: expected micros an impression."""
        level = np.searchsorted(self._bars, score, side="right") - 1
        rows, found = np.arange(len(score)), np.maximum(level, 0)
        won = np.where((level >= 0) & (score > 0), self._won[rows, found], 0.0)
        return won, np.where(won > 0, self._paid[rows, found] / np.maximum(won, 1e-300), 0.0)

    @property
    def middle(self) -> np.ndarray:
        """float64[n]: the bar that half of the slates are won at."""
        found: np.ndarray = self._middle
        return found


def market_plan(entries: Sequence[Entry], traffic: Traffic, segments: int) -> MarketPlan:
    """The planning problem of these campaigns; segments: most pairs of one campaign."""
    cells, bars = traffic.cells, Bars(traffic.cells.occupations, traffic.prices)
    areas = len(cells.areas)
    place: dict[int, np.ndarray] = {}
    column = {area: at for at, area in enumerate(cells.areas)}
    everywhere = np.arange(areas)
    pairs: list[tuple[np.ndarray, ...]] = []  # (campaign, segment, qualified or clicks, cost, bid needed, kind)
    for number, entry in enumerate(entries):
        found = entry.prospects
        if id(found.occupations) not in place:
            known = {code: at for at, code in enumerate(found.occupations)}
            place[id(found.occupations)] = np.array(
                [known.get(code, len(known) - 1) for code in cells.occupations], np.int64
            )
        at = place[id(found.occupations)]
        near = [column[name] for name in dict.fromkeys((entry.job.geo.strip(), UNKNOWN)) if name in column]
        here = everywhere if entry.job.remote else np.array(near, np.int64)
        pairs.append(_pairs_of(number, entry, at, here, cells, bars, traffic.click_rate, segments))
    campaign, segment, value, cost, needed, kind = (
        np.concatenate([part[side] for part in pairs]) if pairs else np.zeros(0) for side in range(6)
    )
    clicks = np.array([unit_of(entry.campaign) == "clicks" for entry in entries], bool)[campaign.astype(np.int64)]
    exchange = _exchange(entries)
    value = np.where(clicks, value * exchange, value)
    used, segment = np.unique(segment.astype(np.int64), return_inverse=True)
    supply = cells.level.ravel()[used] * traffic.slots * traffic.open_share
    budget = np.array([entry.budget / max(entry.hours, 0.25) for entry in entries]) / UNIT
    is_pair = kind == 0
    problem = PlanProblem(
        budget,
        supply,
        campaign[is_pair].astype(np.int64),
        segment[is_pair],
        value[is_pair],
        cost[is_pair] / UNIT,
    )
    openings = Openings(
        campaign[~is_pair].astype(np.int64),
        segment[~is_pair],
        value[~is_pair],
        cost[~is_pair] / UNIT,
        needed[~is_pair] / UNIT,
    )
    names = tuple((cells.occupations[s // areas], cells.areas[s % areas]) for s in used.tolist())
    bid = np.array([entry.prospects.bid_micros / UNIT for entry in entries])
    return MarketPlan(problem, openings, bid, names, exchange)


def _pairs_of(
    number: int,
    entry: Entry,
    at: np.ndarray,
    here: np.ndarray,
    cells: Cells,
    bars: Bars,
    click_rate: float,
    most: int,
) -> tuple[np.ndarray, ...]:
    """Columns of the campaign's pairs (kind 0) and openings (kind 1), [m] each."""
    found = entry.prospects
    chance = np.clip(found.p_click[at], 0.0, 1.0)  # [n]
    click = np.minimum(chance * click_rate, 1.0)
    of_click = np.full(len(at), worth(entry.campaign, 1.0))
    if unit_of(entry.campaign) != "clicks":
        of_click = np.nan_to_num(found.value[at])
    value = click * of_click
    won, bar = bars.at(found.bid_micros * chance)
    safe = np.maximum(chance, 1e-12)
    price = np.clip(bar / safe, found.reserve_micros, max(found.bid_micros, found.reserve_micros))
    needed = np.maximum(bars.middle / safe, found.reserve_micros)
    level = cells.level[:, here]  # [n, a]
    good = (chance > 0) & (value > 0)
    retrieved = found.retrieved[at]
    in_reach, wins = good & (retrieved >= RETRIEVED), (won >= WINS) & (found.bid_micros >= found.reserve_micros)
    columns = []
    for chosen, limit, kind, paid in (
        (in_reach & wins, most, 0, price),
        (in_reach & ~wins, OPENINGS, 1, needed),
        (good & ~in_reach & wins, OPENINGS, 1, price),
    ):
        worth_of = np.where(chosen, value * np.maximum(retrieved, RETRIEVED), 0.0)[:, None] * level  # [n, a]
        flat = worth_of.ravel()
        best = np.flatnonzero(flat > 0)
        if len(best) > limit:
            best = np.sort(best[np.argpartition(-flat[best], limit - 1)[:limit]])
        if not len(best):
            continue
        row, area = best // len(here), here[best % len(here)]
        columns.append(
            (
                np.full(len(best), number),
                row * cells.level.shape[1] + area,
                value[row],
                click[row] * paid[row],
                (needed if kind else paid)[row],
                np.full(len(best), kind),
            )
        )
    if not columns:
        return tuple(np.zeros(0) for _ in range(6))
    return tuple(np.concatenate([part[side] for part in columns]) for side in range(6))


def _exchange(entries: Sequence[Entry]) -> float:
    """Qualified applications a click brings on average over the audiences of the campaigns that count those."""
    means = [
        float(np.average(np.nan_to_num(entry.prospects.value), weights=entry.prospects.p_click + 1e-12))
        for entry in entries
        if unit_of(entry.campaign) != "clicks"
    ]
    found = float(np.median(means)) if means else 0.0
    return found if found > 0 else 1.0
