"""One line a request, and in no line, answer or metric what a person typed, is called or holds as a key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from tests.targeting.http.small_service import DRAFT, JOBS, World, assert_problem, click

CANARY = "canary-7f3a"


def lines_of(world: World, *calls: tuple[str, str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        for who, method, path, request in calls:
            world.call(who, method, path, **request)
    return [dict(line) for line in lines]


def test_a_request_is_one_line_with_the_template_of_its_route(world: World) -> None:
    campaign_id = world.created()
    [line] = lines_of(world, ("owner", "GET", f"/v1/campaigns/{campaign_id}", {}))
    assert line.pop("ms") >= 0
    assert line.pop("request_id").startswith("req_")
    assert line.pop("key_id").startswith("key_")
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/v1/campaigns/{campaign_id}",
        "status": 200,
    }


def test_what_no_route_takes_is_logged_without_its_path_and_probes_not_at_all(world: World) -> None:
    [missing, refused] = lines_of(
        world,
        ("owner", "GET", f"/v1/{CANARY}", {}),
        ("nobody", "GET", f"/v1/{CANARY}", {}),
        ("nobody", "GET", "/healthz", {}),
    )
    assert (missing["route"], missing["status"]) == ("other", 404)
    assert (refused["route"], refused["status"], refused["key_id"]) == ("other", 401, "none")


def test_nothing_a_person_typed_reaches_a_log_line_or_a_metric(world: World) -> None:
    item = (world.activated(), world.slate()[0])[1]
    job = JOBS[0] | {"job_id": CANARY, "title": CANARY, "description": CANARY}
    person = {"seeker_id": CANARY, "seeker": {"titles": [CANARY], "geo": CANARY}, "query": CANARY}
    slots = {"slots": {"organic": 1, "promoted": 1}}
    organic = {"event_id": CANARY, "type": "save", "occurred_at": "2026-03-01T12:00:00Z"}
    wrong = {"Authorization": f"Bearer {CANARY}"}
    calls: list[tuple[str, str, str, dict[str, Any]]] = [
        ("platform", "POST", "/v1/jobs:batch", {"json": {"jobs": [job, job | {"occupation": "?"}]}}),
        ("platform", "POST", "/v1/recommendations", {"json": person}),
        ("platform", "POST", "/v1/slates", {"json": person | slots}),
        ("platform", "POST", "/v1/slates", {"json": person | slots | {CANARY: 1}}),
        (
            "platform",
            "POST",
            "/v1/events:batch",
            {"json": {"events": [organic | {"seeker_id": CANARY, "job_id": "j1"}, click(f"c{CANARY}", item)]}},
        ),
        ("owner", "POST", "/v1/campaigns", {"json": DRAFT | {"name": CANARY}}),
        ("owner", "GET", f"/v1/campaigns/{CANARY}?{CANARY}={CANARY}", {}),
        ("owner", "GET", f"/v1/jobs/{CANARY}", {}),
        ("platform", "DELETE", f"/v1/jobs/{CANARY}", {}),
        ("nobody", "GET", "/v1/campaigns", {"headers": wrong}),
        ("owner", CANARY.upper(), "/v1/campaigns", {}),
    ]

    def broken(*_: Any) -> Any:
        raise RuntimeError(f"INSERT INTO seekers VALUES ('{CANARY}') in /srv/{CANARY}.py")

    lines = lines_of(world, *calls)
    world.engine.slate = world.engine.answer = world.engine.set_campaigns = broken  # type: ignore[method-assign]
    lines += lines_of(world, *calls[:4])
    assert [line["status"] for line in lines if line["event"] == "request"] == [
        *[200, 200, 200, 422, 200, 201, 404, 200, 204, 401, 405],
        *[200, 500, 200, 422],
    ]
    assert {line["event"] for line in lines} >= {"request", "failure"}
    for written in (*map(str, lines), world.client.get("/metrics").text):
        assert CANARY not in written.lower()
        assert not any(key in written for key in world.keys.values())


def test_a_failure_names_its_kind_and_its_line_and_nothing_else(world: World) -> None:
    world.engine.jobs["broken"] = None  # type: ignore[assignment]
    world.engine.scores["broken"] = CANARY  # type: ignore[assignment]
    lines = lines_of(world, ("platform", "POST", "/v1/recommendations", {"json": {"k": 5}}))
    [failed] = [line for line in lines if line["event"] == "failure"]
    assert failed["route"] == "/v1/recommendations"
    assert failed["where"].split(":")[0].startswith("targeting.http.")
    assert failed.keys() == {"event", "log_level", "request_id", "route", "error", "where"}


def test_an_error_of_the_database_shows_no_statement(world: World) -> None:
    with world.store.database.writing() as session:
        session.connection().exec_driver_sql("ALTER TABLE campaigns RENAME COLUMN name TO title")
    with capture_logs() as lines:
        answer = world.call("owner", "GET", "/v1/campaigns")
    assert_problem(answer, 500, "internal_error")
    for written in (answer.text, str(lines)):
        assert "SELECT" not in written
        assert "campaigns.name" not in written


def test_metrics_tell_of_events_slates_and_money(world: World) -> None:
    world.activated()
    item = world.slate()[0]
    world.send(click("e1", item), click("e2", {"tracking_token": "no token"}))
    world.slate(promoted=0, organic=1)
    world.engine.ads_fail = True
    world.slate(promoted=1, organic=1)
    text = world.client.get("/metrics").text
    for line in (
        'hiregraph_slates_total{kind="promoted"} 1.0',
        'hiregraph_slates_total{kind="organic"} 1.0',
        'hiregraph_slates_total{kind="fallback"} 1.0',
        'hiregraph_events_total{status="accepted"} 1.0',
        'hiregraph_events_total{status="rejected"} 1.0',
        'hiregraph_posted_micros_total{currency="EUR"} 1e+06',
        "hiregraph_engine_revision_lag 0.0",
        "hiregraph_requests_waiting 0.0",
    ):
        assert line in text


def test_every_metric_stands_in_the_manual(world: World) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    told = {line.split()[2] for line in world.client.get("/metrics").text.splitlines() if line.startswith("# TYPE")}
    assert told - {name for name in told if name.endswith("_created")} <= set(re.findall(r"`(hiregraph_\w+)`", manual))
