"""Sections of the report's page about people: the funnel, the seekers' side, and delivery by audited group."""

from __future__ import annotations

from html import escape
from typing import Any

from graph.fairness.impact import THE_REST
from sim.page_frame import arm_name, details, plot, table
from sim.page_numbers import NONE, count, factor_of, percent, with_interval
from sim.page_plots import exposure_figure

STEPS = {  # name in the report: (head, what the share below it is of)
    "impressions": ("Impressions", "a visit"),
    "seen": ("Seen", "of impressions"),
    "clicks": ("Clicks", "of seen"),
    "applications": ("Applications", "of clicks"),
    "qualified_applications": ("Qualified", "of applications"),
    "attributed_hires": ("Hires", "of qualified"),
}


def funnel_section(report: dict[str, Any]) -> str:
    """From visits to hires, an arm a row; below a count what part of the step before it is."""
    found = report.get("funnel", {})
    if not found:
        return ""
    rows = []
    for arm, steps in found.items():
        cells, before = [arm_name(arm), count(steps["visits"])], steps["visits"]
        for name in STEPS:
            cells.append(f"{count(steps[name])}<small>{_step(name, steps[name], before)}</small>")
            before = steps[name]
        rows.append(cells)
    heads = ["Arm", "Visits", *(f"{head}<br>{of}" for head, of in STEPS.values())]
    return f"""<h2>From visits to hires</h2>
<p>Where people are lost. A low share of clicks says that the wrong people see the jobs or see them too often; a low
share of qualified applications that the wrong people apply. Seen is the expected number of impressions looked at.</p>
{table(heads, rows, "wide")}"""


def _step(name: str, value: float | None, before: float | None) -> str:
    if value is None or not before:
        return NONE
    share = value / before
    return f"{share:.2f} a visit" if name == "impressions" else percent(share, 2 if share < 0.1 else 1)


def seeker_section(report: dict[str, Any]) -> str:
    """Relevance, ad load and repeat exposure, an arm a row."""
    found = report.get("seeker_side", {})
    if not found:
        return ""
    rows = []
    for arm, side in found.items():
        relevance, fitting = side["qualified_per_impression"], side["qualified_share_of_applications"]
        rows.append(
            [
                arm_name(arm),
                with_interval(relevance["mean"], relevance["ci95"], lambda value: f"{1_000 * value:.2f}"),
                with_interval(fitting["mean"], fitting["ci95"], percent),
                percent(report["arms"][arm]["ad_load"]),
                percent(side["seekers_shown"]),
                NONE if side["campaigns_per_seeker"] is None else f"{side['campaigns_per_seeker']:.1f}",
                percent(side["seekers_shown_again"]),
                NONE if side["impressions_per_pair"] is None else f"{side['impressions_per_pair']:.2f}",
            ]
        )
    heads = ["Arm", "Qualified applications of 1,000 impressions", "Applications that are qualified", "Ad load"]
    heads += ["Seekers shown a promoted job", "Different ones each", "Shown one of them again"]
    heads += ["Impressions of a job to one seeker"]
    return f"""<h2>The seekers' side</h2>
<p>What the budgets bought from the seekers' point of view. More qualified applications of the same impressions is a
better page for them, too. Many repeats say that money is spent on showing the same job to the same people: add
campaigns, or widen the audience, before raising a budget.</p>
{table(heads, rows, "wide")}
<h3>How often one seeker is shown the same job</h3>
{plot("exposures", exposure_figure(report))}"""


def parity_section(report: dict[str, Any]) -> str:
    """Delivery by audited group: overall, and section by section on demand; a sentence where people carry none."""
    found = report.get("delivery_parity", {})
    if not found:
        return """<h2>Delivery by audited group</h2>
<p class=note>Not measured: the people of this world carry no audited attributes, sex or race.</p>"""
    rows, sections = [], []
    for arm, attributes in found["arms"].items():
        for attribute, parity in attributes.items():
            told = {row["section"] for row in parity["sections"]} - {THE_REST}
            below = {group: f"{n} of {len(told)}" for group, n in parity["below_four_fifths"].items()}
            for group in parity["groups"]:
                name = [arm_name(arm), escape(attribute), escape(group["category"])]
                if group.get("withheld"):
                    rows.append([*name, "withheld", *[NONE] * 4])
                    continue
                rows.append(
                    [
                        *name,
                        count(group["people"]),
                        percent(group["eligible_share"]),
                        percent(group["shown_share"]),
                        with_interval(group["ratio"], group["ci95"], factor_of),
                        below[group["category"]],
                    ]
                )
            for row in parity["sections"]:
                cells = [arm_name(arm), escape(row["group"]), escape(row["section"])]
                shares = [percent(row["eligible_share"]), percent(row["shown_share"])]
                sections.append([*cells, *shares, NONE if row["ratio"] is None else factor_of(row["ratio"])])
    heads = ["Arm", "Attribute", "Group", "People", "Share of the eligible", "Share of impressions", "Ratio"]
    heads += ["Job sections below four fifths"]
    part_heads = ["Arm", "Group", "Job section", "Share of the eligible", "Share of impressions", "Ratio"]
    return f"""<h2>Delivery by audited group</h2>
<p>Whether each group is shown promoted jobs as often as its share of the people in the campaigns' reach; ×1 is parity.
Overall it comes out near 1 even if groups are shown different jobs, so look at the last column: in how many sections
of jobs a group gets less than four fifths of its share. Recorded people of the first market; the attributes are read
for this table only, after everything was played, and are no feature of anything. Groups and sections of fewer than
{found["minimum_people"]} people are withheld or pooled. A description, not a legal finding.</p>
{table(heads, rows, "wide", text_columns=3)}
{details("Section by section", part_heads, sections)}"""
