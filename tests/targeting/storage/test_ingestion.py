"""Events: each counts once for ever, in any order, and only what was served and clicked in time costs money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from market.records import Job
from targeting.engine import SlateItem
from targeting.storage.journal import Served
from targeting.tokens import sign

if TYPE_CHECKING:
    from targeting.storage.ingestion import EventType, Outcome
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SECRET = b"a secret of thirty-two bytes ...."


def said(outcomes: list[Outcome]) -> list[tuple[str, str | None]]:
    return [(outcome.status, outcome.code) for outcome in outcomes]


def test_an_event_counts_once_for_ever_and_is_answered_as_the_first_time(till: Till) -> None:
    campaign = till.campaign()
    click = till.event(till.serve(campaign, 100))
    [first] = till.take(click)
    [again] = till.take(click, now=NOON + 400 * DAY)
    assert (first.status, again.status) == ("accepted", "duplicate")
    assert first.billed == again.billed
    assert till.posted(campaign) == 100


def test_the_same_id_with_another_content_is_a_conflict_and_changes_nothing(till: Till) -> None:
    campaign = till.campaign()
    token, other = till.serve(campaign, 100), till.serve(campaign, 200)
    click = till.event(token)
    till.take(click)
    changed = [
        replace(click, tracking_token=other),
        replace(click, type="impression"),
        replace(click, occurred_at=NOON - MINUTE),
        replace(click, position=2),
        replace(click, seeker_id="s1"),
    ]
    assert said(till.take(*changed)) == [("conflict", None)] * 5
    assert till.posted(campaign) == 100


def test_one_moment_written_with_another_offset_is_the_same_content(till: Till) -> None:
    click = till.event(till.serve(till.campaign(), 100))
    till.take(click)
    berlin = click.occurred_at.astimezone(datetime.fromisoformat("2026-03-01T13:00:00+01:00").tzinfo)
    assert said(till.take(replace(click, occurred_at=berlin))) == [("duplicate", None)]


def test_within_a_batch_the_first_event_of_an_id_counts(till: Till) -> None:
    campaign = till.campaign()
    click = till.event(till.serve(campaign, 100))
    assert said(till.take(click, click, replace(click, position=3))) == [
        ("accepted", None),
        ("duplicate", None),
        ("conflict", None),
    ]
    assert till.posted(campaign) == 100


def test_a_token_is_billed_for_one_click_however_many_come(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100)
    assert till.billed(till.event(token), till.event(token)) == [100, 0]
    [third] = till.take(till.event(token))
    assert (third.status, third.code, till.posted(campaign)) == ("accepted", "repeated_click", 100)


@pytest.mark.parametrize("type", ["impression", "apply_start", "apply_complete", "dismiss", "save"])
def test_only_clicks_cost_money(till: Till, type: EventType) -> None:
    campaign = till.campaign()
    assert till.billed(till.event(till.serve(campaign, 100), type=type)) == [None]
    assert till.posted(campaign) == 0


@pytest.mark.parametrize(
    ("clicked", "arrived", "answer"),
    [
        (0, 0, ("accepted", None)),
        (29, 39, ("accepted", None)),
        (30, 30, ("quarantined", "late")),
        (29, 40, ("quarantined", "late")),
        (-5, 0, ("accepted", "invalid_click")),
        (-6, 0, ("quarantined", "before_serving")),
        (5, 0, ("accepted", None)),
        (6, 0, ("quarantined", "in_the_future")),
    ],
)
def test_a_click_counts_before_expiry_and_if_it_arrives_within_the_grace(
    till: Till, clicked: int, arrived: int, answer: tuple[str, str | None]
) -> None:
    campaign = till.campaign()
    click = till.event(till.serve(campaign, 100), at=NOON + clicked * MINUTE)
    assert said(till.take(click, now=NOON + arrived * MINUTE)) == [answer]
    assert till.posted(campaign) == (100 if answer == ("accepted", None) else 0)


def test_a_late_click_counts_as_unbilled_delivery(till: Till) -> None:
    campaign = till.campaign()
    click = till.event(till.serve(campaign, 100))
    later = NOON + 41 * MINUTE
    assert said(till.take(click, now=later) + till.take(click, now=later)) == [("quarantined", "late")] * 2
    assert till.journal.totals(campaign.campaign_id).unbilled == 100


def test_applications_are_attributed_for_90_days_whatever_the_billing_expiry(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100, seeker="s1")
    at = NOON + 90 * DAY - MINUTE
    application = till.event(token, type="apply_complete", at=at)
    assert said(till.take(application, now=at)) == [("accepted", None)]
    late = till.event(token, type="apply_complete", at=at)
    assert said(till.take(late, now=NOON + 90 * DAY)) == [("quarantined", "late")]
    with till.database.reading() as session:
        [row] = session.execute(text("SELECT seeker_id, job_id, campaign_id, position FROM events"))
    assert tuple(row) == ("s1", "j1", campaign.campaign_id, 1)


def test_a_hire_with_a_token_is_attributed_for_90_days_and_taken_afterwards_too(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100)
    for after in (89 * DAY, 91 * DAY):
        hire = till.event(token, type="hire", at=NOON + after, seeker="s1", job="j1")
        assert said(till.take(hire, now=NOON + after)) == [("accepted", None)]
    with till.database.reading() as session:
        found = session.execute(text("SELECT campaign_id FROM events ORDER BY occurred_at")).scalars().all()
    assert found == [campaign.campaign_id, None]


def test_an_event_without_token_is_taken_for_a_known_job_and_costs_nothing(till: Till) -> None:
    click = till.event(None, seeker="s1", job="j1")
    assert said(till.take(click)) == [("accepted", None)]
    assert till.billed(click) == [None]


def test_what_is_unknown_waits_in_quarantine_until_it_is_known(till: Till) -> None:
    early = till.event(None, seeker="s1", job="j2")
    assert said(till.take(early) + till.take(early)) == [("quarantined", "unknown_job")] * 2
    assert said(till.take(replace(early, job_id="j1"))) == [("conflict", None)]
    till.store.put_jobs([Job("j2", "acme", "Cook", "Acme", "Food", "31080")])
    assert said(till.take(early) + till.take(early)) == [("accepted", None), ("duplicate", None)]
    with till.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM quarantine")).scalar() == 0


def test_a_signed_token_that_was_never_served_is_held_back_and_does_not_hold_up_the_rest(till: Till) -> None:
    campaign = till.campaign()
    unserved = sign(till.offer(campaign, 500), b"a secret of thirty-two bytes ....")
    good = till.event(till.serve(campaign, 100))
    assert said(till.take(till.event(unserved), good)) == [("quarantined", "unknown_token"), ("accepted", None)]
    assert till.posted(campaign) == 100


def test_forged_and_foreign_tokens_are_refused_and_leave_no_trace(till: Till) -> None:
    campaign = till.campaign()
    token = till.serve(campaign, 100, seeker="s1")
    assert token is not None
    forged = [sign(till.offer(campaign, 1), b"another secret"), token[:-1], "x", token.replace(".", "")]
    wrong = [till.event(text) for text in forged]
    wrong += [till.event(token, job="j2"), till.event(token, seeker="s2")]
    assert said(till.take(*wrong)) == [("rejected", "bad_token")] * 4 + [("rejected", "token_mismatch")] * 2
    with till.database.reading() as session:
        for table in ("events", "quarantine", "postings"):
            assert session.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar() == 0
    assert till.billed(replace(wrong[0], tracking_token=token)) == [100]  # the id was not used up


# A history: what was served (price, day, seeker), and in which order and how often each click arrives.
SERVED = st.lists(
    st.tuples(st.integers(0, 120), st.integers(0, 1), st.sampled_from([None, "s1", "s2"])), min_size=1, max_size=8
)


def by_hand(served: list[tuple[int, int, str | None]], total: int, daily: int) -> int:
    """The posted total: the dearest click a lane, summed a day up to its cap, summed up to the total cap."""
    days = []
    for day in (0, 1):
        lanes: dict[object, int] = {}
        for number, (price, on, seeker) in enumerate(served):
            if on == day:
                lane = seeker if seeker is not None else number
                lanes[lane] = max(lanes.get(lane, 0), price)
        days.append(min(daily, sum(lanes.values())))
    return min(total, sum(days))


def histories_agree(till: Till, data: st.DataObject) -> None:
    served, total = data.draw(SERVED), data.draw(st.integers(20, 400))
    daily = data.draw(st.integers(20, total))
    posted = []
    for _ in range(2):
        campaign = till.campaign(total=total, daily=daily)
        clicks = []
        for price, day, seeker in served:
            # Both days meet at midnight, so that every click is in time whenever it arrives.
            now = NOON.replace(hour=23, minute=59) + day * 2 * MINUTE
            token = till.serve(campaign, price, now=now, seeker=seeker)
            if token is not None:
                clicks.append(till.event(token, at=now))
        assert len(clicks) == len(served)  # each reserves a micro at most
        copies = data.draw(st.lists(st.sampled_from(clicks), max_size=8))
        arriving = data.draw(st.permutations(clicks + copies))
        cuts = data.draw(st.integers(1, len(arriving)))
        for start in range(0, len(arriving), cuts):
            # Over midnight, and never later than the grace of the first token, whatever has been released by then.
            later = data.draw(st.integers(2, 39)) * MINUTE
            till.take(*arriving[start : start + cuts], now=NOON.replace(hour=23, minute=59) + later)
        posted.append(till.posted(campaign))
        again = till.take(*arriving, now=NOON + data.draw(st.integers(1, 400)) * DAY)
        assert {each.status for each in again} == {"duplicate"}
        assert till.posted(campaign) == posted[-1]
    assert posted == [by_hand(served, total, daily)] * 2


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_any_number_of_copies_post_the_same_total(shared_till: Till, data: st.DataObject) -> None:
    histories_agree(shared_till, data)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_ten_thousand_histories_post_the_same_totals(shared_till: Till, data: st.DataObject) -> None:
    histories_agree(shared_till, data)


def test_what_came_before_its_job_or_its_token_is_taken_when_it_is_replayed(till: Till) -> None:
    campaign = till.campaign()
    offer = till.offer(campaign, 100)
    signed = sign(offer, SECRET)
    click, save = till.event(signed), till.event(None, type="save", seeker="s1", job="j2")
    assert said(till.take(click, save)) == [("quarantined", "unknown_token"), ("quarantined", "unknown_job")]
    assert till.ingestion.replay(NOON) == []
    till.store.put_jobs([Job("j2", "acme", "Cook", "Acme", "Food", "31080")])
    item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", signed, campaign.campaign_id, offer)
    till.journal.reserve(Served("sla_1", None, (item,)), NOON)
    outcomes = till.ingestion.replay(NOON + 5 * MINUTE)
    assert sorted(said(outcomes)) == [("accepted", None)] * 2
    assert till.posted(campaign) == 100
    assert till.ingestion.replay(NOON + 5 * MINUTE) == []
    assert till.billed(click, save) == [100, None]


def test_a_replayed_click_that_is_too_late_by_now_is_never_billed_and_counts_as_unbilled(till: Till) -> None:
    campaign = till.campaign()
    offer = till.offer(campaign, 100)
    signed = sign(offer, SECRET)
    till.take(till.event(signed))
    item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", signed, campaign.campaign_id, offer)
    till.journal.reserve(Served("sla_1", None, (item,)), NOON)
    assert said(till.ingestion.replay(NOON + 40 * MINUTE)) == [("quarantined", "late")]
    assert till.ingestion.replay(NOON + 41 * MINUTE) == []
    totals = till.journal.totals(campaign.campaign_id)
    assert (totals.posted, totals.unbilled) == (0, 100)


def test_a_replay_goes_through_more_than_one_page_and_past_what_stays_unknown(till: Till) -> None:
    events = [till.event(None, type="save", seeker="s1", job=f"j{2 + number % 2}") for number in range(1_100)]
    till.take(*events)
    till.store.put_jobs([Job("j3", "acme", "Cook", "Acme", "Food", "31080")])
    assert len(till.ingestion.replay(NOON)) == 550
    assert till.ingestion.replay(NOON) == []


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    change=st.one_of(
        st.fixed_dictionaries(
            {"occurred_at": st.integers(1, 10**9).map(lambda n: NOON + n * timedelta(microseconds=1))}
        ),
        st.fixed_dictionaries({"position": st.integers(2, 100)}),
        st.fixed_dictionaries({"reason": st.text(min_size=1, max_size=20)}),
        st.fixed_dictionaries({"request_id": st.text(min_size=1, max_size=20)}),
        st.fixed_dictionaries({"type": st.sampled_from(["impression", "save", "dismiss", "hire"])}),
        st.fixed_dictionaries({"tracking_token": st.sampled_from(["EUR", "USD", "other price", "other campaign"])}),
    )
)
def test_whatever_is_changed_under_a_known_id_is_a_conflict_and_moves_no_money(
    shared_till: Till, change: dict[str, Any]
) -> None:
    campaign, other = shared_till.campaign(total=10_000), shared_till.campaign(total=10_000)
    click = shared_till.event(shared_till.serve(campaign, 100))
    assert shared_till.billed(click) == [100]
    if (kind := change.get("tracking_token")) is not None:
        offer = shared_till.offer(
            other if kind == "other campaign" else campaign, 900 if kind == "other price" else 100
        )
        change = {"tracking_token": sign(replace(offer, currency="USD" if kind == "USD" else "EUR"), SECRET)}
    assert said(shared_till.take(replace(click, **change))) == [("conflict", None)]
    assert (shared_till.posted(campaign), shared_till.posted(other)) == (100, 0)
