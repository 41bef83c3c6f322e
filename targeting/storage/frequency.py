"""How often a seeker has been shown a campaign: what the frequency cap goes by.

A promoted item that was served counts as shown, from the moment its reserve is written; one SELECT through the index
of reserves by seeker answers. What is served at the same moment to the same seeker is not seen: two requests side by
side may exceed the cap by one slate.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, func, select

from targeting.serving import ServingConfig
from targeting.storage.base import UtcTime
from targeting.storage.database import Database
from targeting.storage.ledger_tables import ReserveRow
from targeting.tokens import LIFE

_RESERVES = cast(Table, ReserveRow.__table__)
# what was served at t is let go of at t + life + grace
_SINCE = _RESERVES.c.release_at
_SHOWN = (
    select(_RESERVES.c.campaign_id, func.count(), func.count().filter(bindparam("hour", type_=UtcTime) < _SINCE))
    .where(_RESERVES.c.seeker_id == bindparam("seeker_id"), bindparam("day", type_=UtcTime) < _SINCE)
    .group_by(_RESERVES.c.campaign_id)
)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Frequency:
    """Reads the reserves; grace as the journal adds it to a token's life."""

    def __init__(self, database: Database, config: ServingConfig, grace: timedelta) -> None:
        self._database, self._config, self._after = database, config, LIFE + grace

    def tired(self, seeker_id: str | None, now: datetime) -> frozenset[str]:
        """Ids of the campaigns that this seeker has been shown as often as allowed; of an unknown one nothing is known.

        The last 60 minutes and 24 hours count, whatever the calendar says.
        """
        if seeker_id is None:
            return frozenset()
        since = {"seeker_id": seeker_id, "hour": now - HOUR + self._after, "day": now - DAY + self._after}
        with self._database.looking() as connection:
            rows = connection.execute(_SHOWN, since).all()
        per_hour, per_day = self._config.per_hour, self._config.per_day
        return frozenset(campaign_id for campaign_id, today, lately in rows if today >= per_day or lately >= per_hour)
