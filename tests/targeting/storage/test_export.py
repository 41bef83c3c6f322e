"""What the service has seen, as log tables that the rest of the house reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from graph.hires import confirm
from market.errors import ConfigError, ConflictError
from market.records import Job, SeekerProfile
from market.tables import check_folder, read_tables
from market.taxonomy import build_taxonomy
from targeting.canary import search_file
from targeting.profile_log import ProfileLog
from targeting.storage.erasure import Erasure
from targeting.storage.export import employer_of, export_logs
from targeting.storage.profile_store import ProfileStore
from targeting.storage.tombstones import Tombstones
from tests.targeting.storage.conftest import NOON, SECRET, Till

DAY = timedelta(days=1)
TAXONOMY = build_taxonomy(
    "small", [("29-1", "Nurse", "Health", "29"), ("31-1", "Carer", "Health", "31"), ("35-1", "Cook", "Food", "35")]
)
WHO = "canary-4711-person"


class FirstLetter:
    """Reads a title as the occupation that begins with the same letter; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def occupations(self, titles: Sequence[str]) -> list[int]:
        self.asked += titles
        return ["nc".index(title[0].lower()) if title[0].lower() in "nc" else 2 for title in titles]


def lived(till: Till) -> None:
    """Two people with profiles; one saw, clicked, applied and was hired."""
    till.store.put_jobs(
        [
            Job("j1", "acme", "Night nurse", "Acme GmbH", "Care", "31080", wage=50_000.0, posted_at=NOON - DAY),
            Job("j2", "beta", "Cook", "", "", "12420", occupation="35-1", expires_at=NOON + DAY),
        ]
    )
    log, store = ProfileLog(), ProfileStore(till.database, Tombstones(SECRET))
    log.note(SeekerProfile(WHO, ("Carer", "Cook"), geo="31080", education_years=12.0), NOON)
    log.note(SeekerProfile("s2", ("Cook",)), NOON, "35-1")
    store.flush(log)
    campaign = till.campaign()
    token = till.serve(campaign, 100, seeker=WHO)
    for kind in ("impression", "click", "apply_complete"):
        till.take(till.event(token, type=kind))  # type: ignore[arg-type]
    till.take(
        replace(till.event(None, type="dismiss", seeker="s2", job="j2"), reason="company", request_id="r1", position=3)
    )
    till.take(till.event(till.serve(campaign, 100), type="impression"))  # shown to nobody we know
    till.take(till.event(None, type="hire", at=NOON + 30 * DAY, seeker=WHO, job="j1"), now=NOON + 31 * DAY)


def test_an_export_has_no_problems_and_confirms_the_hire(till: Till, tmp_path: Path) -> None:
    lived(till)
    found = export_logs(till.database, tmp_path / "logs", TAXONOMY, FirstLetter())
    report = check_folder(tmp_path / "logs")
    assert {name: entry["problems"] for name, entry in report.items()} == {name: [] for name in report}
    assert found.rows == {name: entry["rows"] for name, entry in report.items()}
    assert found.rows == {
        "occupations": 3,
        "seekers": 2,
        "positions": 4,
        "jobs": 2,
        "impressions": 1,
        "clicks": 1,
        "applications": 1,
        "dismissals": 1,
    }
    assert found.left_out == 1
    tables = read_tables(tmp_path / "logs")
    [hire] = confirm(tables).hires.to_pylist()
    assert (hire["seeker_id"], hire["job_id"], hire["rule"]) == (WHO, "j1", "occupation")
    assert hire["started_at"] == NOON + 30 * DAY
    assert tables.taxonomy.scheme == "small"


