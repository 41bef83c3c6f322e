"""`hiregraph seekers`: a planted person is found everywhere, erased, and found nowhere."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from hiregraph.privacy_commands import seekers_app
from market.errors import ConfigError
from market.records import SeekerProfile
from targeting.profile_log import ProfileLog
from targeting.storage.profile_store import ProfileStore
from targeting.storage.tombstones import Tombstones
from tests.targeting.storage.conftest import NOON, SECRET, Till

WHO = "canary-4711-person"


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    """A database with a canary, tables beside the artefacts that name it; the options that point there."""
    path = tmp_path / "site.sqlite"
    path.with_name("site.sqlite.token-secret").write_text(SECRET.hex())
    till, log = Till(path), ProfileLog()
    log.note(SeekerProfile(WHO, ("Nurse",), geo="31080"), NOON)
    ProfileStore(till.database, Tombstones(SECRET)).flush(log)
    till.take(till.event(till.serve(till.campaign(), 100, seeker=WHO), seeker=WHO))
    late = till.event(None, type="save", seeker=WHO, job="j9")
    assert till.take(late)[0].code == "unknown_job"
    till.database.engine.dispose()  # a service that was killed: its log stays
    for folder in ("artefacts", "logs"):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"seeker_id": [WHO, "s2"], "n": [1, 2]}), tmp_path / folder / "hires.parquet")
    where = ["--db", f"sqlite:///{path}", "--artefacts", str(tmp_path / "artefacts")]
    return [*where, "--path", str(tmp_path / "logs")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(seekers_app, arguments)


def test_a_planted_person_is_found_everywhere_erased_and_found_nowhere(site: list[str], tmp_path: Path) -> None:
    before = run("find", WHO, *site, "--json")
    assert before.exit_code == 1, before.output
    found = json.loads(before.stdout)
    assert {Path(hit["path"]).name for hit in found["hits"]} >= {"site.sqlite", "hires.parquet"}
    assert found["rows"] == {
        "seekers": 1,
        "seeker_titles": 1,
        "events": 1,
        "reserves": 1,
        "slates": 1,
        "quarantine": 1,
        "quarantined events that confirm the id": 1,
        "lanes that confirm the id": 1,
    }
    erased = run("erase", WHO, *site, "--json")
    receipt = json.loads(erased.stdout)
    assert receipt["status"] == "done"
    assert receipt["stores"]["artefacts"] == 1
    assert receipt["files"] == {str(tmp_path / "logs"): 1}
    assert receipt["retrain_advised"]
    assert json.loads((tmp_path / "artefacts" / "erasures.json").read_text())["erased_since_fit"] == 1
    after = run("find", WHO, *site, "--json")
    assert after.exit_code == 0, after.output
    assert json.loads(after.stdout)["hits"] == []
    again = json.loads(run("erase", WHO, *site, "--json").stdout)
    assert set(again["stores"].values()) == {0}
    assert not again["retrain_advised"]


def test_the_words_say_where_the_person_is(site: list[str], tmp_path: Path) -> None:
    (tmp_path / "logs" / "access.gz").write_bytes(gzip.compress(f"GET /seekers/{WHO}".encode()))
    told = run("find", WHO, *site)
    assert told.exit_code == 1
    assert "access.gz gzip: 1 times as utf-8" in told.stdout
    assert "seekers: 1 rows" in told.stdout


def test_a_stranger_is_found_nowhere(site: list[str]) -> None:
    assert run("find", "somebody-else-0815", *site).exit_code == 0


@pytest.mark.parametrize("arguments", [("find", "~abc"), ("erase", "a b"), ("find", WHO, "--path", "/no/such/file")])
def test_mistakes_are_told(site: list[str], arguments: tuple[str, ...]) -> None:
    assert isinstance(run(*arguments, *site).exception, ConfigError)
