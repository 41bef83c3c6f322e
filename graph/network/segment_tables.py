"""The segment side of the hire graph: one vector an occupation, and what it may borrow from others.

    h_o = id[o] + section[o] + major[o]        a rare occupation is close to its group      (always)
        + W title[o]                           and to those that are called alike           (titles > 0)
    H   = mean of H, A H, ..., A^k H           and to those that people move to and from    (smoothing = k > 0)

The last line is LightGCN's propagation over segment - seeker - segment: A is the symmetrically normalised matrix of the
changes between two segments, in either direction (He et al., LightGCN, SIGIR 2020). Time C * width for the tables and
C^2 * width for a step of propagation; segments are few (hundreds), so a dense product beats gather and scatter.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from market.taxonomy import Taxonomy


class SegmentTable(nn.Module):
    """float32[C+1, width]: vectors of C segments and, last, of the unknown one."""

    def __init__(self, taxonomy: Taxonomy, width: int, titles: int = 0) -> None:
        super().__init__()
        groups = len(taxonomy.section_names), len(taxonomy.major_names)  # the next position: of the unknown segment
        self.register_buffer("section", _with_unknown(taxonomy.section, groups[0]), persistent=False)  # [C+1]
        self.register_buffer("major", _with_unknown(taxonomy.major, groups[1]), persistent=False)  # [C+1]
        self.own = nn.Embedding(len(taxonomy) + 1, width)
        self.of_section = nn.Embedding(groups[0] + 1, width)
        self.of_major = nn.Embedding(groups[1] + 1, width)
        for table in (self.own, self.of_section, self.of_major):
            nn.init.normal_(table.weight, std=0.5 / width**0.5)
        self.of_title = nn.Linear(titles, width, bias=False) if titles else None

    def forward(self, titles: Tensor | None, neighbours: Tensor | None, steps: int) -> Tensor:
        """titles float32[C+1, t] or None; neighbours float32[C+1, C+1] or None: the matrix A, applied `steps` times."""
        h = self.own.weight + self.of_section(self.section) + self.of_major(self.major)  # [C+1, width]
        if self.of_title is not None:
            h = h + self.of_title(titles)  # [C+1, width]
        if neighbours is None:
            return h
        layers = [h]
        for _ in range(steps):
            layers.append(neighbours @ layers[-1])  # [C+1, width]
        return torch.stack(layers).mean(dim=0)  # [C+1, width]


def neighbours_of(current: np.ndarray, target: np.ndarray, segments: int) -> np.ndarray:
    """float32[C+1, C+1]: D^-1/2 (M + M^T) D^-1/2, M the changes from current to target (int[n]), D its row sums.

    Segments nobody moved to or from, and the unknown one, are neighbours of themselves only.
    """
    moves = np.zeros((segments + 1, segments + 1))
    np.add.at(moves, (current, target), 1.0)
    moves += moves.T
    degree = moves.sum(axis=1)
    alone = np.flatnonzero(degree == 0)
    moves[alone, alone] = degree[alone] = 1.0
    return (moves / np.sqrt(degree[:, None] * degree)).astype(np.float32)


def _with_unknown(member: np.ndarray, unknown: int) -> Tensor:
    return torch.from_numpy(np.append(member, unknown).astype(np.int64))
