"""The world of a market: folds by person, vacancies of the window, and the real careers where the data is at hand."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.errors import ConfigError, DataError
from sim.behaviour import read_behaviour
from sim.lives import EMPLOYERS_PER_CELL
from sim.world import FIT, SERVE, VALIDATE, World, WorldConfig, build_world, folds, scaled
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import SHAPE


def built(**changes: Any) -> World:
    return build_world(replace(SHAPE, persons=100, **changes), read_behaviour(), None, None)


def arrays_of(world: World) -> dict[str, bytes]:
    parts = {"lives": world.lives, "inventory": world.inventory, "careers": world.careers}
    found = {
        f"{part}.{field.name}": getattr(content, field.name)
        for part, content in parts.items()
        for field in fields(content)
    }
    found |= {"wage": world.facts.wage, "level": world.facts.level, "fold": world.fold}
    return {name: value.tobytes() for name, value in found.items() if isinstance(value, np.ndarray)}


def test_all_copies_of_a_person_are_in_one_fold(world: World) -> None:
    for person in range(len(world.careers.person_ids)):
        copies = np.flatnonzero(world.lives.person == person)
        assert len(np.unique(world.fold[copies])) == 1
        assert len(copies) == (1 if world.fold[copies[0]] == FIT else SHAPE.serve_replicas)


def test_the_fold_of_a_person_does_not_depend_on_who_else_is_there() -> None:
    everybody = tuple(f"p{i}" for i in range(5_000))
    of_all = dict(zip(everybody, folds(everybody, SHAPE).tolist(), strict=True))
    some = everybody[::7][::-1]
    assert folds(some, SHAPE).tolist() == [of_all[person] for person in some]
    shares = np.bincount(list(of_all.values())) / len(everybody)
    assert shares == pytest.approx([0.6, 0.1, 0.3], abs=0.025)


def test_every_fold_has_people_and_every_seeker_an_id_of_its_own(world: World) -> None:
    assert set(world.fold.tolist()) == {FIT, VALIDATE, SERVE}
    ids = [world.seeker_id(seeker) for seeker in range(len(world.lives.person))]
    assert len(set(ids)) == len(ids)


def test_the_inventory_is_open_when_the_window_opens_and_hires_what_fit_persons_did(world: World) -> None:
    jobs, lives = world.inventory, world.lives
    at_start = (jobs.posted_day <= world.window_day) & (jobs.expires_day > world.window_day)
    assert at_start.sum() == SHAPE.inventory == len(jobs.open_between(world.window_day, world.window_day + 1))
    assert at_start[: SHAPE.inventory].all()
    assert (jobs.openings >= 1).all()
    assert (jobs.wage > 0).all()
    past = lives.hired & (lives.start_day < world.window_day) & (world.fold[lives.seeker] == FIT)
    assert set(jobs.occupation.tolist()) <= set(lives.occupation[past].tolist())
    cell = world.careers.taxonomy.major[jobs.occupation] * SHAPE.metros + jobs.metro
    assert (jobs.employer // EMPLOYERS_PER_CELL == cell).all()


def test_a_vacancy_bears_a_title_of_its_occupation(world: World) -> None:
    for row in range(20):
        assert world.title(world.inventory, row) in world.facts.titles[world.inventory.occupation[row]]


def test_the_window_opens_after_the_last_visible_survey(world: World) -> None:
    survey = np.datetime64(f"{SHAPE.last_year + SHAPE.calendar_shift}-07-01").astype(int)
    assert world.window_day == survey + SHAPE.window_after_days


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    one, again, other = arrays_of(built()), arrays_of(built()), arrays_of(built(seed=1))
    assert one == again
    assert one["lives.start_day"] != other["lives.start_day"]


@pytest.mark.parametrize(
    "wrong",
    [{"posting_days": 0}, {"kind": "moon"}, {"metros": 0}, {"serve_replicas": 0}, {"inventory": 9}, {"persons": 49}],
)
def test_an_impossible_world_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(SHAPE, **wrong)


def test_the_careers_world_asks_for_its_data(tmp_path: Path) -> None:
    config = WorldConfig(kind="careers")
    with pytest.raises(ConfigError, match="--world generated"):
        build_world(config, read_behaviour(), None, WordEncoder())
    with pytest.raises(DataError):
        build_world(config, read_behaviour(), tmp_path, WordEncoder())


DATA = os.environ.get("HIREGRAPH_DATA")
NEEDED = ("occupations.csv.gz", "occ80_titles.csv.gz", "highest_grade.csv.gz")


@pytest.mark.skipif(not DATA or not (Path(DATA) / "nlsy79_careers").is_dir(), reason="HIREGRAPH_DATA holds no careers")
def test_the_careers_world_needs_neither_the_audit_file_nor_the_text_encoder(tmp_path: Path) -> None:
    """The audit file and the table of persons are not even there; texts are compared by their words."""
    data = Path(str(DATA))
    (tmp_path / "nlsy79_careers").mkdir()
    for name in NEEDED:
        (tmp_path / "nlsy79_careers" / name).symlink_to(data / "nlsy79_careers" / name)
    for name in ("onet", "oews_2025"):
        (tmp_path / name).symlink_to(data / name)
    config = WorldConfig(kind="careers", metros=2, serve_replicas=1, inventory=300)
    world = build_world(config, read_behaviour(), tmp_path, WordEncoder())
    lives, careers = world.lives, world.careers
    assert len(world.metros) == 2
    assert len(careers.person_ids) > 9_000
    hired = np.flatnonzero(lives.hired)
    assert (lives.employer[hired] != lives.employer[hired - 1]).all()
    same = lives.occupation[hired] == lives.occupation[hired - 1]
    assert same.mean() == pytest.approx(config.same_occupation_share, abs=0.01)
    assert np.isfinite(world.facts.wage).all()
    assert ((world.facts.level >= 1) & (world.facts.level <= 5)).all()
    shares = world.facts.mapping_shares(np.bincount(careers.occupation).astype(float))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["hand"] > 0.3


def test_a_world_grows_with_its_campaigns_and_its_window() -> None:
    usual = WorldConfig()
    small, large = scaled(usual, 300, 7), scaled(usual, 1_000, 28)
    assert (small.inventory, small.serve_replicas, small.posting_days) == (4_000, 8, 14)
    assert (large.inventory, large.serve_replicas, large.posting_days) == (10_000, 28, 28)
    assert small.validate_replicas == large.validate_replicas == 8
