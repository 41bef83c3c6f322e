"""What a job may expect of seekers of each occupation is what serving does for a seeker of whom that is all known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from market.money import Money
from market.records import Filters, SeekerProfile
from targeting.audience import Liquidity
from targeting.campaigns import Bid
from targeting.engine import SlateRequest
from targeting.marketplace import Marketplace
from targeting.profiles import present_alone
from targeting.serving import ServingConfig
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned
from tests.targeting.test_marketplace import JOBS, NOW, SECRET, TAXONOMY, TITLES, campaign, job

LIVE = ["nursing-0", "nursing-3", "retail-2"]


def market(theta: float = 1.0) -> Marketplace:
    nonces = itertools.count()
    made = Marketplace(
        small_learned(),
        WordEncoder(),
        secret=SECRET,
        now=lambda: NOW,
        nonce=lambda: f"n{next(nonces)}",
        liquidity=Liquidity(theta=theta),
        serving=ServingConfig(exploration=0, swap=0),
    )
    assert made.upsert_jobs(JOBS) == [None] * len(JOBS)
    made.set_campaigns([campaign(name) for name in LIVE])
    return made


def shown_to(engine: Marketplace, occupation: int, slots: int = 1) -> dict[str, float]:
    """{job id: P(click) in its token} of the promoted items a seeker of this occupation is shown."""
    seeker = SeekerProfile("s1", (TITLES[occupation],), geo="m00")
    slate = engine.slate(SlateRequest(seeker, None, Filters(), 20, slots))
    assert slate.occupation == TAXONOMY.codes[occupation]
    return {item.job_id: item.offer.p_click for item in slate.items if item.offer is not None}


@pytest.mark.parametrize("occupation", [10, 13, 31, 50])
def test_the_chance_of_a_click_is_the_one_serving_sells_with(occupation: int) -> None:
    engine = market()
    for name, at in (("nursing-3", 13), ("retail-2", 32)):
        engine.set_campaigns([campaign(name)])
        found = engine.prospects(campaign(name), job(name, at))
        assert found.p_click[occupation] == pytest.approx(shown_to(engine, occupation)[name], rel=0.02)


def test_a_job_is_retrieved_where_serving_retrieves_it() -> None:
    engine = market(theta=0.34)  # one seat beside three live jobs
    wins = {name: engine.prospects(campaign(name), job(name, at)) for name, at in zip(LIVE, (10, 13, 32), strict=True)}
    for occupation in range(0, len(TAXONOMY), 7):
        [shown] = shown_to(engine, occupation)
        assert wins[shown].retrieved[occupation] == 1
        assert sum(found.retrieved[occupation] for found in wins.values()) == pytest.approx(1)


def test_equal_jobs_share_the_seats() -> None:
    engine = market(theta=0.5)
    twin = job("twin", 10)
    found = engine.prospects(campaign("twin"), twin)  # as good as nursing-0, two seats for four
    nursing = TAXONOMY.codes[10]
    assert 0 < found.retrieved[found.occupations.index(nursing)] <= 1
    alone = market(theta=1.0).prospects(campaign("twin"), twin)
    assert alone.retrieved == pytest.approx(np.ones(len(TAXONOMY) + 1))


def test_an_own_live_campaign_is_no_competition() -> None:
    engine = market(theta=0.34)
    engine.set_campaigns([campaign("nursing-0")])
    assert engine.prospects(campaign("nursing-0"), job("nursing-0", 10)).retrieved.min() == 1


def test_bids_and_rates_are_there_for_every_occupation_and_for_none() -> None:
    engine = market()
    found = engine.prospects(campaign("nursing-0", max_cpc=700_000), job("nursing-0", 10))
    assert found.bid_micros == 700_000
    assert found.occupations == (*TAXONOMY.codes, "")
    for rates in (found.retrieved, found.p_click, found.p_apply):
        assert rates.shape == (len(TAXONOMY) + 1,)
        assert ((rates >= 0) & (rates <= 1)).all()
    assert found.section_of.keys() == set(TAXONOMY.codes)
    auto = replace(campaign("nursing-0"), bid=Bid("manual", Money(50_000, "EUR")))
    assert engine.prospects(auto, job("nursing-0", 10)).bid_micros == 50_000


def test_a_remote_job_stands_beside_an_average_area() -> None:
    engine = market()
    engine.set_campaigns([campaign("nursing-0"), campaign("elsewhere"), campaign("remote")])
    remote = job("far", 12, remote=True)
    assert engine._inventory.live_beside(remote).sum() == pytest.approx(1 + 2 / 2)
    near = job("near", 12)
    assert engine._inventory.live_beside(near).sum() == 2


def test_the_last_instance_knows_nothing_of_the_seeker() -> None:
    alone = present_alone(3)
    assert alone.current.tolist() == [0, 1, 2, -1]
