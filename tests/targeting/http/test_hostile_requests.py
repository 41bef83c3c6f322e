"""Hostile texts, ids and bodies; failures say nothing about the inside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.targeting.http.small_service import DRAFT, JOBS, JSON, World, assert_problem

HOSTILE = [
    "a\x00b",
    "\ud800",
    "x" * 60_000,
    "‮⁦ evil",
    "' OR 1=1 --",
    "<script>",
    "e\u0301 é",
    "🩺" * 100,
    "a\r\nb",
    "__proto__",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_or_comes_back_as_it_was(world: World, hostile: str) -> None:
    job = JOBS[0] | {"job_id": "h1", "title": hostile, "description": hostile}
    sent = {
        "/v1/jobs:batch": ("platform", {"jobs": [job]}),
        "/v1/campaigns": ("owner", DRAFT | {"name": hostile}),
        "/v1/recommendations": ("platform", {"query": hostile, "seeker": {"titles": [hostile]}}),
    }
    answers = {
        path: world.call(who, "POST", path, content=json.dumps(body), headers=JSON)
        for path, (who, body) in sent.items()
    }
    assert all(answer.status_code in (200, 201, 422) for answer in answers.values())
    if answers["/v1/campaigns"].status_code == 201:
        assert answers["/v1/campaigns"].json()["name"] == hostile
        assert world.call("owner", "GET", "/v1/jobs/h1").json()["title"] == hostile
    else:
        assert answers["/v1/jobs:batch"].json()["items"][0]["status"] == "rejected"
    named = world.call("owner", "POST", "/v1/campaigns", content=json.dumps({hostile: 1}), headers=JSON)
    assert len(assert_problem(named, 422)["detail"]) < 500


@pytest.mark.parametrize(
    "path", ["/v1/jobs/%00", "/v1/jobs/%E2%80%AE", "/v1/campaigns/" + "x" * 5_000, "/v1/jobs/a%0d%0ab"]
)
def test_hostile_ids_in_a_path_are_refused(world: World, path: str) -> None:
    assert_problem(world.call("owner", "GET", path), 422)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 20_000, b"null", b'{"k":' + b"9" * 100_000 + b"}", b'{"k": 1'],
    ids=range(8),
)
def test_bodies_that_are_no_json_are_refused(world: World, raw: bytes) -> None:
    answer = world.call("platform", "POST", "/v1/recommendations", content=raw, headers=JSON)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code)


def test_a_body_over_the_limit_is_413_however_it_comes(world: World) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(21):
            yield b" " * 10_000

    for content in (b" " * 200_001, chunks()):
        answer = world.call("platform", "POST", "/v1/recommendations", content=content, headers=JSON)
        assert_problem(answer, 413, "body_too_large")
    lying = JSON | {"Content-Length": "9" * 30}
    assert_problem(world.call("platform", "POST", "/v1/recommendations", content=b"{}", headers=lying), 413)
    padded = b'{"k": 1}' + b" " * (200_000 - 8)
    assert world.call("platform", "POST", "/v1/recommendations", content=padded, headers=JSON).status_code == 200


def test_nobody_is_refused_before_the_body_is_read(world: World) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    assert_problem(world.client.post("/v1/recommendations", content=never(), headers=JSON), 401)


def test_what_is_not_there_is_a_problem_document_too(world: World) -> None:
    assert_problem(world.call("owner", "GET", "/v1/nothing"), 404, "no_such_route")
    assert_problem(world.call("owner", "PUT", "/v1/campaigns"), 405, "method_not_allowed")
    assert_problem(world.call("nobody", "GET", "/v1/nothing"), 401)
    assert_problem(world.call("nobody", "GET", "/"), 401)


def test_a_failure_of_ours_tells_nothing_but_its_id(world: World) -> None:
    world.engine.jobs["broken"] = None  # type: ignore[assignment]
    world.engine.scores["broken"] = "secret"  # type: ignore[assignment]
    answer = world.call("platform", "POST", "/v1/recommendations", json={"k": 5})
    document = assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert document["request_id"].startswith("req_")
