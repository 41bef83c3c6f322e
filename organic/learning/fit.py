"""A training run on one page: engagement in, towers out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from market.errors import DataError
from market.text import TextVectors
from organic.learning.engagement import NEVER, Engagement
from organic.learning.features import FeatureConfig, Features, described, job_features, request_features
from organic.learning.model import LearnedTowers, TowerWeights
from organic.learning.negatives import Known, Pairs
from organic.learning.network import EngagementNetwork, NetworkConfig, Tower
from organic.learning.schedule import Budget, Schedule, with_hardest
from organic.learning.train import Progress, TrainConfig, TrainLog, train_towers

# Tried one by one on requests of validation persons of simulated logs; bench/organic_engagement.py chooses anew.
TRAIN = TrainConfig(temperature=0.1)
BUDGET = Budget(steps=400, items=512, learning_rate=3e-3)


@dataclass(frozen=True)
class FitConfig:
    """The curriculum as published: half of the items of a batch from the inventory, then the hardest half of them."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    train: TrainConfig = TRAIN
    schedule: Schedule = field(default_factory=lambda: with_hardest(BUDGET, BUDGET.items // 2))


def fit_towers(
    engagement: Engagement,
    encoder: TextVectors,
    config: FitConfig | None = None,
    seed: int = 0,
    request_encoder: TextVectors | None = None,
    progress: Progress | None = None,
) -> tuple[LearnedTowers, TrainLog]:
    """Towers trained on every pair of `engagement` and on the jobs posted up to its last request.

    Jobs are read by `encoder`, requests by `request_encoder` where one is given. DataError where there is no pair.
    """
    config = config or FitConfig()
    if not len(engagement.request):
        raise DataError("clicks, applications, saves", "no positive pair to train on", "Give logs of more days")
    occupations = engagement.inventory.occupations
    requests = request_features(engagement.requests, request_encoder or encoder, occupations, config.features)
    items = job_features(engagement.inventory.jobs, encoder, occupations, config.features)
    network = untrained(requests, items, config, seed)
    log = train_towers(
        network,
        network,
        Pairs(engagement.request, engagement.item, engagement.weight),
        known_pairs(engagement),
        engagement.inventory.open_between(-NEVER, int(engagement.moment.max()) + 1),
        config.schedule,
        config.train,
        seed,
        progress,
    )
    request, item = weights_of(network.request), weights_of(network.item)
    return LearnedTowers(request, item, encoder, occupations, request_encoder, config.features), log


def texts_of(engagement: Engagement) -> list[str]:
    """What requests are made of, each text once: titles of profiles, and titles and descriptions of jobs."""
    titles = (title for request in engagement.requests for title in request.seeker.titles)
    jobs = (text for job in engagement.inventory.jobs for text in (job.title, described(job)))
    return [
        text for text in dict.fromkeys([*titles, *jobs, *engagement.inventory.occupations.values()]) if text.strip()
    ]


def untrained(requests: Features, items: Features, config: FitConfig, seed: int) -> EngagementNetwork:
    """The network with the weights it begins with."""
    import torch

    torch.manual_seed(seed)
    return EngagementNetwork(requests, items, config.features.buckets, config.network)


def known_pairs(engagement: Engagement) -> Known:
    """Every job a seeker engaged with is known for every request of that seeker: none is told to be wrong."""
    seekers, seeker = np.unique(engagement.seekers, return_inverse=True)
    taken = np.unique(np.stack([seeker[engagement.request], engagement.item], 1), axis=0)  # [t, 2], by seeker
    begins = np.searchsorted(taken[:, 0], np.arange(len(seekers) + 1))
    counts = np.diff(begins)[seeker]  # [N]
    request = np.repeat(np.arange(len(engagement)), counts)
    within = np.arange(len(request)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Known.of(request, taken[np.repeat(begins[seeker], counts) + within, 1], len(engagement))


def weights_of(tower: Tower) -> TowerWeights:
    parts = (tower.inner.weight, tower.inner.bias, tower.outer.weight, tower.direct.weight, tower.entities.weight)
    return TowerWeights(*(part.detach().numpy().copy() for part in parts))
