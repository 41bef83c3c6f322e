"""Aggregators against their formulas, one contract for all of them, and the registry that holds them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from market.errors import ArtefactError, ConfigError
from organic.activity.aggregators import AGGREGATORS, FitConfig, Weighted, fit_aggregator, restored
from organic.activity.network import NETWORKS, encode, inputs
from organic.activity.proxy import ProxyConfig
from organic.activity.sequences import APPLY, DAY_US, DISMISS, PAD, SAVE, Sequences, WindowConfig, latest, windows
from tests.organic.activity.small_activity import JOBS, log_of, random_log, unit_jobs

NURSE, COOK, WELDER, BAKER = range(4)
LOG = random_log(30, 500, 12, 30, 0)
UNIT = unit_jobs(12, 8, 1)
QUICK = FitConfig(proxy=ProxyConfig(epochs=1, batch=16))
CONFIG = WindowConfig(length=16, stride=8)


@pytest.fixture(scope="module", params=AGGREGATORS)
def fitted(request):
    return fit_aggregator(request.param, windows(LOG, UNIT, CONFIG), LOG, QUICK)


@pytest.fixture(scope="module")
def rows():
    return latest(LOG, UNIT, 30 * DAY_US, CONFIG)


def test_mean_and_decay_by_hand():
    log = log_of(("a", NURSE, APPLY, 1), ("a", COOK, SAVE, 2), ("a", COOK, APPLY, 3), ("a", WELDER, APPLY, 4))
    row = latest(log, JOBS, 5 * DAY_US, WindowConfig(length=8))
    third = 1 / 3
    expected = [[third, third, third, 0, 0, 1, 0, 0, 0, 0, 0, 0]]  # applications, saves, dismissals
    np.testing.assert_allclose(Weighted().vectors(row), expected, rtol=1e-6)
    # r = 1/2, n = 3: (1 - r) / (1 - r^3) = 4/7, times 1/4, 1/2, 1
    expected = [[1 / 7, 2 / 7, 4 / 7, 0, 0, 1, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(Weighted(0.5).vectors(row), expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.95])
def test_decay_is_the_formula_of_the_source(rows, rate):
    found = Weighted(rate).vectors(rows)
    for row in range(len(rows)):
        for action in range(3):
            e = UNIT[rows.job[row][rows.action[row] == action]].astype(float)
            n = len(e)
            expected = np.zeros(8)
            if n:
                weight = (1 - rate) / (1 - rate**n) * rate ** np.arange(n - 1, -1, -1)
                assert weight.sum() == pytest.approx(1)
                expected = weight @ e
            np.testing.assert_allclose(found[row, action * 8 : action * 8 + 8], expected, atol=1e-6)


def test_decay_near_one_is_the_mean(rows):
    np.testing.assert_allclose(Weighted(1 - 1e-9).vectors(rows), Weighted().vectors(rows), atol=1e-6)


def test_batch_equals_one_by_one_to_the_last_bit(fitted, rows):
    crowd = fitted.vectors(rows)
    assert crowd.shape == (len(rows), fitted.width(8))
    for row in range(len(rows)):
        assert np.array_equal(fitted.vectors(rows.take([row]))[0], crowd[row])
    backwards = np.arange(len(rows))[::-1]
    assert np.array_equal(fitted.vectors(rows.take(backwards)), crowd[backwards])


def test_what_is_padded_is_never_read(fitted, rows):
    held = np.arange(rows.length) < rows.count[:, None]
    rubbish = Sequences(rows.owner, np.where(held, rows.job, 3), rows.action, rows.at, rows.count, rows.jobs)
    assert np.array_equal(fitted.vectors(rubbish), fitted.vectors(rows))


def test_an_empty_row_has_a_vector_of_zeros(fitted, rows):
    empty = rows.before(np.zeros(len(rows), np.int64))
    assert (empty.action == PAD).all()
    assert not fitted.vectors(empty).any()


def test_a_fitted_aggregator_comes_back_from_its_state(fitted, rows):
    again = restored(fitted.name, *fitted.state(), 8)
    assert np.array_equal(again.vectors(rows), fitted.vectors(rows))


def test_the_same_seed_gives_the_same_bytes(fitted, rows):
    again = fit_aggregator(fitted.name, windows(LOG, UNIT, CONFIG), LOG, QUICK)
    assert np.array_equal(again.vectors(rows), fitted.vectors(rows))


def test_learned_vectors_take_a_third_of_the_storage(fitted):
    assert fitted.width(64) == (64 if fitted.name in NETWORKS else 192)


@pytest.mark.parametrize("name", NETWORKS)
def test_large_passes_and_longer_padding_agree_to_rounding(name, rows):
    torch.manual_seed(0)
    net = NETWORKS[name](8, CONFIG.length).eval()
    alone = encode(net, rows, 1)
    np.testing.assert_allclose(encode(net, rows, 64), alone, atol=2e-6)
    x, held = inputs(rows)
    more = torch.zeros(len(rows), CONFIG.length, x.shape[2])
    more[:, : x.shape[1]] = x
    wide = torch.zeros(len(rows), CONFIG.length, dtype=torch.bool)
    wide[:, : x.shape[1]] = held
    with torch.no_grad():
        np.testing.assert_allclose(net(more, wide).numpy(), alone, atol=2e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_know_an_application_from_a_dismissal(name):
    torch.manual_seed(0)
    net = NETWORKS[name](4, 8).eval()
    with torch.no_grad():
        for parameter in net.parameters():  # some start at zero
            parameter += 0.1 * torch.randn_like(parameter)
    liked, disliked = (log_of(*(("a", job, action, job) for job in range(4))) for action in (APPLY, DISMISS))
    first, second = (encode(net, latest(log, JOBS, 9 * DAY_US, WindowConfig(length=8)), 1) for log in (liked, disliked))
    assert np.abs(first - second).max() > 1e-3


def test_attention_starts_as_the_mean_and_can_become_decay():
    log = log_of(*(("a", job, APPLY, job) for job in range(4)))
    row = latest(log, JOBS, 9 * DAY_US, WindowConfig(length=8))
    net = NETWORKS["attention"](4, 8).eval()
    np.testing.assert_allclose(encode(net, row, 1), Weighted().vectors(row)[:, :4], atol=1e-6)
    with torch.no_grad():
        net.position.copy_(torch.arange(8) * np.log(0.5))
    np.testing.assert_allclose(encode(net, row, 1), Weighted(0.5).vectors(row)[:, :4], atol=1e-6)


def test_mistakes_are_named(rows):
    with pytest.raises(ConfigError, match="no aggregator is called 'median'; choose from mean, decay"):
        fit_aggregator("median", rows, LOG)
    with pytest.raises(ConfigError, match="rate is 0"):
        Weighted(0)
    with pytest.raises(ArtefactError, match="do not fit cnn"):
        restored("cnn", {"length": 16}, {}, 8)
