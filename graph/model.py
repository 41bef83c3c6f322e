"""The graph neural network that predicts hires, and the artefact that holds a fitted one.

    segment side    h_o = id[o] + section[o] + major[o]          rare occupations borrow from their group
    seeker side     a = attention over the history (message edges, weighed by recency and age of the item)
                    s = MLP(h_current, a, attributes)            inductive: a seeker needs no row of its own
    score of o      <s, out_o> + <sum_j w_j U[h_j], V_o> + b_o + sum_j copy_j [h_j = o]

The first three terms are one dot product <seeker vector, occupation vector>, which an index can serve; the last one
speaks of the few occupations in the person's own past and is served as boosts. A second head predicts whether the next
occupation is the current one; all in all

    P(o) = p_stay [o = current] + (1 - p_stay) softmax over o != current of score(o)

Attention: Brody, Alon and Yahav, How attentive are graph attention networks? (GATv2, ICLR 2022).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData
from torch_geometric.nn import GATv2Conv

from graph.bipartite import ATTRIBUTES, HELD_BY, LONGEST_HISTORY, Examples, hetero_data, history_edges
from market.artefacts import open_artefact, writing
from market.taxonomy import Taxonomy

KIND, FORMAT = "hire-model", 1
BLOCK = 2048  # instances scored at a time
LARGEST_STAY_LOGIT = 12.0  # keeps the boost of the current occupation finite


@dataclass(frozen=True)
class ModelConfig:
    """Widths of the network. A member's vectors have seeker + memory + 1 coordinates: 256 by default."""

    width: int = 128  # of a segment inside the network
    heads: int = 4
    hidden: int = 192
    seeker: int = 128
    memory: int = 127  # rank of the transition memory
    periods: int = 1  # calendar years with a stay rate of their own
    dropout: float = 0.2


