"""The market loop bills what the service bills: the same requests through auction, tokens, ledger and ingestion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.audited_path import SmallMarket, differences, draw_market, through_the_ledger
from sim.loop_kernel import SERVING_TRIES
from targeting.http import services


def binds(market: SmallMarket) -> dict[str, bool]:
    """What a market has to contain for its audit to mean something."""
    outcome = market.play()
    return {
        "clicks": bool(outcome.clicks.sum() > 50),
        "days": bool((outcome.by_day.sum(1) > 0).all()),
        "a cap was reached": bool((outcome.by_day == market.terms.day_budget).any()),
        "a click was not billed in full": bool((outcome.valid > outcome.posted).any()),
        "somebody opened late": bool((outcome.impressions[market.terms.opens > 0] > 0).any()),
        "organic jobs beside": bool(outcome.organic[0] > 0),
    }


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_loop_and_the_ledger_post_the_same_micros_per_campaign_and_day(seed: int, tmp_path: Path) -> None:
    market = draw_market(seed)
    assert all(binds(market).values()), binds(market)
    outcome = market.play()
    ledgered = through_the_ledger(market, tmp_path)
    assert differences(outcome, ledgered) == []
    assert ledgered.by_day.sum() == outcome.posted.sum() > 0


def test_an_audit_that_does_not_agree_says_where(tmp_path: Path) -> None:
    """First price in the loop, second price in the ledger."""
    market = draw_market(2, visits=30)
    dearer = replace(market, rules=replace(market.rules, auction="first"))
    found = differences(dearer.play(), through_the_ledger(market, tmp_path))
    assert any("micros posted in the loop" in line for line in found)


def test_the_loop_gives_up_a_slate_after_as_many_tries_as_the_service() -> None:
    assert SERVING_TRIES == services.SERVING_TRIES


def test_chances_of_an_audit_survive_the_rounding_of_a_token() -> None:
    p_click = draw_market(3).pairs.p_click.astype(np.float64)
    assert [round(chance, 6) for chance in p_click.tolist()] == p_click.tolist()
