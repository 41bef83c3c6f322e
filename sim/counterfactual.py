"""Counterfactual replay: what another policy would have put into each logged slot, and what that would have earned.

The policy's chance of each logged (slot, job) comes from serving's own auction and lottery on the logged candidates.
The reward model is the product's: P(click) at the top, times what a click is worth, times how much less a slot earns
than the model says (attention falls with the place). That factor is estimated by slot on the other half of the
seekers, so that the model of a slate never saw its own rewards:

    q(j, a) = f_j p_click(a) u(a);  f_j = sum r / sum p_click u over slots j of the other half
    u(a)    = value of a click for the reward `qualified`, else 1

The sums are not weighed by 1 / p: where little is left to chance a few lots would decide the factor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from market.errors import ConfigError, DataError
from sim.decision_log import DecisionLog, Reward
from sim.off_policy import LoggedRewards, diagnose, evaluate
from sim.slate_policy import SlatePolicy, slot_chances

LOGGED = "logged"  # the policy that was served: every weight is 1


@dataclass(frozen=True)
class Replay:
    """A target on a log. target float64[n] of each filled slot; mass, unsupported float64[R, J] and [R] as in
    `LoggedRewards`; chances: of each request float64[slots, candidates]."""

    target: np.ndarray
    mass: np.ndarray
    unsupported: np.ndarray
    chances: list[np.ndarray]


def replay(log: DecisionLog, policy: SlatePolicy) -> Replay:
    """Where the policy would have put what, request by request; DataError where the log holds no candidates."""
    if log.choices is None or log.policy is None or log.candidate is None:
        raise DataError(
            "candidates",
            f"policy {str(policy)!r} can not be judged without what each request could have shown",
            f"add the table candidates, or judge {LOGGED!r} alone",
        )
    slots = log.slots
    width = int(slots.max())
    mass, unsupported = np.zeros((len(slots), width)), np.zeros(len(slots))
    chances = []
    for at, (choices, served) in enumerate(zip(log.choices, log.policy, strict=True)):
        open_slots = int(slots[at])
        wanted = np.zeros((open_slots, len(choices)))
        found = slot_chances(policy.lottery(choices, open_slots), len(choices))
        wanted[: len(found)] = found
        possible = slot_chances(served.lottery(choices, open_slots), len(choices))
        mass[at, :open_slots] = wanted.sum(1)
        unsupported[at] = wanted[possible <= 0].sum()
        chances.append(wanted)
    rows = zip(log.request.tolist(), log.slot.tolist(), log.candidate.tolist(), strict=True)
    target = np.array([chances[request][slot, candidate] for request, slot, candidate in rows])
    return Replay(target, mass, unsupported, chances)


def rewards_under(log: DecisionLog, policy: SlatePolicy | None, reward: Reward) -> LoggedRewards:
    """The log seen with the policy's eyes; None is the policy that was served, which needs no candidates."""
    slots = log.slots
    earned = log.reward(reward)
    if policy is None:
        mass = (np.arange(int(slots.max())) < slots[:, None]).astype(float)
        return LoggedRewards(
            log.request, log.slot, earned, log.propensity, log.propensity, log.seeker, mass, np.zeros(len(slots))
        )
    found = replay(log, policy)
    unit = log.of_shown("value") if reward == "qualified" else np.ones(len(earned))
    base = log.of_shown("p_click") * unit  # [n]
    half = log.seeker % 2
    factor = _slot_factors(log, earned, base, half)  # [2, J]
    model = factor[half[log.request], log.slot] * base
    expected = _expected(log, found, factor[half], reward)
    return LoggedRewards(
        log.request, log.slot, earned, log.propensity, found.target, log.seeker, found.mass, found.unsupported,
        model, expected,
    )  # fmt: skip


def judge(
    log: DecisionLog,
    policies: dict[str, SlatePolicy | None],
    reward: Reward,
    *,
    clip: float | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every estimator and the diagnostics of each policy, as plain data; seekers are drawn alike for all policies."""
    if draws < 1:
        raise ConfigError(f"draws is {draws}, expected at least 1")
    report = {}
    for name, policy in policies.items():
        seen = rewards_under(log, policy, reward)
        values = evaluate(seen, clip=clip, rng=np.random.default_rng([seed, 83]), draws=draws)
        report[name] = {
            "estimates": {estimator: value.report() for estimator, value in values.items()},
            "diagnostics": asdict(diagnose(seen, clip)),
        }
    return report


def _slot_factors(log: DecisionLog, earned: np.ndarray, base: np.ndarray, half: np.ndarray) -> np.ndarray:
    """float64[2, J]: for the slates of each half, the factor of each slot by the other half's rewards.

    A slot of which the other half shows nothing has the factor of all slots together.
    """
    width = int(log.slots.max())
    of_row = half[log.request]
    factors = np.zeros((2, width))
    for mine in (0, 1):
        other = of_row != mine
        gained = np.bincount(log.slot[other], earned[other], minlength=width)
        said = np.bincount(log.slot[other], base[other], minlength=width)
        overall = gained.sum() / said.sum() if said.sum() > 0 else 0.0
        factors[mine] = np.divide(gained, said, out=np.full(width, overall), where=said > 0)
    return factors


def _expected(log: DecisionLog, found: Replay, factor: np.ndarray, reward: Reward) -> np.ndarray:
    """float64[R]: Q of each slate; factor float64[R, J]."""
    assert log.choices is not None
    expected = np.zeros(len(log.seeker))
    for at, (choices, chances) in enumerate(zip(log.choices, found.chances, strict=True)):
        base = choices.p_click * (choices.value if reward == "qualified" else 1.0)
        expected[at] = float(factor[at, : len(chances)] @ (chances @ base))
    return expected
