"""What people decide about the links of a campaign, and what that means for one seeker.

    veto    seekers whom the link describes are not shown this campaign, however well the hire model likes them
    boost   for seekers whom the link describes, its weight is added to the campaign's score when jobs are retrieved
    reset   nothing is decided any more; what was learned holds

Edits belong to one campaign. Where several campaigns promote one job, each is judged by its own edits only:

    score of a campaign = score of its job + the boosts of its links that describe the seeker
    a job stands where its best campaign stands; a campaign that got in by another one's boost is not shown

A boost decides who is retrieved, not who wins: the auction goes by bid and click rate as before. A veto holds whether
or not the link is still learned after a re-fit; a boost rests until its link is learned again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from graph.linking.subsets import SubsetIndex
from graph.links import Conjunction
from market.errors import ConfigError
from targeting.campaigns import Campaign

EditAction = Literal["veto", "boost"]
MAX_BOOST = 10.0  # a seeker's best score mostly lies between 1 and 5: ten lifts nearly anything above it


@dataclass(frozen=True)
class CampaignLinkEdit:
    """One decision of one person. Both sides of the link are kept, so that a veto outlives the link it was made on."""

    campaign_id: str
    job_id: str
    link_id: str
    seeker: Conjunction
    job: Conjunction
    action: EditAction
    weight: float | None
    key_id: str
    edited_at: datetime

    def __post_init__(self) -> None:
        if (self.action == "boost") != (self.weight is not None):
            raise ConfigError(f"{self.action} with weight {self.weight}; a boost takes a weight, a veto takes none")
        if self.weight is not None and not 0 < self.weight <= MAX_BOOST:
            raise ConfigError(f"weight {self.weight}: expected above 0 up to {MAX_BOOST:g}; veto a link to stop it")

    def describes(self, seeker: Collection[str], job: Collection[str]) -> bool:
        """Whether the link joins a seeker and a job with these attributes."""
        return set(self.seeker) <= set(seeker) and set(self.job) <= set(job)


@dataclass(frozen=True)
class Stance:
    """What the edits say about one seeker: ids of campaigns not to be shown, {campaign id: what it gains}."""

    vetoed: frozenset[str] = frozenset()
    boosts: Mapping[str, float] = field(default_factory=dict)


class EditsInForce:
    """All edits of the running campaigns, filed so that one seeker's are found without reading the others'."""

    def __init__(self, edits: Iterable[CampaignLinkEdit] = (), learned: Container[str] = ()) -> None:
        """learned: ids of the links in use; a boost of any other link rests."""
        self._by_campaign: dict[str, dict[str, CampaignLinkEdit]] = {}
        by_side: dict[Conjunction, list[CampaignLinkEdit]] = {}
        for edit in edits:
            self._by_campaign.setdefault(edit.campaign_id, {})[edit.link_id] = edit
            if edit.action == "veto" or edit.link_id in learned:
                by_side.setdefault(edit.seeker, []).append(edit)
        self._sides, self._edits = SubsetIndex(list(by_side)), list(by_side.values())

    def __len__(self) -> int:
        return sum(len(edits) for edits in self._by_campaign.values())

    def of_campaign(self, campaign_id: str) -> Mapping[str, CampaignLinkEdit]:
        """{link id: edit}, those that rest as well."""
        return self._by_campaign.get(campaign_id, {})

    def stance(self, seeker: Iterable[str], job_attributes: Callable[[str], Collection[str]]) -> Stance:
        """For a seeker with these attributes; job_attributes(job_id) are those of a job, empty for an unknown one."""
        vetoed, boosts = set(), dict[str, float]()
        for at in self._sides.covered_by(seeker):
            for edit in self._edits[at]:
                if not set(edit.job) <= set(job_attributes(edit.job_id)):
                    continue  # the job has changed since: the link does not lead to it any more
                if edit.weight is None:
                    vetoed.add(edit.campaign_id)
                else:
                    boosts[edit.campaign_id] = boosts.get(edit.campaign_id, 0.0) + edit.weight
        return Stance(frozenset(vetoed), {found: boosts[found] for found in sorted(boosts) if found not in vetoed})


@dataclass(frozen=True)
class Tilt:
    """How the retrieval of one request differs: barred campaigns and jobs, {job id: what its best campaign gains}."""

    campaigns: frozenset[str] = frozenset()
    jobs: tuple[str, ...] = ()
    boosts: Mapping[str, float] = field(default_factory=dict)


def tilt_of(
    stance: Stance, barred: frozenset[str], job_of: Mapping[str, str], live: Mapping[str, Sequence[Campaign]]
) -> Tilt:
    """What a stance, and campaigns barred for other reasons, mean for jobs; ids in ascending order.

    job_of: {campaign id: job id} of the live campaigns, live: {job id: its campaigns}.
    """
    out = stance.vetoed | barred
    touched = {job_of[found] for found in out if found in job_of}
    jobs = [job for job in sorted(touched) if all(each.campaign_id in out for each in live.get(job, ()))]
    boosts: dict[str, float] = {}
    for campaign_id, gain in stance.boosts.items():
        job_id = job_of.get(campaign_id)
        if job_id is not None and campaign_id not in out:
            boosts[job_id] = max(gain, boosts.get(job_id, 0.0))
    return Tilt(out, tuple(jobs), boosts)


def best_of(
    campaigns: Sequence[Campaign], job_id: str, score: float, next_score: float, stance: Stance, tilt: Tilt
) -> Campaign | None:
    """The first of a retrieved job's campaigns that may be shown, None where there is none.

    score: of the job, with its boost; next_score: of the best job that was not retrieved (-inf: there is none). A
    campaign has to beat that with its own boost alone, or it would be shown on the strength of another one's edit.
    """
    gain = tilt.boosts.get(job_id, 0.0)
    for campaign in campaigns:
        own = stance.boosts.get(campaign.campaign_id, 0.0)
        if campaign.campaign_id not in tilt.campaigns and (own == gain or score - gain + own >= next_score):
            return campaign
    return None
