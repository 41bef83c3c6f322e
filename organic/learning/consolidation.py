"""Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796): learn the hard cases, keep the easy ones.

    penalty = lambda / 2 * sum over weights w of F_w (w - w1)^2

w1 are the weights at the end of the stage before, F the mean squared gradient of its loss there (the diagonal of the
Fisher information), scaled to mean 1 so that lambda means the same for every network.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Anchor:
    """Where the weights were, and how much each of them mattered."""

    def __init__(self, model: nn.Module, losses: Iterable[Tensor]) -> None:
        """`losses` are losses of fresh batches under the model as it is now; their gradients are taken one by one."""
        named = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
        self._at = {name: weights.detach().clone() for name, weights in named}
        self._importance = {name: torch.zeros_like(weights) for name, weights in named}
        for loss in losses:
            gradients = torch.autograd.grad(loss, [weights for _, weights in named], allow_unused=True)
            for (name, _), gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    self._importance[name] += gradient.square()
        count = sum(weights.numel() for _, weights in named)
        mean = sum(float(values.sum()) for values in self._importance.values()) / max(count, 1)
        for values in self._importance.values():
            values /= max(mean, 1e-30)

    def penalty(self, model: nn.Module, strength: float) -> Tensor:
        """lambda / 2 * sum of F (w - w1)^2, a scalar."""
        total = torch.zeros(())
        for name, weights in model.named_parameters():
            if name in self._at:
                total = total + (self._importance[name] * (weights - self._at[name]).square()).sum()
        return strength / 2 * total
