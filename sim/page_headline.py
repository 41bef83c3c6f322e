"""The top of the report's page: the result in one sentence, what it rests on, and the arms on the same terms."""

from __future__ import annotations

from html import escape
from typing import Any

from sim.experiment import BASELINE, Results
from sim.page_frame import arm_name, table
from sim.page_numbers import NONE, money, percent, points, signed_percent, with_interval
from sim.stage import Stage

FIRM_CAMPAIGNS, FIRM_SEEDS = 1_000, 20  # below either, a run is a demonstration
NEVER = "never that cheap"
COMPARED = {"graph": "the hire graph", "links": "learned links"}


def headline_sentence(report: dict[str, Any], currency: str) -> str:
    """The result in one sentence of plain text; an interval that covers zero is said to show nothing."""
    arms = report["arms"]
    used = ", ".join(f"{arm} {percent(row['budget_utilization']['mean'])}" for arm, row in arms.items())
    compared = [arm for arm in COMPARED if arm in report.get("headline", {})]
    if BASELINE not in arms:
        return f"Without the {BASELINE} arm there is nothing to compare with; budget used: {used}."
    cost = arms[BASELINE]["cost_per_qualified_application_micros"]["mean"]
    if cost is None:
        return f"The {BASELINE} arm brought no qualified application, so no cost to compare at; budget used: {used}."
    if not compared:
        return f"Neither the hire graph nor learned links was played against {BASELINE}; budget used: {used}."
    parts = [_compared(arm, report, currency) for arm in compared]
    return (
        f"At the {money(cost, currency)} that {BASELINE} targeting pays for a qualified application, "
        f"using {percent(arms[BASELINE]['budget_utilization']['mean'])} of the budgets, {'; '.join(parts)}."
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
        at_best = f" (at best {money(min(cheapest), currency)})" if cheapest else ""
        return f"{name}: no setting that cheap{at_best}"
    more = "more" if difference >= 0 else "less"
    said = f"{name} can spend {abs(100 * difference):.1f} points {more}"
    if not interval:
        return f"{said} (no interval can be given)"
    edges = f"95 % interval {points(interval[0])} to {points(interval[1])}"
    if interval[0] <= 0 <= interval[1]:
        return f"{said}, but the {edges} covers zero: no difference is shown"
    return f"{said} ({edges})"


def headline_section(report: dict[str, Any], stage: Stage, results: Results, currency: str) -> str:
    rows = []
    oracle = report.get("headline", {}).get("oracle", {}).get("utilization_at_equal_cost", {}).get("difference_ci95")
    for arm, content in report.get("headline", {}).items():
        at_cost, at_both = content["utilization_at_equal_cost"], content["utilization_at_equal_cost_and_ad_load"]
        share = content.get("share_of_oracle_headroom") if oracle and oracle[0] > 0 else None
        rows.append([arm_name(arm), *_at_equal(at_cost), *_at_equal(at_both), percent(share, 0)])
    heads = ["Arm", "At equal cost, points", "Relative", "At equal cost and ad load, points", "Relative"]
    compared = f"""<h3>Budget used, less {BASELINE}'s, on the same terms</h3>
<p class=note>The most budget that an arm uses by mixing its settings of θ (each for a share of the visits) at no more
than {BASELINE}'s cost per qualified application; in the second pair of columns with no more promoted impressions than
{BASELINE} either. {BASELINE.capitalize()}'s own settings are mixed in the same way. Nothing is read beyond what was
played: an arm without a mix that cheap is “never that cheap”, one that is cheaper everywhere counts at the setting that
spends most. Intervals resample campaigns and people, the wider is shown; the oracle's headroom is left out where the
oracle's own interval covers zero. Ad loads at the table's θ: {_ad_loads(report)}.</p>
{table([*heads, "Share of the oracle's headroom"], rows, "wide")}"""
    return f"""<h1>Promoted jobs: who spent the budgets, on whom, at what cost</h1>
<p class=lede>{escape(headline_sentence(report, currency))}</p>
{"".join(f"<p class=caution>{escape(line)}</p>" for line in _cautions(report, results))}
<div class=cards><div class=card><h3>Evidence</h3><p>{escape(_evidence(stage))}</p></div>
<div class=card><h3>Mechanics</h3><p>Impressions, clicks, applications, hires on one posting and all money come from a
click model that we wrote (<code>behaviour.toml</code>, its digest is below). Utilisation, cost and click
rate show what the engine does under that model, not what real seekers would do. Hires are attributed: careers are
fixed, so nothing here is an increase of hires.</p></div></div>
{compared if rows else ""}"""


def _at_equal(found: dict[str, Any]) -> list[str]:
    """Points and relative difference, or why there are none."""
    if found["difference"] is None:
        why = str(found.get("why") or NEVER)
        short = f"{NEVER}<small>{escape(why.removeprefix(NEVER).strip())}</small>" if why.startswith(NEVER) else NONE
        return [short, NONE]
    return [
        with_interval(found["difference"], found.get("difference_ci95"), points),
        with_interval(found["relative"], found.get("ci95"), signed_percent),
    ]


def _cautions(report: dict[str, Any], results: Results) -> list[str]:
    config, campaigns = results.config, len(results.markets[0].terms.job)
    found = []
    if results.finished < config.seeds:
        found.append(f"Interrupted: {results.finished} of {config.seeds} seeds are finished, the others are missing.")
    if campaigns < FIRM_CAMPAIGNS or config.seeds < FIRM_SEEDS:
        seeds = "1 seed" if config.seeds == 1 else f"{config.seeds} seeds"
        found.append(
            f"This run is a demonstration ({campaigns:,} campaigns, {seeds}, {config.market.days} days): "
            f"a firm figure takes {FIRM_CAMPAIGNS:,} campaigns and {FIRM_SEEDS} seeds."
        )
    left = [name.replace("_", " ") for name, row in report.get("placebo", {}).items() if leaves_zero(row)]
    if left:
        found.append(
            f"Placebo that should show nothing but does: {', '.join(left)} (below). Until that is explained, an "
            "advantage over attribute targeting is not shown."
        )
    if config.design == "budget-split":
        found.append(
            "Design budget-split: the arms share one market, each with its own part of the people and an equal part "
            "of every budget. That estimates, with a bias, what full markets would show."
        )
    return found


def leaves_zero(placebo: dict[str, Any]) -> bool:
    """Whether the interval of a placebo's difference lies above zero."""
    interval = placebo.get("ci95") if placebo else None
    return interval is not None and interval[0] > 0


def _evidence(stage: Stage) -> str:
    config = stage.world.config
    if config.kind == "careers":
        return (
            "Which occupation each person moved into next is recorded (NLSY79 careers), and no person served here was "
            "used to learn from. Qualified applications are graded by it and predicted hire rates are checked against "
            f"it. Assumed: a share of {config.same_occupation_share:g} of hires keeps the occupation."
        )
    return (
        "Nothing on this page. This is the generated world: careers, jobs and wages are made up, so that the product "
        "runs without data. Use the careers world for recorded moves."
    )


def _ad_loads(report: dict[str, Any]) -> str:
    loads = [row["ad_load"] for row in report["arms"].values()]
    low, high = percent(min(loads)), percent(max(loads))
    return f"{low} in every arm" if low == high else f"{low} to {high}, see below"
