"""Boosts for the own past: against the formula, one item at a time."""

import pytest
import torch

from graph.network.copy_path import COPY_PATHS, CopyPath, add_boosts, times_held, without_current

EDGES = torch.tensor([[4, 2, 4, 1, 0], [0, 0, 0, 2, 2]])
RANK = torch.tensor([0, 1, 2, 0, 1])


def path_of(kind):
    torch.manual_seed(0)
    path = CopyPath(kind, segments=5, hidden=6, features=3, attributes=2)
    with torch.no_grad():
        for parameter in path.parameters():
            parameter.normal_()
    return path


def inputs():
    torch.manual_seed(3)
    features, body, x = torch.randn(5, 3), torch.randn(3, 6), torch.randn(3, 2)
    return EDGES, RANK, features, body, x, torch.tensor([4, 5, 1])


@pytest.mark.parametrize("kind", COPY_PATHS)
def test_returning_is_worth_nothing_before_training_but_for_a_trace(kind):
    torch.manual_seed(0)
    boosts = CopyPath(kind, segments=5, hidden=6, features=3, attributes=2)(*inputs())
    assert boosts.shape == (5,)
    assert boosts.abs().max() < 0.3


def test_by_rank_the_boost_is_that_of_the_rank():
    path = path_of("rank")
    assert torch.equal(path(*inputs()), path.of_rank[RANK])


def test_without_a_copy_path_the_past_gets_nothing():
    assert torch.equal(path_of("none")(*inputs()), torch.zeros(5))


def test_the_gated_boost_is_its_formula():
    path = path_of("gated")
    edges, rank, features, body, x, current = inputs()
    expected = []
    for e, held in enumerate([2, 1, 2, 1, 1]):
        o, i, j = int(edges[0, e]), int(edges[1, e]), int(rank[e])
        item = torch.cat([features[e], torch.log(torch.tensor([float(held)])), x[i]])
        boost = path.of_rank[j] + path.of_person(body[i])[j] + path.of_segment.weight[o, 0]
        boost = boost + path.to_current.weight[current[i]] @ path.to_item.weight[o] + path.gate(item)[0]
        expected.append(boost)
    torch.testing.assert_close(path(edges, rank, features, body, x, current), torch.stack(expected))


def test_times_held_counts_per_person():
    assert times_held(EDGES, 3).tolist() == [2, 1, 2, 1, 1]
    assert times_held(EDGES[:, :0], 3).tolist() == []


def test_boosts_of_one_segment_add_up_and_the_unknown_segment_has_none():
    edges = torch.tensor([[1, 1, 3, 0], [0, 0, 0, 1]])
    scores = add_boosts(torch.zeros(2, 3), edges, torch.tensor([1.0, 2.0, 4.0, 8.0]))
    assert scores.tolist() == [[0, 3, 0], [8, 0, 0]]


def test_the_current_occupation_is_no_candidate():
    scores = without_current(torch.ones(2, 3), torch.tensor([1, 3]))
    assert scores.tolist() == [[1, -torch.inf, 1], [1, 1, 1]]
