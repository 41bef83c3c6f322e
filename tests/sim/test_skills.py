"""The world with skills: what is recorded stays recorded, what is drawn comes from the occupation."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graph.linking.trial import TEST, TRAIN, VALIDATE
from market.careers import Careers
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy
from sim.generated import generated_careers
from sim.skill_sources import OccupationSkills, generated_occupation_skills, read_occupation_skills
from sim.skills import SkillWorld, SkillWorldConfig, build_skill_world, skill_world

CONFIG = SkillWorldConfig(persons=60, validation_share=0.15)
TINY = build_taxonomy(
    "tiny", [("1", "Baker", "Food", "Service"), ("2", "Cook", "Food", "Service"), ("3", "Welder", "Metal", "Craft")]
)


def careers_of(*paths: list[int]) -> Careers:
    """Persons p0, p1, ... who had these occupations in consecutive years from 1980."""
    person = np.concatenate([np.full(len(path), i) for i, path in enumerate(paths)])
    year = np.concatenate([1980 + np.arange(len(path)) for path in paths])
    known = np.full(len(person), 12.0, np.float32)
    ids = tuple(f"p{i}" for i in range(len(paths)))
    columns = (person.astype(np.int32), year.astype(np.int16), np.concatenate(paths).astype(np.int32), known)
    return Careers(ids, *columns, TINY)


def tiny_skills(per_occupation: int = 10) -> OccupationSkills:
    """One variant an occupation; its skills are called after it, the first half essential."""
    count = 3 * per_occupation
    return OccupationSkills(
        tuple(f"{'bcw'[i // per_occupation]}{i % per_occupation}" for i in range(count)),
        np.arange(4),
        np.ones(3),
        np.arange(4) * per_occupation,
        np.arange(count, dtype=np.int32),
        np.arange(count) % per_occupation < per_occupation // 2,
        np.array([1, 2, 3], np.int8),
        ("own",) * 3,
    )


def skills_in(bag: tuple[str, ...]) -> set[str]:
    return {word.removeprefix("skill=") for word in bag if word.startswith("skill=")}


@pytest.fixture(scope="module")
def world() -> SkillWorld:
    return build_skill_world(CONFIG, None, None, None)


def test_every_change_is_a_hire_into_a_posting_of_the_next_occupation():
    found = skill_world(careers_of([0, 0, 1, 2], [2, 2], [1, 0]), tiny_skills(), CONFIG, "tiny", "own")
    hires = np.flatnonzero(found.hired)
    moves = [
        (found.seekers[found.pair_seeker[i]], found.jobs[found.pair_job[i]], int(found.person[found.pair_seeker[i]]))
        for i in hires
    ]
    assert [("occupation=1" in seeker, "occupation=2" in job, person) for seeker, job, person in moves] == [
        (True, True, 0),
        (False, False, 0),
        (False, False, 2),
    ]
    assert "occupation=3" in moves[1][1]
    assert "past_occupation=1" in moves[1][0]


def test_a_posting_asks_for_skills_of_its_occupation_only():
    found = skill_world(careers_of([0, 1, 2, 0], [2, 1]), tiny_skills(), CONFIG, "tiny", "own")
    for bag in found.jobs:
        code = next(word for word in bag if word.startswith("occupation="))[-1]
        assert {name[0] for name in skills_in(bag)} == {"bcw"[int(code) - 1]}
        assert len(skills_in(bag)) == CONFIG.skills_per_posting
        assert f"seniority=zone {code}" in bag


def test_without_stray_skills_a_person_has_those_of_the_occupations_held_and_keeps_them():
    config = replace(CONFIG, stray_skills=0)
    found = skill_world(careers_of([0, 1, 0, 2]), tiny_skills(), config, "tiny", "own")
    as_baker, as_cook, returned = (skills_in(bag) for bag in found.seekers)
    assert len(as_baker) == config.skills_per_occupation
    assert {name[0] for name in as_baker} == {"b"}
    assert as_baker < as_cook == returned
    assert {name[0] for name in as_cook} == {"b", "c"}


def test_an_occupation_far_back_is_forgotten():
    config = replace(CONFIG, stray_skills=0, past_items=1)
    found = skill_world(careers_of([0, 1, 2, 1]), tiny_skills(), config, "tiny", "own")
    assert {name[0] for name in skills_in(found.seekers[2])} == {"c", "w"}


def test_essential_skills_are_drawn_more_readily():
    many = careers_of(*[[0, 1]] * 400)
    plain = skill_world(many, tiny_skills(), replace(CONFIG, essential_odds=1.0), "tiny", "own")
    eager = skill_world(many, tiny_skills(), replace(CONFIG, essential_odds=20.0), "tiny", "own")
    share = [np.mean([int(name[1:]) < 5 for bag in found.jobs for name in skills_in(bag)]) for found in (plain, eager)]
    assert share[0] == pytest.approx(0.5, abs=0.03)
    assert share[1] > 0.75  # six drawn, five essential


def test_experience_counts_years_since_the_first_observation():
    found = skill_world(careers_of([0, 1] * 4), tiny_skills(), CONFIG, "tiny", "own")
    bands = [next(word for word in bag if word.startswith("seniority=")) for bag in found.seekers]
    assert [band.partition(", ")[2] for band in bands] == ["below 2 years"] * 2 + ["2 to 5 years"] * 4 + [
        "6 years or more"
    ]
    assert bands[0].startswith("seniority=zone 1")
    assert bands[1].startswith("seniority=zone 2")


def test_a_pair_without_hire_is_a_posting_that_hired_another_person_of_the_fold_elsewhere(world):
    against = np.flatnonzero(~world.hired)
    seeker, job = world.pair_seeker[against], world.pair_job[against]
    assert len(against) == CONFIG.no_hires_per_hire * world.hired.sum()
    assert (world.person[seeker] != world.person[job]).all()
    assert (world.fold[seeker] == world.fold[job]).all()
    for i, j in zip(seeker[:300].tolist(), job[:300].tolist(), strict=True):
        now = next(word for word in world.seekers[i] if word.startswith("occupation="))
        assert now not in world.jobs[j]


def test_near_misses_are_of_the_right_section_and_the_wrong_occupation():
    near = build_skill_world(replace(CONFIG, near_miss_share=1.0), None, None, None)
    against = np.flatnonzero(~near.hired)[:300]
    for i, j in zip(near.pair_seeker[against].tolist(), near.pair_job[against].tolist(), strict=True):
        right, other = (dict(word.split("=", 1) for word in near.jobs[k]) for k in (i, j))
        assert right["section"] == other["section"]
        assert right["occupation"] != other["occupation"]
    assert "same section" in near.sources["no hires"]


def test_a_person_is_in_one_fold_whoever_else_is_there(world):
    fold_of = {}
    for person, fold in zip(world.person.tolist(), world.fold.tolist(), strict=True):
        assert fold_of.setdefault(person, fold) == fold
    assert set(fold_of.values()) == {TRAIN, VALIDATE, TEST}
    alone = skill_world(careers_of([0, 1], [1, 0], [2, 1]), tiny_skills(), CONFIG, "tiny", "own")
    first = skill_world(careers_of([0, 1], [2, 1]), tiny_skills(), CONFIG, "tiny", "own")
    assert alone.fold[:2].tolist() == first.fold.tolist()  # p0 and p1


def test_hires_and_pairs_without_weigh_the_same_in_mining(world):
    pairs, person, fold = world.pairs()
    assert pairs.weight[pairs.hired].sum() == pytest.approx(pairs.weight[~pairs.hired].sum())
    assert len(person) == len(fold) == len(pairs)
    row = np.flatnonzero(~pairs.hired)[0]
    bag = {pairs.job_words[token] for token in pairs.jobs.row(pairs.job[row])}
    assert bag == set(world.jobs[world.pair_job[row]])


def test_the_same_seed_gives_the_same_world_and_another_one_another(world):
    again = build_skill_world(CONFIG, None, None, None)
    assert (again.seekers, again.jobs) == (world.seekers, world.jobs)
    assert (again.pair_job == world.pair_job).all()
    assert build_skill_world(replace(CONFIG, seed=1), None, None, None).seekers != world.seekers


def test_only_documented_kinds_are_written(world):
    seeker = {word.split("=", 1)[0] for bag in world.seekers for word in bag}
    job = {word.split("=", 1)[0] for bag in world.jobs for word in bag}
    assert seeker == {"occupation", "past_occupation", "section", "major", "education", "skill", "seniority"}
    assert job == {"occupation", "section", "major", "skill", "seniority"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"no_hires_per_hire": 0},
        {"skills_per_posting": 0},
        {"stray_skills": -1},
        {"essential_odds": 0.0},
        {"near_miss_share": 1.1},
        {"train_share": 0.9, "validation_share": 0.1},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError):
        SkillWorldConfig(**wrong)


def test_without_any_change_there_is_no_world():
    with pytest.raises(DataError, match="nobody changes"):
        skill_world(careers_of([0, 0]), tiny_skills(), CONFIG, "tiny", "own")


def test_real_careers_need_the_skills_beside_them(tmp_path):
    with pytest.raises(ConfigError, match="esco and onet"):
        build_skill_world(CONFIG, tmp_path, None, None)


def test_generated_occupations_share_skills_by_section_and_by_group():
    careers = generated_careers(30, np.random.default_rng(0))
    taxonomy = careers.taxonomy
    skills = generated_occupation_skills(taxonomy, np.random.default_rng(0))
    sets = [set(skills.skill[skills.skill_first[v] : skills.skill_first[v + 1]].tolist()) for v in range(len(taxonomy))]
    near = len(sets[0] & sets[1])  # same section
    other = next(i for i in range(len(taxonomy)) if taxonomy.major[i] != taxonomy.major[0])
    assert near > 0
    assert not sets[0] & sets[other]


class Letters:
    """A text encoder of letter counts."""

    dimension = 26

    def encode(self, texts):
        counts = np.array([[text.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def write(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as stream:
        stream.write("\n".join(rows) + "\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory of three SOC occupations, of which the crosswalk knows two."""
    write(
        tmp_path / "onet" / "occupation_data.csv.gz",
        "O*NET-SOC Code,Title,Description",
        "51-3011.00,Bakers,Bake",
        "35-2014.00,Restaurant cooking people,Cook",
        "51-4121.00,Welder,Weld",
    )
    write(tmp_path / "onet" / "alternate_titles.csv.gz", "O*NET-SOC Code,Alternate Title", "51-3011.00,Baker")
    write(tmp_path / "onet" / "job_zones.csv.gz", "onet_code,job_zone", "51-3011.00,2", "51-3011.01,3", "51-4121.00,4")
    write(
        tmp_path / "onet" / "esco_onet_crosswalk_Nov2020.csv.gz",
        "onet_code,concept_uri",
        "51-3011.00,e/baker",
        "51-3011.00,e/pastry",
        "51-3011.00,e/gone",
        "35-2011.00,e/cook",
    )
    write(
        tmp_path / "esco" / "occupationSkillRelations.csv.gz",
        "occupationUri,relationType,skillUri",
        "e/baker,essential,s/bread",
        "e/baker,optional,s/sell",
        "e/pastry,essential,s/cake",
        "e/cook,essential,s/fry",
    )
    labels = ("s/bread,bake bread", "s/sell,sell", "s/cake,bake cake", "s/fry,fry")
    write(tmp_path / "esco" / "skills_en.csv.gz", "conceptUri,preferredLabel", *labels)
    return tmp_path


