"""The market clock on markets of a few campaigns and visits that can be followed by hand, beside a slow twin."""

from __future__ import annotations

import heapq
import math
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.behaviour import hash_uniform
from sim.loop import (
    GRACE_SECONDS,
    TOKEN_SECONDS,
    OrganicLists,
    Outcome,
    Pacing,
    Pairs,
    Rules,
    Terms,
    Traffic,
    play_market,
)
from sim.loop_kernel import SERVING_TRIES
from targeting.auction import PRICING, run_auction
from targeting.ledger import free_micros, held_micros, postable
from targeting.pacing.descent import next_price, paced_bid
from targeting.serving import ServingConfig
from targeting.storage.journal import BillingConfig

ALWAYS, NEVER = 60.0, -60.0  # click logits
HOUR, DAY = 3_600.0, 86_400.0
EVEN = np.linspace(0, 1, 1441)
PACING = {"start_price", "eta", "floor", "share"}


@dataclass(frozen=True)
class Campaign:
    """One campaign; its job in the inventory is job, else 100 + its number."""

    budget: int = 1_000_000
    day_budget: int = 1_000_000
    max_bid: int = 1_000
    reserve: int = 1
    openings: int = 1_000
    job: int | None = None
    opens: float = 0.0
    closes: float = math.inf


@dataclass(frozen=True)
class Pair:
    """A seeker and a campaign: the estimates, then the truth."""

    seeker: int
    campaign: int
    p_click: float = 0.125
    value: float = 1.0
    logit: float = ALWAYS
    p_apply: float = 1.0
    grade: float = 1.0


@dataclass(frozen=True)
class Small:
    """A small market. visits are (second, seeker) in time order; organic lists the jobs of each seeker."""

    campaigns: Sequence[Campaign]
    pairs: Sequence[Pair]
    visits: Sequence[tuple[float, int]]
    organic: Sequence[Sequence[int]] = ()
    organic_logit: float = NEVER
    organic_life: tuple[float, float] = (0.0, np.inf)  # of the best job of every list
    days: int = 1
    positions: tuple[int, ...] = (0,)
    page: int = 1
    exam: tuple[float, ...] = (1.0,) * 10
    rules: dict[str, Any] = field(default_factory=dict)  # fields of Rules and Pacing that differ

    @property
    def seekers(self) -> int:
        return 1 + max([p.seeker for p in self.pairs] + [s for _, s in self.visits] + [len(self.organic) - 1, 0])

    @property
    def jobs(self) -> list[int]:
        return [100 + c if it.job is None else it.job for c, it in enumerate(self.campaigns)]

    def site(self) -> Rules:
        """Second price, clicks a moment after serving, no cap that binds; `rules` on top."""
        usual: dict[str, Any] = {
            "serving": ServingConfig(max_ad_load=1.0, per_hour=100, per_day=100),
            "frequency_cap": 100,
            "click_delay_seconds": 1.0,
            "seed": 7,
        }
        given = {name: value for name, value in self.rules.items() if name not in PACING}
        return Rules(self.days, self.positions, self.page, np.array(self.exam, np.float32), **(usual | given))

    def pacing(self) -> Pacing:
        """Greedy; `rules` on top."""
        usual: dict[str, Any] = {"start_price": np.zeros(len(self.campaigns)), "floor": 1e-9}
        return Pacing(**(usual | {name: value for name, value in self.rules.items() if name in PACING}))

    def play(self, eligible: Sequence[bool] | None = None) -> Outcome:
        pairs = sorted(self.pairs, key=lambda pair: (pair.seeker, pair.campaign))
        lengths = np.bincount([p.seeker for p in pairs], minlength=self.seekers)
        column = {name: [getattr(p, name) for p in pairs] for name in Pair.__dataclass_fields__}
        width = max([len(jobs) for jobs in self.organic] + [1])
        job = np.full((self.seekers, width), -1, np.int32)
        for seeker, jobs in enumerate(self.organic):
            job[seeker, : len(jobs)] = jobs
        money = ("budget", "day_budget", "max_bid", "reserve")
        return play_market(
            Pairs(
                np.concatenate([[0], np.cumsum(lengths)]),
                np.array(column["campaign"], np.int32),
                *(np.array(column[name], np.float32) for name in ("p_click", "value", "logit", "p_apply", "grade")),
            ),
            np.ones(len(pairs), bool) if eligible is None else np.array(eligible),
            OrganicLists(
                job,
                np.full(job.shape, self.organic_logit, np.float32),
                np.ones(job.shape, np.float32),
                np.ones(job.shape, np.float32),
                *(
                    np.where(np.arange(width) == 0, edge, whole) + np.zeros(job.shape)
                    for edge, whole in zip(self.organic_life, (0.0, np.inf), strict=True)
                ),
            ),
            Traffic(
                np.array([seeker for _, seeker in self.visits], np.int32),
                np.array([second for second, _ in self.visits], np.float64),
                np.arange(len(self.visits), dtype=np.int64),
            ),
            Terms(
                np.array(self.jobs, np.int32),
                *(np.array([getattr(c, name) for c in self.campaigns], np.int64) for name in money),
                np.array([c.openings for c in self.campaigns], np.int32),
                np.array([c.opens for c in self.campaigns]),
                np.array([c.closes for c in self.campaigns]),
            ),
            self.site(),
            self.pacing(),
        )


