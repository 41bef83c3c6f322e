"""The bytes of a feed, gzip or not, in chunks of bounded size: what others wrote never decides how much is read.

A feed ends with DataError when it unpacks to more than `max_bytes`, or to more than `max_ratio` times its packed size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from market.errors import ConfigError, DataError

CHUNK = 1 << 16
_GZIP = b"\x1f\x8b"
_RATIO_COUNTS_FROM = 1 << 20  # a short text may repeat itself as much as it likes


@dataclass(frozen=True)
class FeedLimits:
    """max_bytes: after unpacking; max_ratio: unpacked to packed; max_item_bytes: of one line or one XML token;
    max_text: characters of one field of an item; max_depth: of nested elements."""

    max_bytes: int = 200_000_000
    max_ratio: int = 100
    max_item_bytes: int = 1_000_000
    max_text: int = 100_000
    max_depth: int = 16

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name} {value}; give a number above zero")


def chunks(path: Path, limits: FeedLimits) -> Iterator[bytes]:
    """The unpacked content, at most CHUNK bytes at a time."""
    if not path.is_file():
        raise DataError(path.name, "there is no such file", "Give the path of a feed that was downloaded")
    total = 0
    for chunk in _unpacked(path, limits):
        total += len(chunk)
        if total > limits.max_bytes:
            raise DataError(path.name, f"more than {limits.max_bytes} bytes", "Split the feed into several files")
        yield chunk


def _unpacked(path: Path, limits: FeedLimits) -> Iterator[bytes]:
    with path.open("rb") as stream:
        packed = stream.read(CHUNK)
        if not packed.startswith(_GZIP):
            while packed:
                yield packed
                packed = stream.read(CHUNK)
            return
        read, made = len(packed), 0
        gzip = zlib.decompressobj(31)
        while packed:
            try:
                chunk = gzip.decompress(packed, CHUNK)
            except zlib.error:
                raise DataError(path.name, "the gzip data is damaged", "Download the feed again") from None
            made += len(chunk)
            if made > max(_RATIO_COUNTS_FROM, limits.max_ratio * read):
                problem = f"it unpacks to more than {limits.max_ratio} times its size"
                raise DataError(path.name, problem, "Unpack it yourself if it is to be trusted")
            if chunk:
                yield chunk
            packed = gzip.unused_data if gzip.eof else gzip.unconsumed_tail
            if not packed:
                packed = stream.read(CHUNK)
                read += len(packed)
            if gzip.eof and packed:
                gzip = zlib.decompressobj(31)  # the next member of the file
        if not gzip.eof:
            raise DataError(path.name, "the gzip data ends in the middle", "Download the feed again")
