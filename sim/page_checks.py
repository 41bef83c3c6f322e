"""Sections of the report's page that say how far to trust it: placebos, the 2 x 2, designs, power, organic arms."""

from __future__ import annotations

from html import escape
from typing import Any

from sim.experiment import BASELINE
from sim.page_frame import NOT_MEASURED, arm_name, table
from sim.page_numbers import NONE, amount, count, factor, percent, points, signed_percent, with_interval

FACTORS = {
    "impressions": "Impressions",
    "click_rate": "Click rate",
    "price_per_click": "Price per click",
    "spend": "Spend",
}
DESIGN_WORDS = {
    "budget-split": "Each arm has a part of the people and an equal part of every budget.",
    "switch-back": "The arms take turns in one market with shared budgets.",
}
ORGANIC_WORDS = {
    "text": "the site's list",
    "popular": "jobs many people were hired into",
    "random": "by chance: a floor",
}


def placebo_section(report: dict[str, Any]) -> str:
    rows = [
        [
            escape(name.replace("_", " ")),
            escape(found.get("metric", "")),
            with_interval(found["relative"], found.get("ci95"), signed_percent),
            _verdict(found),
        ]
        for name, found in report.get("placebo", {}).items()
        if found
    ]
    missing = [name.replace("_", " ") for name, found in report.get("placebo", {}).items() if not found]
    return f"""<h2>Placebos</h2>
<p>What must fail: with nothing to know, knowing must not pay. If one of these shows a gain, trust no gain above.</p>
{table(["Placebo", "Measure", "Relative difference", "Verdict"], rows, text_columns=2) if rows else ""}
{f"<p class=note>Not measured: {escape(', '.join(missing))}.</p>" if missing else ""}
{_match(report.get("match_information", {}))}"""


def _verdict(found: dict[str, Any]) -> str:
    interval = found.get("ci95")
    if not interval:
        return "no interval"
    return "covers zero, as it should" if interval[0] <= 0 <= interval[1] else "does not cover zero: look into it"


def _match(found: dict[str, Any]) -> str:
    """What knowing the seeker is worth: an arm against its own audience handed to other seekers."""
    names = ("qualified_per_look", "clicks_per_look", "spend_micros")
    rows = [
        [arm_name(arm), *(with_interval(row[name]["relative"], row[name]["ci95"], signed_percent) for name in names)]
        for arm, row in found.items()
    ]
    if not rows:
        return ""
    heads = ["Arm", "Qualified applications a look", "Click rate a look", "Spend"]
    return f"""<h3>What knowing the seeker is worth</h3>
<p>Each arm against its own audience handed to other seekers of the same place: what is left is the match itself, not a
wider reach or popular jobs.</p>
{table(heads, rows)}"""


def two_by_two_section(report: dict[str, Any], currency: str) -> str:
    """Retrieval x ranker x plan, where it was played."""
    rows = [
        [
            arm_name(row["retrieval"]),
            "as served" if row["ranker"] == "learned" else "attributes only",
            "with" if row["plan"] else "without",
            percent(row["budget_utilization"]),
            f"{row['qualified_applications']:,.0f}",
            amount(row["cost_per_qualified_application_micros"]),
            with_interval(
                row["qualified_vs_baseline"]["relative"], row["qualified_vs_baseline"]["ci95"], signed_percent
            ),
        ]
        for row in report.get("two_by_two", [])
    ]
    if not rows:
        return ""
    heads = ["Retrieval", "Ranker", "Day plan", "Budget used", "Qualified applications", f"Cost, {currency}"]
    return f"""<h2>Retrieval, ranker, plan: which part does it</h2>
<p>The same markets with one part exchanged at a time. Compare rows that differ in one column: that difference is what
the part is worth, and where it is small the part is not what to pay for.</p>
{table([*heads, f"Qualified, against {BASELINE}"], rows, "wide", text_columns=3)}"""


def design_section(report: dict[str, Any]) -> str:
    """What a test inside one market would have told, where one was played; and how large a test has to be."""
    design, power = report.get("design", {}), report.get("power", {})
    parts = []
    if design:
        rows = [
            [
                arm_name(arm),
                metric.replace("_", " "),
                *(with_interval(found[part]["relative"], found[part]["ci95"], signed_percent) for part in ESTIMATED),
                with_interval(found["bias"]["difference"], found["bias"]["ci95"], points),
            ]
            for arm, metrics in design["arms"].items()
            for metric, found in metrics.items()
        ]
        heads = ["Arm", "Measure", "The test says", "Full markets say", "Bias, points"]
        parts.append(f"""<p>Design {escape(design["design"])}, against {arm_name(design["base"])}.
{DESIGN_WORDS.get(design["design"], "")} A site can not run parallel worlds; here the truth is known, so the last column
says how wrong such a test would be. Where its interval covers zero, no bias was found.</p>
{table(heads, rows, "wide", text_columns=2)}""")
    if power:
        rows = [
            [
                arm_name(arm),
                f"±{points(row['half_width']).lstrip('+')}",
                count(row["campaigns"]),
                count(row["campaigns_for_one_point"]),
            ]
            for arm, row in power.items()
        ]
        heads = ["Arm", "Interval now, points", "Campaigns now", "Campaigns for ±1 point"]
        parts.append(f"""<h3>How large a test has to be</h3>
<p>Campaigns in all markets together, for as many days, until the headline's difference is known to one point. Below
that, a difference of a point or two may be luck.</p>
{table(heads, rows)}""")
    return f"<h2>Tests on one market</h2>\n{''.join(parts)}" if parts else ""


ESTIMATED = ("estimate", "truth")


def organic_section(report: dict[str, Any]) -> str:
    """Organic lists by member split."""
    found = report.get("organic", {})
    rows = []
    for kind, words in ORGANIC_WORDS.items():
        row = found.get(kind)
        if row is None:
            continue
        cells = [f"{kind}<small>{words}</small>", count(row["members"])]
        for name in ("clicks", "qualified", "promoted_qualified"):
            rate, against = row[f"{name}_per_visit"], row.get(f"{name}_vs_text")
            cells.append(with_interval(rate["mean"], rate["ci95"], lambda value: f"{1_000 * value:.2f}"))
            cells.append(NONE if against is None else signed_percent(against["relative"]))
        rows.append(cells)
    if not rows:
        return ""
    of = "of 1,000 visits"
    heads = ["Organic list", "Members", f"Organic clicks {of}", "to text", f"Organic qualified {of}", "to text"]
    heads += [f"Promoted qualified {of}", "to text"]
    return f"""<h2>Organic results beside them <span class=tag>mechanics</span></h2>
<p>Members are split between three organic lists, the promoted jobs are the same. The last two columns say whether a
better list costs the promoted jobs anything.</p>
{table(heads, rows, "wide")}"""


def decomposition_section(report: dict[str, Any]) -> str:
    rows = [
        [arm_name(arm), *(factor(content["decomposition"].get(name)) for name in FACTORS)]
        for arm, content in report.get("headline", {}).items()
        if content.get("decomposition")
    ]
    return f"""<h2>Where a difference in spend comes from</h2>
<p>Logarithm of each arm's ratio to {BASELINE} at the θ of the arms table: impressions, click rate and price add up to
spend; below it the ratio itself. Spend that comes from click rate is better matching; from impressions, more ads; from
price, dearer clicks.</p>
{table(["Arm", *FACTORS.values()], rows) if rows else NOT_MEASURED}"""
