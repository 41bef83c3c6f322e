"""Why a job is recommended, in sentences a seeker can check against the posting."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from market.records import Job
from organic.question import Note
from organic.towers import Request

FEW_WORDS_SAY_NOTHING = frozenset(
    ("a", "an", "and", "as", "at", "by", "for", "in", "of", "on", "or", "the", "to", "with")
)
SKILLS_NAMED = 3
LONGEST_QUOTE = 80  # letters of somebody's text in a sentence
NEW = timedelta(days=7)

Why = Literal["as asked", "nothing said", "unknown"]


@dataclass(frozen=True)
class Unranked:
    """An answer that no profile or search has ranked: why, and what is shown instead."""

    why: Why
    shown: Literal["typical", "newest"]


def note_of(unranked: Unranked) -> Note:
    """The same for the whole answer; the code is `not_personalised` or `not_understood`."""
    instead = "jobs typical of this marketplace" if unranked.shown == "typical" else "the newest jobs"
    if unranked.why == "unknown":
        return Note("not_understood", f"None of the words of this request are known here; these are {instead}")
    asked = "as asked" if unranked.why == "as asked" else "the request names no titles, skills, search or known jobs"
    return Note("not_personalised", f"Not personalised, {asked}; these are {instead}")


class Reasons:
    """Sentences for the jobs of one answer, the strongest first; what the request says is read once for all of them."""

    def __init__(self, request: Request, unranked: Unranked | None = None, now: datetime | None = None) -> None:
        """unranked when the jobs were not chosen by what the request says."""
        self._request, self._unranked, self._now = request, unranked, now
        self._query = words(request.query or "")
        self._titles = [(words(title), title) for title in request.seeker.titles]
        self._skills = {_same(skill) for skill in request.seeker.skills}

    def of(self, job: Job) -> tuple[str, ...]:
        return tuple([*self._wanted(job), *self._place(job), *self._shared_skills(job), *self._new(job)])

    def _wanted(self, job: Job) -> list[str]:
        if self._unranked is not None:
            return [_instead(self._unranked)]
        found, request = [], self._request
        title = words(job.title)
        if request.query and self._query & title:
            found.append(f"Its title matches your search “{_quote(request.query)}”")
        close = [(mine, written) for mine, written in self._titles if mine & title]
        if close:
            mine, written = min(close, key=lambda pair: pair[0] != title)  # the same title before a close one
            found.append(
                ("The same title as yours: " if mine == title else "Its title is close to yours: ") + _quote(written)
            )
        if not found and request.liked:
            found.append("Similar to jobs you applied to or saved")
        if not found:
            found.append("Close in meaning to " + ("your search" if request.query else "your profile"))
        return found

    def _place(self, job: Job) -> list[str]:
        if self._request.seeker.geo is not None and job.geo == self._request.seeker.geo:
            return ["In your area, remote work possible" if job.remote else "In your area"]
        return ["Remote"] if job.remote else []

    def _shared_skills(self, job: Job) -> list[str]:
        shared = [skill for skill in dict.fromkeys(job.skills) if _same(skill) in self._skills] if self._skills else []
        return [f"Asks for skills you have: {', '.join(map(_quote, shared[:SKILLS_NAMED]))}"] if shared else []

    def _new(self, job: Job) -> list[str]:
        if self._now is None or job.posted_at is None or not self._now - NEW < job.posted_at <= self._now:
            return []
        return ["Posted within the last week"]


def _instead(unranked: Unranked) -> str:
    shown = "a typical job of this marketplace" if unranked.shown == "typical" else "one of the newest jobs"
    if unranked.why == "as asked":
        return f"Not personalised, as you asked: {shown}"
    if unranked.why == "unknown":
        return f"None of your words are known here: {shown}; try other ones"
    return f"Not personalised yet: {shown}; tell us your titles or skills"


def words(text: str) -> frozenset[str]:
    """The words that carry meaning, without case; plurals are not joined."""
    return frozenset(re.findall(r"\w+", _same(text))) - FEW_WORDS_SAY_NOTHING


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _quote(text: str) -> str:
    """One line of it; what is cut off ends in an ellipsis."""
    shown = " ".join(text.split())
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[: LONGEST_QUOTE - 1]}…"
