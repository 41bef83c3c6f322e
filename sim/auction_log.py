"""Recorded auctions, one a line: `click market_price pctr`, white-space separated, possibly gzip, in order.

    click 0 or 1, market_price a whole number from 0 (digits only), pctr a number in [0, 1] in any decimal notation

The file is read in blocks. A compiled scan takes clicks and prices and sets the third fields aside, which pyarrow turns
into the nearest float64, as Python's float does. Whatever the scan does not know goes through `parse_line`, which is
slow, obvious, and says what is wrong.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from market.compiled import njit
from market.errors import DataError

BLOCK_BYTES = 1 << 23
LONGEST_LINE = 1 << 12  # bytes; a file without line ends is not read into memory
PRICE_DIGITS = 15
FORM = "click market_price pctr"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"\d+\.0*", re.ASCII)


@dataclass(frozen=True)
class Auctions:
    """One auction a row, in order: click int8[n], price int64[n], pctr float64[n]."""

    click: NDArray[np.int8]
    price: NDArray[np.int64]
    pctr: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.click)


def read_auctions(path: Path, on_bytes: Callable[[int], object] = lambda _: None) -> Iterator[Auctions]:
    """Blocks of auctions in the order of the file; on_bytes hears how many bytes of the file have been read.

    DataError names file and line of the first bad line; blocks before it have been handed out by then.
    """
    if not path.is_file():
        came = "a directory" if path.is_dir() else "no such file"
        raise DataError(str(path), f"expected a file of auctions; {came}", f"Give one auction a line: {FORM}")
    lines, rest = 0, b""
    for block in _blocks(path, on_bytes):
        end = block.rfind(b"\n") + 1
        if end == 0:
            rest += block
        else:
            auctions = _parse(path, rest + block[:end], lines)
            lines, rest = lines + len(auctions), block[end:]
            yield auctions
        if len(rest) > LONGEST_LINE and b"\n" not in rest:
            raise _refused(path, lines, f"expected {FORM}; came a line of more than {LONGEST_LINE} bytes")
    if rest:
        auctions = _parse(path, rest + b"\n", lines)
        lines += len(auctions)
        yield auctions
    if lines == 0:
        raise DataError(str(path), f"expected one auction a line, {FORM}; the file is empty", "Give recorded auctions")


def read_log(path: Path, on_bytes: Callable[[int], object] = lambda _: None) -> Auctions:
    """The whole file at once: 17 bytes an auction."""
    return _joined(list(read_auctions(path, on_bytes)))


def read_sample(path: Path, most: int, on_bytes: Callable[[int], object] = lambda _: None) -> Auctions:
    """Every 2^k-th auction of the file, the smallest k with at most that many; all lines are checked."""
    kept: list[Auctions] = []
    every, lines, rows = 1, 0, 0
    for block in read_auctions(path, on_bytes):
        kept.append(_thinned(block, -lines % every, every))
        lines, rows = lines + len(block), rows + len(kept[-1])
        while rows > most:
            kept = [_thinned(_joined(kept), 0, 2)]
            every, rows = 2 * every, len(kept[0])
    return _joined(kept)


def _joined(blocks: list[Auctions]) -> Auctions:
    return Auctions(
        np.concatenate([block.click for block in blocks]),
        np.concatenate([block.price for block in blocks]),
        np.concatenate([block.pctr for block in blocks]),
    )


def _thinned(auctions: Auctions, first: int, every: int) -> Auctions:
    rows = slice(first, None, every)
    return Auctions(auctions.click[rows].copy(), auctions.price[rows].copy(), auctions.pctr[rows].copy())


def parse_line(line: bytes) -> tuple[int, int, float]:
    """(click, price, pctr) of one line; ValueError says what was expected and what came."""
    text = line.decode("utf-8", "replace")
    fields = text.replace("\t", " ").replace("\r", " ").split(" ")
    fields = [field for field in fields if field]
    if len(fields) != 3:
        raise ValueError(f"expected 3 fields, {FORM}; came {len(fields)}: {_shown(text)}")
    click, price, pctr = fields
    if click not in ("0", "1"):
        raise ValueError(f"expected click 0 or 1; came {_shown(click)}")
    if not (price.isascii() and price.isdigit()):
        hint = f" (write {price.split('.')[0]})" if WHOLE.fullmatch(price) else ""
        raise ValueError(f"expected market_price a whole number from 0; came {_shown(price)}{hint}")
    if len(price) > PRICE_DIGITS:
        raise ValueError(f"expected market_price of at most {PRICE_DIGITS} digits; came {_shown(price)}")
    if not NUMBER.fullmatch(pctr) or not 0.0 <= float(pctr) <= 1.0:
        raise ValueError(f"expected pctr a number from 0 to 1; came {_shown(pctr)}")
    return int(click), int(price), float(pctr)


def _blocks(path: Path, on_bytes: Callable[[int], object]) -> Iterator[bytes]:
    """Contents in blocks; gzip is known by its first two bytes, whatever the file is called."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw
            while block := stream.read(BLOCK_BYTES):
                on_bytes(raw.tell())
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        what = f"expected a whole gzip file; it is damaged or cut off ({problem})"
        raise DataError(str(path), what, "Copy it again") from None
    except OSError as problem:
        what = f"could not be read: {problem.strerror or problem}"
        raise DataError(str(path), what, "Give a readable file") from None


