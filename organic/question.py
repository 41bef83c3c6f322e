"""What a caller asks the recommender, and what comes back: jobs with reasons, notes on the answer, counts of facets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from market.errors import UserError
from market.records import Filters, Recommendation, SeekerProfile

Facet = Literal["geo", "company", "occupation", "seniority", "remote"]
FACETS: tuple[str, ...] = get_args(Facet)
NO_FILTERS = Filters()


@dataclass(frozen=True)
class Question:
    """A profile, words typed now, or both; k jobs at most.

    personalise  False: titles, skills and activity do not rank; the area and what was decided on still filter
    seen         job ids shown lately, newest first: demoted or left out (RecommendConfig.seen)
    facets       fields whose values are to be counted among all jobs within the filters
    """

    seeker: SeekerProfile
    query: str | None = None
    filters: Filters = NO_FILTERS
    k: int = 20
    personalise: bool = True
    seen: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UserError(f"k is {self.k}, expected at least 1")
        unknown = next((field for field in self.facets if field not in FACETS), None)
        if unknown is not None:
            raise UserError(f"facet {unknown!r} can not be counted; choose from {', '.join(FACETS)}")

    @property
    def filtering(self) -> SeekerProfile:
        """The part of the profile that rules may read."""
        if self.personalise:
            return self.seeker
        return SeekerProfile(self.seeker.seeker_id, geo=self.seeker.geo, activity=self.seeker.activity)


@dataclass(frozen=True)
class Note:
    """Something the caller should know about an answer: a code for programs, a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True)
class FacetCount:
    """value in the form a filter takes: `field=value`."""

    value: str
    count: int


@dataclass(frozen=True)
class Answer:
    """items best first; facets None when none were asked for, else per field the most frequent values."""

    items: tuple[Recommendation, ...]
    notes: tuple[Note, ...] = ()
    facets: dict[str, tuple[FacetCount, ...]] | None = None
