"""What a design estimates inside one market, against the truth of full markets.

An effect is the relative difference of an arm to the first arm of the experiment (or to the baseline, where it plays).
The bias is estimate - truth, paired by market, with Student's t over markets: what is special about one market's people
is in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from market.bootstrap import Estimate, relative_lift
from sim.columns import DRAWS, OF_PERSON, lift, pair, relative, stack, wider
from sim.designs import SwitchBack, turn_shares
from sim.placebos import mean_interval
from sim.play import Run

if TYPE_CHECKING:
    from sim.experiment import Results

METRICS = {"budget_utilization": ("posted", "allowed"), "qualified_applications": ("qualified", None)}


def design_report(results: Results, base: str, rng: np.random.Generator) -> dict[str, Any]:
    """{"design", "base", "arms": {arm: {metric: {"estimate", "truth", "bias"}}}}; {} for full markets alone."""
    design = results.config.design
    if design == "copy":
        return {}
    found: dict[str, Any] = {}
    for arm in results.config.arms:
        if arm != base:
            found[arm] = {metric: _against_truth(results, arm, base, metric, rng) for metric in METRICS}
    return {"design": design, "base": base, "arms": found}


def _against_truth(results: Results, arm: str, base: str, metric: str, rng: np.random.Generator) -> dict[str, Any]:
    top, bottom = METRICS[metric]
    truth = (results.select(arm, design="copy"), results.select(base, design="copy"))
    if results.config.design == "switch-back":
        estimate = switch_back_lift(results, results.switch_backs, arm, base, top, rng)
        each = [
            switch_back_lift(results, [one], arm, base, top, rng, interval=False).value for one in results.switch_backs
        ]
    else:
        split = (results.select(arm), results.select(base))
        estimate = lift(results, *split, top, bottom, rng)
        each = [_ratio([mine], [theirs], top, bottom) for mine, theirs in zip(*split, strict=True)]
    true = [_ratio([mine], [theirs], top, bottom) for mine, theirs in zip(*truth, strict=True)]
    bias = mean_interval([np.nan if e is None or t is None else e - t for e, t in zip(each, true, strict=True)])
    return {
        "estimate": relative(estimate),
        "truth": relative(lift(results, *truth, top, bottom, rng)),
        "bias": {"difference": bias.value, "ci95": pair(bias), "markets": bias.clusters},
    }


def switch_back_lift(
    results: Results,
    played: Sequence[SwitchBack],
    arm: str,
    base: str,
    top: str,
    rng: np.random.Generator,
    interval: bool = True,
) -> Estimate:
    """Relative difference of two arms that took turns; `top` is posted or qualified.

    Both are totals over the turns of an arm, over what could be spent (posted) or the expected traffic (qualified) of
    these turns. Intervals by person and, for spend, by turn; the wider one.
    """
    tables = [_by_person_and_turn(results, one, (arm, base), top) for one in played]
    person = np.concatenate([table[0] for table in tables])
    mine, theirs = (np.concatenate([table[at] for table in tables]) for at in (1, 2))
    draws = DRAWS if interval else 1
    found = relative_lift(person, mine, theirs, rng=rng, draws=draws)
    if top == "posted" and interval:
        rows = np.concatenate([_by_turn(results, one, (arm, base)) for one in played])
        cluster = np.arange(len(rows))
        by_turn = relative_lift(cluster, rows[:, 0], rows[:, 2], rows[:, 1], rows[:, 3], rng=rng, draws=draws)
        found = wider(found, by_turn)
    return found


def _by_person_and_turn(
    results: Results, one: SwitchBack, arms: tuple[str, str], top: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(person, column of the first arm, of the second), scaled so that totals compare as rates."""
    seeker = getattr(one.run.outcome, OF_PERSON[top]).reshape(len(one.arms), -1)
    market = next(market for market in results.markets if market.config.seed == one.run.seed)
    share = turn_shares(one.turn, results.share, len(one.arms))
    room = (one.run.allowed_by_day if top == "posted" else market.day_weight) @ share
    place = [one.arms.index(arm) for arm in arms]
    mine, theirs = (seeker[at] / max(float(room[at]), 1e-300) * float(room.mean()) for at in place)
    return market.person, mine, theirs


def _by_turn(results: Results, one: SwitchBack, arms: tuple[str, str]) -> np.ndarray:
    """float64[turns, 4]: spend and what could be spent under the first arm, then under the second; one row a turn."""
    hours = len(one.run.outcome.by_hour)
    allowed = one.run.allowed_by_day
    of_hour = np.diff(results.share[::60])
    could = np.array([allowed[h // 24] * of_hour[h % 24] for h in range(hours)])
    block = np.cumsum(np.concatenate([[0], one.turn[1:] != one.turn[:-1]]))
    spent, room = (np.bincount(block, column) for column in (one.run.outcome.by_hour.astype(float), could))
    whose = one.turn[np.unique(block, return_index=True)[1]]
    rows = np.zeros((len(spent), 4))
    for at, arm in enumerate(arms):
        mine = whose == one.arms.index(arm)
        rows[mine, 2 * at], rows[mine, 2 * at + 1] = spent[mine], room[mine]
    return rows


def _ratio(mine: Sequence[Run], theirs: Sequence[Run], top: str, bottom: str | None) -> float | None:
    a, b = stack(mine), stack(theirs)
    ours, their = (data[top].sum() / (1.0 if bottom is None else max(data[bottom].sum(), 1e-300)) for data in (a, b))
    return float(ours / their - 1) if their > 0 else None
