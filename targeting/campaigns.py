"""A campaign: one job, a budget, a bid and a span of time; the rules it obeys and the moves it can make.

    draft ──activate──▶ scheduled ──time──▶ active ⇄ paused ──time──▶ completed
      └───────────────────── cancel, from any of the first four ────▶ cancelled

`status` is what people decided, carried forward by the clock (`as_of`); `delivery` says whether it is shown now, and
why not. Everything here is pure: no database, no clock of its own, no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Literal, get_args
from zoneinfo import available_timezones

from market.clock import format_rfc3339
from market.errors import ConflictError, UserError
from market.money import Money
from market.records import Job

Objective = Literal["qualified_applications", "hires", "clicks"]
Pacing = Literal["even", "traffic", "asap"]
BidMode = Literal["auto", "manual"]
Status = Literal["draft", "scheduled", "active", "paused", "completed", "cancelled"]
Move = Literal["activate", "pause", "resume", "cancel"]
DeliveryState = Literal["not_started", "waiting", "delivering", "paused", "blocked", "ended"]

MOVES: tuple[Move, ...] = get_args(Move)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FROM: Mapping[Move, tuple[Status, ...]] = {
    "activate": ("draft",),
    "pause": ("active",),
    "resume": ("paused",),
    "cancel": ("draft", "scheduled", "active", "paused"),
}


class CampaignError(UserError):
    """A campaign breaks a rule; `pointer` is the JSON pointer of the field to mend."""

    code = "bad_campaign"

    def __init__(self, pointer: str, message: str) -> None:
        self.pointer = pointer
        super().__init__(message)


@dataclass(frozen=True)
class Budget:
    """total is spent at most over the life of the campaign, daily at most on each of its local days."""

    total: Money
    daily: Money | None = None


@dataclass(frozen=True)
class Bid:
    """max_cpc is the most a click may cost: what a manual bid bids unless it is paced, an optional ceiling of an auto
    bid. target_cpa: what a qualified application should cost on average, for auto bids."""

    mode: BidMode
    max_cpc: Money | None = None
    target_cpa: Money | None = None


@dataclass(frozen=True)
class Campaign:
    """Times are aware and in UTC; no ends_at means: run until the budget is spent. version counts the changes."""

    campaign_id: str
    account_id: str
    job_id: str
    name: str
    budget: Budget
    bid: Bid
    objective: Objective
    starts_at: datetime
    ends_at: datetime | None
    time_zone: str
    pacing: Pacing
    status: Status
    version: int
    created_at: datetime

    @property
    def currency(self) -> str:
        return self.budget.total.currency


@dataclass(frozen=True)
class Reason:
    code: str
    detail: str


@dataclass(frozen=True)
class Delivery:
    state: DeliveryState
    reasons: tuple[Reason, ...] = ()


def new_campaign_id(now: datetime, entropy: bytes) -> str:
    """`cmp_` and a ULID: 48 bits of milliseconds, 80 bits of entropy (10 bytes); sorts by time of creation."""
    if len(entropy) != 10:
        raise ValueError(f"a campaign id takes 10 bytes of entropy, got {len(entropy)}")
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(entropy)
    return "cmp_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def check(campaign: Campaign, now: datetime) -> None:
    """Raise CampaignError for the first rule that a new or changed campaign breaks."""
    _check_money(campaign)
    if campaign.time_zone not in _zones():
        raise CampaignError(
            "/time_zone", f"unknown time zone {campaign.time_zone!r}; give an IANA name such as Europe/Berlin"
        )
    if campaign.ends_at is None:
        return
    if campaign.ends_at <= campaign.starts_at:
        raise CampaignError("/ends_at", "the campaign ends before it starts; ends_at has to be after starts_at")
    if campaign.ends_at <= now:
        raise CampaignError("/ends_at", "the campaign would be over already; ends_at has to be in the future")


def check_change(before: Campaign, after: Campaign, now: datetime) -> None:
    """Raise ConflictError when `before` can no longer be changed like this; then the rules of `check` apply."""
    if before.status in ("completed", "cancelled"):
        raise ConflictError(f"the campaign is {before.status} and can not be changed any more; create a new one")
    if before.status != "draft":
        fixed = {"currency": before.currency != after.currency, "time_zone": before.time_zone != after.time_zone}
        if before.status != "scheduled":
            fixed["starts_at"] = before.starts_at != after.starts_at
        for field in (field for field, changed in fixed.items() if changed):
            raise ConflictError(
                f"{field} can not change once the campaign is {before.status}; cancel it and create a new one"
            )
    check(after, now)


def as_of(campaign: Campaign, now: datetime) -> Campaign:
    """The campaign with the status that time has brought: scheduled ones start, running ones end."""
    status = status_at(campaign.status, campaign.starts_at, campaign.ends_at, now)
    return campaign if status == campaign.status else replace(campaign, status=status)


def status_at(status: Status, starts_at: datetime, ends_at: datetime | None, now: datetime) -> Status:
    """What time has made of a stored status."""
    if status in ("scheduled", "active", "paused") and over(ends_at, now):
        return "completed"
    return "active" if status == "scheduled" and starts_at <= now else status


def over(end: datetime | None, now: datetime) -> bool:
    """Has `end` come? What has none is never over."""
    return end is not None and end <= now


def next_change(campaign: Campaign, now: datetime) -> datetime | None:
    """When the clock will change this campaign's status next (None: never)."""
    if campaign.status not in ("scheduled", "active", "paused"):
        return None
    ahead = [at for at in (campaign.starts_at, campaign.ends_at) if at is not None and at > now]
    return min(ahead, default=None)


