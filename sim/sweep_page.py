"""The page of a sweep: per assumption the arms' headline difference with its interval, and one table of all cells."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from market.whole_file import write_whole
from sim.page_frame import document, plot, table
from sim.page_numbers import points, with_interval
from sim.sweep import along, varied


def write_sweep_page(path: Path, sweep: Mapping[str, Any]) -> None:
    """One self-contained HTML file; written beside and renamed."""
    state = "" if sweep["complete"] else f" ({len(sweep['cells'])} of {sweep['planned']} cells: not finished)"
    body = [
        f"<h1>Sensitivity to the assumptions{html.escape(state)}</h1>",
        "<p>Difference in budget utilization to the attribute arm at its cost per qualified application, in points, "
        "95 % intervals. Clicks and applications are mechanics of a click model of ours.</p>",
    ]
    for axis in sweep["over"]:
        found = plot(f"sweep-{axis}", axis_figure(sweep, axis))
        body.append(f"<h2>{html.escape(axis)}</h2>{found}")
    heads, rows = sweep_rows(sweep)
    body.append("<h2>All cells</h2>" + table(heads, rows))
    write_whole(path, document("\n".join(body)))


def sweep_rows(sweep: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the one table: what was changed, the baseline's utilization, every arm's difference."""
    arms = list(dict.fromkeys(arm for row in sweep["cells"] for arm in row["arms"]))
    rows = []
    for row in sweep["cells"]:
        used = row["baseline"]["budget_utilization"]
        rows.append(
            [varied(sweep, row), with_interval(used["mean"], used["ci95"], lambda value: f"{100 * value:.1f} %")]
            + [_difference(row["arms"].get(arm)) for arm in arms]
        )
    return ["changed", "attribute's budget used", *arms], rows


def axis_figure(sweep: Mapping[str, Any], axis: str) -> go.Figure | None:
    """The arms' differences over one assumption, all others at the default; None with fewer than two values."""
    rows = along(sweep, axis)
    if len(rows) < 2:
        return None
    figure = go.Figure()
    for arm in dict.fromkeys(arm for row in rows for arm in row["arms"]):
        known = [row for row in rows if row["arms"].get(arm, {}).get("difference") is not None]
        value = [row["arms"][arm]["difference"] for row in known]
        edges = [
            row["arms"][arm]["difference_ci95"] or [middle, middle] for row, middle in zip(known, value, strict=True)
        ]
        figure.add_trace(
            go.Scatter(
                x=[row["cell"][axis] for row in known],
                y=[100 * middle for middle in value],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * (high - middle) for (_, high), middle in zip(edges, value, strict=True)],
                    "arrayminus": [100 * (middle - low) for (low, _), middle in zip(edges, value, strict=True)],
                },
                mode="lines+markers",
                name=arm,
            )
        )
    figure.update_layout(
        xaxis_title=axis, yaxis_title="points of budget utilization at equal cost", height=340, margin={"t": 20}
    )
    return figure


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None or found["difference"] is None:
        return "never that cheap"
    return with_interval(found["difference"], found["difference_ci95"], points)
