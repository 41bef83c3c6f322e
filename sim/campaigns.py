"""Which vacancies are promoted, for how long, and with how much money: a rule that sees no arm.

    budget of the window = level x openings x clicks an employer plans for one x market CPC

spread evenly over the window's days; a campaign that opens later has its days' part. It ends when its vacancy is
filled, which nobody knows beforehand, so its last days' money is never spent. Employers that promote one vacancy tend
to promote others: campaigns of one employer (the account) compete with each other like everybody's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from market.errors import ConfigError
from market.money import Money
from sim.loop import Terms
from sim.world import World

if TYPE_CHECKING:
    from sim.market import MarketConfig

DAY_SECONDS = 86_400.0
MICROS = 1_000_000


def draw_campaigns(world: World, config: MarketConfig, rng: np.random.Generator) -> Terms:
    """The campaigns of one market, at most one a vacancy, sorted by vacancy."""
    jobs, rules = world.inventory, world.behaviour["campaigns"]
    if config.days > world.config.posting_days:
        raise ConfigError(
            f"a window of {config.days} days, but the world knows postings of {world.config.posting_days} only; "
            "build it with posting_days of at least the window"
        )
    first = world.window_day
    job = _promoted(world, jobs.open_between(first, first + config.days), config.campaigns, rng)
    level = (jobs.wage[job] / jobs.wage.mean()) ** rules["cpc_wage_elasticity"]
    base = rules["market_cpc"] * level
    market_cpc = base * np.exp(rng.normal(0, rules["cpc_sd"], len(job)))
    opens_day = np.maximum(0, jobs.posted_day[job] - first)
    planned = config.budget_level * jobs.openings[job] * rules["clicks_per_opening"] * market_cpc
    budget = planned * (config.days - opens_day) / config.days
    micros = np.maximum(1, np.round(budget * MICROS)).astype(np.int64)
    for amount in micros[:1]:
        Money(int(amount), config.currency)  # one currency per campaign; refuses what can not be held
    terms = Terms(
        job.astype(np.int32),
        micros,
        micros,
        np.maximum(2, np.round(market_cpc * MICROS)).astype(np.int64),
        np.maximum(1, np.round(base * rules["reserve_share"] * MICROS)).astype(np.int64),
        jobs.openings[job],
        opens_day * DAY_SECONDS,
        (jobs.expires_day[job] - first) * DAY_SECONDS,
    )
    return with_budgets(terms, micros, config.days)


def with_budgets(terms: Terms, budget: np.ndarray, days: int) -> Terms:
    """The same campaigns with other totals int64[C]: the daily cap is an even share of the planned days, rounded up."""
    return replace(terms, budget=budget, day_budget=-(-budget // planned_days(terms, days)))


def planned_days(terms: Terms, days: int) -> np.ndarray:
    """int64[C]: days from a campaign's opening to the end of the window, at least 1."""
    return np.maximum(1, days - (terms.opens // DAY_SECONDS).astype(np.int64))


def live_days(terms: Terms, days: int) -> np.ndarray:
    """bool[days, C]: whether a campaign is live on a day of the window; lives are whole days."""
    day = np.arange(days)[:, None] * DAY_SECONDS
    return np.asarray((terms.opens < day + DAY_SECONDS) & (terms.closes > day))


def _promoted(world: World, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """int64[min(count, n)] of `rows`, ascending: the highest of employer's effect + own effect (Gumbel)."""
    employers, of_row = np.unique(world.inventory.employer[rows], return_inverse=True)
    effect = rng.normal(0, world.behaviour["campaigns"]["employer_sd"], len(employers))[of_row]
    keen = effect + rng.gumbel(size=len(rows))
    return np.sort(rows[np.argsort(-keen, kind="stable")[:count]])