def moved(campaign: Campaign, move: Move, now: datetime) -> Campaign:
    """The campaign after a person's move; an illegal one raises ConflictError and says what is possible."""
    current = as_of(campaign, now)
    if current.status not in _FROM[move]:
        legal = [name for name in MOVES if current.status in _FROM[name]]
        raise ConflictError(
            f"a campaign that is {current.status} can not {move}; "
            + (f"possible now: {', '.join(legal)}" if legal else "no move is possible any more")
        )
    if move == "activate":
        check(current, now)
    after: Mapping[Move, Status] = {
        "activate": "scheduled",
        "pause": "paused",
        "resume": "active",
        "cancel": "cancelled",
    }
    return as_of(replace(current, status=after[move], version=campaign.version + 1), now)


def delivery(
    campaign: Campaign, job: Job | None, now: datetime, engine_missing: str | None = None, out_of_money: bool = False
) -> Delivery:
    """Does the campaign serve at `now`, and if not, why; engine_missing is what the engine says it lacks."""
    current = as_of(campaign, now)
    if current.status == "draft":
        return Delivery("not_started", (Reason("draft", "The campaign is a draft; activate it to start."),))
    if current.status in ("completed", "cancelled"):
        return Delivery("ended", (Reason(current.status, f"The campaign is {current.status}."),))
    blocks = tuple(_blocks(job, now, engine_missing))
    if blocks:
        return Delivery("blocked", blocks)
    if current.status == "paused":
        return Delivery("paused", (Reason("paused", "The campaign is paused; resume it to serve again."),))
    if current.status == "scheduled":
        starts = format_rfc3339(current.starts_at)
        return Delivery("waiting", (Reason("starts_later", f"The campaign starts at {starts}."),))
    if out_of_money:
        used_up = "Nothing is left of the budget, in total or today; raise it, or wait for the next day."
        return Delivery("blocked", (Reason("budget_used_up", used_up),))
    return Delivery("delivering")


def serves(campaign: Campaign, job: Job | None, now: datetime) -> bool:
    """May the campaign be shown at `now`: active, and its job exists and has not expired."""
    return as_of(campaign, now).status == "active" and not list(_blocks(job, now, None))


def _blocks(job: Job | None, now: datetime, engine_missing: str | None) -> list[Reason]:
    found = []
    if job is None:
        found.append(Reason("job_deleted", "The job has been deleted; upload it again or cancel the campaign."))
    elif over(job.expires_at, now):
        found.append(Reason("job_expired", "The job has expired; upload it with a later expires_at."))
    if engine_missing is not None:
        found.append(Reason("engine_not_ready", f"Nothing is served yet: {engine_missing}."))
    return found


def _check_money(campaign: Campaign) -> None:
    total = campaign.budget.total
    bid = campaign.bid
    amounts = {
        "/budget/total": total,
        "/budget/daily": campaign.budget.daily,
        "/bid/max_cpc": bid.max_cpc,
        "/bid/target_cpa": bid.target_cpa,
    }
    for pointer, money in amounts.items():
        if money is None:
            continue
        if money.currency != total.currency:
            raise CampaignError(pointer, f"{money.currency} beside a total in {total.currency}; use one currency")
        if money.amount_micros <= 0:
            raise CampaignError(pointer, f"{money}; the amount has to be greater than zero")
        if money.amount_micros > total.amount_micros:
            raise CampaignError(pointer, f"{money} is more than the total budget of {total}")
    if bid.mode == "manual" and bid.max_cpc is None:
        raise CampaignError("/bid/max_cpc", "a manual bid needs max_cpc; give one or choose mode auto")
    if bid.target_cpa is None:
        return
    if bid.mode == "manual":
        raise CampaignError("/bid/target_cpa", "a manual bid has no target_cpa; choose mode auto or leave it out")
    if campaign.objective == "clicks":
        raise CampaignError(
            "/bid/target_cpa", "a campaign for clicks has no cost per application; choose another objective"
        )
    if bid.max_cpc is not None and bid.max_cpc.amount_micros > bid.target_cpa.amount_micros:
        raise CampaignError(
            "/bid/target_cpa",
            f"{bid.target_cpa} an application is less than max_cpc, {bid.max_cpc} a click; an application takes a "
            "click at least, so give a higher target_cpa or a lower max_cpc",
        )


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
