"""The section of the report's page about the campaigns that deliver worst, and why."""

from __future__ import annotations

from html import escape
from typing import Any

from sim.page_frame import table
from sim.page_numbers import amount, count, percent

FEW = "fewer than 30"


def worst_section(report: dict[str, Any], currency: str) -> str:
    """Nothing where no campaign was left with money, or none was looked at."""
    found = report.get("worst_campaigns", [])
    if not found:
        return ""
    rows = [
        [
            f"{escape(row['title'])}<small>{escape(row['place'])}</small>",
            f"<b>{escape(row['cause'])}</b><small>{escape(row['why'])}</small>",
            amount(row["budget_micros"]),
            f"{amount(row['spent_micros'])}<small>{percent(row['utilization'])}</small>",
            FEW if row["reach"] is None else count(row["reach"]),
            f"{count(row['impressions'])}<small>{_clicks(row['clicks'])}</small>",
        ]
        for row in found
    ]
    heads = ["Campaign", "Why", f"Budget, {currency}", f"Spent, {currency}", "Audience, people", "Impressions"]
    return f"""<h2>The campaigns that leave most money</h2>
<p>Graph arm, first market. <b>Thin supply</b>: widen the area or allow remote work, no bid helps. <b>Outbid</b>: bid
more, or wait for rivals to run out. <b>Click rate</b>: look at the title, the wage and how often the same people see
it. <b>Late open</b>: it catches up only in part. <b>Cheap clicks</b>: the budget is larger than its clicks cost.
Reasons are the plan's own, as the service tells them to advertisers, or where the day fell short of the plan.</p>
{table(heads, rows, "wide reasons", text_columns=2)}"""


def _clicks(clicks: int) -> str:
    return "1 click" if clicks == 1 else f"{clicks:,} clicks"
