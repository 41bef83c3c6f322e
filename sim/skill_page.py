"""The curve of links on one page: recall against false positives and against the number of links, as tables too.

One file that needs no network; the same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from sim.page_frame import FONT, details, document, plot, table

COLOURS = {"ratio": "#d55e00", "lean ratio": "#b08d00", "L1 logistic": "#2f86d0", "L1 cover": "#009e73"}
METHOD_WORDS = {
    "ratio": "every link whose hires against pairs without exceed a threshold",
    "lean ratio": "the same without links that a kept shorter one implies",
    "L1 logistic": "logistic regression with an L1 penalty and negative weights",
    "L1 cover": "the same with weights that can only be positive and no intercept",
}
HEIGHT = 380
NONE = "–"


def curve_page(report: Mapping[str, Any]) -> str:
    """The page of what `graph.linking.trial.run_trial` reported, with `sources` of the world beside it."""
    counts, found = report["pairs"], report["comparison"]
    sources = "".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in report["sources"].items())
    folds = "; ".join(
        f"{name} {fold['persons']:,} persons, {fold['hires']:,} hires, {fold['no_hires']:,} pairs without"
        for name, fold in counts.items()
    )
    chosen = [[escape(name), escape(METHOD_WORDS[name]), escape(how)] for name, how in report["chosen"].items()]
    overall = [_overall(name, found[name]) for name in found]
    body = [
        "<h1>Links: how well they retrieve, and how many it takes</h1>",
        f"<p class=lede>{escape(headline(report))}</p>",
        "<p class=caution>Mechanics: who has which skill is drawn from the occupations, so skills add no information "
        "beyond them. What it shows is how many links a method needs, not that skills help.</p>",
        plot("false", _panel(report, "linked_among_no_hires", "Linked among pairs without hire")),
        plot("links", _panel(report, "links", "Links kept")),
        "<p class=note>Persons unseen in mining and in tuning. A pair is linked when at least one kept link fires on "
        "it. The number of links is on a logarithmic scale.</p>",
        "<h2>At equal recall, against the ratio</h2>",
        table(("method", "times fewer links", "more false positives"), overall),
        *(_levels(name, found[name]) for name in found),
        "<h2>What was compared</h2>",
        table(("method", "in words", "chosen on validation persons"), chosen, text_columns=3),
        f"<p>{report['candidates']:,} candidates, {report['links']:,} links with support, "
        f"{report['weighed']:,} weighed; {escape(folds)}.</p><dl>{sources}</dl>",
        details("Tried on validation persons", TRIED_HEADS, [_tried_row(row) for row in report["validation"]]),
        details("Every point of the curves", POINT_HEADS, _point_rows(report["curves"])),
    ]
    return document("\n".join(body))


def headline(report: Mapping[str, Any]) -> str:
    """The result in one sentence of plain text."""
    name = report["headline"]
    found = report["comparison"][name]
    if not found["levels"]:
        return f"{name} and the ratio share none of the recall levels asked for, so nothing is compared."
    fewer, more = (
        _with_interval(found[key], form) for key, form in (("times_fewer", _times), ("more_false_positives", _percent))
    )
    low, high = found["levels"][0]["recall"], found["levels"][-1]["recall"]
    return (
        f"At equal recall ({low:.0%} to {high:.0%}) {name} keeps {fewer} fewer links than the ratio does; "
        f"false positives {more}."
    )


def curve_tables(report: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, heads, rows) of the comparison, as text: per method all recall levels together, then level by level."""
    found = report["comparison"]
    rows = [_overall(name, found[name]) for name in found]
    tables = [("At equal recall, against the ratio", ["method", "times fewer links", "more false positives"], rows)]
    for name in found:
        tables.append(
            (f"{name}, level by level", list(LEVEL_HEADS), [_level_row(row) for row in found[name]["levels"]])
        )
    return tables


