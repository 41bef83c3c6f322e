"""The command `graph audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from market.errors import ArtefactError


def audit(
    model: Annotated[Path, typer.Option(help="What `graph fit` or `demo` wrote.")],
    careers: Annotated[Path, typer.Option(help="Directory of careers with audit attributes beside them.")],
    out: Annotated[Path, typer.Option(help="Directory to write: report.json, segments.parquet.")],
    theta: Annotated[float, typer.Option(help="Share of the seekers a segment's promoted audience holds.")] = 0.1,
    minimum_people: Annotated[int, typer.Option(help="Cells of fewer people are not shown.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Who is hired, reached and predicted well, by sex and race; groups of too few people are withheld.

    Example: hiregraph graph audit --model out/model --careers data/nlsy79_careers --out out/audit
    """
    import numpy as np

    from graph.fairness.audit import AuditConfig, read_audit_attributes
    from graph.fairness.audit import audit as audit_model
    from graph.model import HireModel
    from market.careers import read_careers

    if not (model / "model" / "manifest.json").is_file():
        raise ArtefactError(f"{model} holds no model; give the directory that `hiregraph graph fit` wrote")
    config = AuditConfig(theta=theta, minimum_people=minimum_people)
    hire_model = HireModel.load(model / "model")
    people = read_careers(careers, hire_model.taxonomy)
    attributes = read_audit_attributes(careers, people)
    report = audit_model(hire_model, people, attributes, config, np.random.default_rng(seed))
    report.save(out)
    if as_json:
        typer.echo(json.dumps(report.document))
        return
    console = Console()
    for table in tables(report.document):
        console.print(table)


def tables(document: dict[str, Any]) -> list[Table]:
    """The report for people: impact ratios and quality per category, and what happens segment by segment."""
    theta = document["config"]["theta"]
    impact = Table(
        title=f"Impact ratios: the {theta:.0%} of seekers with the highest lift, over {document['segments']} segments"
    )
    _columns(impact, "category", "people", "assessed", "selected", "rate", "impact", "above median", "impact")
    quality = Table(title="Changes of occupation, predicted")
    _columns(
        quality, "category", "changes", "recall@10", "MRR", "95 %", "observed / predicted", "top-1 error", "by chance"
    )
    for attribute in document["impact"]:
        for row in document["impact"][attribute]:
            if row["withheld"]:
                impact.add_row(row["category"], "withheld: too few people", *[""] * 6)
                continue
            counts = (f"{row[name]:,}" for name in ("people", "assessed", "selected"))
            selected = (f"{row['selection_rate']:.3f}", _ratio(row["impact_ratio"]))
            impact.add_row(
                row["category"], *counts, *selected, f"{row['scoring_rate']:.3f}", _ratio(row["scoring_impact_ratio"])
            )
        for row in document["quality"][attribute]:
            if row["withheld"]:
                quality.add_row(row["category"], "withheld: too few people", *[""] * 6)
                continue
            interval = "{:.3f} to {:.3f}".format(*row["mrr_ci95"]) if row["mrr_ci95"] else ""
            shares = (f"{row['recall@10']:.3f}", f"{row['mrr']:.3f}", interval, _ratio(row["ratio"]))
            quality.add_row(
                row["category"], f"{row['changes']:,}", *shares, f"{row['top1_ece']:.3f}", f"{row['top1_floor']:.3f}"
            )
        impact.add_section()
        quality.add_section()
    steered = Table(title="Segment by segment: where a group's rate is below four fifths of the highest")
    _columns(
        steered,
        "group",
        "hired: segments shown",
        "below 4/5",
        "median ratio",
        "reached: segments shown",
        "below 4/5",
        "median ratio",
    )
    for found in document["representation"].values():
        hired, reached = found["hired"]["steering"], found["reached"]["steering"]
        for group in dict.fromkeys([*hired, *reached]):
            told = []
            for part in (hired.get(group), reached.get(group)):
                told += (
                    ["0", "", ""]
                    if part is None
                    else [str(part["segments"]), str(part["below_four_fifths"]), _ratio(part["median_impact_ratio"])]
                )
            steered.add_row(group, *told)
        steered.add_section()
    return [impact, quality, steered]


def _columns(table: Table, first: str, *others: str) -> None:
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
