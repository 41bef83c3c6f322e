"""From a request's profile to what the hire model reads: titles become occupations, by name or by the nearest text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.history import examples_of_profiles
from market.records import SeekerProfile
from market.taxonomy import Taxonomy, normalise_title
from market.text import TextVectors

YEARS_PER_POSITION = 2.0  # a profile gives titles in order but not when they began


def present_alone(occupations: int) -> Examples:
    """One instance for each occupation as the present one and all that is known, and a last one without any."""
    count = occupations
    histories, years = [*([o] for o in range(count)), []], [*([2020.0] for _ in range(count)), []]
    return examples_of_profiles(histories, years, np.full(count + 1, np.nan), 2020.0 + YEARS_PER_POSITION)


class ProfileReader:
    """Occupations by title; text vectors of the taxonomy's titles are computed when first needed."""

    def __init__(self, taxonomy: Taxonomy, encoder: TextVectors) -> None:
        self._taxonomy, self._encoder = taxonomy, encoder
        self._titles: np.ndarray | None = None
        self._lift: tuple[np.ndarray, np.ndarray] | None = None

    def occupations(self, titles: Sequence[str]) -> list[int]:
        """The occupation of each title: the one that bears it, else the nearest by text."""
        named = [self._taxonomy.by_title.get(normalise_title(title)) for title in titles]
        missing = [title for title, found in zip(titles, named, strict=True) if found is None]
        if missing:
            if self._titles is None:
                self._titles = self._encoder.encode(list(self._taxonomy.titles))
            nearest = dict(
                zip(missing, (self._encoder.encode(missing) @ self._titles.T).argmax(1).tolist(), strict=True)
            )
            return [nearest[title] if found is None else found for title, found in zip(titles, named, strict=True)]
        return [found for found in named if found is not None]

    def example(self, seeker: SeekerProfile, now: datetime) -> Examples:
        """One instance: titles oldest first, assumed to follow each other every two years."""
        history = self.occupations([title for title in seeker.titles if title.strip()])[::-1]
        year = now.year + (now.timetuple().tm_yday - 1) / 365.25
        years = [year - YEARS_PER_POSITION * (len(history) - i) for i in range(len(history))]
        schooling = np.nan if seeker.education_years is None else seeker.education_years
        return examples_of_profiles([history], [years], np.array([schooling]), year)

    def lift_into(self, affinity: Affinity, occupation: int) -> tuple[np.ndarray, np.ndarray]:
        """(log lift float32[C], probability float32[C]) of a hire into `occupation`, by present occupation alone."""
        if self._lift is None:
            count = len(self._taxonomy)
            alone = examples_of_profiles(
                [[o] for o in range(count)], [[2020.0]] * count, np.full(count, np.nan), 2022.0
            )
            self._lift = affinity.log_lift(alone), affinity.probabilities(alone)
        lift, probability = self._lift
        return lift[:, occupation], probability[:, occupation]
