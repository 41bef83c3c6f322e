"""The figures of a report page, drawn from the report's own numbers.

A figure function returns None where there is nothing to draw. Brackets (random, all, oracle) are dotted because they
are no competitors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sim.experiment import BASELINE
from sim.page_frame import BRACKETS, COLOURS, FONT, MICROS, NEUTRAL

HEIGHT, FRONTIER_HEIGHT, EXPOSURE_HEIGHT = 420, 540, 320
LABEL_SIDES = ("bottom right", "top left", "bottom center", "top center", "top right")
LABEL_ROOM = (0.08, 0.045)  # of the width and the height of the plotted points
COST_TICKS = tuple(digit * 10.0**power for power in range(-2, 5) for digit in (1, 1.5, 2, 3, 4, 5, 7))
SHARE_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def frontier_figure(report: dict[str, Any], theta: float, currency: str) -> go.Figure | None:
    """Budget utilisation against cost per qualified application, one line an arm, markers labelled with theta."""
    figure = _figure(f"Cost per qualified application, {currency}", "Budget used")
    labelled = _apart(report, theta)
    for number, (arm, points) in enumerate(report.get("frontier", {}).items()):
        known = [point for point in points if point["qualified_applications"] > 0]
        if not known:
            continue
        line = _line(
            arm,
            [point["cost_per_qualified_application_micros"] / MICROS for point in known],
            [point["budget_utilization"] for point in known],
        )
        line.update(
            mode="lines+markers+text",
            cliponaxis=False,
            text=[f"{point['theta']:g}" if (arm, point["theta"]) in labelled else "" for point in known],
            customdata=[f"{point['theta']:g}" for point in known],
            textposition=LABEL_SIDES[number % len(LABEL_SIDES)],
            textfont={"size": 11, "color": COLOURS.get(arm, NEUTRAL)},
            marker={"size": [12 if point["theta"] == theta else 7 for point in known]},
            hovertemplate="θ %{customdata}<br>%{x:.2f} a qualified application<br>%{y:.1%} of the budgets<extra>"
            + arm
            + "</extra>",
        )
        figure.add_trace(line)
    base = report.get("arms", {}).get(BASELINE, {}).get("cost_per_qualified_application_micros", {}).get("mean")
    if base and figure.data:
        line = {"color": NEUTRAL, "dash": "dash", "width": 1}
        figure.add_shape(
            type="line", x0=base / MICROS, x1=base / MICROS, y0=0, y1=1, yref="paper", layer="below", line=line
        )
        figure.add_annotation(
            x=float(np.log10(base / MICROS)), y=0, yref="paper", text=f"cost of {BASELINE}", showarrow=False,
            xanchor="left", yanchor="bottom", font={"color": NEUTRAL, "size": 11},
        )  # fmt: skip
    # Logarithmic, because random audiences cost several times what targeted ones do.
    figure.update_layout(height=FRONTIER_HEIGHT)
    figure.update_xaxes(type="log", tickvals=list(COST_TICKS), ticktext=[f"{tick:g}" for tick in COST_TICKS])
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero")
    return figure if figure.data else None


def _apart(report: dict[str, Any], theta: float) -> set[tuple[str, float]]:
    """(arm, theta) of the points that get a label: the table's first, then those that no labelled one is close to."""
    points = [
        (arm, point["theta"], np.log(point["cost_per_qualified_application_micros"]), point["budget_utilization"])
        for arm, found in report.get("frontier", {}).items()
        for point in found
        if point["qualified_applications"] > 0
    ]
    if not points:
        return set()
    places = np.array([point[2:] for point in points])
    places = (places - places.min(axis=0)) / np.maximum(np.ptp(places, axis=0), 1e-12)
    chosen: list[int] = []
    for at in sorted(range(len(points)), key=lambda at: points[at][1] != theta):
        if all((np.abs(places[at] - places[other]) > LABEL_ROOM).any() for other in chosen):
            chosen.append(at)
    return {points[at][:2] for at in chosen}


def spend_figure(report: dict[str, Any]) -> go.Figure | None:
    """Cumulative share of a day's spend at each hour against the plan."""
    figure = _figure("Hour of the day", "Share of the day's spend so far")
    spend = report.get("spend_by_hour", {})
    hours = list(range(25))
    planned = {"color": NEUTRAL, "width": 8}
    figure.add_trace(go.Scatter(x=hours, y=spend.get("plan"), name="plan", mode="lines", line=planned, opacity=0.35))
    for arm, share in spend.get("arms", {}).items():
        figure.add_trace(_line(arm, hours, share, mode="lines"))
    figure.update_xaxes(tickvals=list(range(0, 25, 3)), range=[0, 24])
    figure.update_yaxes(tickformat=".1~%", range=[0, 1.02])
    return figure if len(figure.data) > 1 else None


