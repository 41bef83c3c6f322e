"""Whether the controller takes a plan: a gap above 1 % or a violated row is refused, and the last good prices stay."""

from __future__ import annotations

from typing import Protocol

MOST_GAP = 0.01
MOST_VIOLATION = 1e-9  # of any row, relative to its limit


class Certified(Protocol):
    """A plan with its certificate: the gap to the bound, and the largest relative violation of a row."""

    @property
    def gap(self) -> float: ...

    @property
    def violation(self) -> float: ...


def refusal(plan: Certified) -> str | None:
    """Why a plan is refused, in words; None when it is acceptable. A gap or violation that is no number is refused."""
    if not plan.gap <= MOST_GAP:
        return f"the plan may be {plan.gap:.2%} below the best one; up to {MOST_GAP:.0%} is accepted"
    if not plan.violation <= MOST_VIOLATION:
        return (
            f"a row of the plan is broken by {plan.violation:.1e} of its limit; up to {MOST_VIOLATION:.0e} is accepted"
        )
    return None


def acceptable(plan: Certified) -> bool:
    """The controller's rule. A plan that is refused leaves the controller with the last prices it accepted."""
    return refusal(plan) is None