def one_campaign(visits: int, gap: float = 60.0, seekers: int | None = None, **changes: Any) -> Small:
    """One campaign, `visits` visits by different seekers (or by `seekers` in turn), one every `gap` seconds."""
    people = visits if seekers is None else seekers
    terms = {name: changes.pop(name) for name in Campaign.__dataclass_fields__ if name in changes}
    pair = {name: changes.pop(name) for name in Pair.__dataclass_fields__ if name in changes}
    return Small(
        campaigns=[Campaign(**terms)],
        pairs=[Pair(seeker, 0, **pair) for seeker in range(people)],
        visits=[(gap * (i + 1), i % people) for i in range(visits)],
        **changes,
    )


def test_every_valid_click_posts_its_price_and_money_adds_up() -> None:
    outcome = one_campaign(5, reserve=40).play()
    assert outcome.clicks.tolist() == [5]
    assert outcome.posted.tolist() == outcome.valid.tolist() == [5 * 40]
    assert outcome.by_day.tolist() == [[200]]
    assert outcome.seeker_posted.tolist() == [40] * 5
    assert outcome.by_hour[0] == outcome.by_hour.sum() == 200
    assert outcome.billed_value.tolist() == [5.0]


def test_the_last_click_is_billed_with_what_is_left() -> None:
    outcome = one_campaign(5, gap=2_000, reserve=40, budget=100, day_budget=100, p_click=0.01).play()
    assert outcome.posted.tolist() == [100]
    assert outcome.clicks.tolist() == [3]  # 40 + 40 + 20, then nothing is left to be served for
    assert outcome.valid.tolist() == [120]
    assert outcome.seeker_posted.tolist() == [40, 40, 20, 0, 0]
    assert outcome.billed_value[0] == pytest.approx(2.5)


def test_the_daily_cap_holds_each_day_and_the_total_over_all() -> None:
    small = one_campaign(72, gap=HOUR, days=3, max_bid=100, reserve=40, p_click=0.01, budget=250, day_budget=100)
    outcome = small.play()
    assert outcome.by_day[:, 0].tolist() == [100, 100, 50]
    assert outcome.posted.tolist() == [250]


def test_a_day_is_that_of_serving_not_of_the_click() -> None:
    late = Small([Campaign(reserve=40)], [Pair(0, 0)], [(DAY - 1e-3, 0)], days=2, rules={"click_delay_seconds": 60.0})
    outcome = late.play()
    assert outcome.by_day[:, 0].tolist() == [40, 0]
    assert outcome.by_hour[24] == 40


def test_a_click_after_the_tokens_life_is_a_click_but_neither_valid_nor_billed() -> None:
    outcome = one_campaign(3, reserve=40, rules={"click_delay_seconds": 1e9}).play()
    assert outcome.clicks.tolist() == [3]
    assert outcome.applications.tolist() == [3]  # attributed all the same
    assert outcome.posted.tolist() == outcome.valid.tolist() == [0]


def test_nobody_eligible_means_nothing_shown() -> None:
    outcome = one_campaign(4).play(eligible=[False] * 4)
    assert outcome.impressions.tolist() == outcome.posted.tolist() == [0]
    assert not outcome.seeker_shown.any()


def test_a_market_without_pairs_or_visits_stays_still() -> None:
    for small in (Small([Campaign()], [], [(5.0, 0)]), Small([Campaign()], [Pair(0, 0)], [])):
        outcome = small.play()
        assert outcome.impressions.tolist() == outcome.posted.tolist() == [0]


def test_a_seeker_sees_a_campaign_at_most_as_often_as_the_cap() -> None:
    outcome = one_campaign(9, seekers=1, logit=NEVER, rules={"frequency_cap": 4}).play()
    assert outcome.impressions.tolist() == outcome.seeker_shown.tolist() == [4]


