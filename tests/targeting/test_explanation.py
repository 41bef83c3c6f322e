"""One explanation object: what it says from what was logged, and what differs by reader."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from market.money import Money
from targeting.explanation import PARAMETERS, FiredLink, Shown, explain, fired_links_of
from targeting.tokens import Token

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = Token("cmp_1", "j1", 250_000, "EUR", 4, "2026-03-01", "m-1", 0.05, 0, 1800, "n")
LINK = FiredLink("l1", "works as Carers, at most 12 years of schooling", "as Nurses", 0.7, 40)
OTHER = FiredLink("l2", "works as Carers", "in section Care", 0.2, 90)
SHOWN = Shown("j1", "Nurse", "cmp_1", "acme", "Acme Ltd", 4, NOON, ("people like you are hired here",), (LINK, OTHER))


def test_reasons_come_first_then_links_with_their_hires_then_who_pays() -> None:
    why = explain(TOKEN, SHOWN, "seeker").why
    assert why[0] == "people like you are hired here"
    assert [sentence.split()[0] for sentence in why[1:3]] == ["40", "90"]
    assert "Acme Ltd pays" in why[-1]


def test_attributes_are_those_the_links_speak_of_each_once() -> None:
    found = explain(TOKEN, SHOWN, "seeker").attributes
    assert found == ("works as Carers", "at most 12 years of schooling")
    assert explain(TOKEN, replace(SHOWN, links=()), "seeker").attributes == ()


def test_a_boosted_link_and_a_place_by_lot_are_said() -> None:
    told = explain(TOKEN, replace(SHOWN, links=(replace(LINK, boost=2.0),), by_lot=True), "auditor").why
    assert any("strengthened" in sentence for sentence in told)
    assert any("by lot" in sentence for sentence in told)
    plain = explain(TOKEN, SHOWN, "auditor").why
    assert not any("strengthened" in sentence or "by lot" in sentence for sentence in plain)


def test_readers_differ_in_the_price_and_in_what_they_can_change_only() -> None:
    seeker, advertiser, auditor = (explain(TOKEN, SHOWN, reader) for reader in ("seeker", "advertiser", "auditor"))  # type: ignore[arg-type]
    assert (seeker.price, advertiser.price, auditor.price) == (None, Money(250_000, "EUR"), Money(250_000, "EUR"))
    assert seeker.how_to_change == auditor.how_to_change != advertiser.how_to_change
    assert seeker.why == advertiser.why == auditor.why
    assert "250" not in " ".join((*seeker.why, *seeker.how_to_change))


def test_links_come_back_from_the_log_as_they_went_in() -> None:
    assert fired_links_of([vars(LINK), vars(replace(OTHER, boost=1.5))]) == (LINK, replace(OTHER, boost=1.5))
    assert fired_links_of([]) == ()


def test_every_parameter_is_a_sentence_of_its_own() -> None:
    assert len({each.name for each in PARAMETERS}) == len(PARAMETERS)
    assert all(each.what[0].isupper() and each.what.endswith(".") for each in PARAMETERS)
