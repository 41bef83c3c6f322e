"""Money given back: a row beside the posting it undoes, once for ever; balances are net of it.

The posting, what its token was billed and the event stay as they were, so that nobody bills the same click again. The
room under the caps opens again for others. A cap that was kept up only by what had been spent comes down with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from market.errors import ConfigError, ConflictError, NotFoundError
from targeting.storage.balances import Balances, change_caps
from targeting.storage.database import Database
from targeting.storage.ledger_tables import CreditRow, PostingRow
from targeting.storage.store import campaign_of
from targeting.storage.tables import CampaignRow

_REASON = re.compile(r"[a-z][a-z0-9_]{0,31}")
_POSTINGS, _CREDITS = cast(Table, PostingRow.__table__), cast(Table, CreditRow.__table__)


@dataclass(frozen=True)
class Credit:
    """amount_micros of the posting of event_id, given back to the campaign for its local day of serving."""

    event_id: str
    campaign_id: str
    day: str
    amount_micros: int
    reason: str


class Credits:
    """Gives money back, each posting once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give_back(self, event_id: str, reason: str, now: datetime, amount_micros: int | None = None) -> Credit:
        """Give back a posting, or amount_micros of it; asking for the same again answers what was given.

        reason: a word such as `invalid_click` (a-z, digits and _, at most 32). NotFoundError when the event was billed
        nothing, ConflictError when it was credited differently before, ConfigError for an amount above the posting.
        """
        if not _REASON.fullmatch(reason):
            raise ConfigError(f"reason {reason!r}; expected at most 32 of a-z, 0-9 and _, such as invalid_click")
        with self._database.writing() as session:
            posted = session.scalar(select(_POSTINGS.c.amount_micros).where(_POSTINGS.c.event_id == event_id))
            if posted is None:
                raise NotFoundError(f"event {event_id!r} was billed nothing; give the id of a click that was")
            amount = posted if amount_micros is None else amount_micros
            if not 0 < amount <= posted:
                raise ConfigError(f"amount {amount}; expected 1 to {posted} micros, what the event was billed")
            given = credit(session, {event_id: reason}, now, {event_id: amount})
            if given:
                return given[0]
            [before] = credits_of(session, [event_id])
        if (before.reason, before.amount_micros) != (reason, amount):
            raise ConflictError(
                f"event {event_id!r} was credited {before.amount_micros} micros as {before.reason} before; "
                "a posting is given back once"
            )
        return before


def credit(
    session: Session, reasons: Mapping[str, str], now: datetime, amounts: Mapping[str, int] | None = None
) -> list[Credit]:
    """Give back the postings of {event id: reason} inside the caller's transaction; those given back before are left.

    amounts: micros of each, at most its posting (default: all of it). Returns what is new, by event id.
    """
    names = _POSTINGS.c.event_id, _POSTINGS.c.campaign_id, _POSTINGS.c.day, _POSTINGS.c.amount_micros
    found = session.execute(select(*names).where(_POSTINGS.c.event_id.in_(reasons)).order_by(_POSTINGS.c.event_id))
    given = [
        Credit(event_id, campaign_id, day, posted if amounts is None else amounts[event_id], reasons[event_id])
        for event_id, campaign_id, day, posted in found
    ]
    balances = Balances(session, {(each.campaign_id, each.day) for each in given})
    # Asked after the balances are locked: until then another writer may give the same posting back.
    before = {each.event_id for each in credits_of(session, list(reasons))}
    given = [each for each in given if each.event_id not in before]
    if not given:
        return []
    for each in given:
        balances.give_back((each.campaign_id, each.day), each.amount_micros)
    balances.save()
    rows = [{**vars(each), "credited_at": now} for each in given]
    session.connection().execute(insert(_CREDITS), rows)
    touched = {each.campaign_id for each in given}
    for row in session.scalars(select(CampaignRow).where(CampaignRow.campaign_id.in_(touched))):
        change_caps(session, campaign_of(row))
    return given


def credits_of(session: Session, event_ids: Sequence[str]) -> list[Credit]:
    """What was given back for these events, by event id."""
    names = [_CREDITS.c[name] for name in ("event_id", "campaign_id", "day", "amount_micros", "reason")]
    query = select(*names).where(_CREDITS.c.event_id.in_(event_ids)).order_by(_CREDITS.c.event_id)
    return [Credit(*row) for row in session.execute(query)]
