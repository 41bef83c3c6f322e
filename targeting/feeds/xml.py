"""Indeed-style XML feeds, `<source><job>...</job></source>`, read as a stream.

A document type declaration is refused when it begins, so that no entity is ever defined, expanded or fetched. Depth,
length of a field and length of a token are bounded: an unfinished token is read again with every chunk, which older
expat versions do in quadratic time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from xml.parsers import expat

from market.errors import DataError
from market.records import Job
from targeting.feeds.items import BadItemError, Item, job_id_of, moment, one_line, prose, required_line, yearly
from targeting.feeds.source import FeedLimits

ENCODINGS = ("utf-8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "windows-1252")
DATES = ("date", "expirationdate")
PLACES = ("city", "state", "country")
OTHERS = ("title", "referencenumber", "requisitionid", "company", "sourcename", "description", "salary", "remotetype")
FIELDS = frozenset((*DATES, *PLACES, *OTHERS))
_REMOTE = re.compile(r"\b(fully )?remote\b", re.IGNORECASE)


def read_xml(content: Iterable[bytes], name: str, account: str, limits: FeedLimits) -> Iterator[Item]:
    """Items in the order of the file, placed by line; DataError when the file as a whole can not be trusted."""
    reader = _Reader(name, limits)
    for chunk in content:
        yield from (_item(fields, line, account) for fields, line in reader.feed(chunk))
    yield from (_item(fields, line, account) for fields, line in reader.feed(b"", last=True))


class _Reader:
    """Collects the fields of each job element."""

    def __init__(self, name: str, limits: FeedLimits) -> None:
        self._name, self._limits, self._fed = name, limits, 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.XmlDeclHandler = self._declaration
        self._path: list[str] = []
        self._fields: dict[str, str] | None = None
        self._line = 0
        self._parts: list[str] = []
        self._length = 0
        self._ready: list[tuple[dict[str, str], int]] = []

    def feed(self, chunk: bytes, last: bool = False) -> list[tuple[dict[str, str], int]]:
        """(fields, line) of the jobs that ended within the chunk."""
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            what = "it ends in the middle" if last else expat.errors.messages[error.code]
            raise self._refusal(f"line {error.lineno}: {what}", "Download the feed again") from None
        except (LookupError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise self._refusal("its encoding is not supported", "Send it as UTF-8") from None
        if not last and self._fed - max(0, self._parser.CurrentByteIndex) > self._limits.max_item_bytes:
            raise self._refusal(
                f"line {self._parser.CurrentLineNumber}: one tag or name is longer than {self._limits.max_item_bytes} "
                "bytes",
                "Repair the feed",
            )
        ready, self._ready = self._ready, []
        return ready

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > self._limits.max_depth:
            raise self._refusal(
                f"line {self._parser.CurrentLineNumber}: elements lie more than {self._limits.max_depth} deep",
                "Repair the feed",
            )
        if len(self._path) == 2 and name == "job":
            self._fields, self._line = {}, self._parser.CurrentLineNumber
        if len(self._path) == 3:
            self._parts, self._length = [], 0

    def _end(self, name: str) -> None:
        if self._fields is not None and len(self._path) == 3 and name in FIELDS:
            self._fields[name] = "".join(self._parts)
        if self._fields is not None and len(self._path) == 2:
            self._ready.append((self._fields, self._line))
            self._fields = None
        self._path.pop()

    def _text(self, text: str) -> None:
        if self._fields is None or len(self._path) != 3 or self._path[-1] not in FIELDS:
            return
        self._parts.append(text[: max(0, self._limits.max_text - self._length)])  # the rest is left out
        self._length += len(text)

    def _doctype(self, *_: Any) -> None:
        raise self._refusal("it has a document type declaration", "Send it without <!DOCTYPE ...>")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            raise self._refusal(f"its encoding {encoding[:40]!r} is not supported", "Send it as UTF-8")

    def _refusal(self, problem: str, remedy: str) -> DataError:
        return DataError(self._name, problem, remedy)


def _item(fields: dict[str, str], line: int, account: str) -> Item:
    try:
        job, notes = _job(fields, account)
    except BadItemError as error:
        return Item(line, None, str(error))
    return Item(line, job, notes=notes)


def _job(fields: dict[str, str], account: str) -> tuple[Job, tuple[str, ...]]:
    reference = (fields.get("referencenumber") or fields.get("requisitionid") or "").strip()
    remote = _REMOTE.search(fields.get("remotetype", "")) is not None and "hybrid" not in fields["remotetype"].lower()
    places = [one_line(fields.get(name, ""), name) for name in PLACES]
    place = ", ".join(part for part in places if part)
    if not place and not remote:
        raise BadItemError("there is no city, state or country, and the job is not remote")
    job = Job(
        job_id=job_id_of(account, reference),
        account_id=account,
        title=required_line(fields, "title"),
        company=one_line(fields.get("company", ""), "company") or required_line(fields, "sourcename"),
        description=prose(fields.get("description", ""), "description"),
        geo=place or "remote",
        remote=remote,
        wage=yearly(fields.get("salary", "")),
    )
    notes = ["unreadable_salary"] if fields.get("salary", "").strip() and job.wage is None else []
    posted_at, expires_at = (moment(fields.get(name, "")) for name in DATES)
    for name, found in zip(DATES, (posted_at, expires_at), strict=True):
        if fields.get(name, "").strip() and found is None:
            notes.append("unreadable_date")
    return replace(job, posted_at=posted_at, expires_at=expires_at), tuple(notes)
