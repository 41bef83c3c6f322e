"""The graph neural network that predicts hires: seekers at a time on one side, segments on the other.

    segment side    h_o = id[o] + section[o] + major[o]          rare occupations borrow from their group
    seeker side     a = encoder of the history                   message edges, weighed by recency and age of the item
                    s = MLP(h_current, a, attributes)            inductive: a seeker needs no row of its own
    score of o      <s, out_o> + <sum_j w_j U[h_j], V_o> + b_o + sum_j copy_ij [h_j = o]

The first three terms are one dot product <seeker vector, occupation vector>, which an index can serve; the last one
speaks of the few occupations in the person's own past and is served as boosts. A second head predicts whether the next
occupation is the current one; all in all

    P(o) = p_stay [o = current] + (1 - p_stay) softmax over o != current of score(o)

Cost with the default widths, 546 segments: .44 M parameters with attention, .55 M with the recurrent encoder, growing
with the segments; a training step of 512 instances takes about 25 ms of one core, reading 2,048 seekers about 50 ms a
member, both proportional to the instances, to the items of their histories, and (the last product) to the segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from graph.bipartite import ATTRIBUTES, HELD_BY, LONGEST_HISTORY
from graph.network.copy_path import COPY_PATHS, CopyPath, add_boosts, without_current
from graph.network.encoders import ENCODERS
from graph.network.segment_tables import SegmentTable
from market.errors import ConfigError
from market.taxonomy import Taxonomy

RANK_WIDTH = 8


@dataclass(frozen=True)
class ModelConfig:
    """Widths and kinds. A member's vectors have seeker + memory + 1 coordinates: 256 by default."""

    width: int = 128  # of a segment inside the network
    heads: int = 4
    hidden: int = 192
    seeker: int = 128
    memory: int = 127  # rank of the transition memory
    periods: int = 1  # calendar years with a stay rate of their own
    dropout: float = 0.2
    encoder: str = "attention"  # of the history: one of ENCODERS
    copy: str = "rank"  # of the own past: one of COPY_PATHS
    smoothing: int = 0  # steps of propagation over segment - seeker - segment
    titles: int = 0  # width of the title vectors, 0: titles are not read

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise ConfigError(f"encoder has to be one of {', '.join(ENCODERS)}, not {self.encoder!r}")
        if self.copy not in COPY_PATHS:
            raise ConfigError(f"copy has to be one of {', '.join(COPY_PATHS)}, not {self.copy!r}")
        if min(self.width, self.heads, self.hidden, self.seeker, self.memory, self.periods) < 1:
            raise ConfigError("width, heads, hidden, seeker, memory and periods have to be at least 1")
        if self.width % self.heads or self.width % 2:
            raise ConfigError(f"width {self.width} has to be even and a multiple of heads {self.heads}")
        if min(self.smoothing, self.titles) < 0 or not 0 <= self.dropout < 1:
            raise ConfigError("smoothing and titles have to be at least 0, dropout in [0, 1)")


