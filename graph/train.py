"""Fit the hire graph: link prediction of the next occupation, on one page.

    for every batch of instances: hide a part of the history, score all segments, take a step on `graph.network.loss`

Instances are independent once the segment tables are given, so a batch is any set of instances with their own message
edges; nothing needs to be sampled from a larger graph. A fold of persons is held out: it picks the best epoch of every
member and fits the two calibrators.

Cost: members * epochs * (instances, about twice as many with careers read backwards) / batch steps, each about 25 ms of
one core with attention and 60 ms with the recurrent encoder; memory is that of the instances (150 bytes each), of one
batch of scores (batch * segments floats) and of torch itself: about 1 GB for 80,000 instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch

from graph.bipartite import Examples, hetero_data
from graph.calibration import fit_confidence, logistic_line
from graph.model import BLOCK, Calibrators, HireModel
from graph.network.batches import Weighted, forget, hide_items, relative_weights, split_by_person
from graph.network.encoders import ENCODERS
from graph.network.gnn import HireGNN, ModelConfig
from graph.network.loss import hire_loss
from graph.network.segment_tables import neighbours_of
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy

Progress = Callable[[float, str], None]  # (share done, what was reached)
DEVICES = ("cpu", "cuda", "auto")


@dataclass(frozen=True)
class TrainConfig:
    """Defaults were chosen on validation persons of NLSY79; strong weight decay matters most."""

    seed: int = 0
    members: int = 1
    encoders: tuple[str, ...] = ()  # of the members in turn, names of ENCODERS; empty: all have the model's
    epochs: int = 8
    batch: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 1.0  # at 100,000 instances, see decay_for; of tables and matrices, biases and copies go free
    stay_weight: float = 0.5
    hard_negatives: float = 0.0  # weight of the loss among occupations of the target's section only
    backwards: float = 0.0  # weight of an instance of a career read from its end; 0: they are not read
    forget_item: float = 0.2  # chance that an older history item is hidden
    forget_all: float = 0.02  # chance that nothing is known: teaches the seeker without a history
    validation_share: float = 0.05  # of the persons
    smallest_validation: int = 100  # with fewer validation changes: last epoch, no calibration
    thin_hires: int = 0  # occupations of fewer hires get the model's return boosts; 0: none does
    device: str = "cpu"  # one of DEVICES; auto: cuda where there is one
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        if min(self.members, self.epochs, self.batch) < 1:
            raise ConfigError("members, epochs and batch have to be at least 1")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(f"validation_share has to be in [0, 1), not {self.validation_share}")
        if min(self.stay_weight, self.hard_negatives, self.backwards, self.weight_decay) < 0:
            raise ConfigError("stay_weight, hard_negatives, backwards and weight_decay have to be at least 0")
        if self.thin_hires < 0:
            raise ConfigError(f"thin_hires is {self.thin_hires}, expected 0 or more hires")
        if self.device not in DEVICES:
            raise ConfigError(f"device has to be one of {', '.join(DEVICES)}, not {self.device!r}")
        unknown = [name for name in self.encoders if name not in ENCODERS]
        if unknown:
            raise ConfigError(f"encoders have to be of {', '.join(ENCODERS)}, not {unknown[0]!r}")


def decay_for(instances: int, config: TrainConfig) -> float:
    """weight_decay * sqrt(100,000 / instances), at most 5: the fewer instances, the closer to the groups' means."""
    return min(5.0, config.weight_decay * (100_000 / max(instances, 1)) ** 0.5)


def device_of(config: TrainConfig) -> torch.device:
    """Where to train; ConfigError if cuda is asked for and there is none."""
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError("device is 'cuda', but torch sees no CUDA device; use 'cpu' or 'auto'")
    return torch.device("cuda:0" if there and config.device != "cpu" else "cpu")


def fit(
    examples: Examples,
    taxonomy: Taxonomy,
    config: TrainConfig | None = None,
    *,
    progress: Progress | None = None,
    weights: np.ndarray | None = None,
    titles: np.ndarray | None = None,
) -> HireModel:
    """A HireModel from instances with known outcomes. The same seed gives the same bytes on one machine.

    weights float[n], one per instance, finite and at least 0, else DataError: what an instance's loss counts, scaled to
    a mean of 1; None counts all alike. The counts of the model and the calibrators never look at them.
    titles float32[C, t], a vector for the title of each occupation: for a model with `titles` = t, ConfigError without.

    On a CPU it runs on one thread: the batches are small, so more threads cost more than they bring on a busy machine,
    and sums come out in one order.
    """
    config = config or TrainConfig()
    segments = len(taxonomy)
    known_outcome = examples.target >= 0
    weights = None if weights is None else relative_weights(weights, known_outcome)
    examples = examples.take(known_outcome)
    if not examples.changed.any():
        raise DataError("examples", "no outcome differs from the current occupation", "give more careers or logs")
    if examples.target.max() >= segments or examples.item_occupation.max(initial=0) >= segments:
        raise DataError("examples", f"an occupation outside the {segments} of {taxonomy.scheme}", "use one taxonomy")
    if config.model.titles and (titles is None or titles.shape != (segments, config.model.titles)):
        raise ConfigError(f"the model reads titles: give float32[{segments}, {config.model.titles}] vectors of them")
    fold = np.random.default_rng([config.seed, 2**20])
    train, held_out = split_by_person(
        Weighted(examples, weights), config.validation_share, config.smallest_validation, fold
    )
    years = np.floor(train.examples.year)
    widths = replace(config.model, periods=int(years.max() - years.min()) + 1)

    device = device_of(config)
    members, scores, stays = [], 0.0, 0.0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _one_thread():
        for number in range(config.members):
            rng = np.random.default_rng([config.seed, number])
            torch.manual_seed(int(rng.integers(2**31)))
            kind = config.encoders[number % len(config.encoders)] if config.encoders else widths.encoder
            net = HireGNN(taxonomy, replace(widths, encoder=kind))
            _start_from_data(net, train.examples, titles)
            members.append(_train(net.to(device), train, held_out, config, rng, number, progress))
            change, stay = _predict(members[-1], held_out.examples)
            scores, stays = scores + change / config.members, stays + stay / config.members

    transitions = np.zeros((segments, segments))
    known = examples.current >= 0
    np.add.at(transitions, (examples.current[known], examples.target[known]), 1)
    seen = np.zeros(segments, bool)
    seen[examples.item_occupation] = seen[examples.target] = True
    return HireModel(
        taxonomy=taxonomy,
        config=widths,
        members=tuple(members),
        transitions=transitions,
        outcomes=np.bincount(examples.target, minlength=segments).astype(np.float64),
        seen=seen,
        calibrators=replace(_calibrate(held_out.examples, scores, stays), thin_hires=config.thin_hires),
        training=asdict(config),
        metrics={"instances": len(examples), "changes": int(examples.changed.sum()), "held_out": len(held_out)},
    )


