"""The main job, end to end: logs, hires, links and network, audiences, plans, days of seekers, a table and a page."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hiregraph.parity_of_report import parity_of_report
from hiregraph.pipeline import Prepared, StageTimes, fit_request_student, input_digests, peak_mib, prepare
from market.whole_file import write_whole
from sim.experiment import ExperimentConfig, Results, describe, run_experiment
from sim.page import write_page
from sim.predicted_rates import predicted_rates
from sim.report import build_report
from sim.second_look import second_look
from sim.stage import Stage, inventory_jobs
from sim.underdelivery import worst_delivering
from sim.world import WorldConfig
from targeting.learned import SITE_TRAIN, LearnedConfig
from targeting.marketplace import STUDENT
from targeting.vacancies import save_vacancies

STEPS = ("world", "logs", "learning", "index", "markets", "report")
LOOKED_AT = ("attribute", "graph")  # arms whose delivery is told pair by pair


@dataclass(frozen=True)
class DemoConfig:
    """What `hiregraph demo` and `hiregraph simulate` run."""

    world: WorldConfig = field(default_factory=WorldConfig)
    learn: LearnedConfig = field(default_factory=lambda: LearnedConfig(train=replace(SITE_TRAIN, epochs=4)))
    experiment: ExperimentConfig = field(default_factory=ExperimentConfig)


def run_demo(
    config: DemoConfig, data: Path | None, out: Path, cache: Path, console: Console
) -> tuple[dict[str, Any], StageTimes]:
    """Run everything and write report.json, report.html and the artefacts for `serve` into `out`.

    Ctrl-C while markets are played: the report is of the seeds that are finished, and says so ("complete" is false);
    before the first one is, KeyboardInterrupt and nothing is written.
    """
    times = StageTimes()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<52}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("starting", total=100)

        def note(text: str) -> None:
            progress.update(task, description=text, advance=2)
            if not console.is_terminal:
                console.print(f"  {text}", highlight=False)

        prepared = prepare(config.world, config.learn, data, cache, times, note)
        student = fit_request_student(prepared.stage.world, cache, times, note)

        def played(what: str, done: int, total: int) -> None:
            progress.update(task, description=f"playing markets: {what}", completed=30 + 65 * done / total)
            if not console.is_terminal:
                console.print(f"  markets {done}/{total}: {what}", highlight=False)

        with times.measure("markets"):
            cells = cache / "markets" / prepared.learned.parent.name
            results = run_experiment(prepared.stage, config.experiment, played, cells)
        with times.measure("report"):
            described = {
                "world": asdict(config.world),
                "experiment": describe(config.experiment),
                "inputs": input_digests(data),
                "attribute_scheme": asdict(results.scheme),
                "seekers": len(results.markets[0].seeker),
                "people": len(np.unique(results.markets[0].person)),
                "occupations_mapped_by": _mapping(prepared),
                "hires": prepared.hires,
                "links": len(prepared.stage.learned.links),
            }
            report = build_report(results, described, config.world.seed, {})
            careers = None if data is None else data / "nlsy79_careers"
            report |= _second_looks(prepared.stage, results, careers, config.world.seed)
            write_page(out / "report.html", report, prepared.stage, results)
            _keep_artefacts(prepared, student, out / "artefacts")
        report["seconds"] = dict(times.seconds)
        write_whole(out / "report.json", json.dumps(report, indent=1, default=float) + "\n")
        progress.update(task, description="done" if report["complete"] else "stopped", completed=100)
    return report, times


def _second_looks(stage: Stage, results: Results, careers: Path | None, seed: int) -> dict[str, Any]:
    """What the report says of the first market alone: worst campaigns, predicted rates, delivery by audited group."""
    looks = {arm: second_look(stage, results, arm) for arm in LOOKED_AT if arm in results.config.arms}
    return {
        "worst_campaigns": worst_delivering(stage, looks["graph"]) if "graph" in looks else [],
        "predicted_rates": predicted_rates(stage.learned, results.markets[0], np.random.default_rng([seed, 61])),
        "delivery_parity": parity_of_report(careers, stage, looks, np.random.default_rng([seed, 71])),
    }


def _mapping(prepared: Prepared) -> dict[str, float]:
    """How the world's occupations were mapped to wages and titles, as shares of observations."""
    world = prepared.stage.world
    observed = np.bincount(world.careers.occupation, minlength=len(world.careers.taxonomy))
    return {how: round(share, 3) for how, share in world.facts.mapping_shares(observed).items()}


