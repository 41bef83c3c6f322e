"""What going back is worth: a boost for every occupation in a person's own past, in three ways the ablation compares.

    none     0
    rank     c[j]                                                 j: recency rank of the item
    gated    c[j] + r_j(body) + u[o] + <a[current], b[o]> + MLP(item, person)

The gate lets the boost depend on who returns (somebody whose record goes back and forth will again: much of it is noise
of coding), on what is returned to, on how often and how long ago it was held, and on where the person is now. Whatever
it depends on, it remains a number for each item of the history, so an index serves it as boosts. Time and memory are
proportional to the number of items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graph.bipartite import LONGEST_HISTORY

COPY_PATHS = ("none", "rank", "gated")
PAIR_RANK, GATE_HIDDEN = 8, 16


class CopyPath(nn.Module):
    """Every part starts at zero: what returning is worth is learned, not assumed."""

    def __init__(self, kind: str, segments: int, hidden: int, features: int, attributes: int) -> None:
        super().__init__()
        self.kind = kind
        self.of_rank = nn.Parameter(torch.zeros(LONGEST_HISTORY))
        if kind == "gated":
            self.of_person = nn.Linear(hidden, LONGEST_HISTORY)
            self.of_segment = nn.Embedding(segments + 1, 1)
            self.to_current = nn.Embedding(segments + 1, PAIR_RANK)
            self.to_item = nn.Embedding(segments + 1, PAIR_RANK)
            self.gate = nn.Sequential(
                nn.Linear(features + 1 + attributes, GATE_HIDDEN), nn.GELU(), nn.Linear(GATE_HIDDEN, 1, bias=False)
            )
            for start in (self.of_person.weight, self.of_person.bias, self.of_segment.weight, self.gate[2].weight):
                nn.init.zeros_(start)
            for start in (self.to_current.weight, self.to_item.weight):
                nn.init.normal_(start, std=0.1)

    def forward(
        self, edges: Tensor, rank: Tensor, features: Tensor, body: Tensor, x: Tensor, current: Tensor
    ) -> Tensor:
        """float32[e]: the boost of each item.

        edges int64[2, e] of (segment, seeker); rank int64[e]; features float32[e, f]; body float32[n, hidden];
        x float32[n, a] attributes; current int64[n].
        """
        segment, instance = edges
        boost = self.of_rank[rank]  # [e]
        if self.kind == "none":
            return torch.zeros_like(boost)
        if self.kind == "rank":
            return boost
        boost = boost + self.of_person(body)[instance, rank] + self.of_segment(segment)[:, 0]  # [e]
        boost = boost + (self.to_current(current)[instance] * self.to_item(segment)).sum(dim=1)  # [e]
        item = torch.cat([features, torch.log(times_held(edges, len(x)))[:, None], x[instance]], dim=1)  # [e, f+1+a]
        return boost + self.gate(item)[:, 0]  # [e]


def times_held(edges: Tensor, seekers: int) -> Tensor:
    """float32[e]: how many items of the same seeker have the segment of this item; edges int64[2, e]."""
    key = edges[0] * seekers + edges[1]
    _, inverse, count = torch.unique(key, return_inverse=True, return_counts=True)
    return count[inverse].float()


def add_boosts(scores: Tensor, edges: Tensor, boosts: Tensor) -> Tensor:
    """scores float32[n, C] with the boosts float32[e] added at (seeker, segment); unknown segments are passed over."""
    segment, instance = edges
    known = segment < scores.shape[1]
    return scores.index_put((instance[known], segment[known]), boosts[known], accumulate=True)


def without_current(scores: Tensor, current: Tensor) -> Tensor:
    """scores float32[n, C], -inf at the current segment int64[n] where it is known."""
    place = F.pad(scores, (0, 1))  # [n, C+1]: the unknown segment has a column that is dropped again
    return place.scatter(1, current[:, None], -torch.inf)[:, :-1]  # [n, C]
