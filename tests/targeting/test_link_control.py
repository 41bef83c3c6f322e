"""Edits of links, audience and logged reasons through the real engine: four jobs, three links made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from graph.links import LinkSet, link_id
from market.clock import FixedClock
from market.money import Money
from market.records import Filters, Job, SeekerProfile
from sim.generated import generated_taxonomy
from targeting.audience import Liquidity
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import Audience, SlateItem, SlateRequest
from targeting.http.api import create_app
from targeting.learned import Learned
from targeting.link_targeting import CampaignLinkEdit
from targeting.marketplace import Marketplace
from targeting.migrations import upgrade
from targeting.protected import speaks_of_a_protected_attribute
from targeting.serving import ServingConfig
from targeting.storage.database import Database
from targeting.storage.keys import make_key
from targeting.storage.store import Store
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."
TAXONOMY = generated_taxonomy()
TITLES = TAXONOMY.titles
ONE_SEAT, ALL = Liquidity(theta=1e-6), Liquidity(theta=1.0)
NURSE = SeekerProfile("s1", (TITLES[10],), geo="m00")  # "Nursing assistant"
SELLER = SeekerProfile("s2", (TITLES[30],), geo="m00")  # "Retail assistant"
STAY, MOVE, SELL = (
    (("section=Nursing",), ("section=Nursing",)),
    (("section=Nursing",), ("section=Retail",)),
    (("section=Retail",), ("section=Retail",)),
)


@cache
def learned() -> Learned:
    sides = (STAY, MOVE, SELL)
    ids = tuple(link_id(*side) for side in sides)
    seeker, job = (tuple(side[at] for side in sides) for at in (0, 1))
    links = LinkSet(ids, seeker, job, np.array([3.0, 1.0, 0.5]), np.array([65, 20, 72]), np.array([32, 9, 36]))
    return replace(small_learned(), links=links)


def job(job_id: str, of: int) -> Job:
    return Job(job_id, "acme", TITLES[of], f"company of {job_id}", "", "m00", occupation=TAXONOMY.codes[of])


JOBS = [job("ward", 11), job("clinic", 12), job("shop", 31), job("market", 32)]


def campaign(job_id: str, campaign_id: str = "", max_cpc: int = 500_000) -> Campaign:
    budget, bid = Budget(Money(100_000_000, "EUR")), Bid("manual", Money(max_cpc, "EUR"))
    named = campaign_id or f"cmp_{job_id}"
    given_ = named, "acme", job_id, job_id, budget, bid, "clicks", NOW, None, "UTC", "even", "active", 1, NOW
    return Campaign(*given_)  # type: ignore[arg-type]


def edit(
    sides: tuple[tuple[str, ...], tuple[str, ...]], job_id: str, weight: float | None = None, campaign_id: str = ""
) -> CampaignLinkEdit:
    named, action = campaign_id or f"cmp_{job_id}", "veto" if weight is None else "boost"
    return CampaignLinkEdit(named, job_id, link_id(*sides), *sides, action, weight, "key_1", NOW)  # type: ignore[arg-type]


def engine_with(liquidity: Liquidity, *campaigns: Campaign, source: Learned | None = None) -> Marketplace:
    nonces = itertools.count()
    engine = Marketplace(
        source or learned(),
        WordEncoder(),
        secret=SECRET,
        now=lambda: NOW,
        nonce=lambda: f"n{next(nonces)}",
        liquidity=liquidity,
        serving=ServingConfig(max_ad_load=1.0),
    )
    assert engine.upsert_jobs(JOBS) == [None] * len(JOBS)
    engine.set_campaigns(campaigns or [campaign(each.job_id) for each in JOBS])
    return engine


def promoted(engine: Marketplace, seeker: SeekerProfile = NURSE, slots: int = 4) -> list[SlateItem]:
    items = engine.slate(SlateRequest(seeker, None, Filters(), 0, slots)).items
    return [item for item in items if item.kind == "promoted"]


def ids(engine: Marketplace, seeker: SeekerProfile = NURSE, slots: int = 4) -> set[str]:
    return {item.job_id for item in promoted(engine, seeker, slots)}


# ---- veto


def test_a_vetoed_link_keeps_the_campaign_from_the_seekers_it_describes_and_from_no_others() -> None:
    engine = engine_with(ALL)
    assert ids(engine) == ids(engine, SELLER) == {"ward", "clinic", "shop", "market"}
    engine.set_link_edits([edit(STAY, "ward")])
    assert ids(engine) == {"clinic", "shop", "market"}
    assert ids(engine, SELLER) == {"ward", "clinic", "shop", "market"}


def test_a_vetoed_campaign_leaves_its_seat_to_the_next_one() -> None:
    engine = engine_with(ONE_SEAT)
    [first] = ids(engine)
    assert first in ("ward", "clinic")
    engine.set_link_edits([edit(STAY, first)])
    assert ids(engine) == {"ward", "clinic"} - {first}


def test_a_reset_brings_everything_back_with_the_next_slate() -> None:
    engine = engine_with(ALL)
    before = promoted(engine)
    engine.set_link_edits([edit(STAY, "ward"), edit(MOVE, "shop", 5.0)])
    engine.set_link_edits([])
    assert [(item.job_id, item.score, item.links) for item in promoted(engine)] == [
        (item.job_id, item.score, item.links) for item in before
    ]


def test_a_veto_holds_for_organic_results_of_nobody() -> None:
    engine = engine_with(ALL)
    engine.set_link_edits([edit(STAY, each.job_id) for each in JOBS[:2]])
    shown = engine.slate(SlateRequest(NURSE, None, Filters(), 4, 0)).items
    assert {item.job_id for item in shown} == {each.job_id for each in JOBS}


def test_a_veto_outlives_the_link_it_was_made_on() -> None:
    """The next fit does not find the link any more."""
    engine = engine_with(ALL, source=replace(learned(), links=learned().links.take([2])))
    engine.set_link_edits([edit(STAY, "ward"), edit(MOVE, "shop", 10.0)])
    assert ids(engine) == {"clinic", "shop", "market"}
    narrow = engine_with(ONE_SEAT, source=replace(learned(), links=learned().links.take([2])))
    narrow.set_link_edits([edit(MOVE, "shop", 10.0)])
    assert ids(narrow) != {"shop"}  # the boost rests


# ---- boost


def test_a_boost_brings_a_campaign_into_the_retrieved_set_for_the_seekers_the_link_describes() -> None:
    engine = engine_with(ONE_SEAT)
    assert ids(engine) <= {"ward", "clinic"}
    seen_by_sellers = ids(engine, SELLER)
    engine.set_link_edits([edit(MOVE, "shop", 10.0)])
    assert ids(engine) == {"shop"}
    assert ids(engine, SELLER) == seen_by_sellers  # whom the link does not describe
    engine.set_link_edits([edit(MOVE, "shop", 1e-6)])
    assert ids(engine) <= {"ward", "clinic"}


def test_a_boost_of_one_campaign_does_not_carry_another_one_of_the_same_job() -> None:
    """The rival bids more for the same job, and is shown wherever the job gets in without the boost."""
    rival = campaign("shop", "cmp_rival", max_cpc=900_000)
    everything = [campaign(each.job_id) for each in JOBS] + [rival]
    wide = engine_with(ALL, *everything)
    assert "cmp_rival" in {item.campaign_id for item in promoted(wide)}
    narrow = engine_with(ONE_SEAT, *everything)
    narrow.set_link_edits([edit(MOVE, "shop", 10.0)])
    assert [item.campaign_id for item in promoted(narrow)] == ["cmp_shop"]
    wide.set_link_edits([edit(MOVE, "shop", 10.0)])
    assert "cmp_rival" in {item.campaign_id for item in promoted(wide)}


def test_a_veto_of_one_campaign_does_not_touch_another_one_of_the_same_job() -> None:
    engine = engine_with(ALL, campaign("ward", "cmp_a", 900_000), campaign("ward", "cmp_b", 400_000))
    assert [item.campaign_id for item in promoted(engine)] == ["cmp_a"]
    engine.set_link_edits([edit(STAY, "ward", campaign_id="cmp_a")])
    assert [item.campaign_id for item in promoted(engine)] == ["cmp_b"]
    assert [item.campaign_id for item in promoted(engine, SELLER)] == ["cmp_a"]


def test_campaigns_that_are_tired_of_take_no_seat() -> None:
    engine = engine_with(ONE_SEAT)
    [first] = promoted(engine)
    asked = SlateRequest(NURSE, None, Filters(), 0, 4, tired=frozenset({str(first.campaign_id)}))
    shown = [item.job_id for item in engine.slate(asked).items]
    assert shown == [each for each in ("ward", "clinic") if each != first.job_id]


# ---- what is logged for explanations


def test_a_promoted_item_carries_the_links_that_fired_boosted_ones_first() -> None:
    engine = engine_with(ALL)
    by_job = {item.job_id: item for item in promoted(engine)}
    [link] = by_job["ward"].links
    assert (link.link_id, link.hires, link.weight, link.boost) == (link_id(*STAY), 65, 3.0, None)
    assert (link.seeker, link.job) == ("section Nursing", "in section Nursing")
    assert all(item.links == () for item in promoted(engine, SELLER) if item.job_id == "ward")
    engine.set_link_edits([edit(STAY, "ward", 2.0)])
    [ward] = [item for item in promoted(engine) if item.job_id == "ward"]
    assert [each.boost for each in ward.links] == [2.0]


# ---- audience


def crowded(factor: int = 1_237) -> Learned:
    return replace(learned(), seekers_by_occupation=learned().seekers_by_occupation * factor)


def audience(engine: Marketplace, *edits: CampaignLinkEdit, of: Job = JOBS[0]) -> Audience:
    return engine.audience(campaign(of.job_id), of, edits)


def test_the_audience_says_who_comes_and_by_which_links() -> None:
    found = audience(engine_with(ALL))
    weights = [segment.weight for segment in found.segments]
    assert weights == sorted(weights, reverse=True)
    assert all(segment.attributes.startswith("works as ") for segment in found.segments)
    assert all(segment.hires >= 0 for segment in found.segments)
    assert [(link.link_id, link.hires, link.no_hires, link.edit) for link in found.links] == [
        (link_id(*STAY), 65, 32, None)
    ]


def test_the_audience_shows_what_people_decided_and_what_rests() -> None:
    rests = edit((("section=Retail",), ("section=Nursing",)), "ward", 4.0)
    found = audience(engine_with(ALL), edit(STAY, "ward"), rests)
    assert [(link.link_id, link.learned, link.edit and link.edit.action) for link in found.links] == [
        (link_id(*STAY), True, "veto"),
        (rests.link_id, False, "boost"),
    ]


def test_those_whom_a_veto_shuts_out_by_what_they_do_now_are_not_counted() -> None:
    source = crowded()
    common = int(source.seekers_by_occupation.argmax())
    of, own = job("common", common), (f"section={TAXONOMY.section_names[TAXONOMY.section[common]]}",)
    engine = engine_with(ALL, source=source)
    before, after = audience(engine, of=of), audience(engine, edit((own, own), "common"), of=of)
    colleagues = f"works as {TITLES[common]}"
    assert before.reach is not None
    assert colleagues in {segment.attributes for segment in before.segments}
    assert colleagues not in {segment.attributes for segment in after.segments}
    assert (after.reach or 0) < before.reach
    schooled = ("education=<=12", *own)  # does not say of all of them that they are out
    assert audience(engine, edit((schooled, own), "common"), of=of).reach == before.reach


def test_a_group_below_the_floor_is_never_counted_out_loud() -> None:
    """The small world has 240 people in its logs."""
    found = audience(engine_with(ALL))
    assert all(segment.reach is None for segment in found.segments)


def test_a_larger_group_is_told_in_two_digits_and_the_same_in_every_process() -> None:
    source = crowded()
    of = job("common", int(source.seekers_by_occupation.argmax()))
    first, second = (audience(engine_with(ALL, source=source), of=of) for _ in range(2))
    assert first == second
    told = [each.reach for each in (first, *first.segments) if each.reach is not None]
    assert told
    assert all(reach >= 300 and reach == int(float(f"{reach:.2g}")) for reach in told)


@pytest.mark.parametrize("unknown", [job("never-seen", 11), replace(job("untitled", 11), occupation=None)])
def test_a_job_that_is_not_in_the_index_is_read_by_its_title(unknown: Job) -> None:
    engine = engine_with(ALL)
    assert audience(engine, of=unknown).links == audience(engine).links
    assert [link.link_id for link in engine.links_into(unknown)] == [link_id(*STAY)]


# ---- what the index holds


def test_no_row_of_the_index_has_a_term_of_a_protected_field() -> None:
    engine = engine_with(ALL)
    index, book = engine._inventory.index, engine._inventory.book
    fields = {term.partition("=")[0] for each in JOBS for term in index.terms_of(int(book.rows([each.job_id])[0]))}
    assert {"job", "geo", "company", "occupation", "link", "campaign", "section"} <= fields
    assert not {field for field in fields if speaks_of_a_protected_attribute(field)}


# ---- over HTTP


def test_over_http_an_edit_decides_the_next_slate(tmp_path: Path) -> None:
    """A veto takes the campaign out for nurses alone, a boost brings the shop in; another process sees it too."""
    database = Database(f"sqlite:///{tmp_path}/hiregraph.sqlite")
    upgrade(database)
    store, keys = Store(database), {}
    for number, role in enumerate(("owner", "platform")):
        keys[role], record = make_key("acme", role, NOW, bytes([number]) * 32)
        store.add_key(record)
    store.put_jobs(JOBS)
    for each in JOBS:
        store.add_campaign(campaign(each.job_id))

    def app(engine: Marketplace) -> TestClient:
        return TestClient(create_app(Store(Database(database.url)), engine, FixedClock(NOW), secret=SECRET))

    def shown(client: TestClient, seeker: SeekerProfile) -> set[str]:
        sent = {"titles": list(seeker.titles), "geo": seeker.geo}
        body = {"seeker": sent, "slots": {"organic": 0, "promoted": 4}}
        answer = client.post("/v1/slates", json=body, headers={"Authorization": f"Bearer {keys['platform']}"})
        assert answer.status_code == 200, answer.text
        tokens.extend(item["tracking_token"] for item in answer.json()["items"])
        return {item["job_id"] for item in answer.json()["items"]}

    def put(client: TestClient, job_id: str, sides: tuple[tuple[str, ...], tuple[str, ...]], **body: object) -> None:
        path = f"/v1/campaigns/cmp_{job_id}/links/{link_id(*sides)}"
        answer = client.put(path, json=body, headers={"Authorization": f"Bearer {keys['owner']}"})
        assert answer.status_code == 200, answer.text

    tokens: list[str] = []
    with app(engine_with(ALL)) as client, app(engine_with(ONE_SEAT)) as narrow:
        everything = {each.job_id for each in JOBS}
        assert shown(client, NURSE) == shown(client, SELLER) == everything
        put(client, "ward", STAY, action="veto")
        assert shown(client, NURSE) == everything - {"ward"}
        assert shown(client, SELLER) == everything
        assert shown(narrow, NURSE) == {"clinic"}
        put(client, "shop", MOVE, action="boost", weight=10)
        assert shown(narrow, NURSE) == {"shop"}
        key = {"Authorization": f"Bearer {keys['platform']}"}
        told = client.get(f"/v1/explanations/{tokens[-1]}", headers=key).json()
        assert [(link["link_id"], link["boost"]) for link in told["links"]] == [(link_id(*MOVE), 10.0)]
        assert told["attributes"] == ["section Nursing"]
        put(client, "ward", STAY, action="reset")
        put(client, "shop", MOVE, action="reset")
        assert shown(client, NURSE) == everything
        assert shown(narrow, NURSE) <= {"ward", "clinic"}
