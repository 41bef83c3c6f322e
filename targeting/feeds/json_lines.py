"""Feeds of one JSON object a line: jobs as the API takes them, or schema.org JobPosting; and JSON-LD documents.

A line that can not be read refuses its job only. JSON-LD may also be one document of at most `max_item_bytes * 20`
bytes (an object, a list, or an object with `@graph`); larger ones are to be sent a posting a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from market.errors import DataError
from targeting.feeds.items import BadItemError, Item
from targeting.feeds.source import FeedLimits

DOCUMENT_ITEMS = 20  # a document may be as long as so many of the longest lines
_BOM = b"\xef\xbb\xbf"

Read = Callable[[dict[str, Any], str], Item]  # (object, account) -> item, its place still 0


def read_lines(
    content: Iterable[bytes], account: str, limits: FeedLimits, read: Callable[[dict[str, Any], str], Item]
) -> Iterator[Item]:
    """Items placed by line from 1; empty lines are nothing."""
    for number, line in enumerate(_lines(content, limits.max_item_bytes), start=1):
        if line is None:
            yield Item(number, None, f"the line is longer than {limits.max_item_bytes} bytes")
        elif line.strip():
            yield _placed(number, line, account, read)


def read_document(
    content: Iterable[bytes], name: str, account: str, limits: FeedLimits, read: Callable[[dict[str, Any], str], Item]
) -> Iterator[Item]:
    """Items of a JSON-LD document, placed by their number from 1, or by line where it holds one posting a line."""
    most, stream = limits.max_item_bytes * DOCUMENT_ITEMS, iter(content)
    start, whole = bytearray(), True
    for chunk in stream:
        start += chunk
        if len(start) > most:
            whole = False
            break
    if whole:
        try:
            found = _parsed(bytes(start))
        except BadItemError:
            whole = False
        else:
            for number, posting in enumerate(_postings(found), start=1):
                yield _read(number, posting, account, read)
            return
    first_line = bytes(start[: limits.max_item_bytes]).lstrip()
    end = first_line.find(b"\n")
    try:
        _parsed(first_line[: end if end >= 0 else len(first_line)])
    except BadItemError as error:
        remedy = f"Send one JSON document of at most {most} bytes, or one posting a line"
        raise DataError(name, f"neither a JSON document nor lines of JSON: {error}", remedy) from None
    yield from read_lines(chain([bytes(start)], stream), account, limits, read)


def _lines(content: Iterable[bytes], most: int) -> Iterator[bytes | None]:
    """Lines without their end; None for one longer than `most`, of which no more than that is ever held."""
    held, skipping, first = bytearray(), False, True
    for chunk in content:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            if not skipping:
                held += chunk[start:end]
            yield None if skipping or len(held) > most else bytes(held.removeprefix(_BOM) if first else held)
            held.clear()
            start, skipping, first = end + 1, False, False
        if not skipping:
            held += chunk[start:]
            if len(held) > most:
                held.clear()
                skipping = True
    if skipping:
        yield None
    elif held:
        yield bytes(held.removeprefix(_BOM) if first else held)


def _placed(number: int, line: bytes, account: str, read: Read) -> Item:
    try:
        found = _parsed(line)
    except BadItemError as error:
        return Item(number, None, str(error))
    return _read(number, found, account, read)


def _read(number: int, found: Any, account: str, read: Read) -> Item:
    if not isinstance(found, dict):
        return Item(number, None, f"expected a JSON object, found {type(found).__name__}")
    try:
        item = read(found, account)
    except BadItemError as error:
        return Item(number, None, str(error))
    return Item(number, item.job, item.why, item.notes)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw.removeprefix(_BOM).decode(), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadItemError("not UTF-8") from None
    except RecursionError:
        raise BadItemError("nested too deep") from None
    except ValueError as error:
        raise BadItemError(f"not JSON: {str(error)[:100]}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _postings(found: Any) -> list[Any]:
    if isinstance(found, dict) and isinstance(found.get("@graph"), list):
        found = [each for each in found["@graph"] if not isinstance(each, dict) or each.get("@type") == "JobPosting"]
    return found if isinstance(found, list) else [found]
