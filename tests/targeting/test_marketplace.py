"""The engine behind the API on a small model and a dozen jobs: organic, promoted, audience."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from market.errors import ArtefactError, ConflictError
from market.money import Money
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.question import Question
from organic.towers import Request
from sim.generated import generated_taxonomy
from targeting.audience import Liquidity
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import SlateItem, SlateRequest
from targeting.marketplace import Marketplace
from targeting.pacing.prices import AUTO_CPC_MICROS
from targeting.response import ResponseModel
from targeting.selling import RESERVE_MICROS
from targeting.serving import ServingConfig
from targeting.tokens import verify
from targeting.vacancies import load_vacancies, save_vacancies
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."
TAXONOMY = generated_taxonomy()
TITLES = TAXONOMY.titles
NURSE = SeekerProfile("s1", (TITLES[10],), geo="m00")  # "Nursing assistant"
ANY = Filters()
NO_CAP = ServingConfig(max_ad_load=1.0)


def job(job_id: str, of: int, **changes: object) -> Job:
    base = Job(job_id, "acme", TITLES[of], f"company of {job_id}", "", "m00", occupation=TAXONOMY.codes[of])
    return replace(base, **changes)  # type: ignore[arg-type]


JOBS = [
    *(job(f"nursing-{i}", 10 + i) for i in range(4)),
    *(job(f"retail-{i}", 30 + i) for i in range(4)),
    job("elsewhere", 11, geo="m01"),
    job("remote", 12, geo="m01", remote=True),
    job("untitled", 13, occupation=None),
    job("short", 14, expires_at=NOW + timedelta(hours=1)),
]


def campaign(job_id: str, max_cpc: int | None = None, campaign_id: str = "") -> Campaign:
    bid = Bid("auto") if max_cpc is None else Bid("manual", Money(max_cpc, "EUR"))
    return Campaign(
        campaign_id or f"cmp_{job_id}", "acme", job_id, job_id, Budget(Money(100_000_000, "EUR")), bid,
        "qualified_applications", NOW, None, "Europe/Berlin", "even", "active", 1, NOW,
    )  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def engine_with(kind: type[ResponseModel]) -> Marketplace:
    """An engine whose response model is of this kind."""
    learned = small_learned()
    rates = kind(**{each.name: getattr(learned.response, each.name) for each in fields(ResponseModel)})
    made = Marketplace(
        replace(learned, response=rates), WordEncoder(), now=lambda: NOW, liquidity=Liquidity(theta=1.0), serving=NO_CAP
    )
    made.upsert_jobs(JOBS)
    return made


@pytest.fixture
def engine(clock: Clock) -> Marketplace:
    nonces = itertools.count()
    found = Marketplace(
        small_learned(),
        WordEncoder(),
        secret=SECRET,
        now=clock,
        nonce=lambda: f"n{next(nonces)}",
        liquidity=Liquidity(theta=1.0),
        serving=NO_CAP,
    )
    assert found.upsert_jobs(JOBS) == [None] * len(JOBS)
    return found


def promoted_ids(items: Sequence[SlateItem]) -> list[str]:
    return [item.job_id for item in items if item.kind == "promoted"]


def slate(engine: Marketplace, seeker: SeekerProfile = NURSE, organic: int = 5, promoted: int = 3) -> list[SlateItem]:
    return list(engine.slate(SlateRequest(seeker, None, ANY, organic, promoted)).items)


def test_promoted_items_say_so_and_on_whose_behalf_and_why(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1")])
    [item] = [item for item in slate(engine) if item.kind == "promoted"]
    assert item.sponsored
    assert item.on_behalf_of == "company of nursing-1"
    assert item.campaign_id == "cmp_nursing-1"
    assert item.reasons
    assert TITLES[11] in item.reasons[0]
    organic = [item for item in slate(engine) if item.kind == "organic"]
    assert all(not item.sponsored and item.tracking_token is None for item in organic)


def test_the_token_of_a_promoted_item_fits_the_item(engine: Marketplace) -> None:
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    for organic in (0, 1, 2, 8):
        items = [item for item in slate(engine, organic=organic) if item.sponsored]
        tokens = [verify(str(item.tracking_token), SECRET) for item in items]
        assert len(tokens) == 3
        for item, token in zip(items, tokens, strict=True):
            assert (token.job_id, token.campaign_id, token.position) == (item.job_id, item.campaign_id, item.position)
            assert RESERVE_MICROS <= token.price_micros <= AUTO_CPC_MICROS
            assert token.day == "2026-03-01"
        assert len({token.nonce for token in tokens}) == 3


def test_campaigns_that_are_no_longer_live_vanish_with_the_next_slate(engine: Marketplace) -> None:
    both = [campaign("nursing-1"), campaign("nursing-2")]
    engine.set_campaigns(both)
    assert set(promoted_ids(slate(engine))) == {"nursing-1", "nursing-2"}
    engine.set_campaigns(both[1:])
    assert promoted_ids(slate(engine)) == ["nursing-2"]
    engine.set_campaigns([])
    assert promoted_ids(slate(engine)) == []
    assert len(slate(engine)) == 5  # organic results stay


def test_a_campaign_may_come_before_its_job(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("late")])
    assert promoted_ids(slate(engine)) == []
    engine.upsert_jobs([job("late", 11)])
    assert promoted_ids(slate(engine)) == ["late"]


def test_organic_only_when_no_promoted_item_is_wanted_and_the_other_way_round(engine: Marketplace) -> None:
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    assert {item.kind for item in slate(engine, promoted=0)} == {"organic"}
    assert [item.kind for item in slate(engine, organic=0)] == ["promoted"] * 3
    assert slate(engine, organic=0, promoted=0) == []


def test_no_job_stands_twice_in_a_slate(engine: Marketplace) -> None:
    engine.set_campaigns([campaign(one.job_id) for one in JOBS] + [campaign("nursing-1", campaign_id="cmp_again")])
    shown = [item.job_id for item in slate(engine, organic=12, promoted=6)]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {one.job_id for one in JOBS} - {"elsewhere"}


def test_of_two_campaigns_for_a_job_the_better_bid_is_shown(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1", 200_000, "cmp_a"), campaign("nursing-1", 900_000, "cmp_b")])
    assert [item.campaign_id for item in slate(engine) if item.sponsored] == ["cmp_b"]


def test_promoted_jobs_obey_the_same_filters_as_organic_ones(engine: Marketplace) -> None:
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    shown = promoted_ids(slate(engine, promoted=12))
    assert "elsewhere" not in shown
    assert "remote" in shown
    only_remote = engine.slate(SlateRequest(NURSE, None, Filters((("remote=yes",),)), 5, 5)).items
    assert {item.job_id for item in only_remote} == {"remote"}


def test_the_price_is_the_reserve_without_rivals_and_never_above_the_bid(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1", 300_000)])
    [alone] = [item for item in slate(engine) if item.sponsored]
    assert verify(str(alone.tracking_token), SECRET).price_micros == RESERVE_MICROS
    engine.set_campaigns([campaign("nursing-1", 300_000), campaign("nursing-0", 900_000)])
    for item in slate(engine):
        if item.sponsored:
            bid = 300_000 if item.job_id == "nursing-1" else 900_000
            assert RESERVE_MICROS <= verify(str(item.tracking_token), SECRET).price_micros <= bid
    engine.set_campaigns([campaign("nursing-1", RESERVE_MICROS - 1)])
    assert promoted_ids(slate(engine)) == []


def test_a_share_of_the_live_campaigns_is_retrieved_and_it_is_the_best_by_the_graph() -> None:
    engine = Marketplace(
        small_learned(), WordEncoder(), now=lambda: NOW, liquidity=Liquidity(theta=0.5), serving=NO_CAP
    )
    engine.upsert_jobs(JOBS[:8])
    engine.set_campaigns([campaign(one.job_id) for one in JOBS[:8]])
    shown = promoted_ids(slate(engine, promoted=8))
    assert set(shown) == {f"nursing-{i}" for i in range(4)}
    assert all(item.tracking_token is None for item in slate(engine))  # no secret, no token


def test_somebody_without_titles_gets_promoted_jobs_too(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1"), campaign("retail-1")])
    assert len(promoted_ids(slate(engine, SeekerProfile()))) == 2
    assert len(promoted_ids(slate(engine, SeekerProfile(geo="m07")))) == 0


def test_organic_results_stay_when_the_promoted_path_fails() -> None:
    class Broken(ResponseModel):
        def p_click(self, features: np.ndarray) -> np.ndarray:
            raise RuntimeError("no model")

    engine = engine_with(Broken)
    engine.set_campaigns([campaign("nursing-1")])
    with capture_logs() as logged:
        found = engine.slate(SlateRequest(NURSE, None, ANY, 5, 3))
    assert [item.kind for item in found.items] == ["organic"] * 5
    assert found.broken
    assert [entry["event"] for entry in logged] == ["no promoted items"]


def test_a_job_whose_click_rate_is_not_a_number_is_skipped_and_counted() -> None:
    class OneNaN(ResponseModel):
        """Does not know what to say of the job it likes best."""

        def p_click(self, features: np.ndarray) -> np.ndarray:
            found = super().p_click(features)
            if len(found) > 1:
                found[found.argmax()] = np.nan
            return found

    engine = engine_with(OneNaN)
    sound = engine_with(ResponseModel)
    for each in (engine, sound):
        each.set_campaigns([campaign(one.job_id) for one in JOBS[:4]])
    asked = SlateRequest(NURSE, None, ANY, 5, 4)
    best = promoted_ids(sound.slate(asked).items)
    found = engine.slate(asked)
    assert promoted_ids(found.items) == best[1:]
    assert (found.skipped, found.broken) == (1, False)
    assert sound.slate(asked).skipped == 0


def test_a_model_that_knows_nothing_at_all_leaves_organic_results() -> None:
    class Clueless(ResponseModel):
        def p_click(self, features: np.ndarray) -> np.ndarray:
            return np.full(len(features), np.nan, np.float32)

    engine = engine_with(Clueless)
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    found = engine.slate(SlateRequest(NURSE, None, ANY, 5, 3))
    assert [item.kind for item in found.items] == ["organic"] * 5
    assert found.skipped > 0
    assert found.bar == 0


def test_an_organic_score_that_is_not_a_number_leaves_no_hole_in_the_slate(engine: Marketplace) -> None:
    class OneOdd(Marketplace):
        def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
            found = super().recommend(seeker, query, filters, k)
            return [replace(found[0], score=float("nan")), *found[1:]]

    odd = OneOdd(small_learned(), WordEncoder(), now=lambda: NOW)
    odd.upsert_jobs(JOBS)
    found = odd.slate(SlateRequest(NURSE, None, ANY, 5, 0)).items
    assert [item.position for item in found] == [1, 2, 3, 4]
    assert [item.job_id for item in found] == [item.job_id for item in slate(engine, promoted=0)][1:]


# ---- what the auction saw, tired seekers, ad load, lots


def test_a_slate_says_the_occupation_and_what_it_took_to_win(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1", 300_000), campaign("nursing-0", 900_000)])
    asked = SlateRequest(NURSE, None, ANY, 5, 1)
    [won] = [item for item in engine.slate(asked).items if item.sponsored]
    found = engine.slate(asked)
    assert found.occupation == TAXONOMY.codes[10]
    assert won.offer is not None
    bid = 300_000 if won.job_id == "nursing-1" else 900_000
    assert found.bar == pytest.approx(bid * won.offer.p_click, rel=1e-4)
    assert engine.slate(replace(asked, promoted=2)).bar is not None
    assert engine.slate(replace(asked, promoted=3)).bar == 0  # a slot stayed empty
    nothing_sold = engine.slate(replace(asked, promoted=0))
    assert (nothing_sold.bar, nothing_sold.occupation) == (None, TAXONOMY.codes[10])
    assert engine.slate(replace(asked, seeker=SeekerProfile())).occupation is None


def test_a_campaign_the_seeker_has_seen_enough_of_makes_room_for_another(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1", 900_000), campaign("nursing-2", 200_000)])
    asked = SlateRequest(NURSE, None, ANY, 5, 1)
    [first] = promoted_ids(engine.slate(asked).items)
    [other] = promoted_ids(engine.slate(replace(asked, tired=frozenset({f"cmp_{first}"}))).items)
    assert {first, other} == {"nursing-1", "nursing-2"}
    both = frozenset({"cmp_nursing-1", "cmp_nursing-2"})
    assert promoted_ids(engine.slate(replace(asked, tired=both)).items) == []


@pytest.mark.parametrize("organic", [0, 1, 2, 4, 5, 7, 12])
@pytest.mark.parametrize("listed", [0, 3, 12])
def test_ads_are_at_most_their_share_of_what_is_shown_also_where_organic_jobs_run_out(
    organic: int, listed: int
) -> None:
    engine = Marketplace(small_learned(), WordEncoder(), now=lambda: NOW, serving=ServingConfig(max_ad_load=0.3))
    engine.upsert_jobs([job(f"j{n}", 10 + n % 4) for n in range(max(listed, 3))])
    engine.set_campaigns([campaign(f"j{n}") for n in range(3)])
    items = slate(engine, organic=organic, promoted=6)
    ads = sum(item.sponsored for item in items)
    assert ads <= max(1, 0.3 * len(items))
    assert ads >= 1


def test_with_chances_every_promoted_item_says_what_its_chance_was() -> None:
    engine = Marketplace(
        small_learned(), WordEncoder(), secret=SECRET, now=lambda: NOW, liquidity=Liquidity(theta=1.0),
        serving=ServingConfig(max_ad_load=1.0, exploration=0.3, swap=0.3, exploration_budget=1.0),
        chance=np.random.default_rng(2).random, version="abc",
    )  # fmt: skip
    engine.upsert_jobs(JOBS)
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    explored = swapped = 0
    for _ in range(60):
        items = [item for item in slate(engine) if item.sponsored]
        assert len({item.job_id for item in items}) == 3
        for item in items:
            token = verify(str(item.tracking_token), SECRET)
            assert item.propensity is not None
            assert 0 < item.propensity < 1
            assert (token.propensity, token.model) == (item.propensity, "abc")
            assert token.policy.startswith("second-price-")
            assert token.price_micros == RESERVE_MICROS or not item.explored
            explored, swapped = explored + item.explored, swapped + item.swapped
    assert 30 < explored < 80  # of 180 slots, .3 each
    assert 20 < swapped < 60  # 60 slates, .3 each, two items a swap


def test_without_chances_every_propensity_is_one(engine: Marketplace) -> None:
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    assert {item.propensity for item in slate(engine) if item.sponsored} == {1.0}


def test_no_lot_falls_on_a_campaign_whose_share_for_lots_is_used_up() -> None:
    engine = Marketplace(
        small_learned(), WordEncoder(), now=lambda: NOW, liquidity=Liquidity(theta=1.0),
        serving=ServingConfig(max_ad_load=1.0, exploration=1.0, exploration_budget=0.0),
        chance=np.random.default_rng(2).random,
    )  # fmt: skip
    engine.upsert_jobs(JOBS)
    engine.set_campaigns([campaign(one.job_id) for one in JOBS])
    assert not any(item.explored for _ in range(10) for item in slate(engine))


def test_another_setting_of_lots_is_another_policy() -> None:
    names = {
        ServingConfig(exploration=share).policy(Liquidity(theta=theta)) for share in (0.0, 0.02) for theta in (0.1, 0.2)
    }
    assert len(names) == 4


def test_an_unknown_occupation_is_refused_per_job_and_the_others_are_taken(engine: Marketplace) -> None:
    answers = engine.upsert_jobs(
        [job("good", 11), job("bad", 11, occupation="9999"), job("by-text", 11, occupation=None)]
    )
    assert [answer is None for answer in answers] == [True, False, True]
    assert "'9999' is not in generated-1" in str(answers[1])
    assert "\n" not in str(answers[1])
    shown = {item.job_id for item in engine.recommend(NURSE, None, ANY, 50)}
    assert {"good", "by-text"} <= shown
    assert "bad" not in shown


def test_a_deleted_job_is_invisible_organic_and_promoted(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1")])
    assert engine.delete_job("nursing-1")
    assert not engine.delete_job("nursing-1")
    assert "nursing-1" not in {item.job_id for item in slate(engine, organic=50)}
    engine.upsert_jobs([job("nursing-1", 11)])
    assert promoted_ids(slate(engine)) == ["nursing-1"]


def test_a_job_that_has_expired_is_neither_listed_nor_sold(engine: Marketplace, clock: Clock) -> None:
    engine.set_campaigns([campaign("short")])
    assert promoted_ids(slate(engine)) == ["short"]
    clock.now = NOW + timedelta(hours=1)
    assert "short" not in {item.job_id for item in slate(engine, organic=50)}


def test_a_job_uploaded_again_is_replaced_whole(engine: Marketplace) -> None:
    engine.set_campaigns([campaign("nursing-1")])
    engine.upsert_jobs([job("nursing-1", 31, company="New owner", geo="m02")])
    assert promoted_ids(slate(engine)) == []
    [item] = [it for it in slate(engine, replace(NURSE, geo="m02")) if it.sponsored]
    assert item.on_behalf_of == "New owner"
    assert TITLES[31] in item.reasons[0]


def test_of_two_jobs_under_one_id_in_a_batch_one_is_kept(engine: Marketplace) -> None:
    assert engine.upsert_jobs([job("twin", 11), job("twin", 12, company="Second")]) == [None, None]
    assert [item.job_id for item in engine.recommend(NURSE, None, ANY, 50)].count("twin") == 1


# ---- vectors of another model


class Opposite(WordEncoder):
    """Every vector turned round: two of these agree as before, one of each disagree wherever the words agree."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.meanwhile()
        return -super().encode(texts)


