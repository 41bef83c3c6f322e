"""Fit the hire graph: link prediction of the next occupation, on one page.

    for every batch of instances: hide a part of the history, score all segments,
    loss = cross entropy of the change (current excluded) + stay_weight * binary cross entropy of staying

Instances are independent once the segment tables are given, so a batch is any set of instances with their own message
edges; nothing needs to be sampled from a larger graph. A fold of persons is held out: it picks the best epoch of every
member and fits the two calibrators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from graph.bipartite import HELD_BY, Examples, hetero_data
from graph.calibration import fit_temperature, logistic_line
from graph.model import BLOCK, Calibrators, HireGNN, HireModel, ModelConfig
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy

Progress = Callable[[float, str], None]  # (share done, what was reached)


@dataclass(frozen=True)
class TrainConfig:
    """Defaults were chosen on validation persons of NLSY79; strong weight decay matters most."""

    seed: int = 0
    members: int = 1
    epochs: int = 8
    batch: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 1.0  # at 100,000 instances, see decay_for; of tables and matrices, biases and copies go free
    stay_weight: float = 0.5
    forget_item: float = 0.2  # chance that an older history item is hidden
    forget_all: float = 0.02  # chance that nothing is known: teaches the seeker without a history
    validation_share: float = 0.05  # of the persons
    smallest_validation: int = 100  # with fewer validation changes: last epoch, no calibration
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        if min(self.members, self.epochs, self.batch) < 1:
            raise ConfigError("members, epochs and batch have to be at least 1")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(f"validation_share has to be in [0, 1), not {self.validation_share}")


def decay_for(instances: int, config: TrainConfig) -> float:
    """weight_decay * sqrt(100,000 / instances), at most 5: the fewer instances, the closer to the groups' means."""
    return min(5.0, config.weight_decay * (100_000 / max(instances, 1)) ** 0.5)


def fit(
    examples: Examples,
    taxonomy: Taxonomy,
    config: TrainConfig | None = None,
    *,
    progress: Progress | None = None,
    weights: np.ndarray | None = None,
) -> HireModel:
    """A HireModel from instances with known outcomes. The same seed gives the same bytes on one machine.

    weights float[n], one per instance, finite and at least 0, else DataError: what an instance's loss counts, scaled to
    a mean of 1; None counts all alike. The counts of the model and the calibrators never look at them.

    Runs on one thread: the batches are small, so more threads cost more than they bring on a busy machine, and sums
    come out in one order.
    """
    config = config or TrainConfig()
    segments = len(taxonomy)
    known_outcome = examples.target >= 0
    weights = None if weights is None else _relative(weights, known_outcome)
    examples = examples.take(known_outcome)
    if not examples.changed.any():
        raise DataError("examples", "no outcome differs from the current occupation", "give more careers or logs")
    if examples.target.max() >= segments or examples.item_occupation.max(initial=0) >= segments:
        raise DataError("examples", f"an occupation outside the {segments} of {taxonomy.scheme}", "use one taxonomy")
    train, held_out = _split(Weighted(examples, weights), config)
    years = np.floor(train.examples.year)
    widths = replace(config.model, periods=int(years.max() - years.min()) + 1)

    members, scores, stays = [], 0.0, 0.0
    with torch.random.fork_rng(devices=[]), _one_thread():
        for number in range(config.members):
            member = _fit_member(train, held_out, taxonomy, widths, config, number, progress)
            members.append(member)
            change, stay = _predict(member, held_out.examples, segments)
            scores, stays = scores + change / config.members, stays + stay / config.members

    transitions = np.zeros((segments, segments))
    known = examples.current >= 0
    np.add.at(transitions, (examples.current[known], examples.target[known]), 1)
    seen = np.zeros(segments, bool)
    seen[examples.item_occupation] = seen[examples.target] = True
    calibrators = _calibrate(held_out.examples, scores, stays, config)
    return HireModel(
        taxonomy=taxonomy,
        config=widths,
        members=tuple(members),
        transitions=transitions,
        outcomes=np.bincount(examples.target, minlength=segments).astype(np.float64),
        seen=seen,
        calibrators=calibrators,
        training=asdict(config),
        metrics={
            "instances": len(examples),
            "changes": int(examples.changed.sum()),
            "held_out": len(held_out.examples),
        },
    )


@dataclass(frozen=True)
class Weighted:
    """Instances, and float32[n] how much the loss of each counts; None: all alike."""

    examples: Examples
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, rows: np.ndarray) -> Weighted:
        return Weighted(self.examples.take(rows), None if self.weights is None else self.weights[rows])


