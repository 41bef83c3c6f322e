"""Delivery by audited group of a played market: read at the end, groups alone, nothing where people have none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hiregraph.parity_of_report import parity_of_report
from sim.experiment import Results
from sim.second_look import SecondLook, second_look
from sim.stage import Stage


@pytest.fixture(scope="module")
def look(stage_with_text: Stage, experiment: Results) -> SecondLook:
    return second_look(stage_with_text, experiment, "graph")


def audited(folder: Path, stage: Stage) -> Path:
    """A careers directory with attributes by turns: sexes in equal parts, one race too small to be shown."""
    ids = stage.world.careers.person_ids
    rows = [f"{name},{1 + i % 2},{3 if i % 40 else 1}" for i, name in enumerate(ids)]
    (folder / "audit_attributes.csv").write_text("\n".join(["person_id,sex_1m_2f,race_1h_2b_3o", *rows]) + "\n")
    return folder


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_groups_are_told_with_their_shares_and_small_ones_withheld(
    look: SecondLook, stage_with_text: Stage, tmp_path: Path
) -> None:
    folder = audited(tmp_path, stage_with_text)
    found = parity_of_report(folder, stage_with_text, {"graph": look}, rng())
    assert found["minimum_people"] == 20
    sexes = found["arms"]["graph"]["sex"]["groups"]
    assert sum(row["people"] for row in sexes) == len(np.unique(look.market.person))
    for share in ("eligible_share", "shown_share"):
        assert sum(row[share] for row in sexes) == pytest.approx(1)
    for row in sexes:
        assert row["ratio"] == pytest.approx(row["shown_share"] / row["eligible_share"])
        assert row["ci95"][0] <= row["ratio"] <= row["ci95"][1]
    races = found["arms"]["graph"]["race"]
    assert all(row.get("withheld") for row in races["groups"][:2])
    assert races["sections"] == []
    json.dumps(found, allow_nan=False)


def test_a_group_that_was_shown_nothing_is_withheld_with_the_other(
    look: SecondLook, stage_with_text: Stage, tmp_path: Path
) -> None:
    """The same reach, but impressions of the second sex alone."""
    folder = audited(tmp_path, stage_with_text)
    second = np.repeat(look.market.person % 2 == 1, np.diff(look.market.pairs.start))
    steered = replace(look, times=second.astype(np.int64))
    male, female = parity_of_report(folder, stage_with_text, {"graph": steered}, rng())["arms"]["graph"]["sex"][
        "groups"
    ]
    # nobody of the first sex was shown anything: an empty cell is a small one, and takes the other with it
    assert male == {"category": "Male", "withheld": True}
    assert female == {"category": "Female", "withheld": True}


def test_a_world_without_attributes_has_no_parity(look: SecondLook, stage_with_text: Stage, tmp_path: Path) -> None:
    assert parity_of_report(None, stage_with_text, {"graph": look}, rng()) == {}
    assert parity_of_report(tmp_path, stage_with_text, {"graph": look}, rng()) == {}