def _keep_artefacts(prepared: Prepared, student: Path, target: Path) -> None:
    """What `hiregraph serve` loads: everything learned, and the window's vacancies to search in."""
    target.mkdir(parents=True, exist_ok=True)
    parts = {part: prepared.learned / part for part in ("model", "links", "rates")}
    for part, source in (parts | {STUDENT: student}).items():
        shutil.rmtree(target / part, ignore_errors=True)
        shutil.copytree(source, target / part)
    world = prepared.stage.world
    records, day = inventory_jobs(world), world.window_day
    save_vacancies([records[row] for row in world.inventory.open_between(day, day + 1)], target / "jobs")


def arms_table(report: dict[str, Any]) -> Table:
    """The result, one arm a row."""
    title, seeds = "Promoted jobs: who spent the budgets, on whom, at what cost", report["seeds"]
    if seeds["finished"] < seeds["asked"]:
        title += f" (interrupted: {seeds['finished']} of {seeds['asked']} seeds)"
    table = Table(title=title, title_justify="left")
    numbers = ("budget used", "qualified", "hires", "cost per qualified", "click rate", "organic apps", "overspend")
    for name in ("arm", *numbers, "used at attribute's cost", "and ad load"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for arm, row in report["arms"].items():
        found = report["headline"].get(arm, {})
        at_cost, at_both = (found.get(f"utilization_at_equal_cost{more}", {}) for more in ("", "_and_ad_load"))
        table.add_row(
            arm,
            _with_interval(row["budget_utilization"], "{:.1%}"),
            f"{row['qualified_applications']:.0f}",
            str(row["attributed_hires"]),
            _with_interval(row["cost_per_qualified_application_micros"], "{:.2f}", 1e-6),
            f"{row['click_rate']['mean'] or 0:.2%}",
            str(row["organic_applications"]),
            str(row["overspend_micros"]),
            *(("reference", "") if arm == "attribute" else (_points(at_cost), _points(at_both))),
        )
    return table


def times_table(times: StageTimes) -> Table:
    table = Table(title="Time and memory", title_justify="left")
    for name in ("stage", "seconds", "peak MiB", ""):
        table.add_column(name, justify="left" if name in ("stage", "") else "right")
    for name, seconds in times.seconds.items():
        again = "reused" if name in times.reused else ""
        table.add_row(name, f"{seconds:.1f}", f"{times.peak_mib[name]:.0f}", again)
    table.add_row("total", f"{sum(times.seconds.values()):.1f}", f"{peak_mib():.0f}", "")
    return table


def _with_interval(value: dict[str, Any], form: str, scale: float = 1.0) -> str:
    if value["mean"] is None:
        return "-"
    shown = form.format(value["mean"] * scale)
    if not value["ci95"]:
        return shown
    low, high = (form.format(edge * scale) for edge in value["ci95"])
    return f"{shown} [{low}, {high}]"


def _points(at_equal: dict[str, Any]) -> str:
    if at_equal.get("difference") is None:
        return "never that cheap"
    shown = f"{100 * at_equal['difference']:+.1f} pts"
    if at_equal.get("difference_ci95"):
        low, high = at_equal["difference_ci95"]
        shown += f" [{100 * low:+.1f}, {100 * high:+.1f}]"
    return shown
