"""`report.html`: one file that needs no network. Every number is the report's, or computed from the same runs.

Sections, top to bottom: the headline and what it rests on, the arms, four plots of spending, three audiences in words,
predicted against recorded hires, and how to repeat it. The same report, stage and results give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from graph.explain import in_words
from graph.links import job_attributes
from market.taxonomy import Taxonomy
from sim.experiment import BASELINE, Results
from sim.market import Market
from sim.page_plots import (
    BRACKETS,
    COLOURS,
    NEUTRAL,
    budget_figure,
    click_rates,
    frontier_figure,
    hire_rates,
    reliability_figure,
    spend_figure,
    supply_figure,
)
from sim.stage import Stage

MICROS = 1_000_000
SMALLEST_GROUP = 30  # people; a smaller group is never shown
SHOWN = 5
FIRM_CAMPAIGNS, FIRM_SEEDS = 1_000, 20  # below either, a run is a demonstration
NONE = "–"
COMPARED = {"graph": "the hire graph", "links": "learned links"}
ARM_WORDS = {
    "attribute": "the seeker's own attributes, best first: what job sites do today; tuned on people nobody is judged on",
    "keyword": "words of the seeker's titles in the job's text",
    "links": "pairs of a seeker attribute and a job attribute, mined from confirmed hires",
    "graph": "the network trained on the graph of confirmed hires",
    "graph+links": "the network and the links together",
    "random": "bracket: campaigns drawn at random",
    "all": "bracket: every campaign in reach",
    "oracle": "bracket: knows the next occupation",
}
METRIC_WORDS = {
    "budget_utilization": "budget used",
    "cost_per_qualified_application_micros": "cost per qualified application",
    "spend_micros": "spend",
}


def write_page(path: Path, report: dict[str, Any], stage: Stage, results: Results) -> None:
    """Write the page of `report` to `path`; stage and results are those the report was built from."""
    currency = results.config.market.currency
    body = "\n".join(
        [
            _headline(report, stage, results, currency),
            _arms(report, results, currency),
            _frontier(report, results, currency),
            _spending(report, results),
            _audiences(stage, results.markets[0], currency),
            _reliability(report, stage, results.markets[0]),
            _background(report),
        ]
    )
    Path(path).write_text(_document(body), encoding="utf-8", newline="\n")


def headline_sentence(report: dict[str, Any], currency: str) -> str:
    """The result in one sentence of plain text; an interval that covers zero is said to show nothing."""
    arms = report["arms"]
    used = ", ".join(f"{arm} {_percent(row['budget_utilization']['mean'])}" for arm, row in arms.items())
    compared = [arm for arm in COMPARED if arm in report.get("headline", {})]
    if BASELINE not in arms:
        return f"Without the {BASELINE} arm there is nothing to compare with; budget used: {used}."
    cost = arms[BASELINE]["cost_per_qualified_application_micros"]["mean"]
    if cost is None:
        return f"The {BASELINE} arm brought no qualified application, so there is no cost to compare at; budget used: {used}."
    if not compared:
        return f"Neither the hire graph nor learned links was played against {BASELINE}; budget used: {used}."
    parts = [_compared(arm, report, currency) for arm in compared]
    return (
        f"At the {_money(cost, currency)} that {BASELINE} targeting pays for a qualified application, "
        f"using {_percent(arms[BASELINE]['budget_utilization']['mean'])} of the budgets, {'; '.join(parts)}."
    )


def _compared(arm: str, report: dict[str, Any], currency: str) -> str:
    found = report["headline"][arm]["utilization_at_equal_cost"]
    name, difference, interval = COMPARED[arm], found["difference"], found.get("difference_ci95")
    if difference is None:
        cheapest = [
            point["cost_per_qualified_application_micros"]
            for point in report.get("frontier", {}).get(arm, [])
            if point["qualified_applications"] > 0
        ]
        at_best = f" (at best {_money(min(cheapest), currency)})" if cheapest else ""
        return f"{name}: no setting that cheap{at_best}"
    more = "more" if difference >= 0 else "less"
    said = f"{name} can spend {abs(100 * difference):.1f} points {more}"
    if not interval:
        return f"{said} (no interval can be given)"
    edges = f"95 % interval {_points(interval[0])} to {_points(interval[1])}"
    if interval[0] <= 0 <= interval[1]:
        return f"{said}, but the {edges} covers zero: no difference is shown"
    return f"{said} ({edges})"


def _headline(report: dict[str, Any], stage: Stage, results: Results, currency: str) -> str:
    config = results.config
    rows = []
    for arm, content in report.get("headline", {}).items():
        found = content["utilization_at_equal_cost"]
        cheap = found["difference"] is not None
        rows.append(
            [
                _arm(arm),
                _interval(found["difference"], found.get("difference_ci95"), _points) if cheap else "never that cheap",
                _interval(found["relative"], found.get("ci95"), _signed_percent),
                _percent(content.get("share_of_oracle_headroom"), 0),
            ]
        )
    table = (
        "<p class=note>Read off each arm's frontier by linear interpolation. An arm whose whole frontier is cheaper counts at "
        f"its dearest setting. Intervals resample campaigns.</p>"
        + _table(
            ["Arm", f"Budget used at {BASELINE}'s cost, less {BASELINE}'s (points)", "Relative", "Share of the oracle's headroom"], rows
        )
        if rows
        else ""
    )
    size = f"{config.market.campaigns:,} campaigns, {config.seeds} {'seed' if config.seeds == 1 else 'seeds'}, {config.market.days} days"
    caution = []
    if config.market.campaigns < FIRM_CAMPAIGNS or config.seeds < FIRM_SEEDS:
        caution.append(
            f"This run is a demonstration ({size}): a firm figure takes {FIRM_CAMPAIGNS:,} campaigns and {FIRM_SEEDS} seeds."
        )
    if config.design == "budget-split":
        caution.append(
            "Design budget-split: the arms share one market, each with its own part of the people and an equal part of every "
            "budget. That estimates, with a bias, what full markets would show."
        )
    return f"""<h1>Promoted jobs: who spent the budgets, on whom, at what cost</h1>
