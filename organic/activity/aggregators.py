"""Aggregators: sequences of actions to one vector each, behind one protocol and one registry.

    mean         E = (1 / n) sum of e_i
    decay        E = (1 - r) / (1 - r^n) sum of r^(n-i) e_i,   0 < r < 1, e_n the newest
    cnn, lstm, transformer, attention     h = g(x_1 ... x_n), see network.py

Mean and decay give one vector per action (apply, save, dismiss; 3 D numbers), decay by rank within the action, not by
time; the learned ones read all actions in one sequence and give D. A new aggregator is one line of AGGREGATORS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from market.errors import ArtefactError, ConfigError
from organic.activity.network import NETWORKS, encode
from organic.activity.proxy import ProxyConfig, train_proxy
from organic.activity.sequences import ACTIONS, ActivityLog, Sequences

RATES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # the grid of r that the source leaves open


class Aggregator(Protocol):
    """A row's vector depends on that row alone, to the last bit: batch equals one by one."""

    @property
    def name(self) -> str: ...

    def width(self, jobs: int) -> int:
        """Numbers a seeker, for job vectors of that width."""
        ...

    def vectors(self, sequences: Sequences) -> np.ndarray:
        """float32[n, width], row i for row i; zeros for an empty row."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """(settings, arrays) that `restored` builds the same aggregator from."""
        ...


@dataclass(frozen=True)
class Weighted:
    """Weights r^(n-i) that sum to 1, per action; rate 1 is the unweighted mean."""

    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ConfigError(f"rate is {self.rate}, expected more than 0 and at most 1 (1: the mean)")

    @property
    def name(self) -> str:
        return "mean" if self.rate == 1 else "decay"

    def width(self, jobs: int) -> int:
        return len(ACTIONS) * jobs

    def vectors(self, sequences: Sequences) -> np.ndarray:
        dimension = sequences.jobs.shape[1]
        out = np.zeros((len(sequences), self.width(dimension)))
        for action in range(len(ACTIONS)):
            total = np.zeros((len(sequences), dimension))
            mass = np.zeros((len(sequences), 1))
            # place by place, oldest first: elementwise steps whose bits do not depend on how many rows there are
            for place in range(sequences.length):
                mine = (sequences.action[:, place] == action)[:, None]
                e = sequences.jobs[sequences.job[:, place]].astype(np.float64)  # [n, D]
                total = np.where(mine, self.rate * total + e, total)
                mass = np.where(mine, self.rate * mass + 1, mass)
            out[:, action * dimension : (action + 1) * dimension] = total / np.maximum(mass, 1)
        return out.astype(np.float32)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"rate": self.rate}, {}


@dataclass(frozen=True)
class Learned:
    """A trained network; see `encode` for rows_per_pass. metrics: of its proxy task."""

    name: str
    net: nn.Module
    length: int
    rows_per_pass: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)

    def width(self, jobs: int) -> int:
        return jobs

    def vectors(self, sequences: Sequences) -> np.ndarray:
        return encode(self.net, sequences, self.rows_per_pass)

    def in_bulk(self, rows_per_pass: int = 512) -> Learned:
        """The same network in large passes, for measurements: faster, equal to rounding only."""
        return replace(self, rows_per_pass=rows_per_pass)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays = {name: tensor.numpy() for name, tensor in self.net.state_dict().items()}
        return {"length": self.length, "metrics": dict(self.metrics)}, arrays


@dataclass(frozen=True)
class FitConfig:
    rate: float = 0.8  # of decay
    proxy: ProxyConfig = field(default_factory=ProxyConfig)


Fit = Callable[[Sequences, ActivityLog, FitConfig], Aggregator]
Restore = Callable[[Mapping[str, Any], Mapping[str, np.ndarray], int], Aggregator]


@dataclass(frozen=True)
class Kind:
    """How an aggregator comes about: fitted on rows of a log, or restored from its state for jobs of some width."""

    fit: Fit
    restore: Restore


def closed_form(rate: Callable[[FitConfig], float]) -> Kind:
    return Kind(
        fit=lambda rows, log, config: Weighted(rate(config)),
        restore=lambda settings, arrays, jobs: Weighted(float(settings["rate"])),
    )


def network(name: str) -> Kind:
    def fit(rows: Sequences, log: ActivityLog, config: FitConfig) -> Aggregator:
        net, _, metrics = train_proxy(name, rows, log, config.proxy)
        return Learned(name, net, rows.length, metrics=metrics)

    def restore(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], jobs: int) -> Aggregator:
        net = NETWORKS[name](jobs, int(settings["length"]))
        try:
            net.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        except RuntimeError as problem:
            reason = str(problem).splitlines()[0]
            raise ArtefactError(f"the weights do not fit {name} ({reason}); fit it again") from None
        return Learned(name, net.eval(), int(settings["length"]), metrics=settings.get("metrics", {}))

    return Kind(fit, restore)


AGGREGATORS: dict[str, Kind] = {
    "mean": closed_form(lambda config: 1.0),
    "decay": closed_form(lambda config: config.rate),
    "cnn": network("cnn"),
    "lstm": network("lstm"),
    "transformer": network("transformer"),
    "attention": network("attention"),
}


def fit_aggregator(name: str, rows: Sequences, log: ActivityLog, config: FitConfig | None = None) -> Aggregator:
    """The aggregator `name` of AGGREGATORS, fitted on rows from `windows`; ConfigError for an unknown name."""
    return _kind(name).fit(rows, log, config or FitConfig())


def restored(name: str, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], jobs: int) -> Aggregator:
    """The aggregator that `state` described, for job vectors of width `jobs`; ArtefactError if they do not fit."""
    return _kind(name).restore(settings, arrays, jobs)


def _kind(name: str) -> Kind:
    if name not in AGGREGATORS:
        raise ConfigError(f"no aggregator is called {name!r}; choose from {', '.join(AGGREGATORS)}")
    return AGGREGATORS[name]
