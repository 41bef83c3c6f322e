import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from market.clock import FixedClock, account_day
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.question import Answer, Question
from targeting.api import create_app
from targeting.campaigns import Campaign
from targeting.database import Database
from targeting.engine import Audience, AudienceLink, AudienceSegment, SlateItem
from targeting.gate import PUBLIC_PATHS
from targeting.journal import Journal
from targeting.keys import ROLES, make_key
from targeting.migrations import upgrade
from targeting.store import Store
from targeting.tokens import Token, sign, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = b"a secret of thirty-two bytes ...."
JSON = {"Content-Type": "application/json"}


class SmallEngine:
    """Ranks jobs by id and shows the live campaigns; it breaks, lacks or refuses what its attributes say."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.live: list[Campaign] = []
        self.asked: list[tuple[SeekerProfile, str | None, Filters, int]] = []
        self.missing: str | None = None
        self.ads_fail = self.set_campaigns_fails = False
        self.scores: dict[str, float] = {}
        self.price_micros, self.p_click, self.served = 1_000_000, 0.05, 0
        self.now: Callable[[], datetime] = lambda: NOW
        self.unsigned = False

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        refused = [f"unknown occupation {job.occupation}" if job.occupation == "?" else None for job in jobs]
        self.jobs |= {job.job_id: job for job, why in zip(jobs, refused, strict=True) if why is None}
        return refused

    def delete_job(self, job_id: str) -> bool:
        return self.jobs.pop(job_id, None) is not None

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        if self.set_campaigns_fails:
            raise RuntimeError("out of memory")
        self.live = list(live)

    def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
        self.asked.append((seeker, query, filters, k))
        return [Recommendation(job_id, self.scores.get(job_id, 1.0), ("near you",)) for job_id in sorted(self.jobs)][:k]

    def answer(self, question: Question) -> Answer:
        return Answer(tuple(self.recommend(question.seeker, question.query, question.filters, question.k)))

    def slate(
        self, seeker: SeekerProfile, query: str | None, filters: Filters, organic: int, promoted: int
    ) -> list[SlateItem]:
        if self.ads_fail:
            raise RuntimeError("no plan")
        ads = [self._ad(each, at) for at, each in enumerate(self.live[:promoted], start=1)]
        found = self.recommend(seeker, query, filters, organic)
        return ads + [
            SlateItem(job.job_id, "organic", at, job.score, job.reasons, False)
            for at, job in enumerate(found, start=len(ads) + 1)
        ]

    def _ad(self, campaign: Campaign, at: int) -> SlateItem:
        self.served += 1
        start = int(self.now().timestamp())
        offer = Token(
            campaign_id=campaign.campaign_id,
            job_id=campaign.job_id,
            price_micros=self.price_micros,
            currency=campaign.currency,
            position=at,
            day=account_day(self.now(), campaign.time_zone).isoformat(),
            model="small",
            p_click=self.p_click,
            issued_at=start,
            expires_at=start + 1800,
            nonce=f"n{self.served}",
        )
        if self.unsigned:
            return SlateItem(campaign.job_id, "promoted", at, 2.0, ("ad",), True, campaign.account_id)
        given = campaign.job_id, "promoted", at, 2.0, ("ad",), True, campaign.account_id
        return SlateItem(*given, sign(offer, SECRET), campaign.campaign_id, offer)

    def audience(self, campaign: Campaign, job: Job) -> Audience:
        few = AudienceSegment("cooks", 0.2, 3, 299)
        link = AudienceLink("lnk_1", "nurse", "carer", 0.7, 40, 60)
        return Audience(1_234, (AudienceSegment("nurses", 0.5, 40, 900), few), (link,))

    def ready(self) -> str | None:
        return self.missing


JOBS = [
    {"job_id": "j1", "account_id": "acme", "title": "Nurse", "company": "Acme", "description": "Care", "geo": "31080"},
    {"job_id": "j2", "account_id": "beta", "title": "Cook", "company": "Beta", "description": "Food", "geo": "31080"},
]
DRAFT: dict[str, Any] = {
    "job_id": "j1",
    "name": "Nurses",
    "budget": {
        "total": {"amount_micros": 100_000_000, "currency": "EUR"},
        "daily": {"amount_micros": 10_000_000, "currency": "EUR"},
    },
    "bid": {"mode": "auto"},
    "objective": "qualified_applications",
    "starts_at": "2026-03-01T13:00:00+01:00",
    "ends_at": "2026-04-01T00:00:00+02:00",
    "time_zone": "Europe/Berlin",
    "pacing": "even",
}


@dataclass
class World:
    """The API with a key per role of acme (`owner`, …) and of beta (`beta-owner`); nobody has no key."""

    client: TestClient
    engine: SmallEngine
    clock: FixedClock
    store: Store
    keys: dict[str, str]

    def call(self, who: str, method: str, path: str, **request: Any) -> Any:
        headers = {**request.pop("headers", {})}
        if who != "nobody":
            headers["Authorization"] = f"Bearer {self.keys[who]}"
        return self.client.request(method, path, headers=headers, **request)

    def created(self, who: str = "owner", **changes: Any) -> str:
        answer = self.call(who, "POST", "/v1/campaigns", json=DRAFT | changes)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["campaign_id"]
        return found

    def slate(self, promoted: int = 1, organic: int = 0, seeker_id: str | None = None) -> list[dict[str, Any]]:
        body = {"seeker_id": seeker_id, "slots": {"organic": organic, "promoted": promoted}}
        answer = self.call("platform", "POST", "/v1/slates", json=body)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def send(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.call("platform", "POST", "/v1/events:batch", json={"events": events})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def activated(self, **changes: Any) -> str:
        campaign_id = self.created(**changes)
        assert self.call("owner", "POST", f"/v1/campaigns/{campaign_id}/activate").status_code == 200
        return campaign_id


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A migrated database with keys, and the keys."""
    path = tmp_path_factory.mktemp("blank") / "blank.sqlite"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    keys, store = {}, Store(database)
    for number, (account, role) in enumerate([("acme", role) for role in ROLES] + [("beta", "owner")]):
        key, record = make_key(account, role, NOW, bytes([number]) * 32)
        store.add_key(record)
        keys[role if account == "acme" else f"{account}-{role}"] = key
    store.close()
    return path, keys