<p class=lede>{escape(headline_sentence(report, currency))}</p>
{"".join(f"<p class=caution>{escape(line)}</p>" for line in caution)}
<div class=cards>{_evidence(stage)}
<div class=card><h3>Mechanics</h3><p>Impressions, clicks, applications, hires on one posting and all money come from a click
model that we wrote down before any arm was compared (<code>behaviour.toml</code>). Utilisation, cost and click rate show
what the engine does under that model, not what real seekers would do. Hires are attributed: careers are fixed, so nothing
here is an increase of hires.</p></div></div>
{table}"""


def _evidence(stage: Stage) -> str:
    config = stage.world.config
    if config.kind == "careers":
        words = (
            "Which occupation each person moved into next is recorded (NLSY79 careers), and no person served here was "
            "used to learn from. That is what “qualified” is graded by and what predicted hire rates are checked against. "
            f"Assumed: a share of {config.same_occupation_share:g} of hires keeps the occupation."
        )
        return f"<div class=card><h3>Evidence</h3><p>{escape(words)}</p></div>"
    words = (
        "Nothing on this page. This is the generated world: careers, jobs and wages are made up, so that the product runs "
        "without data. Use the careers world for recorded moves."
    )
    return f"<div class=card><h3>Evidence</h3><p>{escape(words)}</p></div>"


def _arms(report: dict[str, Any], results: Results, currency: str) -> str:
    rows = []
    for arm, row in report["arms"].items():
        cost = row["cost_per_qualified_application_micros"]
        rows.append(
            [
                _arm(arm),
                _interval(row["budget_utilization"]["mean"], row["budget_utilization"]["ci95"], _percent),
                f"{row['qualified_applications']:,.0f}",
                f"{row['attributed_hires']:,}",
                _interval(cost["mean"], cost["ci95"], _amount),
                _percent(row["click_rate"]["mean"], 2),
                f"{row['organic_applications']:,}",
                _percent(row["ad_load"]),
                _amount(row["overspend_micros"]),
                _percent(row["unbilled_share"], 2),
            ]
        )
    heads = ["Arm", "Budget used", "Qualified applications", "Hires", f"Cost per qualified application, {currency}", "Click rate",
             "Organic applications", "Ad load", f"Overspend, {currency}", "Unbilled clicks"]  # fmt: skip
    words = "".join(
        f"<dt>{_arm(arm)}</dt><dd>{escape(ARM_WORDS.get(arm, ''))}</dd>" for arm in report["arms"]
    )
    notes = ["Arms differ only in which campaigns are retrieved for a seeker: estimates, plan, pacing, auction and random numbers are the same."]
    if any(row["ad_load"] == 1 for row in report["arms"].values()):
        notes.append("No organic results were shown in this run, so the ad load is 100 %.")
    lifts = report.get("lift", {})
    details = ""
    if lifts:
        names = list(next(iter(lifts.values())))
        table = _table(
            ["Relative difference", *(escape(key.removesuffix(f"_vs_{BASELINE}")) for key in lifts)],
            [
                [
                    escape(METRIC_WORDS.get(name, name.replace("_", " "))),
                    *(_interval(lift[name]["relative"], lift[name]["ci95"], _signed_percent) for lift in lifts.values()),
                ]
                for name in names
            ],
        )
        details = f"<details><summary>Every measure against {BASELINE}, at the same θ</summary>{table}</details>"
    return f"""<h2>Arms</h2>