def test_a_seeker_sees_a_campaign_twice_an_hour_and_six_times_a_day() -> None:
    """Visits at 10, 20, ..., 1560 minutes: shown at 10, 20, 70, 80, 130, 140, and as these turn a day old again: 1450,
    1460, 1510, 1520."""
    rules = {"serving": ServingConfig(max_ad_load=1.0), "frequency_cap": 100}
    small = one_campaign(6 * 26, gap=600.0, seekers=1, logit=NEVER, days=2, rules=rules)
    assert small.play().impressions.tolist() == [6 + 4]
    assert replace(small, visits=small.visits[:6]).play().impressions.tolist() == [2]
    assert replace(small, visits=small.visits[:7]).play().impressions.tolist() == [3]  # an hour after the first
    assert replace(small, visits=small.visits[:143]).play().impressions.tolist() == [6]


def test_promoted_items_are_at_most_the_ad_load_but_one_is_always_allowed() -> None:
    """Three slots on a page of ten: all three beside seven organic jobs, two beside five, one beside one or none."""
    for organic, expected in ((7, 3), (20, 3), (6, 2), (5, 2), (4, 1), (1, 1), (0, 1)):
        small = Small(
            [Campaign() for _ in range(3)],
            [Pair(0, c, logit=NEVER) for c in range(3)],
            [(1.0, 0)],
            [list(range(organic + expected))] if organic else [],
            positions=(0, 3, 7),
            page=10,
            rules={"serving": ServingConfig()},
        )
        outcome = small.play()
        listed = organic + expected if organic else 0
        assert outcome.impressions.sum() == ServingConfig().slots(3, min(10, listed), 7) == expected, organic


def test_where_organic_jobs_run_out_the_promoted_ones_close_up() -> None:
    """Places 0 and 5 of a page of six with two organic jobs: the second promoted item stands at place 3."""
    exam = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    small = Small(
        [Campaign(max_bid=200), Campaign(max_bid=100)],
        [Pair(0, 0), Pair(0, 1)],
        [(1.0, 0)],
        [[1, 2]],
        positions=(0, 5),
        page=6,
        exam=exam,
    )
    assert small.play().clicks.tolist() == [0, 1]


def test_who_has_clicked_does_not_see_the_campaign_again() -> None:
    assert one_campaign(9, seekers=1).play().impressions.tolist() == [1]


def test_repeated_exposure_wears_off() -> None:
    """A logit of 60 falls to -40 after the first exposure."""
    small = one_campaign(50, seekers=1, logit=0.0, rules={"repeat_effect": -60.0})
    clicked = [replace(small, rules=small.rules | {"seed": seed}).play().clicks[0] for seed in range(30)]
    assert 5 < sum(clicked) < 25  # one chance of a half each, never a second one


def test_a_promoted_job_is_not_shown_as_organic_on_the_same_page() -> None:
    organic = [[100, 5, 6, 7]]
    promoted = Small([Campaign(job=100)], [Pair(0, 0, logit=NEVER)], [(1.0, 0)], organic, page=3)
    shown = promoted.play()
    assert shown.impressions.tolist() == [1]
    assert shown.organic[0] == 2  # 5 and 6
    assert replace(promoted, page=10).play().organic[0] == 3  # 5, 6 and 7; never 100 again
    assert promoted.play(eligible=[False]).organic[0] == 3  # 100, 5 and 6


def test_promoted_items_stand_at_their_places_among_organic_ones() -> None:
    """What is seen at a place tells where a campaign stood: with nobody looking at place 0, only place 2 can click."""
    exam = (0.0, 1.0, 1.0, 1.0)
    small = Small(
        [Campaign(max_bid=200), Campaign(max_bid=100)],
        [Pair(0, 0), Pair(0, 1)],
        [(1.0, 0)],
        [[1, 2, 3]],
        positions=(0, 2),
        page=4,
        exam=exam,
    )
    outcome = small.play()
    assert outcome.impressions.tolist() == [1, 1]
    assert outcome.clicks.tolist() == [0, 1]
    assert outcome.organic[0] == 2


def test_an_organic_job_that_was_applied_to_is_passed_over() -> None:
    small = Small([Campaign()], [], [(1.0, 0), (2.0, 0)], [[1, 2]], organic_logit=ALWAYS, page=1)
    outcome = small.play()
    assert outcome.organic.tolist() == [2, 2, 2, 2]  # job 1, then job 2; applied to and qualified both times


