"""`simulate`: an earlier report is never lost by accident, and Ctrl-C leaves a valid report of what is finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from hiregraph.cli import app, main
from hiregraph.market_commands import REPORT_FILES
from hiregraph.out_folder import refuse_to_overwrite
from market.errors import ConfigError
from market.whole_file import write_whole
from sim.arms import ARMS
from sim.designs import DESIGNS

ROOT = Path(__file__).parents[2]
# The console script on the small world of the tests: what a user runs, but for the minutes that its stage takes.
PROGRAM = """
import sys
from pathlib import Path
import hiregraph.demo
from hiregraph.cli import main
from hiregraph.pipeline import Prepared
from tests.sim.small_world import small_learned, small_stage

def prepare(config, learn, data, cache, times, note):
    small_learned().save(cache / "learned")
    return Prepared(small_stage(), cache / "logs", cache / "learned", 1)

def student(world, cache, times, note):
    (cache / "student").mkdir(parents=True, exist_ok=True)
    return cache / "student"

hiregraph.demo.prepare, hiregraph.demo.fit_request_student = prepare, student
main()
"""
COMMAND = ["simulate", "--world", "generated", "--campaigns", "20", "--days", "1", "--json"]
SEEDS = 12
ASKED = ["--arms", "attribute,graph", "--out", "sim", "--cache", "cache", "--seeds", str(SEEDS)]


def hiregraph(folder: Path, *arguments: str, stop_at: str | None = None) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of the program; with `stop_at`, Ctrl-C once its notes have said that."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HIREGRAPH_")}
    environment["PYTHONPATH"] = str(ROOT)
    program = [sys.executable, "-c", PROGRAM, *COMMAND, *arguments]
    out, err = folder / "stdout", folder / "stderr"
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        subprocess.Popen(
            program, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment, text=True
        ) as running,
    ):
        assert running.stderr is not None
        for line in running.stderr:
            stderr.write(line)
            if stop_at is not None and stop_at in line:
                running.send_signal(signal.SIGINT)
                stop_at = None
        code = running.wait(timeout=120)
    return code, out.read_text(), err.read_text()


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """(exit status, stderr) of a command that is refused at once."""
    monkeypatch.setattr(sys, "argv", ["hiregraph", *COMMAND, *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert printed.out == ""
    return int(left.value.code or 0), printed.err


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    """A run of many seeds that was stopped with Ctrl-C in its second one: folder, exit status, stdout, stderr."""
    folder = tmp_path_factory.mktemp("stopped")
    return folder, *hiregraph(folder, *ASKED, stop_at=f"seed 2 of {SEEDS}")


def test_stopped_after_a_seed_it_leaves_a_valid_partial_report(stopped: tuple[Path, int, str, str]) -> None:
    folder, code, stdout, stderr = stopped
    last = stderr.strip().splitlines()[-1]
    assert code == 130
    assert "Traceback" not in stderr
    report = json.loads((folder / "sim" / "report.json").read_text())
    finished = report["seeds"]["finished"]
    assert last.startswith(f"hiregraph: stopped; {finished} of {SEEDS} seeds are finished")
    assert "--force" in last
    assert report == json.loads(stdout)
    assert report["complete"] is False
    assert 1 <= finished < SEEDS
    assert f"Interrupted: {finished} of {SEEDS} seeds" in (folder / "sim" / "report.html").read_text()
    assert {path.name for path in (folder / "sim").iterdir()} == {*REPORT_FILES, "artefacts"}


def test_a_partial_report_is_replaced_with_force_only(
    stopped: tuple[Path, int, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stopped[0])
    code, stderr = in_process(monkeypatch, capsys, *ASKED)
    assert code == 2
    assert stderr.startswith("hiregraph: sim/report.json is of an interrupted run; give --force to go on")
    assert stderr.count("\n") == 1


@pytest.mark.slow
def test_with_force_it_goes_on_from_the_seeds_that_are_finished(stopped: tuple[Path, int, str, str]) -> None:
    folder = stopped[0]
    cells = sorted((folder / "cache" / "markets").rglob("seed-*.npz"))
    written = [cell.stat().st_mtime_ns for cell in cells]
    code, stdout, stderr = hiregraph(folder, *ASKED, "--force")
    assert code == 0
    assert f"seed {len(cells)} of {SEEDS}" not in stderr  # it was read back
    assert f"seed {len(cells) + 1} of {SEEDS}" in stderr
    assert [cell.stat().st_mtime_ns for cell in cells] == written
    assert json.loads(stdout)["complete"] is True


@pytest.mark.slow
def test_stopped_before_the_first_seed_is_finished_it_writes_nothing(tmp_path: Path) -> None:
    code, stdout, stderr = hiregraph(tmp_path, *ASKED, "--days", "7", stop_at=f"seed 1 of {SEEDS}")
    assert (code, stdout) == (130, "")
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("hiregraph: stopped before there was a report; nothing was written to sim; ")
    assert "Traceback" not in stderr
    assert not (tmp_path / "sim").exists()


@pytest.mark.parametrize("name", REPORT_FILES)
def test_a_report_that_is_there_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / name).write_text("kept")
    code, stderr = in_process(monkeypatch, capsys, *ASKED)
    assert code == 2
    assert stderr == f"hiregraph: sim/{name} exists; give --force to replace it, or another --out\n"
    assert (tmp_path / "sim" / name).read_text() == "kept"
    assert not (tmp_path / "cache").exists()


def test_force_an_empty_directory_and_a_new_one_are_not_refused(tmp_path: Path) -> None:
    refuse_to_overwrite(tmp_path, REPORT_FILES, force=False)
    refuse_to_overwrite(tmp_path / "new", REPORT_FILES, force=False)
    (tmp_path / "report.json").write_text("{}")
    refuse_to_overwrite(tmp_path, REPORT_FILES, force=True)
    with pytest.raises(ConfigError, match="is no directory"):
        refuse_to_overwrite(tmp_path / "report.json", REPORT_FILES, force=True)


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    write_whole(path, "old")
    write_whole(path, "new\n")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800")
    assert path.read_text() == "new\n"
    assert [found.name for found in path.parent.iterdir()] == ["report.json"]


def test_help_names_every_arm_and_every_design() -> None:
    options = {option.name: option.help for option in typer.main.get_command(app).commands["simulate"].params}
    assert all(f"{arm}" in options["arms"] for arm in ARMS)
    assert all(f"{design} (" in options["design"] for design in DESIGNS)
