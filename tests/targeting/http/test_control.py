"""What people see and steer over HTTP: audience, edits of links, explanations, parameters."""

from __future__ import annotations

from typing import Any

import pytest

from market.records import Filters, SeekerProfile
from targeting.engine import SlateRequest
from targeting.explanation import FiredLink
from targeting.storage.audit_log import AuditLog
from tests.targeting.http.small_service import HOUR, JOBS, Opener, World, assert_problem


def put(world: World, campaign_id: str, body: dict[str, Any], who: str = "owner", **request: Any) -> Any:
    return world.call(who, "PUT", f"/v1/campaigns/{campaign_id}/links/lnk_1", json=body, **request)


def boost(weight: Any) -> dict[str, Any]:
    return {"action": "boost", "weight": weight}


def edits_of(world: World) -> list[tuple[str, str, str, float | None]]:
    """What the engine knows after the next search."""
    world.call("platform", "POST", "/v1/recommendations", json={"k": 1})
    return [(each.campaign_id, each.link_id, each.action, each.weight) for each in world.engine.edits]


# ---- audience


def test_an_audience_never_shows_a_number_below_the_floor(world: World) -> None:
    answer = world.call("analyst", "GET", f"/v1/campaigns/{world.created()}/audience").json()
    assert (answer["reach"], answer["reach_floor"]) == (1_234, 300)
    assert [(segment["attributes"], segment["reach"]) for segment in answer["segments"]] == [
        ("nurses", 900),
        ("cooks", None),
    ]
    assert answer["links"] == [
        {
            "link_id": "lnk_1",
            "seeker": "nurse",
            "job": "carer",
            "weight": 0.7,
            "hires": 40,
            "no_hires": 60,
            "learned": True,
            "edit": None,
        }
    ]


def test_an_audience_shows_what_a_person_decided(world: World) -> None:
    campaign_id = world.created()
    put(world, campaign_id, boost(2.5))
    [link] = world.call("analyst", "GET", f"/v1/campaigns/{campaign_id}/audience").json()["links"]
    assert link["edit"] == {"action": "boost", "weight": 2.5, "edited_at": "2026-03-01T12:00:00Z"}


# ---- edits


def test_an_edit_reaches_the_engine_with_the_next_search_and_a_reset_takes_it_back(world: World) -> None:
    campaign_id = world.activated()
    answer = put(world, campaign_id, {"action": "veto"})
    assert answer.status_code == 200
    assert answer.json()["edit"]["action"] == "veto"
    assert edits_of(world) == [(campaign_id, "lnk_1", "veto", None)]
    put(world, campaign_id, boost(3))
    assert edits_of(world) == [(campaign_id, "lnk_1", "boost", 3.0)]
    assert put(world, campaign_id, {"action": "reset"}).json()["edit"] is None
    assert edits_of(world) == []


def test_a_veto_takes_the_campaign_out_of_the_next_slate_and_a_reset_brings_it_back(world: World) -> None:
    campaign_id = world.activated()
    assert len(world.slate()) == 1
    put(world, campaign_id, {"action": "veto"})
    assert world.slate() == []
    put(world, campaign_id, {"action": "reset"})
    assert len(world.slate()) == 1


def test_an_edit_is_there_after_a_restart_and_in_every_process(open_world: Opener) -> None:
    with open_world() as first, open_world() as second:
        first.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        campaign_id = first.activated()
        assert edits_of(second) == []
        put(first, campaign_id, {"action": "veto"})
        assert edits_of(second) == [(campaign_id, "lnk_1", "veto", None)]
    with open_world() as again:
        assert edits_of(again) == [(campaign_id, "lnk_1", "veto", None)]