def test_the_second_price_by_hand() -> None:
    """Scores 3 x .5 = 1.5 and 2 x .25 = .5 (in thousands): the first keeps its slot down to .5 / .5 = 1 thousand."""
    small = Small([Campaign(max_bid=3_000), Campaign(max_bid=2_000)], [Pair(0, 0, 0.5), Pair(0, 1, 0.25)], [(1.0, 0)])
    assert small.play().posted.tolist() == [1_000, 0]
    assert replace(small, rules={"auction": "first"}).play().posted.tolist() == [3_000, 0]
    two_slots = replace(small, positions=(0, 1), page=2)
    assert two_slots.play().posted.tolist() == [1_000, 1]  # nobody behind the second: the reserve


def test_a_bid_below_the_reserve_is_not_shown_and_one_at_the_reserve_is() -> None:
    assert one_campaign(1, max_bid=39, reserve=40).play().impressions.tolist() == [0]
    assert one_campaign(1, max_bid=40, reserve=40).play().posted.tolist() == [40]


def test_a_free_slot_is_shown_and_costs_nothing() -> None:
    outcome = one_campaign(2, reserve=0).play()
    assert outcome.clicks.tolist() == [2]
    assert outcome.posted.tolist() == outcome.billed_value.tolist() == [0]


def test_the_bid_is_what_a_click_is_worth_at_the_campaigns_price() -> None:
    rules = {"auction": "first", "start_price": np.array([0.01])}
    assert one_campaign(1, value=5.0, rules=rules).play().posted.tolist() == [500]
    assert one_campaign(1, value=50.0, rules=rules).play().posted.tolist() == [1_000]  # the ceiling


def test_a_reserve_gates_serving_until_the_token_expires() -> None:
    """2 x .5 x 100 reserves the whole budget, so that nobody else is served until no click can come any more."""
    held = TOKEN_SECONDS + GRACE_SECONDS
    gated = one_campaign(4, gap=held / 2, logit=NEVER, p_click=0.5, max_bid=100, reserve=100, budget=100)
    assert gated.play().impressions.tolist() == [2]


def test_a_reserve_is_never_above_what_the_click_can_cost() -> None:
    assert one_campaign(1, p_click=0.75, max_bid=100, reserve=100, budget=100).play().posted.tolist() == [100]


def test_reserves_are_held_as_long_as_the_ledger_holds_them() -> None:
    assert BillingConfig().grace.total_seconds() == GRACE_SECONDS
    assert BillingConfig().kappa == Small([], [], []).site().kappa


def test_who_can_not_hold_its_slot_is_left_out_and_the_auction_made_again() -> None:
    """The winner has 100 free and its slot would hold 2 x .5 x 300; the second then wins at the reserve of 40."""
    small = Small(
        [Campaign(max_bid=400, budget=100), Campaign(max_bid=300, reserve=40)],
        [Pair(0, 0, 0.5), Pair(0, 1, 0.5)],
        [(1.0, 0)],
    )
    assert small.play().posted.tolist() == [0, 40]


def test_a_click_frees_the_reserve_at_once() -> None:
    clicked = one_campaign(4, gap=100, p_click=0.25, max_bid=100, reserve=100, budget=450, day_budget=450)
    assert clicked.play().posted.tolist() == [400]


def test_no_more_hires_than_openings() -> None:
    small = one_campaign(6, openings=2, rules={"hire_given_qualified": 1.0})
    outcome = small.play()
    assert outcome.hires.tolist() == [2]
    assert outcome.applications.tolist() == [6]
    assert outcome.qualified.tolist() == [6.0]


def test_pacing_leaves_money_for_the_evening_that_greed_has_spent_by_noon() -> None:
    """One click of 40 in every four minutes, money for a third of them."""
    visits = dict(
        visits=360, gap=240.0, reserve=40, max_bid=400, value=1.0, p_click=0.03125, budget=4_800, day_budget=4_800
    )
    greedy = one_campaign(**visits).play()
    paced = one_campaign(**visits, rules={"eta": 10.0, "start_price": np.array([0.0125]), "floor": 1e-6}).play()
    assert greedy.by_hour[12:].sum() == 0
    assert greedy.posted.tolist() == [4_800]
    assert paced.posted[0] >= 0.9 * 4_800
    assert paced.by_hour[12:].sum() >= 0.4 * 4_800
    assert paced.final_price[0] != 0.0125


def test_a_campaign_is_shown_from_its_opening_until_it_closes() -> None:
    """Visits at 60, 120, ..., 360 seconds."""
    assert one_campaign(6, opens=120.0, closes=300.0, reserve=40).play().posted.tolist() == [3 * 40]
    assert one_campaign(6, opens=1e9, reserve=40).play().impressions.tolist() == [0]