def supply_figure(report: dict[str, Any]) -> go.Figure | None:
    """Utilisation of ten equal groups of campaigns, from the scarcest supply per budget to the most plentiful."""
    figure = _figure("Tenth by supply (1: scarcest)", "Budget used")
    for arm, used in report.get("supply_groups", {}).items():
        figure.add_trace(_line(arm, list(range(1, len(used) + 1)), used))
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero")
    return figure if figure.data else None


def exposure_figure(report: dict[str, Any]) -> go.Figure | None:
    """Shares of seeker-campaign pairs by how often they were shown, one group of bars a number of times."""
    figure = _figure("Times shown", "Share of pairs shown")
    for arm, side in report.get("seeker_side", {}).items():
        shares = side["exposures"]
        if shares:
            times = [f"{n}" if n < len(shares) else f"{n} or more" for n in range(1, len(shares) + 1)]
            colour = {"color": COLOURS.get(arm, NEUTRAL), "opacity": 0.5 if arm in BRACKETS else 1.0}
            figure.add_trace(go.Bar(x=times, y=shares, name=arm, marker=colour))
    figure.update_layout(barmode="group", bargap=0.25, height=EXPOSURE_HEIGHT)
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero")
    return figure if figure.data else None


def budget_figure(report: dict[str, Any]) -> go.Figure | None:
    """Utilisation over the grid of budget levels; None where fewer than two levels were played."""
    figure = _figure("Budget level (1: as planned)", "Budget used")
    levels = report.get("budget_levels", {})
    for arm, rows in levels.items():
        if rows:
            figure.add_trace(
                _line(arm, [row["budget_level"] for row in rows], [row["budget_utilization"] for row in rows])
            )
    ticks = sorted({row["budget_level"] for rows in levels.values() for row in rows})
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{level:g}" for level in ticks])
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero")
    return figure if len(ticks) > 1 else None


def reliability_figure(bins: Sequence[dict[str, Any]], colour: str, predicted: str, observed: str) -> go.Figure | None:
    """Observed over predicted share, both logarithmic, with the diagonal; bins where nothing happened are left out."""
    shown = [row for row in bins if row["observed"] > 0 and row["predicted"] > 0]
    if not shown:
        return None
    figure = _figure(predicted, observed)
    x, y = [row["predicted"] for row in shown], [row["observed"] for row in shown]
    intervals = [row.get("ci95") or (row["observed"], row["observed"]) for row in shown]
    smallest = min(*x, *y, *(low for low, _ in intervals if low > 0))
    largest = max(*x, *y, *(high for _, high in intervals))
    ends = [smallest / 1.3, min(1.0, largest * 1.3)]
    figure.add_trace(
        go.Scatter(
            x=ends, y=ends, mode="lines", name="as predicted", line={"color": NEUTRAL, "dash": "dash", "width": 1.5}
        )
    )
    figure.add_trace(
        go.Scatter(
            x=x, y=y, mode="lines+markers", name="observed", line={"color": colour, "width": 2}, marker={"size": 8},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "color": colour,
                "array": [high - value for (_, high), value in zip(intervals, y, strict=True)],
                # A lower end of zero has no place on a logarithmic axis: it stops at the edge of the plot.
                "arrayminus": [value - max(low, ends[0]) for (low, _), value in zip(intervals, y, strict=True)],
            },
        )
    )  # fmt: skip
    span = [float(np.log10(end)) for end in ends]
    ticks = {
        "type": "log",
        "tickvals": list(SHARE_TICKS),
        "ticktext": [f"{tick:.1%}" if tick < 0.01 else f"{tick:.0%}" for tick in SHARE_TICKS],
    }
    figure.update_xaxes(range=span, **ticks)
    figure.update_yaxes(range=span, **ticks)
    return figure


def _figure(x: str, y: str) -> go.Figure:
    """Transparent paper: the page's own style sheet colours text and grid."""
    axis = {"showline": True, "linewidth": 1, "ticks": "outside", "ticklen": 4, "zeroline": False, "automargin": True}
    return go.Figure(
        layout={
            "template": None, "height": HEIGHT, "margin": {"l": 60, "r": 20, "t": 40, "b": 55},
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"family": FONT, "size": 13},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, "hovermode": "closest",
            "xaxis": {"title": {"text": x}, **axis}, "yaxis": {"title": {"text": y}, **axis},
        }
    )  # fmt: skip


def _line(arm: str, x: Sequence[float], y: Sequence[float], mode: str = "lines+markers") -> go.Scatter:
    bracket = arm in BRACKETS
    line = {"color": COLOURS.get(arm, NEUTRAL), "width": 1.5 if bracket else 2.5, "dash": "dot" if bracket else "solid"}
    return go.Scatter(x=list(x), y=list(y), name=arm, mode=mode, marker={"size": 7}, line=line)
