"""Training two towers through a curriculum, on one page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from market.errors import ConfigError
from organic.learning.consolidation import Anchor
from organic.learning.losses import batch_softmax
from organic.learning.negatives import Batch, KnownPairs, PairSource, compose
from organic.learning.schedule import Schedule, Stage

Progress = Callable[[int, int, float], None]


class TwoTowers(Protocol):
    """What is trained, beside being a torch module: rows of either side to unit vectors."""

    def request_vectors(self, rows: Tensor) -> Tensor:
        """float[m, D] for rows int64[m]."""
        ...

    def item_vectors(self, rows: Tensor) -> Tensor:
        """float[d, D] for rows int64[d]."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """symmetric adds the loss of finding each item's request among the requests of the batch."""

    temperature: float = 0.05
    popularity_correction: bool = False
    symmetric: bool = False
    weight_decay: float = 0.01
    warmup_share: float = 0.1  # of a stage's steps; the rate then falls to a tenth along a cosine
    largest_gradient: float = 1.0
    fisher_batches: int = 20

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 <= self.warmup_share < 1 or self.fisher_batches < 1:
            raise ConfigError(
                f"temperature {self.temperature}, warmup_share {self.warmup_share}, fisher_batches "
                f"{self.fisher_batches}; expected above 0, a share below 1, at least 1"
            )


@dataclass
class TrainLog:
    """Mean loss of each stage's last tenth, and wall seconds of each stage."""

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train_towers(
    model: nn.Module,
    towers: TwoTowers,
    source: PairSource,
    known: KnownPairs,
    inventory: np.ndarray,
    schedule: Schedule,
    config: TrainConfig,
    seed: int,
    progress: Progress | None = None,
) -> TrainLog:
    """Train `model` in place; `towers` is the same object seen through its protocol. inventory int64[i]: item rows.

    The same seed gives the same weights on one machine with one number of threads. progress(done, steps, loss).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    log, done, total = TrainLog(), 0, sum(stage.steps for stage in schedule)
    model.train()
    for before, stage in zip((None, *schedule), schedule, strict=False):
        began, losses = time.perf_counter(), []
        anchor = None
        if stage.consolidation and before is not None:
            sample = islice(_batches(source, known, inventory, before, rng), config.fisher_batches)
            anchor = Anchor(model, (loss_of(towers, batch, before, config) for batch in sample))
        weights = [w for w in model.parameters() if w.requires_grad]
        optimiser = torch.optim.AdamW(weights, lr=stage.learning_rate, weight_decay=config.weight_decay, fused=True)
        for step, batch in enumerate(islice(_batches(source, known, inventory, stage, rng), stage.steps)):
            for group in optimiser.param_groups:
                group["lr"] = stage.learning_rate * rate(step, stage.steps, config.warmup_share)
            loss = loss_of(towers, batch, stage, config)
            losses.append(float(loss.detach()))
            if anchor is not None:
                loss = loss + anchor.penalty(model, stage.consolidation)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, config.largest_gradient)
            optimiser.step()
            done += 1
            if progress is not None:
                progress(done, total, losses[-1])
        log.loss.append(float(np.mean(losses[-max(1, len(losses) // 10) :])))
        log.seconds.append(time.perf_counter() - began)
    model.eval()
    return log


def loss_of(towers: TwoTowers, batch: Batch, stage: Stage, config: TrainConfig) -> Tensor:
    """The loss of one batch, a scalar."""
    requests = towers.request_vectors(torch.from_numpy(batch.pairs.request))  # [m, D]
    items = towers.item_vectors(torch.from_numpy(batch.items))  # [d, D]
    own, excluded = torch.from_numpy(batch.own), torch.from_numpy(batch.excluded)
    weight, log_q = torch.from_numpy(batch.pairs.weight), torch.from_numpy(batch.log_q).float()
    cosines = requests @ items.T  # [m, d]
    loss = batch_softmax(
        cosines,
        own,
        excluded,
        temperature=config.temperature,
        weight=weight,
        log_q=log_q if config.popularity_correction else None,
        hardest=stage.hardest,
    )
    if not config.symmetric:
        return loss
    # the own items of the rows as questions, the rows as answers: row i of `turned` asks with the item of pair i
    turned = cosines[:, own].T  # [m, m]
    back = batch_softmax(
        turned,
        torch.arange(len(own)),
        excluded[:, own].T,
        temperature=config.temperature,
        weight=weight,
        hardest=stage.hardest,
    )
    return (loss + back) / 2


def rate(step: int, steps: int, warmup_share: float) -> float:
    """Share of the stage's learning rate at a step: a linear rise, then a cosine down to a tenth."""
    rise = max(1, round(warmup_share * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.1 + 0.45 * (1 + float(np.cos(np.pi * (step - rise) / max(1, steps - rise))))


def _batches(
    source: PairSource, known: KnownPairs, inventory: np.ndarray, stage: Stage, rng: np.random.Generator
) -> Iterator[Batch]:
    for pairs in source.batches(stage.positives, stage.mined, rng):
        yield compose(pairs, source, known, inventory, stage.inventory, rng)
