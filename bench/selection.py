"""Hires are a selected sample: exposure, delay, early proxies and the winner's curse, on persons outside the logs.

Hires are recorded occupations. Who was shown what, and clicked or applied, comes from a simulated site: what rests on
that is *mechanics*. Settings were chosen on validation persons; everything here is judged on the persons served.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench import auction_selection
from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.calibration import reliability
from graph.hires import HIRED, NOT_HIRED, Hires, confirm
from graph.model import HireModel
from graph.predictions import given_change, log_of_target, rank_of_target
from graph.selection.delays import Watched, hire_rate, watched
from graph.selection.exposure import ExposureConfig, exposure_of
from graph.selection.proxy import ProxyConfig
from graph.selection.training_set import SelectionConfig, training_set
from graph.train import TrainConfig, fit
from market.bootstrap import paired_difference
from market.qualification import Qualification
from market.tables import Tables
from market.taxonomy import Taxonomy
from market.text import TextEncoder
from sim.behaviour import read_behaviour
from sim.log_tables import education_before
from sim.logs import LoggingConfig, write_logs
from sim.world import SERVE, World, WorldConfig, build_world

SEED = 0
DRAWS = 300
JUDGES = 1_000  # persons served, drawn once, whom every model is judged on
APPLICATION_DAYS = 45.0  # before the start: when the question "where next?" is asked of a person outside the logs
# The logging policy of the demo, and one that shows little beyond the present section.
POLICIES = {
    "neutral policy": LoggingConfig(impression_days=3650),
    "narrow policy": LoggingConfig(impression_days=3650, uniform_share=0.1, section_weight=10.0),
}
CLIPS = (2.0, 5.0)
SHORT_LOGS = (120, 365, 1500)  # days
PROXIES = {
    "no proxies": ProxyConfig(0.0),
    "any open application, weight .3": ProxyConfig(0.3, 0.0),
    "any open application, weight 1": ProxyConfig(1.0, 0.0),
    "same section as now, weight .3": ProxyConfig(0.3, 0.35),
}


def run(data: Path | None) -> dict[str, Any]:
    """Every table; a small generated world without a data directory."""
    kind = "careers" if data is not None else "generated"
    encoder = TextEncoder() if data is not None else None
    world = build_world(WorldConfig(kind=kind, persons=1_500, seed=SEED), read_behaviour(), data, encoder)
    people = recorded_hires(world, SERVE)
    judged = np.random.default_rng(SEED).permutation(np.unique(people.person))[:JUDGES]
    people = people.take(np.isin(people.person, judged))
    return {
        "source": "NLSY79 careers" if data is not None else "generated careers (no data directory)",
        "people": len(np.unique(people.person)),
        "exposure": exposure_table(world, people),
        "delays": delay_table(world),
        "proxies": proxy_table(world, people),
        "auction": auction_selection.table(world, people),
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["question", "variant", "figures"]]
    for policy, variants in result["exposure"].items():
        rows += [[f"exposure, {policy}", name, _quality(row)] for name, row in variants.items()]
    for row in result["delays"]:
        figures = f"known later {row['later']:.3f}, naive {row['open_as_no_hire']:.3f}, "
        figures += f"open left out {row['open_left_out']:.3f}, Kaplan-Meier {row['kaplan_meier']:.3f}"
        rows.append(["P(hire | application)", f"{row['days_before_end']} days before the end", figures])
        figures = f"later hires among them {row['later_hires_in_no_hires']:.1%}, "
        figures += f"{row['later_hires_in_no_hires_and_open']:.1%} with open ones"
        rows.append(["no-hire pairs", f"{row['days_before_end']} days before the end", figures])
    for length, variants in result["proxies"].items():
        rows += [[f"early proxies, {length} of logs", name, _quality(row)] for name, row in variants.items()]
    return rows + auction_selection.show(result["auction"])


def _quality(row: dict[str, Any]) -> str:
    text = f"n {row['n']:,}, MRR {row['mrr']:.3f}, log loss {row['log_loss']:.3f}{_against(row, 'log_loss')}"
    text += f", elsewhere {row['log_loss_elsewhere']:.3f}{_against(row, 'log_loss_elsewhere')}"
    return text + f", stays {row['stay']:.3f} (were {row['stayed']:.3f})"


def _against(row: dict[str, Any], name: str) -> str:
    found = row.get(f"{name}_against_first")
    if found is None:
        return ""
    low, high = found["ci95"]
    return f" ({found['mean']:+.3f} [{low:+.3f}, {high:+.3f}])"


@dataclass(frozen=True)
class Quality:
    """Per instance: reciprocal rank given a change, log loss, log loss given a change, P(stay), changed, elsewhere."""

    person: np.ndarray
    reciprocal: np.ndarray
    loss: np.ndarray
    change_loss: np.ndarray
    stay: np.ndarray
    changed: np.ndarray
    elsewhere: np.ndarray  # the outcome lies outside the present section: what the policies show least
    reliability: dict[str, Any]

    def report(self) -> dict[str, Any]:
        changed = self.changed
        return {
            "mrr": float(self.reciprocal[changed].mean()),
            "log_loss": float(self.loss.mean()),
            "log_loss_changes": float(self.change_loss[changed].mean()),
            "log_loss_elsewhere": float(self.loss[self.elsewhere].mean()),
            "stay": float(self.stay.mean()),
            "stayed": float(1 - changed.mean()),
            "ece": self.reliability["ece"],
            "slope": self.reliability["slope"],
        }

    def against(self, other: Quality) -> dict[str, Any]:
        """Paired differences, intervals by person."""
        everybody, rng = np.ones(len(self.person), bool), np.random.default_rng(SEED)
        of = {
            "mrr": ("reciprocal", self.changed),
            "log_loss": ("loss", everybody),
            "log_loss_changes": ("change_loss", self.changed),
            "log_loss_elsewhere": ("loss", self.elsewhere),
        }
        return {
            f"{name}_against_first": paired_difference(
                self.person[rows], getattr(self, column)[rows], getattr(other, column)[rows], rng=rng, draws=DRAWS
            ).report()
            for name, (column, rows) in of.items()
        }


def quality(model: HireModel, examples: Examples, taxonomy: Taxonomy) -> Quality:
    """The model on persons it has never seen, against their recorded next occupation."""
    chances = Affinity(model).probabilities(examples)  # [n, C]
    change = given_change(chances, examples.current)
    happened = np.arange(chances.shape[1]) == examples.target[:, None]
    likely = chances >= 0.01
    return Quality(
        examples.person,
        1 / rank_of_target(change, examples, model.seen, current=False),
        -np.maximum(log_of_target(chances, examples), -20.0),
        -np.maximum(np.where(examples.changed, log_of_target(change, examples), 0.0), -20.0),
        chances[np.arange(len(examples)), examples.current],
        examples.changed,
        taxonomy.section[examples.target] != taxonomy.section[examples.current],
        reliability(chances[likely], happened[likely]),
    )


def recorded_hires(world: World, fold: int) -> Examples:
    """Every recorded hire of the fold's persons (one copy of each) up to a year after the window opens."""
    lives = world.lives
    start, _ = lives.bounds()
    mine = (world.fold[lives.seeker] == fold) & (lives.replica[lives.seeker] == 0) & lives.hired
    rows = np.flatnonzero(mine & (lives.start_day < world.window_day + 365))
    lag = np.minimum(APPLICATION_DAYS, 0.9 * (lives.start_day[rows] - lives.start_day[rows - 1]))
    began = (1970 + lives.start_day / 365.25).astype(np.float32)
    asked = (1970 + (lives.start_day[rows] - lag) / 365.25).astype(np.float32)
    known = began[rows - 1] < asked  # two moves within hours are one in float32 years
    rows, asked = rows[known], asked[known]
    seeker = lives.seeker[rows]
    return Examples(
        person=lives.person[seeker].astype(np.int32),
        start=start[seeker],
        stop=rows.astype(np.int64),
        item_occupation=lives.occupation,
        item_year=began,
        year=asked,
        education_years=education_before(world)[seeker],
        target=lives.occupation[rows],
    )