def _train(
    net: HireGNN,
    train: Weighted,
    held_out: Weighted,
    config: TrainConfig,
    rng: np.random.Generator,
    number: int,
    progress: Progress | None,
) -> HireGNN:
    """The network at its best epoch, on the CPU."""
    device = net.bias.device
    segments, section = len(net.bias), net.segment_in.section
    tables = [p for p in net.parameters() if p.ndim > 1]
    free = [p for name, p in net.named_parameters() if p.ndim == 1 and name != "copy.of_rank"]
    groups = [
        {"params": tables, "weight_decay": decay_for(len(train), config)},
        {"params": free, "weight_decay": 0.0},
        # twelve weights that every instance informs: they can and must move further than the rest within few steps
        {"params": [net.copy.of_rank], "weight_decay": 0.0, "lr": 10 * config.learning_rate},
    ]
    instances = train.with_backwards(config.backwards)
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
    steps = config.epochs * -(-len(instances) // config.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)

    best, best_loss = net.state_dict(), np.inf
    for epoch in range(config.epochs):
        net.train()
        order = rng.permutation(len(instances))
        for begin in range(0, len(instances), config.batch):
            batch = forget(instances.take(order[begin : begin + config.batch]), rng, config.forget_all)
            data = hide_items(batch.data(segments), rng, config.forget_item).to(device)
            scores, stay = net.change_scores(data)
            loss = hire_loss(scores, stay, batch, section[:-1], config.stay_weight, config.hard_negatives)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        loss = _held_out_loss(net, held_out, config)
        if loss <= best_loss:
            best_loss = loss
            best = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        if progress:
            done = (number * config.epochs + epoch + 1) / (config.members * config.epochs)
            progress(done, f"member {number + 1}/{config.members} epoch {epoch + 1}/{config.epochs} loss {loss:.4f}")
    net.load_state_dict(best)
    return net.eval().cpu()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _start_from_data(net: HireGNN, train: Examples, titles: np.ndarray | None) -> None:
    """Scale the attributes, start the bias at the log popularity of changes, fill in what is not learned."""
    segments = len(net.bias)
    x = hetero_data(train, segments)["seeker"].x.numpy()  # [n, 6]
    known = ~np.isnan(x).all(axis=0)
    mean, scale = np.zeros(x.shape[1], np.float32), np.ones(x.shape[1], np.float32)
    mean[known], scale[known] = np.nanmean(x[:, known], axis=0), np.nanstd(x[:, known], axis=0) + 1e-3
    changes = train.take(train.changed)
    counts = np.bincount(changes.target, minlength=segments) + 1.0
    with torch.no_grad():
        net.attribute_mean.copy_(torch.from_numpy(mean))
        net.attribute_scale.copy_(torch.from_numpy(scale))
        net.year_range.copy_(torch.tensor([x[:, 1].min(), x[:, 1].max()]))
        net.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
        if net.title_vectors is not None:
            net.title_vectors[:-1] = torch.from_numpy(np.asarray(titles, np.float32))
        if net.neighbours is not None:
            since = changes.take(changes.current >= 0)
            net.neighbours.copy_(torch.from_numpy(neighbours_of(since.current, since.target, segments)))


def _predict(net: HireGNN, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """(change scores float32[n, C], stay logits float32[n]) without dropout."""
    net.eval()
    segments, device = len(net.bias), net.bias.device
    blocks = [examples.take(slice(b, b + BLOCK)) for b in range(0, max(len(examples), 1), BLOCK)]
    with torch.no_grad():
        answers = [net.change_scores(hetero_data(block, segments).to(device)) for block in blocks]
    return torch.cat([s for s, _ in answers]).cpu().numpy(), torch.cat([stay for _, stay in answers]).cpu().numpy()


def _held_out_loss(net: HireGNN, held_out: Weighted, config: TrainConfig) -> float:
    if not len(held_out):
        return 0.0
    scores, stay = map(torch.from_numpy, _predict(net, held_out.examples))
    return float(hire_loss(scores, stay, held_out, net.segment_in.section[:-1].cpu(), config.stay_weight))


def _calibrate(held_out: Examples, scores: np.ndarray, stays: np.ndarray) -> Calibrators:
    if not len(held_out):
        return Calibrators()
    changed, has = held_out.changed, held_out.lengths > 0
    temperature, caution = fit_confidence(scores[changed], held_out.target[changed])
    scale, shift = logistic_line(stays[has], (~changed[has]).astype(np.float64))
    return Calibrators(temperature, scale, shift, caution)
