"""A fitted hire graph: what it says of seekers in the form an index can serve, and the artefact that holds it.

Format 2 holds any kind of network; format 1 (attention over the history, copies by rank) is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import HeteroData

from graph.bipartite import HELD_BY, Examples, hetero_data
from graph.calibration import row_temperatures
from graph.network.gnn import HireGNN, ModelConfig
from market.artefacts import open_artefact, writing
from market.taxonomy import Taxonomy

KIND, FORMAT = "hire-model", 2
BLOCK = 2048  # instances scored at a time
LARGEST_STAY_LOGIT = 12.0  # keeps the boost of the current occupation finite


@dataclass(frozen=True)
class Calibrators:
    """score / T_i for the change softmax, T_i = `row_temperatures` of temperature and caution; stay_scale * logit +
    stay_shift (Platt) for the stay head; occupations of fewer than thin_hires hires get `HireModel.return_boosts`."""

    temperature: float = 1.0
    stay_scale: float = 1.0
    stay_shift: float = 0.0
    caution: float = 0.0
    thin_hires: float = 0.0


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
    """A fitted hire graph over C occupations. Members have the widths of `config`; their encoders may differ.

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

    @cached_property
    def return_boosts(self) -> np.ndarray:
        """float32[C] >= 0: added once to the score of a thin occupation that is in the person's own past.

        People go back to what they did about as often whether it is rare or not, but a boost added to the score of a
        rare occupation starts from a low bias: what is added is what the bias lacks to the mean of the others. All 0
        where every occupation is thin: there is nothing to compare with.
        """
        thin = self.outcomes - np.diag(self.transitions) < self.calibrators.thin_hires
        if thin.all() or not thin.any():
            return np.zeros(len(thin), np.float32)
        width = self.occupation_vectors.shape[1] // len(self.members)
        bias = self.occupation_vectors[:, width - 1 :: width].mean(axis=1)  # [C]
        return np.where(thin, np.maximum(bias[~thin].mean() - bias, 0), 0).astype(np.float32)

    def read(self, examples: Examples) -> Reading:
        """Run the network on the instances, block by block."""
        segments, members = len(self.taxonomy), len(self.members)
        parts: list[tuple[np.ndarray, ...]] = []
        for begin in range(0, max(len(examples), 1), BLOCK):
            data = hetero_data(examples.take(slice(begin, begin + BLOCK)), segments)
            occupation, instance = data[HELD_BY].edge_index.numpy()
            vectors, boosts, stays = self._answers(data)
            known = occupation < segments
            instance, occupation, boosts = instance[known], occupation[known], boosts[known]
            _, once = np.unique(instance * segments + occupation, return_index=True)
            boosts[once] += self.return_boosts[occupation[once]]
            by = self._temperatures(vectors, instance, occupation, boosts, data["seeker"].current.numpy())[:, None]
            parts.append((vectors / (by * members), begin + instance, occupation, boosts / by[instance, 0], stays))
        vectors, instance, occupation, boosts, stays = (np.concatenate(part) for part in zip(*parts, strict=True))
        current = examples.current.astype(np.int64)
        current[current >= segments] = -1
        fit = self.calibrators
        stay = np.clip(fit.stay_scale * stays + fit.stay_shift, -LARGEST_STAY_LOGIT, LARGEST_STAY_LOGIT)
        return Reading(
            vectors=vectors,
            instance=instance,
            occupation=occupation,
            weight=boosts,
            current=current,
            stay=np.where(current >= 0, stay, -np.inf).astype(np.float32),
        )

    def _temperatures(
        self, vectors: np.ndarray, instance: np.ndarray, occupation: np.ndarray, boosts: np.ndarray, current: np.ndarray
    ) -> np.ndarray:
        """float32[n]: what the scores of each instance are divided by."""
        fit = self.calibrators
        if not fit.caution:
            return np.full(len(vectors), fit.temperature, np.float32)
        scores = vectors @ self.occupation_vectors.T / len(self.members)  # [n, C]
        np.add.at(scores, (instance, occupation), boosts)
        has = np.flatnonzero(current < scores.shape[1])
        scores[has, current[has]] = -np.inf
        return row_temperatures(scores, fit.temperature, fit.caution).astype(np.float32)

    def _answers(self, data: HeteroData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(vectors float32[n, d] side by side, mean boosts float32[e], mean stay logits float32[n]), not calibrated."""
        with torch.no_grad():
            answers = [member(data) for member in self.members]
        vectors, boosts, stays = zip(*answers, strict=True)
        return (
            torch.cat(vectors, dim=1).numpy(),
            torch.stack(boosts).mean(dim=0).numpy(),
            torch.stack(stays).mean(dim=0).numpy(),
        )

    def save(self, path: Path, *, inputs: Mapping[str, str] | None = None) -> None:
        """Write the artefact directory: manifest.json, taxonomy.json, model.json, network.safetensors."""
        tensors = {name: torch.from_numpy(getattr(self, name)) for name in ("transitions", "outcomes", "seen")}
        for number, member in enumerate(self.members):
            tensors |= {f"{number}.{name}": tensor.contiguous() for name, tensor in member.state_dict().items()}
        taxonomy = {name: np.asarray(value).tolist() for name, value in vars(self.taxonomy).items() if name in _LEVELS}
        about = {
            "config": asdict(self.config),
            "members": [member.config.encoder for member in self.members],
            "calibrators": asdict(self.calibrators),
        }
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
        manifest = open_artefact(path, KIND, (1, FORMAT))
        taxonomy = _taxonomy_from(json.loads((Path(path) / "taxonomy.json").read_text()))
        about = json.loads((Path(path) / "model.json").read_text())
        tensors = load_file(Path(path) / "network.safetensors")
        if manifest.format == 1:
            about["config"] |= {"encoder": "attention", "copy": "rank"}
            about["members"] = ["attention"] * about["members"]
            tensors = _tensors_since_format_1(tensors)
        config = ModelConfig(**about["config"])
        members = []
        for number, encoder in enumerate(about["members"]):
            prefix = f"{number}."
            member = HireGNN(taxonomy, replace(config, encoder=encoder))
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


def _tensors_since_format_1(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a format 1 artefact under the names of format 2, and those that it could not have yet."""
    found = {}
    for name, tensor in tensors.items():
        member, _, rest = name.partition(".")
        if rest not in ("section", "major"):  # the taxonomy says it
            for old, new in (("attention.", "encoder.layer."), ("copy", "copy.of_rank")):
                rest = new + rest.removeprefix(old) if rest.startswith(old) else rest
            found[f"{member}.{rest}" if rest else name] = tensor
        if rest == "query.bias":
            found[f"{member}.direction"] = torch.zeros_like(tensor)
    return found
