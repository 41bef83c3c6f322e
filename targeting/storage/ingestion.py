"""Events that come in: each is accepted once for ever, put into quarantine, or refused; valid clicks are billed.

    accepted     stored; a click of a promoted item is billed by its token, at most once
    duplicate    the same id with the same content was accepted before; answered as then, nothing is done
    conflict     the same id came before with another content; nothing is done
    quarantined  well-formed but late or unknown; kept, never billed, judged again when it is sent again or replayed
    rejected     malformed, or its token was not signed here or belongs to something else

What an erased person did is taken without their name where a token proves it, and billed; without a token the event is
answered quarantined, code `erased`, and not kept.

Sending a batch again is always safe. A token bounds billing by its own life; everything else it belongs to, an
application for example, is taken and attributed for `BillingConfig.attribution`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

import structlog
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from market.clock import format_rfc3339, parse_rfc3339
from market.errors import AuthError
from market.money import Money
from targeting.storage.database import Database
from targeting.storage.invalid_clicks import INVALID, InvalidClickConfig
from targeting.storage.journal import BillingConfig, Click, record, settle
from targeting.storage.ledger_tables import EventRow, QuarantineRow, ReserveRow
from targeting.storage.tables import JobRow
from targeting.storage.tombstones import Tombstones
from targeting.tokens import Token, token_id, verify

EventType = Literal["impression", "click", "apply_start", "apply_complete", "dismiss", "save", "hire"]
EventStatus = Literal["accepted", "duplicate", "conflict", "quarantined", "rejected"]

log = structlog.get_logger()

UNKNOWN = ("unknown_job", "unknown_token")  # codes of events that came before what they refer to
_REPLAYED = 500  # events judged again in one transaction
_EVENTS = cast(Table, EventRow.__table__)


@dataclass(frozen=True)
class Event:
    """What somebody did; occurred_at aware, in UTC. Without a token it names seeker and job itself."""

    event_id: str
    type: EventType
    occurred_at: datetime
    tracking_token: str | None = None
    seeker_id: str | None = None
    job_id: str | None = None
    request_id: str | None = None
    position: int | None = None
    reason: str | None = None

    def content(self) -> dict[str, Any]:
        """Everything but the id, as JSON has it; two spellings of one moment are the same content."""
        said = {name: value for name in _CONTENT if (value := getattr(self, name)) is not None}
        return {**said, "occurred_at": format_rfc3339(self.occurred_at)}

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()


_CONTENT = tuple(field.name for field in fields(Event) if field.name != "event_id")


@dataclass(frozen=True)
class Outcome:
    """What became of one event. billed: of a promoted click, what it cost (0 when nothing)."""

    event_id: str
    status: EventStatus
    code: str | None = None
    billed: Money | None = None


@dataclass(frozen=True)
class _Signed:
    """An event whose token, if it has one, was signed here."""

    event: Event
    digest: str
    token: Token | None
    token_id: str | None


@dataclass(frozen=True)
class _Known:
    """What the store knows of a batch: events accepted or held back before, served tokens, jobs."""

    accepted: Mapping[str, tuple[str, Outcome]]  # event id -> digest, how it was answered
    held_back: Mapping[str, str]  # event id -> digest
    held_for: Mapping[str, str]  # event id -> code
    seekers: Mapping[str, str | None]  # token id -> seeker it was served to
    jobs: frozenset[str]


class Ingestion:
    """Takes batches of events; when `take` returns they are durable and billed."""

    def __init__(
        self,
        database: Database,
        secret: bytes,
        config: BillingConfig = BillingConfig(),
        invalid: InvalidClickConfig = InvalidClickConfig(),
    ) -> None:
        self._database, self._secret, self._config, self._invalid = database, secret, config, invalid
        self._tombstones = Tombstones(secret)

    def take(self, events: Sequence[Event], now: datetime) -> list[Outcome]:
        """One outcome per event, in order; within a batch the first event of an id counts."""
        outcomes: list[Outcome | None] = [None] * len(events)
        signed: dict[int, _Signed] = {}
        for at, event in enumerate(events):
            try:
                signed[at] = self._read(event)
            except AuthError:
                outcomes[at] = Outcome(event.event_id, "rejected", "bad_token")
        found = self._database.write(lambda session: self._taken(session, signed, outcomes, now))
        if conflicts := sum(outcome.status == "conflict" for outcome in found):
            log.warning("events with a known id and another content", conflicts=conflicts)
        return found

    def replay(self, now: datetime) -> list[Outcome]:
        """Judge again what was held back because its job or token was not known; the outcomes of what was settled.

        What is too late by now stays in quarantine for good and is never billed. Safe to repeat.
        """
        settled: list[Outcome] = []
        after = ""
        while True:
            query = select(QuarantineRow).where(QuarantineRow.code.in_(UNKNOWN), QuarantineRow.event_id > after)
            with self._database.reading() as session:
                held = session.scalars(query.order_by(QuarantineRow.event_id).limit(_REPLAYED)).all()
                events = [_event_of(row.event_id, row.payload) for row in held]
            if not events:
                return settled
            outcomes = self.take(events, now)
            settled += [each for each in outcomes if each.status == "accepted" or each.code == "late"]
            after = events[-1].event_id

    def _taken(
        self, session: Session, signed: dict[int, _Signed], outcomes: list[Outcome | None], now: datetime
    ) -> list[Outcome]:
        """What is answered to the whole batch; it may be asked again after a collision with another batch."""
        signed, outcomes = self._without_erased(session, signed, outcomes)
        known = _known(session, list(signed.values()))
        fresh: dict[str, tuple[int, _Signed]] = {}
        for at, each in signed.items():
            verdict = self._judged(each, known, now)
            earlier = fresh.get(each.event.event_id)
            if earlier is not None and verdict.status in ("accepted", "quarantined"):
                same = earlier[1].digest == each.digest
                verdict = replace(verdict, status="duplicate" if same else "conflict", code=None)
            elif verdict.status in ("accepted", "quarantined"):
                fresh[each.event.event_id] = at, each
            outcomes[at] = verdict
        taken = [(each, outcomes[at]) for at, each in fresh.values()]
        accepted = [each for each, verdict in taken if verdict is not None and verdict.status == "accepted"]
        charges = self._store(session, accepted, known, now)
        held = [(each, v) for each, v in taken if v is not None and v.status == "quarantined"]
        _hold_back(session, held, known, now)
        for event_id, (money, code) in charges.items():
            at = fresh[event_id][0]
            outcomes[at] = Outcome(event_id, "accepted", code, money)
        return [outcome for outcome in outcomes if outcome is not None]

    def _read(self, event: Event) -> _Signed:
        if event.tracking_token is None:
            return _Signed(event, event.digest(), None, None)
        token = verify(event.tracking_token, self._secret)
        return _Signed(event, event.digest(), token, token_id(event.tracking_token))

    def _without_erased(
        self, session: Session, signed: Mapping[int, _Signed], outcomes: Sequence[Outcome | None]
    ) -> tuple[dict[int, _Signed], list[Outcome | None]]:
        """The batch without the names of people who were erased.

        What their tokens prove is taken, money too, and belongs to the pseudonym the token's reserve has by now.
        Without a token an event would only bring the person back: it is answered `erased`, and not kept.
        """
        named = {each.event.seeker_id for each in signed.values() if each.event.seeker_id is not None}
        erased = self._tombstones.among(session, named)
        kept, answers = dict(signed), list(outcomes)
        for at, each in signed.items():
            if each.event.seeker_id not in erased:
                continue
            if each.token is None:
                answers[at] = Outcome(each.event.event_id, "quarantined", "erased")
                del kept[at]
            else:
                nameless = replace(each.event, seeker_id=None, request_id=None, reason=None)
                kept[at] = replace(each, event=nameless, digest=self._tombstones.rekeyed(each.digest))
        return kept, answers

    def _judged(self, signed: _Signed, known: _Known, now: datetime) -> Outcome:
        event_id = signed.event.event_id
        if event_id in known.accepted:
            digest, answered = known.accepted[event_id]
            same = digest in (signed.digest, self._tombstones.rekeyed(signed.digest))
            return answered if same else Outcome(event_id, "conflict")
        held = known.held_back.get(event_id)
        if held not in (None, signed.digest) and held != self._tombstones.rekeyed(signed.digest):
            return Outcome(event_id, "conflict")
        if _names_another(signed, known):
            return Outcome(event_id, "rejected", "token_mismatch")
        why = self._why_not(signed, known, now)
        if why is not None:
            return Outcome(event_id, "quarantined", why)
        return Outcome(event_id, "accepted")

    def _why_not(self, signed: _Signed, known: _Known, now: datetime) -> str | None:
        """Why a well-formed event can not be taken now (None: it can)."""
        event, token, config = signed.event, signed.token, self._config
        if event.occurred_at > now + config.ahead:
            return "in_the_future"
        if event.occurred_at < now - config.attribution:
            return "late"
        if token is None:
            return None if event.job_id in known.jobs else "unknown_job"
        if signed.token_id not in known.seekers:
            return "unknown_token"
        issued, expires = (datetime.fromtimestamp(at, UTC) for at in (token.issued_at, token.expires_at))
        if event.occurred_at < issued - config.ahead:
            return "before_serving"
        if event.type == "click" and (event.occurred_at >= expires or now >= expires + config.grace):
            return "late"
        if event.type != "hire" and now >= issued + config.attribution:
            return "late"
        return None

    def _store(
        self, session: Session, accepted: Sequence[_Signed], known: _Known, now: datetime
    ) -> dict[str, tuple[Money, str | None]]:
        """Bill the clicks, store the events, add the postings; {event id: (billed, why not its price)} of clicks."""
        currency: dict[str, str] = {}
        billed: dict[str, tuple[Money, str | None]] = {}
        clicks = []
        for each in accepted:
            if each.token is not None and each.token_id is not None and each.event.type == "click":
                if self._invalid.too_soon(each.event.occurred_at, each.token.issued_at):
                    billed[each.event.event_id] = Money(0, each.token.currency), INVALID
                    continue
                currency[each.event.event_id] = each.token.currency
                clicks.append(Click(each.event.event_id, each.token_id, each.token.campaign_id, each.token.day))
        charges = settle(session, clicks)
        for charge in charges:
            event_id = charge.click.event_id
            billed[event_id] = Money(charge.amount_micros, currency[event_id]), charge.code
        # By id, so that two batches with events in common wait for each other in one direction only.
        accepted = sorted(accepted, key=lambda each: each.event.event_id)
        rows = [self._row(each, known, billed.get(each.event.event_id), now) for each in accepted]
        if rows:
            session.connection().execute(insert(_EVENTS), rows)
        record(session, charges, now)
        again = [each.event.event_id for each in accepted if each.event.event_id in known.held_back]
        if again:
            session.execute(delete(QuarantineRow).where(QuarantineRow.event_id.in_(again)))
        return billed

    def _row(
        self, signed: _Signed, known: _Known, billed: tuple[Money, str | None] | None, now: datetime
    ) -> dict[str, object]:
        event, token = signed.event, signed.token
        served_to = None if signed.token_id is None else known.seekers[signed.token_id]
        row: dict[str, object] = {
            "event_id": event.event_id,
            "digest": signed.digest,
            "type": event.type,
            "occurred_at": event.occurred_at,
            "received_at": now,
            "seeker_id": event.seeker_id if served_to is None else served_to,
            "job_id": event.job_id if token is None else token.job_id,
            "request_id": event.request_id,
            "position": event.position if token is None else token.position,
            "reason": event.reason,
            "token_id": signed.token_id,
            "campaign_id": None if token is None or self._too_late_to_attribute(token, now) else token.campaign_id,
            "billed_micros": None if billed is None else billed[0].amount_micros,
            "currency": None if billed is None else billed[0].currency,
            "code": None if billed is None else billed[1],
        }
        return row

    def _too_late_to_attribute(self, token: Token, now: datetime) -> bool:
        return now >= datetime.fromtimestamp(token.issued_at, UTC) + self._config.attribution


def _names_another(signed: _Signed, known: _Known) -> bool:
    """Does the event name a job or a seeker that its token was not served for?"""
    event, token = signed.event, signed.token
    if token is None or signed.token_id is None:
        return False
    served_to = known.seekers.get(signed.token_id)
    other_seeker = event.seeker_id is not None and served_to is not None and event.seeker_id != served_to
    return other_seeker or (event.job_id is not None and event.job_id != token.job_id)


def _known(session: Session, signed: Sequence[_Signed]) -> _Known:
    event_ids = {each.event.event_id for each in signed}
    tokens = {each.token_id for each in signed if each.token_id is not None}
    jobs = {each.event.job_id for each in signed if each.token is None}
    accepted = {
        row.event_id: (row.digest, _answered(row))
        for row in session.scalars(select(EventRow).where(EventRow.event_id.in_(event_ids)))
    }
    names = QuarantineRow.event_id, QuarantineRow.digest, QuarantineRow.code
    held = session.execute(select(*names).where(QuarantineRow.event_id.in_(event_ids))).all()
    served = select(ReserveRow.token_id, ReserveRow.seeker_id).where(ReserveRow.token_id.in_(tokens))
    found = session.scalars(select(JobRow.job_id).where(JobRow.job_id.in_(jobs)))
    return _Known(
        accepted,
        {event_id: digest for event_id, digest, _ in held},
        {event_id: code for event_id, _, code in held},
        {key: seeker_id for key, seeker_id in session.execute(served)},
        frozenset(found),
    )


def _answered(row: EventRow) -> Outcome:
    billed = None if row.billed_micros is None or row.currency is None else Money(row.billed_micros, row.currency)
    return Outcome(row.event_id, "duplicate", row.code, billed)


def _hold_back(session: Session, held: Sequence[tuple[_Signed, Outcome]], known: _Known, now: datetime) -> None:
    rows = []
    for each, outcome in held:
        missed = each.token if outcome.code == "late" and each.event.type == "click" else None
        why = {
            "code": outcome.code,
            "campaign_id": None if missed is None else missed.campaign_id,
            "price_micros": None if missed is None else missed.price_micros,
        }
        if each.event.event_id in known.held_back:
            if known.held_for[each.event.event_id] != outcome.code:
                here = QuarantineRow.event_id == each.event.event_id
                session.execute(update(QuarantineRow).where(here).values(**why))
            continue
        said = {"event_id": each.event.event_id, "digest": each.digest, "payload": each.event.content()}
        rows.append({**said, **why, "received_at": now})
    if rows:
        session.execute(insert(QuarantineRow), sorted(rows, key=lambda row: str(row["event_id"])))


def _event_of(event_id: str, payload: Mapping[str, Any]) -> Event:
    return Event(event_id, **{**payload, "occurred_at": parse_rfc3339(str(payload["occurred_at"]))})
