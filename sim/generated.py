"""A world that needs no files: invented occupations, metros and careers of the same shape as the real ones.

People carry a latent field of work; they move mostly inside it, sometimes back to what they did before, seldom far.
The engine sees none of this, only the resulting occupations by year.
"""

from __future__ import annotations

import numpy as np

from market.careers import Careers
from market.taxonomy import Metros, Taxonomy, build_taxonomy

FIELDS = (
    ("Care", "Health"), ("Nursing", "Health"), ("Laboratory", "Health"),
    ("Retail", "Commerce"), ("Wholesale", "Commerce"), ("Hospitality", "Commerce"),
    ("Building", "Trades"), ("Machinery", "Trades"), ("Electrical", "Trades"),
    ("Transport", "Logistics"), ("Storage", "Logistics"),
    ("Accounts", "Office"), ("Records", "Office"), ("Administration", "Office"),
    ("Software", "Technology"), ("Engineering", "Technology"),
    ("Teaching", "Public service"), ("Security", "Public service"),
)  # fmt: skip
RANKS = (
    "assistant",
    "clerk",
    "worker",
    "technician",
    "specialist",
    "adviser",
    "inspector",
    "planner",
    "supervisor",
    "manager",
)
CITIES = ("Northport", "Eastfield", "Westhaven", "Southbay", "Midvale", "Lakeside", "Hillcrest", "Riverton", "Oakdale",
          "Stonebridge", "Fairview", "Kingsford")  # fmt: skip


def generated_taxonomy() -> Taxonomy:
    """180 occupations in 18 sections and 7 major groups."""
    rows = []
    for section, (field, major) in enumerate(FIELDS):
        for rank, word in enumerate(RANKS):
            rows.append((f"{section:02d}{rank:02d}", f"{field} {word}", field, major))
    return build_taxonomy("generated-1", rows)


def generated_metros(count: int, rng: np.random.Generator) -> Metros:
    names = [CITIES[i % len(CITIES)] + (f" {i // len(CITIES) + 1}" if i >= len(CITIES) else "") for i in range(count)]
    return Metros(
        tuple(f"m{i:02d}" for i in range(count)),
        tuple(names),
        rng.uniform(42, 52, count),
        rng.uniform(-2, 18, count),
        1e6 / np.arange(1, count + 1),
    )


def generated_careers(persons: int, rng: np.random.Generator, first_year: int = 1982, years: int = 13) -> Careers:
    """Careers of `persons` people over `years` consecutive years; about a third of the pairs keep the occupation."""
    taxonomy = generated_taxonomy()
    occupations = len(taxonomy)
    popularity = rng.dirichlet(np.full(occupations, 1.5))
    near = np.full((occupations, occupations), 0.02)
    near += 0.25 * (taxonomy.major[:, None] == taxonomy.major)
    near += 2.0 * (taxonomy.section[:, None] == taxonomy.section)
    near *= rng.gamma(0.6, 1.0, near.shape) * popularity  # some particular moves are common, most are rare
    np.fill_diagonal(near, 0)
    cumulative = np.cumsum(near / near.sum(1, keepdims=True), axis=1)

    history = np.empty((persons, years), np.int32)
    history[:, 0] = rng.choice(occupations, persons, p=popularity)
    for year in range(1, years):
        current = history[:, year - 1]
        draw = (cumulative[current] < rng.random(persons)[:, None]).sum(1).clip(0, occupations - 1)
        past = history[np.arange(persons), rng.integers(0, year, persons)]
        kind = rng.random(persons)
        history[:, year] = np.where(kind < 0.36, current, np.where(kind < 0.50, past, draw))
    section_level = rng.uniform(9, 16, len(taxonomy.section_names))
    education = np.round(section_level[taxonomy.section[history[:, 0]]] + rng.normal(0, 1.2, persons)).clip(6, 20)
    present = rng.random((persons, years)) < 0.92
    present[:, 0] = True
    person, year_at = np.nonzero(present)
    return Careers(
        person_ids=tuple(f"g{i}" for i in range(persons)),
        person=person.astype(np.int32),
        year=(first_year + year_at).astype(np.int16),
        occupation=history[person, year_at].astype(np.int32),
        education_years=education[person].astype(np.float32),
        taxonomy=taxonomy,
    )
