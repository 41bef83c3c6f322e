"""How a report page is drawn: its figures, with the numbers that the report itself does not hold, tables and style.

A figure function returns None where there is nothing to draw. Colours follow Okabe and Ito, readable on light and dark
paper; brackets (random, all, oracle) are dotted because they are no competitors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from scipy.special import expit

from graph.calibration import SMALLEST_PREDICTION, reliability
from market.bootstrap import cluster_bootstrap
from sim.experiment import BASELINE, Results
from sim.market import Market
from sim.play import Run
from targeting.learned import Learned

MICROS = 1_000_000
COLOURS = {
    "attribute": "#d55e00",
    "keyword": "#cc79a7",
    "links": "#009e73",
    "graph": "#2f86d0",
    "graph+links": "#8b62cf",
    "random": "#8a919c",
    "all": "#6f7b8b",
    "oracle": "#b08d00",
}
NEUTRAL = "#8a919c"
BRACKETS = ("random", "all", "oracle")
HEIGHT, FRONTIER_HEIGHT = 420, 540
LABEL_SIDES = ("bottom right", "top left", "bottom center", "top center", "top right")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
SUPPLY_GROUPS = 10
BINS = 10
DRAWS = 200
COST_TICKS = tuple(digit * 10.0**power for power in range(-2, 5) for digit in (1, 1.5, 2, 3, 4, 5, 7))
SHARE_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def frontier_figure(report: dict[str, Any], theta: float, currency: str) -> go.Figure | None:
    """Budget utilisation against cost per qualified application, one line an arm, markers labelled with theta."""
    figure = _figure(f"Cost per qualified application, {currency}", "Budget used")
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
            text=[f"{point['theta']:g}" for point in known],
            textposition=LABEL_SIDES[number % len(LABEL_SIDES)],
            textfont={"size": 11, "color": COLOURS.get(arm, NEUTRAL)},
            marker={"size": [12 if point["theta"] == theta else 7 for point in known]},
            hovertemplate="θ %{text}<br>%{x:.2f} a qualified application<br>%{y:.1%} of the budgets<extra>"
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


def spend_figure(results: Results) -> go.Figure | None:
    """Cumulative share of a day's spend at each hour against the plan."""
    figure = _figure("Hour of the day", "Share of the day's spend so far")
    hours = list(range(25))
    figure.add_trace(
        go.Scatter(
            x=hours,
            y=_floats(results.share[::60]),
            name="plan",
            mode="lines",
            line={"color": NEUTRAL, "width": 8},
            opacity=0.35,
        )
    )
    for arm in results.config.arms:
        share = spend_by_hour(results.select(arm))
        if share is not None:
            figure.add_trace(_line(arm, hours, _floats(share), mode="lines"))
    figure.update_xaxes(tickvals=list(range(0, 25, 3)), range=[0, 24])
    figure.update_yaxes(tickformat=".1~%", range=[0, 1.02])
    return figure if len(figure.data) > 1 else None


def spend_by_hour(runs: Sequence[Run]) -> np.ndarray | None:
    """float64[25]: share of a day's spend posted by each full hour, the mean over all days with any spend."""
    days = [run.outcome.by_hour.reshape(-1, 24).astype(float) for run in runs]
    spend = np.concatenate(days) if days else np.empty((0, 24))
    spend = spend[spend.sum(1) > 0]
    if not len(spend):
        return None
    so_far = (np.cumsum(spend, axis=1) / spend.sum(1, keepdims=True)).mean(0)  # [24]
    return np.concatenate([[0.0], so_far])


def supply_figure(results: Results) -> go.Figure | None:
    """Utilisation of ten equal groups of campaigns, from the scarcest supply per budget to the most plentiful."""
    figure = _figure("Tenth of the campaigns by supply per budget (1: scarcest)", "Budget used")
    for arm in results.config.arms:
        used = utilization_by_supply(results, arm)
        if used is not None:
            figure.add_trace(_line(arm, list(range(1, len(used) + 1)), _floats(used)))
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero")
    return figure if figure.data else None