<p>At θ = {results.config.theta:g} (share of the live campaigns in reach that a seeker may be shown). Small print: 95 % intervals.</p>
{_table(heads, rows, "wide")}
<p class=note>{escape(" ".join(notes))}</p><dl class=words>{words}</dl>{details}"""


def _frontier(report: dict[str, Any], results: Results, currency: str) -> str:
    rows = [
        [
            _arm(arm),
            f"{point['theta']:g}",
            f"{point['reach']:.1f}",
            _percent(point["budget_utilization"]),
            f"{point['qualified_applications']:,.1f}",
            _amount(point["cost_per_qualified_application_micros"] if point["qualified_applications"] > 0 else None),
            _percent(point["ad_load"]),
        ]
        for arm, points in report.get("frontier", {}).items()
        for point in points
    ]
    heads = ["Arm", "θ", "Campaigns a seeker", "Budget used", "Qualified applications", f"Cost, {currency}", "Ad load"]
    return f"""<h2>Reach against quality</h2>
<p>Showing more campaigns to everybody always spends more: utilisation alone measures reach. So each arm is drawn over θ,
from picky to generous. Up is more budget used, left is cheaper. The large marker is the arms table; compare arms along
the dashed line.</p>
{_plot("frontier", frontier_figure(report, results.config.theta, currency))}
{_details("Numbers of the plot", heads, rows)}"""


def _spending(report: dict[str, Any], results: Results) -> str:
    rows = [
        [_arm(arm), f"{row['budget_level']:g}", _percent(row["budget_utilization"]), f"{row['qualified_applications']:,.1f}",
         _amount(row["cost_per_qualified_application_micros"] if row["qualified_applications"] > 0 else None)]
        for arm, found in report.get("budget_levels", {}).items()
        for row in found
    ]  # fmt: skip
    heads = ["Arm", "Budget level", "Budget used", "Qualified applications", f"Cost, {results.config.market.currency}"]
    return f"""<h2>Spend over the day</h2>
<p>Share of a day's spend posted by each hour, mean over days, against the planned share (wide grey line).</p>
{_plot("spend", spend_figure(results))}
<h2>Which campaigns find no takers</h2>
<p>Campaigns in ten equal groups by supply per budget: the expected value of the people in reach (click rate × value of a
click, summed) over the budget. The groups are the same for every arm.</p>
{_plot("supply", supply_figure(results))}
<h2>Tighter and looser budgets</h2>
<p>The same markets with every budget multiplied, at the θ of the arms table.</p>
{_plot("budgets", budget_figure(report))}
{_details("Numbers of the plot", heads, rows)}"""


def _audiences(stage: Stage, market: Market, currency: str) -> str:
    cards = "".join(_audience(stage, market, why, campaign, currency) for why, campaign in example_campaigns(stage, market))
    return f"""<h2>Three audiences, explained</h2>
