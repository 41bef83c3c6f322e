"""Batch softmax: each row's own item against the other items of the batch.

    P(j | i) = exp(z_ij) / sum over the items k of the batch of exp(z_ik),     z_ij = cosine_ij / temperature - log q_j
    L        = - sum_i w_i log P(own item of i | i) / sum_i w_i

q_j is the probability that item j is in a batch at all (Yi et al., RecSys 2019): without it popular items, which turn
up as negatives most often, are pushed away most. Items known to be right for a row are never its negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor


def batch_softmax(
    cosines: Tensor,
    own: Tensor,
    excluded: Tensor,
    *,
    temperature: float,
    weight: Tensor | None = None,
    log_q: Tensor | None = None,
    hardest: int | None = None,
) -> Tensor:
    """L of the module's docstring: a scalar.

    cosines float[m, d]; own int64[m], the column of each row's item; excluded bool[m, d], columns that are no
    negatives of a row (own may be among them); weight float[m]; log_q float[d]; hardest K keeps of each row's negatives
    only the K of the highest cosine, ties by column.
    """
    logits = cosines / temperature  # [m, d]
    if log_q is not None:
        logits = logits - log_q
    rows = torch.arange(len(own))
    no_negative = excluded.clone()
    no_negative[rows, own] = True
    if hardest is not None:
        no_negative |= ~_hardest(cosines.detach(), no_negative, hardest)
    no_negative[rows, own] = False
    picked = logits.masked_fill(no_negative, -torch.inf)  # [m, d]
    losses = picked.logsumexp(1) - logits[rows, own]  # [m]
    if weight is None:
        return losses.mean()
    return (weight * losses).sum() / weight.sum()


def _hardest(cosines: Tensor, no_negative: Tensor, count: int) -> Tensor:
    """bool[m, d]: the `count` highest cosines of each row among its negatives."""
    offered = cosines.masked_fill(no_negative, -torch.inf)
    order = offered.sort(dim=1, descending=True, stable=True).indices[:, :count]  # [m, count]
    return torch.zeros_like(no_negative).scatter_(1, order, True)
