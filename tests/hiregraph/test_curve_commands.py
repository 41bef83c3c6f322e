"""`graph curve` on a small generated world: files, one JSON document, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hiregraph.curve_commands import curve
from market.errors import DataError

APP = typer.Typer()
APP.command()(curve)


def test_the_command_writes_both_files_and_prints_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIREGRAPH_DATA", raising=False)
    answer = CliRunner().invoke(APP, ["--out", str(tmp_path / "curve"), "--persons", "150", "--json"])
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    assert report == json.loads((tmp_path / "curve" / "curve.json").read_text())
    assert report["sources"]["careers"] == "generated careers"
    assert "judging on test persons" in answer.stderr
    assert (tmp_path / "curve" / "curve.html").read_text().startswith("<!doctype html>")


def test_careers_without_skills_beside_them_are_a_mistake_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HIREGRAPH_DATA", raising=False)
    folder = tmp_path / "careers"
    folder.mkdir()
    (folder / "occupations.csv").write_text("person_id,year,occ80\n1,1980,3\n1,1981,4\n")
    (folder / "occ80_titles.csv").write_text("occ80,title,section\n3,Legislators,Managers\n")
    arguments = ["--careers", str(folder), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    answer = CliRunner().invoke(APP, arguments)
    assert isinstance(answer.exception, DataError)
    assert "occupation_data.csv.gz not found" in str(answer.exception)
    assert not (tmp_path / "out").exists()