def _parse(path: Path, block: bytes, lines_before: int) -> Auctions:
    """All lines of a block that ends with a line end."""
    data = np.frombuffer(block, dtype=np.uint8)
    most = len(data) // 6 + 1  # "0 0 0\n" is the shortest line
    click, price = np.empty(most, np.int8), np.empty(most, np.int64)
    text, offsets = np.empty(len(data), np.uint8), np.zeros(most + 1, np.int32)
    rows, stopped = _scan(data, click, price, text, offsets)
    if stopped >= 0:  # this line is not for the scan; lines before it may still hold the first bad pctr
        _numbers(path, block[:stopped], text, offsets, rows, lines_before)
        raise _explained(path, lines_before + rows, block[stopped : block.index(b"\n", stopped)])
    pctr = _numbers(path, block, text, offsets, rows, lines_before)
    return Auctions(click[:rows].copy(), price[:rows].copy(), pctr)


def _numbers(
    path: Path, block: bytes, text: NDArray, offsets: NDArray, rows: int, lines_before: int
) -> NDArray[np.float64]:
    """The third fields as float64[rows]; a field pyarrow does not take or out of range is judged by parse_line."""
    buffers = [None, pa.py_buffer(offsets[: rows + 1]), pa.py_buffer(text)]
    fields = pa.Array.from_buffers(pa.string(), rows, buffers)
    try:
        pctr = fields.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        pctr = np.full(rows, np.nan)
    if not np.all((pctr >= 0.0) & (pctr <= 1.0)):
        pctr = np.empty(rows)
        for row, line in enumerate(block.split(b"\n")[:rows]):
            try:
                pctr[row] = parse_line(line)[2]
            except ValueError as problem:
                raise _refused(path, lines_before + row, str(problem)) from None
    return pctr


def _explained(path: Path, lines_before: int, line: bytes) -> DataError:
    try:
        parse_line(line)
    except ValueError as problem:
        return _refused(path, lines_before, str(problem))
    raise AssertionError(f"the scan refused a line that is well formed: {line!r}")


def _refused(path: Path, lines_before: int, problem: str) -> DataError:
    return DataError(f"{path}, line {lines_before + 1}", problem, "Mend the line; nothing was replayed")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:60] + "...")


@njit(nogil=True)
def _scan(data, click, price, text, offsets):  # type: ignore[no-untyped-def]
    """(rows, -1), or (rows before it, where it begins) of the first line that is not digit, digits, something."""
    at, row, written, end = 0, 0, 0, len(data)
    while at < end:
        begin, field, amount, digits = at, 0, 0, 0
        while True:
            while data[at] == 32 or data[at] == 9 or data[at] == 13:
                at += 1
            if data[at] == 10:
                break
            field += 1
            if field == 1:
                next_byte = data[at + 1]
                if data[at] != 48 and data[at] != 49:
                    return row, begin
                if next_byte != 32 and next_byte != 9 and next_byte != 13:
                    return row, begin
                flag = data[at] - 48
                at += 1
            elif field == 2:
                while 48 <= data[at] <= 57 and digits <= 15:
                    amount = 10 * amount + (data[at] - 48)
                    digits += 1
                    at += 1
                if digits == 0 or digits > 15 or (data[at] != 32 and data[at] != 9 and data[at] != 13):
                    return row, begin
            elif field == 3:
                while data[at] != 32 and data[at] != 9 and data[at] != 13 and data[at] != 10:
                    byte = data[at]  # digits, + - . e E; what else is left to parse_line
                    if not (48 <= byte <= 57 or 45 <= byte <= 46 or byte == 43 or byte == 69 or byte == 101):
                        return row, begin
                    text[written] = byte
                    written += 1
                    at += 1
            else:
                return row, begin
        if field != 3:
            return row, begin
        click[row] = flag
        price[row] = amount
        row += 1
        offsets[row] = written
        at += 1
    return row, -1
