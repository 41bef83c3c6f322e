"""A careers directory: persons, the occupation each had by year, and schooling.

Files (CSV, possibly gzip): `occupations` (person_id, year, occ80) and `occ80_titles` (occ80, title, section) are
required; `highest_grade` (person_id, year, grade) and `persons` are optional. Nothing else is ever opened: not the
audit file, and of `persons` only the ids, so that neither sex, race nor birth date can become a feature.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from market.errors import DataError, NotFoundError
from market.taxonomy import Taxonomy, census_1980

FIRST_YEAR, LAST_YEAR = 1900, 2100


@dataclass(frozen=True)
class Careers:
    """N observations of P persons, sorted by (person, year); a person has at most one observation a year.

    person int32[N]: position in person_ids; year int16[N]; occupation int32[N]: position in taxonomy.codes;
    education_years float32[N]: last schooling known at or before that year, NaN if none.
    """

    person_ids: tuple[str, ...]
    person: np.ndarray
    year: np.ndarray
    occupation: np.ndarray
    education_years: np.ndarray
    taxonomy: Taxonomy

    def __len__(self) -> int:
        return len(self.person)

    def find(self, person_id: str) -> int:
        """Position of a person; NotFoundError if the directory has no observation of it."""
        try:
            return self.person_ids.index(str(person_id))
        except ValueError:
            raise NotFoundError(
                f"person {person_id!r} has no observation here ({len(self.person_ids)} persons); check the id"
            ) from None

    def of_persons(self, keep: np.ndarray) -> Careers:
        """The careers of the persons with keep[person] True (bool[P]); person positions are renumbered."""
        rows = keep[self.person]
        renumbered = np.cumsum(keep) - 1
        return replace(
            self,
            person_ids=tuple(np.asarray(self.person_ids, dtype=object)[keep]),
            person=renumbered[self.person[rows]].astype(np.int32),
            year=self.year[rows],
            occupation=self.occupation[rows],
            education_years=self.education_years[rows],
        )

    def pairs(self) -> np.ndarray:
        """int64[n]: rows i whose successor i+1 is the same person's next observation, gaps kept."""
        return np.flatnonzero(self.person[1:] == self.person[:-1])


def read_careers(folder: Path, taxonomy: Taxonomy | None = None) -> Careers:
    """Read and check a careers directory.

    With `taxonomy` (of a fitted model) codes it does not know are appended behind its own, so positions stay valid.
    DataError names file, row and remedy.
    """
    folder = Path(folder)
    observed = _read(folder, "occupations", ["person_id", "year", "occ80"])
    titles = _read(folder, "occ80_titles", ["occ80", "title", "section"], text=("title", "section"))
    _integers(observed, "occupations", ["year", "occ80"])
    _integers(titles, "occ80_titles", ["occ80"])
    _refuse(observed.person_id.isna(), "occupations", "person_id is missing", "give every observation a person_id")
    outside = ~observed.year.between(FIRST_YEAR, LAST_YEAR)
    _refuse(outside, "occupations", f"year outside {FIRST_YEAR}-{LAST_YEAR}", "write four-digit years")
    _refuse(observed.occ80 < 0, "occupations", "negative occupation code", "use Census-1980 codes")
    observed["person_id"] = observed.person_id.map(_person_id)
    twice = observed.duplicated(["person_id", "year"])
    _refuse(twice, "occupations", "a second observation of a person and year", "keep one row per person and year")
    if not len(observed):
        raise DataError("occupations", "no rows", "at least one observation is needed")

    codes = sorted(int(code) for code in observed.occ80.unique())
    if taxonomy is not None:
        if not all(code.isdecimal() for code in taxonomy.codes):
            raise DataError(
                "occupations",
                f"Census-1980 codes here, but the model was fitted on {taxonomy.scheme}",
                "use a model of the same classification",
            )
        known = [int(code) for code in taxonomy.codes]
        codes = known + sorted(set(codes) - set(known))
    found = census_1980(codes, titles)
    taxonomy = found if taxonomy is None else _extend(taxonomy, found)
    ids = sorted(observed.person_id.unique(), key=_numeric_first)
    observed["person"] = observed.person_id.map({person_id: i for i, person_id in enumerate(ids)})
    observed = observed.sort_values(["person", "year"], kind="stable")
    return Careers(
        person_ids=tuple(ids),
        person=observed.person.to_numpy(np.int32),
        year=observed.year.to_numpy(np.int16),
        occupation=observed.occ80.map({code: i for i, code in enumerate(codes)}).to_numpy(np.int32),
        education_years=_education(folder, observed),
        taxonomy=taxonomy,
    )


