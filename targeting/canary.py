"""Searches every byte of files for a seeker id, in all the spellings software gives it.

Looked for: UTF-8, UTF-16 and UTF-32 (both byte orders), JSON's \\u escapes, hexadecimal, Base64 at its three
alignments, and plain MD5, SHA-1 and SHA-256 digests (raw, hexadecimal). Files are read as they are; gzip, zstd and
Zip members (npz too) also unpacked, Parquet also decoded. Ids shorter than SHORT also turn up by chance.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

SHORT = 8
_BLOCK = 1 << 20
_GZIP, _ZSTD, _ZIP, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PAR1"
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Hit:
    """count: how often `spelling` of the id stands in the file; inside: what was unpacked to see it ('' for none)."""

    path: Path
    inside: str
    spelling: str
    count: int


def spellings(seeker_id: str) -> Mapping[str, tuple[bytes, ...]]:
    """Name of a spelling -> the byte strings that show it."""
    plain = seeker_id.encode()
    digests = {name: hashlib.new(name, plain, usedforsecurity=False) for name in ("md5", "sha1", "sha256")}
    found: dict[str, tuple[bytes, ...]] = {
        "utf-8": (plain,),
        "utf-16": (seeker_id.encode("utf-16-le"), seeker_id.encode("utf-16-be")),
        "utf-32": (seeker_id.encode("utf-32-le"), seeker_id.encode("utf-32-be")),
        "json escapes": tuple(
            "".join(form.format(ord(each)) for each in seeker_id).encode() for form in ("\\u{:04x}", "\\u{:04X}")
        ),
        "hex": (plain.hex().encode(), plain.hex().upper().encode()),
        **{name: (each.digest(), each.hexdigest().encode()) for name, each in digests.items()},
    }
    if len(plain) >= SHORT:  # of a short id too few characters are left to mean anything
        found["base64"] = tuple(dict.fromkeys(_base64(plain)))
    return {name: tuple(dict.fromkeys(forms)) for name, forms in found.items()}


def files_below(paths: Iterable[Path]) -> list[Path]:
    """The files named and all files in the directories named, each once, sorted; links are not followed."""
    found: set[Path] = set()
    for path in paths:
        inside = path.rglob("*") if path.is_dir() else (path,)
        found.update(each for each in inside if each.is_file() and not each.is_symlink())
    return sorted(found)


def search_file(path: Path, seeker_id: str) -> list[Hit]:
    """Every spelling of the id in one file, packed and unpacked."""
    wanted = spellings(seeker_id)
    hits = []
    for inside, blocks in _readings(path):
        counts: Counter[str] = Counter()
        try:
            for block, fresh_from in _overlapping(blocks, max(len(form) for each in wanted.values() for form in each)):
                for name, forms in wanted.items():
                    for form in forms:
                        counts[name] += _count(block, form, fresh_from)
        except _DAMAGED:
            counts.setdefault("utf-8", 0)  # what looked packed was not, or only its beginning; the raw bytes were seen
        hits += [Hit(path, inside, name, count) for name, count in sorted(counts.items()) if count]
    return hits


def _readings(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """(what was unpacked, its bytes in blocks), the file as it is first."""
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        yield "", _blocks(stream)
    if start.startswith(_GZIP):
        with gzip.open(path, "rb") as unpacked:
            yield "gzip", _blocks(unpacked)
    elif start == _ZSTD:
        yield "zstd", _arrow_blocks(path)
    elif start == _ZIP and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    yield f"zip:{name}", _blocks(member)
    elif start == _PARQUET:
        yield "parquet", _texts(path)


def _blocks(stream: Readable) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _arrow_blocks(path: Path) -> Iterator[bytes]:
    with pa.input_stream(str(path), compression="zstd") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _texts(path: Path) -> Iterator[bytes]:
    """The text and binary values of a Parquet file, each followed by a NUL."""
    with pq.ParquetFile(path) as table:
        yield str(table.metadata.metadata).encode() + b"\0"
        for batch in table.iter_batches(batch_size=4_096):
            for column in batch.columns:
                if pa.types.is_nested(column.type) or pa.types.is_dictionary(column.type):
                    yield "\0".join(map(str, column.to_pylist())).encode() + b"\0"
                elif not (pa.types.is_primitive(column.type) or pa.types.is_null(column.type)):
                    for value in column.to_pylist():
                        if value is not None:
                            yield (value if isinstance(value, bytes) else str(value).encode()) + b"\0"


def _overlapping(blocks: Iterator[bytes], longest: int) -> Iterator[tuple[bytes, int]]:
    """Blocks of about a megabyte, each begun with the end of the one before; how much of it that is."""
    tail = b""
    for block in _gathered(blocks):
        yield tail + block, len(tail)
        tail = (tail + block)[-(longest - 1) :]


def _gathered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for block in blocks:
        waiting += block
        if len(waiting) >= _BLOCK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _count(block: bytes, form: bytes, fresh_from: int) -> int:
    """Occurrences that end in the fresh part of the block: the others were counted with the block before."""
    count, at = 0, block.find(form, max(0, fresh_from - len(form) + 1))
    while at >= 0:
        count, at = count + 1, block.find(form, at + 1)
    return count


def _base64(plain: bytes) -> Iterator[bytes]:
    """What Base64 makes of the id wherever it stands in a longer text: only characters that depend on it alone."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * before + plain)
            usable = (before + len(plain)) * 8 // 6
            yield whole[-(-before * 8 // 6) : usable]
