"""Two processes of eight threads each on one campaign whose cap is a hundred prices: a hundred are billed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.targeting.storage.conftest import Till

ROOT = Path(__file__).parents[3]
PRICE, CAP = 100, 10_000

# For each line [campaign id, tokens, seed] eight threads start together. Without tokens each serves and clicks until
# nothing is served any more; with tokens each clicks all of them, in batches of seven and an order of its own.
RACER = """
import json, random, sys, threading
from tests.targeting.storage.conftest import Till

till = Till(sys.argv[1], first_id=int(sys.argv[2]))

def serve_and_click(campaign, answers):
    while (token := till.serve(campaign, 100, p_click=1.0)) is not None:
        answers += till.take(till.event(token))

def click(tokens, order, answers):
    mine = [till.event(token, event_id="c" + token[-20:]) for token in order.sample(tokens, len(tokens))]
    for at in range(0, len(mine), 7):
        answers += till.take(*mine[at : at + 7])

def racing(start, failures, work, *given):
    start.wait()
    try:
        work(*given)
    except BaseException as failure:
        failures.append(repr(failure))

print("ready", flush=True)
for line in sys.stdin:
    campaign_id, tokens, seed = json.loads(line)
    campaign, answers, failures, start = till.store.campaign(campaign_id, None), [], [], threading.Barrier(8)
    threads = []
    for number in range(8):
        work = (click, tokens, random.Random(seed + number)) if tokens else (serve_and_click, campaign)
        threads.append(threading.Thread(target=racing, args=(start, failures, *work, answers)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [[each.status, each.billed.amount_micros if each.billed else None] for each in answers]
    print(json.dumps([said, failures]), flush=True)
"""


@pytest.fixture
def racers(till: Till) -> Iterator[list[subprocess.Popen[str]]]:
    made = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, till.database.url, str(first)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for first in (1_000_000, 2_000_000)
    ]
    for each in made:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    yield made
    for each in made:
        each.communicate()


class Watch:
    """Looks at the balance of a campaign all the time."""

    def __init__(self, till: Till, campaign_id: str) -> None:
        self._till, self._campaign_id, self.looks, self.most = till, campaign_id, 0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        query = text("SELECT posted_micros + reserved_micros FROM balances WHERE campaign_id = :id")
        while not self._over.wait(0.002):
            with self._till.database.reading() as session:
                self.most = max(self.most, session.execute(query, {"id": self._campaign_id}).scalar_one())
            self.looks += 1


def race(till: Till, racers: list[subprocess.Popen[str]], tokens: int, seed: int) -> None:
    campaign = till.campaign(total=CAP)
    served = [till.serve(campaign, PRICE) for _ in range(tokens)]  # reserves a micro each
    line = json.dumps([campaign.campaign_id, served, seed]) + "\n"
    watch = Watch(till, campaign.campaign_id) if not tokens else None
    for each in racers:
        assert each.stdin is not None
        each.stdin.write(line)
        each.stdin.flush()
    said: list[Any] = []
    for each in racers:
        assert each.stdout is not None
        answers, failures = json.loads(each.stdout.readline())
        assert failures == []
        said += answers
    accepted = [billed for status, billed in said if status == "accepted"]
    assert sorted(accepted) == [0] * (tokens - 100 if tokens else 0) + [PRICE] * 100
    assert {status for status, _ in said} <= {"accepted", "duplicate"}
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.posted, totals.reserved) == (CAP, 0)
    if watch is not None:
        watch.stop()
        assert watch.looks > 0
        assert watch.most <= CAP


def test_whoever_serves_and_clicks_at_once_a_hundred_are_billed(
    till: Till, racers: list[subprocess.Popen[str]]
) -> None:
    race(till, racers, tokens=0, seed=0)
    race(till, racers, tokens=110, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_hundred_races_bill_a_hundred_each(till: Till, racers: list[subprocess.Popen[str]]) -> None:
    rng = random.Random(7)
    for number in range(100):
        race(till, racers, tokens=rng.choice([0, 0, 101, 150]), seed=1_000 * number)
        till.check()
