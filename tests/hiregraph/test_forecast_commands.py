"""`hiregraph forecast backtest` on a database with traffic, and on one without."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hiregraph.cli import app
from hiregraph.server import open_store
from market.clock import SystemClock
from market.errors import UserError
from targeting.storage.traffic_store import TrafficStore
from targeting.traffic import Counts


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/hiregraph.sqlite"


def with_traffic(url: str, days: int) -> None:
    store, rng = open_store(url), np.random.default_rng(1)
    last = int((SystemClock().now() - timedelta(hours=1)).timestamp()) // 3600
    requests = rng.poisson(20, 24 * days).tolist()
    cells = {(last - back, "nurse", "31080"): [number, number, 0] for back, number in enumerate(requests)}
    TrafficStore(store.database).add(Counts(cells))
    store.close()


def test_a_backtest_prints_coverage_and_error_for_each_horizon(url: str) -> None:
    with_traffic(url, days=30)
    answer = CliRunner().invoke(app, ["forecast", "backtest", "--db", url, "--days", "8", "--json"])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert [row["horizon_days"] for row in found["horizons"]] == [1, 7]
    assert all(0 <= row["coverage80"] <= row["coverage95"] <= 1 for row in found["horizons"])
    assert found["horizons"][0]["absolute_error"] < 0.3
    table = CliRunner().invoke(app, ["forecast", "backtest", "--db", url, "--days", "8"])
    assert "horizon" in table.stdout


def test_without_traffic_there_is_nothing_to_look_back_on(url: str) -> None:
    answer = CliRunner().invoke(app, ["forecast", "backtest", "--db", url])
    assert isinstance(answer.exception, UserError)
    assert "not enough traffic" in str(answer.exception)
