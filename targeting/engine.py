"""What the API asks of the engine that searches, ranks and targets.

The engine is memory that can be rebuilt: jobs and campaigns live in the store, `storage.mirror` carries them over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from market.errors import UserError
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.question import Answer, Question
from targeting.campaigns import Campaign
from targeting.explanation import FiredLink
from targeting.link_targeting import CampaignLinkEdit
from targeting.tokens import Token

if TYPE_CHECKING:  # brings what serving without a model does without
    from targeting.prospects import Prospects


@dataclass(frozen=True)
class SlateItem:
    """One place of a slate, position counted from 1; a sponsored one says on whose behalf and carries a token.

    A promoted item without token and offer can not be billed and is not shown to anybody.
    """

    job_id: str
    kind: Literal["organic", "promoted"]
    position: int
    score: float
    reasons: tuple[str, ...]
    sponsored: bool
    on_behalf_of: str | None = None
    tracking_token: str | None = None
    campaign_id: str | None = None
    offer: Token | None = None  # what the token says, for the ledger
    value: float | None = None  # expected qualified applications of a click
    propensity: float | None = None  # chance that the policy put this job into this promoted slot
    explored: bool = False  # came in by lot, not by auction
    swapped: bool = False  # changed places with its neighbour
    links: tuple[FiredLink, ...] = ()  # that describe the seeker and lead to the job, for explanations


def explained(item: SlateItem) -> dict[str, object]:
    """What the log of slates keeps of a promoted item for its explanation, as plain JSON; nothing of an organic one."""
    if not item.sponsored:
        return {}
    links = [vars(link) for link in item.links]
    return {"on_behalf_of": item.on_behalf_of, "reasons": list(item.reasons), "links": links}


@dataclass(frozen=True)
class AudienceSegment:
    """attributes in words; hires behind the weight; reach as `targeting.reach` lets it be shown."""

    attributes: str
    weight: float
    hires: int
    reach: int | None


@dataclass(frozen=True)
class AudienceLink:
    """A link from attributes of seekers to attributes of jobs, in words and as they are, and what a person made of it.

    weight, hires and no_hires as learned; a link that is not learned any more (learned False) has 0 of each.
    """

    link_id: str
    seeker: str
    job: str
    weight: float
    hires: int
    no_hires: int
    seeker_side: tuple[str, ...] = ()
    job_side: tuple[str, ...] = ()
    edit: CampaignLinkEdit | None = None
    learned: bool = True


@dataclass(frozen=True)
class Audience:
    """reach: of all whom the campaign is shown to, those left out whom a vetoed link describes by what they do now."""

    reach: int | None
    segments: tuple[AudienceSegment, ...]
    links: tuple[AudienceLink, ...]


@dataclass(frozen=True)
class SlateRequest:
    """At most `organic` and `promoted` items for a seeker; campaigns in `tired` have been shown to them enough."""

    seeker: SeekerProfile
    query: str | None
    filters: Filters
    organic: int
    promoted: int
    tired: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Slate:
    """Items in the order to be shown, and what the auction saw: the seeker's present occupation as it was read, and
    bar, the lowest winning score in expected micros an impression (0 where a slot stayed empty, None: none asked).

    skipped: candidates without a usable P(click); broken: the promoted part failed and was left out.
    """

    items: tuple[SlateItem, ...]
    occupation: str | None = None
    bar: float | None = None
    skipped: int = 0
    broken: bool = False


class NotReadyError(UserError):
    """The engine lacks something it needs to answer; the message says what to do."""

    code = "engine_not_ready"
    status = 503


class Engine(Protocol):
    """Calls come from several threads at once; writes (the first four) one after the other, beside reads."""

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        """Per job None, or why it was refused (one line); accepted jobs are visible to the next search."""

    def delete_job(self, job_id: str) -> bool:
        """Forget the job; False when it was not there."""

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        """Replace the whole set of campaigns that may be shown now."""

    def set_link_edits(self, edits: Sequence[CampaignLinkEdit]) -> None:
        """Replace all edits of links; those of campaigns that are not shown have no effect."""

    def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
        """At most k organic jobs, best first."""

    def answer(self, question: Question) -> Answer:
        """The same with notes on the answer, counts of facets and what else a question may ask for."""

    def slate(self, asked: SlateRequest) -> Slate:
        """Organic and promoted jobs in the order to be shown."""

    def audience(self, campaign: Campaign, job: Job, edits: Sequence[CampaignLinkEdit]) -> Audience:
        """Whom the campaign is shown to under its edits, and what was learned that says so."""

    def links_into(self, job: Job) -> tuple[AudienceLink, ...]:
        """All learned links that lead to the job, best first."""

    def prospects(self, campaign: Campaign, job: Job) -> Prospects:
        """What the campaign, stored or not, may expect of seekers of each present occupation."""

    def ready(self) -> str | None:
        """None, or what is missing, as half a sentence with a remedy."""


class NoEngine:
    """Stands in until artefacts exist: campaigns and jobs can be managed, searching answers NotReadyError."""

    def __init__(self, missing: str) -> None:
        self._missing = missing

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        return [None] * len(jobs)

    def delete_job(self, job_id: str) -> bool:
        return True

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        pass

    def set_link_edits(self, edits: Sequence[CampaignLinkEdit]) -> None:
        pass

    def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
        raise NotReadyError(self._missing)

    def answer(self, question: Question) -> Answer:
        raise NotReadyError(self._missing)

    def slate(self, asked: SlateRequest) -> Slate:
        raise NotReadyError(self._missing)

    def audience(self, campaign: Campaign, job: Job, edits: Sequence[CampaignLinkEdit]) -> Audience:
        raise NotReadyError(self._missing)

    def links_into(self, job: Job) -> tuple[AudienceLink, ...]:
        raise NotReadyError(self._missing)

    def prospects(self, campaign: Campaign, job: Job) -> Prospects:
        raise NotReadyError(self._missing)

    def ready(self) -> str | None:
        return self._missing