Opener = Callable[[], Any]


@pytest.fixture
def open_world(tmp_path: Path, blank: tuple[Path, dict[str, str]]) -> Opener:
    """Starts the API on this test's database, with a new engine each time."""
    path = tmp_path / "hiregraph.sqlite"
    shutil.copy(blank[0], path)

    @contextmanager
    def opened() -> Iterator[World]:
        engine, clock, store = SmallEngine(), FixedClock(NOW), Store(Database(f"sqlite:///{path}"))
        engine.now = clock.now
        app = create_app(store, engine, clock, max_body_bytes=200_000, secret=SECRET)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield World(client, engine, clock, store, blank[1])

    return opened


@pytest.fixture
def world(open_world: Opener) -> Iterator[World]:
    with open_world() as opened:
        assert opened.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS}).status_code == 200
        yield opened


def assert_problem(answer: Any, status: int, code: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert "sqlite" not in answer.text.lower()
    if code is not None:
        assert document["code"] == code
    return document


# Who may do what: route, body, roles that may, status of success.
READERS = ("owner", "manager", "analyst", "platform", "auditor")
MANAGERS = ("owner", "manager")
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
    ("PATCH", "/v1/campaigns/{campaign_id}", {"name": "New"}, MANAGERS, 200),
    ("POST", "/v1/campaigns/{campaign_id}/{move}", None, MANAGERS, 200),
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
    for method, template, body, allowed, success in MATRIX:
        campaign_id = world.created()
        own = template.format(job_id="j1", campaign_id=campaign_id, move="activate")
        missing = template.format(job_id="j9", campaign_id="cmp_9", move="activate")
        answer = world.call(who, method, own, json=body)
        if who == "nobody":
            assert_problem(answer, 401, "not_authorised")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        elif role not in allowed:
            assert_problem(answer, 403, "forbidden")
            assert_problem(world.call(who, method, missing, json=body), 403)
        elif who == "beta-owner" and template not in ("/v1/campaigns", "/v1/recommendations", "/v1/slates"):
            told = assert_problem(answer, 404, "not_found")
            told_missing = assert_problem(world.call(who, method, missing, json=body), 404)
            assert told["detail"].replace("j1", "j9").replace(campaign_id, "cmp_9") == told_missing["detail"]
            assert told.keys() == told_missing.keys()
        elif who == "beta-owner":
            # Lists hold no foreign campaign, and a campaign can not be made for a foreign job.
            assert answer.json()["items"] == [] if method == "GET" else answer.status_code == 404
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


def test_a_campaign_starts_as_a_draft_and_says_so(world: World) -> None:
    answer = world.call("owner", "POST", "/v1/campaigns", json=DRAFT)
    body = answer.json()
    assert body["status"] == "draft"
    assert body["delivery"] == {
        "state": "not_started",
        "reasons": [{"code": "draft", "detail": "The campaign is a draft; activate it to start."}],
    }
    assert body["account_id"] == "acme"
    assert body["starts_at"] == "2026-03-01T12:00:00Z"
    assert body["budget"] == DRAFT["budget"]
    assert body["bid"] == {"mode": "auto", "max_cpc": None}
    assert answer.headers["location"] == f"/v1/campaigns/{body['campaign_id']}"
    read = world.call("analyst", "GET", answer.headers["location"])
    assert read.json() == body
    assert read.headers["etag"] == answer.headers["etag"] == '"1-draft"'


@pytest.mark.parametrize("job_id", ["j9", "j2"])
def test_a_campaign_needs_a_job_of_its_account(world: World, job_id: str) -> None:
    answer = world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"job_id": job_id})
    assert job_id in assert_problem(answer, 404, "not_found")["detail"]