def test_rows_say_what_was_stored(till: Till, tmp_path: Path) -> None:
    lived(till)
    export_logs(till.database, tmp_path / "logs", TAXONOMY, FirstLetter())
    tables = read_tables(tmp_path / "logs")
    nurse, cook = tables["jobs"].to_pylist()
    assert (nurse["employer_id"], nurse["occupation"], nurse["posted_at"]) == ("acme-gmbh", "29-1", NOON - DAY)
    assert (cook["employer_id"], cook["occupation"], cook["posted_at"]) == ("beta", "35-1", NOON)
    known = [(row["seeker_id"], row["geo"], row["education_years"]) for row in tables["seekers"].to_pylist()]
    assert known == [(WHO, "31080", 12.0), ("s2", "unknown", None)]
    held = [(row["seeker_id"], row["title"], row["employer_id"]) for row in tables["positions"].to_pylist()]
    assert held == [
        (WHO, "Cook", None),
        (WHO, "Carer", None),
        ("s2", "Cook", None),
        (WHO, "Night nurse", "acme-gmbh"),
    ]
    [shown], [clicked] = tables["impressions"].to_pylist(), tables["clicks"].to_pylist()
    assert shown["request_id"] == clicked["request_id"]
    assert shown["request_id"].startswith("sla_")
    assert (shown["position"], shown["promoted"]) == (1, True)
    [dismissed] = tables["dismissals"].to_pylist()
    assert (dismissed["reason"], dismissed["request_id"], dismissed["position"]) == ("company", "r1", 3)
    assert dismissed["promoted"] is False


def test_the_same_database_gives_the_same_bytes_and_small_portions_the_same_rows(till: Till, tmp_path: Path) -> None:
    lived(till)
    for name, portion in (("a", 5_000), ("b", 5_000), ("c", 1)):
        export_logs(till.database, tmp_path / name, TAXONOMY, FirstLetter(), portion)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    for name in read_tables(tmp_path / "a").tables:
        assert read_tables(tmp_path / "a")[name].equals(read_tables(tmp_path / "c")[name])


def test_the_next_export_replaces_this_one_without_whoever_was_erased(till: Till, tmp_path: Path) -> None:
    lived(till)
    logs = tmp_path / "logs"
    export_logs(till.database, logs, TAXONOMY, FirstLetter())
    assert any(search_file(path, WHO) for path in logs.iterdir())
    erase(till)
    found = export_logs(till.database, logs, TAXONOMY, FirstLetter())
    assert not any(search_file(path, WHO) for path in logs.iterdir())
    assert found.rows.keys() == {"occupations", "seekers", "positions", "jobs", "dismissals"}
    assert found.left_out == 4
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["logs"]


class Forgetful(FirstLetter):
    """Somebody is erased each time titles are read."""

    def __init__(self, till: Till) -> None:
        super().__init__()
        self._till = till

    def occupations(self, titles: Sequence[str]) -> list[int]:
        with self._till.database.writing() as session:
            Tombstones(SECRET).put(session, f"s{len(self.asked)}", NOON)
        return super().occupations(titles)


def test_an_export_that_people_are_erased_under_is_not_published(till: Till, tmp_path: Path) -> None:
    lived(till)
    with pytest.raises(ConflictError):
        export_logs(till.database, tmp_path / "logs", TAXONOMY, Forgetful(till))
    assert not (tmp_path / "logs").exists()


def test_a_directory_of_something_else_is_not_replaced(till: Till, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError):
        export_logs(till.database, tmp_path, TAXONOMY, FirstLetter())
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_empty_database_is_exported_without_tables_of_people(till: Till, tmp_path: Path) -> None:
    found = export_logs(till.database, tmp_path / "logs", TAXONOMY, FirstLetter())
    assert found.rows == {"occupations": 3, "jobs": 1}
    report = check_folder(tmp_path / "logs")
    assert all(entry["problems"] == [] for entry in report.values())


@pytest.mark.parametrize(
    ("company", "employer"),
    [("Acme GmbH", "acme-gmbh"), (" ACME  gmbh ", "acme-gmbh"), ("Müller & Söhne", "müller-söhne"), ("***", "acct")],
)
def test_employers_are_told_by_the_words_of_their_name(company: str, employer: str) -> None:
    assert employer_of(company, "acct") == employer


def erase(till: Till) -> None:
    erasure = Erasure(till.database, Tombstones(SECRET), os.urandom)
    operation = erasure.begin(WHO, NOON)
    assert erasure.run(operation.operation_id, NOON).state == "done"
