"""Learned aggregators: a convolution, a recurrent net, a transformer and learned weights over [e_i ; onehot(a_i)].

    g: x [b, L, D + 4], held bool[b, L] -> h [b, D]        D: width of the job vectors, 4: three actions and PAD

All ignore what is padded: a row gives the same h whatever L it is padded to (up to rounding). Shape of the
convolution: LinkedIn ships a CNN without saying which; two convolutions of width 3 with 128 channels are our default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from organic.activity.sequences import KINDS, Sequences


class ActivityCNN(nn.Module):
    """Two convolutions over neighbouring actions, the strongest answer of each channel, one dense layer."""

    def __init__(self, width: int, length: int, channels: int = 128) -> None:
        super().__init__()
        self.first = nn.Conv1d(width + KINDS, channels, 3, padding=1)
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        self.dense = nn.Linear(channels, width)

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        seen = held[:, None, :].to(x.dtype)  # [b, 1, L]
        h = torch.relu(self.first(x.transpose(1, 2) * seen)) * seen  # [b, c, L]
        h = torch.relu(self.second(h)) * seen  # after a ReLU no real value is below the zeros of padded places
        return self.dense(h.amax(dim=2))  # [b, width]


class ActivityLSTM(nn.Module):
    """The state after the newest action."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width + KINDS, width, batch_first=True)
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        states, _ = self.lstm(x)  # [b, L, width]; padding comes after the newest action and can not reach it
        newest = held.sum(dim=1) - 1  # [b]
        return self.dense(states[torch.arange(len(x)), newest])  # [b, width]


class ActivityTransformer(nn.Module):
    """A layer of attention; a learned position counts back from the newest action, whose output is read."""

    def __init__(self, width: int, length: int, heads: int = 4, layers: int = 1) -> None:
        super().__init__()
        self.enter = nn.Linear(width + KINDS, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, math.gcd(width, heads), 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.dense = nn.Linear(width, width)

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        newest = held.sum(dim=1) - 1  # [b]
        age = (newest[:, None] - torch.arange(x.shape[1])).clamp(min=0)  # [b, L]
        h = self.layers(self.enter(x) + self.position[age], src_key_padding_mask=~held)  # [b, L, width]
        return self.dense(h[torch.arange(len(x)), newest])  # [b, width]


class ActivityAttention(nn.Module):
    """A weighted mean whose weights are learned, by age and by what was done: mean and decay are special cases.

    h = sum over i of softmax(u x_i + position[age_i]) (e_i + V x_i)        starts as the mean: u, V, position are 0
    """

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.width = width
        self.weigh = nn.Linear(width + KINDS, 1, bias=False)
        self.value = nn.Linear(width + KINDS, width, bias=False)
        self.position = nn.Parameter(torch.zeros(length))
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.value.weight)

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        newest = held.sum(dim=1) - 1  # [b]
        age = (newest[:, None] - torch.arange(x.shape[1])).clamp(min=0)  # [b, L]
        weight = self.weigh(x).squeeze(2) + self.position[age]  # [b, L]
        share = weight.masked_fill(~held, -torch.inf).softmax(dim=1)
        return (share[:, :, None] * (x[:, :, : self.width] + self.value(x))).sum(dim=1)  # [b, width]


NETWORKS: dict[str, type[nn.Module]] = {
    "cnn": ActivityCNN,
    "lstm": ActivityLSTM,
    "transformer": ActivityTransformer,
    "attention": ActivityAttention,
}


class ProxyHead(nn.Module):
    """Logit that the held-out action is positive: w (h * e_n) + b, the softmax of two classes in one number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return self.linear(h * e).squeeze(1)  # [b]


def inputs(sequences: Sequences) -> tuple[Tensor, Tensor]:
    """(x float32[n, l, D + 4], held bool[n, l]), l = the longest row; no padding beyond what the rows need."""
    longest = int(sequences.count.max(initial=1))
    held = np.arange(longest) < sequences.count[:, None]  # [n, l]
    e = sequences.jobs[sequences.job[:, :longest]]  # [n, l, D]
    onehot = np.eye(KINDS, dtype=np.float32)[sequences.action[:, :longest]]  # [n, l, 4]
    x = np.concatenate([e, onehot], axis=2) * held[:, :, None]
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(held)


def encode(net: nn.Module, sequences: Sequences, rows_per_pass: int) -> np.ndarray:
    """float32[n, D]: h of each row, zeros for an empty one.

    One row a pass is the form that is served: the shape of a pass, and so every bit of the answer, then depends on that
    row alone. More rows a pass are several times faster and agree to rounding (about 1e-6).
    """
    out = np.zeros((len(sequences), sequences.jobs.shape[1]), np.float32)
    rows = np.flatnonzero(sequences.count > 0)
    if rows_per_pass > 1:
        rows = rows[np.argsort(sequences.count[rows], kind="stable")]  # rows of one length share a pass
    net.eval()
    with one_thread(), torch.no_grad():
        for begin in range(0, len(rows), rows_per_pass):
            part = rows[begin : begin + rows_per_pass]
            out[part] = net(*inputs(sequences.take(part))).numpy()
    return out


@contextmanager
def one_thread() -> Iterator[None]:
    """Small batches gain nothing from threads, and sums come out in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
