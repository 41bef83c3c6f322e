"""The engine behind the API: one index of jobs, organic results by text, promoted ones by hire lift, auction and token.

A job is one row: vectors `organic` (text) and `graph` (hire model), terms for filters, learned links and whether a
campaign promotes it. Promoted items come from the same index; when that path fails, the organic results stay.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from gpu_index import Index
from graph.linking.attributes import job_attributes, job_in_words, seeker_in_words
from market.artefacts import open_artefact, writing
from market.errors import ArtefactError, ConflictError
from market.records import Filters, Job, Recommendation, SeekerProfile
from market.taxonomy import Taxonomy
from market.text import TextEncoder, TextVectors
from organic.capped import SPACE
from organic.learning.model import LearnedTowers
from organic.quality.build import Context, build_rules, jobs_of, occupations_by_title
from organic.quality.config import RuleConfig
from organic.question import Answer, Question
from organic.recommend import Edition, Recommender
from organic.renewal import renew
from organic.request_text import load_request_encoder
from organic.rows import JobBook
from organic.rules import RULES, both, clause_of
from organic.towers import TextTowers, Towers
from targeting.auction import SECOND_PRICE, run_auction
from targeting.audience import Liquidity
from targeting.campaigns import Campaign
from targeting.engine import REACH_FLOOR, Audience, AudienceLink, AudienceSegment, Slate, SlateRequest
from targeting.learned import Learned
from targeting.profiles import ProfileReader
from targeting.response import pair_features
from targeting.slate import Sale, beside, merge, position_of, sign_sale

log = structlog.get_logger()

LIVE = Filters((("campaign=live",),))
AUTO_CPC_MICROS = 800_000  # ceiling of an auto bid per click until pacing on live spend sets it
RESERVE_MICROS = 100_000
JOBS_KIND, JOBS_FORMAT = "vacancies", 1
# in the folder of the artefacts, where they are wanted
ENCODER, STUDENT, TOWERS, RULES_FILE = "encoder", "student", "towers", "rules.json"
SHOWN = 20


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
    ) -> None:
        self._learned, self._secret, self._now, self._nonce = learned, secret, now, nonce
        self._liquidity = liquidity
        self._taxonomy: Taxonomy = learned.taxonomy
        self._titles = ProfileReader(self._taxonomy, encoder)  # of jobs, and at leisure
        self._profiles = self._reader(request_encoder)
        towers = towers or TextTowers(encoder, request_encoder=request_encoder)
        self._editions = [Edition(self._empty_index(towers), towers)]  # two while vectors are renewed, the newer last
        self._book = JobBook()
        context = Context(now, jobs_of(self._book), occupations_by_title(self._taxonomy))
        in_force = RULES if rules is None else build_rules(rules, context)
        self._recommender = Recommender(self._index, towers, self._book, rules=in_force)
        self._occupation: dict[str, int] = {}  # job id -> occupation
        self._campaigns: dict[str, tuple[Campaign, ...]] = {}  # job id -> live campaigns, best bid first
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, artefacts: Path, secret: bytes = b"", nonce: Callable[[], str] = lambda: "", cache: Path | None = None
    ) -> Marketplace:
        """The engine on what `graph fit` or the demo wrote; ArtefactError says what is missing or damaged.

        In the folder of the artefacts may lie what other commands write, and is used where it lies: `encoder/` (text
        fit), `student/` of it for requests (text distill), `towers/` on it (organic fit), `rules.json` (organic rules
        learn).
        """
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
        )

    def ready(self) -> str | None:
        return None

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        answers: list[str | None] = []
        accepted: list[tuple[Job, int]] = []
        titles = [job.title for job in jobs if job.occupation is None]
        by_text = dict(zip(titles, self._titles.occupations(titles), strict=True))
        for job in jobs:
            if job.occupation is not None and job.occupation not in self._taxonomy.position:
                answers.append(
                    f"occupation {job.occupation!r} is not in {self._taxonomy.scheme}; use its codes or leave it out"
                )
                continue
            found = self._taxonomy.find(job.occupation) if job.occupation is not None else by_text[job.title]
            accepted.append((job, found))
            answers.append(None)
        with self._lock:
            for job, occupation in accepted:
                self._occupation[job.job_id] = occupation
            self._put([job for job, _ in accepted])
        return answers

    def delete_job(self, job_id: str) -> bool:
        with self._lock:
            row = self._book.remove(job_id)
            self._occupation.pop(job_id, None)
            if row is None:
                return False
            found = max(edition.index.delete(np.array([row])) for edition in self._editions)
            self._put(self._book.take_overtaken())
            return found > 0

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        by_job: dict[str, list[Campaign]] = {}
        for campaign in live:
            by_job.setdefault(campaign.job_id, []).append(campaign)
        with self._lock:
            before = set(self._campaigns)
            self._campaigns = {
                job_id: tuple(sorted(found, key=lambda c: (-bid_ceiling(c), c.campaign_id)))
                for job_id, found in by_job.items()
            }
            changed = before.symmetric_difference(self._campaigns)
            rows = [row for job_id in sorted(changed) if (row := self._book.row(job_id)) is not None]
            self._put([job for row in rows if (job := self._book.job(row)) is not None])

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
        fresh = Edition(self._empty_index(towers), towers)
        with self._lock:
            if len(self._editions) > 1:
                raise ConflictError("vectors are being renewed already; wait until that is done")
            self._editions, job_ids = [*self._editions, fresh], list(self._occupation)
        try:
            written = renew(self._book, job_ids, towers, partial(self._write, fresh.index), self._lock)
        except BaseException:
            with self._lock:
                self._editions = self._editions[:1]
            raise
        with self._lock:
            self._editions = [fresh]
            self._recommender.switch(fresh.index, towers)
        return written

    def slate(self, asked: SlateRequest) -> Slate:
        organic = asked.organic
        listed = self.recommend(asked.seeker, asked.query, asked.filters, organic + asked.promoted) if organic else []
        try:
            sales = self._sell(asked) if asked.promoted else []
            shown = len(beside(listed, sales, organic))
            sales = [
                sign_sale(sale, position_of(slot, shown), self._secret, self._now(), self._nonce())
                for slot, sale in enumerate(sales)
            ]
        except Exception:  # open on content: a failing promoted path must not take the organic results with it
            log.exception("no promoted items")
            sales = []
        return Slate(tuple(merge(listed, sales, organic)))

    def audience(self, campaign: Campaign, job: Job) -> Audience:
        occupation = self._occupation.get(job.job_id)
        if occupation is None:
            occupation = self._titles.occupations([job.title])[0]
        lift, _ = self._titles.lift_into(self._learned.affinity, occupation)  # [C]
        people, seen = self._learned.seekers_by_occupation, self._learned.model.seen
        by_title: dict[str, list[int]] = {}  # several codes may bear one title; a manager reads titles
        for o in np.argsort(-lift, kind="stable").tolist():
            words = seeker_in_words([f"occupation={self._taxonomy.codes[o]}"], self._taxonomy)
            if seen[o] and (words in by_title or len(by_title) < SHOWN):
                by_title.setdefault(words, []).append(o)
        # hires into the job's segment: its occupation, or with too few hires there what it backs off to
        segment = self._learned.segments.of_occupation
        moves = self._learned.model.transitions[:, segment == segment[occupation]].sum(1)
        segments = tuple(
            AudienceSegment(words, float(lift[of].max()), int(moves[of].sum()), rounded_reach(int(people[of].sum())))
            for words, of in by_title.items()
        )
        return Audience(rounded_reach(int(people[lift > 0].sum())), segments, self._links_into(occupation))

    def _links_into(self, occupation: int) -> tuple[AudienceLink, ...]:
        links = self._learned.links
        found = links.of_job(job_attributes(occupation, self._taxonomy))[:SHOWN]
        return tuple(
            AudienceLink(
                links.link_ids[i],
                seeker_in_words(links.seeker[i], self._taxonomy),
                job_in_words(links.job[i], self._taxonomy),
                float(links.weight[i]),
                int(links.hires[i]),
                int(links.no_hires[i]),
            )
            for i in found
        )

    @property
    def _index(self) -> Index:
        return self._editions[0].index

    def _empty_index(self, towers: Towers) -> Index:
        return Index(spaces={SPACE: towers.dimension, "graph": self._learned.occupation_vectors.shape[1]}, device="cpu")

    def _reader(self, request_encoder: TextVectors | None) -> ProfileReader:
        """Reads the titles of profiles."""
        return self._titles if request_encoder is None else ProfileReader(self._taxonomy, request_encoder)

    def _put(self, jobs: Sequence[Job]) -> None:
        """Write rows into every edition, and those of jobs that others have turned into duplicates."""
        last = {job.job_id: self._with_occupation(job) for job in jobs}
        self._book.add(last.values())
        overtaken = {job.job_id: job for job in self._book.take_overtaken()}
        rows = list((overtaken | last).values())
        if rows:
            for edition in self._editions:
                self._write(edition.index, rows, edition.towers.job_vectors(rows))

    def _with_occupation(self, job: Job) -> Job:
        return replace(job, occupation=self._taxonomy.codes[self._occupation[job.job_id]])

    def _write(self, index: Index, jobs: Sequence[Job], organic: np.ndarray) -> None:
        """Rows of jobs that the book holds: both vectors, filter terms, link terms, whether a campaign promotes it."""
        occupation = np.array([self._occupation[job.job_id] for job in jobs])
        terms = []
        for job, o in zip(jobs, occupation.tolist(), strict=True):
            attributes = job_attributes(o, self._taxonomy)
            live = ["campaign=live"] if job.job_id in self._campaigns else []
            links = self._learned.links.terms_of_job(attributes)
            terms.append(list(dict.fromkeys([*self._book.terms(job, self._now()), *attributes, *links, *live])))
        vectors = {SPACE: organic, "graph": self._learned.occupation_vectors[occupation]}
        index.upsert(self._book.rows([job.job_id for job in jobs]), vectors=vectors, terms=terms)

    def _sell(self, asked: SlateRequest) -> list[Sale]:
        """Retrieve by lift, keep the best share theta, auction the slots."""
        seeker, slots = asked.seeker, asked.promoted
        example = self._profiles.example(seeker, self._now())
        affinity, learned = self._learned.affinity, self._learned
        clause = clause_of(both([self._recommender.hard_filters(seeker, asked.filters), LIVE]))
        in_reach = self._index.count(clause)
        seats = self._liquidity.seats(in_reach)
        if not seats:
            return []
        hits = self._index.search(learned.retrieval(example), space="graph", k=seats, where=[clause])
        jobs = [job for row in hits.ids[0].tolist() if row >= 0 and (job := self._book.job(row)) is not None]
        jobs = [job for job in jobs if job.job_id in self._campaigns and job.job_id in self._occupation]
        jobs = [job for job in jobs if job.expires_at is None or job.expires_at > self._now()]
        if not jobs:
            return []
        occupation = np.array([self._occupation[job.job_id] for job in jobs])
        probability, lift = affinity.probabilities(example)[0], affinity.log_lift(example)[0]
        current = int(example.current[0])
        wage = np.array([job.wage or learned.wage[o] for job, o in zip(jobs, occupation.tolist(), strict=True)])
        own = learned.wage[current] if current >= 0 else float(np.median(learned.wage))
        section = self._taxonomy.section
        features = pair_features(
            (probability @ learned.grades)[occupation],
            probability[occupation],
            lift[occupation],
            (section[current] == section[occupation]) if current >= 0 else np.zeros(len(jobs)),
            np.log(wage / own),
        )
        p_click = learned.response.p_click(features).astype(np.float64)
        campaigns = [self._campaigns[job.job_id][0] for job in jobs]
        winner, price = np.empty(slots + 1, np.int64), np.empty(slots + 1, np.int64)
        sold = run_auction(
            np.array([bid_ceiling(campaign) for campaign in campaigns], np.int64),
            p_click,
            np.full(len(jobs), RESERVE_MICROS, np.int64),
            slots,
            SECOND_PRICE,
            winner,
            price,
        )
        sales = []
        for slot in range(sold):
            w = int(winner[slot])
            title = self._taxonomy.titles[occupation[w]]
            reason = f"people with a background like yours are hired as {title}"
            sales.append(
                Sale(jobs[w], campaigns[w], int(price[slot]), float(p_click[w]), float(lift[occupation[w]]), (reason,))
            )
        return sales


def new_nonce() -> str:
    """What makes every token unlike any other."""
    return secrets.token_urlsafe(9)


def bid_ceiling(campaign: Campaign) -> int:
    """int64 micros per click: the campaign's own maximum, or the default ceiling of an auto bid."""
    maximum = campaign.bid.max_cpc
    return maximum.amount_micros if maximum is not None else AUTO_CPC_MICROS


def rounded_reach(people: int) -> int | None:
    """Two significant digits; None below the privacy floor."""
    if people < REACH_FLOOR:
        return None
    return int(float(f"{people:.2g}"))


def save_vacancies(jobs: Sequence[Job], folder: Path) -> None:
    """Vacancies beside the artefacts, for a first start of the service with something to search in."""
    with writing(folder, JOBS_KIND, JOBS_FORMAT) as scratch:
        content = [{**asdict(job), "expires_at": None, "posted_at": None} for job in jobs]
        (scratch / "jobs.json").write_text(json.dumps(content))


def load_vacancies(folder: Path) -> list[Job]:
    """What `save_vacancies` wrote; an empty list where there is nothing."""
    try:
        open_artefact(folder, JOBS_KIND, (JOBS_FORMAT,))
    except ArtefactError:
        if folder.exists():
            raise
        return []
    content = json.loads((folder / "jobs.json").read_text())
    return [Job(**{**entry, "skills": tuple(entry["skills"])}) for entry in content]
