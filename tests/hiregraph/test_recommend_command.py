"""`organic recommend`: jobs and a seeker from files, in every form they may have, and mistakes that end in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from typer.testing import CliRunner

from hiregraph.recommend_command import recommend
from market.errors import ArtefactError, ConfigError, DataError, NotFoundError, UserError
from organic.language.student import Features, StaticEncoder, StudentConfig

COMMON = {"account_id": "acme", "company": "Acme", "description": "", "geo": "31080"}
JOBS = [
    {**COMMON, "job_id": "nurse", "title": "Night nurse", "skills": ["triage"]},
    {**COMMON, "job_id": "cook", "title": "Line cook", "posted_at": "2025-06-01T00:00:00Z"},
    {**COMMON, "job_id": "away", "title": "Night nurse", "geo": "16980"},
]
SEEKER = {"titles": ["Nurse"], "skills": ["Triage"], "geo": "31080"}

app = typer.Typer()
app.command()(recommend)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A student of six words, each with an axis of its own."""
    words = {word: number for number, word in enumerate(("nurse", "night", "line", "cook", "triage", "pilot"))}
    split = Tokenizer(WordLevel(words | {"?": 6}, unk_token="?"))
    split.normalizer, split.pre_tokenizer = Lowercase(), Whitespace()
    folder = tmp_path_factory.mktemp("model") / "student"
    alone = Features(np.arange(6), np.zeros(0, np.int64))
    encoder = StaticEncoder(split.to_str(), alone, np.eye(6, 8, dtype=np.float32))
    encoder.save(folder, StudentConfig(), {}, {})
    return folder


class Desk:
    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.jobs, self.seeker = folder / "jobs.json", folder / "seeker.json"
        self.jobs.write_text(json.dumps(JOBS))
        self.seeker.write_text(json.dumps(SEEKER))

    def run(self, *more: str):
        given = {"--model": self.model, "--jobs": self.jobs, "--seeker": self.seeker, "--now": "2026-03-01T00:00:00Z"}
        return CliRunner().invoke(app, [str(each) for pair in given.items() for each in pair] + list(more))

    def document(self, *more: str):
        result = self.run("--json", *more)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *more: str) -> UserError:
        error = self.run(*more).exception
        assert isinstance(error, UserError), error
        assert "\n" not in str(error)
        return error


@pytest.fixture
def desk(tmp_path, model) -> Desk:
    return Desk(tmp_path, model)


def ids(document) -> list[str]:
    return [item["job_id"] for item in document["items"]]


def test_the_best_job_comes_first_with_its_reasons(desk):
    document = desk.document()
    assert ids(document) == ["nurse", "cook"]
    assert document["items"][0]["reasons"] == [
        "Its title is close to yours: Nurse",
        "In your area",
        "Asks for skills you have: triage",
    ]
    assert document["notes"] == []


def test_a_search_and_a_number_of_jobs_can_be_given(desk):
    assert ids(desk.document("--query", "line cook line cook", "--k", "1")) == ["cook"]


@pytest.mark.parametrize(
    "written",
    [
        json.dumps({"jobs": JOBS}),
        "\n".join(json.dumps(job) for job in JOBS) + "\n\n",
        json.dumps(JOBS, indent=2),
    ],
)
def test_jobs_may_be_a_list_a_batch_or_lines(desk, written):
    desk.jobs.write_text(written)
    assert ids(desk.document()) == ["nurse", "cook"]


def test_one_job_on_one_line_is_a_job(desk):
    desk.jobs.write_text(json.dumps(JOBS[0]))
    assert ids(desk.document()) == ["nurse"]


def test_for_people_there_is_a_page(desk):
    result = desk.run()
    assert "Night nurse (Acme, nurse)" in result.stdout
    assert "In your area" in result.stdout


def test_why_a_job_is_missing_is_told(desk):
    assert [note["code"] for note in desk.document("--why-not", "away")["why_not"]] == ["area"]
    assert desk.document("--why-not", "cook")["why_not"] == []
    assert "nothing keeps this job away" in desk.run("--why-not", "cook").stdout
    assert isinstance(desk.refused("--why-not", "nowhere"), NotFoundError)


def test_quality_rules_can_be_put_in_force(desk):
    rules = desk.folder / "rules.json"
    rules.write_text('{"version": 1, "rules": ["stale"], "stale_weeks": 8}')
    document = desk.document("--rules", str(rules), "--why-not", "cook")
    assert ids(document) == ["nurse"]
    assert [note["code"] for note in document["why_not"]] == ["rule:stale"]
    rules.write_text('{"version": 1, "rules": ["no-such-rule"]}')
    assert isinstance(desk.refused("--rules", str(rules)), ConfigError)


def test_an_empty_seeker_or_no_jobs_are_answered_with_a_note(desk):
    desk.seeker.write_text("{}")
    assert [note["code"] for note in desk.document()["notes"]] == ["not_personalised"]
    for empty in ("[]", "", '{"jobs": []}'):
        desk.jobs.write_text(empty)
        assert [note["code"] for note in desk.document()["notes"]] == ["not_personalised", "no_jobs"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3", "no list of jobs"),
        ('{"jobs": 3}', "no list of jobs"),
        ("[{]", "not JSON"),
        ('[{"job_id": "x"}]', "account_id"),
        (json.dumps([JOBS[0], {**JOBS[1], "wage": "much"}]), "job 1: wage"),
        (json.dumps([{**JOBS[0], "title": "\ud800"}]), "title"),
        (json.dumps([{**JOBS[0], "race": "x"}]), "race"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_jobs_that_can_not_be_read_are_named(desk, written, said):
    desk.jobs.write_text(written)
    error = desk.refused()
    assert isinstance(error, DataError)
    assert said in str(error)


@pytest.mark.parametrize("written", ["[]", "null", '{"titles": "Nurse"}', '{"sex": "f"}', '{"titles": [""]}', "{"])
def test_a_seeker_that_can_not_be_read_is_named(desk, written):
    desk.seeker.write_text(written)
    assert str(desk.seeker) in str(desk.refused())


def test_missing_files_wrong_folders_and_impossible_options_end_in_one_line(desk):
    assert "--now" in str(desk.refused("--now", "yesterday"))
    assert "k: " in str(desk.refused("--k", "0"))
    desk.seeker.write_bytes(b"\xff\xfe\xff")
    assert "UTF-8" in str(desk.refused())
    desk.seeker.unlink()
    assert "No such file" in str(desk.refused())
    desk.seeker.write_text("{}")
    desk.model = desk.folder
    assert isinstance(desk.refused(), ArtefactError)
