"""The batch softmax against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from organic.learning.losses import batch_softmax

COSINES = torch.tensor([[1.0, 0.5, 0.0], [0.2, 0.8, 0.4]])
OWN = torch.tensor([0, 1])
NOTHING = torch.zeros(2, 3, dtype=torch.bool)


def softmax_loss(own: float, others: list[float], temperature: float = 1.0) -> float:
    return math.log(sum(math.exp(value / temperature) for value in [own, *others])) - own / temperature


def test_each_row_is_told_from_all_other_items() -> None:
    loss = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0)
    assert float(loss) == pytest.approx((softmax_loss(1.0, [0.5, 0.0]) + softmax_loss(0.8, [0.2, 0.4])) / 2)


def test_a_lower_temperature_sharpens() -> None:
    loss = batch_softmax(COSINES, OWN, NOTHING, temperature=0.1)
    expected = (softmax_loss(1.0, [0.5, 0.0], 0.1) + softmax_loss(0.8, [0.2, 0.4], 0.1)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_a_known_positive_is_no_negative() -> None:
    excluded = torch.tensor([[False, True, False], [False, False, False]])
    loss = batch_softmax(COSINES, OWN, excluded, temperature=1.0)
    assert float(loss) == pytest.approx((softmax_loss(1.0, [0.0]) + softmax_loss(0.8, [0.2, 0.4])) / 2)


def test_excluding_a_rows_own_item_changes_nothing() -> None:
    excluded = torch.tensor([[True, False, False], [False, True, False]])
    assert torch.equal(
        batch_softmax(COSINES, OWN, excluded, temperature=1.0), batch_softmax(COSINES, OWN, NOTHING, temperature=1.0)
    )


def test_the_hardest_negative_is_the_one_of_the_highest_cosine() -> None:
    loss = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0, hardest=1)
    assert float(loss) == pytest.approx((softmax_loss(1.0, [0.5]) + softmax_loss(0.8, [0.4])) / 2)


def test_the_hardest_is_chosen_among_what_is_not_excluded() -> None:
    excluded = torch.tensor([[False, True, False], [False, False, True]])
    loss = batch_softmax(COSINES, OWN, excluded, temperature=1.0, hardest=1)
    assert float(loss) == pytest.approx((softmax_loss(1.0, [0.0]) + softmax_loss(0.8, [0.2])) / 2)


def test_weights_share_the_loss_out() -> None:
    loss = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0, weight=torch.tensor([3.0, 1.0]))
    assert float(loss) == pytest.approx((3 * softmax_loss(1.0, [0.5, 0.0]) + softmax_loss(0.8, [0.2, 0.4])) / 4)


def test_the_correction_takes_the_log_probability_of_being_in_a_batch_off_every_logit() -> None:
    log_q = torch.tensor([-1.0, -2.0, -3.0])
    loss = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0, log_q=log_q)
    assert float(loss) == pytest.approx((softmax_loss(2.0, [2.5, 3.0]) + softmax_loss(2.8, [1.2, 3.4])) / 2)


def test_one_probability_for_all_items_corrects_nothing() -> None:
    plain = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0)
    even = batch_softmax(COSINES, OWN, NOTHING, temperature=1.0, log_q=torch.full((3,), -4.0))
    assert float(even) == pytest.approx(float(plain))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 12))
def test_the_gradient_comes_only_from_own_and_kept_items(seed: int, rows: int, hardest: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    cosines = (2 * torch.rand(rows, 10, generator=generator) - 1).requires_grad_()
    own = torch.randint(10, (rows,), generator=generator)
    excluded = torch.rand(rows, 10, generator=generator) < 0.3
    batch_softmax(cosines, own, excluded, temperature=0.5, hardest=hardest).backward()  # type: ignore[no-untyped-call]
    assert cosines.grad is not None
    kept = cosines.grad != 0
    others = kept.clone()
    others[torch.arange(rows), own] = False
    assert not (others & excluded).any()
    assert (others.sum(1) <= hardest).all()
    for row in range(rows):
        offered = ~excluded[row]
        offered[own[row]] = False
        left_out = offered & ~others[row]
        if others[row].any() and left_out.any():
            assert cosines[row][others[row]].min() >= cosines[row][left_out].max()
