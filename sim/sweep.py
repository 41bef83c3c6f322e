"""Sensitivity: the experiment again and again, each time with another assumption changed.

    same-occupation-share   share of hires that keep the occupation (the survey does not record employers)
    click-match             strength of the match in the click model, as a factor on the frozen coefficient
    competition             campaigns among the same seekers, as a factor on the configured number
    budget-level            scale of every budget

One at a time around the default, or every combination (a grid). A finished cell is a JSON file named by the digest of
its whole configuration, written beside and renamed: a later run reuses it, an interrupted one leaves what it had.
"""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from market.artefacts import digest_of
from market.errors import ConfigError, DataError
from market.whole_file import write_whole
from sim.behaviour import Behaviour
from sim.experiment import BASELINE, ExperimentConfig, describe, run_experiment
from sim.report import build_report
from sim.stage import Stage
from sim.world import WorldConfig

FORMAT = 1
AXES: dict[str, tuple[float, ...]] = {
    "same-occupation-share": (0.0, 0.2, 0.4, 0.6),
    "click-match": (0.5, 0.75, 1.0, 1.25, 1.5),
    "competition": (0.5, 1.0, 2.0),
    "budget-level": (0.2, 0.5, 1.0, 2.0, 4.0),
}
ALLOWED = {  # lowest value, whether it belongs to the range, highest value
    "same-occupation-share": (0.0, True, 0.69),
    "click-match": (0.0, True, 10.0),
    "competition": (0.0, False, 100.0),
    "budget-level": (0.0, False, 1e6),
}
Cell = dict[str, float]  # a value for every axis


@dataclass(frozen=True)
class SweepConfig:
    """What stands still (world, experiment) and what moves: values of each axis that is swept."""

    world: WorldConfig
    experiment: ExperimentConfig
    over: Mapping[str, tuple[float, ...]]
    grid: bool = False

    def __post_init__(self) -> None:
        if not self.over:
            raise ConfigError(f"a sweep needs something to vary; give some of {', '.join(AXES)}")
        for axis, values in self.over.items():
            if axis not in AXES:
                raise ConfigError(f"{axis!r} can not be swept; use some of {', '.join(AXES)}")
            low, included, high = ALLOWED[axis]
            for value in values:
                if not (low < value <= high or (included and value == low)):
                    raise ConfigError(f"{axis} of {value:g} is out of range {low:g} to {high:g}")
        if BASELINE not in self.experiment.arms or len(self.experiment.arms) < 2:
            raise ConfigError(f"a sweep compares arms with {BASELINE}; its arms must hold that and another one")

    def default(self) -> Cell:
        return {
            "same-occupation-share": self.world.same_occupation_share,
            "click-match": 1.0,
            "competition": 1.0,
            "budget-level": self.experiment.market.budget_level,
        }

    def cells(self) -> list[Cell]:
        """The default first, then what differs from it; each once, those of one world side by side."""
        usual = self.default()
        if self.grid:
            found = [usual] + [
                usual | dict(zip(self.over, values, strict=True)) for values in itertools.product(*self.over.values())
            ]
        else:
            found = [usual] + [usual | {axis: value} for axis, values in self.over.items() for value in values]
        unique = list({tuple(cell.items()): cell for cell in found}.values())
        worlds = list(dict.fromkeys((cell["same-occupation-share"], cell["click-match"]) for cell in unique))
        return sorted(unique, key=lambda cell: worlds.index((cell["same-occupation-share"], cell["click-match"])))

    def settings(self, cell: Cell, behaviour: Behaviour) -> tuple[WorldConfig, Behaviour, ExperimentConfig]:
        """World, behaviour and experiment of a cell."""
        market = self.experiment.market
        market = replace(
            market,
            campaigns=max(2, round(market.campaigns * cell["competition"])),
            budget_level=cell["budget-level"],
        )
        if cell["click-match"] != 1:
            behaviour = behaviour.with_values("click", match=behaviour["click"]["match"] * cell["click-match"])
        world = replace(self.world, same_occupation_share=cell["same-occupation-share"])
        return world, behaviour, replace(self.experiment, market=market)


