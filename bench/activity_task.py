"""The question that all aggregators of activity are asked: which occupation comes next, through one shared predictor.

Every vector goes through a linear softmax over occupations with the same budget: epochs, batches, learning rate; the
best epoch is that of the least loss of validation persons. Vectors are first scaled to mean 0 and deviation 1 of the
training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from market.bootstrap import cluster_bootstrap, paired_difference
from market.ranking import mean_ranks
from organic.activity.aggregators import FitConfig, Weighted, fit_aggregator
from organic.activity.network import NETWORKS, encode, inputs
from organic.activity.proxy import ProxyConfig, batches
from organic.activity.sequences import ActivityLog, Sequences

TASK_RATE = 2e-3  # of a network that is trained through the predictor
BATCH = 512
DRAWS = 1000


@dataclass(frozen=True)
class Budget:
    """What every aggregator gets. learning_rate: best of .003, .01, .03 on validation for mean and decay alike."""

    epochs: int = 12
    learning_rate: float = 1e-2
    proxy_epochs: int = 2
    task_epochs: int = 4
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Moves:
    """n questions: before, what was done until then; current int64[n], no candidate (-1: all are); target int64[n]."""

    before: Sequences
    current: np.ndarray
    target: np.ndarray

    @property
    def person(self) -> np.ndarray:
        return self.before.owner

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Folds:
    """Questions of three disjoint sets of persons; rows of the proxy task and their log are of the training persons."""

    train: Moves
    check: Moves
    judge: Moves
    rows: Sequences
    log: ActivityLog
    occupations: int


class Predictor(nn.Module):
    """scores = W v + b over all occupations, -inf at the current one."""

    def __init__(self, width: int, occupations: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, occupations)

    def forward(self, v: torch.Tensor, current: torch.Tensor) -> torch.Tensor:
        scores = self.linear(v)  # [b, C]
        own = torch.arange(scores.shape[1]) == current[:, None]  # [b, C], nowhere true for -1
        return scores.masked_fill(own, -torch.inf)


@dataclass(frozen=True)
class Outcome:
    """loss: of the validation questions; check, judge float64[n]: ranks of the targets, the latter asked once."""

    loss: float
    check: np.ndarray
    judge: np.ndarray

    def validation(self) -> dict[str, float]:
        return {"loss": self.loss, **{name: float(gain(self.check).mean()) for name, gain in GAINS.items()}}


GAINS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "recall@10": lambda ranks: (ranks <= 10).astype(float),
    "mrr": lambda ranks: 1 / ranks,
}
Vectors = Callable[[np.ndarray], torch.Tensor]  # rows of some questions -> [b, width]


def train(
    model: Predictor,
    vectors: dict[str, Vectors],
    folds: Folds,
    epochs: int,
    rate: float,
    seed: int,
    net: nn.Module | None = None,
) -> float:
    """Fit model (and net, where the vectors come from one that is trained too); the least loss of validation, kept."""
    parts = nn.ModuleList([model] if net is None else [model, net])
    groups = [{"params": list(model.parameters()), "lr": rate}]
    if net is not None:
        groups.append({"params": list(net.parameters()), "lr": TASK_RATE})
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)
    steps = epochs * -(-len(folds.train) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    rng = np.random.default_rng([seed, 5])
    best, best_loss = parts.state_dict(), np.inf
    for _ in range(epochs):
        parts.train()
        for rows in batches(folds.train.before.count, BATCH, rng):
            scores = model(vectors["train"](rows), torch.from_numpy(folds.train.current[rows]))
            loss = cross_entropy(scores, torch.from_numpy(folds.train.target[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        scores = torch.from_numpy(score(model, vectors["check"], folds.check))
        reached = float(cross_entropy(scores, torch.from_numpy(folds.check.target)))
        if reached < best_loss:
            best_loss, best = reached, {name: tensor.clone() for name, tensor in parts.state_dict().items()}
    parts.load_state_dict(best)
    return best_loss


def score(model: Predictor, vectors: Vectors, asked: Moves) -> np.ndarray:
    """float32[n, C]; -inf at the current occupation."""
    model.eval()
    with torch.no_grad():
        blocks = [np.arange(b, min(b + 4096, len(asked))) for b in range(0, len(asked), 4096)]
        return torch.cat([model(vectors(r), torch.from_numpy(asked.current[r])) for r in blocks]).numpy()


def frozen(folds: Folds, vectors: Callable[[Sequences], np.ndarray], budget: Budget, seed: int) -> Outcome:
    """The shared predictor on vectors that stay as they are."""
    found = {name: vectors(getattr(folds, name).before) for name in ("train", "check", "judge")}
    mean, scale = found["train"].mean(axis=0), found["train"].std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1)  # a number that never changes says nothing
    tables = {name: torch.from_numpy((table - mean) / scale).__getitem__ for name, table in found.items()}
    torch.manual_seed(seed)
    model = Predictor(len(mean), folds.occupations)
    loss = train(model, tables, folds, budget.epochs, budget.learning_rate, seed)
    asked = {"check": folds.check, "judge": folds.judge}
    ranks = {name: mean_ranks(score(model, tables[name], each), each.target) for name, each in asked.items()}
    return Outcome(loss, **ranks)


def through(folds: Folds, name: str, budget: Budget, seed: int) -> Outcome:
    """A network of NETWORKS trained together with a predictor of its own, then frozen under the shared one."""
    torch.manual_seed(seed)
    width = folds.train.before.jobs.shape[1]
    net = NETWORKS[name](width, folds.train.before.length)
    model = Predictor(width, folds.occupations)

    def of(asked: Moves) -> Vectors:
        return lambda rows: net(*inputs(asked.before.take(rows)))

    vectors = {fold: of(getattr(folds, fold)) for fold in ("train", "check")}
    train(model, vectors, folds, budget.task_epochs, budget.learning_rate, seed, net)
    return frozen(folds, lambda sequences: encode(net, sequences, 1024), budget, seed)


def by_proxy(folds: Folds, name: str, config: ProxyConfig, budget: Budget) -> Outcome:
    """A network trained on its proxy task, then frozen under the predictor."""
    learned = fit_aggregator(name, folds.rows, folds.log, FitConfig(proxy=config))
    return frozen(folds, lambda sequences: encode(learned.net, sequences, 1024), budget, config.seed)


def closed_form(rate: float) -> Callable[[Sequences], np.ndarray]:
    return Weighted(rate).vectors


def judged(person: np.ndarray, outcomes: list[Outcome], mean: list[Outcome]) -> dict[str, Any]:
    """Figures of the judging fold, means over the outcomes (seeds), beside those of the unweighted mean."""
    row: dict[str, Any] = {"n": len(person), "seeds": len(outcomes), "validation": outcomes[0].validation()}
    for name, gain in GAINS.items():
        own, base = (np.mean([gain(found.judge) for found in side], axis=0) for side in (outcomes, mean))
        rng = np.random.default_rng(0)
        row[name] = cluster_bootstrap(person, own, rng=rng, draws=DRAWS).report()
        row[f"{name} over mean"] = paired_difference(person, own, base, rng=rng, draws=DRAWS).report("difference")
        row[f"{name} by seed"] = [float(gain(found.judge).mean()) for found in outcomes]
    return row


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """aggregator, seeds, recall@10, its interval, MRR, its interval, MRR over the mean, its interval."""
    shown = [name, str(row["seeds"])]
    for metric, digits in (("recall@10", 3), ("mrr", 4)):
        shown += [f"{row[metric]['mean']:.{digits}f}", interval(row[metric]["ci95"], f".{digits}f")]
    over = row["mrr over mean"]
    return [*shown, *(("", "") if name == "mean" else (f"{over['difference']:+.4f}", interval(over["ci95"], "+.4f")))]


HEAD = ["aggregator", "seeds", "recall@10", "95 %", "MRR", "95 %", "MRR over mean", "95 %"]


def interval(found: list[float] | None, form: str) -> str:
    return "" if found is None else f"{found[0]:{form}} to {found[1]:{form}}"
