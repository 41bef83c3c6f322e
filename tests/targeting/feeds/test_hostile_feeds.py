"""Feeds written to hurt: each is refused with one line, within bounded memory, and nothing of it is written."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from market.errors import DataError
from targeting.feeds.importing import read_feed
from targeting.feeds.items import Item
from targeting.feeds.json_lines import read_document, read_lines
from targeting.feeds.postings import read_job, read_posting
from targeting.feeds.quality import Survey
from targeting.feeds.source import FeedLimits, chunks
from targeting.feeds.xml import read_xml
from tests.targeting.feeds.conftest import NOW, Desk, xml_feed

MIB = 1 << 20
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def refused(desk: Desk, content: str | bytes, match: str, limits: FeedLimits = FeedLimits()) -> int:
    """Peak bytes Python took while it was refused."""
    before = desk.store.revision()
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=match) as found:
            desk.take(content, limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(found.value)
    assert desk.store.revision() == before
    return peak


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE source [<!ENTITY l0 "lol">{LAUGHS}]><source><job><title>&l9;</title></job></source>',
        '<!DOCTYPE source [<!ENTITY x SYSTEM "file://{canary}">]><source><job><title>&x;</title></job></source>',
        '<!DOCTYPE source SYSTEM "http://127.0.0.1:1/x.dtd"><source/>',
        '<!DOCTYPE source [<!ENTITY % p SYSTEM "file://{canary}"> %p;]><source/>',
        f"<!DOCTYPE source [<!ENTITY a '{'a' * 100_000}'>]><source><job><title>{'&a;' * 10_000}</title></job></source>",
        "<!DOCTYPE source><source/>",
    ],
    ids=["billion laughs", "external entity", "external subset", "parameter entity", "quadratic", "empty"],
)  # fmt: skip
def test_a_document_type_is_refused_when_it_begins(desk: Desk, document: str):
    canary = desk.file("canary", "secret-of-the-machine")
    accessed = canary.stat().st_atime_ns
    peak = refused(desk, document.replace("{canary}", str(canary)), "document type declaration")
    assert peak < 4 * MIB
    assert canary.stat().st_atime_ns == accessed
    assert desk.ids() == []


def test_an_entity_that_nobody_defined_is_an_error_not_an_empty_text(desk: Desk):
    refused(desk, "<source><job><title>&canary;</title></job></source>", "line 1: undefined entity")


def test_a_token_without_end_is_refused_before_it_is_read_again_and_again():
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        yield b"<source><job a='"
        for chunk in repeat(b"a" * 65_536, 16_384):  # one attribute of 1 GB
            given += len(chunk)
            yield chunk

    with pytest.raises(DataError, match="one tag or name is longer than 1000000 bytes"):
        list(read_xml(endless(), "feed", "acme", FeedLimits()))
    assert given < 2 * MIB


def test_text_without_end_is_cut_at_the_limit_and_never_held():
    def long() -> Iterator[bytes]:
        yield xml_feed("n-1").partition("<description>")[0].encode() + b"<description>"
        yield from repeat(b"care and rest, " * 4_096, 400)  # 24 MB
        yield b"</description></job></source>"

    tracemalloc.start()
    items = list(read_xml(long(), "feed", "acme", FeedLimits()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert items[0].job is not None
    assert 90_000 < len(items[0].job.description) <= 100_000
    assert peak < 8 * MIB


def test_a_million_nested_elements_are_refused_at_the_seventeenth():
    given = 0

    def nested() -> Iterator[bytes]:
        nonlocal given
        for _ in range(1_000):
            given += 1
            yield b"<a>" * 1_000

    with pytest.raises(DataError, match="more than 16 deep"):
        list(read_xml(nested(), "feed", "acme", FeedLimits()))
    assert given == 1


@pytest.mark.parametrize("encoding", ["utf-7", "utf-32", "cp037", "rot13", "hex", "no-such", "utf-16-le-x"])
def test_an_unusual_encoding_is_refused(desk: Desk, encoding: str):
    refused(desk, xml_feed("n-1").replace("utf-8", encoding), "encoding")


def test_an_encoding_that_is_not_the_one_declared_is_refused(desk: Desk):
    refused(desk, xml_feed("n-1").replace("Gent", "Gänt").encode("latin-1"), "line 7: not well-formed")
    refused(desk, xml_feed("n-1").encode("utf-16-be"), "not well-formed|encoding|no element")


def test_utf_16_with_its_mark_is_read(desk: Desk):
    assert desk.take(xml_feed("n-1").replace("utf-8", "utf-16").encode("utf-16")).accepted == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_feed_changes_nothing(desk: Desk, share: float):
    whole = xml_feed(*(f"n-{n}" for n in range(20)))
    refused(desk, whole[: int(share * len(whole))], "feed: line")
    packed = gzip.compress(whole.encode())
    refused(desk, packed[: int(share * len(packed))], "feed: ")


def test_a_gzip_bomb_is_refused_at_the_ratio(desk: Desk):
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = bomb.compress(b"<source>") + b"".join(bomb.compress(b" " * MIB) for _ in range(300)) + bomb.flush()
    assert 300 * MIB / len(packed) > 900
    assert refused(desk, packed, "more than 100 times its size") < 4 * MIB


def test_a_feed_that_is_too_large_is_refused_packed_or_not(desk: Desk):
    limits = FeedLimits(max_bytes=100_000)
    whole = xml_feed(*(f"n-{n}" for n in range(1_000)))
    refused(desk, whole, "more than 100000 bytes", limits)
    refused(desk, gzip.compress(whole.encode()), "more than 100000 bytes", limits)


def test_gzip_in_several_members_is_read_to_its_end(desk: Desk):
    whole = xml_feed("n-1", "n-2").encode()
    packed = gzip.compress(whole[:300]) + gzip.compress(whole[300:])
    assert desk.take(packed).accepted == 2


def test_damaged_gzip_is_said_to_be_damaged(desk: Desk):
    packed = bytearray(gzip.compress(xml_feed("n-1").encode()))
    packed[len(packed) // 2] ^= 0xFF
    refused(desk, bytes(packed), "damaged|line")


def test_a_line_of_a_gigabyte_refuses_its_job_only_and_is_never_held():
    good = json.dumps({"job_id": "n", "title": "a", "company": "b", "description": "", "geo": "c"}).encode()

    def content() -> Iterator[bytes]:
        yield good + b"\n"
        yield from repeat(b"x" * 65_536, 16_384)  # 1 GB
        yield b"\n" + good

    tracemalloc.start()
    items = list(read_lines(content(), "acme", FeedLimits(), read_job))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(item.place, item.job is not None) for item in items] == [(1, True), (2, False), (3, True)]
    assert peak < 8 * MIB


def test_memory_does_not_grow_with_the_number_of_lines():
    line = json.dumps({"job_id": "n", "title": "a", "company": "b", "description": "", "geo": "c"}).encode() + b"\n"

    def peak_of(lines: int) -> int:
        survey = Survey(NOW)
        tracemalloc.start()
        for item in read_lines(repeat(line * 500, lines // 500), "acme", FeedLimits(), read_job):
            survey.see(item)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert survey.accepted == lines
        return peak

    small, large = peak_of(1_000), peak_of(10_000)
    assert large - small < 9_000 * 16 * 2 + 200_000  # two digests a job, and arrays that grow ahead


@pytest.mark.slow
def test_a_million_lines_take_sixteen_bytes_each():
    line = json.dumps({"job_id": "n", "title": "a", "company": "b", "description": "", "geo": "c"}).encode() + b"\n"
    survey = Survey(NOW)
    for item in read_lines(repeat(line * 1_000, 1_000), "acme", FeedLimits(), read_job):
        survey.see(item)
    held = survey._ids.itemsize * len(survey._ids) + survey._texts.itemsize * len(survey._texts)
    assert survey.accepted == 1_000_000
    assert held == 16_000_000


def test_a_json_document_cut_off_in_the_middle_is_refused(desk: Desk):
    with pytest.raises(DataError, match="neither a JSON document nor lines of JSON"):
        desk.take('[{"@type": "JobPosting"', "json-ld")


def test_a_json_document_too_long_to_be_read_whole_is_refused_and_not_held():
    given = 0

    def content() -> Iterator[bytes]:
        nonlocal given
        yield b"["
        for chunk in repeat(b"[" * 65_536, 100_000):
            given += 1
            yield chunk

    with pytest.raises(DataError, match="neither"):
        list(read_document(content(), "feed", "acme", FeedLimits(), read_posting))
    assert given < 400


def test_chunks_never_exceed_their_size(desk: Desk):
    packed = desk.file("big.gz", b"a" * 500_000)
    sizes = [len(chunk) for chunk in chunks(packed, FeedLimits())]
    assert sum(sizes) == 500_000
    assert max(sizes) <= 65_536


def test_a_folder_is_no_feed(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        list[Item](read_feed(tmp_path, "acme", "jsonl"))
