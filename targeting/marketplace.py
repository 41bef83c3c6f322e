"""The engine behind the API: one index of jobs, organic results by text, promoted ones by hire lift, auction and token.

The jobs lie in `inventory`, `selling` holds the auction; here both are put together. Promoted items come from the same
index as organic ones; when that path fails, the organic results stay.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from market.records import Filters, Job, Recommendation, SeekerProfile
from market.taxonomy import Taxonomy
from market.text import TextEncoder, TextVectors
from organic.learning.model import LearnedTowers
from organic.quality.build import Context, build_rules, jobs_of, occupations_by_title
from organic.quality.config import RuleConfig
from organic.question import Answer, Question
from organic.recommend import Recommender
from organic.request_text import load_request_encoder
from organic.rules import RULES
from organic.towers import TextTowers, Towers
from targeting.artefact_version import version_of
from targeting.audience import Liquidity
from targeting.audience_view import AudienceView
from targeting.campaigns import Campaign
from targeting.engine import Audience, AudienceLink, Slate, SlateRequest
from targeting.exploration import Chance, ExplorationBudget
from targeting.inventory import Inventory
from targeting.learned import Learned
from targeting.link_targeting import CampaignLinkEdit, EditsInForce
from targeting.pacing.prices import PriceBoard
from targeting.profiles import ProfileReader, present_alone
from targeting.prospects import ProspectReader, Prospects
from targeting.selling import RESERVE_MICROS, Seller
from targeting.serving import ServingConfig
from targeting.slate import Origin, beside, merge, position_of, sign_sale

log = structlog.get_logger()

# in the folder of the artefacts, where they are wanted
ENCODER, STUDENT, TOWERS, RULES_FILE = "encoder", "student", "towers", "rules.json"


class Marketplace:
    """Implements `targeting.engine.Engine`. Reads may run beside one writer."""

    def __init__(
        self,
        learned: Learned,
        encoder: TextVectors,
        *,
        request_encoder: TextVectors | None = None,
        towers: Towers | None = None,
        rules: RuleConfig | None = None,
        secret: bytes = b"",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        nonce: Callable[[], str] = lambda: "",
        liquidity: Liquidity = Liquidity(),
        serving: ServingConfig = ServingConfig(),
        chance: Chance | None = None,
        exploration: ExplorationBudget | None = None,
        prices: PriceBoard | None = None,
        version: str = "unsaved",
    ) -> None:
        """chance: what decides on slots by lot (None: nobody does), exploration: what they have cost so far; prices:
        what campaigns bid by (None: their ceilings); version: of the artefacts, for the tokens."""
        self._prices = prices or PriceBoard()
        self._learned, self._secret, self._now, self._nonce = learned, secret, now, nonce
        self._taxonomy: Taxonomy = learned.taxonomy
        self._titles = ProfileReader(self._taxonomy, encoder)  # of jobs, and at leisure
        profiles = self._titles if request_encoder is None else ProfileReader(self._taxonomy, request_encoder)
        towers = towers or TextTowers(encoder, request_encoder=request_encoder)
        self._audience = AudienceView(learned, self._titles, secret)
        self._inventory = Inventory(learned, self._titles, towers, now, self._prices)
        self._prospects = ProspectReader(learned, present_alone(len(self._taxonomy)), liquidity.seats)
        context = Context(now, jobs_of(self._inventory.book), occupations_by_title(self._taxonomy))
        in_force = RULES if rules is None else build_rules(rules, context)
        self._recommender = Recommender(self._inventory.index, towers, self._inventory.book, rules=in_force)
        filters = self._recommender.hard_filters
        self._serving, self._origin = serving, Origin(version, serving.policy(liquidity, chance is not None))
        self._seller = Seller(
            learned, self._inventory, profiles, filters, liquidity, now, serving, chance, exploration, self._prices
        )

    @classmethod
    def load(
        cls,
        artefacts: Path,
        secret: bytes = b"",
        nonce: Callable[[], str] = lambda: "",
        cache: Path | None = None,
        *,
        serving: ServingConfig = ServingConfig(),
        chance: Chance | None = None,
        exploration: ExplorationBudget | None = None,
        prices: PriceBoard | None = None,
    ) -> Marketplace:
        """The engine on what `graph fit` or the demo wrote; ArtefactError says what is missing or damaged.

        In the folder of the artefacts may lie what other commands write, and is used where it lies: `encoder/` (text
        fit), `student/` of it for requests (text distill), `towers/` on it (organic fit), `rules.json` (organic rules
        learn).
        """
        version = version_of(artefacts)
        own = artefacts / ENCODER
        encoder = TextEncoder(own if own.is_dir() else None, cache_dir=cache)
        student = artefacts / STUDENT
        request_encoder = load_request_encoder(student, encoder) if student.is_dir() else None
        trained = artefacts / TOWERS
        towers = LearnedTowers.load(trained, encoder)[0] if trained.is_dir() else None
        learned, rules = Learned.load(artefacts), artefacts / RULES_FILE
        return cls(
            learned,
            encoder,
            request_encoder=request_encoder,
            towers=towers,
            rules=RuleConfig.load(rules) if rules.is_file() else None,
            secret=secret,
            nonce=nonce,
            serving=serving,
            chance=chance,
            exploration=exploration,
            prices=prices,
            version=version,
        )

    def ready(self) -> str | None:
        return None

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        return self._inventory.upsert(jobs)

    def delete_job(self, job_id: str) -> bool:
        return self._inventory.delete(job_id)

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        self._inventory.set_campaigns(live)

    def set_link_edits(self, edits: Sequence[CampaignLinkEdit]) -> None:
        self._seller.retriever.edits = EditsInForce(edits, self._learned.links.position)

    def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
        return self._recommender.recommend(seeker, query, filters, k, self._now())

    def answer(self, question: Question) -> Answer:
        return self._recommender.answer(question, self._now())

    def renew(self, encoder: TextVectors, request_encoder: TextVectors | None = None) -> int:
        """Give all jobs the vectors of another text encoder and switch to it when all have one; returns how many.

        Requests go on meanwhile, on the old vectors to the last; jobs may be written and deleted. Needs room for a
        second index. Titles of jobs are still read by the encoder the engine was made with.
        """
        towers = TextTowers(encoder, request_encoder=request_encoder)
        return self._inventory.renew(towers, self._recommender.switch)

    def slate(self, asked: SlateRequest) -> Slate:
        organic, wanted = asked.organic, asked.organic + asked.promoted
        listed = self.recommend(asked.seeker, asked.query, asked.filters, wanted) if organic else []
        listed = [item for item in listed if math.isfinite(item.score)]
        try:
            sold = self._seller.sell(asked, self._serving.slots(asked.promoted, len(listed), organic))
            shown = len(beside(listed, sold.sales, organic))
            sales = [
                sign_sale(sale, position_of(slot, shown), self._secret, self._now(), self._nonce(), self._origin)
                for slot, sale in enumerate(sold.sales)
            ]
        except Exception:  # open on content: a failing promoted path must not take the organic results with it
            log.exception("no promoted items")
            return Slate(tuple(merge(listed, (), organic)), broken=True)
        return Slate(tuple(merge(listed, sales, organic)), sold.occupation, sold.bar, sold.skipped)

    def audience(self, campaign: Campaign, job: Job, edits: Sequence[CampaignLinkEdit]) -> Audience:
        return self._audience.of(self._inventory.occupation_of(job), edits)

    def links_into(self, job: Job) -> tuple[AudienceLink, ...]:
        return self._audience.links_into(self._inventory.occupation_of(job))

    def prospects(self, campaign: Campaign, job: Job) -> Prospects:
        occupation, live = self._inventory.occupation_of(job), self._inventory.live_beside(job)
        return self._prospects.of(occupation, job.wage, live, self._prices.ceiling(campaign), RESERVE_MICROS)


def new_nonce() -> str:
    """What makes every token unlike any other."""
    return secrets.token_urlsafe(9)
