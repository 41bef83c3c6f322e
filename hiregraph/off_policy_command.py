"""The command `simulate off-policy`: what another policy would have earned, from logged slates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hiregraph.model_folder import JsonOption
from market.errors import ConfigError


def off_policy(
    logs: Annotated[Path, typer.Option(help="Directory of log tables (with candidates), or one table of slots.")],
    policy: Annotated[
        list[str], typer.Option(help="logged, or RANKER[,exploration=E][,swap=S][,theta=T]; RANKER bid, value, clicks.")
    ],
    reward: Annotated[str, typer.Option(help="click, application or qualified (expected, of clicks).")] = "click",
    clip: Annotated[float | None, typer.Option(help="Largest weight of the clipped estimates; root of slates.")] = None,
    draws: Annotated[int, typer.Option(help="Bootstrap draws over seekers.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Judge policies for promoted slots on slates that another policy served, from the chances it logged.

    A directory holds impressions with propensities, clicks, and candidates: what each request could have shown. A
    single file has the columns request_id, seeker_id, slot, reward, propensity and, for each policy, a column of that
    name with its chance of what was shown; model:NAME and expected:NAME add a reward model.

    Example: hiregraph simulate off-policy --logs out/logs --policy bid --policy value,exploration=0.02
    """
    from sim.counterfactual import LOGGED, judge
    from sim.decision_log import REWARDS, read_decisions
    from sim.slate_policy import SlatePolicy
    from sim.slot_table import judge_slots, read_slots

    if reward not in REWARDS:
        raise ConfigError(f"reward {reward!r} is unknown; use one of {', '.join(REWARDS)}")
    if draws < 1:
        raise ConfigError(f"draws is {draws}, expected at least 1")
    if not logs.exists():
        raise ConfigError(f"{logs} does not exist; give a directory of log tables or one table of slots")
    names = list(dict.fromkeys(policy))
    if logs.is_dir():
        policies = {name: None if name == LOGGED else SlatePolicy.parse(name) for name in names}
        found = judge(read_decisions(logs), policies, reward, clip=clip, draws=draws, seed=seed)  # type: ignore[arg-type]
    else:
        found = judge_slots(read_slots(logs), names, clip=clip, draws=draws, seed=seed)
    report = {"logs": str(logs), "reward": reward if logs.is_dir() else "reward", "policies": found}
    if as_json:
        typer.echo(json.dumps(report))
        return
    Console(width=140).print(_table(found))
    notes = Console(stderr=True)
    for name, one in found.items():
        notes.print(_warning(name, one["diagnostics"]), highlight=False)


def _table(found: dict[str, Any]) -> Table:
    table = Table(title="reward per slate, 95 % interval by seeker", title_justify="left")
    for column in ("policy", "estimator", "value", "low", "high"):
        table.add_column(column, justify="left" if column in ("policy", "estimator") else "right")
    for name, one in found.items():
        for estimator, value in one["estimates"].items():
            low, high = value["ci95"] or (None, None)
            table.add_row(
                name, estimator, *("" if each is None else f"{each:.5f}" for each in (value["value"], low, high))
            )
    return table


def _warning(name: str, about: dict[str, Any]) -> str:
    """What to know before an estimate is believed, in one line."""
    unsupported = about["unsupported_mass"]
    lost = "unsupported mass unknown" if unsupported is None else f"unsupported mass {unsupported:.2%}"
    return (
        f"{name}: effective {about['ess']:.0f} of {about['rows']} slots, largest weight {about['max_weight']:.1f}, "
        f"{about['share_clipped']:.2%} above the clip {about['clip']:.1f}, mean weight {about['mean_weight']:.3f} "
        f"± {1.96 * about['mean_weight_error']:.3f}, {lost}"
    )
