"""The main job, small: everything once, then again with its finished stages."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from graph.train import TrainConfig
from hiregraph.demo import DemoConfig, arms_table, run_demo, times_table
from hiregraph.pipeline import StageTimes
from hiregraph.server import load_engine
from hiregraph.settings import load_settings
from sim.experiment import ExperimentConfig
from sim.market import MarketConfig
from targeting.learned import LearnedConfig
from targeting.vacancies import load_vacancies
from tests.sim.small_world import SHAPE

pytestmark = pytest.mark.journey
CONFIG = DemoConfig(
    world=SHAPE,
    learn=LearnedConfig(train=TrainConfig(epochs=1)),
    experiment=ExperimentConfig(
        arms=("attribute", "graph", "random"),
        seeds=1,
        thetas=(0.1, 0.5),
        budget_levels=(0.5,),
        market=MarketConfig(days=2, campaigns=30),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def demo(folder: Path, out: str) -> tuple[dict[str, Any], StageTimes]:
    return run_demo(CONFIG, None, folder / out, folder / "cache", Console(quiet=True))


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[dict[str, Any], StageTimes]:
    return demo(folder, "first")


def test_the_demo_writes_a_report_a_page_and_what_the_service_needs(
    first: tuple[dict[str, Any], StageTimes], folder: Path
) -> None:
    report, times = first
    assert times.reused == set()
    written = json.loads((folder / "first" / "report.json").read_text())
    assert written["arms"].keys() == report["arms"].keys() == {"attribute", "graph", "random"}
    assert (folder / "first" / "report.html").stat().st_size > 10_000
    assert written["complete"] is True
    assert written["delivery_parity"] == {}  # made-up people have no audited attributes
    assert written["predicted_rates"].keys() == {"hires", "clicks", "people"}
    assert all(row["why"] for row in written["worst_campaigns"])
    assert len(load_vacancies(folder / "first" / "artefacts" / "jobs")) == SHAPE.inventory
    settings = load_settings(db=f"sqlite:///{folder}/site.sqlite", artefacts=folder / "first" / "artefacts")
    assert load_engine(settings).ready() is None


def test_nothing_is_overspent_in_any_arm(first: tuple[dict[str, Any], StageTimes]) -> None:
    for row in first[0]["arms"].values():
        assert row["overspend_micros"] == 0
        assert 0 < row["spend_micros"] <= row["budget_micros"]


def test_a_second_run_reuses_finished_stages_and_reports_the_same(
    first: tuple[dict[str, Any], StageTimes], folder: Path
) -> None:
    again, times = demo(folder, "second")
    assert {"logs", "learning"} <= times.reused
    one, other = ({k: v for k, v in report.items() if k != "seconds"} for report in (first[0], again))
    assert json.dumps(one, default=float) == json.dumps(other, default=float)
    pages = [(folder / out / "report.html").read_bytes() for out in ("first", "second")]
    assert pages[0] == pages[1]


def test_the_tables_name_every_arm_and_every_stage(first: tuple[dict[str, Any], StageTimes]) -> None:
    report, times = first
    shown = io.StringIO()
    console = Console(width=200, file=shown)
    console.print(arms_table(report))
    console.print(times_table(times))
    for name in (*report["arms"], "world", "logs", "learning", "index", "markets", "total"):
        assert name in shown.getvalue()
