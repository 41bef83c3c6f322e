"""From a feed to the store: read it whole, then write it.

The first reading writes nothing: a feed that is truncated, hostile or too large changes nothing at all, and a dry run
ends here. The second one writes portions of 1,000 jobs, a transaction each; an import that was interrupted is carried
on by running it again, since equal jobs are replaced by themselves. A job that can not be read is refused alone. The
last job of an id counts.

With `replace` the account's jobs that the feed does not hold are deleted afterwards, unless the feed holds over a fifth
fewer jobs than the account had: then nothing is written, since a broken export would empty the site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from sqlalchemy import select

from market.errors import ConfigError, ConflictError
from market.records import Job
from targeting.feeds.items import Item
from targeting.feeds.json_lines import read_document, read_lines
from targeting.feeds.postings import read_job, read_posting
from targeting.feeds.quality import Survey, digest64
from targeting.feeds.source import FeedLimits, chunks
from targeting.feeds.xml import read_xml
from targeting.storage.audit_log import Who
from targeting.storage.keys import ACCOUNT_ID
from targeting.storage.store import Store
from targeting.storage.tables import JobRow

FeedFormat = Literal["indeed-xml", "json-ld", "jsonl"]
FORMATS: tuple[FeedFormat, ...] = get_args(FeedFormat)
PORTION = 1_000
MOST_DROPPED = 0.2
_FORMAT_OF = {".xml": "indeed-xml", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json-ld", ".jsonld": "json-ld"}


@dataclass(frozen=True)
class FeedReport:
    """What an import did, or in a dry run would have done; see `quality.Survey` for findings and refusals.

    before: jobs the account had; deleted: those the feed no longer held, always 0 without replace.
    """

    accepted: int
    refused: int
    before: int
    deleted: int
    refusals: list[tuple[int, str]]
    findings: dict[str, int]


def format_of(path: Path) -> FeedFormat:
    """The format by the file's name, `.gz` left aside; ConfigError where it says nothing."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    found = _FORMAT_OF.get(suffix)
    if found is None:
        raise ConfigError(f"{path.name}: the name does not say the format; give --format, one of {', '.join(FORMATS)}")
    return found  # type: ignore[return-value]


def read_feed(path: Path, account: str, kind: FeedFormat, limits: FeedLimits = FeedLimits()) -> Iterator[Item]:
    """The items of the feed in order; DataError when the file as a whole can not be taken."""
    content = chunks(path, limits)
    if kind == "indeed-xml":
        return read_xml(content, path.name, account, limits)
    if kind == "json-ld":
        return read_document(content, path.name, account, limits, read_posting)
    return read_lines(content, account, limits, read_job)


def import_feed(
    store: Store,
    path: Path,
    account: str,
    kind: FeedFormat,
    now: datetime,
    *,
    limits: FeedLimits = FeedLimits(),
    replace: bool = False,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> FeedReport:
    """Bring the account's jobs up to the feed. progress(jobs written so far)."""
    if not ACCOUNT_ID.fullmatch(account):
        raise ConfigError(f"account {account!r}: expected 1 to 128 letters, digits, '.', '_' or '-'")
    survey = Survey(now)
    for item in read_feed(path, account, kind, limits):
        survey.see(item)
    ids, before = survey.ids(), sum(1 for _ in _jobs_of(store, account))
    if replace and len(ids) < (1 - MOST_DROPPED) * before:
        raise ConflictError(
            f"{path.name} holds {len(ids)} jobs, the account has {before}: over a fifth fewer, so nothing was deleted "
            "or written; check the feed, or import it without replacing"
        )
    gone = [job_id for job_id in _jobs_of(store, account) if not _in(job_id, ids)] if replace else []
    if not dry_run:
        written = 0
        jobs = ((item.place, item.job) for item in read_feed(path, account, kind, limits) if item.job is not None)
        while portion := list(islice(jobs, PORTION)):
            written += _put(store, portion, account, survey)
            progress(written)
        for job_id in gone:
            store.delete_job(job_id, Who(f"feed:{account}", now))
    return FeedReport(survey.accepted, survey.refused, before, len(gone), survey.refusals, survey.findings())


def _put(store: Store, portion: list[tuple[int, Job]], account: str, survey: Survey) -> int:
    last = {job.job_id: (place, job) for place, job in portion}
    owners = store.jobs_by_id(last)
    mine = []
    for place, job in last.values():
        if job.job_id in owners and owners[job.job_id][0].account_id != account:
            survey.accepted -= 1
            survey.refuse(place, "the job_id belongs to another account")
        else:
            mine.append(job)
    store.put_jobs(mine)
    return len(mine)


def _jobs_of(store: Store, account: str) -> Iterator[str]:
    """Ids of the account's jobs that are not deleted, in portions that do not hold the database up."""
    after = ""
    while True:
        query = select(JobRow.job_id).where(JobRow.account_id == account, ~JobRow.deleted, JobRow.job_id > after)
        with store.database.reading() as session:
            found = list(session.scalars(query.order_by(JobRow.job_id).limit(PORTION)))
        yield from found
        if len(found) < PORTION:
            return
        after = found[-1]


def _in(job_id: str, ids: np.ndarray) -> bool:
    wanted = np.uint64(digest64(job_id))
    at = int(np.searchsorted(ids, wanted))
    return at < len(ids) and ids[at] == wanted