def euros(amount: Any) -> dict[str, Any]:
    return {"amount_micros": amount, "currency": "EUR"}


@pytest.mark.parametrize(
    ("total", "pointer"),
    [
        (euros(-5), "/budget/total"),
        (euros(0), "/budget/total"),
        (euros(10**18 + 1), "/budget/total"),
        (euros(2**63), "/budget/total"),
        (euros(10**300), "/budget/total"),
        (euros(0.1), "/budget/total/amount_micros"),
        (euros(5.0), "/budget/total/amount_micros"),
        (euros(True), "/budget/total/amount_micros"),
        (euros("5"), "/budget/total/amount_micros"),
        (euros("१२"), "/budget/total/amount_micros"),
        (euros(None), "/budget/total"),
        ({"amount_micros": 5}, "/budget/total/currency"),
        ({"amount_micros": 5, "currency": "eur"}, "/budget/total/currency"),
        ({"amount_micros": 5, "currency": "EURO"}, "/budget/total/currency"),
        ({"amount_micros": 10**10, "currency": "USD"}, "/budget/daily"),
        ({"amount_micros": 5, "minor": 5, "currency": "EUR"}, "/budget/total"),
        (5, "/budget/total"),
    ],
)
def test_bad_money_is_refused_at_its_field(world: World, total: Any, pointer: str) -> None:
    budget = DRAFT["budget"] | {"total": total}
    document = assert_problem(world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"budget": budget}), 422)
    assert document["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" * 5000])
def test_numbers_that_are_none_are_refused(world: World, number: str) -> None:
    raw = json.dumps(DRAFT).replace("100000000", number)
    answer = world.call("owner", "POST", "/v1/campaigns", content=raw, headers=JSON)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code)


def test_minor_units_are_converted_exactly(world: World) -> None:
    campaign_id = world.created(budget={"total": {"minor": 12_345, "currency": "EUR"}})
    budget = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}").json()["budget"]
    assert budget == {"total": euros(123_450_000), "daily": None}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"starts_at": "2026-03-01"}, "/starts_at"),
        ({"starts_at": "2026-03-01T12:00:00"}, "/starts_at"),
        ({"starts_at": 1_772_000_000}, "/starts_at"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "/starts_at"),
        ({"ends_at": "2026-02-01T00:00:00Z"}, "/ends_at"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"bid": {"mode": "manual"}}, "/bid/max_cpc"),
        ({"pacing": "front_loaded"}, "/pacing"),
        ({"objective": "fame"}, "/objective"),
        ({"job_id": "a b"}, "/job_id"),
        ({"job_id": "x" * 129}, "/job_id"),
        ({"name": ""}, "/name"),
    ],
)
def test_bad_fields_are_refused_at_their_place(world: World, changes: dict[str, Any], pointer: str) -> None:
    document = assert_problem(world.call("owner", "POST", "/v1/campaigns", json=DRAFT | changes), 422)
    assert document["errors"][0]["pointer"] == pointer


