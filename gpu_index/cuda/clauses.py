"""What the clauses of a batch ask for, as flat arrays: each distinct group of terms once.

A query's match is present AND group AND group ... AND NOT excluded, where a group is the OR of its terms, from bitmaps
if they have one, else from postings. The terms a query excludes are one more group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gpu_index.cuda.postings import Postings
from gpu_index.cuda.transfer import send
from gpu_index.engine import NumberedClause

CHUNK = 1024  # postings one program takes


@dataclass(frozen=True)
class GroupPlan:
    """How to evaluate G groups for B queries, on the device.

    dense_rows   int32[n], bitmaps to OR, group after group; dense_start int32[G+1] where each group's begin
    base, tail   int64[i,3], pieces (group, first posting, postings) of the base and of the tail
    members      int32[B,M], the groups a query ANDs, -1 beyond its own
    excluded     int32[B], the group it must not match, -1 for none
    """

    dense_rows: torch.Tensor
    dense_start: torch.Tensor
    base: torch.Tensor
    tail: torch.Tensor
    members: torch.Tensor
    excluded: torch.Tensor

    @property
    def groups(self) -> int:
        """How many distinct groups."""
        return len(self.dense_start) - 1


def plan_groups(
    clauses: Sequence[NumberedClause | None], postings: Postings, batch: int, device: torch.device
) -> GroupPlan:
    """Clauses of the first queries of a padded batch; the queries behind them get no group."""
    number_of: dict[bytes, int] = {}
    groups: list[np.ndarray] = []

    def group(terms: np.ndarray) -> int:
        number = number_of.setdefault(terms.tobytes(), len(groups))
        if number == len(groups):
            groups.append(terms)
        return number

    own = [[] if clause is None else [group(terms) for terms in clause.groups] for clause in clauses]
    members = np.full((batch, max([1, *map(len, own)])), -1, np.int32)
    excluded = np.full(batch, -1, np.int32)
    for query, (clause, indices) in enumerate(zip(clauses, own, strict=True)):
        members[query, : len(indices)] = indices
        if clause is not None and len(clause.none_of):
            excluded[query] = group(clause.none_of)

    numbers = np.concatenate([np.empty(0, np.int32), *groups])
    owner = np.repeat(np.arange(len(groups)), [len(terms) for terms in groups])
    rows = postings.dense_rows(numbers)
    dense = rows >= 0
    ranges = postings.ranges(numbers[~dense])
    start = np.searchsorted(owner[dense], np.arange(len(groups) + 1)).astype(np.int32)
    arrays = [rows[dense], start, pieces(owner[~dense], *ranges.base), pieces(owner[~dense], *ranges.tail)]
    return GroupPlan(*send([*arrays, members, excluded], device))


def pieces(owner: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Ranges of postings cut into pieces of at most 1024 -> int64[i,3] of owner, first posting, postings."""
    counts = (stop - start + CHUNK - 1) // CHUNK
    which = np.repeat(np.arange(len(owner)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = start[which] + within * CHUNK
    return np.stack([owner[which], first, np.minimum(stop[which] - first, CHUNK)], axis=1).astype(np.int64)
