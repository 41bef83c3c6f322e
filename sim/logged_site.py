"""A small site whose truth is known: what every policy earns there, exactly, and logs of any policy that is served.

Seekers look at a slot with a chance that falls with the place, and click what they have seen with a chance of their own
for each job; the product knows both only through estimates that are off by an error of the seeker-job pair and of the
job. So every expectation is a finite sum. With `cascade` a click takes attention from the slots below: the reward of a
slot then depends on what is above it, which estimates by slot do not allow for, and the truth is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from market.errors import ConfigError
from sim.decision_log import CANDIDATES, Reward
from sim.log_tables import log_table
from sim.market import Market
from sim.slate_policy import Choices, SlatePolicy, slot_chances
from targeting.audience import Liquidity


@dataclass(frozen=True)
class LoggedSite:
    """Kinds of requests, all equally likely. choices and click (P(click | seen) float64[n]) of each; look float64[J]:
    P(seen) of each slot; p_apply: P(application | click), one for all; cascade: share of attention a click takes."""

    choices: list[Choices]
    click: list[np.ndarray]
    look: np.ndarray
    p_apply: float = 0.3
    cascade: float = 0.0

    def __post_init__(self) -> None:
        if not self.choices or len(self.choices) != len(self.click):
            raise ConfigError("a site needs choices and clicks of at least one kind of request")
        if not 0 <= self.cascade <= 1:
            raise ConfigError(f"cascade is {self.cascade}, expected a share from 0 to 1")

    def unit(self, kind: int, reward: Reward) -> np.ndarray:
        """float64[n]: what a click is worth under this reward, in expectation."""
        if reward == "qualified":
            return self.choices[kind].value
        return np.full(len(self.choices[kind]), self.p_apply if reward == "application" else 1.0)

    def truth(self, policy: SlatePolicy, reward: Reward = "click") -> float:
        """Expected reward per slate, by enumeration; ConfigError with a cascade, where slots are not independent."""
        if self.cascade:
            raise ConfigError("slots of this site depend on each other: simulate the policy instead")
        total = 0.0
        for kind, choices in enumerate(self.choices):
            chances = slot_chances(policy.lottery(choices, len(self.look)), len(choices))  # [S, n]
            total += float(self.look[: len(chances)] @ chances @ (self.click[kind] * self.unit(kind, reward)))
        return total / len(self.choices)

    def simulated(self, policy: SlatePolicy, reward: Reward, visits: int, rng: np.random.Generator) -> float:
        """Mean reward per slate of `visits` visits under the policy, shared out evenly over the kinds of requests."""
        total, served = 0.0, 0
        rounds = -(-visits // len(self.choices))
        for kind, choices in enumerate(self.choices):
            lottery = policy.lottery(choices, len(self.look))
            unit = self.unit(kind, reward)
            for _ in range(rounds):
                shown = [placed.candidate for placed in lottery.draw(rng.random)]
                total += float(
                    unit[[job for job, hit in zip(shown, self._clicks(kind, shown, rng), strict=True) if hit]].sum()
                )
                served += 1
        return total / served

    def log(
        self, policy: SlatePolicy, seekers: int, visits: int, rng: np.random.Generator
    ) -> tuple[dict[str, pa.Table], pa.Table]:
        """(impressions, clicks, applications; candidates) of seekers drawn at random who come `visits` times each."""
        kinds = rng.integers(len(self.choices), size=seekers)
        lotteries = {int(kind): policy.lottery(self.choices[kind], len(self.look)) for kind in np.unique(kinds)}
        rows = []
        for seeker, kind in enumerate(kinds.tolist()):
            for visit in range(visits):
                placed = lotteries[kind].draw(rng.random)
                hits = self._clicks(kind, [each.candidate for each in placed], rng)
                for slot, (each, hit) in enumerate(zip(placed, hits, strict=True)):
                    applied = hit and rng.random() < self.p_apply
                    rows.append((seeker, visit, kind, slot, each.candidate, each.propensity, hit, applied))
        names = ["seeker", "visit", "kind", "slot", "candidate", "propensity", "clicked", "applied"]
        return self._tables(pd.DataFrame(rows, columns=names)), self._candidates(kinds, visits, policy)

    def _clicks(self, kind: int, shown: list[int], rng: np.random.Generator) -> list[bool]:
        attention, hits = 1.0, []
        for slot, job in enumerate(shown):
            hits.append(bool(rng.random() < attention * self.look[slot] * self.click[kind][job]))
            if hits[-1]:
                attention *= 1 - self.cascade
        return hits

    def _tables(self, frame: pd.DataFrame) -> dict[str, pa.Table]:
        request = "r" + frame.seeker.astype(str) + "-" + frame.visit.astype(str)
        events = pd.DataFrame(
            {
                "event_id": request + "-" + frame.slot.astype(str),
                "seeker_id": "s" + frame.seeker.astype(str),
                "job_id": "j" + frame.candidate.astype(str),
                "request_id": request,
                "position": frame.slot + 1,
                "promoted": True,
                "propensity": frame.propensity,
                "day": frame.visit.astype(float),
            }
        )
        kept = {"impressions": np.ones(len(frame), bool), "clicks": frame.clicked, "applications": frame.applied}
        return {
            name: log_table(name, events[np.asarray(rows, bool)], {"occurred_at": "day"}) for name, rows in kept.items()
        }

    def _candidates(self, kinds: np.ndarray, visits: int, policy: SlatePolicy) -> pa.Table:
        seeker = np.repeat(np.arange(len(kinds)), visits)
        visit = np.tile(np.arange(visits), len(kinds))
        of_request = [self.choices[kind] for kind in np.repeat(kinds, visits).tolist()]
        lengths = [len(choices) for choices in of_request]
        request = np.array([f"r{s}-{v}" for s, v in zip(seeker.tolist(), visit.tolist(), strict=True)], dtype=object)
        columns = {
            "request_id": np.repeat(request, lengths),
            "job_id": np.concatenate([[f"j{row}" for row in range(length)] for length in lengths]).astype(object),
            "bid_micros": np.concatenate([choices.bid for choices in of_request]),
            "p_click": np.concatenate([choices.p_click for choices in of_request]),
            "value_per_click": np.concatenate([choices.value for choices in of_request]),
            "score": np.concatenate([choices.score for choices in of_request]),
            "in_reach": np.repeat([choices.in_reach for choices in of_request], lengths),
            "lot": np.concatenate([choices.lot for choices in of_request]),
        }
        arrays = {name: pa.array(values, CANDIDATES[name]) for name, values in columns.items()}
        return pa.table(arrays | {"policy": pa.array([str(policy)] * sum(lengths), pa.string())})


def drawn_site(
    rng: np.random.Generator, kinds: int = 200, candidates: int = 20, slots: int = 3, cascade: float = 0.0
) -> LoggedSite:
    """An invented site: logits of clicks with a job and a pair effect, estimates that see half of the pair effect."""
    appeal = rng.normal(0, 0.5, candidates)
    bid = np.round(800_000 * np.exp(rng.normal(0, 0.4, candidates))).astype(np.int64)
    choices, click = [], []
    for _ in range(kinds):
        match, noise = rng.normal(0, 0.8, candidates), rng.normal(0, 0.4, candidates)
        logit = -2.2 + appeal + match
        estimate = 1 / (1 + np.exp(2.0 - 0.5 * match - noise))
        value = np.clip(0.1 * np.exp(0.6 * match + rng.normal(0, 0.5, candidates)), 0.0, 1.0)
        choices.append(Choices(bid, estimate, value, match + noise, np.ones(candidates, bool), candidates))
        click.append(1 / (1 + np.exp(-logit)))
    return LoggedSite(choices, click, np.arange(1, slots + 1) ** -0.6, cascade=cascade)


def site_of(market: Market, score: np.ndarray, theta: float, look: np.ndarray) -> LoggedSite:
    """A market's seekers as kinds of requests, without budgets and fatigue; score float[n] of its pairs retrieves.

    Estimates are the product's, clicks the world's (`sim.market`); seekers with nothing in reach are left out.
    """
    pairs, choices, click = market.pairs, [], []
    for seeker in range(len(market.seeker)):
        mine = np.arange(pairs.start[seeker], pairs.start[seeker + 1])
        if not len(mine):
            continue
        kept = mine[np.argsort(-score[mine], kind="stable")[: Liquidity(theta).seats(len(mine))]]
        choices.append(
            Choices(
                market.terms.max_bid[pairs.campaign[kept]],
                pairs.p_click[kept].astype(float),
                pairs.value_per_click[kept].astype(float),
                score[kept].astype(float),
                np.ones(len(kept), bool),
                len(mine),
            )
        )
        click.append(1 / (1 + np.exp(-pairs.click_logit[kept].astype(float))))
    return LoggedSite(choices, click, np.asarray(look, float))
