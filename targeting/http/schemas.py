"""The shapes of the HTTP edge for jobs and searches, and the types all shapes are made of. Inside, records are used.

Unknown fields are refused. Numbers are what JSON says they are: no "1e3", no true for 1, no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from market.clock import parse_rfc3339
from market.records import Activity, ActivityKind, Filters, Job, SeekerProfile
from organic.question import FACETS, Answer, Facet, Question
from targeting.engine import SlateItem, SlateRequest
from targeting.http.problems import said
from targeting.protected import refuse_protected
from targeting.storage.mirror import Refusal

MAX_K = 1_000
MAX_JOBS = 1_000
MAX_SEEN = 1_000
ID_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text contains a NUL character; remove it")
    return text


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected an RFC 3339 time with offset such as 2026-03-01T08:00:00Z")
    return parse_rfc3339(value)


def _term(text: str) -> str:
    field, _, value = text.partition("=")
    if not field or not value:
        raise ValueError("expected a term of the form field=value")
    refuse_protected(field)
    return text


Id = Annotated[str, StringConstraints(strict=True, pattern=ID_PATTERN)]
Line = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500), AfterValidator(_no_nul)]
Prose = Annotated[str, StringConstraints(strict=True, max_length=100_000), AfterValidator(_no_nul)]
Query = Annotated[str, StringConstraints(strict=True, max_length=10_000), AfterValidator(_no_nul)]
Term = Annotated[str, StringConstraints(strict=True, max_length=500), AfterValidator(_no_nul), AfterValidator(_term)]
Time = Annotated[datetime, BeforeValidator(_time)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(ge=0, le=MAX_K)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JobIn(Model):
    """One vacancy; a later upload with the same job_id replaces it whole."""

    job_id: Id
    account_id: Id
    title: Line
    company: Line
    description: Prose
    geo: Line
    occupation: Line | None = None
    skills: Annotated[tuple[Line, ...], Field(max_length=200)] = ()
    seniority: Line | None = None
    remote: StrictBool = False
    wage: Annotated[Number, Field(ge=0, le=1e9)] | None = None
    expires_at: Time | None = None
    posted_at: Time | None = None

    def job(self) -> Job:
        return Job(**dict(self))


class MalformedJob(Model):
    """A job of a batch that could not be read; the others are not held up by it."""

    job_id: str | None
    detail: str


def or_why(key: str, malformed: type[Model]) -> WrapValidator:
    """An item of a batch, or why it could not be read: `malformed` with its id under `key`, None if that is unreadable.

    An unknown field still refuses the whole batch.
    """

    def item_or_why(value: object, read: ValidatorFunctionWrapHandler) -> object:
        try:
            return read(value)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            if any(each["type"] == "extra_forbidden" for each in found):
                raise
            name = value.get(key) if isinstance(value, dict) else None
            readable = isinstance(name, str) and name.isascii() and len(name) <= 128
            where = ".".join(str(step) for step in found[0]["loc"])
            detail = f"{where}: {said(found[0])}".lstrip(": ")[:300]
            return malformed(**{key: name if readable else None, "detail": detail})

    return WrapValidator(item_or_why)


class JobsIn(Model):
    """An unknown field refuses the whole batch; a wrong value refuses its job only."""

    jobs: Annotated[tuple[Annotated[JobIn, or_why("job_id", MalformedJob)], ...], Field(max_length=MAX_JOBS)]


class JobResult(Model):
    job_id: str | None
    status: Literal["accepted", "rejected"]
    code: str | None = None
    detail: str | None = None


class JobResults(Model):
    """One result per job, in the order of the request."""

    items: tuple[JobResult, ...]

    @classmethod
    def of(cls, sent: Iterable[JobIn | MalformedJob], refusals: Iterable[Refusal | None]) -> Self:
        """refusals: one per well-formed job, in order."""
        rest = iter(refusals)
        return cls(items=tuple(_result(job, None if isinstance(job, MalformedJob) else next(rest)) for job in sent))


def _result(job: JobIn | MalformedJob, refusal: Refusal | None) -> JobResult:
    if isinstance(job, MalformedJob):
        return JobResult(job_id=job.job_id, status="rejected", code="invalid", detail=job.detail)
    if refusal is None:
        return JobResult(job_id=job.job_id, status="accepted")
    return JobResult(job_id=job.job_id, status="rejected", code=refusal.code, detail=refusal.detail)


class JobOut(Model):
    job_id: str
    account_id: str
    title: str
    company: str
    description: str
    geo: str
    occupation: str | None
    skills: tuple[str, ...]
    seniority: str | None
    remote: bool
    wage: float | None
    expires_at: datetime | None
    posted_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(**vars(job))


class ActivityIn(Model):
    """reason: why a job was dismissed; "company" is what the rule that mutes companies looks for."""

    job_id: Id
    action: ActivityKind
    at: Time
    reason: Line | None = None


class SeekerIn(Model):
    """Titles newest first. There is no field for sex, race, age or birth date."""

    titles: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    skills: Annotated[tuple[Line, ...], Field(max_length=500)] = ()
    geo: Line | None = None
    seniority: Line | None = None
    education_years: Annotated[Number, Field(ge=0, le=40)] | None = None
    activity: Annotated[tuple[ActivityIn, ...], Field(max_length=1_000)] = ()


class Where(Model):
    """Hard filters: an AND of OR-groups of `field=value` terms, and terms to exclude."""

    all_of: Annotated[tuple[Annotated[tuple[Term, ...], Field(max_length=200)], ...], Field(max_length=50)] = ()
    none_of: Annotated[tuple[Term, ...], Field(max_length=200)] = ()


class Search(Model):
    seeker_id: Id | None = None
    seeker: SeekerIn | None = None
    query: Query | None = None
    where: Where | None = None

    def profile(self) -> SeekerProfile:
        if self.seeker is None:
            return SeekerProfile(self.seeker_id)
        activity = tuple(Activity(**dict(each)) for each in self.seeker.activity)
        return SeekerProfile(self.seeker_id, **{**dict(self.seeker), "activity": activity})

    def filters(self) -> Filters:
        return Filters() if self.where is None else Filters(self.where.all_of, self.where.none_of)


class RecommendIn(Search):
    """An unknown seeker_id is a cold start, not an error.

    personalise  false: titles, skills and activity do not rank; area and query do
    facets       fields whose most frequent values are to be counted among all jobs within the filters
    seen         jobs shown lately, newest first; they come later
    """

    k: Annotated[StrictInt, Field(ge=1, le=MAX_K)] = 20
    personalise: StrictBool = True
    facets: Annotated[tuple[Facet, ...], Field(max_length=len(FACETS))] = ()
    seen: Annotated[tuple[Id, ...], Field(max_length=MAX_SEEN)] = ()

    def question(self) -> Question:
        asked = self.profile(), self.query, self.filters(), self.k
        return Question(*asked, self.personalise, self.seen, tuple(dict.fromkeys(self.facets)))


class Slots(Model):
    organic: Count
    promoted: Count


class SlateIn(Search):
    """slots says how many of each kind are wanted; k is accepted and has no effect here."""

    k: Annotated[StrictInt, Field(ge=1, le=MAX_K)] = 20
    slots: Slots

    def request(self) -> SlateRequest:
        return SlateRequest(self.profile(), self.query, self.filters(), self.slots.organic, self.slots.promoted)


class RecommendationOut(Model):
    job_id: str
    score: Number
    reasons: tuple[str, ...]


class NoteOut(Model):
    code: str
    detail: str


class FacetCountOut(Model):
    value: str
    count: int


class RecommendationsOut(Model):
    """notes only where there is something to say; facets where asked for, values to be used as `field=value`."""

    items: tuple[RecommendationOut, ...]
    notes: tuple[NoteOut, ...] | None = None
    facets: dict[str, tuple[FacetCountOut, ...]] | None = None

    @classmethod
    def of(cls, answer: Answer) -> Self:
        # A model that went wrong on one job must not take the answer down: JSON has no NaN.
        finite = (item for item in answer.items if math.isfinite(item.score))
        return cls(
            items=tuple(RecommendationOut(**vars(item)) for item in finite),
            notes=tuple(NoteOut(**vars(note)) for note in answer.notes) or None,
            facets=None
            if answer.facets is None
            else {
                field: tuple(FacetCountOut(**vars(each)) for each in counts) for field, counts in answer.facets.items()
            },
        )


class SlateItemOut(Model):
    """Sponsored items say on whose behalf, and carry the token that events refer to."""

    job_id: str
    kind: Literal["organic", "promoted"]
    position: int
    score: Number
    reasons: tuple[str, ...]
    sponsored: bool
    on_behalf_of: str | None = None
    tracking_token: str | None = None


class SlateOut(Model):
    items: tuple[SlateItemOut, ...]

    @classmethod
    def of(cls, slate: Iterable[SlateItem]) -> Self:
        fields = SlateItemOut.model_fields
        shown = (item for item in slate if math.isfinite(item.score))
        return cls(items=tuple(SlateItemOut(**{name: getattr(item, name) for name in fields}) for item in shown))
