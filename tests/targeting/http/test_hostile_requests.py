"""Hostile texts, ids and bodies; failures say nothing about the inside."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

import pytest
from starlette.types import Message

from targeting.http.limits import LimitsConfig
from tests.targeting.http.small_service import DRAFT, JOBS, JSON, Opener, World, assert_problem

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


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "gzip, identity", "identity, gzip", ""])
def test_a_compressed_body_is_refused_before_it_is_opened(world: World, encoding: str) -> None:
    bomb = gzip.compress(b'{"k": 1' + b" " * 1_000_000 + b"}")
    headers = JSON | {"Content-Encoding": encoding}
    answer = world.call("platform", "POST", "/v1/recommendations", content=bomb, headers=headers)
    assert_problem(answer, 415, "unsupported_encoding")
    plain = JSON | {"Content-Encoding": "Identity"}
    assert world.call("platform", "POST", "/v1/recommendations", content=b"{}", headers=plain).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b'{"seeker":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"query": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"k": ' + b"9" * 1_000_000 + b"}",
        b'{"k": -' + b"9" * 1_000_000 + b"}",
        b'{"k": 1e' + b"9" * 1_000_000 + b"}",
        b'{"where": {"all_of": [' + b'["geo=1"],' * 9_999 + b'["geo=1"]]}}',
        b'{"query": "' + b"x" * 9_000_000 + b'"}',
    ],
    ids=["deep objects", "deep lists", "digits", "minus", "exponent", "filters", "long text"],
)
def test_giants_are_refused_for_little_time_and_memory(open_world: Opener, raw: bytes) -> None:
    with open_world(max_body_bytes=10_000_000) as world:
        send = partial(world.call, "platform", "POST", "/v1/recommendations", content=raw, headers=JSON)
        refused = send()
        assert_problem(refused, 422 if refused.status_code == 422 else 400)
        started = time.process_time()
        send()
        assert time.process_time() - started < 0.5
        tracemalloc.start()
        send()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < len(raw) * 3 + 16_000_000


def test_ten_thousand_headers_are_too_many(world: World) -> None:
    for path in ("/v1/campaigns", "/healthz"):
        many = {f"x-{number}": "y" for number in range(10_000)}
        assert_problem(world.call("owner", "GET", path, headers=many), 431, "too_many_headers")


def test_a_part_of_an_answer_can_not_be_asked_for(world: World) -> None:
    whole = world.call("owner", "GET", "/v1/campaigns")
    for wanted in ("bytes=0-0", "bytes=" + ",".join(f"{n}-{n}" for n in range(1_000)), "lines=1"):
        answer = world.call("owner", "GET", "/v1/campaigns", headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (200, whole.content)


def test_a_body_that_does_not_come_is_given_up(open_world: Opener) -> None:
    with open_world(limits=LimitsConfig(body_seconds=0.05)) as world:
        sent: list[Message] = []

        async def slow() -> Message:
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def hear(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/recommendations", "query_string": b"", "client": None}
        scope |= {"headers": [(b"authorization", f"Bearer {world.keys['platform']}".encode())]}
        asyncio.run(world.client.app(scope, slow, hear))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "body_too_slow"


@pytest.mark.parametrize(
    "host", ["x/../healthz", "x?/healthz", "testserver/healthz#", "a:b@c", "[::1", "\u2603".encode()]
)
def test_the_host_header_opens_nothing(world: World, host: str) -> None:
    headers = {"Host": host, "X-Forwarded-For": "127.0.0.1", "X-Original-URL": "/healthz", "X-Forwarded-Host": "y"}
    assert world.call("nobody", "GET", "/v1/campaigns", headers=headers).status_code in (400, 401)
    assert world.call("owner", "GET", "/v1/campaigns", headers=headers).status_code == 200


def test_a_forwarded_address_does_not_hide_who_guesses(world: World) -> None:
    def guess(number: int) -> int:
        headers = {"Authorization": f"Bearer hg_{number:043d}", "X-Forwarded-For": f"10.0.0.{number}"}
        return int(world.call("nobody", "GET", "/v1/campaigns", headers=headers).status_code)

    assert [guess(number) for number in range(12)] == [401] * 10 + [429] * 2


NORMAL_TWINS = ("e\u0301", "\u00e9", "K", "\u212a")


def test_ids_are_plain_so_that_no_two_look_alike(world: World) -> None:
    for twin in NORMAL_TWINS:
        job = JOBS[0] | {"job_id": twin, "account_id": twin}
        [told] = world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": [job]}).json()["items"]
        assert told["status"] == ("accepted" if twin.isascii() else "rejected")


SQL = ["' OR '1'='1", "j1' --", "%", "_", "j%", "*", "j1;DROP TABLE jobs", "geo=31080) OR (geo=1"]


@pytest.mark.parametrize("text", SQL)
def test_words_of_a_query_language_keep_no_meaning(world: World, text: str) -> None:
    campaign_id = world.created(name=text)
    assert world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()["name"] == text
    quoted = quote(text, safe="")
    assert world.call("owner", "GET", f"/v1/jobs/{quoted}").status_code in (404, 422)
    assert world.call("owner", "GET", f"/v1/campaigns?after={quoted}").status_code == 422
    assert world.call("owner", "GET", f"/v1/audit-log?after={quoted}").status_code == 422
    found = world.call("platform", "POST", "/v1/recommendations", json={"query": text, "k": 5})
    assert [item["job_id"] for item in found.json()["items"]] == ["j1", "j2"]
    assert world.call("owner", "GET", "/v1/jobs/j1").status_code == 200
