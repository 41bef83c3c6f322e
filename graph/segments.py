"""Job segments: the occupation of a job where enough hires are known, else its section, else its major group.

A scheme is data: fitted once, stored with its version, and a pure function of an occupation afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from market.errors import ArtefactError, ConfigError
from market.taxonomy import Taxonomy

VERSION = 1


@dataclass(frozen=True)
class SegmentScheme:
    """names: one per segment, such as "occupation=313" or "section=Sales"; of_occupation int32[C]: segment of each."""

    version: int
    minimum_hires: int
    names: tuple[str, ...]
    of_occupation: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, object]:
        return {
            "version": self.version,
            "minimum_hires": self.minimum_hires,
            "names": list(self.names),
            "of_occupation": self.of_occupation.tolist(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> SegmentScheme:
        if content.get("version") != VERSION:
            raise ArtefactError(f"segment scheme version {content.get('version')}, expected {VERSION}; fit again")
        return cls(
            VERSION,
            int(str(content["minimum_hires"])),
            tuple(content["names"]),  # type: ignore[arg-type]
            np.array(content["of_occupation"], np.int32),
        )


def fit_segments(taxonomy: Taxonomy, hires: np.ndarray, minimum_hires: int = 5) -> SegmentScheme:
    """Scheme from hires int[C] per occupation; the occupations of a thin section back off to its major group."""
    if minimum_hires < 0:
        raise ConfigError(f"minimum_hires is {minimum_hires}, expected 0 or more")
    thin = hires < minimum_hires
    pooled = np.bincount(taxonomy.section[thin], weights=hires[thin], minlength=len(taxonomy.section_names))
    labels = []
    for occupation in range(len(taxonomy)):
        section = taxonomy.section[occupation]
        if not thin[occupation]:
            labels.append(f"occupation={taxonomy.codes[occupation]}")
        elif pooled[section] >= minimum_hires:
            labels.append(f"section={taxonomy.section_names[section]}")
        else:
            labels.append(f"major={taxonomy.major_names[taxonomy.major[occupation]]}")
    names = tuple(dict.fromkeys(labels))
    index = {name: position for position, name in enumerate(names)}
    return SegmentScheme(VERSION, minimum_hires, names, np.array([index[label] for label in labels], np.int32))
