"""The untrained towers, by arithmetic, and once with the real encoder."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import ConfigError
from market.text import TextEncoder
from organic.towers import Request, TextTowers, TextWeights
from tests.organic.small_market import WordEncoder, job, seeker


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_job_is_seven_parts_title_and_three_parts_description(encoder):
    vectors = TextTowers(encoder).job_vectors([job("a", "Nurse", description="Night shifts", skills=("triage",))])
    title, described = encoder.encode(["Nurse", "Night shifts. triage"])
    np.testing.assert_allclose(vectors[0], unit(0.7 * title + 0.3 * described), atol=1e-6)


def test_a_job_with_a_title_alone_is_its_title(encoder):
    vectors = TextTowers(encoder).job_vectors([job("a", "Nurse")])
    np.testing.assert_allclose(vectors[0], encoder.encode(["Nurse"])[0], atol=1e-6)


def test_an_older_title_counts_six_tenths_of_the_next(encoder):
    vectors = TextTowers(encoder).request_vectors([Request(seeker("Nurse", "Cook"))])
    nurse, cook = encoder.encode(["Nurse", "Cook"])
    np.testing.assert_allclose(vectors[0], unit(nurse + 0.6 * cook), atol=1e-6)


def test_a_request_weighs_query_titles_skills_and_activity(encoder):
    request = Request(
        seeker("Nurse", skills=("triage", "Excel")),
        "night work",
        liked=(job("a", "Cook"), job("b", "Welder")),
        dismissed=(job("c", "Pilot"),),
    )
    query, nurse, skills, cook, welder, pilot = encoder.encode(
        ["night work", "Nurse", "triage, Excel", "Cook", "Welder", "Pilot"]
    )
    expected = query + 0.6 * nurse + 0.3 * skills + 0.25 * (cook + welder) - 0.1 * pilot
    np.testing.assert_allclose(TextTowers(encoder).request_vectors([request])[0], unit(expected), atol=1e-6)


def test_a_request_that_says_nothing_is_zero(encoder):
    assert not TextTowers(encoder).request_vectors([Request(seeker()), Request(seeker(" "), " ")]).any()


def test_nothing_in_nothing_out(encoder):
    assert TextTowers(encoder).job_vectors([]).shape == (0, encoder.dimension)
    assert TextTowers(encoder).request_vectors([]).shape == (0, encoder.dimension)


def test_a_row_does_not_depend_on_its_neighbours(encoder):
    towers = TextTowers(encoder)
    requests = [
        Request(seeker("Nurse", "Cook")),
        Request(seeker(), "welder"),
        Request(seeker(), liked=(job("a", "B"),)),
    ]
    together = towers.request_vectors(requests)
    for request, row in zip(requests, together, strict=True):
        np.testing.assert_array_equal(towers.request_vectors([request])[0], row)


def test_a_text_of_many_jobs_is_encoded_once(encoder):
    TextTowers(encoder).job_vectors([job(str(n), "Nurse") for n in range(50)])
    assert encoder.encoded == ["Nurse"]


def test_requests_and_their_activity_go_through_the_request_encoder(encoder):
    student = WordEncoder()
    towers = TextTowers(encoder, request_encoder=student)
    towers.job_vectors([job("a", "Nurse")])
    towers.request_vectors([Request(seeker("Cook"), "welder", liked=(job("b", "Pilot"),))])
    assert encoder.encoded == ["Nurse"]
    assert student.encoded == ["Pilot", "welder", "Cook"]


def test_a_request_encoder_of_another_dimension_is_refused(encoder):
    other = WordEncoder()
    other.dimension = 7
    with pytest.raises(ConfigError, match="7 dimensions"):
        TextTowers(encoder, request_encoder=other)


@pytest.mark.parametrize(("name", "value"), [("title", 0.0), ("query", -1.0), ("skills", float("nan"))])
def test_impossible_weights_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        TextWeights(**{name: value})


def test_with_the_real_encoder_a_nurse_is_nearer_to_nursing_than_to_welding():
    towers = TextTowers(TextEncoder())
    jobs = towers.job_vectors([job("a", "Staff nurse, intensive care"), job("b", "MIG welder")])
    (request,) = towers.request_vectors([Request(seeker("Registered nurse", skills=("patient care",)))])
    assert jobs[0] @ request > jobs[1] @ request + 0.2