class HireGNN(nn.Module):
    """Scores of C segments for seekers at a time.

    attribute_mean, attribute_scale, year_range, titles and neighbours are no parameters: they are set from the data.
    """

    def __init__(self, taxonomy: Taxonomy, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        segments = len(taxonomy)
        attributes = len(ATTRIBUTES) + 1  # and a flag for unknown schooling
        features = RANK_WIDTH + 1  # of a message edge: its rank and its age
        self.register_buffer("attribute_mean", torch.zeros(len(ATTRIBUTES)))
        self.register_buffer("attribute_scale", torch.ones(len(ATTRIBUTES)))
        self.register_buffer("year_range", torch.zeros(2))
        self.register_buffer("title_vectors", torch.zeros(segments + 1, config.titles) if config.titles else None)
        self.register_buffer("neighbours", torch.eye(segments + 1) if config.smoothing else None)

        self.segment_in = SegmentTable(taxonomy, config.width, config.titles)
        self.segment_out = SegmentTable(taxonomy, config.seeker, config.titles)
        self.direction = nn.Parameter(torch.zeros(config.width))  # of a career that is read from its end
        self.query = nn.Linear(config.width + attributes, config.width)
        self.rank = nn.Embedding(LONGEST_HISTORY, RANK_WIDTH)
        self.encoder = ENCODERS[config.encoder](config.width, config.heads, features, config.dropout)
        self.body = nn.Sequential(
            nn.Linear(2 * config.width + attributes, config.hidden), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.to_seeker = nn.Linear(config.hidden, config.seeker)
        self.memory_in = nn.Embedding(segments + 1, config.memory)
        self.memory_out = nn.Parameter(torch.zeros(segments, config.memory))
        self.memory_rank = nn.Parameter(0.5 ** torch.arange(LONGEST_HISTORY).float())
        self.bias = nn.Parameter(torch.zeros(segments))
        self.copy = CopyPath(config.copy, segments, config.hidden, features, attributes)
        self.stay = nn.Linear(config.hidden, 1)
        self.stay_segment = nn.Parameter(torch.zeros(segments + 1, 1))
        self.stay_period = nn.Parameter(torch.zeros(config.periods))

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor, Tensor]:
        """(seeker vectors float32[n, d], boosts of the message edges float32[e], stay logits float32[n])."""
        edges = data[HELD_BY].edge_index  # [2, e] of (segment, instance)
        rank, years_ago = data[HELD_BY].edge_attr.unbind(dim=1)  # [e], [e]
        rank = rank.long()
        current = data["seeker"].current  # [n]
        x, period = self._attributes(data["seeker"].x)  # [n, a], [n]

        h = self.segment_in(self.title_vectors, self.neighbours, self.config.smoothing)  # [C+1, w]
        here = h[current]  # [n, w]
        if "mirrored" in data["seeker"]:  # only in training
            here = here + data["seeker"].mirrored[:, None] * self.direction  # [n, w]
        features = torch.cat([self.rank(rank), torch.log1p(years_ago)[:, None]], dim=1)  # [e, f]
        query = self.query(torch.cat([here, x], dim=1))  # [n, w]
        past = self.encoder(h, query, edges, features)  # [n, w]
        body = self.body(torch.cat([here, past, x], dim=1))  # [n, hidden]

        weighted = self.memory_in(edges[0]) * self.memory_rank[rank][:, None]  # [e, m]
        memory = weighted.new_zeros(len(x), weighted.shape[1]).index_add(0, edges[1], weighted)  # [n, m]
        vectors = torch.cat([self.to_seeker(body), memory, memory.new_ones(len(x), 1)], dim=1)  # [n, d]
        boosts = self.copy(edges, rank, features, body, x, current)  # [e]
        stay = (self.stay(body) + self.stay_segment[current])[:, 0] + self.stay_period[period]  # [n]
        return vectors, boosts, stay

    def occupation_vectors(self) -> Tensor:
        """float32[C, d]: the segment side of the dot product; the last coordinate is the bias."""
        out = self.segment_out(self.title_vectors, self.neighbours, self.config.smoothing)[:-1]  # [C, s]
        return torch.cat([out, self.memory_out, self.bias[:, None]], dim=1)

    def change_scores(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """(scores float32[n, C] with -inf at the current segment, stay logits float32[n])."""
        vectors, boosts, stay = self(data)
        scores = F.linear(vectors, self.occupation_vectors())  # [n, C]
        scores = add_boosts(scores, data[HELD_BY].edge_index, boosts)
        return without_current(scores, data["seeker"].current), stay

    def _attributes(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(float32[n, a] standardised attributes and a flag for unknown schooling, int64[n] period).

        The calendar year is kept inside what training saw: the model has no opinion on later years.
        """
        year = torch.minimum(torch.maximum(raw[:, 1], self.year_range[0]), self.year_range[1])  # [n]
        period = (year.floor() - self.year_range[0].floor()).long().clamp(0, len(self.stay_period) - 1)
        raw = torch.cat([raw[:, :1], year[:, None], raw[:, 2:]], dim=1)
        standard = ((raw - self.attribute_mean) / self.attribute_scale).nan_to_num(0.0).clamp(-4, 4)
        return torch.cat([standard, raw[:, :1].isnan().float()], dim=1), period
