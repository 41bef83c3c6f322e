"""The engine on artefacts of its own on disk: whatever happens to them, something whole serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from market.records import Filters, SeekerProfile
from targeting.artefact_version import version_of
from targeting.engine import SlateRequest
from targeting.hot_swap import HotSwap, Source
from targeting.learned import Learned
from targeting.marketplace import Marketplace
from targeting.tokens import verify
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned
from tests.targeting.test_marketplace import JOBS, NOW, SECRET, TITLES, campaign

ASKED = SlateRequest(SeekerProfile("s1", (TITLES[10],), geo="m00"), None, Filters(), 4, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_learned().save(tmp_path)
    return tmp_path


def opened(folder: Path) -> Marketplace:
    engine = Marketplace(
        Learned.load(folder), WordEncoder(), secret=SECRET, now=lambda: NOW, version=version_of(folder)
    )
    engine.upsert_jobs(JOBS)
    engine.set_campaigns([campaign("nursing-1")])
    return engine


def model_of(engine: Marketplace) -> str:
    [token] = [item.tracking_token for item in engine.slate(ASKED).items if item.sponsored]
    return verify(str(token), SECRET).model


def test_tokens_name_the_artefacts_that_were_used_before_and_after_a_switch(folder: Path) -> None:
    before = version_of(folder)
    swap = HotSwap(opened(folder), Source(lambda: version_of(folder), lambda: opened(folder)), before)
    assert model_of(swap.current) == before
    replace(small_learned(), metrics={"persons": 1}).save(folder)
    after = version_of(folder)
    assert after != before
    for _ in range(2):
        swap.check()
        swap.wait(60)
    assert model_of(swap.current) == after


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
        lambda path: path.unlink(),
    ],
    ids=["cut short", "emptied", "a bit turned", "removed"],
)
def test_no_damaged_file_is_ever_served_from(folder: Path, damage: Callable[[Path], None]) -> None:
    version = version_of(folder)
    swap = HotSwap(opened(folder), Source(lambda: version_of(folder), lambda: opened(folder)), version)
    for path in sorted(path for part in ("model", "links", "rates") for path in (folder / part).iterdir()):
        whole = path.read_bytes()
        damage(path)
        assert swap.start()
        swap.wait(60)
        assert path.parent.name in str(swap.state().why), path
        assert model_of(swap.current) == version
        path.write_bytes(whole)


def test_rates_of_another_taxonomy_than_the_model_are_refused(folder: Path) -> None:
    fewer = replace(small_learned(), wage=small_learned().wage[:-1])
    fewer.save(folder)
    swap = HotSwap(None, Source(lambda: version_of(folder), lambda: opened(folder)), "none")
    assert swap.start()
    swap.wait(60)
    assert "occupations" in str(swap.state().why)
