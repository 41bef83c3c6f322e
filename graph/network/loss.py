"""What training makes small, for instances with weights w (1 unless given).

    change     sum over changes of -w log softmax(score)[target] / number of changes           current excluded
    staying    sum over those with a history of w BCE(stay logit, stayed) / their number
    in group   the change loss with the occupations of the target's section as only candidates

    loss = change + stay_weight * staying + hard_negatives * in group

Staying is learned from careers read forwards only. Sums are divided by numbers, not by weights: a batch of little
weight moves the network little. The last term draws all its negatives from the same group (the hard ones) and is off
by default: see the ablation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from graph.network.batches import Weighted


def hire_loss(
    scores: Tensor, stay: Tensor, batch: Weighted, section: Tensor, stay_weight: float, hard_negatives: float = 0.0
) -> Tensor:
    """scores float32[n, C], -inf at the current occupation; stay float32[n]; section int64[C] -> a scalar."""
    examples, device = batch.examples, scores.device
    changed = torch.from_numpy(examples.changed).to(device)
    told = examples.lengths > 0 if batch.mirrored is None else (examples.lengths > 0) & ~batch.mirrored
    has = torch.from_numpy(told).to(device)
    target = torch.from_numpy(examples.target.astype(np.int64)).to(device)
    weight = None if batch.weights is None else torch.from_numpy(batch.weights).to(device)

    loss = _weighted_sum(scores[changed], target[changed], None if weight is None else weight[changed])
    if hard_negatives:
        other = section != section[target[changed]][:, None]  # [c, C]
        inside = scores[changed].masked_fill(other, -torch.inf)  # [c, C]
        loss = loss + hard_negatives * _weighted_sum(
            inside, target[changed], None if weight is None else weight[changed]
        )
    staying = F.binary_cross_entropy_with_logits(
        stay[has], (~changed[has]).float(), None if weight is None else weight[has], reduction="sum"
    )
    return loss / max(int(changed.sum()), 1) + stay_weight * staying / max(int(has.sum()), 1)


def _weighted_sum(scores: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return F.cross_entropy(scores, target, reduction="sum")
    return weight @ F.cross_entropy(scores, target, reduction="none")