def read_axes(path: Path) -> tuple[dict[str, tuple[float, ...]], bool]:
    """Values by axis and whether to combine them, from a TOML file such as `click-match = [0.5, 1, 1.5]`."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as problem:
        raise DataError(str(path), f"can not be read ({problem.strerror})", "name a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(str(path), f"is not TOML ({problem})", "write lines such as click-match = [0.5, 1]") from None
    grid = document.pop("grid", False)
    unknown = sorted(set(document) - set(AXES))
    if unknown:
        raise ConfigError(f"{path} has the unknown key {unknown[0]!r}; use {', '.join(AXES)} or grid")
    if not isinstance(grid, bool):
        raise ConfigError(f"{path}: grid is {grid!r}, expected true or false")
    for axis, values in document.items():
        numbers = isinstance(values, list) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in values
        )
        if not numbers or not values:
            raise ConfigError(f"{path}: {axis} is {values!r}, expected a list of numbers")
    return {axis: tuple(float(value) for value in values) for axis, values in document.items()}, grid


def run_sweep(
    config: SweepConfig,
    behaviour: Behaviour,
    stage_of: Callable[[WorldConfig, Behaviour], Stage],
    out: Path,
    identity: Mapping[str, str],
    *,
    force: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    finished: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Play every cell that is not finished yet; `sweep.json` in `out` is whole after each of them.

    identity: digests of inputs and program, parts of every cell's key. `finished` is called with the document after
    each cell. ConfigError if `out` holds the sweep of another configuration and `force` is not given.
    """
    fixed = json.loads(  # as it will be read back: lists, no tuples
        json.dumps(
            {
                "world": asdict(config.world),
                "experiment": describe(config.experiment),
                "behaviour_sha256": behaviour.sha256,
            }
        )
    )
    _refuse_another(out, digest_of(fixed), force)
    cells = config.cells()
    rows: list[dict[str, Any]] = []
    stage: tuple[str, Stage] | None = None
    document: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        name = ", ".join(f"{axis} {cell[axis]:g}" for axis in config.over)
        progress(name, number, len(cells))
        world, seen, experiment = config.settings(cell, behaviour)
        key = digest_of(FORMAT, asdict(world), seen.sha256, describe(experiment), dict(identity))
        path = out / "cells" / f"{key[:24]}.json"
        found = _read_cell(path, key)
        if found is None:
            of_world = digest_of(asdict(world), seen.sha256)
            if stage is None or stage[0] != of_world:
                stage = (of_world, stage_of(world, seen))
            found = _play(stage[1], experiment, world.seed)
            _write(path, {"format": FORMAT, "key": key, "cell": cell, **found})
        rows.append({"cell": cell, **{part: found[part] for part in ("baseline", "arms")}})
        document = {
            "schema": FORMAT,
            "config": fixed,
            "config_digest": digest_of(fixed),
            "over": {axis: list(values) for axis, values in config.over.items()},
            "grid": config.grid,
            "default": config.default(),
            "complete": len(rows) == len(cells),
            "planned": len(cells),
            "cells": rows,
        }
        _write(out / "sweep.json", document)
        finished(document)
    progress("done", len(cells), len(cells))
    return document


def _play(stage: Stage, config: ExperimentConfig, seed: int) -> dict[str, Any]:
    """The headline of every arm in one cell, from the report of an experiment."""
    results = run_experiment(stage, config)
    report = build_report(results, {"world": asdict(stage.world.config)}, seed, {})
    arms = {}
    for arm, content in report["headline"].items():
        at_equal = content["utilization_at_equal_cost"]
        lift = report["lift"][f"{arm}_vs_{BASELINE}"]
        arms[arm] = {
            "difference": at_equal["difference"],
            "difference_ci95": at_equal.get("difference_ci95"),
            "relative": at_equal["relative"],
            "ci95": at_equal["ci95"],
            "qualified_applications": lift["qualified_applications"],
        }
    base = report["arms"][BASELINE]
    return {
        "baseline": {name: base[name] for name in ("budget_utilization", "qualified_applications", "impressions")},
        "arms": arms,
    }


def _refuse_another(out: Path, digest: str, force: bool) -> None:
    path = out / "sweep.json"
    if force or not path.exists():
        return
    try:
        there = json.loads(path.read_text())["config_digest"]
    except (OSError, ValueError, KeyError, TypeError):
        there = None
    if there != digest:
        raise ConfigError(f"{path} is of another configuration; give another --out, or --force to replace it")


def _read_cell(path: Path, key: str) -> dict[str, Any] | None:
    """A finished cell; None where there is none, or none that can be read."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and found.get("key") == key and {"baseline", "arms"} <= set(found)
    return found if whole else None


def _write(path: Path, document: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(document, indent=1, default=float) + "\n")


def varied(document: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """What a row's cell changes against the default, in words."""
    usual, cell = document["default"], row["cell"]
    changes = [f"{axis} {value:g}" for axis, value in cell.items() if value != usual[axis]]
    return ", ".join(changes) or "default"


def along(document: Mapping[str, Any], axis: str) -> Sequence[Mapping[str, Any]]:
    """Rows that differ from the default in this axis alone (and the default), by its value."""
    usual = document["default"]
    rows = [r for r in document["cells"] if all(r["cell"][a] == usual[a] for a in usual if a != axis)]
    return sorted(rows, key=lambda row: row["cell"][axis])