def test_a_click_that_comes_after_the_close_is_billed_by_its_token() -> None:
    late = one_campaign(1, closes=61.0, reserve=40, rules={"click_delay_seconds": 600.0})
    assert late.play().posted.tolist() == [40]


def test_a_campaign_that_closes_at_noon_has_spent_its_day_by_then() -> None:
    """A click of 40 every four minutes, money for a third of those before noon."""
    visits = dict(visits=360, gap=240.0, reserve=40, max_bid=400, p_click=0.03125, budget=2_400, day_budget=2_400)
    rules = {"eta": 10.0, "start_price": np.array([0.0125]), "floor": 1e-6}
    outcome = one_campaign(**visits, closes=DAY / 2, rules=rules).play()
    assert outcome.posted[0] >= 0.9 * 2_400
    assert outcome.by_hour[6:12].sum() >= 0.3 * 2_400


def test_plan_shares_that_are_no_shares_are_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match="sum to one"):
        one_campaign(1, rules={"share": EVEN / 2}).play()
    with pytest.raises(AssertionError, match="begin at zero"):
        one_campaign(1, rules={"share": EVEN + 1 - EVEN}).play()


# ---- random small markets, and the twin


def random_market(seed: int, campaigns: int, seekers: int, visits: int, days: int, paced: bool, auction: str) -> Small:
    rng = np.random.default_rng([seed, campaigns, seekers, visits])
    budget = rng.integers(30, 600, campaigns)
    terms = [
        Campaign(
            int(budget[c]),
            int(rng.integers(20, budget[c] + 30)),
            int(rng.integers(20, 400)),
            int(rng.integers(1, 60)),
            int(rng.integers(1, 4)),
            int(rng.integers(0, 3)) + 10 * c,
            *(sorted(rng.uniform(0, days * DAY, 2)) if rng.random() < 0.5 else (0.0, math.inf)),
        )
        for c in range(campaigns)
    ]
    pairs = [
        Pair(s, c, *(float(x) for x in rng.uniform([0.01, 0.1, -1, 0.2, 0], [0.25, 1, 4, 1, 1]).astype(np.float32)))
        for s in range(seekers)
        for c in range(campaigns)
        if rng.random() < 0.8
    ]
    when = np.sort(rng.uniform(0, days * DAY, visits) if rng.random() < 0.5 else rng.uniform(0, 4 * HOUR, visits))
    return Small(
        terms,
        pairs,
        [(float(at), int(who)) for at, who in zip(when, rng.integers(0, seekers, visits), strict=True)],
        [rng.permutation(30)[:8].tolist() for _ in range(seekers)],
        organic_logit=0.0,
        days=days,
        positions=(0, 2),
        page=6,
        exam=(1.0, 0.75, 0.5, 0.5, 0.25, 0.25),
        rules={
            "eta": 10.0 if paced else 0.0,
            "start_price": np.full(campaigns, 0.005) if paced else np.zeros(campaigns),
            "frequency_cap": int(rng.integers(1, 8)),
            "serving": ServingConfig(
                float(rng.choice([0.3, 0.5, 1.0])), int(rng.integers(1, 3)), int(rng.integers(2, 5))
            ),
            "repeat_effect": -0.25,
            "hire_given_qualified": 0.5,
            "click_delay_seconds": 900.0,  # an eighth of the clicks come after the token's life
            "auction": auction,
            "seed": seed,
        },
    )


small_markets = st.builds(
    random_market,
    seed=st.integers(0, 10_000),
    campaigns=st.integers(1, 4),
    seekers=st.integers(1, 5),
    visits=st.integers(0, 60),
    days=st.integers(1, 2),
    paced=st.booleans(),
    auction=st.sampled_from(sorted(PRICING)),
)


@settings(max_examples=60, deadline=None)
@given(small_markets)
def test_what_holds_in_every_market(small: Small) -> None:
    outcome = small.play()
    budget = np.array([c.budget for c in small.campaigns])
    day_budget = np.array([c.day_budget for c in small.campaigns])
    openings = np.array([c.openings for c in small.campaigns])
    max_bid = np.array([c.max_bid for c in small.campaigns])
    assert (outcome.posted <= np.minimum(budget, outcome.valid)).all()
    assert (outcome.by_day <= day_budget).all()
    assert (outcome.by_day.sum(0) == outcome.posted).all()
    assert outcome.by_hour.sum() == outcome.posted.sum() == outcome.seeker_posted.sum()
    assert (outcome.hires <= np.minimum(openings, outcome.applications)).all()
    assert (outcome.applications <= outcome.clicks).all()
    assert (outcome.clicks <= outcome.impressions).all()
    assert (outcome.valid <= outcome.clicks * max_bid).all()
    assert outcome.seeker_shown.sum() == outcome.impressions.sum() <= 2 * len(small.visits)
    assert outcome.organic[0] + outcome.impressions.sum() <= small.page * len(small.visits)
    assert (outcome.billed_value <= outcome.clicks + 1e-9).all()
    assert np.isclose(outcome.seeker_qualified.sum(), outcome.qualified.sum())
    opens, closes = min(c.opens for c in small.campaigns), max(c.closes for c in small.campaigns)
    hours = np.arange(24 * small.days) * HOUR
    assert not outcome.by_hour[(hours + HOUR <= opens) | (hours >= closes + TOKEN_SECONDS)].any()


