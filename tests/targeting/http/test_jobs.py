"""Jobs over HTTP: batches, deletion, expiry."""

from __future__ import annotations

from tests.targeting.http.small_service import HOUR, JOBS, NOW, World, assert_problem


def test_jobs_are_accepted_one_by_one(world: World) -> None:
    good = JOBS[0] | {
        "job_id": "j3",
        "skills": ["care"],
        "remote": True,
        "wage": 1.5,
        "expires_at": "2027-01-01T00:00:00Z",
    }
    batch = [
        good,
        good,
        JOBS[0] | {"job_id": "j4", "occupation": "?"},
        JOBS[1] | {"account_id": "acme"},
        {"job_id": "j5"},
        JOBS[0] | {"job_id": "j 6"},
        JOBS[0] | {"job_id": "j7", "wage": "12"},
        17,
    ]
    answer = world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": batch})
    items = answer.json()["items"]
    assert [(item["job_id"], item["status"], item.get("code")) for item in items] == [
        ("j3", "accepted", None),
        ("j3", "rejected", "duplicate"),
        ("j4", "rejected", "refused"),
        ("j2", "rejected", "conflict"),
        ("j5", "rejected", "invalid"),
        ("j 6", "rejected", "invalid"),
        ("j7", "rejected", "invalid"),
        (None, "rejected", "invalid"),
    ]
    assert items[2]["detail"] == "unknown occupation ?"
    assert items[6]["detail"] == "wage: Input should be a valid number"
    assert world.call("platform", "GET", "/v1/jobs/j3").json() == good | {
        "occupation": None,
        "seniority": None,
        "posted_at": None,
    }
    assert_problem(world.call("platform", "GET", "/v1/jobs/j4"), 404)
    assert sorted(world.engine.jobs) == ["j1", "j2", "j3"]


def test_a_batch_has_a_limit(world: World) -> None:
    many = [{"job_id": f"x{n}"} for n in range(1_001)]
    assert_problem(world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": many}), 422)
    assert world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": []}).json() == {"items": []}


def test_a_deleted_job_is_neither_found_nor_promoted(world: World) -> None:
    campaign_id = world.activated()
    assert world.call("platform", "DELETE", "/v1/jobs/j1").status_code == 204
    assert_problem(world.call("owner", "GET", "/v1/jobs/j1"), 404)
    assert_problem(world.call("platform", "DELETE", "/v1/jobs/j1"), 404)
    assert "j1" not in world.engine.jobs
    assert world.engine.live == []
    blocked = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()["delivery"]
    assert (blocked["state"], blocked["reasons"][0]["code"]) == ("blocked", "job_deleted")
    world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
    assert len(world.engine.live) == 1


def test_an_expired_job_leaves_the_engine_on_time(world: World) -> None:
    world.activated()
    expiring = JOBS[0] | {"expires_at": "2026-03-01T13:00:00Z"}
    world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": [expiring]})
    for world.clock.instant, found in ((NOW, ["j1", "j2"]), (NOW + HOUR, ["j2"])):
        answer = world.call("platform", "POST", "/v1/recommendations", json={"k": 5}).json()
        assert [item["job_id"] for item in answer["items"]] == found
    assert world.engine.live == []
    assert "j1" not in world.engine.jobs
