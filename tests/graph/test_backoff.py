"""Back-off by hand: titles with known similarities, mixtures, thin occupations, seekers without a past."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.affinity import Affinity
from graph.backoff import (
    BackoffConfig,
    blended,
    change_scores,
    first_observations,
    mixture_vectors,
    occupation_mixture,
    section_mixture,
    with_first_observations,
)
from graph.bipartite import Examples, examples_from_careers
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from market.careers import Careers
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy

TITLES = ("Cook", "Baker", "Judge", "Lawyer", "Cook", "Occupation 95")
TAXONOMY = build_taxonomy(
    "small", [(str(90 + i), title, f"section {i // 2}", "major") for i, title in enumerate(TITLES)]
)
C = len(TAXONOMY)
QUICK = TrainConfig(epochs=2, batch=64, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))


ANGLES = {"Cook": 0.0, "Baker": 0.2, "Judge": 1.5, "Lawyer": 1.3, "Occupation 95": 0.11, "Pastry chef": 0.09}


class Angles:
    """Texts on a half circle: the angle is looked up, so similarities are cosines of differences."""

    dimension = 2

    def __init__(self, **angle: float) -> None:
        self.angle = ANGLES | angle

    def encode(self, texts):
        found = np.array([self.angle[text] for text in texts])
        return np.stack([np.cos(found), np.sin(found)], axis=1).astype(np.float32)


def careers(persons=200, seed=0):
    """Everybody moves among the first four; a handful also has the last."""
    rng = np.random.default_rng(seed)
    occupation = rng.integers(0, 4, (persons, 4))
    occupation[:6, 1] = 5
    return Careers(
        person_ids=tuple(map(str, range(persons))),
        person=np.repeat(np.arange(persons), 4).astype(np.int32),
        year=np.tile(np.arange(1990, 1994), persons).astype(np.int16),
        occupation=occupation.ravel().astype(np.int32),
        education_years=np.tile([10, 11, np.nan, 12], persons).astype(np.float32),
        taxonomy=TAXONOMY,
    )


EXAMPLES = examples_from_careers(careers())


@pytest.fixture(scope="module")
def model():
    return fit(EXAMPLES, TAXONOMY, QUICK)


def test_a_title_is_a_mixture_of_the_nearest_titles_by_softmax_of_similarity():
    ids, weight = occupation_mixture(["Pastry chef"], TAXONOMY, Angles(), BackoffConfig(neighbours=3, temperature=0.1))
    assert ids.tolist() == [[0, 1, 3]], "the one without a title of its own is nearest, and never chosen"
    similar = np.cos([0.09, 0.11, 1.21])
    expected = np.exp(similar / 0.1)
    np.testing.assert_allclose(weight[0], expected / expected.sum(), rtol=1e-3)


def test_equally_near_titles_come_in_the_order_of_their_positions():
    same = Angles(Cook=0, Baker=0, Judge=0, Lawyer=0)
    ids, weight = occupation_mixture(["Pastry chef"], TAXONOMY, same, BackoffConfig(neighbours=3))
    assert ids.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(weight, 1 / 3, rtol=1e-6)


def test_a_known_title_is_that_occupation_however_it_is_written():
    ids, weight = occupation_mixture(["  LAWYER ", "Baker"], TAXONOMY, Angles(), BackoffConfig(neighbours=2))
    assert ids.tolist() == [[3, -1], [1, -1]]
    assert weight.tolist() == [[1, 0], [1, 0]]


def test_only_occupations_with_hires_are_chosen_and_of_equal_titles_the_one_with_most():
    hires = np.array([2, 0, 5, 5, 9, 5])
    ids, _ = occupation_mixture(["Pastry chef", "Cook"], TAXONOMY, Angles(), BackoffConfig(neighbours=4), hires=hires)
    assert ids.tolist() == [[4, 3, 2, -1], [4, -1, -1, -1]]


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(DataError, match="none of the 6"):
        occupation_mixture(["Cook"], TAXONOMY, Angles(), hires=np.array([0, 0, 0, 0, 0, 3]))


@given(st.lists(st.sampled_from(sorted(ANGLES)), min_size=1, max_size=6), st.integers(1, 8))
def test_titles_in_a_crowd_are_answered_as_alone_and_weights_sum_to_one(titles, neighbours):
    config = BackoffConfig(neighbours=neighbours)
    ids, weight = occupation_mixture(titles, TAXONOMY, Angles(), config)
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-5)
    assert (weight[ids < 0] == 0).all()
    for row, title in enumerate(titles):
        one_id, one_weight = occupation_mixture([title], TAXONOMY, Angles(), config)
        np.testing.assert_array_equal(one_id[0], ids[row])
        np.testing.assert_allclose(one_weight[0], weight[row], rtol=1e-5)


def test_a_section_is_its_occupations_by_hires_and_one_more():
    ids, weight = section_mixture(np.array([0, 1]), TAXONOMY, np.array([3, 1, 0, 5, 0, 0]))
    assert ids.tolist() == [[0, 1], [3, -1]]
    np.testing.assert_allclose(weight, [[4 / 6, 2 / 6], [1, 0]])


def test_a_section_without_a_known_occupation_is_everything_known():
    ids, weight = section_mixture(np.array([2]), TAXONOMY, np.array([1, 0, 1, 0, 0, 0]))
    assert ids.tolist() == [[0, 2]]
    assert weight.tolist() == [[0.5, 0.5]]


def test_a_blend_has_the_vector_that_lies_between():
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    one = (np.array([[0]], np.int32), np.array([[1]], np.float32))
    two = (np.array([[1, -1]], np.int32), np.array([[1, 0]], np.float32))
    np.testing.assert_allclose(mixture_vectors(vectors, blended(one, two, 0.25)), [[0.25, 0.75, 0]], atol=1e-6)


def test_biases_are_mixed_as_popularities_member_by_member():
    vectors = np.array([[2, np.log(0.1), 4, np.log(0.3)], [4, np.log(0.3), 0, np.log(0.1)]], np.float32)
    mixture = (np.array([[0, 1, -1]], np.int32), np.array([[0.5, 0.5, 0]], np.float32))
    expected = [[3, np.log(0.2), 2, np.log(0.2)]]
    np.testing.assert_allclose(mixture_vectors(vectors, mixture, members=2), expected, rtol=1e-5)


def test_a_new_occupation_that_is_one_known_one_scores_like_it_without_its_copies(model):
    mixture = (np.array([[2]], np.int32), np.array([[1]], np.float32))
    new = mixture_vectors(model.occupation_vectors, mixture)
    scores = change_scores(model, EXAMPLES, new)
    never = np.array(
        [2 not in EXAMPLES.item_occupation[a:b] for a, b in zip(EXAMPLES.start, EXAMPLES.stop, strict=True)]
    )
    np.testing.assert_allclose(scores[never, C], scores[never, 2], rtol=1e-4, atol=1e-4)


def test_scores_are_those_of_the_model_where_nothing_is_new(model):
    scores = change_scores(model, EXAMPLES).astype(np.float64)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = Affinity(model).change_probabilities(EXAMPLES)
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, rtol=1e-3, atol=1e-6)


def with_rule(model, thin_hires):
    return replace(model, calibrators=replace(model.calibrators, thin_hires=thin_hires))


def test_only_thin_occupations_get_a_boost_for_returning_and_it_lifts_them_to_the_mean_bias(model):
    hires = model.outcomes - np.diag(model.transitions)
    boosts = with_rule(model, 20).return_boosts
    assert (boosts[hires >= 20] == 0).all()
    assert (boosts[hires < 20] > 0).all()
    bias = model.occupation_vectors[:, -1]
    assert boosts[5] == pytest.approx(bias[hires >= 20].mean() - bias[5], rel=1e-5)
    assert not with_rule(model, 0).return_boosts.any()
    assert not with_rule(model, 10**6).return_boosts.any(), "nothing to compare with"


def test_the_boost_reaches_the_own_past_once_and_nobody_else(model):
    twice = replace(EXAMPLES.take(slice(0, 1)), item_occupation=np.array([5, 5, 1], np.int32), start=np.array([0]))
    twice = replace(twice, stop=np.array([3]), item_year=np.array([1988, 1989, 1990], np.float32))
    plain = replace(model, calibrators=replace(model.calibrators, caution=0.0, temperature=1.0))
    ruled = with_rule(plain, 20)
    others = np.arange(C) != 1  # the current one has no score
    difference = change_scores(ruled, twice)[0, others] - change_scores(plain, twice)[0, others]
    assert difference.tolist() == pytest.approx([0, 0, 0, 0, ruled.return_boosts[5]], abs=1e-5)


def test_first_observations_know_schooling_only():
    first = first_observations(EXAMPLES)
    people = careers()
    rows = np.arange(0, len(people), 4)
    assert first.person.tolist() == list(range(200))
    assert (first.lengths == 0).all()
    assert first.target.tolist() == people.occupation[rows].tolist()
    assert first.year.tolist() == (people.year[rows] + 0.5).tolist()
    assert (first.education_years == 10).all()


def test_a_person_whose_first_observation_is_not_known_has_none():
    later = EXAMPLES.take(EXAMPLES.lengths > 1)
    assert len(first_observations(later)) == 0
    assert len(with_first_observations(later)) == len(later)


def test_what_is_learned_from_first_observations_answers_seekers_without_a_past():
    """Everybody begins as a cook and never is one again: only first observations can tell."""
    people = careers()
    occupation = people.occupation.reshape(-1, 4).copy()
    occupation[:, 0], occupation[:, 1:] = 0, 1 + occupation[:, 1:] % 3
    examples = examples_from_careers(replace(people, occupation=occupation.ravel()))
    joined = with_first_observations(examples)
    assert len(joined) == len(examples) + 200
    assert isinstance(joined, Examples)
    taught = fit(joined, TAXONOMY, replace(QUICK, epochs=8))
    asked = first_observations(examples).take(slice(0, 1))
    assert Affinity(taught).probabilities(asked).argmax() == 0


@pytest.mark.parametrize("setting", [{"neighbours": 0}, {"temperature": 0}, {"text_share": 1.5}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError):
        BackoffConfig(**setting)
