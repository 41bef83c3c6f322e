"""Train a learned aggregator on its proxy task: hide the newest action, say whether it was positive.

    logit = w (g(x_1 ... x_{n-1}) * e_n) + b        positive: apply or save, negative: dismiss; cross entropy

Where nearly all actions are positive the net would learn nothing from that, so for each positive row a random job is
asked about too, as a negative of lower weight: uniform among the jobs anybody acted on that day, at a time moved by a
little, uniform in +-jitter. The random job is asked with the actions before its own time; it is never an input, so that
training reads what serving reads. Source: LinkedIn Engineering Blog, 11 May 2022; weight and jitter are our defaults.

Afterwards only g is kept. A fold of seekers is held out and picks the best epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from market.errors import ConfigError, DataError
from organic.activity.network import NETWORKS, ProxyHead, inputs, one_thread
from organic.activity.sequences import DAY_US, DISMISS, ActivityLog, Sequences

HOUR_US = 3_600_000_000
FEW_JOBS = 20  # on a day with fewer, random jobs are drawn from the whole log


@dataclass(frozen=True)
class ProxyConfig:
    seed: int = 0
    epochs: int = 12
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    random_negatives: int = 1  # per positive row; 0: none
    random_weight: float = 0.5  # of a random negative in the loss; a real action counts 1
    jitter_hours: float = 1.0
    validation_share: float = 0.1  # of the seekers

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1:
            raise ConfigError("epochs and batch have to be at least 1")
        if min(self.random_negatives, self.random_weight, self.jitter_hours, self.weight_decay) < 0:
            raise ConfigError("random_negatives, random_weight, jitter_hours, weight_decay have to be at least 0")
        if not (0 <= self.validation_share < 1 and self.learning_rate > 0):
            raise ConfigError("validation_share has to be in [0, 1) and learning_rate above 0")


@dataclass(frozen=True)
class Questions:
    """n questions: with these actions behind, would the seeker like that job?

    before: the actions known; job int32[n]; at int64[n]; liked bool[n]; weight float32[n].
    """

    before: Sequences
    job: np.ndarray
    at: np.ndarray
    liked: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.job)

    def take(self, rows: np.ndarray) -> Questions:
        return Questions(self.before.take(rows), self.job[rows], self.at[rows], self.liked[rows], self.weight[rows])


class RandomJobs:
    """Uniform draws among the distinct jobs anybody acted on during a day (UTC), each as likely as the next."""

    def __init__(self, log: ActivityLog) -> None:
        pairs = np.unique(np.stack([log.at // DAY_US, log.job.astype(np.int64)], axis=1), axis=0)
        self._day, self._job = pairs[:, 0], pairs[:, 1].astype(np.int32)
        self._all = np.unique(log.job)

    def draw(self, at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """int32[n]: a job for each time (microseconds); of the whole log where the day has fewer than 20."""
        begin = np.searchsorted(self._day, at // DAY_US, side="left")
        size = np.searchsorted(self._day, at // DAY_US, side="right") - begin
        share = rng.random(len(at))
        of_day = self._job[np.minimum(begin + (share * size).astype(np.int64), len(self._job) - 1)]
        return np.where(size >= FEW_JOBS, of_day, self._all[(share * len(self._all)).astype(np.int64)])


def real_questions(rows: Sequences) -> Questions:
    """The newest action of each row, asked of the actions before it."""
    job, action, at = rows.last()
    return Questions(rows.before(rows.count - 1), job, at, action != DISMISS, np.ones(len(rows), np.float32))


def random_questions(asked: Questions, jobs: RandomJobs, config: ProxyConfig, rng: np.random.Generator) -> Questions:
    """For each liked question `random_negatives` about a random job, at a time close by."""
    asked = asked.take(np.repeat(np.flatnonzero(asked.liked), config.random_negatives))
    reach = config.jitter_hours * HOUR_US
    at = asked.at + np.rint(rng.uniform(-reach, reach, len(asked))).astype(np.int64)
    known = (asked.before.at < at[:, None]) & (np.arange(asked.before.length) < asked.before.count[:, None])
    return Questions(
        before=asked.before.before(known.sum(axis=1)),
        job=jobs.draw(at, rng).astype(np.int32),
        at=at,
        liked=np.zeros(len(asked), bool),
        weight=np.full(len(asked), config.random_weight, np.float32),
    )


def together(*parts: Questions) -> Questions:
    """All questions of the parts, which share their job vectors."""
    columns = {
        name: np.concatenate([getattr(part.before, name) for part in parts])
        for name in ("owner", "job", "action", "at", "count")
    }
    joined = Sequences(**columns, jobs=parts[0].before.jobs)
    of_question = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("job", "at", "liked")}
    return Questions(joined, **of_question, weight=np.concatenate([part.weight for part in parts]))


def train_proxy(
    name: str, rows: Sequences, log: ActivityLog, config: ProxyConfig
) -> tuple[nn.Module, ProxyHead, dict[str, float]]:
    """(g, its head, metrics) of the network `name` of NETWORKS, trained on rows from `windows`.

    log gives the jobs of each day. The same seed gives the same bytes on one machine.
    """
    if len(rows) < 2:
        raise DataError("sequences", f"{len(rows)} rows to train on", "give more activity or a lower minimum")
    rng = np.random.default_rng([config.seed, 11])
    owners = np.unique(rows.owner)
    out = np.isin(rows.owner, rng.permutation(owners)[: int(len(owners) * config.validation_share)])
    jobs = RandomJobs(log)
    asked, held_out = real_questions(rows.take(~out)), real_questions(rows.take(out))
    held_out = together(held_out, random_questions(held_out, jobs, config, rng))
    width = rows.jobs.shape[1]

    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(int(rng.integers(2**31)))
        net, head = NETWORKS[name](width, rows.length), ProxyHead(width)
        both = nn.ModuleList([net, head])
        optimizer = torch.optim.AdamW(both.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        best, best_loss = both.state_dict(), np.inf
        for _ in range(config.epochs):
            both.train()
            questions = together(asked, random_questions(asked, jobs, config, rng))
            for part in batches(questions.before.count, config.batch, rng):
                batch = questions.take(part)
                loss = _loss(_logits(net, head, batch), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if not len(held_out):
                best = both.state_dict()
                continue
            reached = float(_loss(torch.from_numpy(answers(net, head, held_out)), held_out))
            if reached < best_loss:
                best_loss, best = reached, {key: tensor.clone() for key, tensor in both.state_dict().items()}
        both.load_state_dict(best)
    metrics = {"rows": len(rows), "liked": float(asked.liked.mean())}
    return net.eval(), head.eval(), metrics | ({"held_out_loss": best_loss} if len(held_out) else {})


def batches(count: np.ndarray, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every row once, in batches of rows about as long as each other: half of the work is padding otherwise."""
    order = rng.permutation(len(count))
    parts = []
    for begin in range(0, len(order), 16 * size):
        block = order[begin : begin + 16 * size]
        block = block[np.argsort(count[block], kind="stable")]
        parts += [block[at : at + size] for at in range(0, len(block), size)]
    return [parts[place] for place in rng.permutation(len(parts))]