def exposure_table(world: World, people: Examples) -> dict[str, Any]:
    """Train on the hires whose vacancy the site had shown, weighed or not, beside as many drawn from all hires."""
    taxonomy, train = world.careers.taxonomy, TrainConfig()
    found: dict[str, Any] = {}
    for policy, logging in POLICIES.items():
        tables = Tables(write_logs(world, logging), taxonomy)
        hires = confirm(tables)
        shown = np.flatnonzero(exposure_of(tables, hires).shown)
        drawn = np.sort(np.random.default_rng(SEED).choice(len(hires), len(shown), replace=False))
        selected = Hires(hires.hires.take(shown), hires.outcomes)
        variants: dict[str, tuple[Hires, TrainConfig, ExposureConfig]] = {
            "shown hires, unweighted": (selected, train, ExposureConfig()),
            "the same, nobody held out": (selected, replace(train, validation_share=0.0), ExposureConfig()),
            **{f"weighted, clip {c:g}": (selected, train, ExposureConfig("inverse", c)) for c in CLIPS},
            "as many drawn from all hires": (Hires(hires.hires.take(drawn), hires.outcomes), train, ExposureConfig()),
        }
        found[policy] = _compared(
            {
                name: _fitter(tables, sample, config, SelectionConfig(exposure=exposure))
                for name, (sample, config, exposure) in variants.items()
            },
            people,
            taxonomy,
        )
    return found


