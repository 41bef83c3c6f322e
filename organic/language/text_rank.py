"""Rank a corpus of named texts for named queries by exact cosine: no index, no approximation, bounded memory.

An id may have several texts, on either side; the score of a pair of ids is the best among their texts.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from market.errors import DataError, UserError

# 256 x 16,384 float64 scores are 32 MiB
QUERIES_PER_BLOCK = 256
TEXTS_PER_BLOCK = 16_384


@dataclass(frozen=True)
class NamedTexts:
    """n texts, sorted by id: texts[starts[i] : starts[i + 1]] are those of ids[i] (starts has one entry more)."""

    ids: tuple[str, ...]
    starts: np.ndarray
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> NamedTexts:
        by_id: dict[str, list[str]] = {}
        for name, text in rows:
            by_id.setdefault(name, []).append(text)
        ids = sorted(by_id)
        starts = np.cumsum([0, *(len(by_id[name]) for name in ids)])
        return cls(tuple(ids), starts, tuple(text for name in ids for text in by_id[name]))


def read_named_texts(path: Path) -> NamedTexts:
    """Two tab-separated columns, id and text, without a header, UTF-8, possibly gzip; DataError names the line."""
    try:
        opener = gzip.open if _is_gzip(path) else open
        with opener(path, "rt", encoding="utf-8", newline="\n") as stream:
            rows = [_row(path, number, line) for number, line in enumerate(stream) if line.strip()]
    except (OSError, EOFError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}; check the path") from None
    except UnicodeDecodeError:
        raise DataError(str(path), "not UTF-8 text", "Convert it to UTF-8") from None
    if not rows:
        raise DataError(str(path), "no rows", "One line per text is expected: id, tab, text")
    return NamedTexts.of(rows)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _row(path: Path, number: int, line: str) -> tuple[str, str]:
    columns = line.rstrip("\r\n").split("\t")
    name = columns[0].strip()
    if len(columns) != 2 or not name:
        raise DataError(
            str(path), f"{len(columns)} columns", "Two are expected, id and text, separated by one tab", number
        )
    if len(name.split()) != 1:
        raise DataError(str(path), f"the id {name!r} holds white space", "A TREC run can not carry it", number)
    return name, columns[1].strip()


def rank_texts(
    queries: NamedTexts, query_vectors: np.ndarray, corpus: NamedTexts, corpus_vectors: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best ids of the corpus for each id of the queries; vectors float32[texts, d] in the order of `texts`.

    -> (rows int64[Q, K] into corpus.ids, scores float32[Q, K]), K = min(k, len(corpus)), best first, ties by id.
    A score is the float64 cosine of two float32 vectors, rounded once to float32.
    """
    if k < 1:
        raise UserError(f"k is {k}, expected at least 1")
    kept = min(k, len(corpus))
    rows = np.empty((len(queries), kept), np.int64)
    scores = np.empty((len(queries), kept), np.float32)
    for first, last in _blocks(queries.starts, QUERIES_PER_BLOCK):
        begin, end = queries.starts[first], queries.starts[last]
        asked, inner = _unit(query_vectors[begin:end]), queries.starts[first:last] - begin
        rows[first:last], scores[first:last] = _best(asked, inner, corpus, corpus_vectors, kept)
    return rows, scores


def _best(
    asked: np.ndarray, inner: np.ndarray, corpus: NamedTexts, offered: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scan the corpus block by block and keep the k best of every query so far."""
    rows = np.empty((len(inner), 0), np.int64)
    scores = np.empty((len(inner), 0), np.float32)
    for first, last in _blocks(corpus.starts, TEXTS_PER_BLOCK):
        begin, end = corpus.starts[first], corpus.starts[last]
        cosines = asked @ _unit(offered[begin:end]).T  # [texts of queries, texts of the block]
        by_doc = np.maximum.reduceat(cosines, corpus.starts[first:last] - begin, axis=1)
        block = np.maximum.reduceat(by_doc, inner, axis=0).astype(np.float32)  # [queries, docs of the block]
        merged = np.concatenate([scores, block], axis=1)
        numbers = np.concatenate([rows, np.tile(np.arange(first, last), (len(inner), 1))], axis=1)
        # among equal scores the columns run by id: what was kept comes from earlier blocks and is in that order itself
        order = np.stack([_top(line, k) for line in merged])  # [queries, <= k]
        scores, rows = np.take_along_axis(merged, order, 1), np.take_along_axis(numbers, order, 1)
    return rows, scores


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest, best first; among equals the earlier position, which is the smaller id."""
    if len(scores) > k:
        candidates = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    else:
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def _unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    unit: np.ndarray = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    return unit


def _blocks(starts: np.ndarray, size: int) -> Iterable[tuple[int, int]]:
    """Ranges of ids that together have about `size` texts, never splitting an id."""
    first = 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[first] + size, side="right")) - 1
        last = max(first + 1, last)
        yield first, last
        first = last