def answered(engine: Marketplace) -> list[tuple[str, float]]:
    return [(item.job_id, round(item.score, 5)) for item in engine.recommend(NURSE, None, ANY, 50)]


def test_no_request_sees_old_and_new_vectors_together(engine: Marketplace) -> None:
    """Old with old and new with new give the same answer here; a mixture would turn it round."""
    before, during = answered(engine), []
    assert engine.renew(Opposite(lambda: during.append(answered(engine))), Opposite()) == len(JOBS)
    assert answered(engine) == before
    assert during
    assert all(found == before for found in during)


def test_requests_beside_a_renewal_never_differ(engine: Marketplace) -> None:
    before, found, over = answered(engine), [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            found.append(answered(engine))

    asking = threading.Thread(target=ask)
    asking.start()
    for encoder in (Opposite(), WordEncoder(), Opposite()):
        engine.renew(encoder)
    over.set()
    asking.join()
    assert found
    assert all(each == before for each in found)


def test_jobs_and_campaigns_that_change_during_a_renewal_are_right_before_and_after(engine: Marketplace) -> None:
    changes = iter([True])

    def change() -> None:
        if next(changes, False):
            engine.upsert_jobs([job("late", 11), job("nursing-0", 31)])
            engine.delete_job("nursing-1")
            engine.set_campaigns([campaign("nursing-2")])
            assert "late" in dict(answered(engine))
            assert promoted_ids(slate(engine)) == ["nursing-2"]

    engine.renew(Opposite(change), Opposite())
    found = dict(answered(engine))
    assert "late" in found
    assert "nursing-1" not in found
    assert found["nursing-0"] == found["retail-1"]
    assert promoted_ids(slate(engine)) == ["nursing-2"]


def test_a_renewal_that_fails_changes_nothing(engine: Marketplace) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    before = answered(engine)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.renew(Opposite(fail))
    assert answered(engine) == before
    engine.renew(Opposite())
    assert answered(engine) == before


def test_two_renewals_at_once_are_refused(engine: Marketplace) -> None:
    def again() -> None:
        with pytest.raises(ConflictError, match="already"):
            engine.renew(WordEncoder())

    engine.renew(Opposite(again), Opposite())


def test_requests_are_read_by_the_student_where_there_is_one() -> None:
    teacher, student = WordEncoder(), WordEncoder()
    engine = Marketplace(small_learned(), teacher, request_encoder=student, now=lambda: NOW)
    engine.upsert_jobs(JOBS)
    teacher.encoded.clear()
    shown = engine.answer(Question(SeekerProfile("s1", ("Nursing helper",)), "night shifts", k=3))
    assert len(shown.items) == 3
    engine.slate(SlateRequest(SeekerProfile("s1", ("Nursing helper",)), None, ANY, 2, 2))
    assert teacher.encoded == []
    assert {"Nursing helper", "night shifts"} <= set(student.encoded)


class ByWage:
    """Towers of two dimensions that know nothing but what a job pays."""

    dimension = 2

    def job_vectors(self, jobs: Sequence[Job]) -> np.ndarray:
        share = np.array([min((job.wage or 0) / 1e5, 1) for job in jobs], np.float32)
        return np.stack([share, np.sqrt(1 - share**2)], axis=1)

    def request_vectors(self, requests: Sequence[Request]) -> np.ndarray:
        return np.tile(np.array([1, 0], np.float32), (len(requests), 1))


def test_towers_of_its_own_rank_the_organic_jobs() -> None:
    engine = Marketplace(small_learned(), WordEncoder(), towers=ByWage(), now=lambda: NOW)
    paid = [replace(job, wage=1e3 * at) for at, job in enumerate(JOBS, start=1)]
    engine.upsert_jobs(paid)
    shown = engine.answer(Question(SeekerProfile("s1", ("Nurse",)), filters=ANY, k=len(paid))).items
    wage = {job.job_id: job.wage or 0 for job in paid}
    order = [wage[item.job_id] for item in shown]
    assert len(order) > 1
    assert order == sorted(order, reverse=True)


# ---- artefacts


def test_an_engine_without_its_artefacts_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json is missing"):
        Marketplace.load(tmp_path)


def test_vacancies_come_back_as_they_were_saved(tmp_path: Path) -> None:
    assert load_vacancies(tmp_path / "jobs") == []
    jobs = [job("a", 3, skills=("x", "y"), wage=31_000.5, remote=True), job("b", 4)]
    save_vacancies(jobs, tmp_path / "jobs")
    assert load_vacancies(tmp_path / "jobs") == jobs
    (tmp_path / "jobs" / "jobs.json").write_text("[]")
    with pytest.raises(ArtefactError, match="damaged"):
        load_vacancies(tmp_path / "jobs")
