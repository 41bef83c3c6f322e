"""Nothing can be targeted, filtered or learned by a protected attribute: spellings, requests, schema, tables, terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from graph.linking.attributes import JOB_KINDS, SEEKER_KINDS
from market.clock import FixedClock
from market.records import Job, SeekerProfile
from organic.rows import job_terms
from targeting.http.api import ROUTES, create_app
from targeting.http.config import ServiceConfig
from targeting.http.schemas import Where
from targeting.protected import ProtectedFieldError, refuse_protected, speaks_of_a_protected_attribute
from targeting.storage.base import Base
from targeting.storage.database import Database
from targeting.storage.store import Store
from tests.targeting.http.small_service import NOW, SmallEngine

PROTECTED = [
    "sex", "gender", "Race", "age", "birth_date", "birthYear", "date-of-birth", "religion", "family_status", "marital",
    "disability", "veteran", "citizenship", "nationality", "postcode", "post_code", "zip", "ZIP", "zip_code", "plz",
    "seeker.gender", "has_children", "ethnicity", "pregnant", "sexual orientation", "ｓｅｘ", "min_age",
]  # fmt: skip
FREE = [
    "geo", "company", "occupation", "seniority", "skill", "remote", "language", "posted", "job", "status", "page",
    "wage", "message", "image", "manager", "stage", "embrace", "usage", "section", "major", "education", "package",
    "minor",
]  # fmt: skip


@pytest.mark.parametrize("name", PROTECTED)
def test_protected_fields_are_known_in_any_spelling(name: str) -> None:
    assert speaks_of_a_protected_attribute(name)
    with pytest.raises(ProtectedFieldError, match="nobody may be targeted or filtered by it"):
        refuse_protected(name)


@pytest.mark.parametrize("name", FREE)
def test_other_fields_that_look_alike_are_free(name: str) -> None:
    assert refuse_protected(name) == name


@pytest.mark.parametrize("name", PROTECTED)
def test_a_filter_by_a_protected_field_is_refused_wherever_it_stands(name: str) -> None:
    for where in ({"all_of": [["geo=31080", f"{name}=x"]]}, {"none_of": [f"{name}=x"]}):
        with pytest.raises(ValidationError, match="protected attribute"):
            Where(**where)  # type: ignore[arg-type]


def names_of(document: Any) -> Iterator[str]:
    """Every property, parameter and tag of an OpenAPI document, and the values of its enumerations."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "properties":
                yield from value
            if key == "parameters" and isinstance(value, list):
                yield from (each["name"] for each in value if "name" in each)
            if key == "enum" or key == "const":
                yield from (str(each) for each in (value if isinstance(value, list) else [value]))
            if key == "paths":
                yield from value
            yield from names_of(value)
    elif isinstance(document, list):
        for each in document:
            yield from names_of(each)


def test_no_route_takes_or_answers_a_protected_field(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.sqlite")
    app = create_app(Store(database), SmallEngine(), FixedClock(NOW), ServiceConfig(), secret=b"x" * 32)
    names = set(names_of(app.openapi()))
    assert len(ROUTES) > 3
    assert {"titles", "education_years", "geo", "/v1/slates", "veto"} <= names  # the walk sees bodies, paths and enums
    assert not {name for name in names if speaks_of_a_protected_attribute(name)}


def test_the_walk_would_find_one() -> None:
    planted = {"paths": {"/v1/x": {"post": {"parameters": [{"name": "zip"}]}}}, "properties": {"a": {"enum": ["sex"]}}}
    found = {name for name in names_of(planted) if speaks_of_a_protected_attribute(name)}
    assert found == {"zip", "sex"}


def test_nothing_is_stored_about_seekers_or_jobs_under_a_protected_name() -> None:
    columns = {f"{table.name}.{column.name}" for table in Base.metadata.sorted_tables for column in table.columns}
    assert "jobs.geo" in columns
    assert not {name for name in columns if speaks_of_a_protected_attribute(name)}


def test_records_links_and_rows_of_the_index_know_no_protected_field() -> None:
    job = Job("j", "a", "Nurse", "A", "Care", "31080", "1", ("x", "y"), "senior", True, 1.0, NOW, NOW)
    terms = {term.partition("=")[0] for term in job_terms(job, NOW)}
    fields = {*get_type_hints(SeekerProfile), *get_type_hints(Job), *SEEKER_KINDS, *JOB_KINDS, *terms}
    assert {"geo", "titles", "skill", "education", "company"} <= fields
    assert not {name for name in fields if speaks_of_a_protected_attribute(name)}