def test_saying_the_same_again_changes_nothing(world: World) -> None:
    campaign_id = world.activated()
    first = put(world, campaign_id, boost(2))
    revision = world.store.revision()
    world.clock.advance(HOUR)
    again = put(world, campaign_id, boost(2), who="manager")
    assert (again.status_code, again.json()) == (200, first.json())
    assert world.store.revision() == revision
    put(world, campaign_id, {"action": "reset"})
    after = world.store.revision()
    assert put(world, campaign_id, {"action": "reset"}).status_code == 200
    assert world.store.revision() == after


def test_edits_are_written_into_the_audit_log(world: World) -> None:
    campaign_id = world.created()
    for body in (boost(2), {"action": "veto"}, {"action": "veto"}, {"action": "reset"}):
        put(world, campaign_id, body)
    rows = [each.change for each in AuditLog(world.store.database).page("acme", None, 100)]
    boosted, vetoed = {"action": "boost", "weight": 2.0}, {"action": "veto", "weight": None}
    assert [(row.action, row.before, row.after) for row in rows if row.object_id == f"{campaign_id}/lnk_1"] == [
        ("link.boost", None, boosted),
        ("link.veto", boosted, vetoed),
        ("link.reset", vetoed, None),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "add"},
        {"action": "boost"},
        {"action": "boost", "weight": None},
        boost(0),
        boost(-1),
        boost(10.001),
        boost("2"),
        boost(True),
        {"action": "veto", "weight": 1},
        {"action": "reset", "weight": 1},
        {"action": "veto", "reason": "x"},
    ],
)
def test_an_edit_that_says_something_else_is_refused(world: World, body: dict[str, Any]) -> None:
    assert_problem(put(world, world.created(), body), 422)


def test_a_weight_that_is_no_number_is_refused(world: World) -> None:
    content = b'{"action": "boost", "weight": NaN}'
    path, header = f"/v1/campaigns/{world.created()}/links/lnk_1", {"Content-Type": "application/json"}
    assert_problem(world.call("owner", "PUT", path, content=content, headers=header), 422)


def test_only_links_that_lead_to_the_campaign_can_be_edited(world: World) -> None:
    campaign_id = world.created()
    path = f"/v1/campaigns/{campaign_id}/links/lnk_2"
    assert_problem(world.call("owner", "PUT", path, json={"action": "veto"}), 404, "not_found")
    assert_problem(world.call("owner", "PUT", path, json={"action": "reset"}), 404)


def test_an_edit_can_be_taken_back_after_its_link_is_not_learned_any_more(world: World) -> None:
    campaign_id = world.created()
    put(world, campaign_id, {"action": "veto"})
    world.engine.learned = False
    [link] = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}/audience").json()["links"]
    assert (link["learned"], link["edit"]["action"]) == (False, "veto")
    answer = put(world, campaign_id, boost(1)).json()
    assert (answer["learned"], answer["edit"]["action"]) == (False, "boost")
    assert put(world, campaign_id, {"action": "reset"}).json()["edit"] is None
    assert_problem(put(world, campaign_id, {"action": "veto"}), 404)


def test_an_edit_honours_the_etag_of_the_campaign_and_does_not_change_it(world: World) -> None:
    campaign_id = world.created()
    path = f"/v1/campaigns/{campaign_id}"
    tag = world.call("owner", "GET", path).headers["etag"]
    assert put(world, campaign_id, {"action": "veto"}, headers={"If-Match": tag}).status_code == 200
    assert world.call("owner", "GET", path).headers["etag"] == tag
    world.call("owner", "PATCH", path, json={"name": "Other"})
    stale = put(world, campaign_id, boost(1), headers={"If-Match": tag})
    assert_problem(stale, 412, "precondition_failed")


def test_links_of_a_campaign_that_is_over_can_not_be_edited(world: World) -> None:
    campaign_id = world.created()
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/cancel")
    assert_problem(put(world, campaign_id, {"action": "veto"}), 409, "conflict")


def test_without_artefacts_links_can_not_be_edited_yet(world: World) -> None:
    campaign_id = world.created()
    world.engine.missing = "no artefacts"
    assert_problem(put(world, campaign_id, {"action": "veto"}), 503, "engine_not_ready")


