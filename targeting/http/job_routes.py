"""Routes of the inventory: jobs come in batches, are read and deleted one by one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from targeting.http.schemas import JobIn, JobOut, JobResults, JobsIn
from targeting.http.services import Here, ObjectId, Platform, Reader

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post("/jobs:batch", response_model=JobResults, response_model_exclude_unset=True)
def put_jobs(me: Platform, here: Here, body: JobsIn) -> Any:
    """Insert or replace up to 1,000 jobs; accepted ones are durable and visible to the next search."""
    here.charge(me, len(body.jobs) / 20)
    readable = [job.job() for job in body.jobs if isinstance(job, JobIn)]
    refusals = here.mirror.put_jobs(readable)
    here.refresh()
    return JobResults.of(body.jobs, refusals)


@router.get("/jobs/{job_id}", response_model=JobOut)
def read_job(me: Reader, here: Here, job_id: ObjectId) -> Any:
    return JobOut.of(here.store.job(job_id, me.scope))


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(me: Platform, here: Here, job_id: ObjectId) -> None:
    here.store.job(job_id, me.scope)
    here.mirror.delete_job(job_id, here.who(me))
    here.refresh()
