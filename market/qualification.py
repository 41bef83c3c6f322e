"""What a marketplace means by a qualified application: a grade of how near the job is to where the seeker moves next.

The same rule serves the engine (expected grade under its own forecast) and the simulator (grade under what was
recorded); only the forecast and the record differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError
from market.taxonomy import Taxonomy


@dataclass(frozen=True)
class Qualification:
    """Grades for the same occupation, the same section, the same major group; beyond commute_km 0 unless remote."""

    same_occupation: float = 1.0
    same_section: float = 0.35
    same_major_group: float = 0.10
    commute_km: float = 80.0

    def __post_init__(self) -> None:
        if not 0 <= self.same_major_group <= self.same_section <= self.same_occupation <= 1:
            raise ConfigError("grades must fall from same_occupation to same_section to same_major_group, within 0..1")

    def table(self, taxonomy: Taxonomy) -> np.ndarray:
        """float32[C, C]: grade[o, j] of a job of occupation j for somebody who moves into o."""
        grade = np.where(taxonomy.major[:, None] == taxonomy.major, self.same_major_group, 0.0)
        grade = np.where(taxonomy.section[:, None] == taxonomy.section, self.same_section, grade)
        np.fill_diagonal(grade, self.same_occupation)
        return grade.astype(np.float32)
