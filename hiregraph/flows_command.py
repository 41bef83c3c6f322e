"""The command `simulate flows`: where our careers go by origin group, beside the flows of the CPS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hiregraph.market_commands import CACHE, DataOption, JsonOption
from hiregraph.settings import load_settings
from market.errors import ConfigError


def flows(
    data: DataOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    cache: Annotated[Path, typer.Option(help="Folder that remembers text vectors.")] = CACHE,
    as_json: JsonOption = False,
) -> None:
    """Rank correlation of destination shares by origin group with the monthly flows of the CPS.

    A description of the data, not a test: other people, other years, a mapping by title and text.

    Example: hiregraph simulate flows --data data
    """
    import numpy as np

    from market.careers import read_careers
    from market.text import TextEncoder
    from sim.flows import compare, group_weights, read_flows, recorded_changes
    from sim.soc_mapping import map_to_soc

    folder = load_settings(data=data).data
    if folder is None or not (folder / "nlsy79_careers").is_dir() or not (folder / "cps_flows").is_dir():
        raise ConfigError(
            "flows compares recorded careers and needs a data directory with nlsy79_careers, onet and cps_flows "
            "(the generated world records nobody); give --data or HIREGRAPH_DATA"
        )
    careers = read_careers(folder / "nlsy79_careers")
    mapping = map_to_soc(folder, careers.taxonomy, TextEncoder(cache_dir=cache / "text"))
    changes = recorded_changes(careers, group_weights(mapping))
    found = compare(changes, read_flows(folder), np.random.default_rng([seed, 61]))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(title="Destinations by origin group, rank correlation with the CPS", title_justify="left")
    for name in ("origin group", "changes", "Spearman", "95 % interval"):
        table.add_column(name, justify="left" if name == "origin group" else "right")
    pooled = {"group": "all pairs of groups", "changes": float(found["changes"]), **found["pooled"]}
    beyond = {"group": "beyond the size of groups", "changes": float(found["changes"]), **found["beyond_size"]}
    for row in [pooled, beyond, *found["groups"]]:
        value, interval = row["spearman"], row["ci95"]
        table.add_row(
            row["group"],
            f"{row['changes']:.0f}",
            "too few" if value is None else f"{value:+.2f}",
            "" if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f}",
        )
    Console(width=120).print(table)
