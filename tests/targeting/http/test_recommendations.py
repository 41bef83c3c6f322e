"""POST /v1/recommendations over HTTP, a real recommender behind it: any body is answered or refused, never 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from gpu_index import Index
from market.clock import FixedClock
from market.records import Job
from organic.question import FACETS, Answer, Question
from organic.recommend import Recommender, drop_job, put_jobs
from organic.rows import JobBook
from organic.towers import TextTowers
from targeting.campaigns import Campaign
from targeting.engine import NoEngine
from targeting.http.api import create_app
from targeting.http.schemas import MAX_SEEN
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.keys import make_key
from targeting.storage.store import Store
from tests.organic.small_market import NOW, WordEncoder

PATH = "/v1/recommendations"
JOB = {"account_id": "acme", "company": "Acme", "description": "", "geo": "31080"}
JOBS = [
    {**JOB, "job_id": "nurse", "title": "Registered nurse", "skills": ["triage"], "posted_at": "2026-02-27T08:00:00Z"},
    {**JOB, "job_id": "night", "title": "Night nurse", "company": "Beta", "geo": "16980"},
    {**JOB, "job_id": "phone", "title": "Telephone nurse", "company": "Beta", "remote": True},
    {**JOB, "job_id": "cook", "title": "Line cook", "seniority": "Senior"},
]


class OrganicEngine(NoEngine):
    """Organic results only."""

    def __init__(self) -> None:
        super().__init__("nothing is promoted here")
        self.towers, self.book = TextTowers(WordEncoder()), JobBook()
        self.index = Index({"organic": self.towers.dimension})
        self.recommender = Recommender(self.index, self.towers, self.book)

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        put_jobs(self.index, self.book, self.towers, jobs, NOW)
        return [None] * len(jobs)

    def delete_job(self, job_id: str) -> bool:
        return drop_job(self.index, self.book, job_id)

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        pass

    def answer(self, question: Question) -> Answer:
        return self.recommender.answer(question, NOW)


class Site:
    def __init__(self, client: TestClient, key: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {key}"}

    def post(self, body: Any = None, path: str = PATH, **sent: Any) -> Any:
        given = {"json": body} if body is not None else sent
        headers = self.headers | {"Content-Type": "application/json"}
        return self.client.post(path, headers=headers, **given)

    def found(self, **body: Any) -> dict[str, Any]:
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('site') / 'site.sqlite'}")
    upgrade(database)
    store = Store(database)
    key, record = make_key("acme", "platform", NOW, bytes(32))
    store.add_key(record)
    app = create_app(store, OrganicEngine(), FixedClock(NOW))
    with TestClient(app, raise_server_exceptions=False) as client:
        opened = Site(client, key)
        assert opened.post({"jobs": JOBS}, "/v1/jobs:batch").status_code == 200
        yield opened


def ids(document: dict[str, Any]) -> list[str]:
    return [item["job_id"] for item in document["items"]]


def codes(document: dict[str, Any]) -> list[str]:
    return [note["code"] for note in document.get("notes", [])]


def test_a_profile_gets_jobs_with_reasons_and_nothing_it_did_not_ask_for(site: Site) -> None:
    document = site.found(seeker={"titles": ["Registered nurse"], "skills": ["Triage"], "geo": "31080"}, k=2)
    assert document.keys() == {"items"}
    assert document["items"][0]["job_id"] == "nurse"
    assert document["items"][0]["reasons"] == [
        "The same title as yours: Registered nurse",
        "In your area",
        "Asks for skills you have: triage",
        "Posted within the last week",
    ]


def test_personalise_false_forgets_the_titles(site: Site) -> None:
    document = site.found(seeker={"titles": ["Nurse"], "geo": "16980"}, personalise=False)
    assert set(ids(document)) == {"night", "phone"}
    assert codes(document) == ["not_personalised"]
    assert "as you asked" in document["items"][0]["reasons"][0]


def test_facets_come_when_asked_for(site: Site) -> None:
    facets = site.found(query="nurse", facets=["geo", "company", "geo"])["facets"]
    assert facets["geo"] == [{"value": "31080", "count": 3}, {"value": "16980", "count": 1}]
    assert facets["company"] == [{"value": "acme", "count": 2}, {"value": "beta", "count": 2}]
    within = site.found(query="nurse", facets=["seniority"], where={"all_of": [["company=beta"]]})
    assert within["facets"] == {"seniority": []}


def test_a_facet_value_is_a_filter(site: Site) -> None:
    for field, counts in site.found(query="nurse", facets=list(FACETS))["facets"].items():
        for each in counts:
            found = site.found(query="nurse", where={"all_of": [[f"{field}={each['value']}"]]}, k=100)
            assert len(found["items"]) == each["count"]


def test_seen_jobs_come_later(site: Site) -> None:
    body = {"seeker": {"titles": ["Nurse"]}, "query": "night"}
    assert ids(site.found(**body))[0] == "night"
    scores = {item["job_id"]: item["score"] for item in site.found(**body)["items"]}
    again = {item["job_id"]: item["score"] for item in site.found(**body, seen=["night"])["items"]}
    assert again["night"] == pytest.approx(scores["night"] - 0.2, abs=1e-5)
    assert again["phone"] == scores["phone"]


def test_an_unknown_seeker_is_a_cold_start(site: Site) -> None:
    document = site.found(seeker_id="never-seen")
    assert len(document["items"]) == len(JOBS)
    assert codes(document) == ["not_personalised"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"where": {"all_of": [["occupation=99-9999.99"]]}}, "no_match"),
        ({"where": {"all_of": [[]]}}, "no_match"),
        ({"where": {"none_of": ["status=open"]}}, "no_match"),
        ({"seeker": {"geo": "nowhere"}, "where": {"all_of": [["company=acme"]]}}, "no_match"),
        ({"seeker": {"titles": ["☃"]}}, "not_understood"),
        ({"seeker": {"titles": ["Nurse"], "geo": "nowhere"}}, "unknown_place"),
        ({"seeker": {}}, "not_personalised"),
        ({}, "not_personalised"),
    ],
)
def test_what_is_odd_is_answered_with_a_note(site: Site, body: dict[str, Any], code: str) -> None:
    assert code in codes(site.found(**body))


@pytest.mark.parametrize(
    "body",
    [
        {"personalise": 0},
        {"personalise": "false"},
        {"facets": ["wage"]},
        {"facets": "geo"},
        {"facets": ["geo"] * 6},
        {"seen": ["a b"]},
        {"seen": ["x"] * (MAX_SEEN + 1)},
        {"seen": "x"},
        {"personalize": True},
        {"seeker": {"sex": "f"}},
        {"query": "x" * 1_000_000},
        {"seeker": {"titles": ["x" * 1_000_000]}},
        {"query": "\x00"},
        {"where": {"all_of": [["geo"]]}},
        {"where": {"all_of": [["geo= "]]}},
        {"k": 0},
        {"k": 1_001},
        {"k": True},
    ],
)
def test_what_can_not_be_meant_is_refused(site: Site, body: dict[str, Any]) -> None:
    answer = site.post(body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_slates_refuse_what_they_would_not_do(site: Site) -> None:
    slots = {"organic": 1, "promoted": 0}
    for more in ({"personalise": False}, {"facets": ["geo"]}, {"seen": ["nurse"]}):
        assert site.post({"slots": slots, **more}, "/v1/slates").status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "護士",
        "ممرضة",
        "медсестра",
        "νοσηλεύτρια",
        "👩‍⚕️🚑",
        "e\u0301" * 40,
        "\u202enurse\u202c",
        "\x01\x02\x1b[31m",
        "a" * 9_999,
    ],
)
def test_any_script_and_any_sign_is_answered(site: Site, text: str) -> None:
    body = {"query": text, "seeker": {"titles": [text[:400]], "skills": [text[:400]], "geo": text[:400]}}
    document = site.found(**body, where={"none_of": [f"company={text[:400]}"]})
    assert ids(document) == ["phone"]


@pytest.mark.parametrize(
    "place", ['"query": "{}"', '"seeker": {{"titles": ["{}"]}}', '"where": {{"none_of": ["geo={}"]}}']
)
def test_half_a_surrogate_pair_is_refused_or_answered(site: Site, place: str) -> None:
    raw = "{" + place.format("\\ud800 nurse \\udfff") + "}"
    assert site.post(content=raw.encode()).status_code in (200, 422)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{", b'{"k": NaN}', b'{"k": 1e400}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_request_is_refused(site: Site, raw: bytes) -> None:
    assert site.post(content=raw).status_code in (400, 422)


def test_a_megabyte_in_many_texts_is_answered(site: Site) -> None:
    seeker = {"titles": ["nurse " * 83] * 100, "skills": ["triage " * 71] * 500}
    assert len(json.dumps(seeker)) > 250_000
    assert ids(site.found(seeker=seeker, k=1)) == ["nurse"]


# ---- any body that the schema allows is answered, and the answer has the shape the schema promises

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)
KNOWN = st.sampled_from(["nurse", "night", "phone", "cook"])
WORDS = st.one_of(TEXT, st.sampled_from(["Nurse", "Registered nurse", " ", "Line cook", "31080", "16980"]))
TERMS = st.one_of(
    st.sampled_from(["geo=31080", "remote=yes", "company=BETA", "job=nurse", "status=open", "seniority=senior"]),
    st.tuples(TEXT.filter(str.strip), TEXT.filter(str.strip)).map(
        lambda pair: f"x{pair[0].replace('=', '')}={pair[1]}"
    ),
)
MAYBE = {
    "seeker_id": st.from_regex(r"\A[A-Za-z0-9._-]{1,20}\Z"),
    "seeker": st.fixed_dictionaries(
        {},
        optional={
            "titles": st.lists(WORDS, max_size=4),
            "skills": st.lists(WORDS, max_size=4),
            "geo": WORDS,
            "seniority": WORDS,
            "education_years": st.floats(0, 40),
            "activity": st.lists(
                st.fixed_dictionaries(
                    {
                        "job_id": KNOWN,
                        "action": st.sampled_from(["apply", "save", "dismiss"]),
                        "at": st.sampled_from(["2026-02-01T00:00:00Z", "2027-01-01T00:00:00+05:30"]),
                    }
                ),
                max_size=4,
            ),
        },
    ),
    "query": st.one_of(WORDS, st.just("")),
    "where": st.fixed_dictionaries(
        {},
        optional={
            "all_of": st.lists(st.lists(TERMS, max_size=3), max_size=3),
            "none_of": st.lists(TERMS, max_size=3),
        },
    ),
    "k": st.integers(1, 1_000),
    "personalise": st.booleans(),
    "facets": st.lists(st.sampled_from(FACETS), max_size=5),
    "seen": st.lists(KNOWN, max_size=5),
}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional=MAYBE))
@example({"seeker": {"geo": " "}})
@example({"seeker": {"titles": [" "], "skills": ["\u2028"]}, "query": "\x85"})
def test_every_body_within_the_schema_is_answered(site: Site, body: dict[str, Any]) -> None:
    answer = site.post(content=json.dumps(body).encode())
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document.keys() <= {"items", "notes", "facets"}
    assert ("facets" in document) == bool(body.get("facets"))
    scores = [item["score"] for item in document["items"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(ids(document))) == len(ids(document)) <= body.get("k", 20)
    assert all(item["reasons"] for item in document["items"])
    assert document["items"] or document["notes"]
    decided = {each["job_id"] for each in body.get("seeker", {}).get("activity", []) if each["action"] != "save"}
    assert decided.isdisjoint(ids(document))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*MAYBE, "sponsored"]),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_json_at_all_is_answered_or_refused(site: Site, body: dict[str, Any]) -> None:
    assert site.post(content=json.dumps(body).encode()).status_code in (200, 400, 422)