def _extend(taxonomy: Taxonomy, found: Taxonomy) -> Taxonomy:
    """The model's own codes keep everything; new codes join an existing section and group by name, or new ones."""
    new = range(len(taxonomy), len(found))

    def levels(names: tuple[str, ...], member: np.ndarray, other: tuple[str, ...], theirs: np.ndarray) -> tuple:
        all_names = list(names)
        ids = list(member)
        for code in new:
            name = other[theirs[code]]
            if name not in all_names:
                all_names.append(name)
            ids.append(all_names.index(name))
        return np.array(ids, np.int32), tuple(all_names)

    section, section_names = levels(taxonomy.section_names, taxonomy.section, found.section_names, found.section)
    major, major_names = levels(taxonomy.major_names, taxonomy.major, found.major_names, found.major)
    return Taxonomy(
        taxonomy.scheme,
        taxonomy.codes + tuple(found.codes[code] for code in new),
        taxonomy.titles + tuple(found.titles[code] for code in new),
        section,
        section_names,
        major,
        major_names,
    )


def _education(folder: Path, observed: pd.DataFrame) -> np.ndarray:
    if _path(folder, "highest_grade") is None:
        return np.full(len(observed), np.nan, np.float32)
    grades = _read(folder, "highest_grade", ["person_id", "year", "grade"])
    _integers(grades, "highest_grade", ["year"])
    grades = grades.dropna()
    wrong = ~pd.to_numeric(grades.grade, errors="coerce").between(0, 30)
    _refuse(wrong, "highest_grade", "grade is not a number of years from 0 to 30", "write years of schooling")
    grades["person_id"] = grades.person_id.map(_person_id)
    keys = observed[["person_id", "year"]].astype({"year": "int64"}).reset_index(drop=True)
    keys["order"] = np.arange(len(keys))
    known = pd.merge_asof(
        keys.sort_values("year"),
        grades.astype({"year": "int64", "grade": "float32"}).sort_values("year"),
        on="year",
        by="person_id",
    )
    return known.sort_values("order").grade.to_numpy(np.float32)


def _path(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{end}" for end in (".csv.gz", ".csv") if (folder / f"{name}{end}").is_file()), None)


def _read(folder: Path, name: str, columns: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
    path = _path(folder, name)
    if path is None:
        raise DataError(name, f"{folder / name}.csv.gz (or .csv) not found", "point to a careers directory")
    try:
        frame = pd.read_csv(path, dtype={column: str for column in (*text, "person_id")})
    except (ValueError, OSError, EOFError, zlib.error) as problem:
        raise DataError(name, f"{path} can not be read ({str(problem).splitlines()[0]})", "write it as CSV") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(name, f"column {missing[0]!r} is missing (found {list(frame.columns)})", "add the column")
    return frame[list(columns)].copy()


def _integers(frame: pd.DataFrame, name: str, columns: Sequence[str]) -> None:
    for column in columns:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        bad = ~np.isfinite(numbers) | (numbers != np.floor(numbers))
        _refuse(bad, name, f"{column} is not an integer", "mend or remove the row")
        frame[column] = numbers.astype(np.int64)


def _refuse(bad: pd.Series, name: str, problem: str, remedy: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        raise DataError(name, f"{problem} ({int(bad.sum())} such rows)", remedy, row=row)


def _person_id(value: str) -> str:
    return value.strip()


def _numeric_first(person_id: str) -> tuple[int, int, str]:
    return (0, int(person_id), "") if person_id.isdigit() else (1, 0, person_id)
