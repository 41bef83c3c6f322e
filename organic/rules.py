"""Quality rules: what a seeker should not be shown however well it matches, as clauses of the index.

A rule starts as a category of members' feedback and ends as terms. Each has an id, a reason to show and an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpu_index import Clause
from market.records import Filters, SeekerProfile
from organic.rows import term


@dataclass(frozen=True)
class Rule:
    """compile turns a seeker into hard filters; empty filters mean the rule has nothing to say."""

    id: str
    reason: str
    owner: str
    compile: Callable[[SeekerProfile], Filters]


class Counts(Protocol):
    """What a count needs of `gpu_index.Index`."""

    def count(self, clause: Clause) -> int: ...


def _already_decided(seeker: SeekerProfile) -> Filters:
    decided = {event.job_id: None for event in seeker.activity if event.action in ("apply", "dismiss")}
    return Filters(none_of=tuple(term("job", job_id) for job_id in decided))


def _expired(_seeker: SeekerProfile) -> Filters:
    return Filters(none_of=(term("status", "expired"),))


ALREADY_DECIDED = Rule("already-decided", "You applied to this job or dismissed it", "organic", _already_decided)
EXPIRED = Rule("expired", "The job is no longer open", "organic", _expired)
RULES = (ALREADY_DECIDED, EXPIRED)


def both(filters: Iterable[Filters]) -> Filters:
    """All of them at once."""
    parts = list(filters)
    return Filters(
        tuple(dict.fromkeys(group for part in parts for group in part.all_of)),
        tuple(dict.fromkeys(unwanted for part in parts for unwanted in part.none_of)),
    )


def clause_of(filters: Filters) -> Clause:
    return Clause(all_of=[list(group) for group in filters.all_of], none_of=list(filters.none_of))


def jobs_removed(index: Counts, rules: Sequence[Rule], seeker: SeekerProfile, filters: Filters) -> dict[str, int]:
    """Per rule id, how many jobs that pass the filters the rule alone takes away from this seeker."""
    before = index.count(clause_of(filters))
    return {rule.id: before - index.count(clause_of(both([filters, rule.compile(seeker)]))) for rule in rules}
