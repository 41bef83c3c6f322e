"""Logs of four seekers that can be followed by hand: nurses take nurse jobs, cooks become waiters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from market.tables import Tables, check_table
from market.taxonomy import build_taxonomy

START = datetime(2026, 3, 1, tzinfo=UTC)
CODES = {
    "1": ("Nurses", "Health", "Professional"),
    "2": ("Cooks", "Food", "Service"),
    "3": ("Waiters", "Food", "Service"),
}


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def job(
    job_id: str,
    title: str,
    occupation: str,
    geo: str = "berlin",
    posted: float = -10,
    expires: float | None = 90,
    **more,
):
    return {
        **{"job_id": job_id, "account_id": "a", "employer_id": f"e-{job_id}", "title": title, "occupation": occupation},
        **{
            "geo": geo,
            "posted_at": at(posted),
            "expires_at": None if expires is None else at(expires),
            "remote": False,
        },
        **{"description": f"Work as {title}", **more},
    }


JOBS = [
    job("n1", "Ward nurse", "1"),
    job("n2", "Night nurse", "1"),
    job("c1", "Line cook", "2"),
    job("w1", "Head waiter", "3"),
    job("w2", "Banquet waiter", "3", geo="hamburg"),
    job("w3", "Waiter at sea", "3", geo="hamburg", remote=True),
    job("old", "Ward nurse", "1", posted=-90, expires=-1),
]
POSITIONS = [
    ("ann", "1", "Nurses", "berlin", -400, -390),
    ("ben", "2", "Cooks", "berlin", -300, -290),
    ("cat", "2", "Cooks", "berlin", -200, -190),
    ("dan", "1", "Nurses", "hamburg", -100, 30),  # recorded long after it began
]
EVENTS = {
    "clicks": [("k1", "ann", "n1", 1.0, 1), ("k2", "ben", "w1", 2.0, 3), ("k3", "ann", "n2", 20.0, 2)],
    "applications": [("a1", "ann", "n1", 1.2, None), ("a2", "ben", "w1", 9.0, None), ("a3", "dan", "w2", 3.0, None)],
    "saves": [("s1", "cat", "w1", 4.0, 2)],
    "dismissals": [("d1", "ann", "c1", 10.0, 4)],
}


def logs(
    jobs: list[dict] = JOBS,
    positions: list[tuple] = POSITIONS,
    events: dict[str, list[tuple]] = EVENTS,
    seekers: list[tuple] = (),
) -> Tables:
    """events are (event id, seeker, job, day, position); positions (seeker, code, title, geo, begun, recorded)."""
    taxonomy = build_taxonomy("test", [(code, *names) for code, names in CODES.items()])
    tables = {
        "jobs": pa.Table.from_pylist(jobs),
        "positions": pa.Table.from_pylist(
            [
                {
                    **{"seeker_id": seeker, "occupation": code, "title": title, "geo": geo},
                    **{"started_at": at(begun), "recorded_at": at(recorded)},
                }
                for seeker, code, title, geo, begun, recorded in positions
            ]
        ),
        **{
            name: pa.Table.from_pylist(
                [
                    {
                        "event_id": event,
                        "seeker_id": seeker,
                        "job_id": job_id,
                        "occurred_at": at(day),
                        "position": place,
                    }
                    for event, seeker, job_id, day, place in rows
                ]
            )
            for name, rows in events.items()
            if rows
        },
    }
    if seekers:
        tables["seekers"] = pa.Table.from_pylist(
            [
                {"seeker_id": s, "geo": geo, "updated_at": at(day), "education_years": years}
                for s, geo, day, years in seekers
            ]
        )
    return Tables({name: check_table(name, table) for name, table in tables.items()}, taxonomy)
