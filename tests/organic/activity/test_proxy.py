"""The proxy task: what is hidden, which random jobs are asked about, and that it can be learned."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from market.errors import ConfigError, DataError
from organic.activity.proxy import (
    HOUR_US,
    ProxyConfig,
    RandomJobs,
    answers,
    batches,
    random_questions,
    real_questions,
    together,
    train_proxy,
)
from organic.activity.sequences import APPLY, DAY_US, DISMISS, SAVE, WindowConfig, activity_log, windows
from tests.organic.activity.small_activity import JOBS, log_of, random_log, unit_jobs

CONFIG = WindowConfig(length=8, minimum=2, stride=4)


def test_the_newest_action_is_hidden_and_only_a_dismissal_is_negative():
    log = log_of(("a", 0, APPLY, 1), ("a", 1, SAVE, 2), ("b", 2, APPLY, 1), ("b", 3, DISMISS, 2))
    asked = real_questions(windows(log, JOBS, CONFIG))
    assert asked.job.tolist() == [1, 3]
    assert asked.liked.tolist() == [True, False]
    assert asked.before.count.tolist() == [1, 1]
    assert asked.before.job[:, 0].tolist() == [0, 2]
    assert (asked.before.at < asked.at[:, None])[:, 0].all()


def test_random_negatives_follow_liked_rows_only_and_weigh_less():
    log = random_log(20, 400, 40, 3, 0)
    rng = np.random.default_rng(0)
    asked = real_questions(windows(log, unit_jobs(40, 4, 0), CONFIG))
    config = ProxyConfig(random_negatives=2)
    found = random_questions(asked, RandomJobs(log), config, rng)
    assert len(found) == 2 * asked.liked.sum()
    assert not found.liked.any()
    assert (found.weight == 0.5).all()
    moved = np.abs(found.at - np.repeat(asked.at[asked.liked], 2))
    assert 0 < moved.max() <= HOUR_US


def test_a_random_question_knows_what_came_before_its_own_time_and_never_the_hidden_action():
    half_hour = 1 / 48
    log = log_of(("a", 0, APPLY, 1), ("a", 1, APPLY, 2 - half_hour), ("a", 2, APPLY, 2))
    asked = real_questions(windows(log, JOBS, CONFIG)).take(np.array([-1] * 200))
    found = random_questions(asked, RandomJobs(log), ProxyConfig(), np.random.default_rng(0))
    early = found.at <= round((2 - half_hour) * DAY_US)
    assert 0 < early.sum() < len(early)
    assert (found.before.count[early] == 1).all()
    assert (found.before.count[~early] == 2).all()


def test_random_jobs_are_those_of_the_day_each_as_likely_as_the_next():
    busy = [("s", job, APPLY, 0.5) for job in range(30)] + [("t", 0, APPLY, 0.1 + i / 100) for i in range(50)]
    quiet = [("s", 50, APPLY, 1.5)]
    seekers, job, action, day = zip(*(busy + quiet), strict=True)
    at = (np.array(day) * DAY_US).astype(np.int64)
    log = activity_log(seekers, [str(i) for i in range(60)], np.array(job), np.array(action), at)
    rng = np.random.default_rng(0)
    drawn = RandomJobs(log).draw(np.full(30_000, DAY_US // 2), rng)
    assert set(drawn) == set(range(30))
    assert np.bincount(drawn).std() / 1000 < 0.06, "job 0 has fifty times the actions and no more draws"
    on_the_quiet_day = RandomJobs(log).draw(np.full(2000, 3 * DAY_US // 2), rng)
    assert set(on_the_quiet_day) == {*range(30), 50}, "one job is too few to draw from: the whole log's instead"


def two_tastes(seed=0, seekers=300, dismissals=True):
    """Half like jobs of the first kind and dismiss the second, half the other way round."""
    rng = np.random.default_rng(seed)
    jobs = np.concatenate(
        [np.eye(8)[0] + 0.2 * rng.standard_normal((20, 8)), np.eye(8)[1] + 0.2 * rng.standard_normal((20, 8))]
    )
    who = np.repeat(np.arange(seekers), 8)
    job = rng.integers(0, 40, len(who))
    likes = (job < 20) == (who % 2 == 0)
    told = likes | dismissals
    who, job, action = who[told], job[told], np.where(likes, APPLY, DISMISS)[told]
    at = rng.integers(0, 10 * DAY_US, len(who))
    log = activity_log([f"s{i:03d}" for i in who], [str(i) for i in range(40)], job, action, at)
    return log, jobs.astype(np.float32)


@pytest.mark.parametrize("name", ["cnn", "lstm", "transformer"])
def test_a_taste_is_learned_from_what_was_applied_to_and_dismissed(name):
    log, jobs = two_tastes()
    config = ProxyConfig(epochs=15, batch=64, learning_rate=5e-3, random_negatives=0)
    net, head, metrics = train_proxy(name, windows(log, jobs, WindowConfig(stride=2)), log, config)
    unseen, _ = two_tastes(seed=1)
    asked = real_questions(windows(unseen, jobs, WindowConfig()))
    assert roc_auc_score(asked.liked, answers(net, head, asked)) > 0.9
    assert metrics["held_out_loss"] < np.log(2)


def test_without_dismissals_only_random_negatives_teach_anything():
    log, jobs = two_tastes(dismissals=False)
    rows = windows(log, jobs, WindowConfig(minimum=3, stride=1))
    asked = real_questions(rows)
    asked = together(asked, random_questions(asked, RandomJobs(log), ProxyConfig(), np.random.default_rng(3)))
    area = {}
    for negatives in (0, 1):
        config = ProxyConfig(epochs=15, batch=64, learning_rate=5e-3, random_negatives=negatives)
        net, head, _ = train_proxy("cnn", rows, log, config)
        area[negatives] = roc_auc_score(asked.liked, answers(net, head, asked))
    assert area[1] > 0.68, "half of the random jobs are of the liked kind: .75 is the most there is to have"
    assert area[1] > area[0] + 0.1


def test_a_batch_holds_rows_about_as_long_as_each_other_and_every_row_comes_once():
    count = np.random.default_rng(0).integers(1, 33, 1000)
    found = batches(count, 20, np.random.default_rng(1))
    assert sorted(np.concatenate(found).tolist()) == list(range(1000))
    assert max(map(len, found)) == 20
    assert np.mean([np.ptp(count[part]) for part in found]) < 4
    assert batches(count[:0], 20, np.random.default_rng(1)) == []


def test_too_few_seekers_to_hold_any_out_are_all_trained_on():
    log = log_of(*(("a", day % 4, APPLY, day) for day in range(8)))
    rows = windows(log, JOBS, WindowConfig(length=8, minimum=2, stride=2))
    _, _, metrics = train_proxy("attention", rows, log, ProxyConfig(epochs=1))
    assert metrics == {"rows": 4, "liked": 1.0}


def test_mistakes_are_named():
    with pytest.raises(DataError, match="0 rows to train on"):
        train_proxy("cnn", windows(log_of(), JOBS, CONFIG), log_of(), ProxyConfig())
    for wrong in ({"epochs": 0}, {"random_weight": -1.0}, {"validation_share": 1.0}, {"learning_rate": 0.0}):
        with pytest.raises(ConfigError):
            ProxyConfig(**wrong)
