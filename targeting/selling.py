"""Selling the promoted slots of a request: retrieve by lift, keep the best share theta, auction, leave some to chance.

A candidate whose P(click) or lift is not a number is skipped and counted: one bad job must not take the others down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from graph.bipartite import Examples
from market.clock import account_day
from market.records import Filters, Job, SeekerProfile
from targeting.auction import SECOND_PRICE, run_auction
from targeting.audience import Liquidity
from targeting.campaigns import Campaign
from targeting.engine import SlateRequest
from targeting.exploration import Chance, ExplorationBudget, Lottery, Placed
from targeting.inventory import Inventory
from targeting.learned import Learned
from targeting.outlooks import Outlook, Outlooks
from targeting.pacing.prices import PriceBoard
from targeting.profiles import ProfileReader
from targeting.response import pair_features
from targeting.retrieval import Retriever
from targeting.serving import ServingConfig
from targeting.slate import Sale

RESERVE_MICROS = 100_000


@dataclass(frozen=True)
class Candidate:
    """A promoted job that may be shown, and the campaign that would pay for it."""

    job: Job
    occupation: int
    campaign: Campaign


@dataclass(frozen=True)
class Sold:
    """The sales of a request, best slot first; occupation, bar and skipped as in `engine.Slate`."""

    sales: tuple[Sale, ...] = ()
    occupation: str | None = None
    bar: float | None = None
    skipped: int = 0


@dataclass(frozen=True)
class Auction:
    """One auction as it went: bid int64[n], p_click float64[n] of the candidates; winner int64[slots + 1], -1 where
    there is none, the runner-up last; price int64 of the `sold` slots."""

    bid: np.ndarray
    p_click: np.ndarray
    winner: np.ndarray
    price: np.ndarray
    sold: int

    @classmethod
    def of(cls, bid: np.ndarray, p_click: np.ndarray, slots: int) -> Auction:
        winner, price = np.full(slots + 1, -1), np.zeros(slots + 1, np.int64)
        reserve = np.full(len(bid), RESERVE_MICROS, np.int64)
        sold = run_auction(bid, p_click, reserve, slots, SECOND_PRICE, winner, price)
        return cls(bid, p_click, winner, price, sold)

    def bar(self) -> float:
        """The lowest winning score, 0 where a slot stayed empty."""
        if self.sold < len(self.winner) - 1:
            return 0.0
        lowest = int(self.winner[self.sold - 1])
        return float(self.bid[lowest] * self.p_click[lowest])

    def price_at(self, slot: int, placed: Placed) -> int:
        """Micros a click costs whoever holds the slot: by lot the reserve price, won the price it was won at; whoever
        was moved down by a swap pays no more than the least bid that would have won the lower slot."""
        if placed.explored:
            return min(RESERVE_MICROS, int(self.bid[placed.candidate]))
        won_at = int(self.price[placed.won])
        if slot <= placed.won:
            return won_at
        rival, own = int(self.winner[slot + 1]), float(self.p_click[placed.candidate])
        if rival < 0:
            return min(won_at, RESERVE_MICROS)
        score = float(self.bid[rival] * self.p_click[rival])
        least = int(score / own)
        return min(won_at, max(RESERVE_MICROS, least + (least * own < score)))


class Seller:
    """Whom the slots of one request go to, and at what price.

    chance: where lots are drawn from; None leaves nothing to chance, and every propensity is 1.
    """

    def __init__(
        self,
        learned: Learned,
        inventory: Inventory,
        profiles: ProfileReader,
        hard_filters: Callable[[SeekerProfile, Filters], Filters],
        liquidity: Liquidity,
        now: Callable[[], datetime],
        config: ServingConfig = ServingConfig(),
        chance: Chance | None = None,
        exploration: ExplorationBudget | None = None,
        prices: PriceBoard | None = None,
    ) -> None:
        self._prices = prices or PriceBoard()
        self._learned, self._profiles, self._now = learned, profiles, now
        self.retriever = Retriever(learned, inventory, hard_filters, liquidity)
        self._config, self._chance = config, chance
        self._exploration = exploration or ExplorationBudget(config.exploration_budget)
        self._outlooks = Outlooks(learned.affinity)
        self._median_wage = float(np.median(learned.wage))

    def sell(self, asked: SlateRequest, slots: int) -> Sold:
        """At most `slots` sales; with none asked for, only what the seeker's occupation is."""
        example = self._profiles.example(asked.seeker, self._now())
        current = int(example.current[0])
        code = self._learned.taxonomy.codes[current] if current >= 0 else None
        if not slots:
            return Sold((), code)
        outlook = self._outlooks.of(example)
        lift = outlook.lift  # [C]
        found = self._retrieved(asked, example, outlook.probability[None])
        if not found:
            return Sold((), code, 0.0)
        occupation = np.array([each.occupation for each in found])
        p_click, value = self._responses(found, occupation, current, outlook)
        usable = np.isfinite(p_click) & np.isfinite(value) & np.isfinite(lift[occupation])
        skipped = len(found) - int(usable.sum())
        if skipped:
            found = [each for each, good in zip(found, usable.tolist(), strict=True) if good]
            occupation, p_click, value = occupation[usable], p_click[usable], value[usable]
        bids = [self._prices.bid(each.campaign, worth) for each, worth in zip(found, value.tolist(), strict=True)]
        auction = Auction.of(np.array(bids, np.int64), p_click, slots)
        sales = [
            replace(
                self._sale(
                    found[placed.candidate], auction, slot, placed, float(lift[occupation[placed.candidate]]), example
                ),
                value=float(value[placed.candidate]),
            )
            for slot, placed in enumerate(self._placed(found, auction))
        ]
        return Sold(tuple(sales), code, auction.bar(), skipped)

    def _retrieved(self, asked: SlateRequest, example: Examples, probability: np.ndarray) -> list[Candidate]:
        """The best share theta of the live campaigns in reach, by the graph; probability float32[1, C]."""
        return [Candidate(*found) for found in self.retriever.candidates(asked, example, probability)]

    def _responses(
        self, found: Sequence[Candidate], occupation: np.ndarray, current: int, outlook: Outlook
    ) -> tuple[np.ndarray, np.ndarray]:
        """(P(click) at the top position, expected qualified applications of a click) float64[n] each, NaN where the
        model does not know; occupation int64[n] of the candidates."""
        learned, section = self._learned, self._learned.taxonomy.section
        wage = np.array([each.job.wage or learned.wage[each.occupation] for each in found])
        own = learned.wage[current] if current >= 0 else self._median_wage
        features = pair_features(
            (outlook.probability @ learned.grades)[occupation],
            outlook.probability[occupation],
            outlook.lift[occupation],
            (section[current] == section[occupation]) if current >= 0 else np.zeros(len(found)),
            np.log(wage / own),
        )
        p_click, value = learned.response.p_click(features), learned.response.value_per_click(features)
        return p_click.astype(np.float64), value.astype(np.float64)

    def _placed(self, found: Sequence[Candidate], auction: Auction) -> list[Placed]:
        """What is shown in each slot that was sold."""
        winners = auction.winner[: auction.sold].tolist()
        if self._chance is None:
            return Lottery(winners, (), 0.0, 0.0).draw(lambda: 1.0)
        days: dict[str, str] = {}
        now = self._now()

        def affordable(i: int) -> bool:
            campaign = found[i].campaign
            day = days.get(campaign.time_zone) or days.setdefault(
                campaign.time_zone, account_day(now, campaign.time_zone).isoformat()
            )
            return self._exploration.fits(campaign, day, float(auction.p_click[i]), RESERVE_MICROS)

        with self._exploration.lock:
            bids = np.flatnonzero(auction.bid >= RESERVE_MICROS).tolist() if self._config.exploration else []
            others = [i for i in bids if i not in winners and affordable(i)]
            shown = Lottery(winners, others, self._config.exploration, self._config.swap).draw(self._chance)
            for placed in shown:
                if placed.explored:
                    campaign, p_click = found[placed.candidate].campaign, float(auction.p_click[placed.candidate])
                    self._exploration.take(campaign, days[campaign.time_zone], p_click, RESERVE_MICROS)
        return shown

    def _sale(
        self, found: Candidate, auction: Auction, slot: int, placed: Placed, lift: float, example: Examples
    ) -> Sale:
        reason = f"people with a background like yours are hired as {self._learned.taxonomy.titles[found.occupation]}"
        return Sale(
            found.job,
            found.campaign,
            auction.price_at(slot, placed),
            float(auction.p_click[placed.candidate]),
            lift,
            (reason,),
            placed.propensity,
            placed.explored,
            placed.swapped,
            links=self.retriever.fired(example, found.occupation, found.campaign),
        )
