"""The ledger on disk: what was served, what is reserved for it, what its clicks were billed.

    serving    reserve    holds the expected charge of each promoted item, and logs the slate, in one transaction
    click      settle     lets go of the hold and posts min(price, room under the caps), once a token
    silence    release    lets go of the hold when no billable click can come any more

posted <= cap is a constraint of the database. The posted total does not depend on the order in which clicks arrive:
it is min(cap, sum over days of min(day's cap, sum over lanes of the dearest price clicked)). A lane is one seeker,
one campaign, one local day and one window of serving time: clicks in it are billed together as much as the dearest.
(Which day gets the last of a total that binds does depend on the order.) Postings are never changed or deleted; what
is given back (`targeting.storage.credits`) is a row of its own, and posted is net of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Table, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from market.clock import account_day
from market.errors import ConfigError, NotFoundError
from targeting.campaigns import Campaign, Status, over, status_at
from targeting.engine import SlateItem, explained
from targeting.ledger import KAPPA, held_micros
from targeting.slate import placement
from targeting.storage.balances import Balances, Place, short_of_money
from targeting.storage.database import Database
from targeting.storage.ledger_tables import (
    BalanceRow,
    CreditRow,
    DayBalanceRow,
    PostingRow,
    QuarantineRow,
    ReserveRow,
    SlateRow,
)
from targeting.storage.tables import CampaignRow, JobRow
from targeting.storage.together import Together
from targeting.storage.tombstones import Tombstones
from targeting.tokens import Token, token_id

SWEEP = timedelta(seconds=1)
_SWEPT = 1_000  # reserves released in one transaction
_RESERVES, _POSTINGS = cast(Table, ReserveRow.__table__), cast(Table, PostingRow.__table__)
_SLATES = cast(Table, SlateRow.__table__)


@dataclass(frozen=True)
class BillingConfig:
    """grace: how long after a token's expiry its click may still arrive; window: serving time of one lane, see above.

    attribution: for how long events are taken and a token's applications and hires credited to its campaign;
    ahead: how far a sender's clock may run ahead of ours; kappa: what is reserved, in expected charges;
    serving_wait_seconds: how long a slate waits for other writers before it goes out without promoted items.
    """

    grace: timedelta = timedelta(minutes=10)
    window: timedelta = timedelta(minutes=30)
    attribution: timedelta = timedelta(days=90)
    ahead: timedelta = timedelta(minutes=5)
    kappa: float = KAPPA
    serving_wait_seconds: float = 0.25

    def __post_init__(self) -> None:
        for name in ("grace", "ahead"):
            if getattr(self, name) < timedelta(0):
                raise ConfigError(f"{name} {getattr(self, name)} is negative; give a span of time")
        if self.window < timedelta(seconds=1) or self.attribution < timedelta(seconds=1):
            raise ConfigError("window and attribution are at least one second")
        if not self.kappa > 0:
            raise ConfigError(f"kappa {self.kappa}; reserves need a factor above zero")
        if not self.serving_wait_seconds >= 0:
            raise ConfigError(f"serving_wait_seconds {self.serving_wait_seconds}; give zero or more")


@dataclass(frozen=True)
class Served:
    """One slate as it is about to be shown."""

    slate_id: str
    seeker_id: str | None
    items: tuple[SlateItem, ...]

    @property
    def promoted(self) -> list[tuple[str, Token]]:
        """(token id, token) of the items that cost somebody something."""
        return [
            (token_id(item.tracking_token), item.offer)
            for item in self.items
            if item.tracking_token is not None and item.offer is not None
        ]


@dataclass(frozen=True)
class Click:
    """A valid click, to be billed; a second one of the same token is billed nothing. day: that of serving."""

    event_id: str
    token_id: str
    campaign_id: str
    day: str


@dataclass(frozen=True)
class Charge:
    """What a click was billed; code says why it was less than its price (None: it was not)."""

    click: Click
    amount_micros: int
    code: str | None


@dataclass(frozen=True)
class Totals:
    """Micros of one campaign.

    posted is net of credited, what was given back; unbilled: prices of clicks minus what was billed, late clicks
    included, clicks that nobody would pay for (see `invalid_clicks`) not.
    """

    cap: int
    posted: int
    reserved: int
    credited: int
    unbilled: int
    posted_by_day: Mapping[str, int]


class Journal:
    """The only writer of money. Every method is one transaction, durable when it returns."""

    def __init__(
        self, database: Database, config: BillingConfig = BillingConfig(), tombstones: Tombstones | None = None
    ) -> None:
        """tombstones: whoever was erased is served as somebody unknown."""
        self._database, self.config, self._tombstones = database, config, tombstones
        self._swept = datetime.min.replace(tzinfo=UTC)
        self._together = Together[tuple[Served, datetime], frozenset[str]](self._reserve_all)

    def reserve(self, served: Served, now: datetime) -> frozenset[str]:
        """Hold the expected charges and log the slate; or do nothing and return the campaigns that may not serve.

        A campaign serves when it is active, its job is there, and a reservation fits under both of its caps. A token
        that was served before is held and billed only once. Slates that come at the same moment share a transaction.
        """
        return self._together((served, now))

    def release(self, now: datetime) -> int:
        """Let go of reserves whose click can not come any more; returns how many (at most 1,000).

        Campaigns on which another writer is at work are left for the next time.
        """

        def release(session: Session) -> int:
            due = _due_places(session, now)
            return _release(session, Balances(session, (), spare=set(due.values())), due)

        return self._database.write(release)

    def closed(self, running: Sequence[Campaign], now: datetime) -> frozenset[str]:
        """Ids of the running campaigns that have nothing left to reserve at `now`, in total or today."""
        with self._database.reading() as session:
            due = session.scalar(select(func.count()).where(*_due(now)))
        if due:
            self.release(now)
        days = {each.campaign_id: account_day(now, each.time_zone).isoformat() for each in running}
        with self._database.reading() as session:
            return short_of_money(session, days) if days else frozenset()

    def totals(self, campaign_id: str) -> Totals:
        """Where the campaign's money is; NotFoundError when there is no such campaign."""
        days = select(DayBalanceRow).where(DayBalanceRow.campaign_id == campaign_id).order_by(DayBalanceRow.day)
        clicked = (ReserveRow.campaign_id == campaign_id) & (ReserveRow.state == "clicked")
        missed = func.coalesce(func.sum(ReserveRow.price_micros - ReserveRow.posted_micros), 0)
        late = func.coalesce(func.sum(QuarantineRow.price_micros), 0)
        with self._database.reading() as session:
            row = session.get(BalanceRow, campaign_id)
            if row is None:
                raise NotFoundError(f"no campaign {campaign_id!r}; GET /v1/campaigns lists yours")
            sums = select(missed).where(clicked), select(late).where(QuarantineRow.campaign_id == campaign_id)
            unbilled = sum(int(session.execute(query).scalar_one() or 0) for query in sums)
            given_back = select(func.sum(CreditRow.amount_micros)).where(CreditRow.campaign_id == campaign_id)
            credited = int(session.scalar(given_back) or 0)
            by_day = {day.day: day.posted_micros for day in session.scalars(days)}
            return Totals(row.cap_micros, row.posted_micros, row.reserved_micros, credited, unbilled, by_day)

    def _reserve_all(self, slates: Sequence[tuple[Served, datetime]]) -> list[frozenset[str]]:
        return self._database.write(lambda session: self._reserve(session, slates), self.config.serving_wait_seconds)

    def _reserve(self, session: Session, slates: Sequence[tuple[Served, datetime]]) -> list[frozenset[str]]:
        """Slate by slate, in order; everything is read before the first and written after the last."""
        now = max(served_at for _, served_at in slates)
        offers = [offer for served, _ in slates for offer in served.promoted]
        places = {(token.campaign_id, token.day) for _, token in offers}
        due = _due_places(session, now) if self._sweeps(now) else {}
        balances = Balances(session, places, spare=set(due.values()))
        _release(session, balances, due)
        stopped = {campaign_id for campaign_id, _ in places} - _serving(session, places, now)
        known = set(session.connection().execute(_TOKENS, {"tokens": [key for key, _ in offers]}).scalars())
        erased = self._erased(session, {served.seeker_id for served, _ in slates if served.seeker_id is not None})
        answers, logged, rows = [], [], []
        for served, served_at in slates:
            if served.seeker_id in erased:
                served = replace(served, seeker_id=None)
            refused, held = self._fitting(served, balances, stopped, known)
            answers.append(refused)
            if not refused:
                for place, _, micros in held.values():
                    balances.reserve(place, micros)
                known |= held.keys()
                logged.append(_slate_row(served, served_at))
                rows += [self._reserve_row(key, token, served, micros) for key, (_, token, micros) in held.items()]
        balances.save()
        if logged:
            session.connection().execute(insert(_SLATES), logged)
        if rows:
            session.connection().execute(insert(_RESERVES), rows)
        return answers

    def _sweeps(self, now: datetime) -> bool:
        """Once a second is often enough to look for what is due; whoever serves looks, if nobody else did."""
        if timedelta(0) <= now - self._swept < SWEEP:
            return False
        self._swept = now
        return True

    def _fitting(
        self, served: Served, balances: Balances, stopped: set[str], known: set[str]
    ) -> tuple[frozenset[str], dict[str, tuple[Place, Token, int]]]:
        """(campaigns that may not serve, what the others' tokens hold) of one slate; nothing is moved yet."""
        refused: set[str] = set()
        held: dict[str, tuple[Place, Token, int]] = {}
        taken: dict[str, int] = {}  # of a campaign, by this slate
        for key, token in served.promoted:
            place = token.campaign_id, token.day
            micros = int(held_micros(token.p_click, token.price_micros, self.config.kappa))
            before = taken.get(token.campaign_id, 0)
            if token.campaign_id in stopped or balances.free(place) - before < max(1, micros):
                refused.add(token.campaign_id)
            elif key not in known and key not in held:
                held[key] = place, token, micros
                taken[token.campaign_id] = before + micros
        return frozenset(refused), held

    def _erased(self, session: Session, seekers: set[str]) -> frozenset[str]:
        return frozenset() if self._tombstones is None else frozenset(self._tombstones.among(session, seekers))

    def _reserve_row(self, key: str, token: Token, served: Served, held: int) -> dict[str, object]:
        return {
            "token_id": key,
            "slate_id": served.slate_id,
            "campaign_id": token.campaign_id,
            "seeker_id": served.seeker_id,
            "day": token.day,
            "lane": _lane(token, served.seeker_id, self.config.window),
            "price_micros": token.price_micros,
            "held_micros": held,
            "posted_micros": 0,
            "state": "open",
            "release_at": datetime.fromtimestamp(token.expires_at, UTC) + self.config.grace,
        }