<p>Why these people are shown these jobs: learned links with the hires behind them, and the network's lift, how many times
likelier than anybody its next move is into the job's occupation. Groups of fewer than {SMALLEST_GROUP} people are pooled with the rest
of their section, or not shown.</p>
<div class=audiences>{cards}</div>"""


def example_campaigns(stage: Stage, market: Market) -> list[tuple[str, int]]:
    """(why it was chosen, campaign): largest budget, median budget, rarest occupation in the logs; ties by position."""
    budget = market.terms.budget
    order = np.argsort(-budget, kind="stable")
    hires = stage.learned.hires_by_occupation[stage.world.inventory.occupation[market.terms.job]]
    wanted = [
        ("The largest budget", order),
        ("The median budget", np.roll(order, -(len(order) // 2))),
        ("The rarest occupation among hires", np.argsort(hires, kind="stable")),
    ]
    chosen: list[tuple[str, int]] = []
    for why, ranked in wanted:
        taken = {campaign for _, campaign in chosen}
        found = next((int(campaign) for campaign in ranked if int(campaign) not in taken), None)
        if found is not None:
            chosen.append((why, found))
    return chosen


def _audience(stage: Stage, market: Market, why: str, campaign: int, currency: str) -> str:
    world, learned, taxonomy = stage.world, stage.learned, stage.world.careers.taxonomy
    jobs, job = world.inventory, int(market.terms.job[campaign])
    occupation = int(jobs.occupation[job])
    place = world.metros.names[jobs.metro[job]] + (", or remote" if jobs.remote[job] else "")
    reached = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))[market.pairs.campaign == campaign]
    people = len(np.unique(market.person[reached]))
    links = learned.links
    attributes = set(job_attributes(occupation, taxonomy))
    aimed = [i for i in range(len(links)) if links.job[i] in attributes][:SHOWN]
    link_rows = [
        [escape(_seeker_words(links.seeker[i], taxonomy)), escape(_job_words(links.job[i], taxonomy)), f"{links.weight[i]:+.2f}", f"{links.hires[i]:,}"]
        for i in aimed
    ]  # fmt: skip
    group_rows = [
        [escape(name), f"{count:,}", f"×{np.exp(lift):.2f}"]
        for name, count, lift in occupation_groups(market, occupation, taxonomy)[:SHOWN]
    ]
    lines = [
        place,
        f"budget {_money(market.terms.budget[campaign], currency)}",
        f"{market.terms.openings[campaign]} {'opening' if market.terms.openings[campaign] == 1 else 'openings'}",
        f"{people:,} people in reach" if people >= SMALLEST_GROUP else f"fewer than {SMALLEST_GROUP} people in reach",
        f"{learned.hires_by_occupation[occupation]:,} confirmed hires into {taxonomy.titles[occupation]} in the logs",
    ]
    linked = (
        _table(["A seeker with", "for a job", "Weight", "Hires"], link_rows, "", 2)
        if link_rows
        else "<p class=note>No learned link targets this job: it is reached through the network alone.</p>"
    )
    grouped = (
        _table(["Works now as", "People", "Mean lift"], group_rows)
        if group_rows
        else f"<p class=note>No group of {SMALLEST_GROUP} people to show.</p>"
    )
    return f"""<section class=audience><p class=why>{escape(why)}</p><h3>{escape(world.title(jobs, job))}</h3>
