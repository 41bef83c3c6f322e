"""The command `graph curve`: links by the ratio of counts beside links by L1, at equal recall.

What it runs is imported when it runs: torch takes seconds that `--help` should not.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hiregraph.settings import load_settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def curve(
    out: Annotated[Path, typer.Option(help="Directory for curve.json and curve.html.")],
    careers: Annotated[
        Path | None, typer.Option(help="Directory of careers; without it a generated world is measured.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory with esco and onet; default HIREGRAPH_DATA, else beside the careers.")
    ] = None,
    persons: Annotated[int, typer.Option(help="People of the generated world.")] = 1_500,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: Annotated[Path, typer.Option(help="Folder that remembers text vectors.")] = Path(".cache"),
    as_json: JsonOption = False,
) -> None:
    """Draw recall against false positives against the number of links, by ratio and by L1, on people unseen in mining.

    Example: hiregraph graph curve --careers data/nlsy79_careers --out out/curve
    """
    from graph.linking.trial import TrialConfig, run_trial
    from market.text import TextEncoder
    from sim.skill_page import curve_page, curve_tables, headline
    from sim.skills import SkillWorldConfig, build_skill_world

    notes = Console(stderr=True)

    def note(text: str) -> None:
        notes.print(f"  {text}", highlight=False)

    folder = None
    if careers is not None:
        folder = load_settings(data=data).data or careers.parent
    encoder = TextEncoder(cache_dir=cache / "text") if careers is not None else None
    world = build_skill_world(SkillWorldConfig(seed=seed, persons=persons), careers, folder, encoder, note)
    report = {"sources": world.sources} | run_trial(*world.pairs(), replace(TrialConfig(), seed=seed), note)

    out.mkdir(parents=True, exist_ok=True)
    document = json.dumps(report, indent=1)
    (out / "curve.json").write_text(document + "\n", encoding="utf-8")
    (out / "curve.html").write_text(curve_page(report), encoding="utf-8", newline="\n")
    note(f"wrote {out / 'curve.json'} and {out / 'curve.html'}")
    if as_json:
        typer.echo(json.dumps(report))
        return
    console = Console(width=140)
    for title, heads, rows in curve_tables(report):
        table = Table(title=title, title_justify="left")
        for head in heads:
            table.add_column(head, justify="left" if head == heads[0] else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(headline(report), highlight=False)
    for name, words in report["sources"].items():
        console.print(f"{name}: {words}", highlight=False)