def utilization_by_supply(results: Results, arm: str) -> np.ndarray | None:
    """float64[groups]: posted / allowed by group of supply, all seeds together; every arm has the same groups."""
    runs = results.select(arm)
    markets = {market.config.seed: market for market in results.markets}
    if not runs:
        return None
    supply = np.concatenate([supply_per_budget(markets[run.seed]) for run in runs])
    posted = np.concatenate([run.outcome.posted for run in runs]).astype(float)
    allowed = np.concatenate([run.allowed for run in runs])
    groups = np.array_split(np.argsort(supply, kind="stable"), min(SUPPLY_GROUPS, len(supply)))
    return np.array([posted[group].sum() / max(allowed[group].sum(), 1.0) for group in groups])


def supply_per_budget(market: Market) -> np.ndarray:
    """float64[C]: sum over the pairs in reach of p_click * value_per_click, a micro of budget. No arm enters."""
    pairs = market.pairs
    worth = pairs.p_click.astype(float) * pairs.value_per_click
    return np.bincount(pairs.campaign, worth, minlength=len(market.terms.budget)) / market.terms.budget


def budget_figure(report: dict[str, Any]) -> go.Figure | None:
    """Utilisation over the grid of budget levels; None where fewer than two levels were played."""
    figure = _figure("Budget level (1: vacancies × clicks per opening × market price)", "Budget used")
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


def hire_rates(learned: Learned, market: Market, rng: np.random.Generator) -> dict[str, Any]:
    """Predicted P(next occupation) of the served seekers against what happened; see `graph.calibration.reliability`.

    Each bin also has "ci95" of the observed share, resampling original persons.
    """
    predicted = learned.affinity.probabilities(market.examples)  # [S, C]
    row, occupation = np.nonzero(predicted >= SMALLEST_PREDICTION)
    p = predicted[row, occupation].astype(float)
    happened = market.next_occupation[row] == occupation
    found = reliability(p, happened, BINS)
    person = market.person[row]
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    for bin_, part in zip(found["bins"], parts, strict=True):
        bin_["ci95"] = cluster_bootstrap(person[part], happened[part], rng=rng, draws=DRAWS).ci
    return found


def click_rates(market: Market) -> list[dict[str, float]]:
    """Estimated against true P(click | seen) at first sight, pairs in reach in ten equal groups of the estimate."""
    estimate, truth = market.pairs.p_click.astype(float), expit(market.pairs.click_logit.astype(float))
    parts = [part for part in np.array_split(np.argsort(estimate, kind="stable"), BINS) if len(part)]
    return [
        {"predicted": float(estimate[part].mean()), "observed": float(truth[part].mean()), "n": len(part)}
        for part in parts
    ]


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


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]


def plot(name: str, figure: go.Figure | None) -> str:
    """HTML of a figure with the fixed id `plot-NAME`, drawn by the page's own script; a note where there is none."""
    if figure is None:
        return NOT_MEASURED
    content = json.dumps(figure.to_plotly_json(), sort_keys=True, default=float).replace("<", "\\u003c")
    axes = escape(f"{figure.layout.yaxis.title.text} over {figure.layout.xaxis.title.text}")
    height = f"height:{figure.layout.height}px"
    return (
        f'<div class=plot id="plot-{name}" role="img" aria-label="{axes}" style="{height}"></div>'
        f'<script>draw("plot-{name}", {content})</script>'
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "", text_columns: int = 1) -> str:
    """Cells are HTML already; the first `text_columns` are text, the others numbers and aligned to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{'' if i < text_columns else ' class=number'}>{cell}</{tag}>" for i, cell in enumerate(row)
        )

    head, body = cells("th", heads), "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return (
        f'<div class=scroll><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'
    )


def details(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table that opens on demand, and by itself when printed."""
    return f"<details><summary>{title}</summary>{table(heads, rows, kind)}</details>" if rows else ""


def document(body: str) -> str:
    """The whole page: plotly once, style and script inside, no load from elsewhere."""
    plotly = get_plotlyjs().replace("</script", "<\\/script")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>HireGraph report</title><style>{STYLE}</style>
<script>{plotly}</script><script>{SCRIPT}</script></head>
<body>
<noscript><p class=caution>The plots need JavaScript; all tables are here without it.</p></noscript>
{body}
</body></html>
"""


# Forbids every load from elsewhere: the page holds all it needs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
NOT_MEASURED = "<p class=note>Not measured in this run.</p>"

STYLE = """
:root { --paper:#fff; --ink:#1c2530; --soft:#5b6675; --rule:#dfe4ea; --card:#f6f8fa; --accent:#1f6fb5; --warn:#8a5a00;
  color-scheme:light }
