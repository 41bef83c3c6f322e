"""Logs of a few seekers and jobs with everything in them that a rule could go by, drawn from a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from market.tables import Tables, check_table
from market.taxonomy import Taxonomy, build_taxonomy

AREAS = {"berlin": (52.52, 13.40), "potsdam": (52.40, 13.06), "hamburg": (53.55, 9.99)}
START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 120
GERMAN = "Wir suchen eine Köchin für die Küche und den Saal, auch nachts und mit Kindern"
ENGLISH = "You will work with the team in the kitchen and on the floor of our canteen"


def small_taxonomy() -> Taxonomy:
    rows = [("n", "Nurse", "health", "a"), ("d", "Doctor", "health", "a"), ("c", "Cook", "food", "b")]
    return build_taxonomy("test", [*rows, ("w", "Welder", "metal", "b"), ("k", "Clerk", "office", "a")])


def at(day: float) -> datetime:
    return START + timedelta(days=float(day))


def table(name: str, rows: list[dict]) -> pa.Table:
    return check_table(name, pa.Table.from_pylist(rows))


def small_logs(seed: int, seekers: int = 8, jobs: int = 40, impressions: int = 250) -> Tables:
    """English and German jobs of five companies, some posted twice; the areas hold one that nobody knows."""
    rng = np.random.default_rng(seed)
    taxonomy = small_taxonomy()

    def one(values):
        return values[int(rng.integers(len(values)))]

    posted = rng.uniform(0, DAYS, jobs)
    job_rows = [
        {
            "job_id": f"j{j}",
            "account_id": "account",
            "employer_id": one(["Acme 1", "Acme 2", "Bolt", "Core", "Dorn"]),
            "occupation": one(taxonomy.codes),
            "title": one(["Helper", "Worker"]),
            "description": one([ENGLISH, ENGLISH, ENGLISH, GERMAN, ""]),
            "geo": one([*AREAS, "nowhere"]),
            "remote": bool(rng.random() < 0.2),
            "seniority": one(["entry", "junior", "mid", "senior", "director", "wizard", None]),
            "posted_at": at(posted[j]),
            "expires_at": None if rng.random() < 0.3 else at(posted[j] + rng.uniform(5, 80)),
        }
        for j in range(jobs)
    ]
    position_rows = [
        {
            "seeker_id": f"s{s}",
            "occupation": one(taxonomy.codes),
            "title": "title",
            "geo": "berlin",
            "started_at": at(start),
            "recorded_at": at(start + 1),
            "seniority": one(["entry", "mid", "director", None]),
        }
        for s in range(seekers)
        for start in np.cumsum(rng.uniform(5, 60, 5)).tolist()
    ]
    shown_rows = [
        {
            "event_id": f"i{i}",
            "seeker_id": f"s{rng.integers(seekers)}",
            "job_id": f"j{rng.integers(jobs)}",
            "occurred_at": at(rng.uniform(0, DAYS)),
        }
        for i in range(impressions)
    ]
    events = {
        name: [
            {**row, "event_id": f"{name}{i}", "occurred_at": row["occurred_at"] + timedelta(minutes=5)}
            for i, row in enumerate(shown_rows)
            if rng.random() < share
        ]
        for name, share in (("applications", 0.06), ("dismissals", 0.2))
    }
    for row in events["dismissals"]:
        row["reason"] = one([None, None, "company", "stale"])
    rows = {
        "seekers": [
            {"seeker_id": f"s{s}", "geo": one([*AREAS, "nowhere"]), "updated_at": at(DAYS)} for s in range(seekers)
        ],
        "positions": position_rows,
        "jobs": job_rows,
        "impressions": shown_rows,
        **events,
    }
    return Tables({name: table(name, found) for name, found in rows.items()}, taxonomy)
