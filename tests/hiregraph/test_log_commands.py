"""`hiregraph logs export`: the service's database as logs, in the classification of the artefacts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hiregraph.log_commands import logs_app
from market.errors import ArtefactError
from market.records import Job, SeekerProfile
from market.tables import check_folder, read_tables
from targeting.profile_log import ProfileLog
from targeting.storage.profile_store import ProfileStore
from targeting.storage.tombstones import Tombstones
from tests.sim.small_world import small_learned
from tests.targeting.storage.conftest import NOON, SECRET, Till


@pytest.mark.journey
def test_an_export_is_read_with_the_titles_of_the_artefacts(tmp_path: Path) -> None:
    learned = small_learned()
    learned.save(tmp_path / "artefacts")
    code, title = learned.taxonomy.codes[3], learned.taxonomy.titles[3]
    till, log = Till(tmp_path / "site.sqlite"), ProfileLog()
    till.store.put_jobs([Job("j1", "acme", title, "Acme", "", "m00", posted_at=NOON)])
    log.note(SeekerProfile("s1", (title,), geo="m00"), NOON)
    ProfileStore(till.database, Tombstones(SECRET)).flush(log)
    where = ["--db", f"sqlite:///{tmp_path}/site.sqlite", "--artefacts", str(tmp_path / "artefacts")]
    told = CliRunner().invoke(logs_app, ["export", *where, "--out", str(tmp_path / "logs"), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["rows"] == {
        "occupations": len(learned.taxonomy),
        "seekers": 1,
        "positions": 1,
        "jobs": 1,
    }
    assert not any(entry["problems"] for entry in check_folder(tmp_path / "logs").values())
    tables = read_tables(tmp_path / "logs", required=())
    first = learned.taxonomy.codes[learned.taxonomy.titles.index(title)]
    assert tables["positions"]["occupation"].to_pylist() == tables["jobs"]["occupation"].to_pylist() == [first]
    assert tables.taxonomy.scheme == learned.taxonomy.scheme
    assert code in tables.taxonomy.codes


def test_an_export_without_artefacts_says_what_is_missing(tmp_path: Path) -> None:
    where = ["--db", f"sqlite:///{tmp_path}/site.sqlite", "--artefacts", str(tmp_path), "--out", str(tmp_path / "logs")]
    assert isinstance(CliRunner().invoke(logs_app, ["export", *where]).exception, ArtefactError)
