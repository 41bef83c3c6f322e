"""What campaigns bid for a click: what it is worth to them at the present price of their money, up to their ceiling.

    worth of a click    its expected qualified applications; for a campaign for clicks, 1. For hires it is that of
                        qualified applications too: nothing tells how many of those are hired, and a rate that is the
                        same for all would drop out of worth / price
    bid                 min(ceiling, worth / price);  the ceiling alone for a campaign paced `asap`, or without a price
    with a target_cpa   the smaller of that and min(ceiling, qualified applications / second price)

Prices are in worth per micro of money. The controller moves them (`pacing.controller`), slates only read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from targeting.campaigns import Campaign
from targeting.pacing.descent import paced_bid

Unit = Literal["qualified applications", "clicks"]
AUTO_CPC_MICROS = 800_000


@dataclass(frozen=True)
class Price:
    """money: worth per micro, 0 where money is no constraint; cpa: the same of the target_cpa, None without one."""

    money: float
    cpa: float | None = None


Pool = tuple[Unit, str]  # campaigns whose prices can be compared: unit and currency


def pool_of(campaign: Campaign) -> Pool:
    return unit_of(campaign), campaign.currency


def unit_of(campaign: Campaign) -> Unit:
    """What the prices and plans of a campaign count."""
    return "clicks" if campaign.objective == "clicks" else "qualified applications"


def worth(campaign: Campaign, qualified: float) -> float:
    """Of a click that is expected to bring so many qualified applications."""
    return 1.0 if campaign.objective == "clicks" else qualified


def bid_ceiling(campaign: Campaign, auto_micros: int = AUTO_CPC_MICROS) -> int:
    """int64 micros per click: the campaign's own maximum, or what an auto bid without one never exceeds."""
    maximum = campaign.bid.max_cpc
    return maximum.amount_micros if maximum is not None else auto_micros


def bid(campaign: Campaign, qualified: float, price: Price, ceiling: int) -> int:
    """Micros per click, from 0 to the ceiling; qualified: applications the click is expected to bring."""
    found = ceiling if campaign.pacing == "asap" else paced_bid(worth(campaign, qualified), price.money, ceiling)
    target = campaign.bid.target_cpa
    if target is not None:
        found = min(found, paced_bid(qualified, price.cpa or 1 / target.amount_micros, ceiling))
    return int(found)


class PriceBoard:
    """The present prices, replaced as a whole and read without a lock; it outlives the engines that read it."""

    def __init__(self, auto_micros: int = AUTO_CPC_MICROS) -> None:
        """auto_micros: ceiling of an auto bid that names none, in micros of its own currency."""
        self.auto_micros = auto_micros
        self._found: tuple[Mapping[str, Price], Mapping[Pool, float]] = {}, {}

    def put(self, prices: Mapping[str, Price], prior: Mapping[Pool, float]) -> None:
        """prices by campaign id; prior: what a campaign that is not among them begins with."""
        self._found = prices, prior

    def known(self) -> Mapping[str, Price]:
        """Campaigns that have a price of their own."""
        return self._found[0]

    def price(self, campaign: Campaign) -> Price:
        """0, so the ceiling is bid, where neither a price nor a prior is known."""
        prices, prior = self._found
        found = prices.get(campaign.campaign_id)
        return Price(prior.get(pool_of(campaign), 0.0)) if found is None else found

    def ceiling(self, campaign: Campaign) -> int:
        return bid_ceiling(campaign, self.auto_micros)

    def bid(self, campaign: Campaign, qualified: float) -> int:
        """What the campaign bids now for a click that is expected to bring so many qualified applications."""
        return bid(campaign, qualified, self.price(campaign), self.ceiling(campaign))

    def keenness(self, campaign: Campaign) -> float:
        """Orders campaigns for the same job: about what each bids for a click of middling worth."""
        price, prior = self.price(campaign), self._found[1].get(pool_of(campaign), 0.0)
        ceiling = self.ceiling(campaign)
        if campaign.pacing == "asap" or price.money <= 0 or prior <= 0:
            return float(ceiling)
        return min(1.0, prior / price.money) * ceiling
