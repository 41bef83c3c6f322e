"""Graph and links in one forecast: its identities, its retrieval through the index, and what a fit finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index import Index
from graph.affinity import Affinity
from graph.bipartite import Examples, examples_from_careers
from graph.combined import Blend, CombinedAffinity, LinkScores, blended, fit_blend, log_changes
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.links import LinkSet, link_id
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from market.careers import Careers
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy

C = 12
TAXONOMY = build_taxonomy("toy", [(str(100 + c), f"Job {c}", f"section {c // 3}", "all") for c in range(C)])
QUICK = TrainConfig(epochs=1, batch=64, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))
SIDES = [
    (["occupation=100"], ["occupation=105"], 2.0),
    (["occupation=100", "past_occupation=103"], ["section=section 2"], 1.5),
    (["section=section 0"], ["section=section 1"], 0.75),
    (["education=<=12"], ["occupation=100"], 0.5),
]
LINKS = LinkSet(
    tuple(link_id(seeker, job) for seeker, job, _ in SIDES),
    tuple(tuple(sorted(seeker)) for seeker, _, _ in SIDES),
    tuple(tuple(job) for _, job, _ in SIDES),
    np.array([weight for *_, weight in SIDES]),
    np.full(4, 9),
    np.full(4, 1),
)


@pytest.fixture(scope="module")
def affinity():
    rng = np.random.default_rng(0)
    careers = Careers(
        person_ids=tuple(map(str, range(40))),
        person=np.repeat(np.arange(40), 5).astype(np.int32),
        year=np.tile(np.arange(2000, 2005), 40).astype(np.int16),
        occupation=rng.integers(0, C, 200).astype(np.int32),
        education_years=np.full(200, 12, np.float32),
        taxonomy=TAXONOMY,
    )
    return Affinity(fit(examples_from_careers(careers), TAXONOMY, QUICK))


def seekers():
    """No history; one job; the conjunction's seeker; an occupation no model knows; schooling unknown."""
    histories = [[], [0], [3, 0], [0, C + 1], [7, 8]]
    lengths = np.array([len(row) for row in histories])
    stop = np.cumsum(lengths)
    years = [2000 + y for row in histories for y in range(len(row))]
    return Examples(
        person=np.arange(5, dtype=np.int32),
        start=stop - lengths,
        stop=stop,
        item_occupation=np.array([o for row in histories for o in row], np.int32),
        item_year=np.array(years, np.float32),
        year=np.full(5, 2003, np.float32),
        education_years=np.array([12, 12, 16, np.nan, np.nan], np.float32),
        target=np.full(5, -1, np.int32),
    )


def slow_sums(examples):
    mine = seeker_attributes(examples, TAXONOMY)
    return np.array(
        [
            [
                sum(w for s, j, w in SIDES if set(s) <= set(mine[i]) and set(j) <= set(job_attributes(o, TAXONOMY)))
                for o in range(C)
            ]
            for i in range(len(examples))
        ]
    )


def test_link_scores_add_up_the_weights_of_the_links_that_fire():
    scores = LinkScores(LINKS, TAXONOMY)
    held = scores.held(seekers())
    assert [row.tolist() for row in held] == [[3], [0, 2, 3], [0, 1, 2], [], []]
    np.testing.assert_allclose(scores.of(held), slow_sums(seekers()))


def test_without_links_nothing_fires():
    scores = LinkScores(LINKS.take([]), TAXONOMY)
    assert (scores.of(scores.held(seekers())) == 0).all()


def test_with_beta_zero_and_scale_one_it_is_the_network(affinity):
    combined, examples = CombinedAffinity(affinity, LINKS, Blend(1.0, 0.0)), seekers()
    np.testing.assert_allclose(combined.probabilities(examples), affinity.probabilities(examples), atol=1e-6)
    np.testing.assert_allclose(combined.log_lift(examples), affinity.log_lift(examples), atol=1e-4)
    assert not any(term.startswith("link=") for row in combined.retrieval(examples)[1] for term in row)


