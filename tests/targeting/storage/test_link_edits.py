"""Edits of links on disk: one row per link of a campaign, revisions, audit rows, and writers at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from market.errors import ConflictError
from targeting.link_targeting import CampaignLinkEdit
from targeting.storage.audit_log import AuditLog, Who
from targeting.storage.link_edits import LinkEdits
from tests.targeting.storage.conftest import NOON, Till

WHO = Who("key_1", NOON)


def edit(campaign_id: str, link_id: str = "lnk_1", weight: float | None = None) -> CampaignLinkEdit:
    action: Any = "veto" if weight is None else "boost"
    sides = ("education=<=12", "occupation=1"), ("section=A, B",)
    return CampaignLinkEdit(campaign_id, "j1", link_id, *sides, action, weight, "key_1", NOON)


def test_an_edit_comes_back_as_it_was_and_the_newest_of_a_link_stands(till: Till) -> None:
    edits, campaign_id = LinkEdits(till.database), till.campaign().campaign_id
    for each in (edit(campaign_id), edit(campaign_id, "lnk_2", 0.25), edit(campaign_id, weight=3.5)):
        assert edits.put(each) == each
    assert edits.of_campaign(campaign_id) == (edit(campaign_id, weight=3.5), edit(campaign_id, "lnk_2", 0.25))


def test_edits_belong_to_one_campaign(till: Till) -> None:
    edits, (a, b) = LinkEdits(till.database), sorted(till.campaign().campaign_id for _ in range(2))
    edits.put(edit(a))
    edits.put(edit(b, weight=1.0))
    assert edits.reset(a, "lnk_1", WHO)
    assert edits.of_campaigns([a, b]) == (edit(b, weight=1.0),)
    assert edits.of_campaigns([]) == ()


def test_only_what_changes_something_raises_the_revision_and_is_written_down(till: Till) -> None:
    edits, campaign_id = LinkEdits(till.database), till.campaign().campaign_id

    def revision() -> int:
        return till.store.revision().campaigns

    start, log = revision(), AuditLog(till.database)
    first = edits.put(edit(campaign_id))
    assert edits.put(replace(edit(campaign_id), edited_at=NOON + timedelta(hours=1), key_id="key_2")) == first
    assert edits.reset(campaign_id, "lnk_1", WHO)
    assert not edits.reset(campaign_id, "lnk_1", WHO)
    assert revision() == start + 2
    assert [each.change.action for each in log.page("acme", None, 10)][-2:] == ["link.veto", "link.reset"]
    assert log.verify().broken is None


def test_an_edit_of_a_campaign_that_has_moved_on_is_refused(till: Till) -> None:
    edits, campaign = LinkEdits(till.database), till.campaign()
    till.store.replace_campaign(replace(campaign, name="Other", version=2))
    with pytest.raises(ConflictError, match="changed at the same moment"):
        edits.put(edit(campaign.campaign_id), version=1)
    with pytest.raises(ConflictError):
        edits.reset(campaign.campaign_id, "lnk_1", WHO, version=1)
    assert edits.of_campaign(campaign.campaign_id) == ()
    edits.put(edit(campaign.campaign_id), version=2)


def test_writers_at_the_same_moment_leave_one_row_and_a_whole_audit_log(till: Till) -> None:
    campaign_id, weights = till.campaign().campaign_id, [float(each) for each in range(1, 9)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda weight: LinkEdits(till.database).put(edit(campaign_id, weight=weight)), weights))
    [standing] = LinkEdits(till.database).of_campaign(campaign_id)
    changes = [each.change for each in AuditLog(till.database).page("acme", None, 100)]
    chain = [each for each in changes if each.action == "link.boost"]
    assert len(chain) == len(weights)
    assert chain[-1].after == {"action": "boost", "weight": standing.weight}
    assert [each.before for each in chain[1:]] == [each.after for each in chain[:-1]]


@pytest.mark.parametrize("broken", ["action = 'add'", "weight = 1.0", "action = 'boost'"])
def test_the_database_itself_refuses_what_is_no_edit(till: Till, broken: str) -> None:
    LinkEdits(till.database).put(edit(till.campaign().campaign_id))
    with pytest.raises(IntegrityError), till.database.writing() as session:
        session.execute(text(f"UPDATE link_edits SET {broken}"))
