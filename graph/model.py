"""The graph neural network that predicts hires, and the artefact that holds a fitted one.

    segment side    h_o = id[o] + section[o] + major[o]          rare occupations borrow from their group
    seeker side     a = attention over the history (message edges, weighed by recency and age of the item)
                    s = MLP(h_current, a, attributes)            inductive: a seeker needs no row of its own
    score of o      <s, out_o> + <sum_j w_j U[h_j], V_o> + b_o + sum_j copy_j [h_j = o]

The first three terms are one dot product <seeker vector, occupation vector>, which an index can serve; the last one
speaks of the few occupations in the person's own past and is served as boosts. A second head predicts whether the next
occupation is the current one; all in all

    P(o) = p_stay [o = current] + (1 - p_stay) softmax over o != current of score(o)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData
from torch_geometric.nn import GATv2Conv

from graph.bipartite import ATTRIBUTES, HELD_BY, LONGEST_HISTORY
from market.taxonomy import Taxonomy


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the network. The served vectors have seeker + memory + 1 coordinates per member."""

    width: int = 128  # of a segment inside the network
    heads: int = 4
    hidden: int = 192
    seeker: int = 128
    memory: int = 64  # rank of the transition memory
    dropout: float = 0.2


class HireGNN(nn.Module):
    """Scores of C segments for seekers at a time. `attribute_mean`, `attribute_scale` and `year_range` are data."""

    def __init__(self, taxonomy: Taxonomy, config: ModelConfig) -> None:
        super().__init__()
        segments = len(taxonomy)
        groups = (len(taxonomy.section_names) + 1, len(taxonomy.major_names) + 1)  # one more: of the unknown segment
        self.config = config
        self.register_buffer("section", _with_unknown(taxonomy.section, groups[0] - 1))  # [C+1]
        self.register_buffer("major", _with_unknown(taxonomy.major, groups[1] - 1))  # [C+1]
        self.register_buffer("attribute_mean", torch.zeros(len(ATTRIBUTES)))
        self.register_buffer("attribute_scale", torch.ones(len(ATTRIBUTES)))
        self.register_buffer("year_range", torch.tensor([0.0, 0.0]))

        self.segment_in = _Hierarchy(segments + 1, groups, config.width)
        self.segment_out = _Hierarchy(segments + 1, groups, config.seeker)
        self.rank = nn.Embedding(LONGEST_HISTORY, 8)
        self.attention = GATv2Conv(
            (config.width, config.width),
            config.width // config.heads,
            heads=config.heads,
            edge_dim=9,
            add_self_loops=False,
        )
        seen = len(ATTRIBUTES) + 1  # attributes and a flag for unknown schooling
        self.query = nn.Linear(config.width + seen, config.width)
        self.body = nn.Sequential(
            nn.Linear(2 * config.width + seen, config.hidden), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.to_seeker = nn.Linear(config.hidden, config.seeker)
        self.memory_in = nn.Embedding(segments + 1, config.memory)
        self.memory_out = nn.Parameter(torch.zeros(segments, config.memory))
        self.memory_rank = nn.Parameter(0.5 ** torch.arange(LONGEST_HISTORY).float())
        self.bias = nn.Parameter(torch.zeros(segments))
        self.copy = nn.Parameter(torch.ones(LONGEST_HISTORY))
        self.stay = nn.Linear(config.hidden, 1)
        self.stay_segment = nn.Embedding(segments + 1, 1)
        nn.init.zeros_(self.stay_segment.weight)

    def attributes(self, raw: Tensor) -> Tensor:
        """float32[n, 7]: standardised attributes, the year kept inside what training saw, and a missing flag."""
        year = raw[:, 1].clamp(self.year_range[0], self.year_range[1])
        raw = torch.cat([raw[:, :1], year[:, None], raw[:, 2:]], dim=1)
        missing = raw.isnan()[:, :1].float()  # only schooling can be unknown
        standard = ((raw - self.attribute_mean) / self.attribute_scale).nan_to_num(0.0).clamp(-4, 4)
        return torch.cat([standard, missing], dim=1)

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """(seeker vectors float32[n, d], stay logits float32[n]) of the seekers in the graph."""
        segment, instance = data[HELD_BY].edge_index  # [e], [e]
        rank, years_ago = data[HELD_BY].edge_attr.unbind(dim=1)
        current = data["seeker"].current
        h = self.segment_in(self.section, self.major)  # [C+1, w]
        x = self.attributes(data["seeker"].x)  # [n, 7]
        edge = torch.cat([self.rank(rank.long()), torch.log1p(years_ago)[:, None]], dim=1)  # [e, 9]
        query = self.query(torch.cat([h[current], x], dim=1))  # [n, w]
        past = self.attention((h, query), data[HELD_BY].edge_index, edge)  # [n, w]
        body = self.body(torch.cat([h[current], past, x], dim=1))  # [n, hidden]

        weighted = self.memory_in(segment) * self.memory_rank[rank.long()][:, None]  # [e, memory]
        memory = weighted.new_zeros(len(x), weighted.shape[1]).index_add(0, instance, weighted)  # [n, memory]
        vectors = torch.cat([self.to_seeker(body), memory, memory.new_ones(len(x), 1)], dim=1)  # [n, d]
        return vectors, (self.stay(body) + self.stay_segment(current))[:, 0]

    def occupation_vectors(self) -> Tensor:
        """float32[C, d]: the segment side of the dot product; the last coordinate is the bias."""
        out = self.segment_out(self.section, self.major)[:-1]  # [C, s]
        return torch.cat([out, self.memory_out, self.bias[:, None]], dim=1)

    def change_scores(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """(scores float32[n, C] with -inf at the current segment, stay logits float32[n]): the slow, obvious form."""
        vectors, stay = self(data)
        scores = F.linear(vectors, self.occupation_vectors())  # [n, C]
        segment, instance = data[HELD_BY].edge_index
        rank = data[HELD_BY].edge_attr[:, 0].long()
        known = segment < scores.shape[1]
        where = (instance[known], segment[known])
        scores = scores.index_put(where, self.copy[rank[known]], accumulate=True)
        current = data["seeker"].current
        has = torch.nonzero(current < scores.shape[1])[:, 0]
        scores = scores.index_put((has, current[has]), scores.new_tensor(-torch.inf))
        return scores, stay


class _Hierarchy(nn.Module):
    """Embedding of a segment as the sum of its own, its section's and its major group's."""

    def __init__(self, segments: int, groups: tuple[int, int], width: int) -> None:
        super().__init__()
        self.own = nn.Embedding(segments, width)
        self.of_section = nn.Embedding(groups[0], width)
        self.of_major = nn.Embedding(groups[1], width)
        for table in (self.own, self.of_section, self.of_major):
            nn.init.normal_(table.weight, std=0.5 / width**0.5)

    def forward(self, section: Tensor, major: Tensor) -> Tensor:
        return self.own.weight + self.of_section(section) + self.of_major(major)  # [segments, width]


def _with_unknown(member: np.ndarray, unknown: int) -> Tensor:
    return torch.from_numpy(np.append(member, unknown).astype(np.int64))
