"""The cover: non-negative L1 logistic weights, against closed forms, optimality conditions and a plain twin."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from graph.linking.cover import cover_path, cover_weights, distinct_columns
from market.errors import ConfigError, DataError


def world(*links: list[int], pairs: int) -> sp.csr_matrix:
    """[pairs, links] of links given by the pairs they fire on."""
    fires = np.zeros((pairs, len(links)))
    for column, rows in enumerate(links):
        fires[rows, column] = 1
    return sp.csr_matrix(fires)


def loss(weights: np.ndarray, fires: np.ndarray, hired: np.ndarray, each: np.ndarray, penalty: float) -> float:
    margin = np.where(hired, 1, -1) * (fires @ weights)
    return float(each @ np.logaddexp(0, -margin) + penalty * weights.sum())


def slow_cover(fires: np.ndarray, hired: np.ndarray, each: np.ndarray, penalty: float) -> np.ndarray:
    """Projected gradient, a step of 1 / Lipschitz, no link left out beforehand."""
    weights, sign = np.zeros(fires.shape[1]), np.where(hired, 1, -1)
    step = 4 / max(np.linalg.norm(fires * np.sqrt(each)[:, None], 2) ** 2, 1e-9)
    for _ in range(4_000):
        slope = penalty - fires.T @ (each * sign * expit(-sign * (fires @ weights)))
        weights = np.maximum(0, weights - step * slope)
    return weights


@pytest.mark.parametrize(("hires", "no_hires", "cost"), [(10, 0, 1.0), (10, 3, 1.0), (10, 3, 2.0), (40, 4, 5.0)])
def test_the_weight_of_a_link_alone_is_the_closed_form(hires, no_hires, cost):
    hired = np.arange(hires + no_hires) < hires
    fires = world(list(range(hires + no_hires)), pairs=hires + no_hires)
    # h (1 - p) - cost n p = 1 / C at the optimum, p = sigmoid(w)
    p = (hires - 1 / 0.5) / (hires + cost * no_hires)
    weights = cover_weights(fires, hired, np.ones(len(hired)), cost, 0.5)
    assert weights[0] == pytest.approx(max(0, logit(p)), abs=1e-4)


def test_a_link_enters_only_with_enough_hires_above_the_cost_of_its_pairs_without():
    hired = np.arange(20) < 10
    fires = world(list(range(12)), pairs=20)  # 10 hires, 2 pairs without
    weight = np.ones(20)
    assert cover_weights(fires, hired, weight, 3.0, 0.5)[0] == 0  # 10 - 3 x 2 = 4 = 2 / C
    assert cover_weights(fires, hired, weight, 3.0, 0.55)[0] > 0
    assert cover_weights(fires, hired, weight, 2.9, 0.5)[0] > 0


def test_what_a_link_explains_does_not_pay_for_another():
    general, special, elsewhere = list(range(20)), list(range(10)), list(range(20, 30))
    fires = world(general, special, elsewhere, pairs=40)
    hired = np.arange(40) < 30
    weights = cover_weights(fires, hired, np.ones(40), 1.0, 0.22)
    assert weights[0] > 0
    assert weights[1] == 0  # alone it would be kept: elsewhere has as many hires
    assert weights[2] > 0


def test_a_pair_counts_as_much_as_its_weight():
    hired = np.array([True] * 8 + [False] * 4)
    fires = world(list(range(12)), pairs=12)
    twice = sp.vstack([fires, fires[:8]]).tocsr()
    doubled = cover_weights(fires, hired, np.where(hired, 2.0, 1.0), 1.0, 1.0)
    repeated = cover_weights(twice, np.concatenate([hired, hired[:8]]), np.ones(20), 1.0, 1.0)
    assert doubled == pytest.approx(repeated, abs=1e-4)
    assert cover_weights(fires, hired, np.where(hired, 1.0, 0.5), 2.0, 1.0) == pytest.approx(
        cover_weights(fires, hired, np.ones(12), 1.0, 1.0)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([0.3, 1.0, 4.0]))
def test_it_finds_what_a_plain_projected_gradient_finds(seed, cost, inverse_penalty):
    rng = np.random.default_rng(seed)
    fires = (rng.random((40, 5)) < 0.4).astype(float)
    hired = rng.random(40) < 0.3 + 0.4 * fires[:, 0]
    weight = rng.choice([0.2, 1.0, 2.0], 40)
    each = np.where(hired, weight, cost * weight)
    fast = cover_weights(sp.csr_matrix(fires), hired, weight, cost, inverse_penalty)
    slow = slow_cover(fires, hired, each, 1 / inverse_penalty)
    assert (fast >= 0).all()
    both = [loss(found, fires, hired, each, 1 / inverse_penalty) for found in (fast, slow)]
    assert both[0] == pytest.approx(both[1], rel=1e-6)


def test_a_higher_cost_links_fewer_pairs_and_the_path_goes_through_all_costs():
    rng = np.random.default_rng(3)
    fires = sp.csr_matrix((rng.random((400, 30)) < 0.1).astype(float))
    hired = rng.random(400) < 0.2 + 0.6 * (fires[:, :5].sum(1).A1 > 0)
    costs = (0.3, 1.0, 3.0, 9.0)
    path = list(cover_path(fires, hired, np.ones(400), costs, 1.0))
    assert [cost for cost, _ in path] == list(costs)
    linked = [int((fires @ weights > 0).sum()) for _, weights in path]
    assert linked == sorted(linked, reverse=True)
    assert linked[0] > linked[-1]


def test_the_same_pairs_give_the_same_bytes():
    rng = np.random.default_rng(1)
    fires = sp.csr_matrix((rng.random((300, 40)) < 0.15).astype(float))
    hired = rng.random(300) < 0.4
    first, again = (cover_weights(fires, hired, np.ones(300), 0.5, 1.0).tobytes() for _ in range(2))
    assert first == again


def test_of_links_that_fire_on_the_same_pairs_the_shortest_is_kept_then_the_first():
    fires = world([0, 1], [2], [0, 1], [2], [1], [], [], pairs=4)
    size = np.array([3, 2, 2, 2, 2, 4, 5])
    assert distinct_columns(fires, size).tolist() == [1, 2, 4, 5]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_distinct_columns_are_those_of_a_plain_dictionary(seed):
    rng = np.random.default_rng(seed)
    fires, size = rng.random((4, 12)) < 0.5, rng.integers(2, 5, 12)
    best: dict[bytes, int] = {}
    for column in range(12):
        key = fires[:, column].tobytes()
        if key not in best or size[column] < size[best[key]]:
            best[key] = column
    assert distinct_columns(sp.csr_matrix(fires.astype(float)), size).tolist() == sorted(best.values())


def test_nothing_enters_where_nothing_pays():
    assert not cover_weights(world([0], pairs=2), np.array([True, False]), np.ones(2), 1.0, 1.0).any()


@pytest.mark.parametrize(("cost", "inverse_penalty"), [(0, 1), (1, 0), (np.inf, 1), (1, np.nan)])
def test_a_cost_or_penalty_out_of_range_is_refused(cost, inverse_penalty):
    with pytest.raises(ConfigError, match="above 0"):
        cover_weights(world([0], pairs=2), np.array([True, False]), np.ones(2), cost, inverse_penalty)


def test_pairs_that_do_not_align_are_refused():
    with pytest.raises(DataError, match="2 rows, 3 hired"):
        cover_weights(world([0], pairs=2), np.ones(3, bool), np.ones(2), 1.0, 1.0)