<p class=note>{escape(" · ".join(lines))}</p>
<h4>Best links to it</h4>{linked}<h4>Likeliest seekers by present occupation</h4>{grouped}</section>"""


def occupation_groups(market: Market, occupation: int, taxonomy: Taxonomy) -> list[tuple[str, int, float]]:
    """(name, people, mean log lift into `occupation`) of the market's seekers by present occupation, best first.

    Occupations of fewer than SMALLEST_GROUP people (original persons, not copies) are pooled within their section; a
    pool that is still too small is left out.
    """
    current = market.examples.current
    group = np.where(current >= 0, current, -1).astype(np.int64)
    _pool_small(group, market.person, len(taxonomy) + taxonomy.section[np.maximum(current, 0)])
    found = []
    for number in np.unique(group[group >= 0]).tolist():
        rows = group == number
        people = len(np.unique(market.person[rows]))
        if people < SMALLEST_GROUP:
            continue
        if number < len(taxonomy):
            name = taxonomy.titles[number]
        else:
            name = f"{taxonomy.section_names[number - len(taxonomy)]}: less common occupations"
        found.append((name, people, float(market.log_lift[rows, occupation].mean())))
    return sorted(found, key=lambda row: (-row[2], row[0]))


def _pool_small(group: np.ndarray, person: np.ndarray, pool: np.ndarray) -> None:
    """Move the rows of groups with too few people to their `pool`, in place."""
    pairs = np.unique(np.stack([group, person]), axis=1)
    names, people = np.unique(pairs[0], return_counts=True)
    small = np.isin(group, names[people < SMALLEST_GROUP]) & (group >= 0)
    group[small] = pool[small]


def _seeker_words(attribute: str, taxonomy: Taxonomy) -> str:
    if attribute.startswith("education=education"):
        attribute = attribute.removeprefix("education=")
    words = in_words(attribute, taxonomy)
    return words.replace("major ", "major group ", 1) if attribute.startswith("major=") else words


def _job_words(attribute: str, taxonomy: Taxonomy) -> str:
    kind, _, value = attribute.partition("=")
    if kind == "occupation":
        return f"as {taxonomy.titles[taxonomy.position[value]]}"
    return f"in {'major group' if kind == 'major' else kind} {value}"


def _reliability(report: dict[str, Any], stage: Stage, market: Market) -> str:
    rates = hire_rates(stage.learned, market, np.random.default_rng([report["seed"], 61]))
    hires = reliability_figure(rates["bins"], COLOURS["graph"], "Predicted share who move there next", "Recorded share")
    clicks = reliability_figure(click_rates(market), NEUTRAL, "Estimated click rate, once seen", "Click rate of the model")
    people = len(np.unique(market.person))
    recorded = "recorded" if stage.world.config.kind == "careers" else "generated"
    return f"""<h2>Are predicted hire rates right?</h2>
<p>Predicted probability that a served seeker's next occupation is a given one, against how often it was ({recorded} moves of
{people:,} people nothing was learned from): {rates["n"]:,} pairs predicted at 1 % or more, in ten equal groups, with 95 % intervals
by person. Mean gap (ECE) {rates["ece"]:.3f}; calibration slope {rates["slope"]:.2f}, where 1 is right and less is overconfident.</p>
{_plot("hire-rates", hires)}
<h3>Estimated click rates <span class=tag>mechanics</span></h3>
<p>The product's estimate against the click model's own rate, all pairs in reach in ten equal groups. The estimate was learned from
logs that the same kind of model wrote, so agreement says that learning works, nothing about real clicks.</p>
{_plot("click-rates", clicks)}"""


def _background(report: dict[str, Any]) -> str:
    placebos = [
        [escape(name.replace("_", " ")), escape(found.get("metric", "")), _interval(found["relative"], found.get("ci95"), _signed_percent), _verdict(found)]
        for name, found in report.get("placebo", {}).items()
        if found
    ]  # fmt: skip
    parts = [
        [_arm(arm), *(_factor(content["decomposition"].get(name)) for name in ("impressions", "click_rate", "price_per_click", "spend"))]
        for arm, content in report.get("headline", {}).items()
        if content.get("decomposition")
    ]  # fmt: skip
    missing = [name.replace("_", " ") for name, found in report.get("placebo", {}).items() if not found]
    settings = [[f"<code>{escape(name)}</code>", escape(value)] for name, value in _flat(report.get("config", {}))]
    return f"""<h2>Placebos</h2>
