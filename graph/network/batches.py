"""What a training step sees: weighted instances, split by person, with a part of the history hidden."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch_geometric.data import HeteroData

from graph.bipartite import HELD_BY, Examples, hetero_data
from graph.network.augment import backwards, together
from market.errors import DataError


@dataclass(frozen=True)
class Weighted:
    """Instances, how much the loss of each counts, and whether its career is read from the end.

    weights float32[n], None: all alike; mirrored bool[n], None: none is.
    """

    examples: Examples
    weights: np.ndarray | None = None
    mirrored: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, rows: np.ndarray) -> Weighted:
        weights, mirrored = (None if column is None else column[rows] for column in (self.weights, self.mirrored))
        return Weighted(self.examples.take(rows), weights, mirrored)

    def with_backwards(self, weight: float) -> Weighted:
        """These, and the same careers read from their end; each of those counts `weight` (0: none are added)."""
        if weight == 0:
            return self
        mirrored = backwards(self.examples)
        own = np.ones(len(self), np.float32) if self.weights is None else self.weights
        weights = np.concatenate([own, np.full(len(mirrored), weight, np.float32)])
        return Weighted(together(self.examples, mirrored), weights, np.arange(len(weights)) >= len(self))

    def data(self, segments: int) -> HeteroData:
        """The graph of these instances, as `hetero_data` builds it; seeker.mirrored bool[n] where there is any."""
        data = hetero_data(self.examples, segments)
        if self.mirrored is not None:
            data["seeker"].mirrored = torch.from_numpy(self.mirrored)
        return data


def relative_weights(weights: np.ndarray, used: np.ndarray) -> np.ndarray:
    """float32: the weights of the used instances (bool[n]), scaled to a mean of 1; DataError if they are no weights."""
    weights = np.asarray(weights, np.float64)
    if weights.shape != used.shape:
        raise DataError("weights", f"shape {weights.shape} for {len(used)} instances", "give one weight an instance")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError("weights", f"{weights[row]} is no weight", "give finite numbers from 0", row)
    weights = weights[used]
    if not weights.sum() > 0:
        raise DataError("weights", "they sum to 0", "give at least one instance with a known outcome a weight")
    return (weights / weights.mean()).astype(np.float32)


def split_by_person(
    instances: Weighted, share: float, smallest: int, rng: np.random.Generator
) -> tuple[Weighted, Weighted]:
    """(training, held-out) instances; a person is wholly in one of them. Nobody is held out for too few changes."""
    person = instances.examples.person
    persons = np.unique(person)
    out = np.isin(person, rng.permutation(persons)[: int(len(persons) * share)])
    if instances.examples.take(out).changed.sum() < smallest:
        return instances, instances.take(slice(0, 0))
    return instances.take(~out), instances.take(out)


def forget(batch: Weighted, rng: np.random.Generator, chance: float) -> Weighted:
    """A few instances lose their whole history; the outcome is what it was."""
    nothing = rng.random(len(batch)) < chance
    examples = batch.examples
    return replace(batch, examples=replace(examples, start=np.where(nothing, examples.stop, examples.start)))


def hide_items(data: HeteroData, rng: np.random.Generator, chance: float) -> HeteroData:
    """Drop message edges other than the newest, each with this chance."""
    edges = data[HELD_BY]
    keep = torch.from_numpy(rng.random(len(edges.edge_attr)) >= chance) | (edges.edge_attr[:, 0] == 0)
    edges.edge_index, edges.edge_attr = edges.edge_index[:, keep], edges.edge_attr[keep]
    return data
