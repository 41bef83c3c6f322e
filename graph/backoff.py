"""Cold start: what to say where the hire graph learned little or nothing.

    new occupation, title only     a known title is that occupation; else a mixture of the k occupations with the
                                   nearest titles, weight = softmax(similarity / temperature)
    new occupation, classified     text_share of that mixture, the rest its section's occupations by their hires
    return to a rare occupation    `HireModel.return_boosts`

A mixture stands in for the occupation's vector, so the score of a seeker for a new job is the weighted mean of the
scores for its neighbours, without their boosts ("was there before" is not inherited). Biases are log popularities and
are mixed as popularities. Vectors and boosts are served like any others. Similarity is the cosine of the text vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graph.bipartite import Examples
from graph.model import HireModel
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy, normalise_title
from market.text import TextVectors

Mixture = tuple[np.ndarray, np.ndarray]  # ids int32[n, k] with -1 for none, weight float32[n, k] whose rows sum to 1


@dataclass(frozen=True)
class BackoffConfig:
    """Defaults were chosen on validation persons and other held-out occupations of NLSY79."""

    neighbours: int = 5
    temperature: float = 0.1  # of the similarities, cosines from -1 to 1
    text_share: float = 0.5  # of a mixture where the section is known as well

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ConfigError(f"neighbours is {self.neighbours}, expected at least 1")
        if not self.temperature > 0 or not 0 <= self.text_share <= 1:
            raise ConfigError(
                f"temperature is {self.temperature}, text_share {self.text_share}; expected above 0, and from 0 to 1"
            )


def occupation_mixture(
    titles: Sequence[str],
    taxonomy: Taxonomy,
    encoder: TextVectors,
    config: BackoffConfig = BackoffConfig(),
    *,
    hires: np.ndarray | None = None,
) -> Mixture:
    """(ids int32[n, k], weight float32[n, k]): the occupations each title stands for, best first, ties by position.

    With fewer than k = config.neighbours to choose from the rest is id -1, weight 0. hires float[C]: only occupations
    with hires are chosen, and of equal titles the one with most (default: all, and the first). Occupations that have
    no title but their code are never chosen. DataError where nothing is left to choose from.
    """
    counts = np.ones(len(taxonomy)) if hires is None else np.asarray(hires, np.float64)
    columns = _distinct_titles(taxonomy, counts)
    if not len(columns):
        raise DataError("occupations", f"none of the {len(taxonomy)} has a title and hires", "fit on hires first")
    names = [normalise_title(taxonomy.titles[o]) for o in columns]
    found = min(config.neighbours, len(columns))
    ids = np.full((len(titles), config.neighbours), -1, np.int32)
    weight = np.zeros((len(titles), config.neighbours), np.float32)

    same = {name: o for name, o in zip(names, columns, strict=True)}
    unknown = [row for row, title in enumerate(titles) if normalise_title(title) not in same]
    theirs = encoder.encode([taxonomy.titles[o] for o in columns]) if unknown else None  # [c, e]
    if theirs is not None:
        similarity = encoder.encode([titles[row] for row in unknown]) @ theirs.T  # [u, c]
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :found]  # [u, f]
        nearest = np.take_along_axis(similarity, order, axis=1).astype(np.float64)
        odds = np.exp((nearest - nearest[:, :1]) / config.temperature)
        ids[unknown, :found] = np.asarray(columns)[order]
        weight[unknown, :found] = odds / odds.sum(axis=1, keepdims=True)
    for row in sorted(set(range(len(titles))) - set(unknown)):
        ids[row, 0], weight[row, 0] = same[normalise_title(titles[row])], 1
    return ids, weight


def section_mixture(section: np.ndarray, taxonomy: Taxonomy, hires: np.ndarray | None = None) -> Mixture:
    """(ids int32[n, k], weight float32[n, k]): the occupations of each section by hires + 1, padded with -1.

    section int[n]: positions in taxonomy.section_names; hires float[C], default 0: all alike. Occupations without hires
    are left out where others have some; a section without any of the rest gets them all.
    """
    counts = np.zeros(len(taxonomy)) if hires is None else np.asarray(hires, np.float64)
    allowed = counts > 0 if counts.any() else np.ones(len(taxonomy), bool)
    members = [np.flatnonzero(allowed & (taxonomy.section == s)) for s in np.asarray(section).tolist()]
    members = [found if len(found) else np.flatnonzero(allowed) for found in members]
    ids = np.full((len(members), max(map(len, members), default=0)), -1, np.int32)
    for row, found in enumerate(members):
        ids[row, : len(found)] = found
    share = np.where(ids >= 0, counts[np.maximum(ids, 0)] + 1, 0)
    return ids, (share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)


def blended(first: Mixture, second: Mixture, share: float) -> Mixture:
    """A mixture that is `share` of the first and the rest of the second; an occupation may then occur twice."""
    ids = np.concatenate([first[0], second[0]], axis=1)
    return ids, np.concatenate([np.float32(share) * first[1], np.float32(1 - share) * second[1]], axis=1)


def mixture_vectors(vectors: np.ndarray, mixture: Mixture, members: int = 1) -> np.ndarray:
    """float32[n, d]: the weighted mean of the vectors (float32[C, d]) of each row; log(sum w exp(bias)) as its bias.

    vectors: `HireModel.occupation_vectors`, `members` of the model side by side. For a lift, the popularity of a row
    is the same mixture of the occupations' popularities.
    """
    ids, weight = mixture
    share = np.where(ids >= 0, weight, 0)[:, :, None]  # [n, k, 1]
    parts = vectors[np.maximum(ids, 0)]  # [n, k, d]
    found = (parts * share).sum(axis=1)  # [n, d]
    bias = parts[:, :, _bias_columns(vectors, members)].astype(np.float64)  # [n, k, members]
    top = np.where(share > 0, bias, -np.inf).max(axis=1)  # [n, members]
    found[:, _bias_columns(vectors, members)] = top + np.log((share * np.exp(bias - top[:, None])).sum(axis=1))
    return np.asarray(found, np.float32)


def change_scores(model: HireModel, examples: Examples, new: np.ndarray | None = None) -> np.ndarray:
    """float32[n, C + m]: score of a change into each known occupation, then into m new ones; softmax gives P.

    new float32[m, d], in the space of `model.occupation_vectors`. The current occupation has -inf.
    """
    reading = model.read(examples)
    vectors = model.occupation_vectors if new is None else np.concatenate([model.occupation_vectors, new])
    scores = reading.vectors @ vectors.T  # [n, C + m]
    np.add.at(scores, (reading.instance, reading.occupation), reading.weight)
    has = np.flatnonzero(reading.current >= 0)
    scores[has, reading.current[has]] = -np.inf
    return np.asarray(scores)


def first_observations(examples: Examples) -> Examples:
    """One instance per person with a history: nothing known but schooling, the outcome is the oldest item.

    To be learned from beside the others, and to be asked about: a seeker who names no past occupation. The schooling is
    that of the person's earliest instance, at which it was no older than that.
    """
    earliest = np.lexsort((examples.stop, examples.person))
    _, first = np.unique(examples.person[earliest], return_index=True)
    rows = earliest[first]
    known = examples.take(rows[examples.lengths[rows] == 1])
    empty = np.zeros(len(known), np.int64)
    return Examples(
        person=known.person,
        start=empty,
        stop=empty,
        item_occupation=examples.item_occupation,
        item_year=examples.item_year,
        year=examples.item_year[known.start],
        education_years=known.education_years,
        target=examples.item_occupation[known.start],
    )


def with_first_observations(examples: Examples) -> Examples:
    """The instances and, behind them, their `first_observations`: what to train on so that no history is no riddle."""
    first = first_observations(examples)
    columns = ("person", "start", "stop", "year", "education_years", "target")
    joined = {name: np.concatenate([getattr(examples, name), getattr(first, name)]) for name in columns}
    return Examples(**joined, item_occupation=examples.item_occupation, item_year=examples.item_year)


def _distinct_titles(taxonomy: Taxonomy, hires: np.ndarray) -> list[int]:
    """Positions of the titled occupations with hires, in order; of equal titles the one with most hires."""
    best: dict[str, int] = {}
    for o, (code, title) in enumerate(zip(taxonomy.codes, taxonomy.titles, strict=True)):
        name = normalise_title(title)
        untitled = normalise_title(code) in (name, name.removeprefix("occupation "))
        if hires[o] > 0 and not untitled and (name not in best or hires[o] > hires[best[name]]):
            best[name] = o
    return sorted(best.values())


def _bias_columns(vectors: np.ndarray, members: int) -> slice:
    """The last coordinate of every member."""
    width = vectors.shape[1] // members
    return slice(width - 1, None, width)