def answers(net: nn.Module, head: ProxyHead, questions: Questions, rows_per_pass: int = 1024) -> np.ndarray:
    """float32[n]: logits that the seeker likes the job."""
    net.eval()
    out = np.zeros(len(questions), np.float32)
    with one_thread(), torch.no_grad():
        for begin in range(0, len(questions), rows_per_pass):
            part = np.arange(begin, min(begin + rows_per_pass, len(questions)))
            out[part] = _logits(net, head, questions.take(part)).numpy()
    return out


def _logits(net: nn.Module, head: ProxyHead, questions: Questions) -> torch.Tensor:
    e = torch.from_numpy(questions.before.jobs[questions.job])  # [b, D]
    known = torch.from_numpy(questions.before.count > 0)
    x, held = inputs(questions.before)
    # a moved time may leave nothing known: such a row is read as one padded place and its h is put at zero
    held = held | (~known[:, None] & (torch.arange(held.shape[1]) == 0))
    return head(net(x, held) * known[:, None], e)


def _loss(logits: torch.Tensor, questions: Questions) -> torch.Tensor:
    liked, weight = torch.from_numpy(questions.liked.astype(np.float32)), torch.from_numpy(questions.weight)
    return (binary_cross_entropy_with_logits(logits, liked, reduction="none") * weight).sum() / weight.sum()
