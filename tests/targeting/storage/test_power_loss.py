"""When the power goes: whatever was acknowledged is on the disk, the file is sound, and the books agree."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from targeting.storage.database import Database
from tests.targeting.storage.conftest import Till, assert_books_agree
from tests.targeting.storage.power_loss import Step, crashes, record

ROOT = Path(__file__).parents[3]
ROUNDS = 60
pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

# Serves, takes events and gives money back through the ledger of the product, and says what is durable by now.
CHILD = """
import json, os, sys
from datetime import timedelta
from pathlib import Path
from sqlalchemy import event
from tests.targeting.storage.conftest import NOON, Till

path, synchronous, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
till = Till(path)
if synchronous != "FULL":
    event.listen(till.database.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA synchronous={synchronous}"))
    till.database.engine.dispose()
campaigns = [till.campaign(total=100 * rounds), till.campaign(total=50 * rounds, daily=30 * rounds)]
for number in range(rounds):
    tokens = [till.serve(each, 90 + number, seeker=f"s{number % 7}", p_click=0.01) for each in campaigns]
    events = [till.event(token, type=kind) for token in tokens if token for kind in ("impression", "click")]
    outcomes = till.take(*events)
    said = [[each.event_id, each.status, each.billed and each.billed.amount_micros] for each in outcomes]
    os.write(1, json.dumps(said).encode())
    if number % 20 == 10:
        till.database.checkpoint()
till.database.close()
"""


@dataclass(frozen=True)
class Found:
    """Crash points, those that lost an acknowledged event, those with a damaged or contradicting database."""

    points: int
    losing: int
    broken: int
    worst: int
    acknowledged: int


def recorded(folder: Path, synchronous: str) -> tuple[dict[str, bytes], list[Step]]:
    """The files before, and what a process did that took events until it was done."""
    folder.mkdir()
    path = folder / "till.sqlite"
    Till(path).database.close()
    before = {"till.sqlite": path.read_bytes()}
    command = [sys.executable, "-c", CHILD, str(path), synchronous, str(ROUNDS)]
    return before, record(command, folder, folder.with_suffix(".trace"), ROOT)


def replayed(before: dict[str, bytes], steps: list[Step], points: int, scratch: Path, seed: int = 7) -> Found:
    losing = broken = worst = 0
    for said, files in crashes(before, steps, points, seed):
        scratch.mkdir()
        for name, content in files.items():
            (scratch / name).write_bytes(content)
        lost = missing(scratch / "till.sqlite", said)
        broken += lost is None
        losing += bool(lost)
        worst = max(worst, lost or 0)
        shutil.rmtree(scratch)
    return Found(points, losing, broken, worst, sum(len(json.loads(line)) for line in all_said(steps)))


def all_said(steps: list[Step]) -> list[bytes]:
    return [step.data for step in steps if step.does == "say"]


def missing(path: Path, said: list[bytes]) -> int | None:
    """How many acknowledged events are not there as acknowledged; None when the database is damaged."""
    database = Database(f"sqlite:///{path}")
    try:
        assert_books_agree(database)
        with database.reading() as session:
            query = text("SELECT event_id, billed_micros FROM events")
            stored = {event_id: billed for event_id, billed in session.execute(query)}
    except (AssertionError, DatabaseError):
        return None
    finally:
        database.close()
    heard = [each for line in said for each in json.loads(line)]
    assert all(status == "accepted" for _, status, _ in heard)
    return sum(name not in stored or stored[name] != billed for name, _, billed in heard)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[Step]]:
    return recorded(tmp_path_factory.mktemp("power") / "full", "FULL")


def test_no_power_loss_takes_an_acknowledged_event(full: tuple[dict[str, bytes], list[Step]], tmp_path: Path) -> None:
    found = replayed(*full, points=40, scratch=tmp_path / "found")
    assert (found.losing, found.broken) == (0, 0)
    assert found.acknowledged > 2 * ROUNDS


def test_the_same_replay_finds_the_losses_of_a_database_that_does_not_sync(tmp_path: Path) -> None:
    found = replayed(*recorded(tmp_path / "normal", "NORMAL"), points=40, scratch=tmp_path / "found")
    print(found)
    assert found.losing > 20


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_thousand_power_losses_take_no_acknowledged_event(
    full: tuple[dict[str, bytes], list[Step]], tmp_path: Path
) -> None:
    found = replayed(*full, points=1_000, scratch=tmp_path / "found", seed=11)
    print(found)
    assert (found.losing, found.broken) == (0, 0)
