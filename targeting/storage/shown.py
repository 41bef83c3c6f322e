"""What was served under a token, from the log of slates, for explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from market.errors import AuthError, NotFoundError
from targeting.explanation import Shown, fired_links_of
from targeting.storage.database import Database
from targeting.storage.ledger_tables import ReserveRow, SlateRow
from targeting.storage.tables import CampaignRow, JobRow
from targeting.tokens import Token, token_id, verify


class ShownLog:
    """Finds a promoted item by its token, for those to whom its campaign exists."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database, self._secret = database, secret

    def find(self, tracking_token: str, scope: str | None) -> tuple[Token, Shown]:
        """NotFoundError, always in the same words: forged, never served, or of another account's campaign."""
        missing = NotFoundError("no promoted item was served under this tracking_token; send it as it was served")
        try:
            token = verify(tracking_token, self._secret)
        except AuthError:
            raise missing from None
        served = (
            select(SlateRow, CampaignRow, JobRow)
            .join(ReserveRow, ReserveRow.slate_id == SlateRow.slate_id)
            .join(CampaignRow, CampaignRow.campaign_id == ReserveRow.campaign_id)
            .join(JobRow, JobRow.job_id == CampaignRow.job_id)
            .where(ReserveRow.token_id == token_id(tracking_token))
        )
        if scope is not None:
            served = served.where(CampaignRow.account_id == scope)
        with self._database.reading() as session:
            found = session.execute(served).one_or_none()
            if found is None:
                raise missing
            slate, campaign, job = found
            return token, _shown(token, slate, campaign, job)


def _shown(token: Token, slate: SlateRow, campaign: CampaignRow, job: JobRow) -> Shown:
    logged: Mapping[str, Any] = next((item for item in slate.items if item.get("campaign_id") == token.campaign_id), {})
    return Shown(
        job_id=token.job_id,
        title=job.title,
        campaign_id=token.campaign_id,
        account_id=campaign.account_id,
        on_behalf_of=logged.get("on_behalf_of") or job.company,
        position=token.position,
        served_at=slate.served_at,
        reasons=tuple(logged.get("reasons", ())),
        links=fired_links_of(logged.get("links", ())),
        by_lot=bool(logged.get("explored", False)),
    )
