"""Recommendations in process: 100,000 jobs in the index, profiles whose titles nobody has seen, time of one request.

Jobs bear one half of the O*NET alternate titles, profiles the other half; a student of the sentence encoder is fitted
on a sample of the first. Every request runs what the API runs: text, rules, filters, boosts for new and seen jobs, one
search, the cap per employer, reasons for 20 jobs. Half of them also search, half name skills, half have activity, a
quarter filter; all say which 20 jobs were seen.

A row is timed from one thread, or from two at once with half of the requests each; percentiles are of wall time, over
requests. The parts are means of processor time over 200 requests from one thread: rest is rules, clause, cap and
records. The load of the machine by others is in the result: on a busy one the percentiles are upper bounds.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpu_index import Index
from market.records import Activity, Filters, Job, SeekerProfile
from market.text import TextEncoder
from organic.capped import SPACE
from organic.language.student import fit_student
from organic.quality.build import Context, build_rules, jobs_of
from organic.quality.config import RuleConfig
from organic.question import FACETS, Question
from organic.reasons import Reasons
from organic.recommend import Recommender, put_jobs
from organic.rows import JobBook
from organic.towers import TextTowers
from sim.generated import generated_taxonomy

AREAS, COMPANIES, SKILLS = 390, 5_000, 2_000
WEEKS = 10  # the oldest job was posted so long ago
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES_IN_FORCE = ("missing-skill", "too-senior", "too-junior", "wrong-language", "stale", "duplicate", "company-muted")
LEVELS = ("junior", "mid", "senior", "lead", "manager")
SEED = 5


@dataclass(frozen=True)
class Sizes:
    """fitted: texts of the student; slow_requests: of the row that is read by the sentence encoder itself."""

    jobs: int = 100_000
    requests: int = 1_000
    slow_requests: int = 100
    fitted: int = 2_000
    warm_up: int = 20  # requests before each kind is timed: the first ones compile the kernels


@dataclass(frozen=True)
class Service:
    """What answers, and the same with a stopwatch in it."""

    book: JobBook
    recommender: Recommender
    timed: Recommender  # the same, adding up into took
    took: dict[str, float]


def run(data: Path | None, sizes: Sizes = Sizes()) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    seen, unseen = _titles(data)
    encoder = TextEncoder(cache_dir=Path(".cache") / "text")
    student, fitted = fit_student(
        [str(title) for title in rng.choice(seen, min(sizes.fitted, len(seen)), False)], encoder
    )
    jobs = _jobs(seen, sizes.jobs, rng)
    fast, slow = TextTowers(student), TextTowers(student, request_encoder=TextEncoder())
    index, book = Index({SPACE: fast.dimension}), JobBook()
    put_jobs(index, book, fast, jobs, NOW)
    services = {name: _service(index, book, towers) for name, towers in (("student", fast), ("transformer", slow))}
    questions = _questions(unseen, jobs, sizes.requests, rng)
    anywhere = [_changed(question, geo=None) for question in questions]
    cold = [Question(SeekerProfile(f"new-{n}", geo=each.seeker.geo)) for n, each in enumerate(questions)]
    counted = [Question(each.seeker, each.query, each.filters, facets=FACETS) for each in questions]
    for asked in (questions, anywhere, cold, counted):
        _latencies(services["student"], asked[: sizes.warm_up], 1)
    _latencies(services["transformer"], questions[:2], 1)  # loads it
    rows = {
        "profile with an area": _row(services["student"], questions, 1),
        "profile with an area, 2 callers": _row(services["student"], questions, 2),
        "profile without an area (all jobs)": _row(services["student"], anywhere, 1),
        "profile without an area, 2 callers": _row(services["student"], anywhere, 2),
        "nothing but an area (cold start)": _row(services["student"], cold, 1),
        "profile with an area, five facets": _row(services["student"], counted, 1),
        "profile with an area, transformer": _row(services["transformer"], questions[: sizes.slow_requests], 1),
    }
    return {"jobs": len(jobs), "student": fitted, "load": os.getloadavg()[0], "rows": rows}


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["request, ms", "callers", "p50", "p99", "cpu", "text", "search", "facets", "reasons", "rest"]
    rows = []
    for name, row in result["rows"].items():
        parts = [f"{row['parts'][part]:.2f}" for part in ("all", "text", "search", "count", "reasons", "rest")]
        rows.append([name, str(row["callers"]), f"{row['p50']:.2f}", f"{row['p99']:.2f}", *parts])
    return [head, *rows]


def _service(index: Index, book: JobBook, towers: TextTowers) -> Service:
    took: dict[str, float] = {"text": 0.0, "search": 0.0, "count": 0.0}
    rules = build_rules(RuleConfig(rules=RULES_IN_FORCE), Context(lambda: NOW, jobs_of(book)))
    timed_index: Any = _Timed(index, took, {"search": "search", "count": "count"})
    timed_towers: Any = _Timed(towers, took, {"request_vectors": "text"})
    return Service(
        book,
        Recommender(index, towers, book, rules=rules),
        Recommender(timed_index, timed_towers, book, rules=rules),
        took,
    )


class _Timed:
    """Stands in for an index or towers and adds up the seconds that the named methods take."""

    def __init__(self, inner: Any, took: dict[str, float], methods: dict[str, str]) -> None:
        self._inner, self._took, self._methods = inner, took, methods

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found

        def timed(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return found(*given, **named)
            finally:
                self._took[self._methods[name]] += time.thread_time() - began

        return timed


def _row(service: Service, questions: Sequence[Question], callers: int) -> dict[str, Any]:
    took = _latencies(service, questions, callers)
    p50, p99 = np.percentile(took, [50, 99])
    return {"callers": callers, "p50": p50, "p99": p99, "n": len(took), "parts": _parts(service, questions[:200])}


def _latencies(service: Service, questions: Sequence[Question], callers: int) -> np.ndarray:
    """float64[n] milliseconds; with several callers each takes its share of the questions at the same time."""
    took = np.zeros(len(questions))

    def caller(number: int) -> None:
        for at in range(number, len(questions), callers):
            began = time.perf_counter()
            service.recommender.answer(questions[at], NOW)
            took[at] = 1e3 * (time.perf_counter() - began)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _parts(service: Service, questions: Sequence[Question]) -> dict[str, float]:
    """Mean milliseconds of a request from one thread, and of its parts; what is left is rules, cap and records."""
    service.took.update(dict.fromkeys(service.took, 0.0))
    answers, total, reasons = [], 0.0, 0.0
    for question in questions:
        began = time.thread_time()
        answers.append(service.timed.answer(question, NOW))
        total += time.thread_time() - began
    for question, answer in zip(questions, answers, strict=True):
        request = service.timed.request(question.seeker, question.query)
        rows = (service.book.row(item.job_id) for item in answer.items)
        shown = [job for row in rows if row is not None and (job := service.book.job(row)) is not None]
        began = time.thread_time()
        sentences = Reasons(request, None, NOW)
        for job in shown:
            sentences.of(job)
        reasons += time.thread_time() - began
    seconds = {"all": total, **service.took, "reasons": reasons}
    seconds["rest"] = total - sum(service.took.values()) - reasons
    return {part: 1e3 * spent / len(questions) for part, spent in seconds.items()}


def _titles(data: Path | None) -> tuple[list[str], list[str]]:
    """Titles of jobs, and titles of profiles: two halves by digest."""
    if data is not None:
        column = pd.read_csv(data / "onet" / "alternate_titles.csv.gz", usecols=["Alternate Title"])["Alternate Title"]
        titles = sorted(set(column.astype(str)))
    else:
        titles = [f"{level} {title}" for title in generated_taxonomy().titles for level in ("", *LEVELS)]
    half = [hashlib.sha256(title.encode()).digest()[0] % 2 for title in titles]
    return tuple([title for title, side in zip(titles, half, strict=True) if side == which] for which in (0, 1))  # type: ignore[return-value]


def _jobs(titles: Sequence[str], count: int, rng: np.random.Generator) -> list[Job]:
    words = sorted({word for title in titles for word in title.lower().split() if len(word) > 3})[:SKILLS]
    area, company = _zipf(AREAS, count, rng), _zipf(COMPANIES, count, rng)
    level, remote = rng.integers(0, len(LEVELS), count), rng.random(count) < 0.08
    days, skills = rng.random(count) * 7 * WEEKS, _zipf(len(words), 4 * count, rng).reshape(count, 4)
    return [
        Job(
            job_id=f"j{n}",
            account_id="bench",
            title=titles[n % len(titles)],
            company=f"Company {company[n]}",
            description=f"We are looking for a {titles[n % len(titles)]} to join the team of the company in this area",
            geo=f"area-{area[n]}",
            skills=tuple(words[at] for at in skills[n]),
            seniority=LEVELS[level[n]],
            remote=bool(remote[n]),
            posted_at=NOW - timedelta(days=float(days[n])),
        )
        for n in range(count)
    ]


def _questions(titles: Sequence[str], jobs: Sequence[Job], count: int, rng: np.random.Generator) -> list[Question]:
    """Profiles with up to three titles; a title is used once."""
    order, area = rng.permutation(len(titles)), _zipf(AREAS, count, rng)
    found = []
    for n in range(count):
        mine = tuple(titles[order[(3 * n + i) % len(titles)]] for i in range(int(rng.integers(1, 4))))
        known = rng.integers(0, len(jobs), int(rng.integers(1, 6)) if rng.random() < 0.5 else 0)
        actions = rng.choice(["apply", "save", "dismiss"], len(known))
        activity = tuple(
            Activity(jobs[job].job_id, action, NOW - timedelta(days=day + 1))
            for day, (job, action) in enumerate(zip(known, actions.tolist(), strict=True))
        )
        skills = jobs[int(rng.integers(len(jobs)))].skills if rng.random() < 0.5 else ()
        profile = SeekerProfile(
            f"s{n}", mine, skills, f"area-{area[n]}", LEVELS[n % 3 + 1],
            activity=activity,
        )  # fmt: skip
        query = titles[order[(3 * n + 7) % len(titles)]] if rng.random() < 0.5 else None
        filters = Filters((("seniority=senior", "seniority=lead", "remote=yes"),)) if rng.random() < 0.25 else Filters()
        shown = tuple(jobs[at].job_id for at in rng.integers(0, len(jobs), 20))
        found.append(Question(profile, query, filters, seen=shown))
    return found


def _changed(question: Question, geo: str | None) -> Question:
    seeker = SeekerProfile(**{**vars(question.seeker), "geo": geo})
    return Question(seeker, question.query, question.filters, seen=question.seen)


def _zipf(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """int64[count] below size, the first ones most frequent."""
    share = 1 / np.arange(1, size + 1) ** 0.8
    return np.asarray(rng.choice(size, count, p=share / share.sum()), np.int64)