def _due_places(session: Session, now: datetime) -> dict[str, Place]:
    """{token id: its place} of reserves that are due, as far as one can tell before their balances are locked."""
    query = select(_RESERVES.c.token_id, _RESERVES.c.campaign_id, _RESERVES.c.day).where(*_due(now))
    rows = session.execute(query.order_by(_RESERVES.c.release_at).limit(_SWEPT))
    return {token: (campaign_id, day) for token, campaign_id, day in rows}


def _release(session: Session, balances: Balances, due: Mapping[str, Place]) -> int:
    """Let go of those of `due` whose balance is locked and whose token nobody settled in the meantime."""
    locked = [token for token, place in due.items() if place in balances]
    if not locked:
        return 0
    here = _RESERVES.c.token_id.in_(locked), _RESERVES.c.state == "open"
    released = update(_RESERVES).where(*here).values(state="released")
    gone = session.execute(released.returning(_RESERVES.c.token_id, _RESERVES.c.held_micros)).all()
    for token, held in gone:
        balances.reserve(due[token], -held)
    balances.save()
    return len(gone)


def settle(session: Session, clicks: Sequence[Click]) -> list[Charge]:
    """Bill valid clicks inside the caller's transaction, in order; `record` follows once their events are stored.

    Each token has to have a reserve. A click whose hold was released is billed all the same, as far as caps allow.
    """
    if not clicks:
        return []
    balances = Balances(session, {(click.campaign_id, click.day) for click in clicks})
    # Read after the balances are locked: until then another writer may settle the same token.
    names = ("token_id", "lane", "price_micros", "held_micros", "state")
    tokens = {click.token_id for click in clicks}
    query = select(*(_RESERVES.c[name] for name in names)).where(_RESERVES.c.token_id.in_(tokens))
    reserves = {row.token_id: row for row in session.execute(query)}
    in_lane = _posted_by_lane(session, {row.lane for row in reserves.values() if row.lane is not None})
    charges: list[Charge] = []
    clicked: dict[str, int] = {}  # what was billed now
    for click in clicks:
        _, lane, price, held, state = reserves[click.token_id]
        place = click.campaign_id, click.day
        if state == "clicked" or click.token_id in clicked:
            charges.append(Charge(click, 0, "repeated_click"))
            continue
        if state == "open":
            balances.reserve(place, -held)
        before = 0 if lane is None else in_lane.get(lane, 0)
        left = max(0, price - before)
        amount = balances.post(place, left)
        if lane is not None:
            in_lane[lane] = before + amount
        clicked[click.token_id] = amount
        code = "cap_reached" if amount < left else "same_seeker" if left < price else None
        charges.append(Charge(click, amount, code))
    balances.save()
    if clicked:
        moves = [{"at_token": token, "billed": amount} for token, amount in clicked.items()]
        session.connection().execute(_CLICKED, moves)
    return charges