LEVEL_HEADS = (
    "recall",
    "links",
    "links of the ratio",
    "times fewer links",
    "more false positives",
    "more among linked",
)
TRIED_HEADS = ("method", "times fewer", "more false positives", "at the worst level")
POINT_HEADS = ("method", "setting", "links", "recall", "linked among no hires", "no hires among linked")


def _panel(report: Mapping[str, Any], measure: str, title: str) -> go.Figure:
    axis = {"showline": True, "linewidth": 1, "ticks": "outside", "ticklen": 4, "zeroline": False, "automargin": True}
    figure = go.Figure(
        layout={
            "template": None, "height": HEIGHT, "margin": {"l": 60, "r": 20, "t": 40, "b": 55},
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"family": FONT, "size": 13},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, "hovermode": "closest",
            "xaxis": {"title": {"text": "Recall"}, "tickformat": ".0%", "range": [0, 1], **axis},
            "yaxis": {"title": {"text": title}, **axis},
        }
    )  # fmt: skip
    for name, points in report["curves"].items():
        if name == "lean ratio" and measure != "links":
            continue  # it links the same pairs as the ratio of the same smoothing
        shown = [point for point in points if point["links"] > 0]
        values = [point["links"] if measure == "links" else point[measure]["mean"] for point in shown]
        figure.add_trace(
            go.Scatter(
                x=[point["recall"]["mean"] for point in shown],
                y=values,
                name=name,
                mode="lines+markers",
                marker={"size": 5},
                line={"color": COLOURS[name], "width": 2.5},
                customdata=[point["links"] for point in shown],
                hovertemplate="recall %{x:.1%}<br>%{y}<br>%{customdata:,} links<extra>" + name + "</extra>",
            )
        )
    if measure == "links":
        figure.update_yaxes(type="log", dtick=1)
    else:
        figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _levels(name: str, found: Mapping[str, Any]) -> str:
    return details(f"{escape(name)}, level by level", LEVEL_HEADS, [_level_row(row) for row in found["levels"]])


def _overall(name: str, found: Mapping[str, Any]) -> list[str]:
    if not found["levels"]:
        return [name, NONE, NONE]
    cells = [
        _with_interval(found["times_fewer"], _times),
        _with_interval(found["more_false_positives"], _percent),
    ]
    missed = ", ".join(f"{level:.0%}" for level in found["missed_levels"])
    return [f"{name} (not reached: {missed})" if missed else name, *cells]


def _level_row(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['recall']:.0%}",
        f"{row['links']:,.0f}",
        f"{row['reference_links']:,.0f}",
        _with_interval(row["times_fewer"], _times),
        _with_interval(row["more_false_positives"], _percent),
        _with_interval(row["more_among_linked"], _percent),
    ]


def _tried_row(row: Mapping[str, Any]) -> list[str]:
    name = escape(f"{row['method']}, {row['option']}")
    if row["times_fewer"] is None:
        return [name, NONE, NONE, NONE]
    more = (_percent(row[key]) for key in ("more_false_positives", "worst_level"))
    return [name, _times(row["times_fewer"]), *more]


def _point_rows(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    shares = ("recall", "linked_among_no_hires", "no_hires_among_linked")
    return [
        [
            escape(name),
            f"{point['setting']:.3g}",
            f"{point['links']:,}",
            *(_with_interval(point[s], _share) for s in shares),
        ]
        for name, points in curves.items()
        for point in points
    ]


def _with_interval(estimate: Mapping[str, Any], form: Any) -> str:
    if estimate["mean"] is None:
        return NONE
    text = form(estimate["mean"])
    return text if estimate["ci95"] is None else f"{text} [{', '.join(form(edge) for edge in estimate['ci95'])}]"


def _times(value: float) -> str:
    return f"{value:.1f}×"


def _percent(value: float) -> str:
    return f"{value:+.1%}"


def _share(value: float) -> str:
    return f"{value:.3f}"
