"""What vacancies of an occupation look like: titles, description, preparation level, wage by metro.

In the careers world these come from O*NET and OEWS through a mapping of Census-1980 occupations to SOC
(`sim.soc_mapping`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from market.errors import DataError
from market.taxonomy import Metros, Taxonomy
from market.text import TextEncoder
from sim.soc_mapping import map_to_soc


@dataclass(frozen=True)
class Facts:
    """Per occupation (C) and metro (M): titles and description, level float32[C] in 1..5, wage float64[C, M] a year.

    mapped_by says how each occupation was mapped: "hand", "title", "text", or "own" in the generated world.
    """

    titles: tuple[tuple[str, ...], ...]
    descriptions: tuple[str, ...]
    level: np.ndarray
    wage: np.ndarray
    mapped_by: tuple[str, ...]

    def mapping_shares(self, weight: np.ndarray) -> dict[str, float]:
        """Share of `weight` (observations per occupation, [C]) mapped in each way."""
        total = weight.sum()
        how = np.array(self.mapped_by)
        return {name: float(weight[how == name].sum() / total) for name in sorted(set(self.mapped_by))}


def read_metros(data: Path, count: int) -> Metros:
    """The `count` metros with the largest employment that have coordinates."""
    frame = _csv(data / "oews_2025" / "metros_geo.csv.gz").dropna(subset=["lat", "lon", "total_employment"])
    frame = frame.sort_values(["total_employment", "cbsa"], ascending=[False, True]).head(count)
    return Metros(
        tuple(frame.cbsa.astype(str)),
        tuple(frame.name),
        frame.lat.to_numpy(float),
        frame.lon.to_numpy(float),
        frame.total_employment.to_numpy(float),
    )


def read_facts(
    data: Path,
    taxonomy: Taxonomy,
    metros: Metros,
    encoder: TextEncoder,
    titles_each: int = 4,
    progress: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Facts of a Census-1980 taxonomy from `data/onet` and `data/oews_2025`."""
    onet = _csv(data / "onet" / "occupation_data.csv.gz").rename(columns={"O*NET-SOC Code": "code"})
    onet["soc"] = onet.code.str[:7]
    onet = onet[onet.code.str.endswith(".00")].drop_duplicates("soc").reset_index(drop=True)
    alternates = _csv(data / "onet" / "alternate_titles.csv.gz").rename(columns={"O*NET-SOC Code": "code"})
    zones = _csv(data / "onet" / "job_zones.csv.gz")
    zone = dict(zip(zones.onet_code.str[:7], zones.job_zone.astype(float), strict=True))

    progress("mapping occupations")
    mapping = map_to_soc(data, taxonomy, encoder)

    wages = _wages(data, metros)
    variants = {
        soc: list(group.astype(str)) for soc, group in alternates.groupby(alternates.code.str[:7])["Alternate Title"]
    }
    described = dict(zip(onet.soc, onet.Description.astype(str), strict=True))
    titles, descriptions, level, wage = [], [], [], []
    for title, mixture in zip(taxonomy.titles, mapping.mixture, strict=True):
        main = max(mixture, key=lambda soc: mixture[soc])
        shown = [t for t in variants.get(main, []) if len(t) <= 60][: titles_each - 1]
        titles.append((title, *shown))
        descriptions.append(described.get(main, title)[:300])
        level.append(sum(weight * zone.get(soc, 2.5) for soc, weight in mixture.items()))
        wage.append(sum(weight * wages(soc) for soc, weight in mixture.items()))
    return Facts(tuple(titles), tuple(descriptions), np.array(level, np.float32), np.array(wage), mapping.mapped_by)


def _wages(data: Path, metros: Metros) -> Callable[[str], np.ndarray]:
    """A function soc -> float64[M]: mean annual wage in each metro, else national, of the major group, of all."""
    frame = _csv(data / "oews_2025" / "oews_area_occ.csv.gz")
    frame["mean_annual"] = pd.to_numeric(frame.mean_annual, errors="coerce")
    frame = frame.dropna(subset=["mean_annual"])
    national = frame[frame.area_type == "N"].set_index("occ").mean_annual.to_dict()
    local = frame[frame.area_type == "M"].set_index(["area_code", "occ"]).mean_annual.to_dict()
    areas = [f"00{metro}" for metro in metros.ids]

    def of(soc: str) -> np.ndarray:
        code = soc.replace("-", "")
        fallback = national.get(code, national.get(code[:2] + "0000", national["000000"]))
        return np.array([local.get((area, code), fallback) for area in areas])

    return of


def generated_facts(taxonomy: Taxonomy, metros: Metros, rng: np.random.Generator) -> Facts:
    """Invented facts: level by major group, wage rising with level, three plain title variants."""
    base = rng.uniform(1, 5, len(taxonomy.major_names))
    level = np.clip(base[taxonomy.major] + rng.normal(0, 0.4, len(taxonomy)), 1, 5)
    local = np.exp(rng.normal(0, 0.12, len(metros)))
    wage = 26_000 * np.exp(0.28 * (level - 1) + rng.normal(0, 0.1, len(taxonomy)))[:, None] * local
    titles = tuple((title, f"Senior {title}", f"{title}, full time") for title in taxonomy.titles)
    descriptions = tuple(
        f"{title}: work in {taxonomy.section_names[section].lower()}"
        for title, section in zip(taxonomy.titles, taxonomy.section, strict=True)
    )
    return Facts(titles, descriptions, level.astype(np.float32), wage, ("own",) * len(taxonomy))


def _csv(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(path.name, f"{path} not found", "point --data to a data directory, or use --world generated")
    text = {"occ": str, "area_code": str, "cbsa": str, "onet_code": str}
    return pd.read_csv(path, dtype=text, low_memory=False)
