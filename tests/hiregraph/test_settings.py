"""Settings come from options, variables and defaults; the table tells of all of them and of no secret."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path

import pytest

from hiregraph import serving_commands
from hiregraph.settings import (
    VARIABLES,
    Settings,
    _variables,
    hand_over,
    load_settings,
    markdown,
    refuse_unknown_variables,
    service_config,
    table,
)
from market.errors import ConfigError
from targeting.http.config import ServiceConfig

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HIREGRAPH_")]:
        monkeypatch.delenv(name)


def test_without_variables_the_service_is_what_its_classes_say() -> None:
    assert service_config(load_settings()) == ServiceConfig()


def test_every_field_of_every_section_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in fields(ServiceConfig):
        value = getattr(ServiceConfig(), part.name)
        names = [part.name] if part.name in VARIABLES else [f"{part.name}_{each.name}" for each in fields(value)]
        assert set(names) <= set(VARIABLES)
        for name in names:
            assert f"HIREGRAPH_{name.upper()}" in DOCUMENT.read_text(), f"{name}: write docs/settings.md anew"


def test_spans_are_seconds_and_numbers_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIREGRAPH_BILLING_GRACE", "90.5")
    monkeypatch.setenv("HIREGRAPH_LIMITS_CONCURRENCY", "2")
    monkeypatch.setenv("HIREGRAPH_DOCS", "false")
    config = service_config(load_settings())
    assert config.billing.grace == timedelta(seconds=90.5)
    assert config.limits.concurrency == 2
    assert config.docs is False


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BILLING_GRACE", "soon", "BILLING_GRACE.*number of seconds"),
        ("BILLING_GRACE", "-1", "BILLING_.*negative"),
        ("LIMITS_CONCURRENCY", "many", "LIMITS_CONCURRENCY"),
        ("LIMITS_CONCURRENCY", "0", "LIMITS_.*above zero"),
        ("MAX_BODY_BYTES", "1e400", "MAX_BODY_BYTES"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"HIREGRAPH_{name}", value)
    with pytest.raises(ConfigError, match=f"HIREGRAPH_{said}"):
        service_config(load_settings())


def test_a_variable_that_does_not_exist_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unknown_variables()
    monkeypatch.setenv("HIREGRAPH_BILLING_GRACES", "1")
    with pytest.raises(ConfigError, match=r"HIREGRAPH_BILLING_GRACES.*hiregraph settings"):
        refuse_unknown_variables()


def test_all_settings_reach_a_worker_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"HIREGRAPH_{name.upper()}", "x")  # restored after the test
        monkeypatch.delenv(f"HIREGRAPH_{name.upper()}")
    given = load_settings(
        db="postgresql://ann:secret@db/hiregraph",
        billing_grace=timedelta(seconds=1 / 3),
        billing_attribution=timedelta(days=89, microseconds=1),
        limits_queue_seconds=0.1 + 0.2,
        docs=False,
    )
    hand_over(given)
    assert load_settings() == given
    assert service_config(load_settings()) == service_config(given)


def test_the_table_masks_secrets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HIREGRAPH_TOKEN_SECRET", "ab" * 32)
    monkeypatch.setenv("HIREGRAPH_DB", "postgresql://ann:hush@db/hiregraph")
    serving_commands.settings()
    serving_commands.settings(as_json=True)
    shown = capsys.readouterr().out
    assert "abab" not in shown
    assert "hush" not in shown
    assert "HIREGRAPH_TOKEN_SECRET=(set)" in shown
    assert json.loads(shown.splitlines()[-1])["settings"][0]["variable"] == "HIREGRAPH_DATA"


def test_every_setting_says_what_it_means() -> None:
    assert [row.variable for row in table(load_settings()) if not row.meaning] == []


def test_the_document_is_the_table_of_today() -> None:
    assert DOCUMENT.read_text() == markdown(table(load_settings())), "hiregraph settings --markdown > docs/settings.md"


@dataclass(frozen=True)
class Room:
    """doors: how many doors; open_for, shut_for: how long. names: who may come in."""

    doors: int = 2
    open_for: timedelta = timedelta(hours=1)
    shut_for: timedelta | None = None
    names: tuple[str, ...] = ("ann", "bob")
    light: bool = field(default=True, metadata={"meaning": "is there light"})


@dataclass(frozen=True)
class House:
    """number: of the house."""

    number: int = 7
    room: Room = field(default_factory=Room)


def test_a_new_section_needs_nothing_but_its_class() -> None:
    assert [(each.name, each.default, each.meaning) for each in _variables(House)] == [
        ("number", 7, "of the house"),
        ("room_doors", 2, "how many doors"),
        ("room_open_for", timedelta(hours=1), "how long"),
        ("room_shut_for", None, "how long"),
        ("room_names", ("ann", "bob"), "who may come in"),
        ("room_light", True, "is there light"),
    ]
