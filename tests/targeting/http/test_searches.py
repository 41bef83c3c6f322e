"""Recommendations and slates over HTTP, also when parts fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from market.records import Filters
from tests.targeting.http.small_service import HOUR, JOBS, JSON, World, assert_problem


def test_recommendations_hand_the_request_to_the_engine(world: World) -> None:
    seeker = {
        "titles": ["Nurse", "Carer"],
        "skills": ["care"],
        "geo": "31080",
        "activity": [{"job_id": "j2", "action": "save", "at": "2026-02-01T00:00:00Z"}],
    }
    where = {"all_of": [["geo=31080", "remote=yes"], ["title=15-1252"]], "none_of": ["company=acme"]}
    body = {"seeker_id": "s1", "seeker": seeker, "query": "night shifts", "k": 1, "where": where}
    answer = world.call("platform", "POST", "/v1/recommendations", json=body)
    assert answer.json() == {"items": [{"job_id": "j1", "score": 1.0, "reasons": ["near you"]}]}
    profile, query, filters, k = world.engine.asked[-1]
    assert (profile.seeker_id, profile.titles, profile.activity[0].action) == ("s1", ("Nurse", "Carer"), "save")
    assert (query, k) == ("night shifts", 1)
    assert filters == Filters((("geo=31080", "remote=yes"), ("title=15-1252",)), ("company=acme",))


def test_an_unknown_seeker_is_a_cold_start(world: World) -> None:
    answer = world.call("platform", "POST", "/v1/recommendations", json={"seeker_id": "never-seen", "k": 2})
    assert len(answer.json()["items"]) == 2


@pytest.mark.parametrize(
    "k", ["0", "-1", "1001", "1000000000", "9223372036854775808", '"1e3"', "1e3", "true", "null", "1.5"]
)
def test_k_is_a_whole_number_from_1_to_1000(world: World, k: str) -> None:
    asked = len(world.engine.asked)
    answer = world.call("platform", "POST", "/v1/recommendations", content=f'{{"k": {k}}}', headers=JSON)
    assert assert_problem(answer, 422)["errors"][0]["pointer"] == "/k"
    slots = f'{{"slots": {{"organic": {k if k != "0" else -1}, "promoted": 0}}}}'
    assert_problem(world.call("platform", "POST", "/v1/slates", content=slots, headers=JSON), 422)
    assert len(world.engine.asked) == asked


@pytest.mark.parametrize(
    "body",
    [
        {"where": {"all_of": [["geo"]]}},
        {"where": {"none_of": ["=x"]}},
        {"where": {"none_of": [f"a={n}" for n in range(10_000)]}},
        {"where": {"all_of": [["a=b"]] * 10_000}},
        {"query": "x" * 10_001},
        {"seeker": {"titles": ["x"] * 101}},
        {"seeker": {"titles": "Nurse"}},
        {"seeker": {"sex": "f"}},
        {"seeker": {"activity": [{"job_id": "j1", "action": "apply", "at": "yesterday"}]}},
        {"seeker_id": "../../etc"},
        [],
        None,
        "k",
    ],
)
def test_searches_out_of_bounds_are_refused(world: World, body: Any) -> None:
    assert_problem(world.call("platform", "POST", "/v1/recommendations", json=body), 422)


def test_a_slate_labels_what_is_sponsored(world: World) -> None:
    world.activated()
    items = world.call("platform", "POST", "/v1/slates", json={"slots": {"organic": 1, "promoted": 1}}).json()["items"]
    assert items == [
        {
            "job_id": "j1",
            "kind": "promoted",
            "position": 1,
            "score": 2.0,
            "reasons": ["ad"],
            "sponsored": True,
            "on_behalf_of": "acme",
            "tracking_token": items[0]["tracking_token"],
        },
        {"job_id": "j1", "kind": "organic", "position": 2, "score": 1.0, "reasons": ["near you"], "sponsored": False},
    ]


def test_organic_jobs_are_shown_when_ads_fail(world: World) -> None:
    world.activated()
    world.engine.ads_fail = world.engine.set_campaigns_fails = True
    world.clock.instant += 1_000 * HOUR  # the campaign is over, the engine can not be told
    answer = world.call("platform", "POST", "/v1/slates", json={"slots": {"organic": 2, "promoted": 1}})
    assert [(item["job_id"], item["kind"], item["position"]) for item in answer.json()["items"]] == [
        ("j1", "organic", 1),
        ("j2", "organic", 2),
    ]


def test_recommendations_go_on_without_the_database(world: World) -> None:
    world.call("platform", "POST", "/v1/recommendations", json={"k": 2})
    path = Path(str(world.store._database.path))
    world.store._database.engine.dispose()
    moved = path.rename(path.with_suffix(".gone"))
    path.mkdir()  # now nobody can open it
    assert len(world.call("platform", "POST", "/v1/recommendations", json={"k": 2}).json()["items"]) == 2
    assert_problem(world.call("nobody", "GET", "/readyz"), 503, "store_unavailable")
    refused = world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
    assert_problem(refused, 503, "store_unavailable")
    assert refused.headers["retry-after"] == "2"
    path.rmdir()
    moved.rename(path)
    assert world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS}).status_code == 200


def test_a_score_that_is_not_a_number_is_left_out(world: World) -> None:
    world.engine.scores = {"j1": float("nan")}
    for path, body in (("recommendations", {"k": 5}), ("slates", {"slots": {"organic": 5, "promoted": 0}})):
        answer = world.call("platform", "POST", f"/v1/{path}", json=body)
        assert [item["job_id"] for item in answer.json()["items"]] == ["j2"]


def test_without_artefacts_campaigns_work_and_searching_says_what_to_do(world: World) -> None:
    world.engine.missing = "no artefacts; run make demo first"
    assert "make demo" in assert_problem(world.call("nobody", "GET", "/readyz"), 503, "engine_not_ready")["detail"]
    delivery = world.call("owner", "GET", f"/v1/campaigns/{world.activated()}").json()["delivery"]
    assert delivery["state"] == "blocked"
    assert "make demo" in delivery["reasons"][0]["detail"]
    world.engine.missing = None
    assert world.call("nobody", "GET", "/readyz").json() == {"status": "ready"}
