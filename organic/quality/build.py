"""From a configuration and what can be looked up to rules that the recommender compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from market.records import Filters, Job, SeekerProfile
from market.taxonomy import Taxonomy, normalise_title
from organic.quality.areas import near_areas
from organic.quality.categories import (
    company_muted,
    duplicate,
    languages_read,
    missing_skill,
    stale,
    too_far,
    too_junior,
    too_senior,
    wrong_language,
    wrong_occupation,
)
from organic.quality.config import RULE_IDS, RuleConfig
from organic.rows import JobBook, term
from organic.rules import RULES, Rule

OWNER = "organic"
TITLES_READ = 3  # the newest of a profile: what somebody did long ago does not make a job near
LIKED_READ = 5  # newest jobs applied to or saved, for the languages they are in
# what a seeker is told, and who answers for the rule
REASONS: Mapping[str, str] = {
    "wrong-occupation": "The job is in a field that people of your occupation hardly ever apply to",
    "missing-skill": "The job asks for none of the skills you listed",
    "too-senior": "The job is for people further along in their career",
    "too-junior": "The job is for people at the beginning of their career",
    "too-far": "The job is too far away and not remote",
    "wrong-language": "The job is in a language that you may not read",
    "stale": "The job was posted a long time ago",
    "duplicate": "The same job was posted again more recently",
    "company-muted": "You dismissed jobs of this company",
}


def _no_job(_job_id: str) -> Job | None:
    return None


def _no_occupations(_seeker: SeekerProfile) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Context:
    """What rules look up when they are compiled; the defaults know nothing, and then the rules say nothing.

    now             the clock, aware; read at every compilation, so that rules stay right over days
    job_of          a job by id, for the jobs of a seeker's activity
    occupations_of  codes of what a seeker does, newest first
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    job_of: Callable[[str], Job | None] = _no_job
    occupations_of: Callable[[SeekerProfile], Sequence[str]] = _no_occupations


def jobs_of(book: JobBook) -> Callable[[str], Job | None]:
    """`Context.job_of` from a JobBook."""

    def job_of(job_id: str) -> Job | None:
        row = book.row(job_id)
        return None if row is None else book.job(row)

    return job_of


def occupations_by_title(
    taxonomy: Taxonomy, titles: Mapping[str, str] | None = None
) -> Callable[[SeekerProfile], Sequence[str]]:
    """`Context.occupations_of` by exact title (case and punctuation aside) of the newest titles of a profile.

    titles: more of them, title -> code. A title that is not known leaves the seeker without occupations: what it
    means could be near to any job.
    """
    known = {title: taxonomy.codes[position] for title, position in taxonomy.by_title.items()}
    known |= {normalise_title(title): code for title, code in (titles or {}).items()}

    def occupations_of(seeker: SeekerProfile) -> Sequence[str]:
        asked = [normalise_title(title) for title in seeker.titles[:TITLES_READ] if title.strip()]
        return [known[title] for title in asked] if all(title in known for title in asked) else ()

    return occupations_of


def build_rules(config: RuleConfig, context: Context) -> tuple[Rule, ...]:
    """The rules in force: those that always are, then those the configuration names, in the order of RULE_IDS."""
    near = near_areas(config.areas, config.distance_km)
    terms_of: dict[str, list[str]] = {}  # group -> terms of its occupations
    for code, group in config.groups.items():
        terms_of.setdefault(group, []).append(term("occupation", code))

    def occupation(seeker: SeekerProfile) -> Filters:
        return wrong_occupation(context.occupations_of(seeker), config.groups, config.near_groups, terms_of)

    def liked(seeker: SeekerProfile) -> list[Job]:
        newest = sorted(seeker.activity, key=lambda event: event.at, reverse=True)
        jobs = (context.job_of(event.job_id) for event in newest if event.action != "dismiss")
        return [job for job in jobs if job is not None][:LIKED_READ]

    def language(seeker: SeekerProfile) -> Filters:
        return wrong_language(languages_read((*seeker.titles, *seeker.skills), liked(seeker), config.languages))

    compiled: dict[str, Callable[[SeekerProfile], Filters]] = {
        "wrong-occupation": occupation,
        "missing-skill": lambda s: missing_skill(s.skills, config.least_skills),
        "too-senior": lambda s: too_senior(config.step_of(s.seniority), config.scale, config.steps_up),
        "too-junior": lambda s: too_junior(config.step_of(s.seniority), config.scale, config.steps_down),
        "too-far": lambda s: too_far(s.geo, near),
        "wrong-language": language,
        "stale": lambda _: stale(context.now(), config.stale_weeks),
        "duplicate": lambda _: duplicate(),
        "company-muted": lambda s: company_muted(s.activity, context.job_of, config.company_dismissals),
    }
    return (
        *RULES,
        *(Rule(name, REASONS[name], OWNER, compiled[name]) for name in RULE_IDS if name in config.rules),
    )
