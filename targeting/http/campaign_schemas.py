"""The shapes of the HTTP edge for campaigns: what a request may say, and how an answer says it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, StrictInt, StringConstraints, model_validator

from market.money import Money
from targeting.campaigns import (
    Bid,
    BidMode,
    Budget,
    Campaign,
    Delivery,
    DeliveryState,
    Objective,
    Pacing,
    Status,
)
from targeting.http.schemas import Id, Line, Model, Time


class MoneyIn(Model):
    """Whole micros of a currency, or its minor units (cents, yen, fils)."""

    amount_micros: StrictInt | None = None
    minor: StrictInt | None = None
    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]

    @model_validator(mode="after")
    def _exact(self) -> Self:
        if (self.amount_micros is None) == (self.minor is None):
            raise ValueError("give amount_micros or minor, one of the two")
        self.money()
        return self

    def money(self) -> Money:
        if self.amount_micros is not None:
            return Money(self.amount_micros, self.currency)
        assert self.minor is not None
        return Money.from_minor(self.minor, self.currency)


class MoneyOut(Model):
    amount_micros: int
    currency: str

    @classmethod
    def of(cls, money: Money) -> Self:
        return cls(amount_micros=money.amount_micros, currency=money.currency)


def _money(sent: MoneyIn | None) -> Money | None:
    return None if sent is None else sent.money()


def _shown(money: Money | None) -> MoneyOut | None:
    return None if money is None else MoneyOut.of(money)


class BudgetIn(Model):
    total: MoneyIn
    daily: MoneyIn | None = None


class BidIn(Model):
    """target_cpa: what a qualified application should cost on average; for auto bids."""

    mode: BidMode
    max_cpc: MoneyIn | None = None
    target_cpa: MoneyIn | None = None

    def bid(self) -> Bid:
        return Bid(self.mode, _money(self.max_cpc), _money(self.target_cpa))


class CampaignIn(Model):
    """A new campaign for one job of the account; it starts as a draft."""

    job_id: Id
    name: Line
    budget: BudgetIn
    bid: BidIn
    objective: Objective
    starts_at: Time
    ends_at: Time | None = None
    time_zone: Line
    pacing: Pacing

    def campaign(self, campaign_id: str, account_id: str, now: datetime) -> Campaign:
        return Campaign(
            campaign_id=campaign_id,
            account_id=account_id,
            job_id=self.job_id,
            name=self.name,
            budget=Budget(self.budget.total.money(), _money(self.budget.daily)),
            bid=self.bid.bid(),
            objective=self.objective,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            time_zone=self.time_zone,
            pacing=self.pacing,
            status="draft",
            version=1,
            created_at=now,
        )


def _left_out() -> Any:
    # A patch may leave the field out but not say null: the default is not checked, a value that is sent is.
    return Field(default_factory=lambda: None)


class BudgetPatch(Model):
    total: MoneyIn = _left_out()
    daily: MoneyIn | None = None


class BidPatch(Model):
    mode: BidMode = _left_out()
    max_cpc: MoneyIn | None = None
    target_cpa: MoneyIn | None = None


class CampaignPatch(Model):
    """JSON Merge Patch (RFC 7396): what is left out stays, null removes what is optional; money is replaced whole."""

    name: Line = _left_out()
    budget: BudgetPatch = _left_out()
    bid: BidPatch = _left_out()
    objective: Objective = _left_out()
    starts_at: Time = _left_out()
    ends_at: Time | None = None
    time_zone: Line = _left_out()
    pacing: Pacing = _left_out()

    def applied(self, campaign: Campaign) -> Campaign:
        """The next version of the campaign."""
        plain = self.model_fields_set - {"budget", "bid"}
        changes: dict[str, Any] = {name: getattr(self, name) for name in plain}
        if "budget" in self.model_fields_set:
            changes["budget"] = replace(campaign.budget, **_money_sent(self.budget))
        if "bid" in self.model_fields_set:
            mode: dict[str, Any] = {"mode": self.bid.mode} if "mode" in self.bid.model_fields_set else {}
            changes["bid"] = replace(campaign.bid, **mode, **_money_sent(self.bid))
        return replace(campaign, version=campaign.version + 1, **changes)


def _money_sent(patch: BudgetPatch | BidPatch) -> dict[str, Any]:
    sent = {name: getattr(patch, name) for name in patch.model_fields_set - {"mode"}}
    return {name: _money(money) for name, money in sent.items()}


class BudgetOut(Model):
    total: MoneyOut
    daily: MoneyOut | None


class BidOut(Model):
    mode: BidMode
    max_cpc: MoneyOut | None
    target_cpa: MoneyOut | None


class ReasonOut(Model):
    code: str
    detail: str


class DeliveryOut(Model):
    state: DeliveryState
    reasons: tuple[ReasonOut, ...]


class CampaignOut(Model):
    """status is what people and the clock decided; delivery says whether it is shown now, and why not."""

    campaign_id: str
    account_id: str
    job_id: str
    name: str
    budget: BudgetOut
    bid: BidOut
    objective: Objective
    starts_at: datetime
    ends_at: datetime | None
    time_zone: str
    pacing: Pacing
    status: Status
    version: int
    created_at: datetime
    delivery: DeliveryOut

    @classmethod
    def of(cls, campaign: Campaign, delivery: Delivery) -> Self:
        daily, max_cpc = campaign.budget.daily, campaign.bid.max_cpc
        plain = cls.model_fields.keys() - {"budget", "bid", "delivery"}
        reasons = tuple(ReasonOut(code=reason.code, detail=reason.detail) for reason in delivery.reasons)
        return cls(
            **{name: getattr(campaign, name) for name in plain},
            budget=BudgetOut(total=MoneyOut.of(campaign.budget.total), daily=_shown(daily)),
            bid=BidOut(mode=campaign.bid.mode, max_cpc=_shown(max_cpc), target_cpa=_shown(campaign.bid.target_cpa)),
            delivery=DeliveryOut(state=delivery.state, reasons=reasons),
        )


class Paging(Model):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[str, Field(max_length=200)] | None = None


class CampaignPage(Model):
    """next goes into `?after=`; null: this was the last page."""

    items: tuple[CampaignOut, ...]
    next: str | None
