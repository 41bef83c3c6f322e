"""A site's life through the service and out again as logs: hires are confirmed, and models fitted on what came out."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pytest

from graph.hires import confirm
from graph.train import TrainConfig
from market.records import Job, SeekerProfile
from market.tables import Tables, check_folder, read_tables
from targeting.learned import LearnedConfig, fit_learned
from targeting.migrations import upgrade
from targeting.profile_log import ProfileLog
from targeting.profiles import ProfileReader
from targeting.storage.database import Database
from targeting.storage.export import EVENT_TABLES, export_logs
from targeting.storage.ingestion import Event, Ingestion
from targeting.storage.profile_store import ProfileStore
from targeting.storage.store import Store
from targeting.storage.tombstones import Tombstones
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_logs, small_world

pytestmark = pytest.mark.journey
SECRET = b"a secret of thirty-two bytes ...."


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of the small world, told to the service as it would have heard of them, and exported."""
    folder = tmp_path_factory.mktemp("service")
    database = Database(f"sqlite:///{folder}/site.sqlite")
    upgrade(database)
    taxonomy = small_world().careers.taxonomy
    Store(database).put_jobs(jobs())
    log, store = ProfileLog(), ProfileStore(database, Tombstones(SECRET))
    events = heard()
    first = {event.seeker_id: event.occurred_at for event in reversed(events)}
    held = small_logs()["positions"].to_pandas().sort_values("started_at", ascending=False)
    for seeker_id, positions in held.groupby("seeker_id"):
        if seeker_id in first:
            before = positions[positions.started_at < first[seeker_id]]
            log.note(SeekerProfile(str(seeker_id), tuple(before.title), geo="m00"), first[seeker_id])
    store.flush(log)
    ingestion = Ingestion(database, SECRET)
    for _, month in groupby(events, key=lambda event: (event.occurred_at.year, event.occurred_at.month)):
        batch = list(month)
        outcomes = ingestion.take(batch, batch[-1].occurred_at + timedelta(minutes=1))
        assert {each.status for each in outcomes} <= {"accepted", "duplicate"}  # these logs repeat themselves
    export_logs(database, folder / "logs", taxonomy, ProfileReader(taxonomy, WordEncoder()), portion=1_000)
    database.close()
    return folder / "logs"


def jobs() -> list[Job]:
    names = ("job_id", "account_id", "title", "geo", "occupation", "wage", "posted_at", "expires_at", "remote")
    rows = small_logs()["jobs"].to_pylist()
    return [
        Job(company=row["employer_id"], description=row["description"] or "", **{name: row[name] for name in names})
        for row in rows
    ]


def heard() -> list[Event]:
    """Events in the order they happened, hires reported on the day the position began."""
    events = []
    for table, kind in EVENT_TABLES.items():
        for row in small_logs()[table].to_pylist():
            said = {name: row.get(name) for name in ("seeker_id", "job_id", "request_id", "position", "reason")}
            events.append(Event(row["event_id"], kind, row["occurred_at"], **said))  # type: ignore[arg-type]
    for number, row in enumerate(known_hires()):
        hired = row["seeker_id"], row["job_id"]
        events.append(Event(f"hire-{number}", "hire", row["started_at"], None, *hired))
    return sorted(events, key=lambda event: (event.occurred_at, event.event_id))


def known_hires() -> list[dict[str, object]]:
    return list(confirm(Tables(small_logs(), small_world().careers.taxonomy)).hires.to_pylist())


def test_what_comes_out_has_no_problems_and_every_event_once(lived: Path) -> None:
    report = check_folder(lived)
    assert not any(entry["problems"] for entry in report.values())
    before = small_logs()
    assert {table: report[table]["rows"] for table in EVENT_TABLES} == {
        table: len(set(before[table]["event_id"].to_pylist())) for table in EVENT_TABLES
    }


def test_the_hires_that_were_reported_are_confirmed(lived: Path) -> None:
    names = "seeker_id", "employer_id", "started_at"
    reported = {tuple(row[name] for name in names) for row in known_hires()}
    confirmed = {tuple(row[name] for name in names) for row in confirm(read_tables(lived)).hires.to_pylist()}
    assert confirmed == reported


def test_links_and_hire_model_are_learned_from_it(lived: Path) -> None:
    learned, hires = fit_learned(read_tables(lived), LearnedConfig(train=TrainConfig(epochs=1)))
    assert len(hires) == len(known_hires())
    assert len(learned.links) > 0
