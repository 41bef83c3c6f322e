"""Link edits on disk: one row per link of a campaign that a person has decided something about.

Every change raises the revision of campaigns, so that each process carries it over before its next search, and is
written into the audit log in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import Session

from market.errors import ConflictError
from targeting.link_targeting import CampaignLinkEdit, EditAction
from targeting.storage.audit_log import Change, Who, append
from targeting.storage.database import Database
from targeting.storage.store import raise_revision
from targeting.storage.tables import CampaignRow, LinkEditRow

_CHUNK = 5_000


class LinkEdits:
    """What stands. A link without a row is used as it was learned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_campaign(self, campaign_id: str) -> tuple[CampaignLinkEdit, ...]:
        """By link id."""
        return self.of_campaigns([campaign_id])

    def of_campaigns(self, campaign_ids: Collection[str]) -> tuple[CampaignLinkEdit, ...]:
        """By campaign and link id."""
        wanted, found = sorted(campaign_ids), []
        with self._database.reading() as session:
            for start in range(0, len(wanted), _CHUNK):
                query = _edits().where(LinkEditRow.campaign_id.in_(wanted[start : start + _CHUNK]))
                found += [_edit_of(row, job_id) for row, job_id in session.execute(query)]
        return tuple(found)

    def put(self, edit: CampaignLinkEdit, version: int | None = None) -> CampaignLinkEdit:
        """Store the edit in place of an earlier one of the same link; what stands now.

        Saying the same again changes nothing, not even the time. version: that of the campaign the caller has seen;
        ConflictError when the campaign has moved on. The campaign has to exist.
        """
        with self._database.writing() as session:
            before = self._standing(session, edit.campaign_id, edit.link_id, version)
            if before is not None and (before.action, before.weight) == (edit.action, edit.weight):
                return before
            place = _place(edit.campaign_id, edit.link_id)
            session.execute(delete(LinkEditRow).where(place))
            sides = {"seeker": list(edit.seeker), "job": list(edit.job)}
            columns = {name: value for name, value in vars(edit).items() if name != "job_id"}
            session.execute(insert(LinkEditRow).values(**columns | sides))
            self._changed(session, edit, before, edit)
            return edit

    def reset(self, campaign_id: str, link_id: str, who: Who, version: int | None = None) -> bool:
        """Forget what was decided about the link; False when nothing was."""
        with self._database.writing() as session:
            before = self._standing(session, campaign_id, link_id, version)
            if before is None:
                return False
            session.execute(delete(LinkEditRow).where(_place(campaign_id, link_id)))
            self._changed(session, replace(before, key_id=who.key_id, edited_at=who.at), before, None)
            return True

    def _standing(
        self, session: Session, campaign_id: str, link_id: str, version: int | None
    ) -> CampaignLinkEdit | None:
        # The lock on the campaign's row lets writers of its edits follow one another on every database.
        campaign = select(CampaignRow.version).where(CampaignRow.campaign_id == campaign_id).with_for_update()
        now = session.scalar(campaign)
        if version is not None and now != version:
            raise ConflictError("the campaign was changed at the same moment; read it again and repeat")
        found = session.execute(_edits().where(_place(campaign_id, link_id))).one_or_none()
        return None if found is None else _edit_of(*found)

    def _changed(
        self, session: Session, done: CampaignLinkEdit, before: CampaignLinkEdit | None, after: CampaignLinkEdit | None
    ) -> None:
        raise_revision(session, "campaigns")
        owner = select(CampaignRow.account_id).where(CampaignRow.campaign_id == done.campaign_id)
        account = session.execute(owner).scalar_one()
        action = f"link.{'reset' if after is None else after.action}"
        objects = f"{done.campaign_id}/{done.link_id}"
        was, now = (
            None if each is None else {"action": each.action, "weight": each.weight} for each in (before, after)
        )
        append(session, Change(done.edited_at, account, done.key_id, action, objects, was, now))


def _edits() -> Select[LinkEditRow, str]:
    joined = select(LinkEditRow, CampaignRow.job_id).join(
        CampaignRow, CampaignRow.campaign_id == LinkEditRow.campaign_id
    )
    return joined.order_by(LinkEditRow.campaign_id, LinkEditRow.link_id)


def _place(campaign_id: str, link_id: str) -> Any:
    return (LinkEditRow.campaign_id == campaign_id) & (LinkEditRow.link_id == link_id)


def _edit_of(row: LinkEditRow, job_id: str) -> CampaignLinkEdit:
    return CampaignLinkEdit(
        row.campaign_id,
        job_id,
        row.link_id,
        tuple(row.seeker),
        tuple(row.job),
        cast(EditAction, row.action),
        row.weight,
        row.key_id,
        row.edited_at,
    )
