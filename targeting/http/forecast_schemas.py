"""The shapes of forecasts and delivery reports at the HTTP edge."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from market.money import Money
from targeting.campaigns import Campaign, DeliveryState, Pacing, Status
from targeting.delivery import Constraint, DeliveryReport, Today, all_hours
from targeting.forecast import Estimate, Scenario
from targeting.http.campaign_schemas import MoneyOut
from targeting.http.insight import Outlook, requests_shown
from targeting.http.schemas import Model, NoteOut
from targeting.pacing.told import ShadowPrice
from targeting.reach import REACH_FLOOR


class EstimateOut(Model):
    """Central intervals; 80 of 100 such numbers are meant to lie within ci80, 95 within ci95."""

    mean: float
    ci80: tuple[float, float]
    ci95: tuple[float, float]

    @classmethod
    def of(cls, found: Estimate) -> Self:
        return cls(mean=round(found.mean, 2), ci80=_rounded(found.ci80), ci95=_rounded(found.ci95))


class MoneyEstimateOut(Model):
    mean: MoneyOut
    ci80: tuple[MoneyOut, MoneyOut]
    ci95: tuple[MoneyOut, MoneyOut]

    @classmethod
    def of(cls, found: Estimate, currency: str) -> Self:
        def money(micros: float) -> MoneyOut:
            return _money(math.floor(micros), currency)

        low, high = ((money(ends[0]), money(ends[1])) for ends in (found.ci80, found.ci95))
        return cls(mean=money(found.mean), ci80=low, ci95=high)


class ScenarioOut(Model):
    """budget is budget_factor times the total; a daily budget is scaled with it."""

    budget_factor: float
    budget: MoneyOut
    spend: MoneyEstimateOut
    impressions: EstimateOut
    clicks: EstimateOut
    applications: EstimateOut

    @classmethod
    def of(cls, found: Scenario, currency: str) -> Self:
        return cls(
            budget_factor=found.factor,
            budget=_money(found.total, currency),
            spend=MoneyEstimateOut.of(found.spend, currency),
            impressions=EstimateOut.of(found.impressions),
            clicks=EstimateOut.of(found.clicks),
            applications=EstimateOut.of(found.applications),
        )


class HorizonOut(Model):
    starts_at: datetime
    ends_at: datetime
    days: float
    time_zone: str


class BasisOut(Model):
    """days of traffic looked back on; requests seen from the areas that can see the job, two significant digits (null:
    fewer than 300); expected_requests of the horizon; slates whose price is known; clicks that calibrate; draws."""

    days: float
    requests: int | None
    expected_requests: float
    slates: int
    clicks: int
    draws: int


class ForecastOut(Model):
    """Nothing is stored, and the same draft on the same data has the same answer. Scenarios by growing budget."""

    currency: str
    horizon: HorizonOut
    basis: BasisOut
    scenarios: tuple[ScenarioOut, ...]
    notes: tuple[NoteOut, ...]

    @classmethod
    def of(cls, found: Outlook, currency: str, draws: int) -> Self:
        terms = found.terms
        return cls(
            currency=currency,
            horizon=HorizonOut(
                starts_at=terms.start,
                ends_at=terms.end,
                days=round((terms.end - terms.start).total_seconds() / 86_400, 3),
                time_zone=terms.zone,
            ),
            basis=BasisOut(
                days=round(found.days, 3),
                requests=requests_shown(found.requests, REACH_FLOOR),
                expected_requests=float(f"{found.expected_requests:.3g}"),
                slates=found.slates,
                clicks=found.track.clicks,
                draws=draws,
            ),
            scenarios=tuple(ScenarioOut.of(each, currency) for each in found.scenarios),
            notes=tuple(NoteOut(code=note.code, detail=note.detail) for note in found.notes),
        )


class CauseOut(Model):
    """since null: not known."""

    code: str
    detail: str
    since: datetime | None
    binding_constraint: Constraint
    suggested_fix: str


class HourOut(Model):
    """What was billed between hour and an hour later; credits come off the day, not the hour."""

    hour: datetime
    posted: MoneyOut
    clicks: int


class DayOut(Model):
    """A local day of serving. posted is net of credited; the sum over days is posted of the campaign."""

    day: str
    posted: MoneyOut
    reserved: MoneyOut
    credited: MoneyOut
    clicks: int


class TodayOut(Model):
    """budget: min(daily budget, what remained of the total when the day began)."""

    day: str
    starts_at: datetime
    ends_at: datetime
    budget: MoneyOut
    posted: MoneyOut
    reserved: MoneyOut
    remaining: MoneyOut


class UtilizationOut(Model):
    """posted / min(daily budget, remaining), today and over all live days; null where nothing could be spent."""

    today: float | None
    total: float | None


class PacingTargetOut(Model):
    """planned: what the pacing means to spend today; share of it that should be spent by now, and that in money.

    Bids follow it: the controller lowers and raises them so that the money lasts.
    """

    pacing: Pacing
    planned: MoneyOut
    share: Annotated[float, Field(ge=0, le=1)]
    amount: MoneyOut
    posted: MoneyOut


class ShadowPricesOut(Model):
    """What one more unit of money (1 EUR) would bring today, in expected `unit`: of the daily budget, or of the total
    where that is what limits today; null as long as the campaign has no price. ten_percent: of a tenth more of today's
    budget. A derivative: good for small changes."""

    budget: float | None = None
    daily: float | None = None
    price_per_micro: float | None = None
    unit: str | None = None
    ten_percent: float | None = None
    in_words: str | None = None

    @classmethod
    def of(cls, found: ShadowPrice, campaign: Campaign, today: Today) -> Self:
        daily = campaign.budget.daily
        by_day = daily is not None and today.budget >= daily.amount_micros
        unit = found.per_micro * 1_000_000
        return cls(
            budget=None if by_day else unit,
            daily=unit if by_day else None,
            price_per_micro=found.per_micro,
            unit=found.unit,
            ten_percent=found.ten_percent,
            in_words=found.in_words,
        )


class DeliveryReportOut(Model):
    """reasons: why it is not shown or, when it is, what keeps it from spending more; the first is the one to mend.

    posted is net of credited, remaining is what may still be reserved, unbilled the prices of clicks that were not
    billed. by_hour: the last 48 hours, UTC; by_day: every local day on which something was served.
    """

    campaign_id: str
    status: Status
    state: DeliveryState
    reasons: tuple[CauseOut, ...]
    as_of: datetime
    posted: MoneyOut
    reserved: MoneyOut
    remaining: MoneyOut
    credited: MoneyOut
    unbilled: MoneyOut
    today: TodayOut
    utilization: UtilizationOut
    pacing_target: PacingTargetOut
    by_hour: tuple[HourOut, ...]
    by_day: tuple[DayOut, ...]
    shadow_prices: ShadowPricesOut

    @classmethod
    def of(cls, report: DeliveryReport, price: ShadowPrice | None = None) -> Self:
        campaign, figures, today = report.campaign, report.figures, report.today

        def money(micros: int) -> MoneyOut:
            return _money(micros, campaign.currency)

        overall = report.utilization
        return cls(
            campaign_id=campaign.campaign_id,
            status=campaign.status,
            state=report.state,
            reasons=tuple(CauseOut(**vars(cause)) for cause in report.causes),
            as_of=report.now,
            posted=money(figures.posted),
            reserved=money(figures.reserved),
            remaining=money(max(0, figures.cap - figures.posted - figures.reserved)),
            credited=money(figures.credited),
            unbilled=money(figures.unbilled),
            today=TodayOut(
                day=today.day,
                starts_at=today.start,
                ends_at=today.end,
                budget=money(today.budget),
                posted=money(today.posted),
                reserved=money(today.reserved),
                remaining=money(today.remaining),
            ),
            utilization=UtilizationOut(
                today=None if overall is None or not today.budget else round(today.posted / today.budget, 4),
                total=None if overall is None else round(overall, 4),
            ),
            pacing_target=PacingTargetOut(
                pacing=campaign.pacing,
                planned=money(report.planned),
                share=round(report.share, 4),
                amount=money(math.floor(report.share * report.planned)),
                posted=money(today.posted),
            ),
            by_hour=tuple(
                HourOut(hour=each.hour, posted=money(each.posted), clicks=each.clicks)
                for each in all_hours(figures, report.now)
            ),
            by_day=tuple(
                DayOut(
                    day=each.day,
                    posted=money(each.posted),
                    reserved=money(each.reserved),
                    credited=money(each.credited),
                    clicks=each.clicks,
                )
                for each in figures.days
            ),
            shadow_prices=ShadowPricesOut() if price is None else ShadowPricesOut.of(price, campaign, today),
        )


def _money(micros: int, currency: str) -> MoneyOut:
    return MoneyOut.of(Money(micros, currency))


def _rounded(ends: tuple[float, float]) -> tuple[float, float]:
    return round(ends[0], 2), round(ends[1], 2)
