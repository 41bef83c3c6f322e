"""New vectors for every job while requests are answered with the old ones.

Vectors of two models must never be compared, so the new ones go into an index of their own, slice by slice; the caller
switches to it when it is full. The slow part, encoding, happens outside the lock that writers take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from market.records import Job
from organic.rows import JobBook
from organic.towers import Towers

JOBS_PER_SLICE = 256


def renew(
    book: JobBook,
    job_ids: Sequence[str],
    towers: Towers,
    write: Callable[[Sequence[Job], np.ndarray], None],
    lock: AbstractContextManager[object],
    jobs_per_slice: int = JOBS_PER_SLICE,
) -> int:
    """Write the jobs with vectors of `towers`; returns how many.

    A job that was replaced or removed while it was encoded is left to whoever did that: from before the first slice on,
    writers have to put jobs into both indexes. `write(jobs, float32[n, d])` is called with the lock held.
    """
    written = 0
    for start in range(0, len(job_ids), jobs_per_slice):
        part = job_ids[start : start + jobs_per_slice]
        jobs = [job for job_id in part if (job := _current(book, job_id)) is not None]
        vectors = towers.job_vectors(jobs)  # [n, d]
        with lock:
            still = [at for at, job in enumerate(jobs) if _current(book, job.job_id) is job]
            if still:
                write([jobs[at] for at in still], vectors[still])
        written += len(still)
    return written


def _current(book: JobBook, job_id: str) -> Job | None:
    row = book.row(job_id)
    return None if row is None else book.job(row)
