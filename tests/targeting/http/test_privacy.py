"""Erasing a person over HTTP, and what requests leave behind of a profile."""

from __future__ import annotations

from typing import Any

import pytest

from targeting.canary import files_below, search_file
from targeting.profile_log import PrivacyConfig
from targeting.storage.residue import named_in
from tests.targeting.http.small_service import Opener, World, assert_problem, campaign_of_token, click

WHO = "canary-4711-person"
PROFILE = {"titles": ["Nurse"], "geo": "31080", "education_years": 14}


def searched(world: World, **changes: Any) -> None:
    body = {"seeker_id": WHO, "seeker": PROFILE, "k": 3} | changes
    assert world.call("platform", "POST", "/v1/recommendations", json=body).status_code == 200


def erased(world: World, seeker_id: str = WHO) -> dict[str, Any]:
    answer = world.call("platform", "POST", f"/v1/seekers/{seeker_id}/erase")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/operations/{answer.json()['operation_id']}"
    receipt: dict[str, Any] = world.call("auditor", "GET", answer.headers["location"]).json()
    return receipt


def test_erasing_answers_with_an_operation_that_ends_with_a_receipt(world: World) -> None:
    world.activated()
    [item] = world.slate(seeker_id=WHO)
    world.send(click("e1", item, seeker_id=WHO))
    done = erased(world)
    assert (done["kind"], done["status"]) == ("erase_seeker", "done")
    assert (
        done["receipt"]["stores"] | {"events": 1, "reserves": 1, "slates": 1, "postings": 1}
        == (done["receipt"]["stores"])
    )
    assert done["receipt"]["retrain_advised"]
    assert done["receipt"]["bytes"]["found"] == 0
    assert WHO not in str(done)


def test_after_the_erasure_no_file_of_the_service_holds_the_person(world: World) -> None:
    world.activated()
    [item] = world.slate(seeker_id=WHO)
    world.send(click("e1", item, seeker_id=WHO))
    path = world.store.database.path
    assert path is not None
    assert any(search_file(file, WHO) for file in files_below([path.parent]))
    campaign_id = campaign_of_token(item)
    spent = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()
    erased(world)
    assert not any(search_file(file, WHO) for file in files_below([path.parent]))
    assert world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json() == spent


def test_a_late_event_and_a_new_search_do_not_bring_the_person_back(world: World) -> None:
    world.activated()
    [item] = world.slate(seeker_id=WHO)
    erased(world)
    [late] = world.send(click("e1", item, seeker_id=WHO))
    assert late["status"] == "accepted"
    [save] = world.send(
        {"event_id": "e2", "type": "save", "occurred_at": "2026-03-01T12:00:00Z", "seeker_id": WHO, "job_id": "j1"}
    )
    assert (save["status"], save["code"]) == ("quarantined", "erased")
    searched(world)
    assert world.slate(seeker_id=WHO)
    assert named_in(world.store.database, WHO) == {}


def test_a_stranger_can_be_erased_and_the_receipt_is_empty(world: World) -> None:
    done = erased(world, "nobody-we-know")
    assert set(done["receipt"]["stores"].values()) == {0}
    assert not done["receipt"]["retrain_advised"]


def test_an_id_that_no_seeker_can_have_is_refused(world: World) -> None:
    assert_problem(world.call("platform", "POST", "/v1/seekers/~abc/erase"), 422)


def test_an_operation_nobody_started_is_not_found(world: World) -> None:
    assert_problem(world.call("auditor", "GET", "/v1/operations/op_9"), 404, "not_found")


@pytest.mark.parametrize("route", ["recommendations", "slates"])
def test_profiles_of_searches_and_slates_are_noted_for_housekeeping_to_write(world: World, route: str) -> None:
    body = {"seeker_id": WHO, "seeker": PROFILE} | (
        {"slots": {"organic": 2, "promoted": 1}} if route == "slates" else {}
    )
    assert world.call("platform", "POST", f"/v1/{route}", json=body).status_code == 200
    services = world.client.app.state.services  # type: ignore[attr-defined]
    assert services.profiles.known() == [WHO]
    [noted] = services.profiles.take()
    assert (noted.titles, noted.geo, noted.education_years) == (("Nurse",), "31080", 14.0)


@pytest.mark.parametrize("body", [{"personalise": False}, {"seeker_id": None}, {"seeker": None}])
def test_who_wants_no_profile_or_gives_none_is_not_noted(world: World, body: dict[str, Any]) -> None:
    searched(world, **body)
    assert world.client.app.state.services.profiles.known() == []  # type: ignore[attr-defined]


def test_a_deployment_may_record_no_profiles_at_all(open_world: Opener) -> None:
    with open_world(privacy=PrivacyConfig(record_profiles=False)) as world:
        searched(world)
        assert world.client.app.state.services.profiles.known() == []