def test_moves_follow_the_state_machine_and_reach_the_engine(world: World) -> None:
    campaign_id = world.activated()
    assert [each.campaign_id for each in world.engine.live] == [campaign_id]
    path = f"/v1/campaigns/{campaign_id}"
    assert "pause, cancel" in assert_problem(world.call("owner", "POST", f"{path}/resume"), 409, "conflict")["detail"]
    for move, status, live in (("pause", "paused", 0), ("resume", "active", 1), ("cancel", "cancelled", 0)):
        assert world.call("manager", "POST", f"{path}/{move}").json()["status"] == status
        assert len(world.engine.live) == live
    assert_problem(world.call("owner", "POST", f"{path}/activate"), 409)
    assert_problem(world.call("owner", "POST", f"{path}/archive"), 422)


def test_the_clock_starts_and_ends_campaigns(world: World) -> None:
    campaign_id = world.activated(starts_at="2026-03-01T14:00:00Z", ends_at="2026-03-01T15:00:00Z")
    statuses, shown = [], []
    for world.clock.instant in (NOW, NOW + 2 * HOUR, NOW + 3 * HOUR):
        found = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
        statuses.append((found.json()["status"], found.headers["etag"]))
        slate = world.call("platform", "POST", "/v1/slates", json={"slots": {"organic": 0, "promoted": 5}}).json()
        shown.append(len(slate["items"]))
    assert statuses == [("scheduled", '"2-scheduled"'), ("active", '"2-active"'), ("completed", '"2-completed"')]
    assert shown == [0, 1, 0]


def test_a_patch_changes_what_it_names(world: World) -> None:
    path = f"/v1/campaigns/{world.created()}"
    patch = {"name": "Carers", "ends_at": None, "budget": {"daily": None}, "bid": {"max_cpc": euros(5)}}
    answer = world.call("owner", "PATCH", path, json=patch, headers={"If-Match": '"1-draft"'})
    body = answer.json()
    assert (body["name"], body["ends_at"], body["version"]) == ("Carers", None, 2)
    assert body["budget"] == {"total": euros(100_000_000), "daily": None}
    assert body["bid"] == {"mode": "auto", "max_cpc": euros(5)}
    assert body["pacing"] == "even"
    assert world.call("owner", "GET", path).json() == body


def test_a_patch_of_a_version_that_is_gone_is_412(world: World) -> None:
    path = f"/v1/campaigns/{world.created()}"
    world.call("owner", "PATCH", path, json={"name": "First"})
    answer = world.call("manager", "PATCH", path, json={"name": "Second"}, headers={"If-Match": '"1-draft"'})
    assert_problem(answer, 412, "precondition_failed")
    assert_problem(world.call("owner", "POST", f"{path}/activate", headers={"If-Match": '"1-draft"'}), 412)
    assert world.call("owner", "GET", path).json()["name"] == "First"
    for good, version in (('"1-draft", "2-draft"', 3), ("*", 4)):
        answer = world.call("owner", "PATCH", path, json={}, headers={"If-Match": good})
        assert answer.json()["version"] == version


@pytest.mark.parametrize(
    "patch", [{"name": None}, {"budget": None}, {"budget": {"total": euros(-1)}}, {"job_id": "j2"}]
)
def test_a_patch_obeys_the_rules_of_a_campaign(world: World, patch: dict[str, Any]) -> None:
    path = f"/v1/campaigns/{world.created()}"
    before = world.call("owner", "GET", path).json()
    assert_problem(world.call("owner", "PATCH", path, json=patch), 422)
    assert world.call("owner", "GET", path).json() == before


def test_a_lowered_budget_and_a_change_to_a_running_campaign_reach_the_engine(world: World) -> None:
    path = f"/v1/campaigns/{world.activated()}"
    world.call("owner", "PATCH", path, json={"budget": {"daily": euros(1)}})
    assert [each.budget.daily and each.budget.daily.amount_micros for each in world.engine.live] == [1]
    assert_problem(world.call("owner", "PATCH", path, json={"time_zone": "UTC"}), 409, "conflict")


