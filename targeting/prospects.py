"""What one job may expect of seekers of each present occupation: is it retrieved, clicked, applied for?

Read from what was learned, by the rules that serving sells slots with, for seekers of whom nothing but their present
occupation is known (and for those of whom not even that is). A real seeker's earlier jobs and schooling move their own
chances up and down; over many seekers of an occupation the forecast calibrates what is left with real clicks.

    score of job o for occupation c      expected grade over how common it is, as the index of serving has it
    retrieved    seats = Liquidity.seats(live jobs in reach);  a place among them, ties shared evenly
    p_click      at the top of the page;    p_apply   of a click
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from targeting.response import pair_features

if TYPE_CHECKING:  # these bring torch, which a service without model does without
    from graph.bipartite import Examples
    from targeting.learned import Learned


@dataclass(frozen=True)
class Prospects:
    """By present occupation, n of them: codes ("" where nobody told); retrieved, p_click, p_apply float64[n] in [0, 1];
    value float64[n]: qualified applications of a click.

    Of the job itself: bid_micros and reserve_micros per click, as the auction takes them. section_of: {code: section},
    of all occupations.
    """

    occupations: tuple[str, ...]
    retrieved: np.ndarray
    p_click: np.ndarray
    p_apply: np.ndarray
    bid_micros: int
    reserve_micros: int
    section_of: dict[str, str]
    value: np.ndarray


class ProspectReader:
    """`alone`: one instance for each of the C occupations as present one, in order, and a last one without any."""

    def __init__(self, learned: Learned, alone: Examples, seats: Callable[[int], int]) -> None:
        self._learned, self._alone, self._seats = learned, alone, seats

    def of(
        self, occupation: int, wage: float | None, live: np.ndarray, bid_micros: int, reserve_micros: int
    ) -> Prospects:
        """live float64[C]: other promoted jobs in reach by occupation; wage: the job's own (None: as usual there)."""
        learned, taxonomy = self._learned, self._learned.taxonomy
        probability, lift = self._read  # [C + 1, C]
        count = len(taxonomy)
        present = np.arange(count + 1)
        known = present < count
        own_wage = np.where(known, learned.wage[np.minimum(present, count - 1)], np.median(learned.wage))
        section = taxonomy.section
        same = known & (section[np.minimum(present, count - 1)] == section[occupation])
        features = pair_features(
            (probability @ learned.grades)[:, occupation],
            probability[:, occupation],
            lift[:, occupation],
            same,
            np.log((wage or learned.wage[occupation]) / own_wage),
        )
        return Prospects(
            (*taxonomy.codes, ""),
            self._retrieved(occupation, live),
            learned.response.p_click(features).astype(np.float64),
            learned.response.p_apply(features).astype(np.float64),
            bid_micros,
            reserve_micros,
            {code: taxonomy.section_names[at] for code, at in zip(taxonomy.codes, section.tolist(), strict=True)},
            learned.response.value_per_click(features).astype(np.float64),
        )

    def _retrieved(self, occupation: int, live: np.ndarray) -> np.ndarray:
        """float64[C + 1]: chance to be among the seats beside the other live jobs."""
        own = self._scores[:, [occupation]]  # [C + 1, 1]
        better = (live * (self._scores > own)).sum(1)
        equal = (live * (self._scores == own)).sum(1)
        seats = self._seats(round(float(live.sum())) + 1)
        return np.asarray(np.clip((seats - better) / (equal + 1), 0.0, 1.0))

    @cached_property
    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        affinity = self._learned.affinity
        return affinity.probabilities(self._alone), affinity.log_lift(self._alone)

    @cached_property
    def _scores(self) -> np.ndarray:
        """float32[C + 1, C] of a job of each occupation."""
        return np.asarray(self._learned.retrieval(self._alone) @ self._learned.occupation_vectors.T, np.float32)
