"""What pacing tells an advertiser: what more money would bring today, and what holds a campaign back, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from market.clock import parse_rfc3339
from market.money import Money
from targeting.campaigns import Campaign
from targeting.delivery import Cause, Constraint, Today
from targeting.pacing.controller import Paced
from targeting.pacing.planned_day import PlannedDay
from targeting.pacing.prices import Unit, unit_of

MORE = 0.1
FREE = 1 + 1e-9  # times the lowest price: money is no constraint there
BINDS: Mapping[str, Constraint] = {
    "budget": "budget_daily",
    "competition": "competition",
    "frequency": "frequency_cap",
    "bid": "bid",
    "supply": "audience",
}
FIXES = {
    "budget": "Raise the budget.",
    "bid": "Raise bid.max_cpc.",
    "segment": "Reach one more segment: widen the job's area, or boost a link that leads there.",
}


@dataclass(frozen=True)
class ShadowPrice:
    """per_micro: expected `unit` of one more micro today, 0 where money is no constraint; ten_percent: of a tenth more
    budget, the extra micros of which are `more`."""

    per_micro: float
    unit: Unit
    ten_percent: float
    more: int
    in_words: str


def shadow_price(campaign: Campaign, state: Paced, day: PlannedDay) -> ShadowPrice:
    """From the price that the campaign bids by: a derivative, so good for small changes only."""
    unit = unit_of(campaign)
    price = state.price if state.price > state.lowest * FREE else 0.0
    more = int(MORE * day.budget)
    gain = price * more
    if price <= 0:
        said = "Money does not hold it back today: more budget would bring nothing at this bid and audience."
    else:
        extra = Money(more, campaign.currency)
        said = f"10 % more budget for today, {extra}, would bring about {gain:.2g} {unit} more."
    return ShadowPrice(price, unit, gain, more, said)


def held_back(campaign: Campaign, today: Today, day: PlannedDay, plan: Mapping[str, Any] | None) -> Cause | None:
    """Why the plan expects less of the campaign than its budget could pay for; None where it does not, or where the
    campaign has spent as much as it should have by now."""
    if plan is None or "code" not in plan or today.posted >= day.share * day.budget > 0:
        return None
    code = str(plan["code"])
    worth = {name: float(found) for name, found in plan["worth"].items()}
    best = max(worth, key=lambda name: worth[name])
    fix = FIXES[best] if worth[best] > 0 else "No small change of budget, bid or audience would help."
    binds = BINDS[code]
    if code == "budget" and campaign.budget.daily is None:
        binds = "budget_total"
    return Cause(f"limited_by_{code}", str(plan["detail"]), parse_rfc3339(str(plan["at"])), binds, fix)
