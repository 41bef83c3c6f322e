"""Whom a campaign is shown to, in words a campaign manager can judge: people by what they do now, and learned links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from graph.linking.attributes import job_attributes, job_in_words, seeker_in_words
from targeting.engine import Audience, AudienceLink, AudienceSegment
from targeting.learned import Learned
from targeting.link_targeting import CampaignLinkEdit
from targeting.profiles import ProfileReader
from targeting.reach import Reach

SEGMENTS_SHOWN = 20
LINKS_SHOWN = 500


class AudienceView:
    """Reads what was learned; the true numbers of people stay inside."""

    def __init__(self, learned: Learned, titles: ProfileReader, secret: bytes) -> None:
        """secret: of the noise on reach, see `targeting.reach`."""
        self._learned, self._titles, self._taxonomy = learned, titles, learned.taxonomy
        self._reach = Reach(self._taxonomy.codes, learned.seekers_by_occupation, secret)

    def of(self, occupation: int, edits: Sequence[CampaignLinkEdit]) -> Audience:
        """The audience of a campaign for a job of this occupation, under what people decided about its links."""
        lift, _ = self._titles.lift_into(self._learned.affinity, occupation)  # [C]
        job = job_attributes(occupation, self._taxonomy)
        shut = np.array([self._shut_out(o, job, edits) for o in range(len(self._taxonomy))])
        seen = self._learned.model.seen
        by_title: dict[str, list[int]] = {}  # several codes may bear one title; a manager reads titles
        for o in np.argsort(-lift, kind="stable").tolist():
            words = seeker_in_words([f"occupation={self._taxonomy.codes[o]}"], self._taxonomy)
            if seen[o] and not shut[o] and (words in by_title or len(by_title) < SEGMENTS_SHOWN):
                by_title.setdefault(words, []).append(o)
        # hires into the job's segment: its occupation, or with too few hires there what it backs off to
        segment = self._learned.segments.of_occupation
        moves = self._learned.model.transitions[:, segment == segment[occupation]].sum(1)
        segments = tuple(
            AudienceSegment(words, float(lift[of].max()), int(moves[of].sum()), self._reach.shown(of))
            for words, of in by_title.items()
        )
        reach = self._reach.shown(np.flatnonzero((lift > 0) & ~shut).tolist())
        return Audience(reach, segments, self._links(occupation, {edit.link_id: edit for edit in edits}))

    def links_into(self, occupation: int) -> tuple[AudienceLink, ...]:
        """All learned links that lead to a job of this occupation, best first."""
        links = self._learned.links
        return tuple(
            AudienceLink(
                links.link_ids[i],
                seeker_in_words(links.seeker[i], self._taxonomy),
                job_in_words(links.job[i], self._taxonomy),
                float(links.weight[i]),
                int(links.hires[i]),
                int(links.no_hires[i]),
                links.seeker[i],
                links.job[i],
            )
            for i in links.of_job(job_attributes(occupation, self._taxonomy))
        )

    def _links(self, occupation: int, edits: Mapping[str, CampaignLinkEdit]) -> tuple[AudienceLink, ...]:
        """The strongest links and all edited ones, best first; at the end those that are edited but rest."""
        found = self.links_into(occupation)
        shown = [
            replace(link, edit=edits.get(link.link_id))
            for at, link in enumerate(found)
            if at < LINKS_SHOWN or link.link_id in edits
        ]
        known = {link.link_id for link in found}
        rest = [self.unlearned(edit) for link_id, edit in sorted(edits.items()) if link_id not in known]
        return (*shown, *rest)

    def unlearned(self, edit: CampaignLinkEdit) -> AudienceLink:
        """A link that is not among the learned ones of its job any more, as it was edited."""
        words = seeker_in_words(edit.seeker, self._taxonomy), job_in_words(edit.job, self._taxonomy)
        return AudienceLink(edit.link_id, *words, 0.0, 0, 0, edit.seeker, edit.job, edit, learned=False)

    def _shut_out(self, occupation: int, job: Sequence[str], edits: Sequence[CampaignLinkEdit]) -> bool:
        """Whether a veto describes everybody of an occupation. (One that asks for schooling as well does not.)"""
        own = job_attributes(occupation, self._taxonomy)
        return any(edit.action == "veto" and edit.describes(own, job) for edit in edits)
