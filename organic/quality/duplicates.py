"""Postings that are the same job again: of each set only the newest is worth showing.

Two postings are the same when company and area agree and title and description have the same words: case, punctuation
and spaces are left out, and in title and description every word with a digit in it (reference numbers, dates, wages).
One changed word makes another posting: a digest finds copies, not paraphrases.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from market.records import Job

NEVER = float("-inf")  # a posting without a date counts as older than any with one


def posting_digest(job: Job) -> bytes:
    """16 bytes, equal for near-identical postings."""
    title, description = (_words(text, digits=False) for text in (job.title, job.description))
    parts = (title, _words(job.company, digits=True), job.geo, description)
    whole = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=16).digest()


class Duplicates:
    """Which of the postings known at present is the newest of its set: the one posted last, then the one added last.

    Jobs are named by a number that falls with every new one, as in `organic.rows.JobBook`.
    """

    def __init__(self) -> None:
        self._sets: dict[bytes, dict[int, float]] = {}  # digest -> row -> posted, seconds
        self._digest: dict[int, bytes] = {}
        self._newest: dict[bytes, int] = {}

    def put(self, row: int, job: Job) -> set[int]:
        """Add or replace a posting; returns the other rows whose standing has changed."""
        changed, digest = set(), posting_digest(job)
        if self._digest.get(row, digest) != digest:
            changed = self.drop(row)
        self._digest[row] = digest
        self._sets.setdefault(digest, {})[row] = NEVER if job.posted_at is None else job.posted_at.timestamp()
        return (changed | self._elect(digest)) - {row}

    def drop(self, row: int) -> set[int]:
        """Forget a posting; returns the rows whose standing has changed."""
        digest = self._digest.pop(row, None)
        if digest is None:
            return set()
        del self._sets[digest][row]
        if self._sets[digest]:
            return self._elect(digest) - {row}
        del self._sets[digest], self._newest[digest]
        return set()

    def is_duplicate(self, row: int) -> bool:
        """Whether a newer posting of the same set is known; False for a row that is not known."""
        digest = self._digest.get(row)
        return digest is not None and self._newest[digest] != row

    def _elect(self, digest: bytes) -> set[int]:
        """Choose the newest anew; the old and the new one, if they differ."""
        posted = self._sets[digest]
        before, newest = self._newest.get(digest), max(posted, key=lambda row: (posted[row], -row))
        self._newest[digest] = newest
        return set() if before == newest else {row for row in (before, newest) if row is not None and row in posted}


def _words(text: str, digits: bool) -> str:
    words = r"\w+" if digits else r"(?<!\w)[^\W\d]+(?!\w)"
    return " ".join(re.findall(words, unicodedata.normalize("NFKC", text).casefold()))
