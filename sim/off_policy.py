"""What another policy would have earned, from slates that were served by this one.

A slate has slots; a slot of request x holds job a, drawn with the logged chance p = P(a in slot j | x); the policy to
be judged would have put it there with chance t. The reward r of a slot is taken to depend on the request, the slot and
the job in it only, not on what else is shown (additivity; the price is that estimates by slot need only the chances
of single placements, not of whole slates). With w = t / p, N slates, q(x, j, a) a model of the reward:

    V          = E over requests of the sum over j and a of t_j(a | x) E[r | x, j, a]
    direct     = (1/N) sum over slates of Q,  Q = sum over j, a of t_j(a | x) q(x, j, a)        (biased as q is)
    ips        = (1/N) sum w r                     (Horvitz, Thompson 1952)
    snips      = sum_j T_j / N * (sum w r)_j / (sum w)_j, T_j = mass put into slot j (Swaminathan, Joachims 2015)
    dr         = direct + (1/N) sum w (r - q)      (Dudik, Langford, Li 2011)
    sndr       = direct + sum_j T_j / N * (sum w (r - q))_j / (sum w)_j
    clipped_*  with min(w, clip) for w             (Ionides 2008: clip = sqrt(N); biased low where rewards are above q)

ips and dr are unbiased where p > 0 wherever t > 0 (positivity); mass elsewhere is lost and reported. Requests of one
seeker are not independent: standard errors are by linearisation of sums by seeker, intervals by drawing seekers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from market.bootstrap import bootstrap_statistic
from market.errors import ConfigError, DataError

ESTIMATORS = ("direct", "ips", "snips", "dr", "sndr", "clipped_ips", "clipped_dr")
WITHOUT_MODEL = ("ips", "snips", "clipped_ips")


@dataclass(frozen=True)
class LoggedRewards:
    """n filled slots of R slates, and what the policy to be judged would have done there.

    slate int64[n] in 0..R-1, slot int64[n] from 0, reward, propensity, target float64[n]; seeker int64[R]: whom the
    slate was for; mass float64[R, J]: what the policy puts into each slot in all (1, or 0 where it leaves it empty);
    unsupported float64[R]: mass it puts where the log could hold nothing, None: not known.
    model float64[n], expected float64[R]: q of what was shown, and Q; None: no model.
    """

    slate: np.ndarray
    slot: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    target: np.ndarray
    seeker: np.ndarray
    mass: np.ndarray
    unsupported: np.ndarray | None = None
    model: np.ndarray | None = None
    expected: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.slate):
            raise DataError("impressions", "no slot was filled", "give logs with promoted impressions")
        for name, values in (("propensity", self.propensity), ("target", self.target)):
            wrong = np.flatnonzero(~((values >= 0) & (values <= 1 + 1e-9)) | ((name == "propensity") & (values <= 0)))
            if len(wrong):
                bounds = "(0, 1]" if name == "propensity" else "[0, 1]"
                raise DataError(
                    "impressions", f"{name} is {values[wrong[0]]}", f"log chances in {bounds}", row=int(wrong[0])
                )
        if not np.isfinite(self.reward).all():
            raise DataError("impressions", "a reward is NaN or infinite", "log finite rewards")

    @property
    def weight(self) -> np.ndarray:
        return np.asarray(self.target / self.propensity)


@dataclass(frozen=True)
class Value:
    """Reward per slate; ci95 by bootstrap over seekers, None where that says nothing (one seeker, no draws)."""

    value: float
    standard_error: float
    ci95: tuple[float, float] | None

    def report(self) -> dict[str, float | list[float] | None]:
        ci = None if self.ci95 is None else list(self.ci95)
        return {"value": self.value, "standard_error": self.standard_error, "ci95": ci}


@dataclass(frozen=True)
class Diagnostics:
    """How far the log can be trusted with this policy.

    ess: (sum w)^2 / sum w^2, of `rows` slots; mean_weight: should be 1 within a few of its standard errors where
    nothing is unsupported; share_clipped: of slots; unsupported_mass: share of what the policy would show (None: the
    log does not say).
    """

    slates: int
    seekers: int
    rows: int
    ess: float
    max_weight: float
    clip: float
    share_clipped: float
    mean_weight: float
    mean_weight_error: float
    unsupported_mass: float | None


def evaluate(
    log: LoggedRewards, *, clip: float | None = None, rng: np.random.Generator | None = None, draws: int = 1000
) -> dict[str, Value]:
    """Every estimator that the log allows, by its name; without `rng` there are no bootstrap intervals."""
    limit = clip_of(log, clip)
    sums = _SlateSums.of(log, limit)
    found = {}
    for name in ESTIMATORS if log.model is not None else WITHOUT_MODEL:
        statistic = sums.statistic(name)
        ci = None
        if rng is not None:
            estimate = bootstrap_statistic(log.seeker, sums.table, statistic, rng=rng, draws=draws)
            ci = estimate.ci
        value = float(statistic(sums.table.sum(0, keepdims=True))[0])
        found[name] = Value(value, _standard_error(sums, name, log.seeker), ci)
    return found


def diagnose(log: LoggedRewards, clip: float | None = None) -> Diagnostics:
    limit, weight = clip_of(log, clip), log.weight
    filled = log.mass.sum()
    of_slate = np.bincount(log.slate, weight, minlength=len(log.seeker)) - log.mass.sum(1)
    _, group = np.unique(log.seeker, return_inverse=True)
    apart = np.bincount(group, of_slate)
    squares = float((weight**2).sum())
    return Diagnostics(
        slates=len(log.seeker),
        seekers=len(apart),
        rows=len(weight),
        ess=float(weight.sum() ** 2 / squares) if squares else 0.0,
        max_weight=float(weight.max()),
        clip=limit,
        share_clipped=float((weight > limit).mean()),
        mean_weight=float(weight.sum() / filled) if filled else 0.0,
        mean_weight_error=_spread(apart - apart.mean()) / float(filled) if filled else 0.0,
        unsupported_mass=None if log.unsupported is None else float(log.unsupported.sum() / max(filled, 1e-300)),
    )


def clip_of(log: LoggedRewards, clip: float | None) -> float:
    """The largest weight that is kept: `clip`, or the root of the number of slates."""
    if clip is not None and not clip > 0:
        raise ConfigError(f"clip is {clip}, expected a weight above 0")
    return float(np.sqrt(len(log.seeker))) if clip is None else clip


@dataclass(frozen=True)
class _SlateSums:
    """table float64[R, 6 + 4 J]: 1, sums of w r, min(w) r, Q, w (r - q), min(w) (r - q); by slot: mass, w, w r,
    w (r - q); min(w) is the clipped weight."""

    table: np.ndarray
    slots: int

    @classmethod
    def of(cls, log: LoggedRewards, clip: float) -> _SlateSums:
        slates, slots = log.mass.shape
        weight = log.weight
        clipped = np.minimum(weight, clip)
        residual = log.reward - (0.0 if log.model is None else log.model)
        expected = np.zeros(slates) if log.expected is None else log.expected

        def by_slate(values: np.ndarray) -> np.ndarray:
            return np.bincount(log.slate, values, minlength=slates)

        def by_slot(values: np.ndarray) -> np.ndarray:
            return np.bincount(log.slate * slots + log.slot, values, minlength=slates * slots).reshape(slates, slots)

        whole = [
            np.ones(slates), by_slate(weight * log.reward), by_slate(clipped * log.reward), expected,
            by_slate(weight * residual), by_slate(clipped * residual),
        ]  # fmt: skip
        parts = [log.mass, by_slot(weight), by_slot(weight * log.reward), by_slot(weight * residual)]
        return cls(np.concatenate([np.stack(whole, 1), *parts], 1), slots)

    def statistic(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """Maps sums float64[m, 6 + 4 J] to estimates float64[m]."""
        return lambda sums: self._numerator(name, sums) / sums[:, 0]

    def _numerator(self, name: str, sums: np.ndarray) -> np.ndarray:
        if name == "direct":
            return sums[:, 3]
        if name == "ips":
            return sums[:, 1]
        if name == "clipped_ips":
            return sums[:, 2]
        if name == "dr":
            return sums[:, 3] + sums[:, 4]
        if name == "clipped_dr":
            return sums[:, 3] + sums[:, 5]
        mass, weight, rewarded, residual = self._by_slot(sums)
        gained = rewarded if name == "snips" else residual
        # a slot whose weights are all 0 says nothing about the policy: it counts 0, as in ips
        rate = np.divide(gained, weight, out=np.zeros_like(gained), where=weight > 0)
        return (mass * rate).sum(1) + (sums[:, 3] if name == "sndr" else 0.0)

    def _by_slot(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        parts = sums[:, 6:].reshape(len(sums), 4, self.slots)
        return parts[:, 0], parts[:, 1], parts[:, 2], parts[:, 3]

    def linear(self, name: str) -> np.ndarray:
        """float64[R]: N times each slate's share in the deviation of the estimate, first order; sums to 0."""
        total = self.table.sum(0, keepdims=True)
        value = float(self.statistic(name)(total)[0])
        if name in ("snips", "sndr"):
            mass, weight, rewarded, residual = self._by_slot(self.table)
            gained = rewarded if name == "snips" else residual
            masses, weights, gains = mass.sum(0), weight.sum(0), gained.sum(0)
            safe = np.where(weights > 0, weights, 1.0)
            rate = np.where(weights > 0, gains / safe, 0.0)
            own = mass * rate + masses * (gained - rate * weight) / safe
            numerator = own.sum(1) + (self.table[:, 3] if name == "sndr" else 0.0)
        else:
            numerator = self._numerator(name, self.table)
        return np.asarray(numerator - value * self.table[:, 0])


def _standard_error(sums: _SlateSums, name: str, seeker: np.ndarray) -> float:
    _, group = np.unique(seeker, return_inverse=True)
    return _spread(np.bincount(group, sums.linear(name))) / len(seeker)


def _spread(deviations: np.ndarray) -> float:
    """Standard error of the sum of G independent deviations; NaN for one alone."""
    groups = len(deviations)
    return float(np.sqrt(groups / (groups - 1) * (deviations**2).sum())) if groups > 1 else float("nan")
