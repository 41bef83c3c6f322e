"""Links by L1 beside links by the ratio of counts, at equal recall, on the world with skills (mechanics)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from graph.linking.trial import TrialConfig, run_trial
from hiregraph.pipeline import peak_mib
from market.text import TextEncoder
from sim.skill_page import curve_tables, headline
from sim.skills import SkillWorldConfig, build_skill_world


def run(data: Path | None, config: SkillWorldConfig = SkillWorldConfig()) -> dict[str, Any]:
    """The report of `graph curve`, with the chosen settings, and what it took; the test persons are looked at once."""
    began = time.perf_counter()
    careers = None if data is None else data / "nlsy79_careers"
    encoder = None if data is None else TextEncoder()
    world = build_skill_world(config, careers, data, encoder)
    report = run_trial(*world.pairs(), TrialConfig())
    took = {"seconds": round(time.perf_counter() - began, 1), "peak_mib": round(peak_mib())}
    return (
        {"sources": world.sources, "headline_sentence": headline({"sources": world.sources} | report)} | report | took
    )


def show(result: dict[str, Any]) -> list[list[str]]:
    """One row a method over all recall levels, then the headline method level by level."""
    (_, heads, overall), *levels = curve_tables(result)
    rows = [["at equal recall, against the ratio", "links", "links of the ratio", *heads[1:]]]
    rows += [[f"{name}, all levels", "", "", *cells] for name, *cells in overall]
    chosen = list(result["comparison"]).index(result["headline"])
    for recall, links, reference, fewer, more, _ in levels[chosen][2]:
        rows.append([f"{result['headline']}, recall {recall}", links, reference, fewer, more])
    return rows