# ---- explanations


FIRED = FiredLink("lnk_1", "works as Carers, at most 12 years of schooling", "as Nurses", 0.7, 40, 2.0)


def served(world: World) -> str:
    world.engine.fired = (FIRED,)
    world.activated()
    [item] = world.slate(seeker_id="s1")
    token: str = item["tracking_token"]
    return token


def explained(world: World, token: str, who: str = "platform") -> dict[str, Any]:
    answer = world.call(who, "GET", f"/v1/explanations/{token}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_explanation_says_who_pays_and_why_and_how_to_change_it(world: World) -> None:
    found = explained(world, served(world))
    assert (found["sponsored"], found["label"], found["on_behalf_of"], found["paid_by"]) == (
        True,
        "Sponsored",
        "acme",
        "acme",
    )
    assert (found["job_id"], found["title"], found["position"], found["model"]) == ("j1", "Nurse", 1, "small")
    assert found["links"] == [vars(FIRED)]
    assert found["attributes"] == ["works as Carers", "at most 12 years of schooling"]
    assert found["why"][0] == "ad"
    assert any("40 people" in sentence and "as Nurses" in sentence for sentence in found["why"])
    assert any("strengthened" in sentence for sentence in found["why"])
    assert found["how_to_change"]
    assert {"links", "bid", "filters"} <= {each["name"] for each in found["parameters"]}
    assert "postcode" in found["never_used"]


def test_the_price_is_told_to_those_who_pay_and_who_audit_and_not_to_the_seeker(world: World) -> None:
    token = served(world)
    told = {who: explained(world, token, who) for who in ("platform", "owner", "manager", "analyst", "auditor")}
    assert {who for who, found in told.items() if found["price"] is None} == {"platform"}
    assert told["owner"]["price"] == {"amount_micros": 1_000_000, "currency": "EUR"}
    assert any("Veto" in way for way in told["owner"]["how_to_change"])
    same = {"price", "how_to_change"}
    assert all(
        {name: found[name] for name in found if name not in same}
        == {name: told["auditor"][name] for name in found if name not in same}
        for found in told.values()
    )


def test_a_forged_an_unserved_and_a_foreign_token_are_answered_alike(world: World) -> None:
    token = served(world)
    unserved = (
        world.engine.slate(SlateRequest(SeekerProfile("s1"), None, Filters(), 0, 1)).items[0].tracking_token
    )  # signed, but never reserved
    swapped = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
    answers = [
        world.call("owner", "GET", f"/v1/explanations/{unserved}"),
        world.call("owner", "GET", f"/v1/explanations/{swapped}"),
        world.call("owner", "GET", "/v1/explanations/nothing"),
        world.call("beta-owner", "GET", f"/v1/explanations/{token}"),
    ]
    told = [assert_problem(answer, 404, "not_found") for answer in answers]
    assert len({each["detail"] for each in told}) == 1


def test_an_explanation_stays_true_after_the_job_is_gone_and_the_links_are_other_ones(world: World) -> None:
    token = served(world)
    before = explained(world, token)
    world.call("platform", "DELETE", "/v1/jobs/j1")
    world.engine.fired = ()
    assert explained(world, token) == before


def test_a_slate_logged_without_reasons_is_explained_as_far_as_it_goes(world: World) -> None:
    world.activated()
    [item] = world.slate()
    found = explained(world, item["tracking_token"])
    assert (found["links"], found["attributes"]) == ([], [])
    assert found["why"]


def test_the_main_parameters_are_told_in_words(world: World) -> None:
    answer = world.call("platform", "GET", "/v1/recommender/parameters").json()
    assert {each["part"] for each in answer["parameters"]} == {"organic", "promoted", "both"}
    assert all(each["what"].endswith(".") for each in answer["parameters"])
