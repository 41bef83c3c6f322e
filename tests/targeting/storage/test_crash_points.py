"""A process that dies between two steps of the money path: what it held ends, what it billed is billed once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from targeting.storage.books import audit
from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROOT = Path(__file__).parents[3]

STEPS = (
    "1 about to commit the reserve",
    "2 reserved, not served",
    "3 served, about to commit the posting",
    "4 posted, not acknowledged",
    "5 about to commit the release",
)

# For each line it reads it forks a child that does as it is told and dies at the step named, by SIGKILL.
CHILDREN = """
import json, os, signal, sys
from datetime import datetime
from sqlalchemy import event
from targeting.engine import SlateItem
from targeting.ledger import free_micros, postable, reservation
from targeting.storage.database import Database
from targeting.storage.ingestion import Event, Ingestion
from targeting.storage.journal import Journal, Served
from targeting.tokens import Token, sign
from tests.targeting.storage.conftest import NOON, PATIENT, SECRET

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def child(path, step, offer, release_at):
    database = Database("sqlite:///" + path, 60)
    journal, ingestion = Journal(database, PATIENT), Ingestion(database, SECRET, PATIENT)
    token = sign(Token(**offer), SECRET)
    item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", token, offer["campaign_id"], Token(**offer))
    if step == 1:
        event.listen(database.engine, "commit", die)
    journal.reserve(Served("sla_" + offer["nonce"], None, (item,)), NOON)
    if step == 2:
        die()
    if step == 5:
        event.listen(database.engine, "commit", die)
        journal.release(datetime.fromisoformat(release_at))
    if step == 3:
        event.listen(database.engine, "commit", die)
    ingestion.take([Event("e" + offer["nonce"], "click", NOON, token)], NOON)
    die()

reservation(0.1, 1, 2.0), free_micros(1, 1, 0, 0, 0, 0), postable(1, 1, 1, 0, 0)  # compiled once, not in every child
for line in sys.stdin:
    asked = json.loads(line)
    pid = os.fork()
    if pid == 0:
        child(*asked)
    _, status = os.waitpid(pid, 0)
    print(os.WTERMSIG(status), flush=True)
"""


class Children:
    """Processes on the ledger of `till`, each dead before `run` returns."""

    def __init__(self, till: Till) -> None:
        self._path = str(till.database.path)
        command = [sys.executable, "-c", CHILDREN]
        pipe = subprocess.PIPE
        self._parent = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def run(self, step: int, offer: dict[str, Any]) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        release_at = (NOON + 40 * MINUTE).isoformat()
        self._parent.stdin.write(json.dumps([self._path, step, offer, release_at]) + "\n")
        assert self._parent.stdout.readline() == "9\n"

    def close(self) -> None:
        self._parent.communicate()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Till]:
    """On SQLite, whatever other databases there are: the death of a client of a server is the server's to notice."""
    made = Till(tmp_path / "till.sqlite")
    yield made
    made.check()
    made.database.close()


def crash_and_recover(till: Till, crashes: int, seed: int) -> Counter[int]:
    rng, children, steps = random.Random(seed), Children(till), Counter[int]()
    campaign = till.campaign(total=10**9)
    clicks = []
    for _ in range(crashes):
        step = rng.randrange(1, len(STEPS) + 1)
        offer = till.offer(campaign, 100, p_click=0.3)
        children.run(step, vars(offer))
        steps[step] += 1
        if step == 4:
            clicks.append(offer)
        assert audit(till.database).faults == ()
    children.close()
    held = 60 * (steps[2] + steps[3] + steps[5])
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.reserved, totals.posted) == (held, 100 * len(clicks))
    while till.journal.release(NOON + 40 * MINUTE):
        pass
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.reserved, totals.posted, totals.unbilled) == (0, 100 * len(clicks), 0)
    return steps


def test_nothing_stays_held_and_nothing_is_billed_twice_wherever_the_process_dies(disk: Till) -> None:
    assert sum(crash_and_recover(disk, 20, seed=1).values()) == 20


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_thousand_deaths_between_steps_leave_nothing_held(disk: Till) -> None:
    print(sorted(crash_and_recover(disk, 1_000, seed=2).items()))