@settings(max_examples=60, deadline=None)
@given(small_markets)
def test_the_loop_bills_what_its_slow_twin_bills(small: Small) -> None:
    fast, slow = small.play(), SlowMarket(small).play()
    assert fast.impressions.tolist() == slow.impressions
    assert fast.clicks.tolist() == slow.clicks
    assert fast.valid.tolist() == slow.valid
    assert fast.applications.tolist() == slow.applications
    assert fast.hires.tolist() == slow.hires
    assert fast.organic[:3].tolist() == slow.organic
    assert fast.final_price.tolist() == slow.price
    often = [len(moments) for moments in slow.shown.values()]
    assert fast.exposures[1:].tolist() == np.bincount(often, minlength=len(fast.exposures))[1:].tolist()
    by_seeker = [sum(who == seeker for who, _ in slow.shown) for seeker in range(len(fast.seeker_shown))]
    assert fast.seeker_campaigns.tolist() == by_seeker
    assert fast.posted.tolist() == [sum(charge for _, _, charge in book) for book in slow.book]
    for day in range(small.days):
        assert fast.by_day[day].tolist() == [sum(x for d, _, x in book if d == day) for book in slow.book]
    by_hour = [0] * (24 * small.days)
    for book in slow.book:
        for _, hour, charge in book:
            by_hour[hour] += charge
    assert fast.by_hour.tolist() == by_hour


BUSY = (11, 4, 5, 60, 2, True, "second")  # arguments of random_market


def test_the_same_inputs_give_the_same_bits_again_in_other_threads_and_in_another_process() -> None:
    small = random_market(*BUSY)
    first = small.play().digest()
    assert replace(small, rules=small.rules | {"seed": 12}).play().digest() != first
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: small.play().digest(), range(8))) == {first}
    program = "from tests.sim.test_loop import BUSY, random_market; print(random_market(*BUSY).play().digest())"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_an_unrelated_campaign_changes_nobody_elses_clicks(seed: int) -> None:
    """Two campaigns with a slot each and ample money; without the second the first is clicked in the same visits."""
    rng = np.random.default_rng(seed)
    visits = [(float(at), int(rng.integers(3))) for at in np.sort(rng.uniform(0, DAY, 40))]
    pairs = [Pair(s, c, logit=float(np.float32(rng.normal(-1, 1)))) for s in range(3) for c in range(2)]
    small = Small(
        [Campaign(max_bid=900), Campaign(max_bid=100)],
        pairs,
        visits,
        positions=(0, 1),
        page=2,
        rules={"seed": seed, "frequency_cap": 10},
    )
    both, alone = small.play(), small.play(eligible=[True, False] * 3)
    assert alone.impressions[1] == 0
    for name in ("impressions", "clicks", "applications", "qualified"):
        assert getattr(both, name)[0] == getattr(alone, name)[0]