def of_occupation(skills: OccupationSkills, o: int) -> list[tuple[float, dict[str, bool]]]:
    """Per variant its share and {skill: essential}."""
    found = []
    for v in range(skills.first[o], skills.first[o + 1]):
        rows = range(skills.skill_first[v], skills.skill_first[v + 1])
        found.append((float(skills.share[v]), {skills.names[skills.skill[r]]: bool(skills.essential[r]) for r in rows}))
    return found


def test_an_occupation_is_a_mixture_of_the_esco_occupations_of_its_soc_code(data):
    skills = read_occupation_skills(data, TINY, Letters())
    assert of_occupation(skills, 0) == [(0.5, {"bake bread": True, "sell": False}), (0.5, {"bake cake": True})]
    assert skills.mapped_by[0] == "by title"
    assert skills.zone.tolist()[0] == 3  # 2.5, halves go up


def test_a_soc_code_the_crosswalk_lacks_takes_its_nearest_kin(data):
    skills = read_occupation_skills(data, TINY, Letters())
    # 51-4121 shares only the major group 51 with 51-3011
    assert of_occupation(skills, 2) == of_occupation(skills, 0)
    assert skills.mapped_by[2] == "by title over neighbours"
    assert skills.zone[2] == 4


def test_a_title_nobody_bears_is_mapped_by_text_to_several(data):
    skills = read_occupation_skills(data, TINY, Letters())
    assert skills.mapped_by[1] == "by text"
    assert sum(share for share, _ in of_occupation(skills, 1)) == pytest.approx(1)
    assert {"fry"} in [set(found) for _, found in of_occupation(skills, 1)]
    assert skills.mapping_shares(np.array([1.0, 2.0, 1.0])) == {
        "by text": 0.5,
        "by title": 0.25,
        "by title over neighbours": 0.25,
    }


def test_a_missing_table_is_named(data):
    (data / "esco" / "skills_en.csv.gz").unlink()
    with pytest.raises(DataError, match="skills_en"):
        read_occupation_skills(data, TINY, Letters())
