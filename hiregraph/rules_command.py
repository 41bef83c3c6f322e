"""The commands `organic rules learn` and `organic rules show`: which quality rules to have, and what they cost.

What they run is imported when they run: it takes seconds that `--help` should not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from market.errors import ConfigError

if TYPE_CHECKING:
    from market.bootstrap import Estimate
    from organic.quality.learn import Learned

rules_app = typer.Typer(help="Quality rules: learned from dismissals, edited by hand.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@rules_app.callback()
def rules() -> None:
    """Quality rules: learned from dismissals, edited by hand."""


@rules_app.command("learn")
def learn(
    logs: Annotated[Path, typer.Option(help="Directory of log tables, with impressions and dismissals.")],
    out: Annotated[Path, typer.Option(help="The rules are written here, as JSON.")],
    cap: Annotated[float, typer.Option(help="Share of the applications that the rules may cost together.")] = 0.01,
    cost: Annotated[
        str, typer.Option(help="lost: a removed job brings nothing; replaced: an average job takes its place.")
    ] = "lost",
    base: Annotated[
        Path | None, typer.Option(help="Rules whose scale, areas, languages and other settings are kept.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Choose rules and thresholds from dismissals in earlier logs; judge them on later ones.

    Example: hiregraph organic rules learn --logs data/logs --out rules.json
    """
    from market.tables import read_tables
    from organic.quality.config import RuleConfig
    from organic.quality.learn import LearnConfig, learn_rules

    config = LearnConfig(cap=cap, cost=cost)  # type: ignore[arg-type]  # checked by it
    start = RuleConfig.load(base) if base is not None else RuleConfig()
    if out.is_dir() or not out.parent.is_dir():
        raise ConfigError(f"--out {out} can not be written; give a file in a directory that exists")
    tables = read_tables(logs, ("positions", "jobs", "applications", "impressions", "dismissals"))
    learned = learn_rules(tables, start, config, seed)
    out.write_text(learned.config.to_json(), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"out": str(out), **learned.report()}))
        return
    console = Console(width=120)
    console.print(effects_table(learned))
    for step in learned.steps:
        told = ", ".join(f"{name} {value}" for name, value in step.items() if value is not None and name != "rule")
        console.print(f"chosen: {step['rule']} ({told})", highlight=False, soft_wrap=True)
    console.print(f"{len(learned.config.rules)} rules in force, written to {out}", highlight=False, soft_wrap=True)


@rules_app.command("show")
def show(
    rules: Annotated[Path, typer.Option(help="What `organic rules learn` wrote, perhaps edited since.")],
    as_json: JsonOption = False,
) -> None:
    """Check a rule file and list the rules in force with what a seeker is told and who answers for them.

    Example: hiregraph organic rules show --rules rules.json
    """
    from organic.quality.build import Context, build_rules
    from organic.quality.config import RuleConfig

    config = RuleConfig.load(rules)
    rows = [{"id": rule.id, "reason": rule.reason, "owner": rule.owner} for rule in build_rules(config, Context())]
    if as_json:
        typer.echo(json.dumps({"rules": rows}))
        return
    table = Table(title=str(rules), title_justify="left")
    for name in ("id", "reason", "owner"):
        table.add_column(name)
    for row in rows:
        table.add_row(*row.values())
    Console(width=120).print(table)


def effects_table(learned: Learned) -> Table:
    judged = learned.parts["judged"]
    caption = "judged on the last {impressions:,} impressions: {dismissals:,} dismissals, {applications:,} applications"
    table = Table(title="What each rule would have done", title_justify="left", caption=caption.format(**judged))
    for name in ("rule", "in force", "removed", "dismissals prevented", "applications lost", "if replaced", "lift"):
        table.add_column(name, justify="left" if name in ("rule", "in force") else "right")
    for name, effect in learned.effects.items():
        shares = [_share(each) for each in (effect.prevented, effect.lost, effect.replaced)]
        force = "yes" if name in learned.config.rules else ""
        table.add_row(name, force, f"{effect.removed:,}", *shares, _shown(effect.lift, "{:.2f}"))
    return table


def _share(estimate: Estimate) -> str:
    return _shown(estimate, "{:.1%}")


def _shown(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return "-"
    edges: Any = estimate.ci or ()
    inside = " to ".join(form.format(edge) for edge in edges)
    return f"{form.format(estimate.value)} [{inside}]" if inside else form.format(estimate.value)
