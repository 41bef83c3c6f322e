"""What the columns say of an impression is what the compiled clause says of the same seeker and job at that moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.records import Activity, Job, SeekerProfile
from market.tables import Tables
from organic.quality.build import Context, build_rules
from organic.quality.config import RuleConfig
from organic.quality.evidence import common_languages, read_evidence
from organic.quality.explain import suppressed
from organic.quality.neighbours import groups_of
from organic.quality.removal import LEARNABLE, near_table, removed_by
from organic.rows import JobBook
from tests.organic.quality.small_logs import AREAS, small_logs, small_taxonomy

TAXONOMY = small_taxonomy()
CONFIG = RuleConfig(
    rules=LEARNABLE,
    groups=groups_of(TAXONOMY),
    neighbours={"health": ("office",), "food": (), "metal": ("food",)},
    areas=AREAS,
    languages=("en",),
    steps_up=1,
    steps_down=1,
    stale_weeks=3,
    company_dismissals=2,
)


def everything_known(tables: Tables, seeker_id: str, now) -> tuple[SeekerProfile, JobBook, list[str]]:
    """The profile, the jobs that are open, and the occupations as they were at that moment."""
    held = [
        row for row in tables["positions"].to_pylist() if row["seeker_id"] == seeker_id and row["recorded_at"] <= now
    ]
    held.sort(key=lambda row: row["recorded_at"], reverse=True)
    home = next(row["geo"] for row in tables["seekers"].to_pylist() if row["seeker_id"] == seeker_id)
    activity = [
        Activity(row["job_id"], action, row["occurred_at"], row.get("reason"))
        for table, action in (("applications", "apply"), ("dismissals", "dismiss"))
        for row in tables[table].to_pylist()
        if row["seeker_id"] == seeker_id and row["occurred_at"] < now
    ]
    seniority = held[0]["seniority"] if held else None
    profile = SeekerProfile(seeker_id, geo=home, seniority=seniority, activity=tuple(activity))
    return profile, JobBook(job_of(row) for row in open_at(tables, now)), [row["occupation"] for row in held[:3]]


def open_at(tables: Tables, now) -> list[dict]:
    found = [row for row in tables["jobs"].to_pylist() if row["posted_at"] <= now]
    return [row for row in found if row["expires_at"] is None or row["expires_at"] > now]


def job_of(row: dict) -> Job:
    return Job(
        row["job_id"],
        "account",
        row["title"],
        row["employer_id"],
        row["description"] or "",
        row["geo"],
        row["occupation"],
        seniority=row["seniority"],
        remote=row["remote"],
        posted_at=row["posted_at"],
    )


@pytest.mark.parametrize("seed", range(3))
def test_columns_and_clauses_agree_on_every_impression_of_an_open_job(seed):
    tables = small_logs(seed)
    evidence, languages = read_evidence(tables, CONFIG)
    assert languages == ("en",)
    removed = {rule: removed_by(rule, evidence, CONFIG, TAXONOMY) for rule in LEARNABLE}
    shown = sorted(tables["impressions"].to_pylist(), key=lambda row: row["occurred_at"])
    jobs = {row["job_id"]: job_of(row) for row in tables["jobs"].to_pylist()}
    fired = dict.fromkeys(LEARNABLE, 0)
    for at, row in enumerate(shown):
        now = row["occurred_at"]
        profile, book, held = everything_known(tables, row["seeker_id"], now)
        if book.row(row["job_id"]) is None:
            continue  # shown before it was posted or after it expired: not a thing to compare
        context = Context(lambda now=now: now, jobs.get, lambda _, held=held: held)
        found = {each.rule for each in suppressed(book, build_rules(CONFIG, context), profile, jobs[row["job_id"]])}
        assert found - {"already-decided"} == {rule for rule in LEARNABLE if removed[rule][at]}
        assert ("already-decided" in found) == evidence.decided[at]
        for rule in found & set(LEARNABLE):
            fired[rule] += 1
    assert all(fired.values()), fired


def test_an_action_belongs_to_the_last_impression_within_a_day():
    tables = small_logs(1)
    evidence, _ = read_evidence(tables, CONFIG)
    keys = {(row["seeker_id"], row["job_id"], row["occurred_at"]) for row in tables["dismissals"].to_pylist()}
    assert evidence.dismissed.sum() == len(keys)
    given = [row["reason"] for row in tables["dismissals"].to_pylist() if row["reason"] is not None]
    assert sorted(reason for reason in evidence.reason if reason is not None) == sorted(given)


def test_duplicated_and_unordered_rows_change_nothing():
    tables = small_logs(2)
    twice = {name: table.take(np.r_[len(table) - 1 : -1 : -1, : len(table)]) for name, table in tables.tables.items()}
    once, _ = read_evidence(tables, CONFIG)
    again, _ = read_evidence(
        Tables({**tables.tables, **{n: twice[n] for n in ("impressions", "dismissals")}}, TAXONOMY), CONFIG
    )
    for name in ("seeker", "dismissed", "applied", "company", "weeks"):
        assert np.array_equal(getattr(once, name), getattr(again, name))


def test_logs_without_seniority_and_areas_know_neither():
    tables = small_logs(0)
    bare = {
        **tables.tables,
        "jobs": tables["jobs"].drop_columns(["seniority", "description", "remote", "expires_at"]),
        "positions": tables["positions"].drop_columns(["seniority"]),
        "dismissals": tables["dismissals"].drop_columns(["reason"]),
    }
    evidence, languages = read_evidence(Tables(bare, TAXONOMY), replace(CONFIG, areas={}, languages=()))
    assert languages == ()
    for column in (evidence.step, evidence.asked, evidence.km, evidence.foreign):
        assert np.isnan(column).all()
    for rule in ("too-senior", "too-junior", "too-far", "wrong-language"):
        assert not removed_by(rule, evidence, CONFIG, TAXONOMY).any()
    assert all(reason is None for reason in evidence.reason)


def test_what_the_table_does_not_name_is_near_to_everything():
    near = near_table(CONFIG, TAXONOMY)
    position = TAXONOMY.position
    assert not near[position["n"], position["c"]]
    assert near[position["n"], position["k"]]
    assert near[position["k"]].all()  # office has no row
    assert near[-1].all()
    assert near[:, -1].all()


def test_a_language_is_common_by_its_share_of_all_jobs():
    assert common_languages(pd.Series(["en", "en", "de", None])) == ("de", "en")
    assert common_languages(pd.Series(["de", None, None, None, None])) == ()
    assert common_languages(pd.Series([], dtype=object)) == ()
