"""Which SOC occupations a Census-1980 occupation is: by hand, by equal title, else the five nearest by text.

The Census codes are older than SOC and no public table joins the two; so every mapping says how it was made.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from market.errors import DataError
from market.taxonomy import Taxonomy, normalise_title
from market.text import TextVectors

HAND_CHECKED = Path(__file__).with_name("census80_soc.csv")
MIXTURE = 5
MIXTURE_TEMPERATURE = 0.05


@dataclass(frozen=True)
class SocMapping:
    """Per occupation: weight of each SOC code "11-1011", summing to 1, and how it was found: hand, title or text."""

    mixture: tuple[dict[str, float], ...]
    mapped_by: tuple[str, ...]


def map_to_soc(data: Path, taxonomy: Taxonomy, encoder: TextVectors) -> SocMapping:
    """The SOC occupations of every occupation of a taxonomy; DataError if `data/onet` is not there."""
    onet = read_csv(data / "onet" / "occupation_data.csv.gz").rename(columns={"O*NET-SOC Code": "code"})
    onet["soc"] = onet.code.str[:7]
    onet = onet[onet.code.str.endswith(".00")].drop_duplicates("soc").reset_index(drop=True)
    alternates = read_csv(data / "onet" / "alternate_titles.csv.gz").rename(columns={"O*NET-SOC Code": "code"})
    by_title = {normalise_title(title): soc for title, soc in zip(onet.Title, onet.soc, strict=True)}
    for code, title in zip(alternates.code, alternates["Alternate Title"].astype(str), strict=True):
        by_title.setdefault(normalise_title(title), code[:7])
    with HAND_CHECKED.open() as stream:
        by_hand = {row["occ80"]: row["soc"] for row in csv.DictReader(stream)}

    near = _nearest_by_text(taxonomy, onet, encoder)
    found: list[tuple[str, dict[str, float]]] = []
    for position, (code, title) in enumerate(zip(taxonomy.codes, taxonomy.titles, strict=True)):
        if code in by_hand:
            found.append(("hand", {by_hand[code]: 1.0}))
        elif normalise_title(title) in by_title:
            found.append(("title", {by_title[normalise_title(title)]: 1.0}))
        else:
            found.append(("text", near[position]))
    return SocMapping(tuple(mixture for _, mixture in found), tuple(how for how, _ in found))


def _nearest_by_text(taxonomy: Taxonomy, onet: pd.DataFrame, encoder: TextVectors) -> list[dict[str, float]]:
    vectors = encoder.encode([*taxonomy.titles, *onet.Title.astype(str)])
    similarity = vectors[: len(taxonomy)] @ vectors[len(taxonomy) :].T  # [C, SOC]
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :MIXTURE]
    found = []
    for row, columns in enumerate(best):
        weight = np.exp((similarity[row, columns] - similarity[row, columns[0]]) / MIXTURE_TEMPERATURE)
        weight /= weight.sum()
        found.append(dict(zip(onet.soc.iloc[columns], weight.astype(float), strict=True)))
    return found


def read_csv(path: Path) -> pd.DataFrame:
    """A table of the data directory with its codes as text; DataError if it is not there."""
    if not path.is_file():
        raise DataError(path.name, f"{path} not found", "point to a data directory, or use the generated world")
    return pd.read_csv(path, dtype={"onet_code": str}, low_memory=False)
