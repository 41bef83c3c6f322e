"""The loss against numbers worked out by hand, one instance at a time."""

import numpy as np
import pytest
import torch

from graph.bipartite import Examples
from graph.network.batches import Weighted
from graph.network.loss import hire_loss

SECTION = torch.tensor([0, 0, 1, 1])


def four_seekers():
    """Histories (0), (1), (2) and none; outcomes 1 (a change), 1 (a stay), 0 (a change), 3 (a change)."""
    return Examples(
        person=np.arange(4, dtype=np.int32),
        start=np.array([0, 1, 2, 3]),
        stop=np.array([1, 2, 3, 3]),
        item_occupation=np.array([0, 1, 2], np.int32),
        item_year=np.full(3, 2000, np.float32),
        year=np.full(4, 2001, np.float32),
        education_years=np.full(4, 12, np.float32),
        target=np.array([1, 1, 0, 3], np.int32),
    )


def some_scores():
    scores = torch.tensor([[9.0, 1.0, 2.0, 0.0], [1.0, 9.0, 0.0, 0.0], [0.5, 1.5, 9.0, -1.0], [0.0, 1.0, 2.0, 3.0]])
    scores[[0, 1, 2], [0, 1, 2]] = -torch.inf
    return scores, torch.tensor([0.3, -0.2, 1.0, 5.0])


def share(*scores):
    """Log softmax of the first."""
    return scores[0] - np.log(np.exp(scores).sum())


CHANGE = [-share(1.0, 2.0, 0.0), 0.0, -share(0.5, 1.5, -1.0), -share(3.0, 0.0, 1.0, 2.0)]
STAYING = [np.log1p(np.exp(0.3)), np.log1p(np.exp(0.2)), np.log1p(np.exp(1.0)), 0.0]


def test_the_loss_is_the_mean_over_changes_and_half_the_mean_over_histories():
    loss = hire_loss(*some_scores(), Weighted(four_seekers()), SECTION, stay_weight=0.5)
    assert float(loss) == pytest.approx(sum(CHANGE) / 3 + 0.5 * sum(STAYING) / 3, rel=1e-6)


def test_weights_multiply_the_losses_alone():
    w = np.array([2.0, 0.5, 0.0, 1.0], np.float32)
    loss = hire_loss(*some_scores(), Weighted(four_seekers(), w), SECTION, stay_weight=0.5)
    assert float(loss) == pytest.approx((w @ CHANGE) / 3 + 0.5 * (w @ STAYING) / 3, rel=1e-6)


def test_a_career_read_from_its_end_teaches_nothing_of_staying():
    mirrored = np.array([True, False, False, False])
    loss = hire_loss(*some_scores(), Weighted(four_seekers(), None, mirrored), SECTION, stay_weight=0.5)
    assert float(loss) == pytest.approx(sum(CHANGE) / 3 + 0.5 * (STAYING[1] + STAYING[2]) / 2, rel=1e-6)


def test_hard_negatives_are_the_occupations_of_the_same_section():
    plain = hire_loss(*some_scores(), Weighted(four_seekers()), SECTION, stay_weight=0.5)
    hard = hire_loss(*some_scores(), Weighted(four_seekers()), SECTION, stay_weight=0.5, hard_negatives=0.25)
    # Instance 0 has no other candidate in its section: its current occupation is none.
    in_group = [-share(1.0), 0.0, -share(0.5, 1.5), -share(3.0, 2.0)]
    assert float(hard - plain) == pytest.approx(0.25 * sum(in_group) / 3, rel=1e-5)


def test_gradients_stay_finite_where_candidates_are_none():
    scores, stay = some_scores()
    raw = torch.nan_to_num(scores, neginf=0.0).requires_grad_()
    masked = raw.masked_fill(scores == -torch.inf, -torch.inf)
    hire_loss(masked, stay, Weighted(four_seekers()), SECTION, 0.5, hard_negatives=1.0).backward()
    assert torch.isfinite(raw.grad).all()
    assert (raw.grad[scores == -torch.inf] == 0).all()


def test_a_batch_of_stays_has_a_loss():
    stays = four_seekers().take(np.array([1]))
    scores, stay = some_scores()
    loss = hire_loss(scores[1:2], stay[1:2], Weighted(stays), SECTION, stay_weight=0.5)
    assert float(loss) == pytest.approx(0.5 * STAYING[1], rel=1e-6)
