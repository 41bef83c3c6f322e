"""One round of serving with the current model: auction, lots, clicks, money, and the log tables it leaves behind.

Rank, price and lots are production's (`sim.slate_policy`, `targeting.selling`), charges are those of the ledger. Clicks
come at once, so nothing waits in a reserve, and no bid is paced. The click, like in the market loop, is drawn by
(visit, job): two arms that show the same job in the same place see the same click.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.behaviour import examination, hash_uniform
from sim.log_tables import education_before, log_table
from sim.market import Market
from sim.slate_policy import Choices, SlatePolicy
from sim.world import World
from targeting.exploration import Chance
from targeting.ledger import free_micros, postable
from targeting.serving import ServingConfig

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class ServedRound:
    """n promoted impressions: visit (its stable number), seeker (row of the market), campaign, pair int64[n]; position
    int64[n] from 1; second, propensity float64[n]; explored, clicked, applied bool[n]; posted int64[C] micros.

    visitors: how many seekers came at all.
    """

    visit: np.ndarray
    seeker: np.ndarray
    campaign: np.ndarray
    pair: np.ndarray
    position: np.ndarray
    second: np.ndarray
    propensity: np.ndarray
    explored: np.ndarray
    clicked: np.ndarray
    applied: np.ndarray
    posted: np.ndarray
    visitors: int

    def __len__(self) -> int:
        return len(self.visit)


def serve(
    world: World,
    market: Market,
    eligible: np.ndarray,
    visits: np.ndarray,
    policy: SlatePolicy,
    chance: Chance,
    serving: ServingConfig,
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> ServedRound:
    """Serve the rows `visits` of the market's traffic, in time order; eligible bool[pairs] may be shown.

    A campaign is shown to a seeker at most `serving.per_day` times a round and not after a click; `advance` hears of
    visits done.
    """
    pairs, terms, traffic = market.pairs, market.terms, market.traffic
    seen_at = examination(world.behaviour, market.config.page)
    repeat, slots = world.behaviour["click"]["repeat"], len(market.config.promoted_positions)
    posted = np.zeros(len(terms.job), np.int64)
    posted_day = np.zeros((market.config.days, len(terms.job)), np.int64)
    free = np.minimum(terms.budget, terms.day_budget)
    exposures, clicked_pair = np.zeros(len(pairs.campaign), np.int64), np.zeros(len(pairs.campaign), bool)
    day, rows = 0, []
    for done, at in enumerate(visits.tolist()):
        seeker, second, number = int(traffic.seeker[at]), float(traffic.second[at]), int(traffic.number[at])
        today = min(int(second // DAY_SECONDS), market.config.days - 1)
        if today != day:
            day = today
            free = np.minimum(terms.budget - posted, terms.day_budget)
        mine = np.arange(pairs.start[seeker], pairs.start[seeker + 1])
        mine = mine[eligible[mine] & ~clicked_pair[mine] & (exposures[mine] < serving.per_day)]
        mine = mine[free[pairs.campaign[mine]] > 0]
        campaign = pairs.campaign[mine]
        p_click = pairs.p_click[mine].astype(float)
        choices = Choices(
            terms.max_bid[campaign], p_click, pairs.value_per_click[mine], p_click, np.ones(len(mine), bool), len(mine)
        )
        auction, lottery = policy.auction(choices, slots), policy.lottery(choices, slots)
        for slot, placed in enumerate(lottery.draw(chance)):
            place, pair, c = (
                market.config.promoted_positions[slot],
                int(mine[placed.candidate]),
                int(campaign[placed.candidate]),
            )
            logit = float(pairs.click_logit[pair]) + repeat * exposures[pair]
            exposures[pair] += 1
            job = int(terms.job[c])
            clicked = hash_uniform(number, job, seed) < seen_at[place] / (1 + np.exp(-logit))
            applied = clicked and hash_uniform(number, job, seed + 2) < pairs.p_apply[pair]
            if clicked:
                clicked_pair[pair] = True
                price = auction.price_at(slot, placed)
                charge = postable(price, terms.budget[c], terms.day_budget[c], posted[c], posted_day[day, c])
                posted[c] += charge
                posted_day[day, c] += charge
                free[c] = free_micros(terms.budget[c], terms.day_budget[c], posted[c], posted_day[day, c], 0, 0)
            rows.append(
                (number, seeker, c, pair, place + 1, second, placed.propensity, placed.explored, clicked, applied)
            )
        if done % 256 == 255:
            advance(256)
    assert (posted <= terms.budget).all(), "a campaign was billed above its budget"
    assert (posted_day <= terms.day_budget).all(), "a campaign was billed above its daily cap"
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 10
    kinds = [np.int64] * 5 + [float] * 2 + [bool] * 3
    visitors = len(np.unique(traffic.seeker[visits]))
    return ServedRound(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)), posted, visitors)


def round_tables(world: World, market: Market, served: ServedRound, day: float, prefix: str) -> dict[str, pa.Table]:
    """The log tables of a round that opened on `day` (days since 1970): events, and what they speak of.

    Positions are those known when the window opened; where people go next is not on record yet. prefix makes event and
    request ids of different rounds differ.
    """
    seeker = np.array([world.seeker_id(int(row)) for row in market.seeker], dtype=object)
    job = np.array([f"w{row}" for row in market.terms.job], dtype=object)
    request = np.array([f"{prefix}-{number}" for number in served.visit], dtype=object)
    shown = pd.DataFrame(
        {
            "event_id": [f"{prefix}-i{row}" for row in range(len(served))],
            "seeker_id": seeker[served.seeker],
            "job_id": job[served.campaign],
            "request_id": request,
            "position": served.position,
            "promoted": True,
            "propensity": served.propensity,
            "day": day + (served.second + served.position) / DAY_SECONDS,
        }
    )
    clicks = shown[served.clicked].assign(day=lambda rows: rows.day + 1 / 1440)
    applications = shown[served.applied].assign(day=lambda rows: rows.day + 6 / 1440)
    events = {"impressions": shown, "clicks": clicks, "applications": applications}
    tables = {
        name: log_table(
            name, frame.assign(event_id=[f"{name[:2]}-{event}" for event in frame.event_id]), {"occurred_at": "day"}
        )
        for name, frame in events.items()
    }
    return tables | _spoken_of(world, market, served, seeker)


def _spoken_of(world: World, market: Market, served: ServedRound, seeker_id: np.ndarray) -> dict[str, pa.Table]:
    """Jobs of the campaigns, and profile and positions of the seekers who were shown any."""
    jobs, lives, taxonomy = world.inventory, world.lives, world.careers.taxonomy
    codes, areas = np.asarray(taxonomy.codes, dtype=object), np.asarray(world.metros.ids, dtype=object)
    row = market.terms.job
    postings = pd.DataFrame(
        {
            "job_id": [f"w{j}" for j in row],
            "account_id": [f"acc-{jobs.employer[j]}" for j in row],
            "employer_id": [f"e{jobs.employer[j]}" for j in row],
            "occupation": codes[jobs.occupation[row]],
            "title": [world.title(jobs, int(j)) for j in row],
            "geo": areas[jobs.metro[row]],
            "wage": np.round(jobs.wage[row], 2),
            "posted": jobs.posted_day[row],
        }
    )
    start, end, _ = lives.known_at(world.window_day)
    who = np.unique(served.seeker)
    life = market.seeker[who]
    held = np.concatenate([np.arange(start[s], end[s]) for s in life]) if len(life) else np.zeros(0, np.int64)
    of_row = np.repeat(who, (end - start)[life])
    positions = pd.DataFrame(
        {
            "seeker_id": seeker_id[of_row],
            "employer_id": [f"e{i}" for i in lives.employer[held]],
            "occupation": codes[lives.occupation[held]],
            "title": [world.facts.titles[o][0] for o in lives.occupation[held]],
            "geo": areas[lives.metro[lives.seeker[held]]],
            "started": lives.start_day[held],
            "recorded": lives.start_day[held],
        }
    )
    schooling = education_before(world)[life].astype(float)
    seekers = pd.DataFrame(
        {
            "seeker_id": seeker_id[who],
            "geo": areas[lives.metro[life]],
            "education_years": np.where(np.isnan(schooling), None, schooling),
            "updated": world.window_day,
        }
    )
    return {
        "jobs": log_table("jobs", postings, {"posted_at": "posted"}),
        "positions": log_table("positions", positions, {"started_at": "started", "recorded_at": "recorded"}),
        "seekers": log_table("seekers", seekers, {"updated_at": "updated"}),
    }
