"""What a rule would have done to the past: dismissals prevented, applications lost, with intervals by seeker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.bootstrap import Estimate, Floats, bootstrap_statistic
from organic.quality.evidence import Evidence


@dataclass(frozen=True)
class Effect:
    """Counts, and shares with 95 % intervals by seeker.

    prevented  share of the dismissals that fell on removed impressions
    lost       share of the applications that did: a removed job brings nothing, and nothing takes its place
    replaced   the same if each removed job's place goes to one like the average of those that stay; may be negative
    lift       dismissal rate of the removed impressions over that of all
    named      of the removed dismissals with a reason, the share whose reason is the rule's own (None: no reasons)
    """

    removed: int
    dismissals: int
    applications: int
    prevented: Estimate
    lost: Estimate
    replaced: Estimate
    lift: Estimate
    named: float | None

    def report(self) -> dict[str, object]:
        shares = {name: getattr(self, name).report() for name in ("prevented", "lost", "replaced", "lift")}
        counts = {"removed": self.removed, "dismissals": self.dismissals, "applications": self.applications}
        return {**counts, **shares, "named": self.named}


def effect_of(
    removed: np.ndarray, evidence: Evidence, rng: np.random.Generator, words: tuple[str, ...] = (), draws: int = 300
) -> Effect:
    """removed bool[n]; words: reasons that mean this rule."""
    waved, applied = evidence.dismissed, evidence.applied
    columns = np.stack([removed & waved, waved, removed & applied, applied, removed, np.ones(len(removed))], axis=1)

    def estimate(statistic: object) -> Estimate:
        return bootstrap_statistic(evidence.seeker, columns, statistic, rng=rng, draws=draws)  # type: ignore[arg-type]

    reasons = [reason for reason in evidence.reason[removed & waved] if reason is not None]
    return Effect(
        int(removed.sum()),
        int((removed & waved).sum()),
        int((removed & applied).sum()),
        estimate(lambda sums: _over(sums[:, 0], sums[:, 1])),
        estimate(lambda sums: _over(sums[:, 2], sums[:, 3])),
        estimate(replaced_share),
        lift_of(removed, evidence, rng, draws),
        float(np.mean([reason in words for reason in reasons])) if reasons and words else None,
    )


def lift_of(removed: np.ndarray, evidence: Evidence, rng: np.random.Generator, draws: int = 300) -> Estimate:
    """Dismissal rate of the removed impressions over that of all, by seeker; undefined where none is removed."""
    waved = evidence.dismissed
    columns = np.stack([removed & waved, removed, waved, np.ones(len(removed))], axis=1)

    def lift(sums: Floats) -> Floats:
        return _over(_over(sums[:, 0], sums[:, 1]), _over(sums[:, 2], sums[:, 3]))

    return bootstrap_statistic(evidence.seeker, columns, lift, rng=rng, draws=draws)


def replaced_share(sums: Floats) -> Floats:
    """(applications lost - removed * rate of those that stay) / applications, from columns as in `effect_of`."""
    stay = _over(sums[:, 3] - sums[:, 2], sums[:, 5] - sums[:, 4])
    return _over(sums[:, 2] - sums[:, 4] * stay, sums[:, 3])


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """NaN where the denominator is 0."""
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
