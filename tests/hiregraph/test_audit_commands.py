"""`graph audit` through its command: one document, a table for people, and one line for a missing file."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from graph.bipartite import examples_from_careers
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from hiregraph.audit_commands import audit
from market.careers import read_careers
from market.errors import ArtefactError, DataError

CODES = (10, 20, 50, 60)
PERSONS = 120


@pytest.fixture(scope="module")
def app():
    found = typer.Typer()
    found.command("audit")(audit)
    found.command("other")(lambda: None)  # with one command alone typer would drop its name
    return found


@pytest.fixture(scope="module")
def careers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("careers")
    rng = np.random.default_rng(0)
    rows = [f"{p},{1980 + t},{rng.choice(CODES)}" for p in range(PERSONS) for t in range(4)]
    (folder / "occupations.csv").write_text("\n".join(["person_id,year,occ80", *rows]) + "\n")
    titles = [f"{code},Title {code},Section {code // 50}" for code in CODES]
    (folder / "occ80_titles.csv").write_text("\n".join(["occ80,title,section", *titles]) + "\n")
    people = [f"{p},{1 + p % 2},{1 + p // 2 % 3}" for p in range(PERSONS)]
    (folder / "audit_attributes.csv").write_text("\n".join(["person_id,sex_1m_2f,race_1h_2b_3o", *people]) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory, careers):
    people = read_careers(careers)
    config = TrainConfig(epochs=1, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))
    out = tmp_path_factory.mktemp("fitted")
    fit(examples_from_careers(people), people.taxonomy, config).save(out / "model")
    return out


def run(app, model, careers, out, *more):
    asked = ["audit", "--model", str(model), "--careers", str(careers), "--out", str(out), *more]
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, asked)


def test_the_document_is_what_is_written_and_the_table_of_segments_lies_beside_it(app, model, careers, tmp_path):
    answer = run(app, model, careers, tmp_path / "audit", "--minimum-people", "5", "--json")
    document = json.loads(answer.stdout)
    assert document == json.loads((tmp_path / "audit" / "report.json").read_text())
    assert (document["people"], document["unknown"]) == (PERSONS, 0)
    assert document["config"]["minimum_people"] == 5
    assert (tmp_path / "audit" / "segments.parquet").is_file()


def test_without_json_there_are_tables_for_people(app, model, careers, tmp_path):
    answer = run(app, model, careers, tmp_path / "audit", "--minimum-people", "30")
    assert answer.exit_code == 0
    assert "Impact ratios" in answer.stdout
    assert "Female" in answer.stdout
    assert "withheld" in answer.stdout, "of both together there are 20 people each"


def test_what_is_missing_is_a_users_error(app, model, careers, tmp_path):
    (tmp_path / "bare").mkdir()
    for name in ("occupations.csv", "occ80_titles.csv"):
        (tmp_path / "bare" / name).write_text((careers / name).read_text())
    answer = run(app, model, tmp_path / "bare", tmp_path / "audit")
    assert isinstance(answer.exception, DataError)
    assert "an audit needs it" in str(answer.exception)
    assert not (tmp_path / "audit").exists()
    assert isinstance(run(app, tmp_path, careers, tmp_path / "audit").exception, ArtefactError)