@pytest.mark.parametrize("blend", [Blend(1.0, 0.0), Blend(1.0, 0.7), Blend(0.6, 0.4)])
def test_it_is_a_distribution_with_the_networks_chance_to_stay(affinity, blend):
    combined, examples = CombinedAffinity(affinity, LINKS, blend), seekers()
    everything, changes = combined.probabilities(examples), combined.change_probabilities(examples)
    np.testing.assert_allclose(everything.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(changes.sum(1), 1, atol=1e-5)
    stay = affinity.stay_probability(examples)
    for i, current in enumerate(examples.current.tolist()):
        if 0 <= current < C:
            assert changes[i, current] == 0
            assert everything[i, current] == pytest.approx(stay[i])


def test_the_odds_between_two_occupations_move_by_beta_times_their_link_weights(affinity):
    examples, beta = seekers(), 0.7
    before = affinity.change_probabilities(examples)[2]
    after = CombinedAffinity(affinity, LINKS, Blend(1.0, beta)).change_probabilities(examples)[2]
    # the conjunction's seeker: 2.0 towards 105 (in section 1: .75 more), 1.5 towards section 2, nothing towards 110
    for o, weight in ((5, 2.75), (4, 0.75), (7, 1.5)):
        moved = np.log(after[o] / after[10]) - np.log(before[o] / before[10])
        assert moved == pytest.approx(beta * weight, abs=1e-4)


@pytest.mark.parametrize("blend", [Blend(1.0, 0.0), Blend(1.0, 0.7), Blend(0.6, 0.4), Blend(1.7, 1.0)])
def test_the_index_gives_the_lift_up_to_a_constant_of_the_seeker(affinity, blend):
    combined, examples = CombinedAffinity(affinity, LINKS, blend), seekers()
    vectors, boosts = combined.retrieval(examples)
    rows = combined.occupation_vectors
    index = Index(spaces={"graph": rows.shape[1]}, device="cpu")
    attributes = [job_attributes(o, TAXONOMY) for o in range(C)]
    index.upsert(np.arange(C), vectors={"graph": rows}, terms=[[*a, *LINKS.terms_of_job(a)] for a in attributes])
    hits = index.search(vectors, space="graph", k=C, boosts=boosts)
    lift = combined.log_lift(examples)
    for i in range(len(examples)):
        constant = hits.scores[i] - lift[i, hits.ids[i]]
        np.testing.assert_allclose(constant, constant[0], atol=2e-4)


def test_a_seeker_depends_on_nobody_else(affinity):
    combined, examples = CombinedAffinity(affinity, LINKS, Blend(0.8, 0.5)), seekers()
    alone = np.concatenate([combined.probabilities(examples.take(slice(i, i + 1))) for i in range(len(examples))])
    np.testing.assert_allclose(alone, combined.probabilities(examples), atol=1e-6)


# ---- fitting the blend


def drawn(scale, beta, n=4000, seed=0):
    """Base, link sums and outcomes drawn from the blend itself."""
    rng = np.random.default_rng(seed)
    base = blended(rng.normal(0, 1.5, (n, 6)), np.zeros((n, 6)), Blend(1.0, 0.0))
    sums = rng.integers(0, 3, (n, 6)).astype(float)
    truth = np.exp(blended(base, sums, Blend(scale, beta)))
    target = (truth.cumsum(1) > rng.random((n, 1))).argmax(1)
    return base, sums, target


@pytest.mark.parametrize(("scale", "beta"), [(1.0, 0.0), (0.7, 0.5), (1.3, 1.0)])
def test_a_fit_finds_the_numbers_the_outcomes_were_drawn_with(scale, beta):
    found = fit_blend(*drawn(scale, beta))
    assert found.scale == pytest.approx(scale, abs=0.08)
    assert found.beta == pytest.approx(beta, abs=0.08)


def test_links_that_say_nothing_get_no_beta():
    base, sums, target = drawn(1.0, 0.0)
    shuffled = np.random.default_rng(1).permutation(sums)
    assert fit_blend(base, -sums, drawn(1.0, 0.8)[2]).beta == 0  # pointing the wrong way is not followed backwards
    assert fit_blend(base, shuffled, target).beta < 0.05
    assert fit_blend(base, sums, target, links=False).beta == 0


def cross_entropy(base, sums, target, blend):
    return -blended(base, sums, blend)[np.arange(len(target)), target].mean()


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 2.0), st.floats(0.0, 1.5), st.integers(0, 50))
def test_no_other_blend_does_better_on_the_data_it_was_fitted_on(scale, beta, seed):
    data = drawn(0.8, 0.4, n=200, seed=seed)
    assert cross_entropy(*data, fit_blend(*data)) <= cross_entropy(*data, Blend(scale, beta)) + 1e-6


def test_impossible_occupations_stay_impossible_and_are_no_outcome(affinity):
    examples = seekers()
    base = log_changes(affinity, examples)
    assert base[1, 0] == -np.inf  # the current occupation
    sums = slow_sums(examples)
    assert blended(base, sums, Blend(0.5, 1.0))[1, 0] == -np.inf
    assert np.isfinite(fit_blend(base[1:3], sums[1:3], np.array([5, 7])).scale)
    with pytest.raises(DataError, match="impossible"):
        fit_blend(base[1:2], sums[1:2], np.array([0]))
    with pytest.raises(DataError, match="none"):
        fit_blend(base[:0], sums[:0], np.array([], int))


@pytest.mark.parametrize("numbers", [(0.0, 1.0), (1.0, -0.1), (np.inf, 0.0), (1.0, np.nan)])
def test_an_impossible_blend_is_refused(numbers):
    with pytest.raises(ConfigError, match="scale"):
        Blend(*numbers)
