"""Four ways to read a history: what each is told, and what none may do."""

import numpy as np
import pytest
import torch

from graph.network.encoders import ENCODERS

W, F = 8, 3
EDGES = torch.tensor([[4, 2, 2, 1, 0, 3], [0, 0, 0, 2, 2, 2]])  # seeker 1 has no history


def inputs(seed=0):
    torch.manual_seed(seed)
    return torch.randn(6, W), torch.randn(3, W), EDGES, torch.randn(6, F)


@pytest.fixture(params=ENCODERS)
def encoder(request):
    torch.manual_seed(1)
    return ENCODERS[request.param](W, 2, F, 0.0).eval()


def test_every_seeker_gets_a_vector(encoder):
    out = encoder(*inputs())
    assert out.shape == (3, W)
    assert torch.isfinite(out).all()


def test_a_seeker_is_read_alone(encoder):
    segments, question, edges, features = inputs()
    alone = encoder(segments, question[2:], torch.stack([edges[0, 3:], edges[1, 3:] - 2]), features[3:])
    torch.testing.assert_close(encoder(segments, question, edges, features)[2:], alone)


def test_another_history_gives_another_vector(encoder):
    segments, question, edges, features = inputs()
    other = edges.clone()
    other[0, 4] = 5
    was, now = encoder(segments, question, edges, features), encoder(segments, question, other, features)
    torch.testing.assert_close(was[:2], now[:2])
    assert (was[2] - now[2]).abs().max() > 1e-4


def test_nobody_gives_no_rows(encoder):
    segments, question, edges, features = inputs()
    assert encoder(segments, question[:0], edges[:, :0], features[:0]).shape == (0, W)


@pytest.mark.parametrize(("name", "ordered"), [("attention", False), ("mean", False), ("gru", True)])
def test_only_the_recurrent_encoder_sees_the_order_of_equal_edges(name, ordered):
    torch.manual_seed(1)
    encoder = ENCODERS[name](W, 2, F, 0.0).eval()
    segments, question, edges, _ = inputs()
    features = torch.zeros(6, F)
    swapped = edges[:, [0, 1, 2, 5, 4, 3]]
    difference = encoder(segments, question, edges, features) - encoder(segments, question, swapped, features)
    assert (difference[2].abs().max() > 1e-4) == ordered


def test_the_recurrent_encoder_reads_oldest_first_by_hand():
    torch.manual_seed(1)
    encoder = ENCODERS["gru"](W, 2, F, 0.0).eval()
    segments, question, edges, features = inputs()
    state = torch.zeros(1, W)
    cell = torch.nn.GRUCell(W + F, W)
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in encoder.layer.state_dict().items()})
    for e in (5, 4, 3):  # of seeker 2, oldest first
        state = cell(torch.cat([encoder.item(segments[edges[0, e]]), features[e]])[None], state)
    torch.testing.assert_close(encoder(segments, question, edges, features)[2], encoder.out(state)[0])


def test_the_mean_is_the_mean():
    torch.manual_seed(1)
    encoder = ENCODERS["mean"](W, 2, F, 0.0).eval()
    segments, question, edges, features = inputs()
    means = torch.stack([segments[[4, 2, 2]].mean(0), torch.zeros(W), segments[[1, 0, 3]].mean(0)])
    layer = encoder.layer
    expected = means @ layer.lin_l.weight.T + layer.lin_l.bias + question @ layer.lin_r.weight.T
    torch.testing.assert_close(encoder(segments, question, edges, features), expected)
    assert np.isfinite(expected.detach().numpy()).all()
