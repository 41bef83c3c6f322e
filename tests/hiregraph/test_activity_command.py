"""`organic activity fit` and `show` on a site of a few seekers: one JSON document, and mistakes in one line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from hiregraph.activity_command import activity_app, read_activity
from market.errors import ConfigError, DataError
from market.tables import check_table, write_tables
from organic.activity.store import ActivityStore

JOBS = 12


class Hashed:
    """Unit vectors that only a text decides, instead of the transformer."""

    dimension = 8

    def __init__(self, model=None, cache_dir=None) -> None:
        pass

    def encode(self, texts):
        numbers = [list(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        found = np.array(numbers, np.float32).reshape(-1, 8) - 127
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("market.text.TextEncoder", Hashed)
    ids = [f"j{i}" for i in range(JOBS)]
    columns = {name: ids for name in ("job_id", "account_id", "employer_id", "occupation", "geo")}
    jobs = pa.table(columns | {"title": [f"title {i}" for i in range(JOBS)], "posted_at": ["2026-01-01"] * JOBS})
    events = {
        "event_id": [f"e{i}" for i in range(40)],
        "seeker_id": [f"s{i % 5}" for i in range(40)],
        "job_id": [f"j{i % JOBS}" for i in range(40)],
        "occurred_at": [f"2026-01-{1 + i // 2:02d}" for i in range(40)],
    }
    tables = {"jobs": check_table("jobs", jobs)}
    tables |= {name: check_table(name, pa.table(events)) for name in ("applications", "dismissals")}
    write_tables(tmp_path / "logs", tables, "twelve")
    return tmp_path / "logs"


def invoke(*arguments: object):
    return CliRunner().invoke(activity_app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("aggregator", ["decay", "cnn"])
def test_a_store_is_fitted_and_a_seeker_of_the_logs_has_the_same_vector_from_a_file(logs, tmp_path, aggregator) -> None:
    answer = invoke(
        "fit", "--logs", logs, "--out", tmp_path / "model", "--aggregator", aggregator, "--epochs", 1, "--json"
    )
    assert answer.exit_code == 0, answer.output
    summary = json.loads(answer.stdout)
    assert (summary["seekers"], summary["actions"], summary["fallback_share"]) == (5, 80, 0)
    assert summary["width"] == {"decay": 192, "cnn": 64}[aggregator]
    assert summary["vector_bytes"] == 4 * summary["width"]

    activity = [
        {"job_id": f"j{i % JOBS}", "action": action, "at": f"2026-01-{1 + i // 2:02d}T00:00:00Z"}
        for i in range(4, 40, 5)
        for action in ("dismiss", "apply")
    ]
    activity.append({"job_id": "gone", "action": "save", "at": "2026-01-02T00:00:00+01:00"})
    (tmp_path / "seeker.json").write_text(json.dumps({"seeker_id": "s4", "titles": ["Nurse"], "activity": activity}))
    answer = invoke("show", "--model", tmp_path / "model", "--seeker", tmp_path / "seeker.json", "--json")
    shown = json.loads(answer.stdout)
    assert (shown["actions"], shown["unknown_jobs"], shown["fallback"]) == (16, 1, False)
    store = ActivityStore.load(tmp_path / "model")
    assert np.array_equal(np.array(shown["vector"], np.float32), store.of("s4").vector)


def test_a_seeker_without_activity_is_answered_by_the_flag(logs, tmp_path) -> None:
    assert invoke("fit", "--logs", logs, "--out", tmp_path / "model").exit_code == 0
    (tmp_path / "seeker.json").write_text("{}")
    answer = invoke("show", "--model", tmp_path / "model", "--seeker", tmp_path / "seeker.json")
    assert answer.stdout == "decay, 192 numbers of 0 actions; fewer than 4: fall back to the profile\n"


def test_mistakes_are_one_line(logs, tmp_path) -> None:
    answer = invoke("fit", "--logs", logs, "--out", tmp_path / "model", "--aggregator", "median")
    assert isinstance(answer.exception, ConfigError)
    path = tmp_path / "seeker.json"
    for text in (
        "not json",
        "[]",
        '{"activity": 3}',
        '{"activity": [3]}',
        '{"activity": [{"job_id": "j1", "action": "like", "at": "2026-01-01T00:00:00Z"}]}',
        '{"activity": [{"job_id": "j1", "action": "save", "at": "2026-01-01"}]}',
    ):
        path.write_text(text)
        with pytest.raises(DataError) as raised:
            read_activity(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="can not be read"):
        read_activity(tmp_path / "nowhere.json")
