"""`off-policy` from the command line: a directory of logs, a plain table of slots, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from hiregraph.off_policy_command import off_policy
from market.errors import UserError
from market.tables import write_tables
from sim.logged_site import drawn_site
from sim.slate_policy import SlatePolicy

app = typer.Typer()
app.command()(off_policy)
run = CliRunner()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    site = drawn_site(np.random.default_rng(1), kinds=20, candidates=6)
    tables, candidates = site.log(SlatePolicy("bid", 0.3, 0.2), 100, 2, np.random.default_rng(2))
    write_tables(folder, tables, "none")
    pq.write_table(candidates, folder / "candidates.parquet")
    return folder


def test_a_directory_of_logs_answers_with_estimates_and_diagnostics_of_each_policy(logs: Path) -> None:
    asked = ["--logs", str(logs), "--policy", "logged", "--policy", "value,exploration=0.02", "--draws", "50", "--json"]
    found = run.invoke(app, asked)
    assert found.exit_code == 0
    report = json.loads(found.stdout)
    assert set(report["policies"]) == {"logged", "value,exploration=0.02"}
    one = report["policies"]["value,exploration=0.02"]
    assert {"ips", "snips", "dr", "direct", "clipped_ips"} <= set(one["estimates"])
    assert one["diagnostics"]["unsupported_mass"] is not None
    assert one["estimates"]["dr"]["ci95"][0] < one["estimates"]["dr"]["value"] < one["estimates"]["dr"]["ci95"][1]
    assert run.invoke(app, asked).stdout == found.stdout


def test_the_table_for_people_warns_about_each_policy(logs: Path) -> None:
    found = run.invoke(app, ["--logs", str(logs), "--policy", "value", "--draws", "20"])
    assert found.exit_code == 0
    assert "unsupported mass" in found.stderr
    assert "snips" in found.stdout


def test_one_table_of_slots_is_judged_by_its_own_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "request_id": ["a", "b", "c"],
            "seeker_id": ["s1", "s1", "s2"],
            "slot": 0,
            "reward": [1.0, 1.0, 0.0],
            "propensity": [0.25, 0.5, 0.5],
            "mine": [1.0, 0.0, 0.5],
        }
    )
    path = tmp_path / "slots.csv"
    frame.to_csv(path, index=False)
    found = run.invoke(app, ["--logs", str(path), "--policy", "mine", "--json", "--draws", "20"])
    one = json.loads(found.stdout)["policies"]["mine"]
    assert one["estimates"]["ips"]["value"] == pytest.approx(4 / 3)
    assert one["diagnostics"]["unsupported_mass"] is None


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--policy", "best"], "policy 'best' is unknown"),
        (["--policy", "bid", "--reward", "hires"], "reward 'hires' is unknown"),
        (["--policy", "bid", "--draws", "0"], "draws is 0"),
        (["--policy", "bid", "--clip", "-1"], "clip is -1"),
    ],
)
def test_what_can_not_be_answered_is_a_users_mistake(logs: Path, more: list[str], problem: str) -> None:
    found = run.invoke(app, ["--logs", str(logs), *more])
    assert isinstance(found.exception, UserError)
    assert problem in str(found.exception)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = run.invoke(app, ["--logs", str(tmp_path / "none"), "--policy", "bid"])
    assert isinstance(found.exception, UserError)
    assert "does not exist" in str(found.exception)
