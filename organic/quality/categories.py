"""One small pure function per category of members' feedback: what it knows of a seeker becomes a clause of the index.

Whatever is unknown, of the seeker or of the job, says nothing: empty filters, or a term that lets the job pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from market.records import Activity, Filters, Job
from organic.quality.language import LANGUAGES, guess_language
from organic.rows import FEW_SKILLS, term, week_of

NOTHING = Filters()
OF_COMPANY = "company"  # the reason of a dismissal that means the employer
WEEK = timedelta(weeks=1)


def wrong_occupation(
    held: Iterable[str],
    groups: Mapping[str, str],
    near_groups: Mapping[str, Collection[str]],
    terms_of: Mapping[str, Sequence[str]],
) -> Filters:
    """Without jobs of groups that are near to none of the occupations held.

    terms_of: group -> the terms of its occupations. An occupation outside the table may be near to anything: with one
    of those the rule says nothing.
    """
    of_seeker = {groups.get(code, "") for code in held}
    if not of_seeker or not of_seeker <= near_groups.keys():
        return NOTHING
    near = set().union(*(near_groups[group] for group in of_seeker))
    return Filters(none_of=tuple(known for group, terms in terms_of.items() if group not in near for known in terms))


def missing_skill(skills: Sequence[str], least: int) -> Filters:
    """With one of the seeker's skills, or with too few skills listed to tell."""
    wanted = tuple(dict.fromkeys(term("skill", skill) for skill in skills if skill.strip()))
    if len(wanted) < max(least, FEW_SKILLS):
        return NOTHING
    return Filters(((*wanted, term("skills", "few")),))


def too_senior(step: int | None, scale: Mapping[str, int], steps_up: int) -> Filters:
    """Without jobs more than `steps_up` above the seeker."""
    if step is None:
        return NOTHING
    return Filters(none_of=tuple(term("seniority", word) for word, other in scale.items() if other > step + steps_up))


def too_junior(step: int | None, scale: Mapping[str, int], steps_down: int) -> Filters:
    """Without jobs more than `steps_down` below the seeker."""
    if step is None:
        return NOTHING
    return Filters(none_of=tuple(term("seniority", word) for word, other in scale.items() if other < step - steps_down))


def too_far(geo: str | None, near_areas: Mapping[str, Sequence[str]]) -> Filters:
    """In an area near the seeker's, remote, or of no area. An area that the table does not name is near to none."""
    if geo is None or geo not in near_areas:
        return NOTHING
    return Filters(((*(term("geo", name) for name in near_areas[geo]), term("remote", "yes"), term("unknown", "geo")),))


def wrong_language(read: Collection[str]) -> Filters:
    """Without jobs in a language the seeker is not known to read; nothing where no language is known."""
    if not read:
        return NOTHING
    return Filters(none_of=tuple(term("language", code) for code in LANGUAGES if code not in read))


def stale(now: datetime, weeks: int) -> Filters:
    """Posted in this ISO week, the `weeks` before it or the one to come (clocks differ), or nobody knows when."""
    return _posted_lately(now.astimezone(UTC).date(), weeks)


@lru_cache(maxsize=64)  # all seekers of a day ask for the same weeks
def _posted_lately(today: date, weeks: int) -> Filters:
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    recent = [week_of(noon - back * WEEK) for back in range(-1, weeks + 1)]
    return Filters(((*(term("posted", week) for week in recent), term("unknown", "posted")),))


def duplicate() -> Filters:
    """Without postings of which a newer copy is there."""
    return Filters(none_of=(term("duplicate", "yes"),))


def company_muted(activity: Iterable[Activity], job_of: Callable[[str], Job | None], dismissals: int) -> Filters:
    """Without companies of which a job was dismissed for the company, or `dismissals` jobs for whatever reason.

    `job_of` finds a job by id; one that is gone says nothing of its company.
    """
    dismissed: dict[str, dict[str, None]] = {}  # company -> its dismissed jobs, in order
    muted: dict[str, None] = {}
    for event in activity:
        job = job_of(event.job_id) if event.action == "dismiss" else None
        if job is None or not job.company.strip():
            continue
        company = term("company", job.company)
        dismissed.setdefault(company, {})[job.job_id] = None
        if event.reason == OF_COMPANY or len(dismissed[company]) >= dismissals:
            muted[company] = None
    return Filters(none_of=tuple(muted))


def languages_read(texts: Iterable[str], liked: Iterable[Job], known: Collection[str]) -> frozenset[str]:
    """The languages everybody here reads, the one the seeker writes in, and those of jobs applied to or saved.

    Empty where nobody said what everybody reads: the languages of a few jobs are not all that somebody reads.
    """
    if not known:
        return frozenset()
    guessed = [guess_language("\n".join(texts)), *(guess_language(f"{job.title}\n{job.description}") for job in liked)]
    return frozenset(known).union(code for code in guessed if code is not None)
