"""The load table on a market of a few hundred jobs: a real server is started, every load is played and can be shown."""

from __future__ import annotations

import pytest

from bench.service_load import GOALS, Plan, run, show

pytestmark = pytest.mark.slow  # it fits a world, and starts a server

PLAN = Plan(
    jobs=300,
    rounds=1,
    seconds=2.0,
    click_seconds=1.0,
    warm_up_seconds=1.0,
    slate_rate=5.0,
    batch_rate=4.0,
    ramp=(5, 10),
    ramp_seconds=2.0,
    overload_seconds=2.0,
    recovery_seconds=2.0,
)


@pytest.fixture(scope="module")
def result():
    return run(None, PLAN)


def test_every_load_was_answered_and_every_request_is_accounted_for(result):
    assert set(GOALS) <= set(result["rows"])
    for row in result["rows"].values():
        assert row["n"] + row["errors"] == row["sent"]
    assert result["rows"]["slates"]["n"] > 0


def test_clicks_bear_tokens_that_the_ledger_knows(result):
    [round_] = result["rows"]["clicks only"]["rounds"]
    assert {status.partition(" ")[0] for status in round_["items_by_status"]} == {"accepted"}


def test_slates_hold_promoted_jobs(result):
    [round_] = result["rows"]["slates"]["rounds"]
    assert round_["with_promoted_share"] > 0


def test_the_table_has_a_line_for_every_row(result):
    head, *lines = show(result)
    assert {len(line) for line in lines} == {len(head)}
