"""`report.html`: one file that needs no network. Its numbers are the report's, but for the three audiences in words.

Sections, top to bottom: the headline and what it rests on, the arms, the funnel and the seekers' side, spending, the
campaigns that leave most money, three audiences in words, delivery by audited group, predicted against recorded hires,
how far to trust it (placebos, 2 x 2, designs, organic arms), and how to repeat it. A section with nothing to show is
left out. The same report, stage and results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from market.whole_file import write_whole
from sim.experiment import BASELINE, Results
from sim.page_audiences import audiences
from sim.page_campaigns import worst_section
from sim.page_checks import (
    decomposition_section,
    design_section,
    organic_section,
    placebo_section,
    two_by_two_section,
)
from sim.page_frame import COLOURS, NEUTRAL, arm_name, details, document, plot, table
from sim.page_headline import headline_section
from sim.page_numbers import (
    amount,
    cost_per_qualified,
    percent,
    signed_percent,
    with_interval,
)
from sim.page_people import funnel_section, parity_section, seeker_section
from sim.page_plots import (
    budget_figure,
    frontier_figure,
    reliability_figure,
    spend_figure,
    supply_figure,
)
from sim.stage import Stage

ARM_WORDS = {
    "attribute": "the seeker's own attributes, best first (Xue 2020); tuned on people nobody is judged on",
    "keyword": "words of the seeker's titles in the job's text",
    "links": "attributes of seekers joined with attributes of jobs, mined from confirmed hires",
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
            headline_section(report, stage, results, currency),
            _arms(report, results, currency),
            funnel_section(report),
            seeker_section(report),
            _frontier(report, results, currency),
            _spending(report, results, currency),
            worst_section(report, currency),
            audiences(stage, results.markets[0], currency),
            parity_section(report),
            _reliability(report, stage),
            placebo_section(report),
            two_by_two_section(report, currency),
            design_section(report),
            organic_section(report),
            decomposition_section(report),
            _repeat(report),
        ]
    )
    write_whole(Path(path), document(body))


def _arms(report: dict[str, Any], results: Results, currency: str) -> str:
    rows = []
    for arm, row in report["arms"].items():
        cost = row["cost_per_qualified_application_micros"]
        rows.append(
            [
                arm_name(arm),
                with_interval(row["budget_utilization"]["mean"], row["budget_utilization"]["ci95"], percent),
                f"{row['qualified_applications']:,.0f}",
                f"{row['attributed_hires']:,}",
                with_interval(cost["mean"], cost["ci95"], amount),
                percent(row["click_rate"]["mean"], 2),
                f"{row['organic_applications']:,}",
                percent(row["ad_load"]),
                amount(row["overspend_micros"]),
                percent(row["unbilled_share"], 2),
            ]
        )
    cost_head, overspend_head = f"Cost per qualified application, {currency}", f"Overspend, {currency}"
    heads = ["Arm", "Budget used", "Qualified applications", "Hires", cost_head, "Click rate", "Organic applications"]
    heads += ["Ad load", overspend_head, "Unbilled share"]
    words = "".join(f"<dt>{arm_name(arm)}</dt><dd>{escape(ARM_WORDS.get(arm, ''))}</dd>" for arm in report["arms"])
    nothing_organic = all(row["ad_load"] == 1 for row in report["arms"].values())
    note = " No organic results were shown in this run, so the ad load is 100 %." if nothing_organic else ""
    return f"""<h2>Arms</h2>
<p>At θ = {results.config.theta:g}, the share of the live campaigns in reach that a seeker may be shown. Below a
figure its 95 % interval. Read budget used and cost together: an arm that spends more at a higher cost has bought reach,
not fit.</p>
{table(heads, rows, "wide")}
<p class=note>Arms differ only in which campaigns are retrieved for a seeker: estimates, plan, pacing, auction and
random numbers are the same.{note}</p><dl>{words}</dl>
{_lifts(report.get("lift", {}))}"""


def _lifts(lifts: dict[str, Any]) -> str:
    """Every measure of every arm against the baseline; a measure a row."""
    names = list(next(iter(lifts.values()), {}))
    heads = ["Relative difference", *(arm_name(key.removesuffix(f"_vs_{BASELINE}")) for key in lifts)]
    rows = [
        [
            escape(METRIC_WORDS.get(name, name.replace("_", " "))),
            *(with_interval(lift[name]["relative"], lift[name]["ci95"], signed_percent) for lift in lifts.values()),
        ]
        for name in names
    ]
    return details(f"Every measure against {BASELINE}, at the same θ", heads, rows)


def _frontier(report: dict[str, Any], results: Results, currency: str) -> str:
    rows = [
        [
            arm_name(arm),
            f"{point['theta']:g}",
            f"{point['reach']:.1f}",
            percent(point["budget_utilization"]),
            f"{point['qualified_applications']:,.1f}",
            cost_per_qualified(point),
            percent(point["ad_load"]),
        ]
        for arm, points in report.get("frontier", {}).items()
        for point in points
    ]
    heads = ["Arm", "θ", "Campaigns a seeker", "Budget used", "Qualified applications", f"Cost, {currency}", "Ad load"]
    return f"""<h2>Reach against quality</h2>
