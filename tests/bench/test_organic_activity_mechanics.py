"""The mechanics table on a small generated site: copies of a person stay together, and every aggregator is shown."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench.activity_task import Budget
from bench.organic_activity_mechanics import next_applications, run, show, site_of
from market.tables import Tables
from organic.activity.sequences import APPLY
from tests.sim.small_world import small_logs, small_world

pytestmark = pytest.mark.journey  # long for `make check`

QUICK = Budget(epochs=1, proxy_epochs=1, seeds=(0,), rates=(0.8,))


class Hashed:
    dimension = 6

    def encode(self, texts):
        numbers = [list(hashlib.sha256(text.encode()).digest()[:6]) for text in texts]
        found = np.array(numbers, np.float32).reshape(-1, 6) - 127
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def logs():
    return Tables(small_logs(), small_world().careers.taxonomy)


def test_all_copies_of_a_person_are_in_one_fold(logs):
    site = site_of(logs, Hashed().encode)
    folds_of_person = {name: set(site.fold[site.person == name].tolist()) for name in set(site.person.tolist())}
    assert max(map(len, folds_of_person.values())) == 1
    assert {fold for folds in folds_of_person.values() for fold in folds} == {0, 1, 2}


def test_the_next_application_is_not_among_what_is_known(logs):
    site = site_of(logs, Hashed().encode)
    asked = next_applications(site, 0)
    assert len(asked)
    assert (asked.before.count >= 4).all()
    for i in range(min(len(asked), 50)):
        mine = np.flatnonzero((site.log.seeker == asked.person[i]) & (site.log.action == APPLY))
        newest = asked.before.at[i, asked.before.count[i] - 1]
        later = mine[site.log.at[mine] >= newest]
        assert asked.target[i] in site.occupation[site.log.job[later]]


def test_every_aggregator_is_answered_and_shown(logs):
    found = run(None, QUICK, Hashed(), logs, kept=15)
    assert found["actions"]["apply"] > found["actions"]["save"]
    for row in found["aggregators"].values():
        assert 0 <= row["proxy"]["liked or random"] <= 1
        if "storage" in row:
            same, seekers = row["storage"]["same_bits"].split("/")
            assert same == seekers, "batch and live differ"
    assert found["aggregators"]["cnn"]["storage"]["vector_bytes"] == 256
    assert found["aggregators"]["mean"]["storage"]["vector_bytes"] == 768
    rows = show(found)
    assert len(rows) == 1 + len(found["aggregators"])
    assert len({len(row) for row in rows}) == 1