def proxy_table(world: World, people: Examples) -> dict[str, Any]:
    """A site that began to log a few days ago: does learning from open applications help?"""
    tables = Tables(write_logs(world, LoggingConfig(impression_days=3650)), world.careers.taxonomy)
    as_of = _window(world) - timedelta(days=365)
    found: dict[str, Any] = {}
    for days in SHORT_LOGS:
        seen = logged_between(tables, as_of - timedelta(days=days), as_of)
        hires = confirm(seen, as_of)
        found[f"{days} days"] = _compared(
            {
                name: _fitter(seen, hires, TrainConfig(), SelectionConfig(proxy=proxy))
                for name, proxy in PROXIES.items()
            },
            people,
            tables.taxonomy,
        )
    return found


def delay_table(world: World) -> list[dict[str, Any]]:
    """P(hire | application) of a year's applications at some moments, beside what was known in the end."""
    tables = Tables(write_logs(world, LoggingConfig(impression_days=3650)), world.careers.taxonomy)
    end = _window(world)
    in_the_end = set(confirm(tables, end).hires["application_event_id"].to_pylist())
    found = []
    for back in (365, 500, 730):
        as_of = end - timedelta(days=back)
        hires = confirm(tables, as_of)
        outcomes = hires.outcomes.to_pandas()
        recent = (outcomes.applied_at > as_of - timedelta(days=365)).to_numpy()
        outcome, later = outcomes.outcome.to_numpy(), outcomes.event_id.isin(in_the_end).to_numpy()
        all_watched = watched(tables, hires, as_of)
        hired, refused = (outcome[recent] == HIRED).sum(), (outcome[recent] == NOT_HIRED).sum()
        found.append(
            {
                "days_before_end": back,
                "applications": int(recent.sum()),
                "later": float(later[recent].mean()),
                "open_as_no_hire": float(hired / recent.sum()),
                "open_left_out": float(hired / max(hired + refused, 1)),
                "kaplan_meier": hire_rate(Watched(all_watched.days[recent], all_watched.hired[recent]), 300),
                "later_hires_in_no_hires": float(later[outcome == NOT_HIRED].mean()),
                "later_hires_in_no_hires_and_open": float(later[outcome != HIRED].mean()),
            }
        )
    return found


def logged_between(tables: Tables, begin: datetime, end: datetime) -> Tables:
    """Logs as a site has them that began to log at `begin`, exported at `end`: profiles reach back, events do not."""
    times = {"positions": "recorded_at", "jobs": "posted_at", "seekers": None, "occupations": None}
    kept = {}
    for name, table in tables.tables.items():
        column = times.get(name, "occurred_at")
        if column is not None:
            keep = pc.less_equal(table[column], pa.scalar(end, table[column].type))
            if name not in times:
                keep = pc.and_(keep, pc.greater(table[column], pa.scalar(begin, table[column].type)))
            table = table.filter(keep)
        kept[name] = table
    return Tables(kept, tables.taxonomy)


def _fitter(
    tables: Tables, hires: Hires, train: TrainConfig, config: SelectionConfig
) -> Callable[[], tuple[int, HireModel]]:
    def fitted() -> tuple[int, HireModel]:
        learnt_from = training_set(tables, hires, train, config, Qualification())
        model = fit(learnt_from.examples, tables.taxonomy, learnt_from.train, weights=learnt_from.weights)
        return len(learnt_from.examples), model

    return fitted


def _compared(
    variants: dict[str, Callable[[], tuple[int, HireModel]]], people: Examples, taxonomy: Taxonomy
) -> dict[str, Any]:
    """Each variant's figures; all but the first also against the first."""
    found: dict[str, Any] = {}
    first = None
    for name, fitted in variants.items():
        n, model = fitted()
        reached = quality(model, people, taxonomy)
        found[name] = {"n": n, **reached.report(), **({} if first is None else reached.against(first))}
        first = first or reached
    return found


def _window(world: World) -> datetime:
    return datetime.fromtimestamp(world.window_day * 86_400, UTC)
