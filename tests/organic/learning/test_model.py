"""Learned towers: they learn, serve what was trained, alone as in a crowd, and come back from disk the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from market.errors import ArtefactError, DataError
from market.records import SeekerProfile
from organic.learning.engagement import read_engagement
from organic.learning.features import FeatureConfig, job_features, request_features
from organic.learning.fit import FitConfig, fit_towers, known_pairs, untrained, weights_of
from organic.learning.model import LearnedTowers
from organic.learning.network import NetworkConfig
from organic.learning.schedule import Stage
from organic.towers import Request
from tests.organic.learning.small_logs import logs
from tests.organic.small_market import WordEncoder

ENCODER = WordEncoder()
SMALL = FitConfig(
    FeatureConfig(buckets=64),
    NetworkConfig(hidden=8, dimension=16),
    schedule=(Stage(40, 4, 4, 1e-2), Stage(5, 4, 4, 1e-3, 2)),
)
ENGAGEMENT = read_engagement(logs())
REQUESTS = [
    Request(SeekerProfile(titles=("Nurses",))),
    Request(SeekerProfile(titles=("Cooks", "Nurses"), skills=("knives",)), query="night shifts"),
    Request(SeekerProfile(), liked=ENGAGEMENT.inventory.jobs[:2]),
]


@pytest.fixture(scope="module")
def towers():
    return fit_towers(ENGAGEMENT, ENCODER, SMALL, seed=3)[0]


def test_cooks_who_became_waiters_are_offered_waiting(towers):
    asked = towers.request_vectors([Request(SeekerProfile(titles=("Cooks",)))])
    scores = (towers.job_vectors(ENGAGEMENT.inventory.jobs) @ asked.T)[:, 0]
    best = ENGAGEMENT.inventory.jobs[int(scores.argmax())]
    assert best.occupation == "3"


def test_serving_computes_what_was_trained():
    occupations = ENGAGEMENT.inventory.occupations
    asked = request_features(ENGAGEMENT.requests, ENCODER, occupations, SMALL.features)
    offered = job_features(ENGAGEMENT.inventory.jobs, ENCODER, occupations, SMALL.features)
    network = untrained(asked, offered, SMALL, seed=1)
    torch.nn.init.normal_(network.item.outer.weight)
    with torch.no_grad():
        slow = network.item_vectors(torch.arange(len(offered))).numpy()
    assert weights_of(network.item).vectors(offered) == pytest.approx(slow, abs=1e-5)


def test_before_training_the_towers_are_those_of_the_text():
    offered = job_features(ENGAGEMENT.inventory.jobs, ENCODER, {}, SMALL.features)
    asked = request_features([Request(SeekerProfile(titles=("Head waiter",)))], ENCODER, {}, SMALL.features)
    network = untrained(asked, offered, replace(SMALL, network=NetworkConfig(dimension=128)), seed=0)
    with torch.no_grad():
        scores = network.item_vectors(torch.arange(len(offered))) @ network.request_vectors(torch.tensor([0])).T
    assert ENGAGEMENT.inventory.jobs[int(scores.argmax())].title == "Head waiter"


def test_a_batch_equals_its_members_one_by_one(towers):
    many = REQUESTS * 11
    together = towers.request_vectors(many)
    assert all(np.array_equal(towers.request_vectors([one])[0], row) for one, row in zip(many, together, strict=True))
    jobs = ENGAGEMENT.inventory.jobs
    assert all(
        np.array_equal(towers.job_vectors([one])[0], row)
        for one, row in zip(jobs, towers.job_vectors(jobs), strict=True)
    )


def test_vectors_have_length_one_and_a_request_that_says_nothing_is_zeros(towers):
    lengths = np.linalg.norm(towers.request_vectors([*REQUESTS, Request(SeekerProfile())]), axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0], abs=1e-6)
    assert np.linalg.norm(towers.job_vectors(ENGAGEMENT.inventory.jobs), axis=1) == pytest.approx(1, abs=1e-6)


def test_no_requests_and_no_jobs_are_no_rows(towers):
    assert towers.request_vectors([]).shape == towers.job_vectors([]).shape == (0, 16)


def test_the_same_seed_gives_the_same_towers(towers):
    again = fit_towers(ENGAGEMENT, ENCODER, SMALL, seed=3)[0]
    other = fit_towers(ENGAGEMENT, ENCODER, SMALL, seed=4)[0]
    assert np.array_equal(again.request_vectors(REQUESTS), towers.request_vectors(REQUESTS))
    assert not np.array_equal(other.request_vectors(REQUESTS), towers.request_vectors(REQUESTS))


def test_saved_and_loaded_towers_are_the_same(towers, tmp_path):
    towers.save(tmp_path / "model", config={"trained_until": 5}, seed=3, metrics={"loss": [1.0]})
    loaded, manifest = LearnedTowers.load(tmp_path / "model", ENCODER)
    assert np.array_equal(loaded.request_vectors(REQUESTS), towers.request_vectors(REQUESTS))
    assert np.array_equal(loaded.job_vectors(ENGAGEMENT.inventory.jobs), towers.job_vectors(ENGAGEMENT.inventory.jobs))
    assert (manifest.seed, manifest.config["trained_until"]) == (3, 5)


def test_another_encoder_is_refused(towers, tmp_path):
    class Louder(WordEncoder):
        def encode(self, texts):
            return super().encode([f"{text} indeed" for text in texts])

    class Smaller(WordEncoder):
        dimension = 64

    towers.save(tmp_path / "model")
    with pytest.raises(ArtefactError, match="another text encoder"):
        LearnedTowers.load(tmp_path / "model", Louder())
    with pytest.raises(ArtefactError, match="128 dimensions, this one has 64"):
        LearnedTowers.load(tmp_path / "model", Smaller())
    with pytest.raises(ArtefactError, match="another request text encoder"):
        LearnedTowers.load(tmp_path / "model", ENCODER, Louder())


def test_every_job_a_seeker_took_is_known_for_each_of_their_requests():
    known = known_pairs(ENGAGEMENT)
    ann = [row for row, seeker in enumerate(ENGAGEMENT.seekers) if seeker == "ann"]
    taken = known.excluded(np.array(ann), np.arange(len(ENGAGEMENT.inventory)))
    assert [ENGAGEMENT.inventory.jobs[item].job_id for item in np.flatnonzero(taken[0])] == ["n1", "n2"]
    assert np.array_equal(*taken)


def test_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match="no positive pair"):
        fit_towers(ENGAGEMENT.within(0, 0), ENCODER, SMALL)
