"""The commands `graph fit`, `graph evaluate`, `graph links` and `graph explain`.

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

from market.errors import ArtefactError, ConfigError

app = typer.Typer(help="Who gets hired where: links, the hire model, and how good they are.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
ModelOption = Annotated[Path, typer.Option(help="What `graph fit` or `demo` wrote.")]


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
    from graph.train import TrainConfig
    from market.careers import read_careers
    from market.tables import read_tables
    from targeting.learned import LearnedConfig, fit_learned, save_hires

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
        summary = {"persons": fitted.persons, "hires": fitted.hires, "links": len(fitted.links)}
    else:
        assert logs is not None
        note("reading logs")
        train = TrainConfig(seed=seed, epochs=epochs or TrainConfig().epochs)
        learned, hires = fit_learned(read_tables(logs), LearnedConfig(seed=seed, train=train), progress=note)
        learned.save(out)
        save_hires(hires, out)
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
    from graph.evaluate import evaluate as evaluate_model
    from graph.model import HireModel
    from market.careers import read_careers

    hire_model = HireModel.load(_part(model, "model"))
    metrics = evaluate_model(hire_model, read_careers(careers, hire_model.taxonomy))
    if as_json:
        typer.echo(json.dumps(metrics))
        return
    table = Table(title="Next occupation, recall@10 / MRR")
    for name in ("", "changes", "all", "cold"):
        table.add_column(name, justify="left" if not name else "right")
    for name, row in {"hire model": metrics, **metrics["baselines"]}.items():
        table.add_row(name, *(f"{row[s]['recall@10']:.3f} / {row[s]['mrr']:.3f}" for s in ("changes", "all", "cold")))
    Console().print(table)
    calibration = metrics["calibration"]
    shown = (
        f"pairs predicted at 1 % or more: calibration error {calibration['ece']:.4f}, slope {calibration['slope']:.2f}"
    )
    Console().print(shown, highlight=False)


@app.command("links")
def links(
    model: ModelOption,
    seeker_attribute: Annotated[
        str | None, typer.Option(help="Only this seeker attribute, e.g. occupation or occupation=313.")
    ] = None,
    job_attribute: Annotated[str | None, typer.Option(help="Only this job attribute.")] = None,
    top: Annotated[int, typer.Option(help="How many, best first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The learned links: which seekers are hired into which jobs, with the hires behind each.

    Example: hiregraph graph links --model out/model --seeker-attribute occupation=313 --top 10
    """
    from graph.attributes import job_in_words, seeker_in_words
    from graph.links import LinkSet
    from graph.model import HireModel

    if top < 1:
        raise ConfigError(f"--top is {top}, expected at least 1")
    found = LinkSet.load(_part(model, "links"))
    taxonomy = HireModel.load(_part(model, "model")).taxonomy
    rows, words = [], []
    for i in range(len(found)):
        if not (_has(found.seeker[i], seeker_attribute) and _has(found.job[i], job_attribute)):
            continue
        rows.append(
            {
                "link_id": found.link_ids[i],
                "seeker": _values(found.seeker[i]),
                "job": _values(found.job[i]),
                "weight": round(float(found.weight[i]), 4),
                "hires": int(found.hires[i]),
                "no_hires": int(found.no_hires[i]),
            }
        )
        words.append((seeker_in_words(found.seeker[i], taxonomy), job_in_words(found.job[i], taxonomy)))
        if len(rows) == top:
            break
    if as_json:
        typer.echo(json.dumps({"links": rows}))
        return
    table = Table()
    for name in ("link", "seeker", "job", "weight", "hires", "no hires"):
        table.add_column(name, justify="left" if name in ("link", "seeker", "job") else "right")
    for row, sides in zip(rows, words, strict=True):
        shown = (f"{row['weight']:.2f}", str(row["hires"]), str(row["no_hires"]))
        table.add_row(str(row["link_id"]), *sides, *shown)
    Console().print(table)


@app.command("explain")
def explain(
    model: ModelOption,
    person: Annotated[str, typer.Option(help="Person id.")],
    careers: Annotated[Path, typer.Option(help="Directory of careers.")],
    occupation: Annotated[str, typer.Option(help="Occupation code.")],
    as_json: JsonOption = False,
) -> None:
    """Why a person would (or would not) be hired into an occupation: score, links, nearest hires.

    Example: hiregraph graph explain --model out/model --person 12 --careers data/nlsy79_careers --occupation 313
    """
    from graph.explain import explain as explain_hire
    from graph.links import LinkSet
    from graph.model import HireModel
    from market.careers import read_careers

    hire_model = HireModel.load(_part(model, "model"))
    people = read_careers(careers, hire_model.taxonomy)
    answer = explain_hire(hire_model, LinkSet.load(_part(model, "links")), people, person, occupation)
    typer.echo(json.dumps(answer)) if as_json else Console().print(answer["text"], highlight=False)


def _part(folder: Path, name: str) -> Path:
    if not (folder / name / "manifest.json").is_file():
        raise ArtefactError(f"{folder} holds no {name}; give the directory that `hiregraph graph fit` wrote")
    return folder / name


def _has(attributes: tuple[str, ...], wanted: str | None) -> bool:
    return wanted is None or any(wanted in (found, found.split("=", 1)[0]) for found in attributes)


def _values(attributes: tuple[str, ...]) -> dict[str, list[str]]:
    """{"occupation": ["313"], "past_occupation": ["379", "385"]}: every kind with its values."""
    found: dict[str, list[str]] = {}
    for attribute in attributes:
        kind, _, value = attribute.partition("=")
        found.setdefault(kind, []).append(value)
    return found


def _answer(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        Console().print(", ".join(f"{value} {name}" for name, value in summary.items()), highlight=False)
