"""Vacancies as an artefact beside the others, for a first start of the service with something to search in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from market.artefacts import open_artefact, writing
from market.errors import ArtefactError
from market.records import Job

JOBS_KIND, JOBS_FORMAT = "vacancies", 1


def save_vacancies(jobs: Sequence[Job], folder: Path) -> None:
    """Without the times: whoever starts later finds every vacancy open."""
    with writing(folder, JOBS_KIND, JOBS_FORMAT) as scratch:
        content = [{**asdict(job), "expires_at": None, "posted_at": None} for job in jobs]
        (scratch / "jobs.json").write_text(json.dumps(content))


def load_vacancies(folder: Path) -> list[Job]:
    """What `save_vacancies` wrote; an empty list where there is nothing."""
    try:
        open_artefact(folder, JOBS_KIND, (JOBS_FORMAT,))
    except ArtefactError:
        if folder.exists():
            raise
        return []
    content = json.loads((folder / "jobs.json").read_text())
    return [Job(**{**entry, "skills": tuple(entry["skills"])}) for entry in content]