def test_the_same_request_with_the_same_key_is_answered_the_same(world: World) -> None:
    once = {"Idempotency-Key": "0d9f"}
    first = world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once)
    again = world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once)
    assert (again.status_code, again.content, again.headers["etag"]) == (201, first.content, first.headers["etag"])
    assert len(world.call("owner", "GET", "/v1/campaigns").json()["items"]) == 1
    other = world.call("owner", "POST", "/v1/campaigns", json=DRAFT | {"name": "Other"}, headers=once)
    assert_problem(other, 422, "idempotency_mismatch")
    activate = f"/v1/campaigns/{first.json()['campaign_id']}/activate"
    moved = [world.call("owner", "POST", activate, headers={"Idempotency-Key": "0d9e"}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["version"]) for answer in moved] == [(200, 2), (200, 2)]


def test_an_idempotency_key_is_the_callers_own_and_lasts_a_day(world: World) -> None:
    once = {"Idempotency-Key": "0d9f"}
    ids = [world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"]]
    ids.append(world.call("manager", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"])
    world.clock.instant += 24 * HOUR
    ids.append(world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers=once).json()["campaign_id"])
    assert len(set(ids)) == 3
    assert_problem(
        world.call("owner", "POST", "/v1/campaigns", json=DRAFT, headers={"Idempotency-Key": "x" * 256}), 422
    )


def test_pages_lead_through_all_campaigns(world: World) -> None:
    made = [world.created() for _ in range(5)]
    found, after = [], ""
    for _ in range(3):
        page = world.call("analyst", "GET", f"/v1/campaigns?limit=2{after}").json()
        found += [item["campaign_id"] for item in page["items"]]
        after = f"&after={page['next']}"
    assert found == sorted(made)
    assert page["next"] is None
    for bad in ("limit=0", "limit=501", "limit=x", "after=%00", "after=***", "after=" + "A" * 300):
        assert_problem(world.call("owner", "GET", f"/v1/campaigns?{bad}"), 422)


def test_an_audience_never_shows_a_number_below_the_floor(world: World) -> None:
    answer = world.call("analyst", "GET", f"/v1/campaigns/{world.created()}/audience").json()
    assert (answer["reach"], answer["reach_floor"]) == (1_234, 300)
    assert [(segment["attributes"], segment["reach"]) for segment in answer["segments"]] == [
        ("nurses", 900),
        ("cooks", None),
    ]
    assert answer["links"] == [
        {"link_id": "lnk_1", "seeker": "nurse", "job": "carer", "weight": 0.7, "hires": 40, "no_hires": 60}
    ]


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


def test_everything_is_there_after_a_restart(open_world: Opener) -> None:
    with open_world() as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        world.call("platform", "DELETE", "/v1/jobs/j2")
        campaign_id = world.activated()
        before = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
    with open_world() as world:
        assert sorted(world.engine.jobs) == ["j1"]
        assert [each.campaign_id for each in world.engine.live] == [campaign_id]
        after = world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])


def test_what_one_process_writes_the_next_search_of_another_finds(open_world: Opener) -> None:
    with open_world() as first, open_world() as second:
        first.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        first.activated()
        slate = {"slots": {"organic": 5, "promoted": 5}}
        found = second.call("platform", "POST", "/v1/slates", json=slate).json()["items"]
        assert [(item["job_id"], item["kind"]) for item in found] == [
            ("j1", "promoted"),
            ("j1", "organic"),
            ("j2", "organic"),
        ]
        second.call("platform", "DELETE", "/v1/jobs/j1")
        found = first.call("platform", "POST", "/v1/slates", json=slate).json()["items"]
        assert [item["job_id"] for item in found] == ["j2"]


def test_a_search_does_not_wait_for_a_long_batch(world: World) -> None:
    world.store.put_jobs([Job("j3", "acme", "Nurse", "Acme", "Care", "31080")])  # by another process
    with world.client.app.state.services.mirror._lock:  # type: ignore[attr-defined]
        found = world.call("platform", "POST", "/v1/recommendations", json={"k": 5}).json()["items"]
    assert [item["job_id"] for item in found] == ["j1", "j2"]
    found = world.call("platform", "POST", "/v1/recommendations", json={"k": 5}).json()["items"]
    assert [item["job_id"] for item in found] == ["j1", "j2", "j3"]


