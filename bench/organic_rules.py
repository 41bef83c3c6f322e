"""Quality rules learned from dismissals, *mechanics*: bad-match dismissals and applications with and without them.

Fit persons' logs teach the rules; serve persons get a list of 20 twice. What they do about the first, the same for
every row, is the activity that mutes companies and jobs in the second. Expectations under our own click model, on the
second list; 95 % intervals by person, paired with the list without rules. Applications count a vacancy once, the last
column counts each of its copies.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.rules_world import Crowd, fill_shelf, instant, with_faults
from gpu_index import Index
from market.bootstrap import relative_lift
from market.records import Filters
from market.text import TextEncoder, TextVectors
from organic.quality.build import Context, build_rules, jobs_of, occupations_by_title
from organic.quality.config import RuleConfig
from organic.quality.explain import RemovalCounter
from organic.quality.learn import LearnConfig, Learned, learn_rules
from organic.quality.removal import LEARNABLE
from organic.recommend import SPACE, Recommender
from organic.rows import JobBook, term
from organic.rules import RULES, Rule
from organic.towers import TextTowers
from sim.behaviour import read_behaviour
from sim.dismissals import DismissalConfig
from sim.logs import LoggingConfig, write_logs
from sim.world import World, WorldConfig, build_world

LOGGED_DAYS = 2_920  # eight years of impressions: applications are rare, and the cap is a share of them
SEEKERS, SHOWN, COUNTED = 1_500, 20, 100
DRAWS = 1_000


def run(data: Path | None, seed: int = 0) -> dict[str, Any]:
    """{"logs", "learned": {cost: ...}, "rows": [{"rules", "bad", "applications", ...}]}."""
    encoder = TextEncoder(cache_dir=Path(".cache/text"))
    kind = "generated" if data is None else "careers"
    world = build_world(WorldConfig(kind=kind, seed=seed), read_behaviour(), data, encoder)
    return {"source": kind, **measured(world, encoder)}


def measured(
    world: World, encoder: TextVectors, seekers: int = SEEKERS, logging: LoggingConfig | None = None
) -> dict[str, Any]:
    """Learn from the logs of `world`, serve its serve fold."""
    dismissal = DismissalConfig()
    logging = replace(logging or LoggingConfig(impression_days=LOGGED_DAYS), dismissal=dismissal)
    tables = with_faults(world, write_logs(world, logging), dismissal)
    metros = world.metros
    places = zip(metros.latitude.tolist(), metros.longitude.tolist(), strict=True)
    base = RuleConfig(areas=dict(zip(metros.ids, places, strict=True)))
    learned = {cost: learn_rules(tables, base, LearnConfig(cost=cost)) for cost in ("lost", "replaced")}

    shelf, crowd, now = fill_shelf(world), Crowd.of(world, seekers), instant(world.window_day)
    book, towers = JobBook(shelf.jobs), TextTowers(encoder)
    index = Index({SPACE: towers.dimension}, device="cpu")
    rows = book.rows([job.job_id for job in shelf.jobs])
    at_row = {row: number for number, row in enumerate(rows.tolist())}
    index.upsert(
        rows, vectors={SPACE: towers.job_vectors(shelf.jobs)}, terms=[book.terms(job, now) for job in shelf.jobs]
    )
    context = Context(lambda: now, jobs_of(book), occupations_by_title(world.careers.taxonomy))

    def lists(rules: tuple[Rule, ...], profiles: Any) -> np.ndarray:
        """int64[S, 20] vacancies, -1 where there are no more."""
        found, _ = Recommender(index, towers, book, rules=rules).recommend_batch(profiles, k=SHOWN, now=now)
        return np.array([[at_row.get(row, -1) for row in listed] for listed in found.tolist()])

    profiles = crowd.after(dismissal, shelf, lists(RULES, crowd.profiles), now)
    before = crowd.expected(dismissal, shelf, lists(RULES, profiles))
    found = []
    for name, config in arms(learned).items():
        rules = build_rules(config, context)
        shown = lists(rules, profiles)
        after = crowd.expected(dismissal, shelf, shown)
        counter = RemovalCounter()
        for profile in profiles[:COUNTED]:
            here = Filters(((term("geo", profile.geo or ""), term("remote", "yes")),))
            counter.record(index, rules, profile, here)
        found.append(
            {
                "rules": name,
                "in_force": list(config.rules),
                "removed_each": {rule: n / max(1, counter.requests) for rule, n in counter.removed.items()},
                "shown": float((shown >= 0).sum(1).mean()),
                **{what: float(after[what].sum(1).mean()) for what in after},
                **{f"{what}_change": change(before[what], after[what], crowd) for what in after},
            }
        )
    return {
        "seekers": len(profiles),
        "vacancies": len(shelf.jobs),
        "learned": {cost: each.report() for cost, each in learned.items()},
        "rows": found,
    }


def arms(learned: dict[str, Learned]) -> dict[str, RuleConfig]:
    """Every row of the table: none, each rule alone, all, and what was learned under either reading of the cap."""
    config = learned["lost"].config
    return {
        "none": replace(config, rules=()),
        **{f"{rule} alone": replace(config, rules=(rule,)) for rule in LEARNABLE},
        "all, thresholds within the cap": replace(config, rules=LEARNABLE),
        "all, as set by default": replace(
            RuleConfig(), rules=LEARNABLE, areas=config.areas, languages=config.languages
        ),
        "learned: lost at most 1 %": config,
        "learned: 1 % if replaced": learned["replaced"].config,
    }


def change(before: np.ndarray, after: np.ndarray, crowd: Crowd) -> dict[str, Any]:
    person = crowd.world.lives.person[crowd.row]
    return relative_lift(person, after.sum(1), before.sum(1), rng=np.random.default_rng(0), draws=DRAWS).report(
        "relative"
    )


def show(result: dict[str, Any]) -> list[list[str]]:
    heads = ["bad-match dismissals a 100 lists", "change", "applications a 100 lists", "change", "counting copies"]
    rows = [["rules", "in force", *heads]]
    for row in result["rows"]:
        rows.append(
            [
                row["rules"],
                str(len(row["in_force"])),
                f"{100 * row['bad']:.2f}",
                _change(row["bad_change"]),
                f"{100 * row['applications']:.2f}",
                _change(row["applications_change"]),
                _change(row["postings_change"]),
            ]
        )
    return rows


def _change(told: dict[str, Any]) -> str:
    if told["relative"] is None:
        return "-"
    inside = "" if told["ci95"] is None else " [{:+.1%}, {:+.1%}]".format(*told["ci95"])
    return f"{told['relative']:+.1%}{inside}"