<p>What must fail: with nothing to know, knowing must not pay.</p>
{_table(["Placebo", "Measure", "Relative difference", ""], placebos, "", 2) if placebos else ""}
{f"<p class=note>Not measured: {escape(', '.join(missing))}.</p>" if missing else ""}
<h2>Where a difference in spend comes from</h2>
<p>Logarithm of each arm's ratio to {BASELINE} at the θ of the arms table: impressions, click rate and price add up to spend.</p>
{_table(["Arm", "Impressions", "Click rate", "Price per click", "Spend"], parts) if parts else "<p class=note>Not measured.</p>"}
<h2>How to repeat it</h2>
<p>Seed <b>{escape(str(report.get("seed")))}</b>, digest of <code>behaviour.toml</code>
<code class=digest>{escape(str(report.get("behaviour_sha256")))}</code>. The same code, configuration, seed and inputs give this page
byte for byte.</p>
{_details("Configuration", ["Setting", "Value"], settings, "config")}"""


def _verdict(found: dict[str, Any]) -> str:
    interval = found.get("ci95")
    if not interval:
        return "no interval"
    return "covers zero, as it should" if interval[0] <= 0 <= interval[1] else "does not cover zero: look into it"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """("experiment.market.days", "7") for every leaf of nested dicts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, (list, tuple)):
        yield prefix, ", ".join(str(part) for part in value)
    else:
        yield prefix, str(value)


def _plot(name: str, figure: go.Figure | None) -> str:
    if figure is None:
        return "<p class=note>Not measured in this run.</p>"
    content = json.dumps(figure.to_plotly_json(), sort_keys=True, default=float).replace("<", "\\u003c")
    return f'<div class=plot id="plot-{name}" role="img"></div><script>draw("plot-{name}", {content})</script>'


