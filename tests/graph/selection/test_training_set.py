"""The training set: what it is with everything off, and how weights and proxies meet."""

from __future__ import annotations

import numpy as np

from graph.hires import confirm
from graph.history import examples_from_hires
from graph.selection.exposure import ExposureConfig, exposure_weights
from graph.selection.proxy import ProxyConfig
from graph.selection.training_set import SelectionConfig, training_set
from graph.train import TrainConfig
from market.qualification import Qualification
from tests.graph.toy_logs import application, day, impression, job, logs, position

TABLES = logs(
    applications=[
        application("a", "acme-111", 20, "ann"),
        application("b", "zeta-211", 20, "bob"),
        application("open", "acme-211", 180, "ann"),
    ],
    positions=[
        position("zeta", "112", -90, "ann"),
        position("acme", "111", 40, "ann"),
        position("zeta", "211", 40, "bob"),
    ],
    jobs=[job("acme-111"), job("zeta-211"), job("acme-211")],
    impressions=[impression("1", "acme-111", 1, 0.2, "ann"), impression("2", "zeta-211", 1, 0.1, "bob")],
)
HIRES = confirm(TABLES, day(200))
WEIGHED, PROXIES = ExposureConfig("inverse"), ProxyConfig(0.5)


def made(**settings):
    return training_set(TABLES, HIRES, TrainConfig(), SelectionConfig(**settings), Qualification())


def test_with_everything_off_it_is_the_hires_and_nothing_else():
    found, (alone, seekers) = made(), examples_from_hires(TABLES, HIRES)
    assert found.weights is None
    assert found.seekers == seekers
    assert found.train == TrainConfig()
    for name in ("person", "start", "stop", "target", "year"):
        assert (getattr(found.examples, name) == getattr(alone, name)).all()


def test_weighted_hires_hold_nobody_out_because_the_fold_would_share_the_bias():
    found = made(exposure=WEIGHED)
    assert found.train == TrainConfig(validation_share=0.0)
    assert found.weights.tolist() == exposure_weights(TABLES, HIRES, WEIGHED).tolist()
    assert np.unique(found.weights).size == 2


def test_proxies_keep_the_usual_fold():
    found = made(proxy=PROXIES)
    assert found.train == TrainConfig()
    assert found.weights.tolist() == [1.0, 1.0, 0.5]


def test_weights_of_exposure_are_the_hires_and_a_proxy_keeps_its_own():
    both, exposure = made(exposure=WEIGHED, proxy=PROXIES), made(exposure=WEIGHED)
    assert both.weights.tolist() == [*exposure.weights.tolist(), 0.5]
    assert len(both.examples) == len(HIRES) + 1
