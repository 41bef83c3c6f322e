"""Whose hire it is: the token's, else the campaign through which the seeker came last; in any order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING

from targeting.storage.attribution import AttributedHire, attributed_hires

if TYPE_CHECKING:
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def hires(till: Till) -> list[AttributedHire]:
    with till.database.reading() as session:
        return attributed_hires(session, NOON - DAY, NOON + 400 * DAY)


def test_a_hire_without_a_token_belongs_to_the_campaign_of_the_last_click_or_application(till: Till) -> None:
    first, second = till.campaign(), till.campaign()
    one, two = till.serve(first, 100, seeker="s1"), till.serve(second, 100, seeker="s1")
    till.take(till.event(one, at=NOON), till.event(two, at=NOON + MINUTE), now=NOON + MINUTE)
    applied = till.event(one, type="apply_complete", at=NOON + 20 * DAY)
    till.take(applied, now=NOON + 20 * DAY)
    till.take(till.event(None, type="hire", seeker="s1", job="j1", at=NOON + 50 * DAY), now=NOON + 50 * DAY)
    [found] = hires(till)
    assert (found.campaign_id, found.through) == (first.campaign_id, applied.event_id)


def test_the_order_of_arrival_does_not_decide_whose_hire_it_is(till: Till) -> None:
    owners = set()
    for number, order in enumerate(permutations(range(3))):
        seeker, campaigns = f"s{number}", [till.campaign(), till.campaign()]
        tokens = [till.serve(each, 100, seeker=seeker) for each in campaigns]
        events = [till.event(token, at=NOON + at * MINUTE) for at, token in enumerate(tokens)]
        events.append(till.event(None, type="hire", seeker=seeker, job="j1", at=NOON + 3 * MINUTE))
        for at in order:
            till.take(events[at], now=NOON + 5 * MINUTE)
        [found] = [hire for hire in hires(till) if hire.seeker_id == seeker]
        owners.add([each.campaign_id for each in campaigns].index(str(found.campaign_id)))
    assert owners == {1}


def test_nobody_led_to_a_hire_by_an_impression_an_invalid_click_a_later_click_or_one_of_long_ago(till: Till) -> None:
    campaign = till.campaign()
    old = till.serve(campaign, 100, seeker="s1")
    till.take(till.event(old), till.event(old, type="impression", at=NOON + MINUTE))
    invalid = till.serve(campaign, 100, seeker="s2")
    till.take(till.event(invalid, at=NOON - MINUTE))
    later = till.serve(campaign, 100, now=NOON + 91 * DAY, seeker="s3")
    till.take(till.event(later, at=NOON + 91 * DAY), now=NOON + 91 * DAY)
    at = {"s1": NOON + 90 * DAY + MINUTE, "s2": NOON + DAY, "s3": NOON + 90 * DAY, "s4": NOON + DAY}
    for seeker, moment in at.items():
        till.take(till.event(None, type="hire", seeker=seeker, job="j1", at=moment), now=moment)
    assert {hire.seeker_id: hire.campaign_id for hire in hires(till)} == dict.fromkeys(at)
    till.take(till.event(None, type="hire", seeker="s1", job="j1", at=NOON + 90 * DAY), now=NOON + 91 * DAY)
    owned = [hire for hire in hires(till) if hire.campaign_id is not None]
    assert [(hire.seeker_id, hire.occurred_at) for hire in owned] == [("s1", NOON + 90 * DAY)]


def test_a_hire_with_a_token_belongs_to_its_campaign_whatever_was_clicked_since(till: Till) -> None:
    campaign, other = till.campaign(), till.campaign()
    token, later = till.serve(campaign, 100, seeker="s1"), till.serve(other, 100, seeker="s1")
    till.take(till.event(later, at=NOON + MINUTE), now=NOON + MINUTE)
    till.take(till.event(token, type="hire", seeker="s1", job="j1", at=NOON + DAY), now=NOON + DAY)
    [found] = hires(till)
    assert (found.campaign_id, found.through) == (campaign.campaign_id, None)