@media (prefers-color-scheme: dark) { :root { --paper:#14181d; --ink:#e4e8ed; --soft:#9aa5b3; --rule:#323a45;
  --card:#1c2229; --accent:#6fb1ea; --warn:#e0b050; color-scheme:dark } }
* { box-sizing:border-box }
body { margin:0 auto; padding:2.5rem 1.25rem 5rem; max-width:64rem; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif }
h1 { font-size:1.7rem; line-height:1.2; margin:0 0 1rem; letter-spacing:-.01em }
h2 { font-size:1.3rem; margin:3rem 0 .4rem; padding-top:.8rem; border-top:1px solid var(--rule) }
h3 { font-size:1.05rem; margin:.2rem 0 .4rem }
h4 { font-size:.9rem; margin:1rem 0 .3rem }
p { margin:.5rem 0; max-width:50rem }
code { font-size:.88em }
.digest { overflow-wrap:anywhere }
.lede { font-size:1.2rem; line-height:1.5; max-width:none }
.note { color:var(--soft); font-size:.9rem }
.caution { color:var(--warn); font-size:.95rem }
.tag { color:var(--warn); font-size:.8rem; font-weight:600 }
.why { color:var(--accent); font-size:.8rem; font-weight:600; margin:0 }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(19rem,1fr)); gap:1rem; margin:1.2rem 0 }
.card,.audience { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:.8rem 1rem }
.card p { font-size:.95rem }
.audiences { display:grid; gap:1rem; margin-top:1rem }
.sides { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr)); gap:0 2rem }
.sides table { width:100% }
.scroll { overflow-x:auto }
table { border-collapse:collapse; font-size:.9rem; margin:.6rem 0; min-width:60% }
table.wide { width:100% }
th { font-weight:600; color:var(--soft); font-size:.8rem; line-height:1.25; vertical-align:bottom; text-align:left }
th,td { padding:.35rem .6rem; border-bottom:1px solid var(--rule) }
td { vertical-align:top }
td:first-child,th:first-child { padding-left:0 }
.number { text-align:right; font-variant-numeric:tabular-nums }
td.number { white-space:nowrap }
td small { display:block; color:var(--soft); font-size:.76rem }
table.config .number { text-align:left }
table.config td.number { white-space:normal; overflow-wrap:anywhere }
.arm { white-space:nowrap; font-weight:600 }
.arm.bracket { font-weight:400; font-style:italic }
.arm::before { content:""; display:inline-block; width:.65em; height:.65em; margin-right:.45em; border-radius:50%;
  background:var(--arm) }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.15rem 1rem; font-size:.9rem; margin:.8rem 0 }
dd { margin:0; color:var(--soft) }
details { margin:.6rem 0 }
summary { cursor:pointer; color:var(--accent); font-size:.9rem }
.plot { width:100%; margin:.4rem 0 }
@media print {
  :root { --paper:#fff; --ink:#000; --soft:#444; --rule:#ccc; --card:#fff; --warn:#5a3a00; --accent:#000;
    color-scheme:light }
  body { max-width:none; padding:0; font-size:11pt }
  .plot,.audience,.card,tr { break-inside:avoid }
  h2,h3,h4 { break-after:avoid }
}
"""

# Plots take their colours from the style sheet, so that they follow light, dark and print.
SCRIPT = """
function shade(print) {
  const style = getComputedStyle(document.documentElement);
  const rule = print ? "#ccc" : style.getPropertyValue("--rule").trim();
  const change = {"font.color": print ? "#000" : style.getPropertyValue("--ink").trim()};
  for (const axis of ["xaxis", "yaxis"])
    for (const part of ["gridcolor", "linecolor", "tickcolor"]) change[axis + "." + part] = rule;
  return change;
}
function draw(id, figure) {
  Plotly.newPlot(id, figure.data, figure.layout, {displayModeBar: false, responsive: true})
    .then(plot => Plotly.relayout(plot, shade(false)));
}
function repaint(print) {
  document.querySelectorAll(".plot").forEach(plot => Plotly.relayout(plot, shade(print)));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint(false));
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach(part => { part.open = true; });
  repaint(true);
});
addEventListener("afterprint", () => repaint(false));
"""
