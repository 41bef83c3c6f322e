"""What links may speak of: attributes of seekers and of jobs, written `kind=value`, and the same in words.

    seeker   occupation, past_occupation, section, major, education; where known skill, seniority, industry
    job      occupation, section, major; where known education, skill, seniority, industry

Kinds are few and documented here; values are whatever the taxonomy and the logs hold. Never a protected attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graph.bipartite import Examples
from market.taxonomy import Taxonomy

SEEKER_KINDS = ("occupation", "past_occupation", "section", "major", "education", "skill", "seniority", "industry")
JOB_KINDS = ("occupation", "section", "major", "education", "skill", "seniority", "industry")
EDUCATION_BANDS = (8, 11, 12, 15, 16)  # upper edges, years of schooling


def education_band(years: float) -> str | None:
    """The value of the attribute `education`, such as "<=12" or ">16"; None when unknown."""
    if not np.isfinite(years):
        return None
    top = next((edge for edge in EDUCATION_BANDS if years <= edge), None)
    return f"<={top}" if top is not None else f">{EDUCATION_BANDS[-1]}"


def seeker_attributes(examples: Examples, taxonomy: Taxonomy, past_items: int = 4) -> list[list[str]]:
    """Per example the attributes links may use, as `kind=value`; never a protected one."""
    found = []
    current = examples.current
    for i in range(len(examples)):
        attributes = []
        if 0 <= current[i] < len(taxonomy):
            o = int(current[i])
            attributes = [
                f"occupation={taxonomy.codes[o]}",
                f"section={taxonomy.section_names[taxonomy.section[o]]}",
                f"major={taxonomy.major_names[taxonomy.major[o]]}",
            ]
            past = examples.item_occupation[
                max(examples.start[i], examples.stop[i] - 1 - past_items) : examples.stop[i] - 1
            ]
            attributes += [
                f"past_occupation={taxonomy.codes[p]}"
                for p in sorted(set(past.tolist()))
                if p != o and p < len(taxonomy)
            ]
        band = education_band(float(examples.education_years[i]))
        if band is not None:
            attributes.append(f"education={band}")
        found.append(attributes)
    return found


def job_attributes(occupation: int, taxonomy: Taxonomy) -> list[str]:
    """The attributes every job of an occupation (position in the taxonomy) has."""
    return [
        f"occupation={taxonomy.codes[occupation]}",
        f"section={taxonomy.section_names[taxonomy.section[occupation]]}",
        f"major={taxonomy.major_names[taxonomy.major[occupation]]}",
    ]


def seeker_in_words(attributes: Sequence[str], taxonomy: Taxonomy) -> str:
    """("education=<=12", "occupation=313") -> "works as Secretaries, at most 12 years of schooling"."""
    ordered = sorted(attributes, key=lambda found: SEEKER_KINDS.index(found.split("=", 1)[0]))
    return ", ".join(
        _words(found, taxonomy, {"occupation": "works as", "past_occupation": "worked as"}) for found in ordered
    )


def job_in_words(attributes: Sequence[str], taxonomy: Taxonomy) -> str:
    """("occupation=313",) -> "as Secretaries"; ("section=Sales",) -> "in section Sales"."""
    ordered = sorted(attributes, key=lambda found: JOB_KINDS.index(found.split("=", 1)[0]))
    verbs = {"occupation": "as", "section": "in section", "major": "in major group"}
    return ", ".join(_words(found, taxonomy, verbs) for found in ordered)


def _words(attribute: str, taxonomy: Taxonomy, verbs: Mapping[str, str]) -> str:
    kind, _, value = attribute.partition("=")
    if kind == "education":
        return f"{value.replace('<=', 'at most ').replace('>', 'more than ')} years of schooling"
    if kind in ("occupation", "past_occupation") and value in taxonomy.position:
        value = taxonomy.titles[taxonomy.position[value]]
    return f"{verbs.get(kind, 'major group' if kind == 'major' else kind)} {value}"
