"""The frame of a report page: colours, tables, plots as HTML, the style sheet and the one document of all parts.

Colours follow Okabe and Ito, readable on light and dark paper.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sim.arms import BRACKETS

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
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def arm_name(arm: str) -> str:
    """The arm beside a dot of its colour; brackets in italics."""
    bracket = " bracket" if arm in BRACKETS else ""
    return f'<span class="arm{bracket}" style="--arm:{COLOURS.get(arm, NEUTRAL)}">{escape(arm)}</span>'


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
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr)); gap:1rem; margin:1.2rem 0 }
.card,.audience { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:.8rem 1rem }
.card p { font-size:.95rem }
.audiences { display:grid; gap:1rem; margin-top:1rem }
.audience,.sides > div { min-width:0 }
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
th.number { min-width:4.5rem }
td small { display:block; color:var(--soft); font-size:.76rem }
table.config .number { text-align:left }
table.config td.number { white-space:normal; overflow-wrap:anywhere }
table.reasons td:nth-child(2) { min-width:18rem; white-space:normal }
.arm { white-space:nowrap; font-weight:600 }
.arm.bracket { font-weight:400; font-style:italic }
.arm::before { content:""; display:inline-block; width:.65em; height:.65em; margin-right:.45em; border-radius:50%;
  background:var(--arm) }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.15rem 1rem; font-size:.9rem; margin:.8rem 0 }
dd { margin:0; color:var(--soft) }
details { margin:.6rem 0 }
summary { cursor:pointer; color:var(--accent); font-size:.9rem }
.plot { width:100%; margin:.4rem 0 }
@media (max-width: 40rem) {
  table.wide:not(.reasons) :is(td,th):first-child { position:sticky; left:0; background:var(--paper) }
  table.reasons td:nth-child(2) { min-width:12rem }
}
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