def _fit_member(
    train: Weighted,
    held_out: Weighted,
    taxonomy: Taxonomy,
    widths: ModelConfig,
    config: TrainConfig,
    number: int,
    progress: Progress | None,
) -> HireGNN:
    rng = np.random.default_rng([config.seed, number])
    torch.manual_seed(int(rng.integers(2**31)))
    net = HireGNN(taxonomy, widths)
    _start_from_data(net, train.examples)
    tables = [p for p in net.parameters() if p.ndim > 1]
    free = [p for name, p in net.named_parameters() if p.ndim == 1 and name != "copy"]
    groups = [
        {"params": tables, "weight_decay": decay_for(len(train), config)},
        {"params": free, "weight_decay": 0.0},
        # twelve weights that every instance informs: they can and must move further than the rest within few steps
        {"params": [net.copy], "weight_decay": 0.0, "lr": 10 * config.learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
    steps = config.epochs * -(-len(train) // config.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)

    best, best_loss = net.state_dict(), np.inf
    for epoch in range(config.epochs):
        net.train()
        order = rng.permutation(len(train))
        for begin in range(0, len(train), config.batch):
            chosen = train.take(order[begin : begin + config.batch])
            batch = Weighted(_forget(chosen.examples, rng, config), chosen.weights)
            data = _hide_items(hetero_data(batch.examples, len(taxonomy)), rng, config.forget_item)
            loss = _loss(*net.change_scores(data), batch, config.stay_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        loss = _held_out_loss(net, held_out, len(taxonomy), config)
        if loss <= best_loss:
            best_loss = loss
            best = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        if progress:
            done = (number * config.epochs + epoch + 1) / (config.members * config.epochs)
            progress(done, f"member {number + 1}/{config.members} epoch {epoch + 1}/{config.epochs} loss {loss:.4f}")
    net.load_state_dict(best)
    return net.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _loss(scores: torch.Tensor, stay: torch.Tensor, batch: Weighted, stay_weight: float) -> torch.Tensor:
    """Mean cross entropy over the changes + stay_weight * mean binary cross entropy over those with a history."""
    examples, weights = batch.examples, batch.weights
    changed = torch.from_numpy(examples.changed)
    has = torch.from_numpy(examples.lengths > 0)
    target = torch.from_numpy(examples.target.astype(np.int64))
    if weights is None:
        change = F.cross_entropy(scores[changed], target[changed], reduction="sum")
        staying = F.binary_cross_entropy_with_logits(stay[has], (~changed[has]).float(), reduction="sum")
    else:
        weight = torch.from_numpy(weights)
        change = weight[changed] @ F.cross_entropy(scores[changed], target[changed], reduction="none")
        staying = F.binary_cross_entropy_with_logits(stay[has], (~changed[has]).float(), weight[has], reduction="sum")
    # Divided by the number, not by the sum of the weights: a batch of little weight moves the network little.
    return change / max(int(changed.sum()), 1) + stay_weight * staying / max(int(has.sum()), 1)


def _relative(weights: np.ndarray, used: np.ndarray) -> np.ndarray:
    """float32: the weights of the used instances, scaled to a mean of 1; DataError if they can not be weights."""
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


def _start_from_data(net: HireGNN, train: Examples) -> None:
    """Scale the attributes, and start the bias at the log popularity of changes."""
    segments = len(net.bias)
    x = hetero_data(train, segments)["seeker"].x.numpy()  # [n, 6]
    known = ~np.isnan(x).all(axis=0)
    mean, scale = np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32)
    mean[known], scale[known] = np.nanmean(x[:, known], axis=0), np.nanstd(x[:, known], axis=0) + 1e-3
    counts = np.bincount(train.target[train.changed], minlength=segments) + 1.0
    with torch.no_grad():
        net.attribute_mean.copy_(torch.from_numpy(mean))
        net.attribute_scale.copy_(torch.from_numpy(scale))
        net.year_range.copy_(torch.tensor([x[:, 1].min(), x[:, 1].max()]))
        net.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def _forget(batch: Examples, rng: np.random.Generator, config: TrainConfig) -> Examples:
    """A few instances lose their whole history; the outcome is what it was."""
    nothing = rng.random(len(batch)) < config.forget_all
    return replace(batch, start=np.where(nothing, batch.stop, batch.start))


def _hide_items(data: HeteroData, rng: np.random.Generator, chance: float) -> HeteroData:
    """Drop message edges other than the newest, each with this chance."""
    edges = data[HELD_BY]
    keep = torch.from_numpy(rng.random(len(edges.edge_attr)) >= chance) | (edges.edge_attr[:, 0] == 0)
    edges.edge_index, edges.edge_attr = edges.edge_index[:, keep], edges.edge_attr[keep]
    return data


def _split(instances: Weighted, config: TrainConfig) -> tuple[Weighted, Weighted]:
    """(training, held-out) instances; a person is wholly in one of them."""
    person = instances.examples.person
    persons = np.unique(person)
    held = np.random.default_rng([config.seed, 2**20]).permutation(persons)[
        : int(len(persons) * config.validation_share)
    ]
    out = np.isin(person, held)
    if instances.examples.take(out).changed.sum() < config.smallest_validation:
        return instances, instances.take(slice(0, 0))
    return instances.take(~out), instances.take(out)


def _predict(net: HireGNN, examples: Examples, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """(change scores float32[n, C], stay logits float32[n]) without dropout."""
    net.eval()
    with torch.no_grad():
        blocks = range(0, max(len(examples), 1), BLOCK)
        answers = [net.change_scores(hetero_data(examples.take(slice(b, b + BLOCK)), segments)) for b in blocks]
    return torch.cat([scores for scores, _ in answers]).numpy(), torch.cat([stay for _, stay in answers]).numpy()


def _held_out_loss(net: HireGNN, held_out: Weighted, segments: int, config: TrainConfig) -> float:
    if not len(held_out):
        return 0.0
    scores, stay = map(torch.from_numpy, _predict(net, held_out.examples, segments))
    return float(_loss(scores, stay, held_out, config.stay_weight))


def _calibrate(held_out: Examples, scores: np.ndarray, stays: np.ndarray, config: TrainConfig) -> Calibrators:
    if not len(held_out):
        return Calibrators()
    changed, has = held_out.changed, held_out.lengths > 0
    temperature = fit_temperature(scores[changed], held_out.target[changed])
    scale, shift = logistic_line(stays[has], (~changed[has]).astype(np.float64))
    return Calibrators(temperature, scale, shift)
