"""Fine-tuning a sentence encoder on what classifications call an occupation, on one page.

Stage 1 tells pairs of names apart from random others, stage 2 from names of the nearest occupations, with a lower rate;
the losses are those of the towers. The result is a sentence-transformers folder that anything can read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from market.artefacts import digest_of_tree, writing
from market.errors import ConfigError
from organic.language.concepts import Concept, read_esco, read_onet
from organic.language.encoder import TableEncoder
from organic.language.held_out import find_held, hold_out
from organic.language.pairs import ConceptPairs, PairConfig
from organic.learning.schedule import Schedule, Stage
from organic.learning.train import Progress, TrainConfig, train_towers

KIND, FORMAT = "text-encoder", 1
READERS: dict[str, Callable[[Path], list[Concept]]] = {"esco": read_esco, "onet": read_onet}

# pairs seen: short 5 thousand, default 154 thousand (half an hour on one core), long 770 thousand
SCHEDULES: dict[str, Schedule] = {
    "short": (Stage(20, 256, 0, 2e-4),),
    "default": (Stage(400, 256, 0, 2e-4), Stage(200, 256, 0, 1e-4, mined=0.5)),
    "long": (Stage(2000, 256, 0, 2e-4), Stage(1000, 256, 0, 1e-4, mined=0.5)),
}


@dataclass(frozen=True)
class FinetuneConfig:
    """sources are folders of the data directory; one name in `held_out` is never trained on but measured."""

    sources: tuple[str, ...] = ("esco", "onet")
    schedule: Schedule = SCHEDULES["default"]
    pairs: PairConfig = field(default_factory=PairConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(symmetric=True))
    held_out: int = 50
    longest_tokens: int = 32

    def __post_init__(self) -> None:
        unknown = [name for name in self.sources if name not in READERS]
        if unknown or not self.sources:
            raise ConfigError(f"sources {list(self.sources)}; expected some of {', '.join(READERS)}")
        if self.held_out < 2 or self.longest_tokens < 4:
            raise ConfigError(
                f"held_out {self.held_out}, longest_tokens {self.longest_tokens}; expected from 2, from 4"
            )


def fine_tune(
    base: Path, data: Path, out: Path, config: FinetuneConfig, seed: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Train a copy of the encoder in `base` and write it to `out`; -> metrics, seconds among them."""
    began = time.perf_counter()
    concepts = [concept for source in config.sources for concept in READERS[source](data / source)]
    kept, held = hold_out(concepts, config.held_out)
    source = ConceptPairs(kept, config.pairs, seed)
    model = TableEncoder(base, source.texts, config.longest_tokens)
    if any(stage.mined for stage in config.schedule):
        source.neighbourhoods(model.vectors(np.arange(source.names)))
    log = train_towers(model, model, source, source, source.inventory, config.schedule, config.train, seed, progress)
    metrics = {
        "held_out": find_held(model.encode, kept, held),
        "loss": log.loss,
        "pairs": sum(stage.steps * stage.positives for stage in config.schedule),
        "texts": len(source.texts),
        "train_seconds": round(sum(log.seconds), 1),
    }
    inputs = {name: digest_of_tree(data / name) for name in config.sources} | {"base": digest_of_tree(base)}
    with writing(out, KIND, FORMAT, config=asdict(config), seed=seed, inputs=inputs, metrics=metrics) as folder:
        model.save(folder)
    return {**metrics, "seconds": round(time.perf_counter() - began, 1)}
