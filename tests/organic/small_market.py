"""A market of a dozen jobs and an encoder that can be followed by hand: one axis per word."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from market.records import Activity, Job, SeekerProfile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class WordEncoder:
    """A text is the sum of its words; each word is a fixed pseudo-random direction. No words: the zero vector."""

    dimension = 128

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        out = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
                out[row] += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
            out[row] /= max(float(np.linalg.norm(out[row])), 1e-9)
        return out


def job(job_id: str, title: str, company: str = "", geo: str = "berlin", **more) -> Job:
    return Job(job_id, "account", title, company or f"company of {job_id}", more.pop("description", ""), geo, **more)


JOBS = (
    job("nurse-1", "Registered nurse", skills=("wound care", "triage")),
    job("nurse-2", "Night nurse", description="Hospital night shifts"),
    job("nurse-hamburg", "Registered nurse", geo="hamburg"),
    job("nurse-remote", "Telephone nurse", geo="hamburg", remote=True),
    job("welder-1", "Welder", skills=("MIG welding",)),
    job("welder-2", "Underwater welder", seniority="Senior"),
    job("cook-1", "Line cook", company="Acme Inc."),
    job("cook-2", "Pastry cook", company="ACME  inc."),
    job("cook-3", "Head cook", company="acme inc."),
    job("cook-4", "Breakfast cook", company="Acme Inc."),
    job("cook-5", "Cook of a canteen", company="Canteen Ltd", expires_at=NOW + timedelta(days=1)),
)


def seeker(*titles: str, geo: str | None = None, skills: tuple[str, ...] = (), **actions: str) -> SeekerProfile:
    """Keyword arguments are activity, oldest first: seeker("Nurse", nurse_1="apply")."""
    activity = tuple(
        Activity(job_id.replace("_", "-"), action, NOW - timedelta(days=len(actions) - day))
        for day, (job_id, action) in enumerate(actions.items())
    )
    return SeekerProfile("somebody", titles, skills, geo, activity=activity)
