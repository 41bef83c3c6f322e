"""Who changed what, over HTTP: each change once, own account only, in the order it was made."""

from __future__ import annotations

from typing import Any

from targeting.storage.audit_log import AuditLog
from tests.targeting.http.small_service import DRAFT, JOBS, World, assert_problem


def entries(world: World, who: str = "auditor", **query: Any) -> list[dict[str, Any]]:
    answer = world.call(who, "GET", "/v1/audit-log", params={"limit": 500} | query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return [entry for entry in found if not entry["action"].startswith("key.")]


def test_the_life_of_a_campaign_is_told_with_before_and_after(world: World) -> None:
    campaign_id = world.activated()
    world.call("manager", "PATCH", f"/v1/campaigns/{campaign_id}", json={"name": "Carers"})
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/pause")
    told = entries(world)
    assert [entry["action"] for entry in told] == [
        "campaign.created",
        "campaign.activate",
        "campaign.changed",
        "campaign.pause",
    ]
    assert {entry["object_id"] for entry in told} == {campaign_id}
    assert told[0]["before"] is None
    assert (told[2]["before"]["name"], told[2]["after"]["name"]) == ("Nurses", "Carers")
    assert [entry["after"]["status"] for entry in told] == ["draft", "active", "active", "paused"]
    assert len({entry["key_id"] for entry in told}) == 2
    assert [entry["number"] for entry in told] == sorted(entry["number"] for entry in told)
    assert AuditLog(world.store.database).verify().broken is None


def test_what_is_refused_or_said_again_leaves_no_second_row(world: World) -> None:
    once = {"Idempotency-Key": "one"}
    for _ in range(2):
        assert world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once).status_code == 201
    [made] = entries(world)
    path = f"/v1/campaigns/{made['object_id']}"
    assert_problem(world.call("owner", "PATCH", path, json={"name": "x"}, headers={"If-Match": '"9"'}), 412)
    assert_problem(world.call("owner", "POST", f"{path}/resume"), 409)
    assert_problem(world.call("analyst", "POST", f"{path}/activate"), 403)
    assert_problem(world.call("beta-owner", "POST", f"{path}/activate"), 404)
    assert entries(world) == [made]


def test_a_deleted_job_is_told_once(world: World) -> None:
    for status in (204, 404):
        assert world.call("platform", "DELETE", "/v1/jobs/j1").status_code == status
    [told] = entries(world)
    assert (told["action"], told["object_id"], told["account_id"]) == ("job.deleted", "j1", "acme")
    assert told["before"] == {"title": JOBS[0]["title"]}


def test_an_account_sees_its_own_changes_and_can_not_count_those_of_others(world: World) -> None:
    world.created()
    mine = DRAFT | {"job_id": "j2"}
    assert world.call("beta-owner", "POST", "/v1/campaigns", json=mine).status_code == 201
    world.created()
    assert [entry["account_id"] for entry in entries(world)] == ["acme", "beta", "acme"]
    for who in ("owner", "manager", "analyst"):
        assert [entry["account_id"] for entry in entries(world, who)] == ["acme", "acme"]
    [told] = entries(world, "beta-owner")
    assert told["number"] is None
    foreign = entries(world, "owner")[0]["digest"]
    assert_problem(world.call("beta-owner", "GET", f"/v1/audit-log?after={foreign}"), 422, "bad_cursor")


def test_pages_follow_each_other_to_the_end(world: World) -> None:
    for _ in range(5):
        world.created()
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({} if after is None else {"after": after})
        page = world.call("auditor", "GET", "/v1/audit-log", params=query).json()
        seen += [entry["number"] for entry in page["items"]]
        if (after := page["next"]) is None:
            break
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 5
    assert_problem(world.call("auditor", "GET", "/v1/audit-log?after=" + "0" * 64), 422, "bad_cursor")
