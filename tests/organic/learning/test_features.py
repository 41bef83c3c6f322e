"""What the towers read, followed by hand."""

import numpy as np
import pytest

from market.errors import ConfigError
from market.records import Job, SeekerProfile
from organic.learning.features import FeatureConfig, bucket_of, job_features, request_features
from organic.towers import Request
from tests.organic.small_market import WordEncoder, job

ENCODER = WordEncoder()
CODES = {"7": "Nurses", "8": "Cooks"}
NURSE = Job("n", "a", "Night nurse", "c", "On the ward", "berlin", "7", skills=("triage",))


def vector(text):
    return ENCODER.encode([text])[0]


def request(*titles, **more):
    return Request(SeekerProfile(titles=titles), **more)


def test_a_job_is_its_title_its_text_and_its_occupation():
    dense = job_features([NURSE], ENCODER, CODES).dense(np.array([0]))[0]
    assert dense == pytest.approx(
        np.concatenate([vector("Night nurse"), vector("On the ward. triage"), vector("Nurses"), [1, 1, 1]]), abs=1e-6
    )


def test_a_part_that_is_missing_is_zeros_and_says_so():
    features = request_features([request("Cooks")], ENCODER, CODES)
    dense = features.dense(np.array([0]))[0].reshape(-1)
    assert features.present.tolist() == [[0, 1, 0, 0, 0, 0]]
    assert dense[:128].tolist() == [0] * 128
    assert dense[128:256] == pytest.approx(vector("Cooks"), abs=1e-6)


def test_earlier_titles_fade():
    dense = request_features([request("A", "B", "C")], ENCODER, CODES).dense(np.array([0]))[0]
    assert dense[256:384] == pytest.approx((vector("B") + 0.6 * vector("C")) / 1.6, abs=1e-6)


def test_jobs_liked_and_dismissed_are_means_of_their_texts():
    plain = job("x", "Cook")
    dense = request_features([request(liked=(NURSE,), dismissed=(plain,))], ENCODER, CODES).dense(np.array([0]))[0]
    assert dense[512:640] == pytest.approx(0.7 * vector("Night nurse") + 0.3 * vector("On the ward. triage"), abs=1e-6)
    assert dense[640:768] == pytest.approx(vector("Cook"), abs=1e-6)


def test_a_title_that_names_an_occupation_shares_an_entity_with_the_jobs_of_it():
    config = FeatureConfig(buckets=1 << 20)
    asked = request_features([request("nurses")], ENCODER, CODES, config).entities
    offered = job_features([NURSE], ENCODER, CODES, config).entities
    assert set(asked.indices) & set(offered.indices) == {bucket_of("occupation=7", 1 << 20)}


def test_entities_of_a_row_have_length_one():
    rows = request_features([request("A", "B"), request()], ENCODER, CODES).entities
    assert np.asarray(rows.multiply(rows).sum(1)).ravel() == pytest.approx([1, 0])


def test_a_place_is_no_feature():
    here, there = (Request(SeekerProfile(titles=("A",), geo=geo)) for geo in ("berlin", "rome"))
    features = request_features([here, there], ENCODER, CODES)
    assert np.array_equal(*features.dense(np.array([0, 1])))
    assert np.array_equal(*features.entities.toarray())


def test_a_row_does_not_depend_on_the_others():
    requests = [request(*"ABC"[:n], liked=(NURSE,) * (n % 2)) for n in range(4)]
    together = request_features(requests, ENCODER, CODES)
    for number, each in enumerate(requests):
        alone = request_features([each], ENCODER, CODES)
        assert np.array_equal(alone.dense(np.array([0]))[0], together.dense(np.array([number]))[0])


def test_bags_are_the_rows_of_the_entities():
    features = job_features([NURSE, job("x", "Cook"), NURSE], ENCODER, CODES, FeatureConfig(buckets=50))
    buckets, begins, weights = features.bags(np.array([1, 0]))
    first = dict(zip(buckets[: begins[1]].tolist(), weights[: begins[1]].tolist(), strict=True))
    assert first == {bucket_of("title=cook", 50): pytest.approx(1)}
    assert len(buckets) == len(weights) == begins[1] + 3


def test_equal_texts_are_encoded_once():
    encoder = WordEncoder()
    job_features([NURSE] * 5, encoder, CODES)
    assert len(encoder.encoded) == 3


def test_nobody_asks():
    assert request_features([], ENCODER, CODES).dense(np.zeros(0, np.int64)).shape == (0, 6 * 129)


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="buckets"):
        FeatureConfig(buckets=0)
