"""The keyword arm: BM25 of titles, worked by hand; and that it retrieves only where a word is shared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from organic.reasons import words
from sim.keyword import K1, B, bm25, keyword_scores
from sim.market import MarketConfig
from sim.stage import Stage


def test_bm25_by_hand() -> None:
    """Three titles of 2, 2 and 1 words; "nurse" is in two of them, "night" in one."""
    documents = ["night nurse", "truck driver", "nurse"]
    found = bm25([["night nurse"], ["nurse", "nurse"], ["poet"]], documents, np.arange(3))
    nurse, night = math.log1p(1.5 / 2.5), math.log1p(2.5 / 1.5)

    def per_word(length: int) -> float:
        return (K1 + 1) / (1 + K1 * (1 - B + B * length / (5 / 3)))

    assert found[0] == pytest.approx([(nurse + night) * per_word(2), 0, nurse * per_word(1)])
    assert found[1] == pytest.approx([2 * nurse * per_word(2), 0, 2 * nurse * per_word(1)])
    assert found[2].tolist() == [0, 0, 0]


def test_the_arm_retrieves_where_a_held_title_and_a_vacancy_share_a_word(stage: Stage) -> None:
    market, world = stage.market(MarketConfig(days=1, campaigns=30)), stage.world
    score = keyword_scores(world, market)
    row = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))
    for pair in range(0, len(score), 97):
        held = [int(market.examples.item_at(rank)[row[pair]]) for rank in range(3)]
        mine = set().union(*(words(world.facts.titles[o][0]) for o in held if o >= 0))
        theirs = words(world.title(world.inventory, market.terms.job[market.pairs.campaign[pair]]))
        assert (score[pair] > -np.inf) == bool(mine & theirs)
