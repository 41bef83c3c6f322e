"""Which areas are near each other: a table of great-circle distances, cut at a number of kilometres."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from market.taxonomy import Metros


def near_areas(areas: Mapping[str, tuple[float, float]], distance_km: float) -> dict[str, tuple[str, ...]]:
    """area -> itself and the areas within distance_km, in the order of the table; places are degrees (lat, lon)."""
    if not areas:
        return {}
    names = tuple(areas)
    latitude, longitude = np.array([areas[name] for name in names], float).T
    near = Metros(names, names, latitude, longitude, np.ones(len(names))).distance_km <= distance_km  # [areas, areas]
    np.fill_diagonal(near, True)
    return {name: tuple(names[at] for at in np.flatnonzero(row)) for name, row in zip(names, near, strict=True)}
