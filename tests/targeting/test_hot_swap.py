"""Switching to new artefacts: only when they are at rest and whole, and never without something that serves."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from market.artefacts import writing
from market.errors import ArtefactError
from targeting.artefact_version import version_of
from targeting.hot_swap import HotSwap, Source


class Shelf:
    """Artefacts that are a word; `broken` words can not be loaded."""

    def __init__(self) -> None:
        self.word, self.broken, self.loads = "one", "", 0
        self.gate = threading.Event()
        self.gate.set()
        self.changes_to: str | None = None

    def version(self) -> str:
        return self.word

    def load(self) -> str:
        self.loads += 1
        self.gate.wait(10)
        if self.word == self.broken:
            raise ArtefactError(f"{self.word}/model is damaged")
        loaded = self.word
        self.word = self.changes_to or self.word
        return loaded


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def swap(shelf: Shelf) -> HotSwap[str]:
    return HotSwap("one", Source(shelf.version, shelf.load), "one")


def look(swap: HotSwap[str], times: int = 1) -> None:
    for _ in range(times):
        swap.check()
        swap.wait(10)


def test_a_new_version_is_taken_when_it_was_seen_twice(shelf: Shelf, swap: HotSwap[str]) -> None:
    look(swap, 3)
    assert shelf.loads == 0
    shelf.word = "two"
    look(swap)
    assert (swap.current, shelf.loads) == ("one", 0)
    look(swap)
    assert (swap.current, swap.state().version) == ("two", "two")
    look(swap, 3)
    assert shelf.loads == 1


def test_a_folder_that_changes_between_two_looks_is_not_at_rest(shelf: Shelf, swap: HotSwap[str]) -> None:
    for word in ("two", "three", "four"):
        shelf.word = word
        look(swap)
    assert shelf.loads == 0


def test_a_damaged_version_is_refused_once_with_its_reason_and_the_old_one_serves_on(
    shelf: Shelf, swap: HotSwap[str]
) -> None:
    shelf.word = shelf.broken = "two"
    with capture_logs() as logged:
        look(swap, 5)
    assert (swap.current, shelf.loads) == ("one", 1)
    state = swap.state()
    assert (state.version, state.refused, state.why) == ("one", "two", "two/model is damaged")
    assert [entry["why"] for entry in logged] == ["two/model is damaged"]
    shelf.word = "three"
    look(swap, 2)
    assert swap.current == "three"
    assert swap.state().refused is None


def test_a_refused_version_is_tried_again_when_it_is_asked_for(shelf: Shelf, swap: HotSwap[str]) -> None:
    shelf.word = shelf.broken = "two"
    look(swap, 2)
    shelf.broken = ""
    look(swap, 3)
    assert shelf.loads == 1
    swap.ask()
    look(swap)
    assert swap.current == "two"


def test_artefacts_that_are_replaced_while_they_are_loaded_are_not_used(shelf: Shelf, swap: HotSwap[str]) -> None:
    shelf.word, shelf.changes_to = "two", "three"
    look(swap, 2)
    assert swap.current == "one"
    assert "replaced while" in str(swap.state().why)
    look(swap, 2)
    assert swap.current == "three"


def test_an_old_version_that_comes_back_is_the_one_that_serves(shelf: Shelf, swap: HotSwap[str]) -> None:
    shelf.word = "two"
    look(swap)
    shelf.word = "one"
    look(swap, 3)
    assert shelf.loads == 0


def test_what_serves_goes_on_while_the_next_is_loaded_and_nothing_is_loaded_twice_at_once(
    shelf: Shelf, swap: HotSwap[str]
) -> None:
    shelf.gate.clear()
    shelf.word = "two"
    assert swap.start()
    assert swap.state().loading
    assert not swap.start()
    swap.check()
    assert swap.current == "one"
    shelf.gate.set()
    swap.wait(10)
    assert (swap.current, swap.state().loading, shelf.loads) == ("two", False, 1)


def test_without_a_source_nothing_is_ever_loaded() -> None:
    swap = HotSwap("one", None, "one")
    swap.check()
    assert not swap.start()
    assert swap.current == "one"


def test_outcomes_are_told(shelf: Shelf) -> None:
    told: list[str] = []
    swap = HotSwap("one", Source(shelf.version, shelf.load), "one", told.append)
    shelf.word = shelf.broken = "two"
    look(swap, 2)
    shelf.word = "three"
    look(swap, 2)
    assert told == ["refused", "switched"]


# ---- versions of a folder


def test_a_version_changes_with_any_artefact_and_with_nothing_else(tmp_path: Path) -> None:
    assert version_of(tmp_path / "missing") == version_of(tmp_path) == "none"

    def put(name: str, content: str) -> str:
        with writing(tmp_path / name, "thing", 1) as scratch:
            (scratch / "content.txt").write_text(content)
        return version_of(tmp_path)

    first = put("model", "a")
    assert first == version_of(tmp_path) == put("model", "a")
    assert len(first) == 12
    second = put("links", "a")
    assert len({first, second, put("model", "b")}) == 3
    assert put("model", "a") == second
    assert put("jobs", "vacancies") == second
    (tmp_path / "rules.json").write_text("{}")
    assert version_of(tmp_path) != second
