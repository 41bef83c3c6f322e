"""What others read: distributions, lifts, and the same lifts as queries for an index."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.model import Calibrators, HireModel
from graph.network.gnn import HireGNN, ModelConfig
from market.taxonomy import build_taxonomy

C = 30
TAXONOMY = build_taxonomy(
    "toy", [(str(100 + c), f"Occupation {c}", f"section {c // 3}", f"major {c // 9}") for c in range(C)]
)
WIDTHS = ModelConfig(width=8, heads=2, hidden=12, seeker=6, memory=3)


def affinity_of(members, copy="rank", encoders=("attention",)):
    """An Affinity over random weights: its identities hold for every model."""
    torch.manual_seed(members)
    nets = []
    widths = replace(WIDTHS, copy=copy)
    for number in range(members):
        net = HireGNN(TAXONOMY, replace(widths, encoder=encoders[number % len(encoders)]))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.normal_(std=0.5)
            net.attribute_mean[1], net.year_range[0], net.year_range[1] = 2002, 2000, 2004
        nets.append(net.eval())
    rng = np.random.default_rng(members)
    outcomes = rng.integers(0, 200, C).astype(float)
    return Affinity(
        HireModel(TAXONOMY, widths, tuple(nets), np.diag(outcomes), outcomes, outcomes > 0, Calibrators(1.2, 0.8, 0.1))
    )


def some_seekers(n=60):
    """Random histories of 0 to 15 items, some of occupations no model knows."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(0, 16, n)
    lengths[:3] = 0, 1, 15
    stop = np.cumsum(lengths)
    ages = np.concatenate([np.arange(length, 0, -1) for length in lengths])
    return Examples(
        person=np.arange(n, dtype=np.int32),
        start=stop - lengths,
        stop=stop,
        item_occupation=rng.integers(0, C + 2, stop[-1]).astype(np.int32),
        item_year=(2003 - ages).astype(np.float32),
        year=np.full(n, 2003, np.float32),
        education_years=rng.choice(np.array([8, 12, 16, np.nan], np.float32), n),
        target=np.full(n, -1, np.int32),
    )


KINDS = {"one member": (1,), "three members": (3,), "two kinds, gated": (2, "gated", ("attention", "gru"))}


@pytest.fixture(scope="module", params=KINDS)
def affinity(request):
    return affinity_of(*KINDS[request.param])


SEEKERS = some_seekers()
KNOWN = np.where(SEEKERS.current < C, SEEKERS.current, -1)
HAS = np.flatnonzero(KNOWN >= 0)


def test_rows_are_distributions(affinity):
    for rows in (affinity.probabilities(SEEKERS), affinity.change_probabilities(SEEKERS)):
        assert rows.shape == (len(SEEKERS), C)
        assert rows.dtype == np.float32
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


def test_overall_distribution_splits_into_staying_and_changing(affinity):
    overall, change = affinity.probabilities(SEEKERS), affinity.change_probabilities(SEEKERS)
    stay = affinity.stay_probability(SEEKERS)
    wanted = (1 - stay)[:, None] * change
    wanted[HAS, KNOWN[HAS]] = stay[HAS]
    np.testing.assert_allclose(overall, wanted, rtol=1e-4, atol=1e-7)
    assert (change[HAS, KNOWN[HAS]] == 0).all()
    assert (stay[KNOWN < 0] == 0).all()


def test_log_lift_is_the_log_ratio_to_popularity(affinity):
    wanted = np.log(affinity.probabilities(SEEKERS)) - np.log(affinity.model.popularity)
    np.testing.assert_allclose(affinity.log_lift(SEEKERS), wanted, rtol=1e-3, atol=1e-4)


def test_retrieval_agrees_with_log_lift_up_to_a_constant_of_the_seeker(affinity):
    lift = affinity.log_lift(SEEKERS)
    vectors, boosts = affinity.retrieval(SEEKERS)
    assert vectors.dtype == affinity.occupation_vectors.dtype == np.float32
    served = vectors.astype(np.float64) @ affinity.occupation_vectors.astype(np.float64).T
    for i, row in enumerate(boosts):
        for term, weight in row.items():
            served[i, TAXONOMY.find(term.removeprefix("occupation="))] += weight
    difference = served - lift
    assert np.ptp(difference, axis=1).max() < 2e-4
    clear = np.abs(np.diff(np.sort(lift, axis=1), axis=1)).min(axis=1) > 1e-3
    assert clear.sum() > 5
    np.testing.assert_array_equal(np.argsort(-served, axis=1)[clear], np.argsort(-lift, axis=1)[clear])


def test_boosts_speak_of_the_own_past_only(affinity):
    _, boosts = affinity.retrieval(SEEKERS)
    for i, row in enumerate(boosts):
        past = SEEKERS.item_occupation[SEEKERS.start[i] : SEEKERS.stop[i]][-12:]
        assert set(row) == {f"occupation={TAXONOMY.codes[o]}" for o in past if o < C}


def test_seeker_without_a_history_gets_a_prior_and_no_boosts(affinity):
    nobody = SEEKERS.take(slice(0, 1))
    assert affinity.retrieval(nobody)[1] == [{}]
    np.testing.assert_array_equal(affinity.probabilities(nobody), affinity.change_probabilities(nobody))
