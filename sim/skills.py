"""A world with skills: real changes of occupation, seen as hires of people with skills into postings with skills.

    person    skills of the occupations held (drawn once per person and occupation) and a few of no reason
    posting   one per hire, of the next occupation, with skills of that occupation
    no hire   the same person beside postings that hired somebody else: any, or of the same section (near misses)

Who moves where is recorded; who has which skill is drawn. A skill so drawn knows no more than the occupation it comes
from: what links over skills gain here shows mechanics (many values, conjunctions, redundancy), not that skills help.
There is no industry, because nothing recorded says it. A posting of the occupation that a person has now is neither a
hire nor a miss, for the careers do not record employers; so it is never drawn as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graph.bipartite import Examples, examples_from_careers, history_edges
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.pairs import LinkPairs, link_pairs
from market.careers import Careers, read_careers
from market.errors import ConfigError, DataError
from market.text import TextVectors
from sim.generated import generated_careers
from sim.skill_sources import OccupationSkills, generated_occupation_skills, read_occupation_skills

EXPERIENCE_YEARS = ((2.0, "below 2 years"), (6.0, "2 to 5 years"), (np.inf, "6 years or more"))
REDRAWS = 50


@dataclass(frozen=True)
class SkillWorldConfig:
    """Skills are drawn without replacement, an essential one essential_odds times as readily as an optional one."""

    seed: int = 0
    persons: int = 1_500  # generated world only
    skills_per_occupation: int = 4
    skills_per_posting: int = 6
    stray_skills: int = 2  # per person, from anywhere
    essential_odds: float = 3.0
    past_items: int = 4  # observations before the current one that a profile still shows
    no_hires_per_hire: int = 5
    near_miss_share: float = 0.0  # of the pairs without hire: a posting of another occupation of the right section
    train_share: float = 0.7
    validation_share: float = 0.1

    def __post_init__(self) -> None:
        counts = (self.skills_per_occupation, self.skills_per_posting, self.no_hires_per_hire)
        if min(counts) < 1 or min(self.stray_skills, self.past_items) < 0 or self.persons < 10:
            raise ConfigError(
                "skills_per_occupation, skills_per_posting and no_hires_per_hire must be at least 1, stray_skills and "
                "past_items at least 0, persons at least 10"
            )
        if not self.essential_odds > 0 or not 0 <= self.near_miss_share <= 1:
            raise ConfigError("essential_odds must be above 0, near_miss_share from 0 to 1")
        if not 0 < self.train_share < self.train_share + self.validation_share < 1:
            raise ConfigError("train_share and validation_share must be above 0 and leave a part for the test")


@dataclass(frozen=True)
class SkillWorld:
    """n hires of people before a change of occupation, n postings (posting i hired seeker i), m pairs.

    seekers, jobs: attributes `kind=value` of each, sorted; person int32[n] and fold int8[n] of seeker i, the
    folds of graph.linking.trial; pair_seeker, pair_job int32[m]; hired bool[m], the n hires first; sources: in words,
    where each part comes from.
    """

    seekers: tuple[tuple[str, ...], ...]
    jobs: tuple[tuple[str, ...], ...]
    person: np.ndarray
    fold: np.ndarray
    pair_seeker: np.ndarray
    pair_job: np.ndarray
    hired: np.ndarray
    sources: dict[str, str]

    def pairs(self) -> tuple[LinkPairs, np.ndarray, np.ndarray]:
        """What mining takes, and person and fold of each pair; the pairs without hire weigh as much as the hires."""
        weight = np.where(self.hired, 1.0, self.hired.sum() / max(1, (~self.hired).sum()))
        pairs = link_pairs(self.seekers, self.jobs, self.pair_seeker, self.pair_job, self.hired, weight)
        return pairs, self.person[self.pair_seeker], self.fold[self.pair_seeker]


def build_skill_world(
    config: SkillWorldConfig,
    careers_folder: Path | None,
    data: Path | None,
    encoder: TextVectors | None,
    progress: Callable[[str], None] = lambda _: None,
) -> SkillWorld:
    """The world on the real careers of a folder with the skills of `data` (esco, onet); without a folder, invented."""
    rng = np.random.default_rng([config.seed, 53])
    if careers_folder is None:
        progress("generating careers and skills")
        careers = generated_careers(config.persons, rng)
        skills = generated_occupation_skills(careers.taxonomy, rng)
        return skill_world(careers, skills, config, "generated careers", "invented skills")
    if data is None or encoder is None:
        raise ConfigError("real careers need a data directory with esco and onet and a text encoder; give both")
    progress("reading careers")
    careers = read_careers(careers_folder)
    progress("mapping occupations to ESCO skills")
    skills = read_occupation_skills(data, careers.taxonomy, encoder)
    shares = skills.mapping_shares(np.bincount(careers.occupation, minlength=len(careers.taxonomy)))
    mapped = ", ".join(f"{share:.1%} {how}" for how, share in shares.items())
    return skill_world(
        careers, skills, config, careers_folder.name, f"ESCO, occupations mapped: {mapped} (of observations)"
    )


def skill_world(
    careers: Careers, skills: OccupationSkills, config: SkillWorldConfig, careers_source: str, skills_source: str
) -> SkillWorld:
    """Every recorded change of occupation as a hire, with the skills of these occupations; the same seed, the same."""
    everything = examples_from_careers(careers)
    examples = everything.take(np.flatnonzero(everything.changed))
    if not len(examples):
        raise DataError("careers", "nobody changes the occupation", "give careers with at least one change")
    rng = np.random.default_rng([config.seed, 54])
    fold = _folds(careers.person_ids, config)[examples.person]
    seekers = _seekers(careers, examples, skills, config, rng)
    jobs = _jobs(careers, examples.target, skills, config, rng)
    seeker, job = _no_hires(careers, examples, fold, config, rng)
    count = np.arange(len(examples), dtype=np.int32)
    near = f", {config.near_miss_share:.0%} of them of the same section" if config.near_miss_share else ""
    return SkillWorld(
        seekers,
        jobs,
        examples.person,
        fold,
        np.concatenate([count, seeker]),
        np.concatenate([count, job]),
        np.arange(len(examples) + len(seeker)) < len(examples),
        {
            "careers": careers_source,
            "skills": f"{skills_source}; drawn from the occupations, so they add no information beyond them",
            "no hires": f"sampled postings that hired somebody else, {config.no_hires_per_hire} a hire{near}",
        },
    )


def _folds(person_ids: tuple[str, ...], config: SkillWorldConfig) -> np.ndarray:
    """int8[P]: by a hash of the id, so that the fold of a person never depends on who else is there."""
    digests = (hashlib.sha256(f"skills:{person_id}".encode()).hexdigest()[:12] for person_id in person_ids)
    draw = np.array([int(digest, 16) / 16**12 for digest in digests])
    edges = [config.train_share, config.train_share + config.validation_share]
    return np.searchsorted(edges, draw, side="right").astype(np.int8)


def _seekers(
    careers: Careers, examples: Examples, skills: OccupationSkills, config: SkillWorldConfig, rng: np.random.Generator
) -> tuple[tuple[str, ...], ...]:
    known = seeker_attributes(examples, careers.taxonomy, config.past_items)
    # one draw per person and occupation ever held: who returns to an occupation has the skills of then
    occupations = len(careers.taxonomy)
    stints, stint_of = np.unique(
        careers.person.astype(np.int64) * occupations + careers.occupation, return_inverse=True
    )
    drawn = _draw(skills, stints % occupations, config.skills_per_occupation, config.essential_odds, rng)
    stray = rng.choice(skills.skill, (len(careers.person_ids), config.stray_skills))

    instance, item, _ = history_edges(examples, config.past_items + 1)
    shown = np.concatenate([drawn[stint_of[item]], np.full((len(item), config.stray_skills), -1)], axis=1)
    newest = np.append(instance[1:] != instance[:-1], True)
    shown[newest, drawn.shape[1] :] = stray[examples.person[instance[newest]]]
    begin = np.searchsorted(instance, np.arange(len(examples) + 1))
    first = np.searchsorted(careers.person, examples.person)
    years = careers.year[examples.stop - 1] - careers.year[first]
    zone = skills.zone[examples.current]
    bags = []
    for i, attributes in enumerate(known):
        has = np.unique(shown[begin[i] : begin[i + 1]])
        words = [f"skill={skills.names[s]}" for s in has.tolist() if s >= 0]
        band = next(name for edge, name in EXPERIENCE_YEARS if years[i] < edge)
        bags.append(tuple(sorted({*attributes, *words, f"seniority=zone {zone[i]}, {band}"})))
    return tuple(bags)


def _jobs(
    careers: Careers,
    occupation: np.ndarray,
    skills: OccupationSkills,
    config: SkillWorldConfig,
    rng: np.random.Generator,
) -> tuple[tuple[str, ...], ...]:
    drawn = _draw(skills, occupation, config.skills_per_posting, config.essential_odds, rng)
    plain = [job_attributes(o, careers.taxonomy) for o in range(len(careers.taxonomy))]
    return tuple(
        tuple(
            sorted(
                {
                    *plain[o],
                    f"seniority=zone {skills.zone[o]}",
                    *(f"skill={skills.names[s]}" for s in row.tolist() if s >= 0),
                }
            )
        )
        for o, row in zip(occupation.tolist(), drawn, strict=True)
    )


def _draw(
    skills: OccupationSkills, occupation: np.ndarray, count: int, essential_odds: float, rng: np.random.Generator
) -> np.ndarray:
    """int32[n, count]: skills of a random variant of each occupation, without replacement, -1 where it has fewer.

    Weighted sampling by exponential keys (Efraimidis and Spirakis 2006): the `count` smallest of E / weight.
    """
    ahead = np.concatenate([[0.0], np.cumsum(skills.share)])
    low, high = ahead[skills.first[occupation]], ahead[skills.first[occupation + 1]]
    variant = np.searchsorted(ahead, low + rng.random(len(occupation)) * (high - low), side="right") - 1
    variant = np.clip(variant, skills.first[occupation], skills.first[occupation + 1] - 1)
    sizes = skills.skill_first[variant + 1] - skills.skill_first[variant]
    row = np.repeat(np.arange(len(occupation)), sizes)
    begin = np.cumsum(sizes) - sizes
    at = np.arange(len(row)) - begin[row] + skills.skill_first[variant[row]]
    key = rng.exponential(size=len(row)) / np.where(skills.essential[at], essential_odds, 1.0)
    order = np.lexsort((key, row))
    rank = np.arange(len(row)) - begin[row]  # the rows stay in their places, ordered by key inside
    chosen = rank < count
    found = np.full((len(occupation), count), -1, np.int32)
    found[row[chosen], rank[chosen]] = skills.skill[at[order]][chosen]
    return found


def _no_hires(
    careers: Careers, examples: Examples, fold: np.ndarray, config: SkillWorldConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(seeker int32, posting int32) of the pairs without hire: postings of the seeker's own fold that hired another.

    Where no posting fits after REDRAWS draws (a fold of one hire, a section of one occupation) a pair is left out.
    """
    section, sections = careers.taxonomy.section, len(careers.taxonomy.section_names)
    seeker = np.repeat(np.arange(len(examples)), config.no_hires_per_hire)
    near = rng.random(len(seeker)) < config.near_miss_share
    group = np.where(
        near, fold[seeker].astype(np.int64) * sections + section[examples.target[seeker]], -1 - fold[seeker]
    )
    job = np.full(len(seeker), -1)
    for part in np.unique(group).tolist():
        if part < 0:
            pool = np.flatnonzero(fold == -1 - part)
        else:
            pool = np.flatnonzero((fold == part // sections) & (section[examples.target] == part % sections))
        waiting = np.flatnonzero(group == part)
        for _ in range(REDRAWS):
            pick = rng.choice(pool, len(waiting))
            person, occupation = seeker[waiting], examples.target[pick]
            fits = (examples.person[pick] != examples.person[person]) & (occupation != examples.current[person])
            if part >= 0:
                fits &= occupation != examples.target[person]
            job[waiting[fits]] = pick[fits]
            waiting = waiting[~fits]
    found = job >= 0
    return seeker[found].astype(np.int32), job[found].astype(np.int32)
