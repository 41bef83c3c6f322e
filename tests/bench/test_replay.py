"""The generated auction logs, and the table that compares bidders on them."""

from __future__ import annotations

import numpy as np
import pytest

from bench import replay as table
from bench.replay_world import HIGHEST, click_rate, draw_log, draw_world


def test_a_seed_draws_the_same_log_and_prices_are_whole_and_bounded() -> None:
    first, second = (np.random.default_rng(7) for _ in range(2))
    world = draw_world(first)
    assert world == draw_world(second)
    one, other = draw_log(world, 5000, first, test=False), draw_log(world, 5000, second, test=False)
    for name in ("click", "price", "pctr"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    assert one.price.dtype == np.int64
    assert one.price.min() >= 0
    assert one.price.max() <= HIGHEST


def test_clicks_come_at_the_rate_of_the_world() -> None:
    rng = np.random.default_rng(8)
    world = draw_world(rng)
    drawn = draw_log(world, 300_000, rng, test=True)
    expected = click_rate(world, drawn.pctr).sum()
    assert drawn.click.sum() == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_the_table_shows_paced_above_constant_and_no_overspend(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AUCTIONS", 20_000), ("LENGTHS", (500,)), ("SHARES", (16,))):
        monkeypatch.setattr(table, name, value)
    result = table.run(None, (50, 51, 52))
    for each in result["runs"]:
        rows = each["bidders"]
        assert all(row["overspent"] == 0 for row in rows.values())
        assert rows["paced, train"]["expected_clicks"] > rows["constant CPC"]["expected_clicks"]
        assert rows["greedy"]["expected_clicks"] < rows["constant CPC"]["expected_clicks"]
    head, *lines = table.show(result)
    assert [line[0] for line in lines] == list(table.BIDDERS)
    assert {len(line) for line in lines} == {len(head)}