def record(session: Session, charges: Sequence[Charge], now: datetime) -> None:
    """Add the postings of what was charged; their events are stored already."""
    rows = [
        {
            "event_id": charge.click.event_id,
            "token_id": charge.click.token_id,
            "campaign_id": charge.click.campaign_id,
            "day": charge.click.day,
            "amount_micros": charge.amount_micros,
            "posted_at": now,
        }
        for charge in charges
        if charge.amount_micros > 0
    ]
    if rows:
        session.connection().execute(insert(_POSTINGS), rows)


_CLICKED = (
    update(_RESERVES)
    .where(_RESERVES.c.token_id == bindparam("at_token"))
    .values(state="clicked", posted_micros=bindparam("billed"))
)


_TOKENS = select(_RESERVES.c.token_id).where(_RESERVES.c.token_id.in_(bindparam("tokens", expanding=True)))
_RUN = CampaignRow.campaign_id, CampaignRow.status, CampaignRow.starts_at, CampaignRow.ends_at
_RUNNING = (
    select(*_RUN, JobRow.deleted, JobRow.expires_at)
    .join(JobRow, JobRow.job_id == CampaignRow.job_id)
    .where(CampaignRow.campaign_id.in_(bindparam("campaigns", expanding=True)))
)


def _due(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _RESERVES.c.state == "open", _RESERVES.c.release_at <= now


def _serving(session: Session, places: set[tuple[str, str]], now: datetime) -> set[str]:
    """The campaigns of `places` that may be shown now, by the rule that delivery is explained with."""
    rows = session.connection().execute(_RUNNING, {"campaigns": sorted({campaign_id for campaign_id, _ in places})})
    return {
        campaign_id
        for campaign_id, status, starts_at, ends_at, deleted, expires_at in rows
        if status_at(cast(Status, status), starts_at, ends_at, now) == "active"
        and not deleted
        and not over(expires_at, now)
    }


def _slate_row(served: Served, now: datetime) -> dict[str, object]:
    names = ("job_id", "kind", "position", "score", "campaign_id")
    items = [{name: getattr(item, name) for name in names} | explained(item) | placement(item) for item in served.items]
    return {"slate_id": served.slate_id, "seeker_id": served.seeker_id, "served_at": now, "items": items}


def _posted_by_lane(session: Session, lanes: set[str]) -> dict[str, int]:
    if not lanes:
        return {}
    query = select(_RESERVES.c.lane, func.sum(_RESERVES.c.posted_micros)).where(_RESERVES.c.lane.in_(lanes))
    query = query.group_by(_RESERVES.c.lane)
    return {lane: int(posted) for lane, posted in session.execute(query) if lane is not None}


def _lane(token: Token, seeker_id: str | None, window: timedelta) -> str | None:
    """Hex; None for an unknown seeker, whose clicks have nothing in common. Lies within one day by construction."""
    return None if seeker_id is None else lane_of(token.campaign_id, seeker_id, token.day, token.issued_at, window)


def lane_of(campaign_id: str, seeker_id: str, day: str, issued_at: int, window: timedelta) -> str:
    """The lane of a token issued at that second; erasing its seeker gives it another name."""
    number = issued_at // int(window.total_seconds())
    return hashlib.sha256(f"{campaign_id}\n{seeker_id}\n{day}\n{number}".encode()).hexdigest()
