"""Why a job is kept from a seeker: the rules that do it, each with its reason and the terms that decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from market.records import Filters, Job, SeekerProfile
from organic.rows import JobBook
from organic.rules import Counts, Rule, jobs_removed


@dataclass(frozen=True)
class Suppression:
    """One rule against one job: has are terms of the job that the rule excludes, lacks groups it has no term of."""

    rule: str
    reason: str
    owner: str
    has: tuple[str, ...]
    lacks: tuple[tuple[str, ...], ...]


def suppressed(
    book: JobBook, rules: Sequence[Rule], seeker: SeekerProfile, job: Job, now: datetime | None = None
) -> tuple[Suppression, ...]:
    """The rules that keep this job from this seeker, in their order; empty when none does.

    The same terms as in the index decide, so that an explanation never differs from the answer; a job that the book
    does not know is judged as a new posting.
    """
    terms, found = frozenset(book.terms(job, now)), []
    for rule in rules:
        compiled = rule.compile(seeker)
        has, lacks = against(terms, compiled)
        if has or lacks:
            found.append(Suppression(rule.id, rule.reason, rule.owner, has, lacks))
    return tuple(found)


def against(terms: frozenset[str], filters: Filters) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """(excluded terms that are there, groups of which no term is there): both empty for a row that passes."""
    has = tuple(unwanted for unwanted in filters.none_of if unwanted in terms)
    return has, tuple(group for group in filters.all_of if terms.isdisjoint(group))


class RemovalCounter:
    """Running totals of jobs removed, by rule id, over the requests that were looked at.

    Counting costs one pass over the index a rule, so a service counts a sample of its requests.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.removed: Counter[str] = Counter()

    def record(self, index: Counts, rules: Sequence[Rule], seeker: SeekerProfile, filters: Filters) -> dict[str, int]:
        """Count one request and return its own numbers; a job that two rules remove counts for both."""
        removed = jobs_removed(index, rules, seeker, filters)
        self.requests += 1
        self.removed.update(removed)
        return removed
