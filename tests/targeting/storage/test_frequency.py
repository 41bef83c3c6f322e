"""The frequency cap: counted from what was reserved, by the hour and by the day, for a known seeker only."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event

from targeting.campaigns import Campaign
from targeting.engine import SlateItem
from targeting.serving import ServingConfig
from targeting.storage.frequency import Frequency
from targeting.storage.journal import Served
from targeting.tokens import sign
from tests.targeting.storage.conftest import NOON, SECRET, Till

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def frequency(till: Till, per_hour: int = 2, per_day: int = 6) -> Frequency:
    return Frequency(till.database, ServingConfig(per_hour=per_hour, per_day=per_day), till.journal.config.grace)


def shown(till: Till, campaign: Campaign, seeker_id: str | None, after: timedelta = timedelta(0)) -> None:
    """One promoted impression `after` noon."""
    offer = till.offer(campaign, 1, NOON + after)
    signed = sign(offer, SECRET)
    item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", signed, campaign.campaign_id, offer)
    assert not till.journal.reserve(Served(f"sla_{offer.nonce}", seeker_id, (item,)), NOON + after)


def test_a_campaign_is_tired_after_two_in_an_hour_and_fresh_again_an_hour_later(till: Till) -> None:
    campaign, cap = till.campaign(), frequency(till)
    shown(till, campaign, "s1")
    assert cap.tired("s1", NOON + MINUTE) == frozenset()
    shown(till, campaign, "s1", MINUTE)
    assert cap.tired("s1", NOON + 2 * MINUTE) == {campaign.campaign_id}
    assert cap.tired("s1", NOON + HOUR - MINUTE) == {campaign.campaign_id}
    assert cap.tired("s1", NOON + HOUR) == frozenset()  # the first one is an hour old


def test_six_in_a_day_are_enough_until_the_first_is_a_day_old(till: Till) -> None:
    campaign, cap = till.campaign(), frequency(till)
    for number in range(6):
        assert cap.tired("s1", NOON + number * 2 * HOUR) == frozenset()
        shown(till, campaign, "s1", number * 2 * HOUR)
    assert cap.tired("s1", NOON + 13 * HOUR) == {campaign.campaign_id}
    assert cap.tired("s1", NOON + 24 * HOUR - MINUTE) == {campaign.campaign_id}
    assert cap.tired("s1", NOON + 24 * HOUR) == frozenset()


def test_other_seekers_and_other_campaigns_are_not_concerned(till: Till) -> None:
    campaign, other, cap = till.campaign(), till.campaign(), frequency(till, per_hour=1)
    shown(till, campaign, "s1")
    shown(till, other, "s2")
    assert cap.tired("s1", NOON) == {campaign.campaign_id}
    assert cap.tired("s2", NOON) == {other.campaign_id}
    assert cap.tired("s3", NOON) == frozenset()


def test_of_nobody_nothing_is_counted(till: Till) -> None:
    campaign, cap = till.campaign(), frequency(till, per_hour=1)
    shown(till, campaign, None)
    assert cap.tired(None, NOON) == frozenset()


def test_reserves_that_were_let_go_of_count_all_the_same(till: Till) -> None:
    campaign, cap = till.campaign(), frequency(till, per_hour=6)
    for _ in range(6):
        shown(till, campaign, "s1")
    till.journal.release(NOON + 2 * HOUR)
    assert cap.tired("s1", NOON + 2 * HOUR) == {campaign.campaign_id}


def test_it_is_one_select_through_the_index(till: Till) -> None:
    said: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(till.database.engine, "before_cursor_execute", note)
    frequency(till).tired("s1", NOON)
    event.remove(till.database.engine, "before_cursor_execute", note)
    [query] = [statement for statement in said if "reserves" in statement]
    assert not any("UPDATE" in statement or "INSERT" in statement for statement in said)
    if till.database.path is None:
        return
    with till.database.reading() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", tuple("2026" for _ in range(3)))
        assert "ix_reserves_seeker_id" in " ".join(str(row) for row in plan)
