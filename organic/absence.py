"""Why a job, or every job, is missing from an answer: the filter, area or rule that keeps it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from market.records import Filters, Job, SeekerProfile
from organic.quality.explain import against
from organic.question import Note
from organic.rules import Counts, Rule, both, clause_of, jobs_removed

SHOWN = 3


def why_not(
    job: Job, terms: Sequence[str], given: Filters, place: Filters, rules: Sequence[Rule], seeker: SeekerProfile,
    now: datetime | None,
) -> tuple[Note, ...]:  # fmt: skip
    """Everything that keeps this job from this seeker; empty: nothing does, other jobs are merely nearer.

    terms are those of the job's row; given the filters of the request in the form of the index.
    """
    has = frozenset(terms)
    unwanted, lacking = against(has, given)
    found = [Note("filter", f"The search asks for {_or(group)}") for group in lacking]
    found += [Note("filter", f"The search leaves out {each}") for each in unwanted]
    if any(against(has, place)):
        found.append(Note("area", f"It is in {job.geo}, not in your area {seeker.geo}, and not remote"))
    found += [Note(f"rule:{rule.id}", rule.reason) for rule in rules if any(against(has, rule.compile(seeker)))]
    if now is not None and job.expires_at is not None and job.expires_at <= now:
        found += [Note("expired", "The job is no longer open")] if "status=expired" not in has else []
    return tuple(found)


def why_nothing(
    index: Counts, given: Filters, place: Filters, rules: Sequence[Rule], seeker: SeekerProfile
) -> tuple[Note, ...]:
    """The first of market, filters, area and rules that leaves no job; one more search would not say it better."""
    if not index.count(clause_of(Filters())):
        return (Note("no_jobs", "There are no jobs here yet"),)
    alone = [group for group in given.all_of if not index.count(clause_of(Filters((group,))))]
    if alone:
        return tuple(Note("no_match", f"No job has {_or(group)}") for group in alone[:SHOWN])
    if not index.count(clause_of(given)):
        return (Note("no_match", "Jobs pass each filter, but none passes all of them together; drop one"),)
    if not index.count(clause_of(both([given, place]))):
        return (Note("no_match", f"No job that passes the filters is in the area {seeker.geo} or remote"),)
    removed = jobs_removed(index, rules, seeker, both([given, place]))
    worst = sorted((rule for rule in rules if removed[rule.id]), key=lambda rule: -removed[rule.id])
    if worst:
        return tuple(Note(f"rule:{rule.id}", f"{rule.reason} ({removed[rule.id]} jobs)") for rule in worst[:SHOWN])
    return (Note("no_match", "Every job within the filters has expired or was removed a moment ago"),)


def _or(group: Sequence[str]) -> str:
    if not group:
        return "one of no terms at all"
    more = f" or {len(group) - SHOWN} others" if len(group) > SHOWN else ""
    return " or ".join(term if len(term) <= 80 else f"{term[:79]}…" for term in group[:SHOWN]) + more
