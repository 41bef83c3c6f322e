"""Names kept from training, to see what an encoder makes of titles it has not met."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from market.ranking import mean_ranks
from organic.language.concepts import Concept, same_name
from organic.language.noise import noisy
from organic.language.text_rank import NamedTexts

Encode = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class HeldName:
    text: str
    scheme: str
    code: str


def hold_out(concepts: Sequence[Concept], one_in: int) -> tuple[list[Concept], list[HeldName]]:
    """The concepts without about one alternative name in `one_in`, and those names, in order.

    Which ones is decided by the digest of the name, so a name that several concepts share is held from all of them.
    """
    kept, held = [], []
    for concept in concepts:
        out = {name for name in concept.names[1:] if _held(name, one_in)}
        out -= {name for name in out if same_name(name) == same_name(concept.names[0])}
        held += [HeldName(name, concept.scheme, concept.code) for name in concept.names if name in out]
        kept.append(replace(concept, names=tuple(name for name in concept.names if name not in out)))
    return kept, held


def find_held(
    encode: Encode, kept: Sequence[Concept], held: Sequence[HeldName], most: int = 1500, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Per classification, how well held names find their concept by the best of its kept names, plain and dressed up.

    {"esco": {"mrr", "recall@10", "noisy_mrr", "noisy_recall@10", "n"}}; `most` names of each are drawn by seed. A name
    that several concepts bear counts once for each.
    """
    found = {}
    for scheme in sorted({name.scheme for name in held}):
        rng = np.random.default_rng([seed, 17])
        asked = [name for name in held if name.scheme == scheme]
        asked = [asked[at] for at in rng.permutation(len(asked))[:most]]
        corpus = NamedTexts.of((c.code, name) for c in kept if c.scheme == scheme for name in c.names)
        place = {code: at for at, code in enumerate(corpus.ids)}
        own = np.array([place[name.code] for name in asked])
        offered = encode(list(corpus.texts))  # [texts, d]
        figures: dict[str, float] = {}
        dressed = [noisy(name.text, rng) for name in asked]
        for prefix, texts in (("", [name.text for name in asked]), ("noisy_", dressed)):
            by_text = encode(texts) @ offered.T  # [n, texts]
            ranks = mean_ranks(np.maximum.reduceat(by_text, corpus.starts[:-1], axis=1), own)
            figures[f"{prefix}mrr"] = float((1 / ranks).mean())
            figures[f"{prefix}recall@10"] = float((ranks <= 10).mean())
        found[scheme] = {**figures, "n": len(asked)}
    return found


def _held(name: str, one_in: int) -> bool:
    return int.from_bytes(hashlib.sha256(f"held:{same_name(name)}".encode()).digest()[:4]) % one_in == 0