def test_a_batch_that_could_not_be_stored_leaves_the_engine_as_it_was(world: World) -> None:
    before = dict(world.engine.jobs)
    with world.store._database.write_lock():  # another writer that does not let go
        world.store._database._lock._timeout_seconds = 0.05  # type: ignore[union-attr]
        changed = [JOBS[0] | {"title": "Other"}, JOBS[0] | {"job_id": "j3"}]
        assert_problem(world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": changed}), 503)
    assert world.engine.jobs == before


def test_metrics_count_by_route_and_name_nobody(world: World) -> None:
    campaign_id = world.created()
    world.call("owner", "GET", f"/v1/campaigns/{campaign_id}")
    world.call("owner", "GET", "/v1/secret-path")
    text = world.client.get("/metrics").text
    assert 'hiregraph_requests_total{method="GET",route="/v1/campaigns/{campaign_id}",status="200"} 1.0' in text
    assert 'route="other",status="404"' in text
    assert campaign_id not in text
    assert "secret-path" not in text


def test_keys_never_show_up_in_answers_or_reprs(world: World) -> None:
    for who in ("owner", "platform"):
        assert world.keys[who] not in world.call(who, "GET", "/v1/campaigns").text
        assert world.keys[who] not in world.call(who, "GET", "/v1/nothing").text
    assert world.keys["owner"] not in repr(world.client.app.state.services)  # type: ignore[attr-defined]


def test_docs_can_be_turned_off(open_world: Opener, tmp_path: Path, blank: tuple[Path, dict[str, str]]) -> None:
    shutil.copy(blank[0], tmp_path / "other.sqlite")
    store = Store(Database(f"sqlite:///{tmp_path}/other.sqlite"))
    with TestClient(create_app(store, SmallEngine(), FixedClock(NOW), docs=False)) as client:
        assert_problem(client.get("/docs"), 404)


# Money: slates reserve, events bill


def click(event_id: str, item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    event = {"event_id": event_id, "type": "click", "occurred_at": "2026-03-01T12:00:00Z"}
    return event | {"tracking_token": item["tracking_token"]} | changes


def euros(amount_micros: int) -> dict[str, Any]:
    return {"amount_micros": amount_micros, "currency": "EUR"}


def test_a_click_on_a_promoted_item_is_billed_its_price_once(world: World) -> None:
    world.activated()
    [item] = world.slate()
    sent = click("e1", item), click("e2", item), click("e1", item), click("e1", item, position=2)
    assert world.send(*sent) == [
        {"event_id": "e1", "status": "accepted", "billed": euros(1_000_000)},
        {"event_id": "e2", "status": "accepted", "code": "repeated_click", "billed": euros(0)},
        {"event_id": "e1", "status": "duplicate"},
        {"event_id": "e1", "status": "conflict"},
    ]
    assert world.send(sent[0]) == [{"event_id": "e1", "status": "duplicate", "billed": euros(1_000_000)}]


def test_a_click_is_there_after_a_restart_and_not_billed_again(open_world: Opener) -> None:
    with open_world() as world:
        world.call("platform", "POST", "/v1/jobs:batch", json={"jobs": JOBS})
        campaign_id = world.activated()
        [item] = world.slate()
        world.send(click("e1", item))
    with open_world() as world:
        assert world.send(click("e1", item))[0]["status"] == "duplicate"
        assert Journal(world.store.database).totals(campaign_id).posted == 1_000_000


def test_events_of_organic_items_and_hires_are_taken_and_cost_nothing(world: World) -> None:
    at = {"occurred_at": "2026-03-01T11:59:00Z", "seeker_id": "s1", "job_id": "j2"}
    kinds = "impression", "click", "apply_start", "apply_complete", "dismiss", "save", "hire"
    events = [{"event_id": f"e{number}", "type": kind, **at} for number, kind in enumerate(kinds)]
    assert world.send(*events) == [{"event_id": f"e{number}", "status": "accepted"} for number in range(7)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "conversion"},
        {"occurred_at": "yesterday"},
        {"occurred_at": 1_772_366_400},
        {"event_id": "e 1"},
        {"tracking_token": None},
        {"tracking_token": None, "seeker_id": "s1"},
        {"type": "hire", "seeker_id": "s1"},
        {"position": 0},
        {"position": True},
        {"position": 2**63},
        {"reason": "\x00"},
    ],
)
def test_a_malformed_event_is_rejected_and_does_not_hold_up_the_others(world: World, wrong: dict[str, Any]) -> None:
    world.activated()
    [item] = world.slate()
    bad, good = world.send(click("e1", item) | wrong, click("e2", item))
    assert (bad["status"], bad["code"]) == ("rejected", "invalid")
    assert bad["detail"]
    assert good == {"event_id": "e2", "status": "accepted", "billed": euros(1_000_000)}