class HireGNN(nn.Module):
    """Scores of C segments for seekers at a time. attribute_mean, attribute_scale and year_range come from data."""

    def __init__(self, taxonomy: Taxonomy, config: ModelConfig) -> None:
        super().__init__()
        segments = len(taxonomy)
        groups = (len(taxonomy.section_names) + 1, len(taxonomy.major_names) + 1)  # the last: of the unknown segment
        self.register_buffer("section", _with_unknown(taxonomy.section, groups[0] - 1))  # [C+1]
        self.register_buffer("major", _with_unknown(taxonomy.major, groups[1] - 1))  # [C+1]
        self.register_buffer("attribute_mean", torch.zeros(len(ATTRIBUTES)))
        self.register_buffer("attribute_scale", torch.ones(len(ATTRIBUTES)))
        self.register_buffer("year_range", torch.zeros(2))

        self.segment_in = Hierarchy(segments + 1, groups, config.width)
        self.segment_out = Hierarchy(segments + 1, groups, config.seeker)
        attributes = len(ATTRIBUTES) + 1  # and a flag for unknown schooling
        self.query = nn.Linear(config.width + attributes, config.width)
        self.rank = nn.Embedding(LONGEST_HISTORY, 8)
        per_head = config.width // config.heads
        self.attention = GATv2Conv(config.width, per_head, config.heads, edge_dim=9, add_self_loops=False)
        self.body = nn.Sequential(
            nn.Linear(2 * config.width + attributes, config.hidden), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.to_seeker = nn.Linear(config.hidden, config.seeker)
        self.memory_in = nn.Embedding(segments + 1, config.memory)
        self.memory_out = nn.Parameter(torch.zeros(segments, config.memory))
        self.memory_rank = nn.Parameter(0.5 ** torch.arange(LONGEST_HISTORY).float())
        self.bias = nn.Parameter(torch.zeros(segments))
        self.copy = nn.Parameter(torch.zeros(LONGEST_HISTORY))  # what returning is worth is learned, not assumed
        self.stay = nn.Linear(config.hidden, 1)
        self.stay_segment = nn.Parameter(torch.zeros(segments + 1, 1))
        self.stay_period = nn.Parameter(torch.zeros(config.periods))

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """(seeker vectors float32[n, d], stay logits float32[n]) of the seekers in the graph."""
        segment, instance = data[HELD_BY].edge_index  # [e], [e]
        rank, years_ago = data[HELD_BY].edge_attr.unbind(dim=1)  # [e], [e]
        current = data["seeker"].current  # [n]
        x, period = self._attributes(data["seeker"].x)  # [n, 7], [n]

        h = self.segment_in(self.section, self.major)  # [C+1, w]
        edge = torch.cat([self.rank(rank.long()), torch.log1p(years_ago)[:, None]], dim=1)  # [e, 9]
        query = self.query(torch.cat([h[current], x], dim=1))  # [n, w]
        past = self.attention((h, query), data[HELD_BY].edge_index, edge)  # [n, w]
        body = self.body(torch.cat([h[current], past, x], dim=1))  # [n, hidden]

        weighted = self.memory_in(segment) * self.memory_rank[rank.long()][:, None]  # [e, m]
        memory = weighted.new_zeros(len(x), weighted.shape[1]).index_add(0, instance, weighted)  # [n, m]
        vectors = torch.cat([self.to_seeker(body), memory, memory.new_ones(len(x), 1)], dim=1)  # [n, d]
        stay = (self.stay(body) + self.stay_segment[current])[:, 0] + self.stay_period[period]  # [n]
        return vectors, stay

    def occupation_vectors(self) -> Tensor:
        """float32[C, d]: the segment side of the dot product; the last coordinate is the bias."""
        out = self.segment_out(self.section, self.major)[:-1]  # [C, s]
        return torch.cat([out, self.memory_out, self.bias[:, None]], dim=1)

    def change_scores(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """(scores float32[n, C] with -inf at the current segment, stay logits float32[n])."""
        vectors, stay = self(data)
        scores = F.linear(vectors, self.occupation_vectors())  # [n, C]
        segment, instance = data[HELD_BY].edge_index
        known = segment < scores.shape[1]
        copies = self.copy[data[HELD_BY].edge_attr[known, 0].long()]
        scores = scores.index_put((instance[known], segment[known]), copies, accumulate=True)
        current = data["seeker"].current
        has = torch.nonzero(current < scores.shape[1])[:, 0]
        return scores.index_put((has, current[has]), scores.new_tensor(-torch.inf)), stay

    def _attributes(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(float32[n, 7] standardised attributes and a flag for unknown schooling, int64[n] period).

        The calendar year is kept inside what training saw: the model has no opinion on later years.
        """
        year = torch.minimum(torch.maximum(raw[:, 1], self.year_range[0]), self.year_range[1])  # [n]
        period = (year.floor() - self.year_range[0].floor()).long().clamp(0, len(self.stay_period) - 1)
        raw = torch.cat([raw[:, :1], year[:, None], raw[:, 2:]], dim=1)
        standard = ((raw - self.attribute_mean) / self.attribute_scale).nan_to_num(0.0).clamp(-4, 4)
        return torch.cat([standard, raw[:, :1].isnan().float()], dim=1), period


class Hierarchy(nn.Module):
    """Embedding of a segment: the sum of its own, its section's and its major group's."""

    def __init__(self, segments: int, groups: tuple[int, int], width: int) -> None:
        super().__init__()
        self.own = nn.Embedding(segments, width)
        self.of_section = nn.Embedding(groups[0], width)
        self.of_major = nn.Embedding(groups[1], width)
        for table in (self.own, self.of_section, self.of_major):
            nn.init.normal_(table.weight, std=0.5 / width**0.5)

    def forward(self, section: Tensor, major: Tensor) -> Tensor:
        return self.own.weight + self.of_section(section) + self.of_major(major)  # [segments, width]


@dataclass(frozen=True)
class Calibrators:
    """score / temperature for the change softmax; stay_scale * logit + stay_shift (Platt) for the stay head."""

    temperature: float = 1.0
    stay_scale: float = 1.0
    stay_shift: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What the network says of n instances, in the form an index can serve; calibrated, averaged over members.

    vectors float32[n, d]; instance int64[e], occupation int64[e], weight float32[e]: the copy path (pairs may repeat);
    current int64[n]: the known current occupation or -1; stay float32[n]: log odds of staying, -inf where that is -1.
    """

    vectors: np.ndarray
    instance: np.ndarray
    occupation: np.ndarray
    weight: np.ndarray
    current: np.ndarray
    stay: np.ndarray


@dataclass(frozen=True)
class HireModel:
    """A fitted hire graph over C occupations.

    Several members are averaged as *logits* (a geometric mean of their distributions): that stays a dot product, of the
    members' vectors laid side by side, so what an index serves is exactly what is evaluated. d grows with the members.

    transitions float64[C, C]: training outcomes by current and next occupation, stays on the diagonal
    outcomes float64[C]: all training outcomes, those of seekers without a history included
    seen bool[C]: occurs in the training data at all
    """

    taxonomy: Taxonomy
    config: ModelConfig
    members: tuple[HireGNN, ...]
    transitions: np.ndarray
    outcomes: np.ndarray
    seen: np.ndarray
    calibrators: Calibrators = field(default_factory=Calibrators)
    training: Mapping[str, Any] = field(default_factory=dict)  # the training configuration, for the record
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def popularity(self) -> np.ndarray:
        """float64[C]: smoothed share of an occupation among all outcomes, (count + 1) / (n + C)."""
        return (self.outcomes + 1) / (self.outcomes.sum() + len(self.outcomes))

    @cached_property
    def change_popularity(self) -> np.ndarray:
        """float64[C]: share of an occupation among the outcomes that changed the occupation, not smoothed."""
        changes = self.outcomes - np.diag(self.transitions)
        return changes / max(changes.sum(), 1.0)

    @cached_property
    def occupation_vectors(self) -> np.ndarray:
        """float32[C, d]: such that <reading.vectors[i], occupation_vectors[o]> + copies = score of a change to o."""
        with torch.no_grad():
            return np.concatenate([member.occupation_vectors().numpy() for member in self.members], axis=1)

    def read(self, examples: Examples) -> Reading:
        """Run the network on the instances, block by block."""
        blocks = [examples.take(slice(b, b + BLOCK)) for b in range(0, max(len(examples), 1), BLOCK)]
        vectors, stays = (np.concatenate(parts) for parts in zip(*map(self._read_block, blocks), strict=True))
        instance, item, rank = history_edges(examples)
        occupation = examples.item_occupation[item].astype(np.int64)
        known = occupation < len(self.taxonomy)
        copy = np.mean([member.copy.detach().numpy() for member in self.members], axis=0)
        current = examples.current.astype(np.int64)
        current[current >= len(self.taxonomy)] = -1
        fit = self.calibrators
        stay = np.clip(fit.stay_scale * stays + fit.stay_shift, -LARGEST_STAY_LOGIT, LARGEST_STAY_LOGIT)
        return Reading(
            vectors=vectors / np.float32(fit.temperature * len(self.members)),
            instance=instance[known],
            occupation=occupation[known],
            weight=(copy[rank[known]] / fit.temperature).astype(np.float32),
            current=current,
            stay=np.where(current >= 0, stay, -np.inf).astype(np.float32),
        )

    def _read_block(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """(vectors float32[n, d] side by side, mean stay logits float32[n]), not calibrated."""
        data = hetero_data(examples, len(self.taxonomy))
        with torch.no_grad():
            answers = [member(data) for member in self.members]
        vectors = torch.cat([vectors for vectors, _ in answers], dim=1)
        return vectors.numpy(), torch.stack([stay for _, stay in answers]).mean(dim=0).numpy()

    def save(self, path: Path, *, inputs: Mapping[str, str] | None = None) -> None:
        """Write the artefact directory: manifest.json, taxonomy.json, model.json, network.safetensors."""
        tensors = {name: torch.from_numpy(getattr(self, name)) for name in ("transitions", "outcomes", "seen")}
        for number, member in enumerate(self.members):
            tensors |= {f"{number}.{name}": tensor.contiguous() for name, tensor in member.state_dict().items()}
        taxonomy = {name: np.asarray(value).tolist() for name, value in vars(self.taxonomy).items() if name in _LEVELS}
        about = {"config": asdict(self.config), "members": len(self.members), "calibrators": asdict(self.calibrators)}
        with writing(
            path,
            KIND,
            FORMAT,
            config=dict(self.training),
            seed=self.training.get("seed"),
            inputs=inputs,
            metrics=dict(self.metrics),
        ) as scratch:
            (scratch / "taxonomy.json").write_text(json.dumps(taxonomy))
            (scratch / "model.json").write_text(json.dumps(about, indent=2, sort_keys=True))
            save_file(tensors, scratch / "network.safetensors")

    @classmethod
    def load(cls, path: Path) -> HireModel:
        """Read an artefact; ArtefactError if it is damaged, of another kind or of a format this version can't read."""
        manifest = open_artefact(path, KIND, (FORMAT,))
        taxonomy = _taxonomy_from(json.loads((Path(path) / "taxonomy.json").read_text()))
        about = json.loads((Path(path) / "model.json").read_text())
        tensors = load_file(Path(path) / "network.safetensors")
        config = ModelConfig(**about["config"])
        members = []
        for number in range(about["members"]):
            prefix = f"{number}."
            member = HireGNN(taxonomy, config)
            member.load_state_dict(
                {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            )
            members.append(member.eval())
        arrays = {name: tensors[name].numpy() for name in ("transitions", "outcomes", "seen")}
        return cls(
            taxonomy,
            config,
            tuple(members),
            **arrays,
            calibrators=Calibrators(**about["calibrators"]),
            training=manifest.config,
            metrics=manifest.metrics,
        )


_LEVELS = ("scheme", "codes", "titles", "section", "section_names", "major", "major_names")


def _taxonomy_from(columns: dict[str, Any]) -> Taxonomy:
    levels = {name: np.array(columns[name], np.int32) for name in ("section", "major")}
    names = {name: tuple(columns[name]) for name in ("codes", "titles", "section_names", "major_names")}
    return Taxonomy(scheme=columns["scheme"], **names, **levels)


def _with_unknown(member: np.ndarray, unknown: int) -> Tensor:
    return torch.from_numpy(np.append(member, unknown).astype(np.int64))
