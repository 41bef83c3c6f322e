"""The command `forecast backtest`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from hiregraph.server import logs_to_stderr, open_store
from hiregraph.serving_commands import DbOption, JsonOption
from hiregraph.settings import load_settings
from market.clock import SystemClock
from market.errors import UserError
from targeting.backtest import backtest
from targeting.storage.traffic_store import TrafficStore

forecast_app = typer.Typer(help="How good forecasts were.", no_args_is_help=True)


@forecast_app.callback()
def _forecast() -> None:
    """How good forecasts were."""


@forecast_app.command("backtest")
def backtest_command(
    db: DbOption = None,
    days: Annotated[int, typer.Option(min=1, help="Forecasts of so many past days.")] = 14,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Forecast requests as of each of the last days and compare with what came: coverage and error per horizon.

    Example: hiregraph forecast backtest --db sqlite:///out/hiregraph.sqlite --days 14
    """
    logs_to_stderr()
    store = open_store(load_settings(db=db).db)
    traffic = TrafficStore(store.database)
    found = backtest(traffic.read, SystemClock().now(), days, seed=seed)
    store.close()
    if not found:
        raise UserError("not enough traffic to look back on; let the service count for some days, or give --days less")
    if as_json:
        typer.echo(json.dumps({"days": days, "seed": seed, "horizons": [asdict(row) for row in found]}))
        return
    typer.echo("horizon     n  in 80 %  in 95 %  |error|     bias")
    for row in found:
        typer.echo(
            f"{row.horizon_days:4} days {row.n:4}  {row.coverage80:7.1%}  {row.coverage95:7.1%}"
            f"  {row.absolute_error:7.1%}  {row.bias:+7.1%}"
        )
