"""How many of the jobs within the filters have each value of a field, so that a caller can offer it as a filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from market.records import Filters, Job
from organic.question import FacetCount
from organic.rows import term
from organic.rules import Counts, both, clause_of

CANDIDATES = 2  # values counted for each that is shown

VALUE_OF: Mapping[str, Callable[[Job], str]] = {
    "geo": lambda job: job.geo,
    "company": lambda job: job.company,
    "occupation": lambda job: job.occupation or "",
    "seniority": lambda job: job.seniority or "",
    "remote": lambda job: "yes" if job.remote else "no",
}


def count_facets(
    index: Counts, best: Sequence[Job], filters: Filters, fields: Sequence[str], shown: int = 10
) -> dict[str, tuple[FacetCount, ...]]:
    """Per field its most frequent values among all rows that pass the filters, ties by value.

    The counts are the index's, exact. Which values are counted is decided by `best`, jobs that pass: with all of them
    the answer is exact too; else a value that is rare among them may be missing.
    """
    return {field: _most_frequent(index, best, filters, field, shown) for field in fields}


def _most_frequent(
    index: Counts, best: Sequence[Job], filters: Filters, field: str, shown: int
) -> tuple[FacetCount, ...]:
    terms: Counter[str] = Counter()
    for value, count in Counter(map(VALUE_OF[field], best)).items():
        if value.strip():
            terms[_term(field, value)] += count
    candidates = sorted(terms, key=lambda each: (-terms[each], each))[: CANDIDATES * shown]
    counts = {each: index.count(clause_of(both([filters, Filters(((each,),))]))) for each in candidates}
    order = sorted((each for each in candidates if counts[each]), key=lambda each: (-counts[each], each))
    return tuple(FacetCount(each.partition("=")[2], counts[each]) for each in order[:shown])


_term = lru_cache(maxsize=65_536)(term)
