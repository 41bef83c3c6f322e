"""Who may do what: every route for every role, on own, foreign and missing objects; unknown fields."""

from __future__ import annotations

import pytest

from targeting.http.gate import PUBLIC_PATHS
from targeting.storage.keys import ROLES
from tests.targeting.http.small_service import DRAFT, JOBS, World, assert_problem

# Who may do what: route, body, roles that may, status of success.
READERS = ("owner", "manager", "analyst", "platform", "auditor")
MANAGERS = ("owner", "manager")
LISTS = ("/v1/campaigns", "/v1/audit-log", "/v1/recommendations", "/v1/slates", "/v1/recommender/parameters")
LISTS += ("/v1/forecasts",)  # the job is in the body
MATRIX = [
    ("POST", "/v1/recommendations", {"k": 3}, ("platform",), 200),
    ("POST", "/v1/slates", {"slots": {"organic": 2, "promoted": 1}}, ("platform",), 200),
    ("POST", "/v1/events:batch", {"events": []}, ("platform",), 200),
    ("POST", "/v1/jobs:batch", {"jobs": JOBS}, ("platform",), 200),
    ("GET", "/v1/jobs/{job_id}", None, READERS, 200),
    ("POST", "/v1/campaigns", DRAFT, MANAGERS, 201),
    ("GET", "/v1/campaigns", None, READERS, 200),
    ("GET", "/v1/campaigns/{campaign_id}", None, READERS, 200),
    ("GET", "/v1/campaigns/{campaign_id}/audience", None, READERS, 200),
    ("PUT", "/v1/campaigns/{campaign_id}/links/{link_id}", {"action": "veto"}, MANAGERS, 200),
    ("GET", "/v1/explanations/{tracking_token}", None, READERS, 200),
    ("GET", "/v1/recommender/parameters", None, READERS, 200),
    ("GET", "/v1/campaigns/{campaign_id}/delivery", None, READERS, 200),
    ("POST", "/v1/forecasts", DRAFT, ("owner", "manager", "analyst"), 200),
    ("PATCH", "/v1/campaigns/{campaign_id}", {"name": "New"}, MANAGERS, 200),
    ("POST", "/v1/campaigns/{campaign_id}/{move}", None, MANAGERS, 200),
    ("GET", "/v1/audit-log", None, ("owner", "manager", "analyst", "auditor"), 200),
    ("POST", "/v1/seekers/{seeker_id}/erase", None, ("platform",), 202),
    ("GET", "/v1/operations/{operation_id}", None, ("platform", "auditor"), 200),
    ("GET", "/v1/artefacts", None, ("platform", "auditor"), 200),
    ("POST", "/v1/artefacts:reload", None, ("platform",), 202),
    ("DELETE", "/v1/jobs/{job_id}", None, ("platform",), 204),
]


def test_every_route_has_a_row_in_the_matrix_and_the_public_ones_are_known(world: World) -> None:
    document = world.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    public = {("GET", path) for path in ("/healthz", "/readyz", "/metrics")}
    in_matrix = {(method, path) for method, path, *_ in MATRIX}
    assert routes - public == in_matrix
    documentation = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}
    assert {path for _, path in public} | documentation == PUBLIC_PATHS
    for path in PUBLIC_PATHS:
        assert world.call("nobody", "GET", path).status_code == 200


@pytest.mark.parametrize("who", [*ROLES, "beta-owner", "nobody"])
def test_every_route_for_every_role_on_own_foreign_and_missing_objects(world: World, who: str) -> None:
    role = who.removeprefix("beta-")
    world.activated()
    [shown] = world.slate()
    operation_id = world.call("platform", "POST", "/v1/seekers/s9/erase").json()["operation_id"]
    for method, template, body, allowed, success in MATRIX:
        campaign_id = world.created()
        named = {"move": "activate", "link_id": "lnk_1", "seeker_id": "s1"}  # to erase a stranger is no mistake
        token, forged = shown["tracking_token"], shown["tracking_token"][:-1] + "-"
        own = template.format(
            job_id="j1", campaign_id=campaign_id, tracking_token=token, operation_id=operation_id, **named
        )
        missing = template.format(job_id="j9", campaign_id="cmp_9", tracking_token=forged, operation_id="op_9", **named)
        answer = world.call(who, method, own, json=body)
        if who == "nobody":
            assert_problem(answer, 401, "not_authorised")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        elif role not in allowed:
            assert_problem(answer, 403, "forbidden")
            assert_problem(world.call(who, method, missing, json=body), 403)
        elif who == "beta-owner" and template not in LISTS:
            told = assert_problem(answer, 404, "not_found")
            told_missing = assert_problem(world.call(who, method, missing, json=body), 404)
            assert told["detail"].replace("j1", "j9").replace(campaign_id, "cmp_9") == told_missing["detail"]
            assert told.keys() == told_missing.keys()
        elif who == "beta-owner":
            # Lists hold no foreign campaign, and a campaign can not be made for a foreign job.
            assert "acme" not in answer.text if method == "GET" else answer.status_code == 404
        else:
            assert answer.status_code == success, answer.text
            if missing != own:
                assert_problem(world.call(who, method, missing, json=body), 404, "not_found")


def test_a_foreign_cursor_shows_nothing_foreign(world: World) -> None:
    for _ in range(3):
        world.created()
    cursor = world.call("owner", "GET", "/v1/campaigns?limit=1").json()["next"]
    assert world.call("beta-owner", "GET", f"/v1/campaigns?after={cursor}").json() == {"items": [], "next": None}


@pytest.mark.parametrize("field", ["spent", "account_id", "status", "created_at", "version", "__proto__"])
def test_unknown_fields_are_refused_everywhere(world: World, field: str) -> None:
    campaign_id = world.created()
    bodies = [
        ("owner", "POST", "/v1/campaigns", DRAFT | {field: 1}, f"/{field}"),
        ("owner", "POST", "/v1/campaigns", DRAFT | {"budget": DRAFT["budget"] | {field: 1}}, f"/budget/{field}"),
        ("owner", "PATCH", f"/v1/campaigns/{campaign_id}", {field: None}, f"/{field}"),
        ("platform", "POST", "/v1/recommendations", {"k": 1, field: 1}, f"/{field}"),
        ("platform", "POST", "/v1/recommendations", {"seeker": {field: 1}}, f"/seeker/{field}"),
        ("platform", "POST", "/v1/slates", {"slots": {"organic": 1, "promoted": 1, field: 1}}, f"/slots/{field}"),
    ]
    if field != "account_id":
        bodies.append(("platform", "POST", "/v1/jobs:batch", {"jobs": [JOBS[0] | {field: 1}]}, f"/jobs/0/{field}"))
    for who, method, path, body, pointer in bodies:
        document = assert_problem(world.call(who, method, path, json=body), 422, "invalid_request")
        assert document["errors"][0]["pointer"] == pointer
    assert_problem(world.call("owner", "GET", f"/v1/campaigns?{field}=1"), 422)
