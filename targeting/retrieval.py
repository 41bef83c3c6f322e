"""Which promoted jobs are in reach of a seeker: the best share theta by the graph, after what people decided.

    score of a job = <forecast of the seeker's next occupation, row of the job> + boost of its best campaign

A job none of whose campaigns may be shown to the seeker (vetoed, or shown to them enough) is not searched for at all,
so it takes no seat from another. With no edits and nobody tired this is a plain search of the index.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graph.bipartite import Examples
from graph.linking.attributes import job_attributes, job_in_words, seeker_attributes, seeker_in_words
from market.records import Filters, Job, SeekerProfile
from organic.rows import term
from organic.rules import both, clause_of
from targeting.audience import Liquidity
from targeting.campaigns import Campaign
from targeting.engine import SlateRequest
from targeting.explanation import LOGGED_LINKS, FiredLink
from targeting.inventory import GRAPH_SPACE, LIVE, Inventory
from targeting.learned import Learned
from targeting.link_targeting import EditsInForce, best_of, tilt_of


class Retriever:
    """Finds candidates for the slots of one request. `edits` is replaced as a whole, beside searches."""

    def __init__(
        self,
        learned: Learned,
        inventory: Inventory,
        hard_filters: Callable[[SeekerProfile, Filters], Filters],
        liquidity: Liquidity,
    ) -> None:
        self._learned, self._inventory = learned, inventory
        self._hard_filters, self._liquidity = hard_filters, liquidity
        self.edits = EditsInForce()

    def candidates(
        self, asked: SlateRequest, example: Examples, probability: np.ndarray
    ) -> list[tuple[Job, int, Campaign]]:
        """(job, occupation, the campaign to be shown), best job first; probability float32[1, C]: the seeker's next."""
        inventory, live, edits = self._inventory, self._inventory.campaigns, self.edits
        attributes = seeker_attributes(example, self._learned.taxonomy)[0] if len(edits) else []
        stance = edits.stance(attributes, inventory.attributes_of)
        tilt = tilt_of(stance, asked.tired, inventory.job_of_campaign, live)
        barred = Filters(none_of=tuple(term("job", job_id) for job_id in tilt.jobs))
        clause = clause_of(both([self._hard_filters(asked.seeker, asked.filters), LIVE, barred]))
        index = inventory.index
        seats = self._liquidity.seats(index.count(clause))
        if not seats:
            return []
        boosts = {term("job", job_id): gain for job_id, gain in tilt.boosts.items()}
        # One job more than there are seats, where that matters: see `best_of`.
        k = seats + 1 if boosts else seats
        hits = index.search(probability, space=GRAPH_SPACE, k=k, where=[clause], boosts=[boosts] if boosts else None)
        scores = dict(zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True)) if boosts else {}
        next_score = float(hits.scores[0, seats]) if boosts else -np.inf
        chosen = []
        for job, occupation, campaigns in inventory.promoted(hits.ids[0, :seats].tolist()):
            score = scores.get(inventory.book.row(job.job_id) or -1, np.inf)
            campaign = best_of(campaigns, job.job_id, score, next_score, stance, tilt)
            if campaign is not None:
                chosen.append((job, occupation, campaign))
        return chosen

    def fired(self, example: Examples, occupation: int, campaign: Campaign) -> tuple[FiredLink, ...]:
        """The strongest links between a seeker and a job of this occupation, boosted ones first, for explanations."""
        links, taxonomy = self._learned.links, self._learned.taxonomy
        edits = self.edits.of_campaign(campaign.campaign_id)
        found = links.between(seeker_attributes(example, taxonomy)[0], job_attributes(occupation, taxonomy))
        boosts = {links.link_ids[i]: edit.weight for i in found if (edit := edits.get(links.link_ids[i])) is not None}
        found.sort(key=lambda i: links.link_ids[i] not in boosts)  # stable: best first within each
        return tuple(
            FiredLink(
                links.link_ids[i],
                seeker_in_words(links.seeker[i], taxonomy),
                job_in_words(links.job[i], taxonomy),
                float(links.weight[i]),
                int(links.hires[i]),
                boosts.get(links.link_ids[i]),
            )
            for i in found[:LOGGED_LINKS]
        )
