"""What feeds of each format become, what is refused, and what an import never does."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hiregraph.feed_commands import jobs_app
from market.errors import ConfigError, ConflictError, DataError
from market.records import Job
from targeting.feeds.importing import format_of, import_feed
from targeting.feeds.items import job_id_of, moment, yearly
from targeting.feeds.postings import read_job, read_posting
from tests.targeting.feeds.conftest import NOW, Desk, xml_feed

POSTING = {
    "@context": "https://schema.org",
    "@type": "JobPosting",
    "title": "Night nurse",
    "description": "<b>Care</b>",
    "datePosted": "2026-02-16",
    "validThrough": "2026-04-01T00:00:00+02:00",
    "hiringOrganization": {"@type": "Organization", "name": "Acme"},
    "jobLocation": {"address": {"addressLocality": "Gent", "addressCountry": {"name": "BE"}}},
    "identifier": {"value": "n-1"},
    "baseSalary": {"currency": "EUR", "value": {"minValue": 20, "maxValue": 30, "unitText": "HOUR"}},
    "skills": "care, nights, care",
}
LINE = {"job_id": "n-1", "title": "Night nurse", "company": "Acme", "description": "Care", "geo": "Gent"}


def test_an_xml_job_is_taken_with_what_it_says(desk: Desk):
    report = desk.take(xml_feed("n-1"))
    assert (report.accepted, report.refused, report.findings) == (1, 0, {})
    assert desk.store.job("acme.n-1", "acme") == Job(
        "acme.n-1",
        "acme",
        "Night nurse",
        "Acme",
        "Care & rest",
        "Gent, BE",
        wage=45_000.0,
        posted_at=datetime(2026, 2, 16, 9, tzinfo=UTC),
    )


def test_a_posting_is_taken_with_what_it_says(desk: Desk):
    report = desk.take(json.dumps(POSTING), "json-ld")
    assert (report.accepted, report.findings) == (1, {})
    assert desk.store.job("acme.n-1", "acme") == Job(
        "acme.n-1",
        "acme",
        "Night nurse",
        "Acme",
        "Care",
        "Gent, BE",
        skills=("care", "nights"),
        wage=25 * 2_080.0,
        expires_at=datetime(2026, 3, 31, 22, tzinfo=UTC),
        posted_at=datetime(2026, 2, 16, tzinfo=UTC),
    )


def test_a_line_is_a_job_as_the_api_takes_it(desk: Desk):
    given = LINE | {"skills": ["care"], "remote": True, "wage": 1, "expires_at": "2026-04-01T00:00:00Z"}
    assert desk.take(json.dumps(given), "jsonl").accepted == 1
    found = desk.store.job("n-1", "acme")
    assert (found.skills, found.remote, found.wage) == (("care",), True, 1.0)


@pytest.mark.parametrize("layout", [[POSTING], {"@graph": [POSTING, {"@type": "WebSite"}]}, POSTING])
def test_json_ld_may_be_an_object_a_list_or_a_graph(desk: Desk, layout: object):
    assert desk.take(json.dumps(layout, indent=1), "json-ld").accepted == 1


def test_json_ld_may_be_a_posting_a_line(desk: Desk):
    lines = [json.dumps(POSTING | {"identifier": str(n)}) for n in range(3)]
    assert desk.take("\n".join(lines), "json-ld").accepted == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"title": None}, "title missing"),
        ({"datePosted": ""}, "datePosted missing"),
        ({"hiringOrganization": {}}, "hiringOrganization missing"),
        ({"jobLocation": None}, "jobLocation missing"),
        ({"identifier": None}, "no reference number"),
        ({"title": "x" * 501}, "longer than 500"),
        ({"title": "a\x00b"}, "NUL"),
        ({"@type": "Event"}, "expected an object with @type JobPosting"),
    ],
)
def test_a_posting_that_lacks_something_is_refused_alone(desk: Desk, change: dict[str, object], why: str):
    report = desk.take(json.dumps([POSTING | change, POSTING]), "json-ld")
    assert (report.accepted, report.refused) == (1, 1)
    place, said = report.refusals[0]
    assert place == 1
    assert why in said


@pytest.mark.parametrize(
    "line",
    [
        "{", "[1]", '"x"', "NaN", '{"job_id": 1}', json.dumps(LINE | {"wage": True}), json.dumps(LINE | {"wage": -1}),
        json.dumps(LINE | {"secret": 1}), json.dumps(LINE | {"account_id": "other"}), "[" * 100_000,
        json.dumps(LINE | {"job_id": "../x"}), json.dumps(LINE | {"expires_at": "tomorrow"}), "1" * 10_000,
        json.dumps(LINE | {"skills": "care"}), json.dumps(LINE | {"title": "\ud800"}), "\x00",
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_with_its_number_and_the_others_are_taken(desk: Desk, line: str):
    report = desk.take(f"\n{line}\n{json.dumps(LINE)}\n", "jsonl")
    assert (report.accepted, report.refused) == (1, 1)
    assert report.refusals[0][0] == 2


def test_an_xml_refusal_names_the_line_of_its_job(desk: Desk):
    broken = (
        xml_feed("n-1").replace("<city><![CDATA[Gent]]></city>", "").replace("<country><![CDATA[BE]]></country>", "")
    )
    report = desk.take(broken.replace("</source>", xml_feed("n-2").partition("</publisher>\n")[2]))
    assert (report.accepted, report.refused, report.refusals[0][0]) == (1, 1, 4)
    assert desk.ids() == ["acme.n-2"]


def test_importing_again_changes_nothing_and_the_last_of_an_id_counts(desk: Desk):
    desk.take(xml_feed("n-1", "n-2"))
    report = desk.take(xml_feed("n-2", "n-1", "n-2"))
    assert desk.ids() == ["acme.n-1", "acme.n-2"]
    assert report.findings == {"repeated_id": 1}


def test_a_dry_run_reports_the_same_and_writes_nothing(desk: Desk):
    before = desk.store.revision()
    dry = desk.take(xml_feed("n-1"), dry_run=True, replace=True)
    assert desk.store.revision() == before
    assert dry == desk.take(xml_feed("n-1"), replace=True)


def test_replacing_deletes_what_the_feed_no_longer_holds_of_this_account_only(desk: Desk):
    desk.store.put_jobs([Job("other.1", "other", "Nurse", "Other", "Care", "Gent")])
    desk.take(xml_feed(*"abcde"))
    assert desk.take(xml_feed(*"abcd")).deleted == 0
    report = desk.take(xml_feed(*"abcx"), replace=True)
    assert (report.before, report.deleted) == (5, 2)
    assert desk.ids() == ["acme.a", "acme.b", "acme.c", "acme.x", "other.1"]


def test_a_feed_that_shrank_by_more_than_a_fifth_deletes_and_writes_nothing(desk: Desk):
    desk.take(xml_feed(*"abcde"))
    before = desk.store.revision()
    with pytest.raises(ConflictError, match="holds 3 jobs, the account has 5"):
        desk.take(xml_feed(*"abx"), replace=True)
    assert desk.store.revision() == before


def test_a_job_of_another_account_is_never_taken_over(desk: Desk):
    desk.store.put_jobs([Job("n-1", "other", "Cook", "Other", "Cook", "Gent")])
    report = desk.take(json.dumps(LINE), "jsonl")
    assert (report.accepted, report.refused) == (0, 1)
    assert desk.store.job("n-1", None).title == "Cook"


def test_a_feed_is_judged_by_what_readers_would_miss(desk: Desk):
    old = LINE | {"expires_at": "2026-01-01T00:00:00Z"}
    lines = [json.dumps(old | {"job_id": f"n-{n}", "geo": f"place {n}"}) for n in range(10)]
    report = desk.take("\n".join(lines), "jsonl")
    assert report.findings == {"expired": 10, "no_salary": 10, "same_job_in_many_places": 10}


@pytest.mark.parametrize(
    ("text", "wage"),
    [
        ("40,000 - 50,000 per year", 45_000.0), ("€20.50 per hour", 42_640.0), ("3000 a month", 36_000.0), ("", None),
        ("competitive", None), ("1 - 2 - 3 per year", None), ("40000", None), ("20 an hour or 40,000 a year", None),
        ("30000 per annum", 30_000.0),
    ],
)  # fmt: skip
def test_a_salary_is_read_only_where_it_is_certain(text: str, wage: float | None):
    assert yearly(text) == wage


def test_the_format_is_said_by_the_name(tmp_path):
    assert [format_of(tmp_path / name) for name in ("a.xml.gz", "b.ndjson", "c.json")] == [
        "indeed-xml",
        "jsonl",
        "json-ld",
    ]
    with pytest.raises(ConfigError, match="--format"):
        format_of(tmp_path / "feed.csv")


def test_a_file_that_is_not_there_and_an_account_that_is_none_are_said(desk: Desk):
    with pytest.raises(ConfigError, match="account"):
        desk.take("", "jsonl", account="../x")
    with pytest.raises(DataError, match="no such file"):
        import_feed(desk.store, desk.folder / "missing", "acme", "jsonl", NOW)


def test_the_command_imports_and_says_what_it_did(desk: Desk):
    feed = desk.file("feed.xml.gz", xml_feed("n-1", "n-2"))
    asked = [str(feed), "--account", "acme", "--db", desk.database.url, "--json"]
    done = CliRunner().invoke(jobs_app, ["import", *asked])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["accepted"], report["refused"], report["format"]) == (2, 0, "indeed-xml")
    assert desk.ids() == ["acme.n-1", "acme.n-2"]


@given(st.text(max_size=200))
def test_any_reference_gives_one_valid_id_or_none(reference: str):
    if reference:
        found = job_id_of("acme", reference)
        assert found == job_id_of("acme", reference)
        assert found.replace(".", "").replace("-", "").replace("_", "").isalnum()
        assert len(found) <= 128


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted({*POSTING, *LINE, "remote", "wage", "skills"})), json_values, max_size=8))
def test_no_object_breaks_a_reader(given_fields: dict[str, object]):
    for read, whole in ((read_job, LINE), (read_posting, POSTING)):
        try:
            item = read({**whole, **given_fields}, "acme")
        except ValueError:  # BadItemError is one
            continue
        assert item.job is not None
        assert item.job.account_id == "acme"


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_times_and_salaries(text: str):
    found = moment(text)
    assert found is None or found.tzinfo is UTC
    wage = yearly(text)
    assert wage is None or 0 < wage <= 1e9
