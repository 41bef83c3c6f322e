"""Computed at once or event by event: the same bits; and what a seeker costs to keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ArtefactError, DataError, NotFoundError
from organic.activity.aggregators import AGGREGATORS, FitConfig, Weighted, fit_aggregator
from organic.activity.proxy import ProxyConfig
from organic.activity.sequences import ACTIONS, APPLY, DAY_US, WindowConfig, windows
from organic.activity.store import ActivityStore
from tests.organic.activity.small_activity import JOB_IDS, JOBS, log_of, random_log, unit_jobs

CONFIG = WindowConfig(length=8, window_days=10, minimum=4, stride=4)
START = datetime(1970, 1, 1, tzinfo=UTC)
LOG, UNIT = random_log(12, 200, 9, 30, 0), unit_jobs(9, 6, 1)


def told(store, log, order):
    for i in order:
        at = START + timedelta(microseconds=int(log.at[i]))
        store.update(log.seeker_ids[log.seeker[i]], log.job_ids[log.job[i]], ACTIONS[log.action[i]], at)


def same(left, right, ids):
    for seeker_id in ids:
        a, b = left.of(seeker_id), right.of(seeker_id)
        assert a.vector.tobytes() == b.vector.tobytes()
        assert (a.actions, a.fallback) == (b.actions, b.fallback)


@pytest.fixture(scope="module", params=AGGREGATORS)
def aggregator(request):
    config = FitConfig(proxy=ProxyConfig(epochs=1, batch=16))
    return fit_aggregator(request.param, windows(LOG, UNIT, CONFIG), LOG, config)


def test_events_one_by_one_give_the_bits_of_the_batch(aggregator):
    batch, live = (ActivityStore(aggregator, LOG.job_ids, UNIT, CONFIG) for _ in range(2))
    batch.build(LOG, 30 * DAY_US)
    told(live, LOG, np.argsort(LOG.at, kind="stable"))
    live.refresh(30 * DAY_US)
    same(batch, live, LOG.seeker_ids)
    assert any(batch.of(seeker_id).vector.any() for seeker_id in LOG.seeker_ids)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 30))
def test_late_and_repeated_events_and_a_batch_in_the_middle_change_nothing(shuffler, count, built_on):
    log = random_log(3, count, 9, 30, count)
    batch, live = (ActivityStore(Weighted(0.7), log.job_ids, UNIT, CONFIG) for _ in range(2))
    batch.build(log, 31 * DAY_US)
    live.build(log.until(built_on * DAY_US), built_on * DAY_US)
    order = [*range(len(log)), *range(len(log) // 2)]
    shuffler.shuffle(order)
    told(live, log, order)
    live.refresh(31 * DAY_US)
    same(batch, live, log.seeker_ids)


def test_right_after_an_event_the_vector_is_that_of_a_batch_at_that_moment():
    newest = {seeker: log_at for seeker, log_at in zip(LOG.seeker.tolist(), LOG.at.tolist(), strict=True)}
    live = ActivityStore(Weighted(), LOG.job_ids, UNIT, CONFIG)
    told(live, LOG, range(len(LOG)))
    for seeker, at in newest.items():
        batch = ActivityStore(Weighted(), LOG.job_ids, UNIT, CONFIG)
        batch.build(LOG, at)
        same(batch, live, [LOG.seeker_ids[seeker]])


def test_few_actions_raise_the_flag_and_time_empties_the_window():
    store = ActivityStore(Weighted(), JOB_IDS, JOBS, CONFIG)
    assert store.of("nobody").fallback
    assert not store.of("nobody").vector.any()
    for day in range(4):
        found = store.update("a", "cook", "apply", START + timedelta(days=day))
        assert found.fallback == (day < 3)
    assert found.vector[1] == 1
    store.refresh(round(12.5 * DAY_US))
    assert store.of("a").actions == 1
    assert store.of("a").fallback
    store.refresh(40 * DAY_US)
    assert not store.of("a").vector.any()


def test_storage_is_counted():
    store = ActivityStore(Weighted(), JOB_IDS, JOBS, CONFIG)
    store.build(log_of(*(("a", 0, APPLY, day) for day in range(12)), ("b", 1, APPLY, 1)), 12 * DAY_US)
    assert store.storage() == {
        "seekers": 2,
        "vector_bytes": 4 * 12,
        "event_bytes": 13 * (8 + 1) / 2,
        "fallback_share": 0.5,
    }


def test_a_store_comes_back_from_disk_and_goes_on(aggregator, tmp_path):
    store = ActivityStore(aggregator, LOG.job_ids, UNIT, CONFIG)
    store.build(LOG.until(20 * DAY_US), 20 * DAY_US)
    store.save(tmp_path / "store")
    again = ActivityStore.load(tmp_path / "store")
    same(store, again, LOG.seeker_ids)
    late = np.flatnonzero(LOG.at > 20 * DAY_US)
    for one in (store, again):
        told(one, LOG, late)
    same(store, again, LOG.seeker_ids)
    again.save(tmp_path / "again")
    store.save(tmp_path / "store")
    assert (tmp_path / "store" / "manifest.json").read_bytes() == (tmp_path / "again" / "manifest.json").read_bytes()


def test_an_empty_store_can_be_kept(tmp_path):
    ActivityStore(Weighted(), JOB_IDS, JOBS).save(tmp_path / "store")
    assert len(ActivityStore.load(tmp_path / "store")) == 0


def test_mistakes_are_named(tmp_path):
    store = ActivityStore(Weighted(), JOB_IDS, JOBS, CONFIG)
    with pytest.raises(NotFoundError, match="job 'astronaut' has no vector"):
        store.update("a", "astronaut", "apply", START)
    with pytest.raises(DataError, match="use one of apply, save, dismiss"):
        store.update("a", "cook", "like", START)
    with pytest.raises(DataError, match="no time zone"):
        store.update("a", "cook", "apply", datetime(1970, 1, 1))
    assert len(store) == 0
    with pytest.raises(DataError, match="other jobs"):
        store.build(LOG, 0)
    with pytest.raises(DataError, match="vectors"):
        ActivityStore(Weighted(), JOB_IDS, UNIT)
    with pytest.raises(ArtefactError, match="not an artefact"):
        ActivityStore.load(tmp_path)
