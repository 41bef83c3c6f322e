"""`simulate feedback`: a report that is valid at every moment, and never overwritten by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from hiregraph.feedback_command import REPORT, cell, check_out, feedback, play, table_of
from market.errors import ConfigError
from sim.feedback import ARMS, FeedbackConfig, Round
from sim.feedback_measures import MEASURES

CONFIG = FeedbackConfig(rounds=2, seeds=1)
QUIET = Console(quiet=True)


def rounds(stop_after: int | None = None):
    """Stands in for the loop: finished rounds, then a person who presses Ctrl-C."""

    def run(logs, begin, advance):
        for number in range(1, CONFIG.rounds + 1):
            for arm in ARMS:
                if stop_after is not None and (number - 1) * 2 + ARMS.index(arm) == stop_after:
                    raise KeyboardInterrupt
                begin(arm, 10)
                advance(10)
                yield Round(0, arm, number, dict.fromkeys(MEASURES, 0.5), [1, 2])

    return run


def test_a_finished_run_leaves_a_complete_report(tmp_path: Path) -> None:
    report = play(rounds(), CONFIG, tmp_path / "deep" / "out", QUIET)
    assert report == json.loads((tmp_path / "deep" / "out" / REPORT).read_text()) | {"config": report["config"]}
    assert report["complete"]
    assert len(report["rounds"]) == len(report["table"]) == 4
    assert table_of(report["table"]).row_count == 4
    assert cell({"mean": 0.5, "ci95": [0.4, 0.6]}) == "0.500 ± 0.100"


def test_a_stopped_run_leaves_the_rounds_it_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        play(rounds(stop_after=3), CONFIG, tmp_path / "out", QUIET)
    report = json.loads((tmp_path / "out" / REPORT).read_text())
    assert not report["complete"]
    assert [(each["arm"], each["number"]) for each in report["rounds"]] == [(ARMS[0], 1), (ARMS[1], 1), (ARMS[0], 2)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [REPORT]


def test_an_earlier_result_is_replaced_with_force_only_and_anything_else_never(tmp_path: Path) -> None:
    (tmp_path / REPORT).write_text("{}")
    with pytest.raises(ConfigError, match="give --force"):
        check_out(tmp_path, force=False)
    check_out(tmp_path, force=True)
    check_out(tmp_path / "new", force=False)
    (tmp_path / REPORT).rename(tmp_path / "letters.txt")
    with pytest.raises(ConfigError, match="holds no earlier"):
        check_out(tmp_path, force=True)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--rounds", "0"], "rounds is 0"),
        (["--days", "0"], "days must be at least 1"),
        (["--exploration", "2"], "exploration is 2"),
        (["--world", "careers", "--data", "none"], "careers world needs"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_is_written(
    tmp_path: Path, more: list[str], problem: str
) -> None:
    app = typer.Typer()
    app.command()(feedback)
    found = CliRunner().invoke(app, ["--out", str(tmp_path / "out"), *more])
    assert isinstance(found.exception, ConfigError)
    assert problem in str(found.exception)
    assert not (tmp_path / "out").exists()