<p>Showing more campaigns to everybody spends more: utilisation alone measures reach. So each arm is drawn over θ, from
picky to generous. Up is more budget used, left is cheaper. The large marker is the arms table; compare arms along the
dashed line.</p>
{plot("frontier", frontier_figure(report, results.config.theta, currency))}
{details("Numbers of the plot", heads, rows)}"""


def _spending(report: dict[str, Any], results: Results, currency: str) -> str:
    rows = [
        [
            arm_name(arm),
            f"{row['budget_level']:g}",
            percent(row["budget_utilization"]),
            f"{row['qualified_applications']:,.1f}",
            cost_per_qualified(row),
        ]
        for arm, found in report.get("budget_levels", {}).items()
        for row in found
    ]
    heads = ["Arm", "Budget level", "Budget used", "Qualified applications", f"Cost, {currency}"]
    return f"""<h2>Spend over the day</h2>
<p>Share of a day's spend posted by each hour, mean over days, against the planned share (wide grey line). A line above
the plan spends early and may miss the evening's seekers; it is of what was spent, so all end at 100 %.</p>
{plot("spend", spend_figure(report))}
<h2>Which campaigns find no takers</h2>
<p>Campaigns in ten equal groups by supply per budget: the expected value of the people in reach (click rate × value of
a click, summed) over the budget. The groups are the same for every arm. Campaigns on the left have too few fitting
people for their money: a lower budget or a wider area helps them more than any targeting.</p>
{plot("supply", supply_figure(report))}
<h2>Tighter and looser budgets</h2>
<p>The same markets with every budget multiplied, at the θ of the arms table; level 1 is vacancies × clicks an employer
plans for an opening × market price. Where a line falls, money is not what is
short: more budget would lie idle.</p>
{plot("budgets", budget_figure(report))}
{details("Numbers of the plot", heads, rows)}"""


def _reliability(report: dict[str, Any], stage: Stage) -> str:
    found = report.get("predicted_rates")
    if not found:
        return ""
    rates = found["hires"]
    hires = reliability_figure(rates["bins"], COLOURS["graph"], "Predicted share who move there next", "Observed share")
    clicks = reliability_figure(found["clicks"], NEUTRAL, "Estimated click rate, once seen", "Rate of the model")
    recorded = "recorded" if stage.world.config.kind == "careers" else "generated"
    return f"""<h2>Are predicted hire rates right?</h2>
<p>Predicted probability that a served seeker's next occupation is a given one, against how often it was ({recorded}
moves of {found["people"]:,} people nothing was learned from): {rates["n"]:,} pairs predicted at 1 % or more, in ten
equal groups, with 95 % intervals by person. Mean gap (ECE) {rates["ece"]:.3f}; calibration slope
{rates["slope"]:.2f}, where 1 is right and less is overconfident.</p>
{plot("hire-rates", hires)}
<h3>Estimated click rates <span class=tag>mechanics</span></h3>
<p>The product's estimate against the click model's own rate, all pairs in reach in ten equal groups. The estimate was
learned from logs that the same model wrote, so agreement says that learning works, nothing about real clicks.</p>
{plot("click-rates", clicks)}"""


def _repeat(report: dict[str, Any]) -> str:
    settings = [[f"<code>{escape(name)}</code>", escape(value)] for name, value in _flat(report.get("config", {}))]
    return f"""<h2>How to repeat it</h2>
<p>Seed <b>{escape(str(report.get("seed")))}</b>, digest of <code>behaviour.toml</code>
<code class=digest>{escape(str(report.get("behaviour_sha256")))}</code>. The same code, configuration, seed and inputs
give this page byte for byte.</p>
{details("Configuration", ["Setting", "Value"], settings, "config")}"""


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """("experiment.market.days", "7") for every leaf of nested dicts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, (list, tuple)):
        yield prefix, ", ".join(str(part) for part in value)
    else:
        yield prefix, str(value)
