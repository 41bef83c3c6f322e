"""The commands `graph fit`, `graph evaluate` and `graph explain`; the others are added to them.

What they run is imported when they run: torch takes seconds that `--help` should not.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hiregraph import audit_commands, curve_commands, link_commands
from hiregraph.model_folder import JsonOption, ModelOption, part_of
from market.errors import ConfigError

app = typer.Typer(help="Who gets hired where: links, the hire model, and how good they are.", no_args_is_help=True)
app.command("links")(link_commands.links)
app.command("curve")(curve_commands.curve)
app.command("audit")(audit_commands.audit)
app.add_typer(link_commands.edit_app, name="edit")


@app.command("fit")
def fit(
    out: Annotated[Path, typer.Option(help="Directory to write.")],
    logs: Annotated[Path | None, typer.Option(help="Directory of platform log tables.")] = None,
    careers: Annotated[Path | None, typer.Option(help="Directory of careers (occupations, occ80_titles, ...).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the hires.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn links and the hire model from platform logs or from every person of a careers directory.

    Example: hiregraph graph fit --careers data/nlsy79_careers --out out/model
    """
    from graph.learner import CareersConfig, fit_careers
    from market.careers import read_careers
    from market.tables import read_tables
    from targeting.learned import SITE_TRAIN, LearnedConfig, fit_learned, save_hires

    if (logs is None) == (careers is None):
        raise ConfigError("give either --logs DIR or --careers DIR")
    began = time.perf_counter()
    notes = Console(stderr=True)

    def note(text: str) -> None:
        notes.print(f"  {text}", highlight=False)

    if careers is not None:
        config = CareersConfig()
        train = replace(config.train, seed=seed, epochs=epochs or config.train.epochs)
        note("reading careers")
        fitted = fit_careers(read_careers(careers), replace(config, train=train), note)
        fitted.save(out)
        link_commands.say_kept_edits(out, fitted.links, note)
        summary = {"persons": fitted.persons, "hires": fitted.hires, "links": len(fitted.links)}
    else:
        assert logs is not None
        note("reading logs")
        train = replace(SITE_TRAIN, seed=seed, epochs=epochs or SITE_TRAIN.epochs)
        learned, hires = fit_learned(read_tables(logs), LearnedConfig(seed=seed, train=train), progress=note)
        learned.save(out)
        save_hires(hires, out)
        link_commands.say_kept_edits(out, learned.links, note)
        summary = {name: int(learned.metrics[name]) for name in ("persons", "hires", "links")}
    _answer({"seconds": round(time.perf_counter() - began, 2), **summary}, as_json)


@app.command("evaluate")
def evaluate(
    model: ModelOption,
    careers: Annotated[Path, typer.Option(help="Directory of careers.")],
    as_json: JsonOption = False,
) -> None:
    """Predict the next occupation of people, none of whom need have been seen, beside three baselines.

    Example: hiregraph graph evaluate --model out/model --careers data/nlsy79_careers
    """
    import numpy as np

    from graph.evaluate import evaluate as evaluate_model
    from graph.model import HireModel
    from market.careers import read_careers

    hire_model = HireModel.load(part_of(model, "model"))
    metrics = evaluate_model(hire_model, read_careers(careers, hire_model.taxonomy), np.random.default_rng(0))
    if as_json:
        typer.echo(json.dumps(metrics))
        return
    table = Table(title="Next occupation, recall@10 / MRR; 95 % intervals by person")
    for name in ("", "changes", "all", "cold"):
        table.add_column(name, justify="left" if not name else "right")
    for name, row in {"hire model": metrics, **metrics["baselines"]}.items():
        table.add_row(name, *(f"{row[s]['recall@10']:.3f} / {row[s]['mrr']:.3f}" for s in ("changes", "all", "cold")))
    intervals = [metrics["ci95"][s]["mrr"] for s in ("changes", "all", "cold")]
    table.add_row(
        "  MRR of the hire model", *("" if found is None else "{:.3f} to {:.3f}".format(*found) for found in intervals)
    )
    Console().print(table)
    calibration = metrics["calibration"]
    for line in (
        f"pairs predicted at 1 % or more: calibration error {calibration['ece']:.4f}, slope {calibration['slope']:.2f}",
        f"best occupation: right {calibration['top1']['hit_rate']:.1%} of the time, predicted "
        f"{calibration['top1']['confidence']:.1%}, calibration error {calibration['top1']['ece']:.4f}",
        f"log-loss skill over recent history, given a change: {calibration['changes']['log_loss']['skill']:.3f}",
    ):
        Console().print(line, highlight=False)


@app.command("explain")
def explain(
    model: ModelOption,
    person: Annotated[str, typer.Option(help="Person id.")],
    careers: Annotated[Path, typer.Option(help="Directory of careers.")],
    occupation: Annotated[str, typer.Option(help="Occupation code.")],
    vetoed: Annotated[bool, typer.Option("--vetoed", help="Also the vetoed links that would speak for it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Why a person would (or would not) be hired into an occupation: score, links, nearest hires.

    Example: hiregraph graph explain --model out/model --person 12 --careers data/nlsy79_careers --occupation 313
    """
    from graph.explain import explain as explain_hire
    from graph.linking.edits import Overlay, read_edits
    from graph.links import LinkSet
    from graph.model import HireModel
    from market.careers import read_careers

    hire_model = HireModel.load(part_of(model, "model"))
    mined = LinkSet.load(part_of(model, "links"))
    overlay = Overlay(read_edits(model))
    people = read_careers(careers, hire_model.taxonomy)
    answer = explain_hire(
        hire_model,
        overlay.apply(mined),
        people,
        person,
        occupation,
        edited_by={found: edit.author for found, edit in overlay.standing.items()},
        vetoed=overlay.only_vetoed(mined) if vetoed else None,
    )
    typer.echo(json.dumps(answer)) if as_json else Console().print(answer["text"], highlight=False)


def _answer(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        Console().print(", ".join(f"{value} {name}" for name, value in summary.items()), highlight=False)