class SlowMarket:
    """The money path of `run_market`, written plainly: every open reserve and every charge is a row of its own."""

    def __init__(self, small: Small) -> None:
        self.small, self.site, self.pacing = small, small.site(), small.pacing()
        self.campaigns, self.jobs = small.campaigns, small.jobs
        count = len(small.campaigns)
        self.pairs = {(pair.seeker, pair.campaign): pair for pair in small.pairs}
        self.book: list[list[tuple[int, int, int]]] = [[] for _ in range(count)]  # (serve day, click hour, charge)
        self.open: dict[int, dict[str, Any]] = {}  # impressions that still hold a reserve
        self.shown: dict[tuple[int, int], list[float]] = {}
        self.gone: set[tuple[int, int]] = set()  # (seeker, organic job) that was applied to
        self.seen: dict[tuple[int, int], int] = {}  # how often a seeker saw an organic job
        self.organic, self.applications, self.hires = [0, 0, 0], [0] * count, [0] * count
        self.clicked: set[tuple[int, int]] = set()
        self.impressions, self.clicks, self.valid = [0] * count, [0] * count, [0] * count
        self.price = [float(price) for price in self.pacing.start_price]
        self.pending, self.spent_before = [0.0] * count, [0.0] * count
        self.events: list[tuple[float, int, int, dict[str, Any]]] = []  # (second, kind, number, what)

    def posted(self, c: int, day: int | None = None) -> int:
        return sum(charge for at, _, charge in self.book[c] if day in (None, at))

    def reserved(self, c: int, day: int | None = None) -> int:
        return sum(it["reserve"] for it in self.open.values() if it["campaign"] == c and day in (None, it["day"]))

    def play(self) -> SlowMarket:
        click, expiry, tick = 0, 1, 2
        for minute in range(1, self.small.days * 1440 + 1):
            heapq.heappush(self.events, (minute * 60.0, tick, minute, {}))
        for number, (second, seeker) in [*enumerate(self.small.visits), (-1, (self.small.days * DAY + 1e4, -1))]:
            while self.events and self.events[0][0] <= second:
                at, kind, which, it = heapq.heappop(self.events)
                if kind == tick:
                    self.tick(which)
                    continue
                if kind == click:
                    self.bill(it, at)
                self.release(it)
            if number >= 0:
                for it in self.serve(number, second, seeker):
                    heapq.heappush(self.events, (it["end"] + self.site.grace_seconds, expiry, it["number"], it))
                    if it["click"] is not None and it["click"] < it["end"]:
                        heapq.heappush(self.events, (it["click"], click, it["number"], it))
        return self

    def release(self, it: dict[str, Any]) -> None:
        if self.open.pop(it["number"], None) is not None:
            self.pending[it["campaign"]] -= it["pending"]

    def bill(self, it: dict[str, Any], at: float) -> None:
        c, terms = it["campaign"], self.campaigns[it["campaign"]]
        room = min(terms.budget - self.posted(c), terms.day_budget - self.posted(c, it["day"]))
        charge = max(0, min(it["price"], room))
        assert charge == postable(
            it["price"], terms.budget, terms.day_budget, self.posted(c), self.posted(c, it["day"])
        )
        self.valid[c] += it["price"]
        self.book[c].append((it["day"], min(int(at // HOUR), self.small.days * 24 - 1), charge))

    def tick(self, minute: int) -> None:
        share = self.pacing.share
        if self.pacing.eta == 0:
            return
        day, of_day = (minute - 1) // 1440, (minute - 1) % 1440 + 1
        for c, terms in enumerate(self.campaigns):
            if not terms.opens <= (minute - 1) * 60.0 < terms.closes:
                self.spent_before[c] = 0.0
                continue
            spent = self.posted(c, day) + self.pending[c]
            before = 0.0 if of_day == 1 else self.spent_before[c]
            left = min(terms.day_budget, terms.budget - self.posted(c) + self.posted(c, day))
            last = next((m for m in range(of_day, 1441) if day * DAY + m * 60.0 >= terms.closes), 1440)
            shares = [float(share[m] / share[last]) for m in (of_day, of_day - 1)]
            self.price[c] = next_price(
                self.price[c], spent, before, float(left), *shares, self.pacing.eta, self.pacing.floor
            )
            self.spent_before[c] = spent

    def may_be_shown(self, seeker: int, c: int, now: float) -> bool:
        serving, moments = self.site.serving, self.shown.get((seeker, c), [])
        lately = sum(then + HOUR > now for then in moments)
        today = sum(then + DAY > now for then in moments)
        return (
            self.campaigns[c].opens <= now < self.campaigns[c].closes
            and (seeker, c) in self.pairs
            and (seeker, c) not in self.clicked
            and len(moments) < self.site.frequency_cap
            and lately < serving.per_hour
            and today < serving.per_day
        )

    def most(self, seeker: int, c: int) -> float:
        pair = self.pairs.get((seeker, c))
        return 0.0 if pair is None else float(np.float32(self.campaigns[c].max_bid * pair.p_click))

    def free(self, c: int, day: int) -> int:
        terms = self.campaigns[c]
        posted, reserved = (self.posted(c), self.posted(c, day)), (self.reserved(c), self.reserved(c, day))
        return int(free_micros(terms.budget, terms.day_budget, *posted, *reserved))

    def sell(self, seeker: int, now: float, day: int, slots: int) -> list[tuple[int, int]]:
        """[(campaign, price)] of the slots, made again without whom the ledger refuses."""
        refused: set[int] = set()
        for _ in range(SERVING_TRIES):
            # as the loop goes through them: whoever could bid most comes first, so that it wins a tie
            order = sorted(range(len(self.campaigns)), key=lambda c: (-self.most(seeker, c), c))
            bidders = [
                (
                    c,
                    self.pairs[seeker, c],
                    paced_bid(self.pairs[seeker, c].value, self.price[c], self.campaigns[c].max_bid),
                )
                for c in order
                if self.may_be_shown(seeker, c, now) and c not in refused and self.free(c, day) >= 1
            ]
            winner, price = np.empty(slots + 1, np.int64), np.empty(slots + 1, np.int64)
            sold = run_auction(
                np.array([bid for _, _, bid in bidders], np.int64),
                np.array([pair.p_click for _, pair, _ in bidders]),
                np.array([self.campaigns[c].reserve for c, _, _ in bidders], np.int64),
                slots,
                PRICING[self.site.auction],
                winner,
                price,
            )
            sales = [(bidders[winner[slot]][0], int(price[slot])) for slot in range(sold)]
            holds = {c: held_micros(self.pairs[seeker, c].p_click, paid, self.site.kappa) for c, paid in sales}
            more = {c for c, _ in sales if self.free(c, day) < max(1, holds[c])}
            if not more:
                return sales
            refused |= more
        return []

    def serve(self, number: int, now: float, seeker: int) -> list[dict[str, Any]]:
        day, page = min(int(now // DAY), self.small.days - 1), self.small.page
        listed = list(self.small.organic[seeker]) if seeker < len(self.small.organic) else []
        listed = [job for job in listed if (seeker, job) not in self.gone]
        asked = len(self.small.positions)
        slots = self.site.serving.slots(asked, min(page, len(listed)), page - asked)
        sales = self.sell(seeker, now, day, slots)
        rest = [job for job in listed if job not in [self.jobs[c] for c, _ in sales]]
        served, slot = [], 0
        for place in range(page):
            seen = float(np.float32(self.small.exam[place]))
            if slot < len(sales) and (self.small.positions[slot] <= place or not rest):
                served.append(self.show(number, now, day, seeker, seen, *sales[slot]))
                slot += 1
            elif rest:
                self.look(number, seeker, seen, rest.pop(0))
        return served

    def show(self, number: int, now: float, day: int, seeker: int, seen: float, c: int, paid: int) -> dict[str, Any]:
        pair, rules, job = self.pairs[seeker, c], self.site, self.jobs[c]
        before = self.shown.setdefault((seeker, c), [])
        it = {
            "number": sum(self.impressions),
            "campaign": c,
            "day": day,
            "price": paid,
            "reserve": min(paid, math.ceil(rules.kappa * pair.p_click * paid)),
            "pending": pair.p_click * seen * paid,
            "end": now + TOKEN_SECONDS,
            "click": None,
        }
        self.impressions[c] += 1
        self.pending[c] += it["pending"]
        self.open[it["number"]] = it
        chance = seen / (1 + math.exp(-(pair.logit + rules.repeat_effect * len(before))))
        if hash_uniform(number, job, rules.seed) < chance:
            self.clicked.add((seeker, c))
            self.clicks[c] += 1
            wait = -math.log(1 - hash_uniform(number, job, rules.seed + 1))
            it["click"] = now + rules.click_delay_seconds * wait
            if hash_uniform(number, job, rules.seed + 2) < pair.p_apply:
                self.applications[c] += 1
                hired = hash_uniform(number, job, rules.seed + 3) < pair.grade * rules.hire_given_qualified
                self.hires[c] += hired and self.hires[c] < self.campaigns[c].openings
        before.append(now)
        return it

    def look(self, number: int, seeker: int, seen: float, job: int) -> None:
        rules, before = self.site, self.seen.get((seeker, job), 0)
        self.seen[seeker, job] = before + 1
        self.organic[0] += 1
        chance = seen / (1 + math.exp(-(self.small.organic_logit + rules.repeat_effect * before)))
        if hash_uniform(number, job, rules.seed) < chance:
            self.organic[1] += 1
            self.organic[2] += 1  # everybody who clicks an organic job applies
            self.gone.add((seeker, job))


@pytest.mark.parametrize(("life", "looks"), [((0.0, np.inf), 3), ((100.0, np.inf), 2), ((0.0, 100.0), 1)])
def test_an_organic_job_is_shown_while_it_is_on_the_site_only(life: tuple[float, float], looks: int) -> None:
    """One seeker, one listed job, visits before, at and after second 100."""
    visits = [(50.0, 0), (100.0, 0), (150.0, 0)]
    small = Small([Campaign()], [], visits, organic=[[7]], organic_life=life)
    assert small.play().organic[0] == looks
