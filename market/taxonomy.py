"""Occupations in a three-level classification, metropolitan areas, and distances.

    occupation (code, title)  ->  section  ->  major group

Occupations are referred to by their position in `Taxonomy.codes` inside the engine and by their code outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from market.errors import DataError, NotFoundError

# First codes of the major groups of the 1980 Census classification (US Census Bureau, Alphabetical Index, 1980).
CENSUS_1980_MAJOR_GROUPS = {
    0: "Executive, administrative and managerial",
    43: "Professional specialty",
    203: "Technicians",
    243: "Sales",
    303: "Administrative support",
    403: "Private household",
    413: "Protective service",
    433: "Other service",
    473: "Farming, forestry and fishing",
    503: "Precision production, craft and repair",
    703: "Machine operators, assemblers and inspectors",
    803: "Transportation and material moving",
    863: "Handlers, helpers and labourers",
    900: "Military and not classified",
}
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True)
class Taxonomy:
    """One named classification of C occupations.

    section and major are int32[C]: positions in section_names and major_names.
    """

    scheme: str
    codes: tuple[str, ...]
    titles: tuple[str, ...]
    section: np.ndarray
    section_names: tuple[str, ...]
    major: np.ndarray
    major_names: tuple[str, ...]

    @cached_property
    def position(self) -> dict[str, int]:
        return {code: position for position, code in enumerate(self.codes)}

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, code: str) -> int:
        """Position of an occupation code; NotFoundError says which scheme was meant."""
        try:
            return self.position[code]
        except KeyError:
            raise NotFoundError(
                f"occupation {code!r} is not in {self.scheme} ({len(self)} codes); use one of its codes"
            ) from None

    @cached_property
    def by_title(self) -> dict[str, int]:
        """Normalised title -> the first occupation that bears it."""
        found: dict[str, int] = {}
        for position, title in enumerate(self.titles):
            found.setdefault(normalise_title(title), position)
        return found


def normalise_title(title: str) -> str:
    """Lower case, letters and digits only, single spaces: the form in which titles are compared."""
    return re.sub(r"[^a-z0-9]+", " ", title.lower()).strip()


def build_taxonomy(scheme: str, rows: Iterable[tuple[str, str, str, str]]) -> Taxonomy:
    """Taxonomy from (code, title, section name, major group name) rows, in the order given."""
    codes, titles, sections, majors = tuple(zip(*rows, strict=True)) or ((), (), (), ())
    section, section_names = pd.factorize(np.asarray(sections, dtype=object))
    major, major_names = pd.factorize(np.asarray(majors, dtype=object))
    return Taxonomy(
        scheme,
        codes,
        titles,
        section.astype(np.int32),
        tuple(section_names),
        major.astype(np.int32),
        tuple(major_names),
    )


def census_1980(codes: Sequence[int], titles: pd.DataFrame) -> Taxonomy:
    """Census-1980 taxonomy of the given codes; `titles` has columns occ80, title, section.

    A code without a title keeps its code as title; its section is that of the nearest smaller titled code.
    """
    known = titles.dropna(subset=["title", "section"]).drop_duplicates("occ80").set_index("occ80").sort_index()
    if not len(known):
        raise DataError("occ80_titles", "no rows", "one row per occupation with occ80, title and section is needed")
    starts = np.array(list(CENSUS_1980_MAJOR_GROUPS))
    names = list(CENSUS_1980_MAJOR_GROUPS.values())
    rows = []
    for code in codes:
        nearest = known.index[max(0, int(known.index.searchsorted(code, side="right")) - 1)]
        title = str(known.title[code]) if code in known.index else f"Occupation {code}"
        section = str(known.section[nearest]).strip().rstrip(":")
        rows.append((str(code), title, section, names[int(np.searchsorted(starts, code, side="right")) - 1]))
    return build_taxonomy("census-1980", rows)


@dataclass(frozen=True)
class Metros:
    """M metropolitan areas: ids, names, latitude and longitude in degrees (float64[M]), employment as weight."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    employment: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def distance_km(self) -> np.ndarray:
        """float64[M, M]: great-circle distances (haversine)."""
        phi, lam = np.radians(self.latitude), np.radians(self.longitude)
        half = (
            np.sin((phi[:, None] - phi) / 2) ** 2
            + np.cos(phi[:, None]) * np.cos(phi) * np.sin((lam[:, None] - lam) / 2) ** 2
        )
        return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
