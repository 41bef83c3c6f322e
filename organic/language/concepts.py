"""Occupations as two public classifications describe them: names, a description, skills.

ESCO     labels of one concept (preferred, alternative, hidden), description, essential skills
O*NET    the title, its alternate and short titles, description

Nothing here reads a table that maps one classification to the other.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from market.errors import DataError


@dataclass(frozen=True)
class Concept:
    """One occupation of one classification; names[0] is the one it prefers."""

    scheme: str
    code: str
    names: tuple[str, ...]
    description: str = ""
    skills: tuple[str, ...] = ()


def read_esco(folder: Path) -> list[Concept]:
    """The occupations of ESCO's English tables, sorted by URI."""
    skill_names = {
        row["conceptUri"]: row["preferredLabel"].strip()
        for row in _rows(folder / "skills_en.csv.gz", ("conceptUri", "preferredLabel"))
    }
    skills: dict[str, list[str]] = defaultdict(list)
    needed = ("occupationUri", "relationType", "skillUri")
    for row in _rows(folder / "occupationSkillRelations.csv.gz", needed):
        if row["relationType"] == "essential" and row["skillUri"] in skill_names:
            skills[row["occupationUri"]].append(skill_names[row["skillUri"]])
    needed = ("conceptUri", "preferredLabel", "altLabels", "hiddenLabels", "description")
    concepts = []
    for row in _rows(folder / "occupations_en.csv.gz", needed):
        names = [row["preferredLabel"], *row["altLabels"].split("\n"), *row["hiddenLabels"].split("\n")]
        uri = row["conceptUri"]
        concepts.append(
            Concept("esco", uri, _distinct(names), " ".join(row["description"].split()), tuple(sorted(skills[uri])))
        )
    return sorted(concepts, key=lambda concept: concept.code)


def read_onet(folder: Path) -> list[Concept]:
    """The occupations of O*NET, sorted by code."""
    names: dict[str, list[str]] = defaultdict(list)
    needed = ("O*NET-SOC Code", "Alternate Title", "Short Title")
    for row in _rows(folder / "alternate_titles.csv.gz", needed):
        names[row["O*NET-SOC Code"]] += [row["Alternate Title"], row["Short Title"]]
    needed = ("O*NET-SOC Code", "Title", "Description")
    concepts = [
        Concept(
            "onet",
            row["O*NET-SOC Code"],
            _distinct([row["Title"], *names[row["O*NET-SOC Code"]]]),
            " ".join(row["Description"].split()),
        )
        for row in _rows(folder / "occupation_data.csv.gz", needed)
    ]
    return sorted(concepts, key=lambda concept: concept.code)


def names_of(concepts: Sequence[Concept]) -> list[str]:
    """Every name and description, without repeats: what a student of the encoder should read well."""
    texts = [text for concept in concepts for text in (*concept.names, concept.description)]
    return [text for text in dict.fromkeys(texts) if text]


def same_name(text: str) -> str:
    """A name without case, punctuation and plural endings: equal for spellings of one name."""
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    return " ".join(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _distinct(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in needed if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(str(path), f"no column {missing[0]}", f"Expected {', '.join(needed)}")
            yield from reader
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(str(path), reason, "Give the data directory as published, UTF-8 and gzip") from None
