"""A sweep: which cells it has, what a cell changes, and that finished cells are never played twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from market.errors import ConfigError, DataError
from sim.behaviour import Behaviour, read_behaviour
from sim.experiment import ExperimentConfig
from sim.market import MarketConfig
from sim.stage import Stage
from sim.sweep import SweepConfig, along, read_axes, run_sweep, varied
from sim.sweep_page import sweep_rows, write_sweep_page
from sim.world import WorldConfig
from tests.sim.small_world import SHAPE

EXPERIMENT = ExperimentConfig(
    arms=("attribute", "graph"),
    seeds=1,
    theta=0.3,
    thetas=(0.1,),
    budget_levels=(),
    flat_clicks=False,
    market=MarketConfig(days=1, campaigns=20),
)
CONFIG = SweepConfig(SHAPE, EXPERIMENT, {"budget-level": (0.5, 1.0), "competition": (2.0,)})
BEHAVIOUR = read_behaviour()


class Stages:
    """Gives out one stage and counts for which worlds it was asked; may be told to break off at a call."""

    def __init__(self, stage: Stage, stop_at: int = 0) -> None:
        self.stage, self.asked, self.stop_at = stage, [], stop_at  # type: ignore[var-annotated]

    def __call__(self, world: WorldConfig, behaviour: Behaviour) -> Stage:
        self.asked.append((world.same_occupation_share, behaviour["click"]["match"]))
        if len(self.asked) == self.stop_at:
            raise KeyboardInterrupt
        return self.stage


def run(out: Path, stages: Stages, config: SweepConfig = CONFIG, **options: Any) -> dict[str, Any]:
    return run_sweep(config, BEHAVIOUR, stages, out, {"program": "1"}, **options)


def test_one_at_a_time_has_the_default_once_and_a_grid_every_combination() -> None:
    usual = CONFIG.default()
    assert CONFIG.cells() == [usual, usual | {"budget-level": 0.5}, usual | {"competition": 2.0}]
    grid = replace(CONFIG, over={"budget-level": (0.5, 2.0), "click-match": (0.5, 1.5)}, grid=True).cells()
    assert len(grid) == 5
    assert [cell["click-match"] for cell in grid] == [1.0, 0.5, 0.5, 1.5, 1.5]  # one world after the other


def test_a_cell_changes_world_behaviour_and_market_as_it_says() -> None:
    cell = {"same-occupation-share": 0.6, "click-match": 0.5, "competition": 2.0, "budget-level": 3.0}
    world, behaviour, experiment = CONFIG.settings(cell, BEHAVIOUR)
    assert world.same_occupation_share == 0.6
    assert behaviour["click"]["match"] == pytest.approx(BEHAVIOUR["click"]["match"] / 2)
    assert behaviour.sha256 != BEHAVIOUR.sha256
    assert (experiment.market.campaigns, experiment.market.budget_level) == (40, 3.0)
    same = CONFIG.settings(CONFIG.default(), BEHAVIOUR)
    assert same == (SHAPE, BEHAVIOUR, EXPERIMENT)


def test_finished_cells_are_reused_and_give_the_same_document(stage: Stage, tmp_path: Path) -> None:
    stages = Stages(stage)
    first = run(tmp_path, stages)
    assert len(stages.asked) == 1  # budget level and competition share a world
    assert len(list((tmp_path / "cells").iterdir())) == 3
    assert first["complete"]
    again = run(tmp_path, stages)
    assert len(stages.asked) == 1
    assert again["cells"] == first["cells"]
    assert again == json.loads((tmp_path / "sweep.json").read_text())
    run(tmp_path, stages, replace(CONFIG, over={"budget-level": (0.5, 1.0, 2.0)}))
    assert len(stages.asked) == 2
    assert len(list((tmp_path / "cells").iterdir())) == 4  # only the new level was played


def test_an_interrupted_sweep_leaves_what_it_had_and_goes_on(stage: Stage, tmp_path: Path) -> None:
    config = replace(CONFIG, over={"budget-level": (0.5,), "click-match": (0.5,)})
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Stages(stage, stop_at=2), config, finished=lambda found: seen.append(len(found["cells"])))
    partial = json.loads((tmp_path / "sweep.json").read_text())
    assert seen == [1, 2]
    assert not partial["complete"]
    assert (len(partial["cells"]), partial["planned"]) == (2, 3)
    write_sweep_page(tmp_path / "sweep.html", partial)
    assert "2 of 3 cells" in (tmp_path / "sweep.html").read_text()
    stages = Stages(stage)
    assert run(tmp_path, stages, config)["complete"]
    assert stages.asked == [(SHAPE.same_occupation_share, BEHAVIOUR["click"]["match"] * 0.5)]


def test_a_torn_cell_is_played_again(stage: Stage, tmp_path: Path) -> None:
    first = run(tmp_path, Stages(stage))
    torn = next((tmp_path / "cells").iterdir())
    torn.write_text(torn.read_text()[:50])
    assert run(tmp_path, Stages(stage)) == first


def test_results_of_another_configuration_are_kept_unless_forced(stage: Stage, tmp_path: Path) -> None:
    run(tmp_path, Stages(stage), replace(CONFIG, over={"budget-level": (1.0,)}))
    before = (tmp_path / "sweep.json").read_bytes()
    other = replace(CONFIG, world=replace(SHAPE, seed=5), over={"budget-level": (1.0,)})
    with pytest.raises(ConfigError, match="--force"):
        run(tmp_path, Stages(stage), other)
    assert (tmp_path / "sweep.json").read_bytes() == before
    assert run(tmp_path, Stages(stage), other, force=True)["config"]["world"]["seed"] == 5


def test_the_table_names_what_was_changed_and_the_page_holds_it(stage: Stage, tmp_path: Path) -> None:
    document = run(tmp_path, Stages(stage))
    assert [varied(document, row) for row in document["cells"]] == ["default", "budget-level 0.5", "competition 2"]
    assert [row["cell"]["budget-level"] for row in along(document, "budget-level")] == [0.5, 1.0]
    heads, rows = sweep_rows(document)
    assert heads[-1] == "graph"
    assert len(rows) == 3
    write_sweep_page(tmp_path / "sweep.html", document)
    page = (tmp_path / "sweep.html").read_text()
    assert "budget-level 0.5" in page
    assert "plot-sweep-budget-level" in page


@pytest.mark.parametrize(
    ("over", "word"),
    [
        ({}, "needs something to vary"),
        ({"moon": (1.0,)}, "moon"),
        ({"same-occupation-share": (0.8,)}, "same-occupation-share"),
        ({"budget-level": (0.0,)}, "budget-level"),
        ({"click-match": (float("nan"),)}, "click-match"),
    ],
)
def test_an_impossible_sweep_is_refused(over: dict[str, tuple[float, ...]], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        replace(CONFIG, over=over)


def test_a_sweep_without_its_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match="attribute"):
        replace(CONFIG, experiment=replace(EXPERIMENT, arms=("graph", "random")))


def test_values_may_come_from_a_file_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text("click-match = [0.5, 1]\ngrid = true\n")
    assert read_axes(path) == ({"click-match": (0.5, 1.0)}, True)
    for text, word in (("colour = [1]", "colour"), ("click-match = 1", "list"), ("grid = 3", "grid")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=word):
            read_axes(path)
    path.write_text("click-match = [")
    with pytest.raises(DataError, match="TOML"):
        read_axes(path)
    with pytest.raises(DataError, match="can not be read"):
        read_axes(tmp_path / "nowhere.toml")
