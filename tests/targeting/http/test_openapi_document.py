"""The service keeps what its OpenAPI document promises: requests made from the document, answers held against it.

No answer is a failure of ours, none has a status or a content type the document does not name, every body fits its
schema, and nothing closed answers without a key.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from starlette.testclient import TestClient

from market.clock import FixedClock
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.http.gate import PUBLIC_PATHS
from targeting.http.limits import LimitsConfig
from targeting.storage.database import Database
from targeting.storage.store import Store
from tests.targeting.http.small_service import DRAFT, JOBS, NOW, SECRET, SmallEngine, assert_problem
from tests.targeting.http.test_access import MATRIX

PATIENT = LimitsConfig(
    account_units_per_second=1e6, marketplace_units_per_second=1e6, failed_keys_per_minute=1_000_000, queue_seconds=30
)
PROMISES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
load_all_checks()
CALLERS = {(method, path): allowed[0] for method, path, _, allowed, _ in MATRIX}
IDS = {"campaign_id": "", "job_id": "j1", "link_id": "lnk_1", "seeker_id": "s1", "move": "activate"}
IDS |= {"operation_id": "op_1", "tracking_token": "t.t"}


class Site:
    """The app, its document as schemathesis reads it, and a key per role."""

    def __init__(self, path: Path, keys: dict[str, str]) -> None:
        store = Store(Database(f"sqlite:///{path}"))
        self.keys, self.engine = keys, SmallEngine()
        config = ServiceConfig(max_body_bytes=200_000, limits=PATIENT)
        self.app = create_app(store, self.engine, FixedClock(NOW), config, secret=SECRET)
        self.schema: Any = schemathesis.openapi.from_asgi("/openapi.json", self.app)
        client = TestClient(self.app)  # without its lifespan: schemathesis starts the app
        assert client.post("/v1/jobs:batch", json={"jobs": JOBS}, headers=self.key_of("platform")).status_code == 200
        made = client.post("/v1/campaigns", json=DRAFT, headers=self.key_of("owner"))
        self.ids = IDS | {"campaign_id": made.json()["campaign_id"]}

    def key_of(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[role]}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, blank: tuple[Path, dict[str, str]]) -> Site:
    path = tmp_path_factory.mktemp("site") / "site.sqlite"
    shutil.copy(blank[0], path)
    return Site(path, blank[1])


def broken_promises(site: Site, examples: int, path: str | None = None) -> list[str]:
    """One text per operation (of `path`, or any) that did something else than the document says."""
    found = []
    for each in site.schema.get_all_operations():
        if path not in (None, each.ok().path):
            continue
        try:
            keeps_its_promises(site, each.ok(), examples)
        except (FailureGroup, Failure) as broken:
            found.append(f"{each.ok().label}: {broken}")
    return found


def keeps_its_promises(site: Site, operation: Any, examples: int) -> None:
    checks = [CHECKS.get_one(name) for name in PROMISES]
    key = site.key_of(CALLERS.get((operation.method.upper(), operation.path), "owner"))
    valid, broken = (operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))

    @seed(20261121)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(valid, valid, broken), known=st.booleans())
    def calls(case: Any, known: bool) -> None:
        if known:
            case.path_parameters.update({name: site.ids[name] for name in case.path_parameters if name in site.ids})
        case.headers = {**(case.headers or {}), **key}
        case.call_and_validate(checks=checks)

    calls()


def test_answers_are_what_the_document_says(site: Site) -> None:
    found = broken_promises(site, examples=12)
    assert not found, "\n\n".join(found)


def test_a_broken_promise_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.engine, "answer", None)  # calling it is a failure of ours
    [found] = broken_promises(site, examples=5, path="/v1/recommendations")
    assert "Server error" in found


@pytest.mark.slow
def test_answers_are_what_the_document_says_for_long(site: Site) -> None:
    found = broken_promises(site, examples=1_000)
    assert not found, "\n\n".join(found)


WRONG = [None, "Bearer", "Bearer hg_" + "Z" * 43, "Basic b3duZXI6", "eyJhbGciOiJub25lIn0.e30.", "Bearer ☃"]


@pytest.mark.parametrize("authorization", WRONG)
def test_no_closed_route_answers_without_a_good_key(site: Site, authorization: str | None) -> None:
    client = TestClient(site.app)
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    for found in site.schema.get_all_operations():
        operation = found.ok()
        if operation.path not in PUBLIC_PATHS:
            path = operation.path.format_map(site.ids)
            answer = client.request(operation.method.upper(), path, headers=headers, json={})
            assert_problem(answer, 401)


def test_every_closed_route_documents_what_the_gate_may_answer(site: Site) -> None:
    document = TestClient(site.app).get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path not in PUBLIC_PATHS:
                assert {"401", "408", "413", "415", "422", "429", "431", "503"} <= operation["responses"].keys(), path
                assert operation["security"], path