@pytest.mark.parametrize("field", ["price_micros", "billed", "campaign_id", "currency"])
def test_an_event_can_not_bring_its_own_price(world: World, field: str) -> None:
    world.activated()
    [item] = world.slate()
    body = {"events": [click("e1", item, **{field: 1})]}
    assert_problem(world.call("platform", "POST", "/v1/events:batch", json=body), 422)


def test_a_batch_has_at_most_1000_events(world: World) -> None:
    body = {"events": [{}] * 1_001}
    assert_problem(world.call("platform", "POST", "/v1/events:batch", json=body), 422)


def test_a_tampered_token_is_rejected(world: World) -> None:
    world.activated()
    [item] = world.slate()
    wrong = item["tracking_token"][:-2] + "AA"
    assert world.send(click("e1", item, tracking_token=wrong)) == [
        {"event_id": "e1", "status": "rejected", "code": "bad_token"}
    ]


def test_a_spent_campaign_leaves_its_slot_to_the_next_one_at_once(world: World) -> None:
    daily = {"budget": {"total": euros(3_000_000), "daily": euros(2_000_000)}, "time_zone": "UTC"}
    spent = world.activated(**daily)
    assert [click_billed(world, f"e{number}") for number in range(2)] == [1_000_000] * 2
    shown = world.call("owner", "GET", f"/v1/campaigns/{spent}").json()["delivery"]
    assert (shown["state"], shown["reasons"][0]["code"]) == ("blocked", "budget_used_up")
    other = world.activated()
    [item] = world.slate(promoted=1)
    assert campaign_of_token(item) == other
    assert campaign_of_token(world.slate(promoted=2)[0]) == other
    world.clock.advance(12 * HOUR)  # a new day in the campaign's zone
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {spent, other}
    item = next(item for item in world.slate(promoted=2) if campaign_of_token(item) == spent)
    world.send(click("e9", item, occurred_at="2026-03-02T00:00:00Z"))
    world.clock.advance(HOUR)
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {other}  # the total is spent
    path = f"/v1/campaigns/{spent}"
    world.call("owner", "PATCH", path, json={"budget": {"total": euros(9_000_000)}})
    assert {campaign_of_token(item) for item in world.slate(promoted=2)} == {spent, other}


def click_billed(world: World, event_id: str) -> int:
    [item] = world.slate()
    billed: int = world.send(click(event_id, item))[0]["billed"]["amount_micros"]
    return billed


def campaign_of_token(item: dict[str, Any]) -> str:
    return verify(item["tracking_token"], SECRET).campaign_id


def test_a_slot_stays_empty_rather_than_unbudgeted(world: World) -> None:
    world.activated(budget={"total": euros(1_500_000)})
    world.engine.p_click = 1.0
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["promoted", "organic"]
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]


def test_a_pause_counts_even_where_the_engine_has_not_heard_of_it(world: World) -> None:
    campaign_id = world.activated()
    assert world.slate()
    world.engine.set_campaigns_fails = True
    world.call("owner", "POST", f"/v1/campaigns/{campaign_id}/pause")
    assert [each.campaign_id for each in world.engine.live] == [campaign_id]
    assert world.slate() == []


def test_an_item_that_could_not_be_billed_is_not_shown(world: World) -> None:
    world.activated()
    world.engine.unsigned = True
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]


def test_while_the_database_can_not_be_written_slates_are_organic(world: World) -> None:
    world.activated()
    with world.store.database.write_lock():
        assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["organic"]
    assert [item["kind"] for item in world.slate(promoted=1, organic=1)] == ["promoted", "organic"]


def test_a_slate_says_to_whom_it_was_served(world: World) -> None:
    world.activated()
    [item] = world.slate(seeker_id="s1")
    assert world.send(click("e1", item, seeker_id="s2"))[0]["code"] == "token_mismatch"
    assert world.send(click("e2", item, seeker_id="s1"))[0]["status"] == "accepted"


def test_events_are_counted_by_what_became_of_them(world: World) -> None:
    world.activated()
    [item] = world.slate()
    world.send(click("e1", item), click("e1", item), click("e1", item, position=2), {"event_id": "e2"})
    text = world.client.get("/metrics").text
    for status in ("accepted", "duplicate", "conflict", "rejected"):
        assert f'hiregraph_events_total{{status="{status}"}} 1.0' in text
