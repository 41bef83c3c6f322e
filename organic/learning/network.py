"""A wide and deep tower, and two of them: the network that is trained on engagement.

    deep = relu(x W1 + b1) W2            x the dense input: means of text vectors and flags
    wide = x S + sum over the entities e of the row of weight_e * E[e]
    tower(row) = (deep + wide) / |deep + wide|

Training starts where text alone stands: W2 is 0, both sides' S project the same text to the same place (weighed by
hand), and both tables E begin as one, so that a title and a job of that title meet before anything is learned, and
those that training never sees go on doing so.

Cheng et al. 2016 (arXiv 1606.07792) for wide and deep; Shen et al. 2024 (arXiv 2402.13435) for two of them by cosine.
`model.py` computes the same in numpy for serving; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from market.errors import ConfigError
from organic.learning.features import Features, dense_width


@dataclass(frozen=True)
class NetworkConfig:
    """hidden is the width of the one hidden layer, dimension that of the vectors; dropout of the dense input parts."""

    hidden: int = 256
    dimension: int = 128
    entity_scale: float = 1.0  # length of an entity's vector at the start; a text's is about 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.dimension < 1 or not 0 <= self.dropout < 1 or not self.entity_scale >= 0:
            raise ConfigError(
                f"hidden {self.hidden}, dimension {self.dimension}, dropout {self.dropout}, entity_scale "
                f"{self.entity_scale}; expected at least 1, 1, a share below 1, at least 0"
            )


# How much of each part's text vector the linear map starts with; the order of REQUEST_PARTS and JOB_PARTS.
REQUEST_START = (1.0, 0.6, 0.2, 0.3, 0.5, -0.1)
JOB_START = (0.6, 0.2, 0.6)


class Tower(nn.Module):
    """Rows of one side to unit vectors."""

    def __init__(self, start: tuple[float, ...], texts: Tensor, entities: Tensor, config: NetworkConfig) -> None:
        """start: a share for each part; texts [D, d] and entities [buckets, D]: where the linear maps begin."""
        super().__init__()
        dimension, width = len(texts), dense_width(len(start), texts.shape[1])
        self.drop = nn.Dropout(config.dropout)
        self.inner = nn.Linear(width, config.hidden)
        self.outer = nn.Linear(config.hidden, dimension, bias=False)
        self.direct = nn.Linear(width, dimension, bias=False)
        self.entities = nn.EmbeddingBag.from_pretrained(entities.clone(), freeze=False, mode="sum")
        nn.init.zeros_(self.outer.weight)
        with torch.no_grad():
            flags = torch.zeros(dimension, len(start))
            self.direct.weight.copy_(torch.cat([*(share * texts for share in start), flags], dim=1))  # [D, P(d+1)]

    def forward(self, dense: Tensor, entities: Tensor, begins: Tensor, weights: Tensor) -> Tensor:
        deep = self.outer(torch.relu(self.inner(self.drop(dense))))  # [m, D]
        wide = self.direct(dense) + self.entities(entities, begins, per_sample_weights=weights)  # [m, D]
        return nn.functional.normalize(deep + wide, dim=1)


class EngagementNetwork(nn.Module):
    """Both towers over the rows of two feature tables; the tables themselves are not trained."""

    def __init__(self, requests: Features, items: Features, buckets: int, config: NetworkConfig) -> None:
        super().__init__()
        width = requests.texts.shape[1]
        texts = torch.randn(config.dimension, width) / config.dimension**0.5  # keeps lengths and angles on average
        entities = torch.randn(buckets, config.dimension) * config.entity_scale / config.dimension**0.5
        self.request = Tower(REQUEST_START, texts, entities, config)
        self.item = Tower(JOB_START, texts, entities, config)
        self._requests, self._items = requests, items

    def request_vectors(self, rows: Tensor) -> Tensor:
        """float[m, D] for request rows int64[m]."""
        return _through(self.request, self._requests, rows)

    def item_vectors(self, rows: Tensor) -> Tensor:
        """float[d, D] for job rows int64[d]."""
        return _through(self.item, self._items, rows)


def _through(tower: Tower, features: Features, rows: Tensor) -> Tensor:
    chosen = rows.numpy()
    entities, begins, weights = (torch.from_numpy(part) for part in features.bags(chosen))
    return tower(torch.from_numpy(features.dense(chosen)), entities, begins, weights)  # [m, D]
