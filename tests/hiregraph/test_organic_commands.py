"""`organic fit` and `organic evaluate` on logs of a dozen events, with the offline text encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hiregraph.organic_commands import _shown, organic_app
from market.errors import ArtefactError, ConfigError, DataError, UserError
from market.ranking import read_run
from market.tables import Tables, write_tables
from tests.organic.learning.small_logs import EVENTS, at, logs

pytestmark = pytest.mark.journey  # long for `make check`


def written(folder: Path, tables: Tables) -> Path:
    write_tables(folder, tables.tables, "test")
    return folder


def call(*arguments: object):
    """The JSON document of a command; its error is raised, for `main` to say."""
    result = CliRunner().invoke(organic_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("site") / "logs", logs())


@pytest.fixture(scope="module")
def model(site) -> tuple[Path, dict]:
    out = site.parent / "model"
    return out, call("fit", "--logs", site, "--out", out, "--steps", 2, "--no-student", "--json")


def test_fit_learns_up_to_the_held_out_days_and_measures_these(model):
    out, summary = model
    assert (summary["requests"], summary["pairs"]) == (4, 4)
    assert summary["trained_until"] == at(7).isoformat()
    assert summary["held_out"]["requests"] == 2
    assert json.loads((out / "manifest.json").read_text())["metrics"]["held_out"] == summary["held_out"]


def test_evaluate_finds_the_held_out_days_again_and_writes_a_run(model, site, tmp_path):
    out, summary = model
    report = call("evaluate", "--model", out, "--logs", site, "--run", tmp_path / "run.trec", "--json")
    assert report == summary["held_out"]
    assert sorted(read_run(tmp_path / "run.trec")) == ["ann@2026-03-21", "ben@2026-03-10"]


@pytest.mark.slow
def test_requests_are_read_by_a_student_that_the_model_carries(site, tmp_path):
    summary = call("fit", "--logs", site, "--out", tmp_path / "model", "--steps", 2, "--json")
    assert (tmp_path / "model" / "student" / "student.safetensors").is_file()
    assert call("evaluate", "--model", tmp_path / "model", "--logs", site, "--json") == summary["held_out"]


def test_logs_without_newer_requests_can_not_be_judged(model, tmp_path):
    early = written(tmp_path / "early", logs(events={"clicks": EVENTS["clicks"][:1]}))
    with pytest.raises(ConfigError, match="no request after it"):
        call("evaluate", "--model", model[0], "--logs", early)


def test_a_folder_without_a_model_is_refused(site, tmp_path):
    with pytest.raises(ArtefactError, match="not an artefact"):
        call("evaluate", "--model", tmp_path, "--logs", site)


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        (logs(events={"dismissals": EVENTS["dismissals"]}), (), "nobody engaged with any job"),
        (logs(events={"clicks": [("k", "ann", "gone", 1, 1)]}), (), "job 'gone' is not in the table jobs"),
        (logs(), ("--held-out-days", 40), "all 6 requests are of the last 40 days"),
    ],
)
def test_logs_that_can_not_teach_leave_nothing_behind(tmp_path, tables, options, message):
    with pytest.raises(DataError, match=message):
        call("fit", "--logs", written(tmp_path / "logs", tables), "--out", tmp_path / "model", *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_an_empty_table_of_jobs_is_named(tmp_path):
    folder = written(tmp_path / "logs", logs())
    pq.write_table(pq.read_table(folder / "jobs.parquet").slice(0, 0), folder / "jobs.parquet")
    with pytest.raises(UserError, match="jobs: the table is empty"):
        call("fit", "--logs", folder, "--out", tmp_path / "model")


def test_a_mean_without_an_interval_is_shown_alone() -> None:
    assert _shown({"mean": 1.0, "ci95": None, "n": 1}) == "1.0000 n 1"
    assert _shown({"mean": 0.5, "ci95": [0.25, 0.75]}) == "0.5000 [0.2500, 0.7500]"
    assert _shown({"mean": None, "ci95": None}) == "-"
