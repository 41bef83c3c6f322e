"""Links: who is hired where, in conjunctions of attributes that people can read, edit and veto.

A link joins a set of seeker attribute values with a set of job attribute values (Shen et al., Learning to Retrieve for
Job Matching, arXiv 2402.13435). It fires on a pair when the seeker has all of the one and the job all of the other. A
`LinkSet` is what mining leaves: each link with its weight and the hires behind it. A job carries one index term
`link=ID` for every link whose job side it covers; a seeker asks for the ids of the links whose seeker side it covers.
With logistic weights, the sum of the weights of the links that fire is the log odds of a hire against a random pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graph.linking.subsets import SubsetIndex
from market.artefacts import open_artefact, writing
from market.errors import DataError

FORMAT = 2  # format 1 held one attribute a side, as text
Conjunction = tuple[str, ...]  # attributes `kind=value`, sorted, each once


@dataclass(frozen=True)
class LinkSet:
    """L links, best weight first. seeker and job: conjunctions; hires, no_hires int64[L]: pairs on which a link fires.

    weight float64[L]; source: where the pairs without hire came from and how many a hire, in words.
    """

    link_ids: tuple[str, ...]
    seeker: tuple[Conjunction, ...]
    job: tuple[Conjunction, ...]
    weight: np.ndarray
    hires: np.ndarray
    no_hires: np.ndarray
    intercept: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("seeker", "job", "weight", "hires", "no_hires"):
            if len(getattr(self, name)) != len(self.link_ids):
                raise DataError("links", f"{len(getattr(self, name))} entries of {name}, {len(self)} ids", "align them")

    def __len__(self) -> int:
        return len(self.link_ids)

    @cached_property
    def position(self) -> dict[str, int]:
        return {found: position for position, found in enumerate(self.link_ids)}

    @cached_property
    def _seeker_side(self) -> SubsetIndex:
        return SubsetIndex(self.seeker)

    @cached_property
    def _job_side(self) -> SubsetIndex:
        return SubsetIndex(self.job)

    def of_seeker(self, attributes: Iterable[str]) -> list[int]:
        """Positions of the links whose seeker side a seeker with these attributes covers, best first."""
        return self._seeker_side.covered_by(attributes)

    def of_job(self, attributes: Iterable[str]) -> list[int]:
        """Positions of the links whose job side a job with these attributes covers, best first."""
        return self._job_side.covered_by(attributes)

    def between(self, seeker: Iterable[str], job: Iterable[str]) -> list[int]:
        """Positions of the links that fire on a pair, best first."""
        return sorted(set(self.of_seeker(seeker)) & set(self.of_job(job)))

    def terms_of_job(self, attributes: Iterable[str]) -> list[str]:
        """Index terms `link=ID` of a job with these attributes."""
        return [f"link={self.link_ids[i]}" for i in self.of_job(attributes)]

    def take(self, rows: Sequence[int] | np.ndarray) -> LinkSet:
        """The links at these positions, in this order."""
        rows = np.asarray(rows, np.int64)
        text = (tuple(column[i] for i in rows.tolist()) for column in (self.link_ids, self.seeker, self.job))
        return LinkSet(*text, self.weight[rows], self.hires[rows], self.no_hires[rows], self.intercept, self.source)

    def save(self, folder: Path) -> None:
        columns = {name: [list(found) for found in getattr(self, name)] for name in ("seeker", "job")}
        texts = pa.list_(pa.string())
        arrays = {"link_ids": pa.array(list(self.link_ids), pa.string())}
        arrays |= {name: pa.array(found, texts) for name, found in columns.items()}
        arrays |= {name: pa.array(np.asarray(getattr(self, name))) for name in ("weight", "hires", "no_hires")}
        with writing(folder, "link-set", FORMAT) as scratch:
            pq.write_table(pa.table(arrays), scratch / "links.parquet")
            (scratch / "links.json").write_text(json.dumps({"intercept": self.intercept, "source": self.source}))

    @classmethod
    def load(cls, folder: Path) -> LinkSet:
        """Read an artefact of this or an earlier format; ArtefactError if it is damaged or of a later one."""
        manifest = open_artefact(folder, "link-set", (1, FORMAT))
        table = pq.read_table(Path(folder) / "links.parquet")
        numbers = {name: table[name].to_numpy() for name in ("weight", "hires", "no_hires")}
        ids = tuple(table["link_ids"].to_pylist())
        if manifest.format == 1:
            sides = {name: tuple((found,) for found in table[name].to_pylist()) for name in ("seeker", "job")}
            return cls(ids, **sides, **numbers)
        sides = {name: tuple(tuple(found) for found in table[name].to_pylist()) for name in ("seeker", "job")}
        about = json.loads((Path(folder) / "links.json").read_text())
        return cls(ids, **sides, **numbers, intercept=float(about["intercept"]), source=str(about["source"]))


def conjunction(attributes: Iterable[str]) -> Conjunction:
    """The canonical form of a set of attributes: sorted, each once."""
    return tuple(sorted(set(attributes)))


def link_id(seeker: Iterable[str], job: Iterable[str]) -> str:
    """Stable id of a link: the same attributes give the same id after every re-fit, so human edits survive."""
    sides = [list(conjunction(side)) for side in (seeker, job)]
    if all(len(side) == 1 for side in sides):
        sides = [side[0] for side in sides]  # type: ignore[misc]  # as in format 1, whose ids people may have edited
    return hashlib.sha256(json.dumps(sides).encode()).hexdigest()[:12]
