"""What a history says: from the message edges of a seeker to one vector, in four ways that the ablation compares.

    attention     GATv2: the current occupation and the attributes ask, every item answers
    mean          GraphSAGE: the mean of the items
    gru           a gated recurrent unit over the items, oldest first
    transformer   one layer of self-attention over the question and the items

The first two know the order only by the rank on an edge (the mean does not even see that). All are called with

    segments float32[C+1, w], question float32[n, w], edges int64[2, e] of (segment, seeker), features float32[e, f]

edges sorted by seeker, newest item first, and return float32[n, w]; a seeker without edges gets what no item says. Time
is proportional to e; the recurrent one costs two to three times as much as the others.

Brody, Alon and Yahav, How attentive are graph attention networks? (ICLR 2022); Hamilton, Ying and Leskovec, Inductive
representation learning on large graphs (NIPS 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch_geometric.nn import GATv2Conv, SAGEConv
from torch_geometric.utils import to_dense_batch

from graph.bipartite import LONGEST_HISTORY


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, features: int, dropout: float) -> None:
        super().__init__()
        self.layer = GATv2Conv(width, width // heads, heads, edge_dim=features, add_self_loops=False)

    def forward(self, segments: Tensor, question: Tensor, edges: Tensor, features: Tensor) -> Tensor:
        return self.layer((segments, question), edges, features)  # [n, w]


class Mean(nn.Module):
    def __init__(self, width: int, heads: int, features: int, dropout: float) -> None:
        super().__init__()
        self.layer = SAGEConv(width, width)

    def forward(self, segments: Tensor, question: Tensor, edges: Tensor, features: Tensor) -> Tensor:
        return self.layer((segments, question), edges)  # [n, w]


class Recurrent(nn.Module):
    def __init__(self, width: int, heads: int, features: int, dropout: float) -> None:
        super().__init__()
        self.item = nn.Linear(width, width)
        self.layer = nn.GRU(width + features, width, batch_first=True)
        self.out = nn.Linear(width, width)

    def forward(self, segments: Tensor, question: Tensor, edges: Tensor, features: Tensor) -> Tensor:
        seekers = len(question)
        if seekers == 0:
            return question  # torch refuses to pack nothing
        # Turned round as a whole, every history is oldest first and the seekers stand in the opposite order.
        turned = torch.stack([edges[0], seekers - 1 - edges[1]]).flip(1)  # [2, e]
        items, there = _in_rows(self.item(segments), turned, features.flip(0), seekers)  # [n, L, w+f], [n, L]
        lengths = there.sum(dim=1).clamp(min=1).cpu()  # [n]; without a history: one item that says nothing
        packed = pack_padded_sequence(items, lengths, batch_first=True, enforce_sorted=False)
        state = self.layer(packed)[1][0]  # [n, w]
        return self.out(state.flip(0))  # [n, w]


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, features: int, dropout: float) -> None:
        super().__init__()
        self.item = nn.Linear(width + features, width)
        self.layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)

    def forward(self, segments: Tensor, question: Tensor, edges: Tensor, features: Tensor) -> Tensor:
        if len(question) == 0:
            return question  # torch refuses a crowd of nobody
        items, there = _in_rows(segments, edges, features, len(question))  # [n, L, w+f], [n, L]
        tokens = torch.cat([question[:, None], self.item(items)], dim=1)  # [n, 1+L, w]
        missing = torch.cat([torch.zeros_like(there[:, :1]), ~there], dim=1)  # [n, 1+L]
        return self.layer(tokens, src_key_padding_mask=missing)[:, 0]  # [n, w]


ENCODERS: dict[str, type[nn.Module]] = {
    "attention": Attention,
    "mean": Mean,
    "gru": Recurrent,
    "transformer": SelfAttention,
}


def _in_rows(segments: Tensor, edges: Tensor, features: Tensor, seekers: int) -> tuple[Tensor, Tensor]:
    """(float32[n, L, w+f] items in the order of the edges, zeros beyond; bool[n, L] is there an item)."""
    items = torch.cat([segments[edges[0]], features], dim=1)  # [e, w+f]
    return to_dense_batch(items, edges[1], max_num_nodes=LONGEST_HISTORY, batch_size=seekers)
