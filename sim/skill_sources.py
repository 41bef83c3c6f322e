"""What skills an occupation asks for: real ones from ESCO through O*NET-SOC, or invented ones.

    Census-1980 occupation -> SOC (sim.soc_mapping) -> ESCO occupations (crosswalk) -> essential and optional skills

An occupation so becomes a mixture of variants, the ESCO occupations it may be; a person or a posting is one of them.
The crosswalk is older than today's SOC: a SOC code that it lacks takes the ESCO occupations of the codes that share
the longest prefix with it (broad group, else minor group, else major group).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from market.errors import DataError
from market.taxonomy import Taxonomy
from market.text import TextVectors
from sim.soc_mapping import SocMapping, map_to_soc, read_csv

PREFIXES = (7, 6, 5, 4, 2)  # "31-1131": the code, its broad group, ..., its major group
UNKNOWN_ZONE = 2.5
SECTION_SKILLS, MAJOR_SKILLS, OWN_SKILLS = 20, 25, 6  # of the generated world


@dataclass(frozen=True)
class OccupationSkills:
    """Skills of C occupations through V variants: variant v of occupation o is a row first[o] <= v < first[o + 1].

    names: the skills; first int64[C + 1]; share float64[V], summing to 1 in each occupation; the skills of variant v
    are skill[skill_first[v]:skill_first[v + 1]] (int32), essential bool likewise; zone int8[C], the job zone (1 little
    to 5 extensive preparation); mapped_by: per occupation where its variants come from.
    """

    names: tuple[str, ...]
    first: np.ndarray
    share: np.ndarray
    skill_first: np.ndarray
    skill: np.ndarray
    essential: np.ndarray
    zone: np.ndarray
    mapped_by: tuple[str, ...]

    def __post_init__(self) -> None:
        if (np.diff(self.first) < 1).any():
            lacking = int((np.diff(self.first) < 1).argmax())
            raise DataError("skills", "an occupation has no variant", "map it to at least one", lacking)
        if (np.diff(self.skill_first) < 1).any():
            lacking = int((np.diff(self.skill_first) < 1).argmax())
            raise DataError("skills", "a variant has no skill", "leave such variants out", lacking)

    def mapping_shares(self, weight: np.ndarray) -> dict[str, float]:
        """Share of `weight` (float[C], such as observations) by where the skills come from."""
        how = np.array(self.mapped_by)
        return {name: float(weight[how == name].sum() / weight.sum()) for name in sorted(set(self.mapped_by))}


def read_occupation_skills(data: Path, taxonomy: Taxonomy, encoder: TextVectors) -> OccupationSkills:
    """ESCO's skills for a Census-1980 taxonomy, from `data/esco` and `data/onet`.

    mapped_by says how the SOC code was found (by hand, by title, by text), and "over neighbours" where the crosswalk
    lacks every one of its SOC codes.
    """
    mapping = map_to_soc(data, taxonomy, encoder)
    crosswalk = read_csv(data / "onet" / "esco_onet_crosswalk_Nov2020.csv.gz")
    zones = read_csv(data / "onet" / "job_zones.csv.gz")
    relations = read_csv(data / "esco" / "occupationSkillRelations.csv.gz")
    labels = read_csv(data / "esco" / "skills_en.csv.gz").set_index("conceptUri").preferredLabel
    relations = relations.assign(label=relations.skillUri.map(labels)).dropna(subset=["label"])
    relations = relations.drop_duplicates(["occupationUri", "label"]).sort_values(["occupationUri", "label"])
    skill, names = pd.factorize(relations.label, sort=True)
    uris, begin = np.unique(relations.occupationUri.to_numpy(str), return_index=True)
    bounds = dict(zip(uris.tolist(), zip(begin, np.append(begin[1:], len(relations)), strict=True), strict=True))
    essential = (relations.relationType == "essential").to_numpy()

    crosswalk = crosswalk[crosswalk.concept_uri.isin(set(uris))]
    by_soc = crosswalk.groupby(crosswalk.onet_code.str[:7]).concept_uri.agg(lambda found: sorted(set(found)))
    nearest = _Prefixes(by_soc.to_dict())
    first, shares, skills, flags, how = [0], [], [], [], []
    for mixture, mapped in zip(mapping.mixture, mapping.mapped_by, strict=True):
        weight: dict[str, float] = {}
        for soc, part in mixture.items():
            variants = nearest.of(soc)
            for uri in variants:
                weight[uri] = weight.get(uri, 0.0) + part / len(variants)
        for uri, share in sorted(weight.items()):
            rows = slice(*bounds[uri])
            shares.append(share)
            skills.append(skill[rows])
            flags.append(essential[rows])
        first.append(len(shares))
        how.append(f"by {mapped}" + ("" if any(soc in by_soc.index for soc in mixture) else " over neighbours"))
    return _packed(names, first, shares, skills, flags, _zones(zones, mapping), how)


def generated_occupation_skills(taxonomy: Taxonomy, rng: np.random.Generator) -> OccupationSkills:
    """Invented skills: an occupation has its own, some of its section (both essential) and of its group (optional)."""
    names: list[str] = []
    blocks: dict[str, np.ndarray] = {}

    def block(kind: str, label: str, count: int) -> np.ndarray:
        key = f"{kind}:{label}"
        if key not in blocks:
            blocks[key] = np.arange(len(names), len(names) + count)
            names.extend(f"{label}, {kind} skill {i + 1}" for i in range(count))
        return blocks[key]

    skills, flags = [], []
    for title, section, major in zip(taxonomy.titles, taxonomy.section, taxonomy.major, strict=True):
        own = block("own", title, OWN_SKILLS)
        shared = block("section", taxonomy.section_names[section], SECTION_SKILLS)
        wide = block("group", taxonomy.major_names[major], MAJOR_SKILLS)
        essential = [*own.tolist(), *rng.choice(shared, SECTION_SKILLS // 2, replace=False).tolist()]
        optional = [*rng.choice(wide, MAJOR_SKILLS // 2, replace=False).tolist()]
        skills.append(np.array([*essential, *optional]))
        flags.append(np.arange(len(skills[-1])) < len(essential))
    count = len(taxonomy)
    zone = np.clip(np.round(rng.uniform(1, 5, len(taxonomy.section_names)))[taxonomy.section], 1, 5)
    return _packed(names, range(count + 1), [1.0] * count, skills, flags, zone, ["invented"] * count)


class _Prefixes:
    """The ESCO occupations of a SOC code, or of all codes that share its longest known prefix."""

    def __init__(self, by_soc: dict[str, list[str]]) -> None:
        if not by_soc:
            raise DataError("esco_onet_crosswalk", "no row leads to an ESCO occupation", "check esco/ and onet/")
        self._known: dict[str, list[str]] = {"": sorted({uri for uris in by_soc.values() for uri in uris})}
        for length in PREFIXES:
            for soc, uris in by_soc.items():
                found = self._known.get(soc[:length], [])
                self._known[soc[:length]] = sorted({*found, *uris})

    def of(self, soc: str) -> list[str]:
        return next(self._known[soc[:n]] for n in (*PREFIXES, 0) if soc[:n] in self._known)


def _zones(zones: pd.DataFrame, mapping: SocMapping) -> np.ndarray:
    known = zones.groupby(zones.onet_code.str[:7]).job_zone.mean().to_dict()
    mean = [sum(part * known.get(soc, UNKNOWN_ZONE) for soc, part in mixture.items()) for mixture in mapping.mixture]
    return np.floor(np.array(mean) + 0.5)


def _packed(
    names: Sequence[str],
    first: Sequence[int],
    shares: Sequence[float],
    skills: list[np.ndarray],
    flags: list[np.ndarray],
    zone: np.ndarray,
    mapped_by: Sequence[str],
) -> OccupationSkills:
    return OccupationSkills(
        tuple(names),
        np.asarray(first, np.int64),
        np.asarray(shares, np.float64),
        np.cumsum([0, *(len(found) for found in skills)]).astype(np.int64),
        np.concatenate(skills).astype(np.int32),
        np.concatenate(flags).astype(bool),
        zone.astype(np.int8),
        tuple(mapped_by),
    )
