"""A log small enough to follow by hand: four jobs on the axes of a four-dimensional space."""

from __future__ import annotations

import numpy as np

from organic.activity.sequences import DAY_US, ActivityLog, activity_log

JOBS = np.eye(4, dtype=np.float32)
JOB_IDS = ("nurse", "cook", "welder", "baker")


def log_of(*rows: tuple[str, int, int, float]) -> ActivityLog:
    """Rows of (seeker, job, action, day)."""
    seekers, job, action, day = zip(*rows, strict=True) if rows else ((), (), (), ())
    at = np.rint(np.array(day, float) * DAY_US).astype(np.int64)
    return activity_log(seekers, JOB_IDS, np.array(job, np.int64), np.array(action, np.int64), at)


def random_log(seekers: int, events: int, jobs: int, days: float, seed: int) -> ActivityLog:
    rng = np.random.default_rng(seed)
    return activity_log(
        [f"s{number:04d}" for number in rng.integers(0, seekers, events)],
        [f"j{row}" for row in range(jobs)],
        rng.integers(0, jobs, events),
        rng.integers(0, 3, events),
        rng.integers(0, round(days * DAY_US), events),
    )


def unit_jobs(jobs: int, width: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((jobs, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)
