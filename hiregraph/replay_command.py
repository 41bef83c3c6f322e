"""The command `simulate replay`: what another bidder would have won in recorded auctions, and paid.

What it runs is imported when it runs: numba takes seconds that `--help` should not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from market.errors import ConfigError

if TYPE_CHECKING:
    from sim.replay import Bidder, Episodes, ReplayResult

LEARNED_FROM = 2_000_000  # auctions: more tell nothing new about prices, and cost memory
BIDDERS = ("constant-cpc", "paced")


def replay(
    auctions: Annotated[Path, typer.Option(help="One auction a line, `click market_price pctr`, possibly gzip.")],
    episode: Annotated[int, typer.Option(help="Auctions of an episode; the budget is renewed at each.")],
    budget: Annotated[int, typer.Option(help="Budget of an episode, a whole number in the unit of the prices.")],
    bidder: Annotated[str, typer.Option(help="constant-cpc or paced (the product's own controller).")] = "paced",
    cpc: Annotated[float | None, typer.Option(help="constant-cpc bids int(pctr * CPC).")] = None,
    bid_cap: Annotated[int | None, typer.Option(help="No bid above it; default: none above what is left.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="Earlier auctions of the same form that paced learns from; default: cold.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Bid again on recorded auctions, in order, exact to the unit: impressions, clicks, cost.

    Example: hiregraph simulate replay --auctions test.txt.gz --episode 1000 --budget 2500 --train train.txt.gz
    """
    from sim.auction_log import read_auctions
    from sim.replay import Episodes
    from sim.replay import replay as replayed

    _check(bidder, cpc, train)
    episodes = Episodes(episode, budget, bid_cap)
    for path in (auctions, train):  # both, before minutes go into one
        if path is not None:
            next(iter(read_auctions(path)))
    notes = Console(stderr=True)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        chosen = _bidder(bidder, cpc, train, episodes, bar)
        bids = bar.add_task("bidding", total=auctions.stat().st_size)
        blocks = read_auctions(auctions, lambda read: bar.update(bids, completed=read))
        result = replayed(blocks, episodes, chosen)
    if as_json:
        typer.echo(json.dumps(result.document()))
    else:
        Console().print(_table(result))


def _check(bidder: str, cpc: float | None, train: Path | None) -> None:
    if bidder not in BIDDERS:
        raise ConfigError(f"bidder {bidder!r} is unknown; use {' or '.join(BIDDERS)}")
    if bidder == "constant-cpc" and cpc is None:
        raise ConfigError("bidder constant-cpc needs what a click is worth; give --cpc")
    if bidder == "constant-cpc" and train is not None:
        raise ConfigError("bidder constant-cpc does not learn; leave --train out, or take --bidder paced")
    if bidder == "paced" and cpc is not None:
        raise ConfigError("bidder paced finds its price itself; leave --cpc out, or take --bidder constant-cpc")


def _bidder(bidder: str, cpc: float | None, train: Path | None, episodes: Episodes, bar: Progress) -> Bidder:
    from sim.auction_log import read_sample
    from sim.replay import ConstantCpc, PacedByValue, PacedCold
    from targeting.pacing.episode import episode_value, learn_landscape

    if bidder == "constant-cpc":
        assert cpc is not None
        return ConstantCpc(cpc)
    if train is None:
        return PacedCold()
    learning = bar.add_task("learning", total=train.stat().st_size)
    log = read_sample(train, LEARNED_FROM, lambda read: bar.update(learning, completed=read))
    landscape = learn_landscape(log.price, log.pctr)
    return PacedByValue(episode_value(landscape, episodes.budget, episodes.auctions))


def _table(result: ReplayResult) -> Table:
    import numpy as np

    table = Table("", "all", "lowest episode", "median", "highest", title="Replay", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = result.by_episode
    for name, total, values in (
        ("impressions", result.impressions, counts[:, 0]),
        ("clicks", result.clicks, counts[:, 1]),
        ("cost", result.cost, counts[:, 2]),
    ):
        spread = (f"{value:,.0f}" for value in np.quantile(values, [0.0, 0.5, 1.0]))
        table.add_row(name, f"{total:,}", *spread)
    if result.budget:
        share = counts[:, 2] / result.budget
        spread = (f"{value:.1%}" for value in np.quantile(share, [0.0, 0.5, 1.0]))
        table.add_row("share of budget spent", f"{share.mean():.1%}", *spread)
    table.add_row("auctions", f"{result.auctions:,}")
    table.add_row("episodes", f"{result.episodes:,}")
    table.add_row("win rate", f"{result.impressions / result.auctions:.2%}")
    table.add_row("cost per click", f"{result.cost / result.clicks:,.2f}" if result.clicks else "no clicks")
    return table