def _details(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    return f"<details><summary>{title}</summary>{_table(heads, rows, kind)}</details>" if rows else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "", text_columns: int = 1) -> str:
    """Cells are HTML already; the first `text_columns` are text, the others numbers and aligned to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{'' if i < text_columns else ' class=number'}>{cell}</{tag}>" for i, cell in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return f'<div class=scroll><table class="{kind}"><thead><tr>{cells("th", heads)}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _arm(arm: str) -> str:
    bracket = " bracket" if arm in BRACKETS else ""
    return f'<span class="arm{bracket}" style="--arm:{COLOURS.get(arm, NEUTRAL)}">{escape(arm)}</span>'


def _interval(value: float | None, interval: Sequence[float] | None, form: Any) -> str:
    if not _known(value):
        return NONE
    if not interval:
        return form(value)
    return f"{form(value)}<small>{form(interval[0])} to {form(interval[1])}</small>"


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _percent(value: float | None, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %" if _known(value) else NONE


def _signed_percent(value: float | None) -> str:
    return f"{100 * value:+.1f} %" if _known(value) else NONE


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _amount(micros: float | None) -> str:
    """Currency units; a sum too small for two digits keeps all six."""
    if not _known(micros):
        return NONE
    units = micros / MICROS
    return f"{units:,.2f}" if units == 0 or abs(units) >= 0.005 else f"{units:.6f}"


def _money(micros: float, currency: str) -> str:
    return f"{_amount(micros)} {currency}"


def _factor(log_ratio: float | None) -> str:
    return f"{log_ratio:+.3f}<small>×{np.exp(log_ratio):.3f}</small>" if _known(log_ratio) else NONE


STYLE = """
:root { --paper:#fff; --ink:#1c2530; --soft:#5b6675; --rule:#dfe4ea; --card:#f6f8fa; --accent:#1f6fb5; --warn:#8a5a00; color-scheme:light }
@media (prefers-color-scheme: dark) { :root { --paper:#14181d; --ink:#e4e8ed; --soft:#9aa5b3; --rule:#323a45; --card:#1c2229;
  --accent:#6fb1ea; --warn:#e0b050; color-scheme:dark } }
* { box-sizing:border-box }
body { margin:0 auto; padding:2.5rem 1.25rem 5rem; max-width:64rem; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif }
h1 { font-size:1.9rem; line-height:1.2; margin:0 0 1rem; letter-spacing:-.01em }
h2 { font-size:1.3rem; margin:3rem 0 .4rem; padding-top:.8rem; border-top:1px solid var(--rule) }
h3 { font-size:1.05rem; margin:.2rem 0 .4rem } h4 { font-size:.9rem; margin:1rem 0 .3rem }
p { margin:.5rem 0; max-width:50rem } code { font-size:.88em } .digest { overflow-wrap:anywhere }
.lede { font-size:1.2rem; line-height:1.5; max-width:none }
.note { color:var(--soft); font-size:.9rem } .caution { color:var(--warn); font-size:.95rem }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(19rem,1fr)); gap:1rem; margin:1.2rem 0 }
.card,.audience { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:.8rem 1rem }
.card p { font-size:.95rem } .audiences { display:grid; gap:1rem; margin-top:1rem }
.why { color:var(--accent); font-size:.8rem; font-weight:600; margin:0 } .tag { color:var(--warn); font-size:.8rem; font-weight:600 }
.scroll { overflow-x:auto } table { border-collapse:collapse; font-size:.9rem; margin:.6rem 0; min-width:60% }
table.wide { width:100% } th { font-weight:600; color:var(--soft); font-size:.8rem; line-height:1.25; vertical-align:bottom; text-align:left }
th,td { padding:.35rem .6rem; border-bottom:1px solid var(--rule) } td { vertical-align:top }
.number { text-align:right; font-variant-numeric:tabular-nums } td.number { white-space:nowrap }
td small { display:block; color:var(--soft); font-size:.76rem } td:first-child,th:first-child { padding-left:0 }
.arm { white-space:nowrap; font-weight:600 } .arm.bracket { font-weight:400; font-style:italic }
.arm::before { content:""; display:inline-block; width:.65em; height:.65em; margin-right:.45em; border-radius:50%; background:var(--arm) }
dl.words { display:grid; grid-template-columns:max-content 1fr; gap:.15rem 1rem; font-size:.9rem; margin:.8rem 0 }
dl.words dd { margin:0; color:var(--soft) } details { margin:.6rem 0 } summary { cursor:pointer; color:var(--accent); font-size:.9rem }
table.config td.number { text-align:left; white-space:normal; overflow-wrap:anywhere } table.config th.number { text-align:left }
.plot { width:100%; height:420px; margin:.4rem 0 }
@media print { :root { --paper:#fff; --ink:#000; --soft:#444; --rule:#ccc; --card:#fff; --warn:#5a3a00; --accent:#000; color-scheme:light }
  body { max-width:none; padding:0; font-size:11pt } .plot,.audience,.card,tr { break-inside:avoid } h2,h3,h4 { break-after:avoid } }
"""

SCRIPT = """
function shade(light) {
  const style = getComputedStyle(document.documentElement), read = name => style.getPropertyValue(name).trim();
  const ink = light ? "#000" : read("--ink"), rule = light ? "#ccc" : read("--rule"), change = {"font.color": ink};
  for (const axis of ["xaxis", "yaxis"]) Object.assign(change, {[axis + ".gridcolor"]: rule, [axis + ".linecolor"]: rule, [axis + ".tickcolor"]: rule});
  return change;
}
function draw(id, figure) {
  Plotly.newPlot(id, figure.data, figure.layout, {displayModeBar: false, responsive: true}).then(plot => Plotly.relayout(plot, shade(false)));
}
function repaint(light) { document.querySelectorAll(".plot").forEach(plot => Plotly.relayout(plot, shade(light))); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint(false));
addEventListener("beforeprint", () => { document.querySelectorAll("details").forEach(part => { part.open = true; }); repaint(true); });
addEventListener("afterprint", () => repaint(false));
"""

# Forbids every load from elsewhere: the page holds all it needs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"


def _document(body: str) -> str:
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
