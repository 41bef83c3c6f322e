"""How good rankings are: ranks with ties, recall@k, reciprocal rank, and TREC runs against relevance judgements.

A run is {query id: {document id: score}}, qrels are {query id: {document id: grade}}, relevant from grade 1. The order
of a run is score descending, then document id ascending; the rank column of a file is written and never trusted.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.errors import ConfigError, DataError

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]

RUN_REMEDY = "Give lines of `query Q0 document rank score tag`, separated by white space."
QRELS_REMEDY = "Give lines of `query 0 document grade`, separated by white space."

METRICS = ("map", "mrr", "recall@5", "recall@10", "ndcg@10")


def mean_ranks(scores: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The rank of each row's target among the row's candidates: 1 + better + ties / 2, float64[B].

    scores [B, N], higher is better; -inf says "not a candidate". target int64[B] holds columns; -1, or a column that
    is no candidate, has rank inf and so a reciprocal rank of 0. Raises ConfigError for NaN and for wrong shapes.
    """
    table = np.asarray(scores)
    columns = np.asarray(target)
    if table.ndim != 2 or columns.shape != table.shape[:1]:
        raise ConfigError(
            f"scores {table.shape} and target {columns.shape} do not fit; give scores [B, N] and one target a row"
        )
    if columns.size and columns.dtype.kind not in "iu":
        raise ConfigError(f"target is {columns.dtype}; give int64 columns of scores")
    wrong = np.flatnonzero((columns < -1) | (columns >= table.shape[1]))
    if len(wrong):
        raise ConfigError(f"target[{wrong[0]}] is {columns[wrong[0]]}; expected -1 to {table.shape[1] - 1}")
    if np.isnan(table).any():
        raise ConfigError(f"scores of row {int(np.isnan(table).any(axis=1).argmax())} hold NaN; give numbers")
    ranks = np.full(len(columns), np.inf)
    rows = np.flatnonzero(columns >= 0)
    own = table[rows, columns[rows]]  # [R]
    rows, own = rows[own > -np.inf], own[own > -np.inf]
    better = (table[rows] > own[:, None]).sum(axis=1)  # [R]
    ties = (table[rows] == own[:, None]).sum(axis=1) - 1  # [R], without the target itself
    ranks[rows] = 1.0 + better + ties / 2
    return ranks


def recall_at(ranks: ArrayLike, k: int) -> float:
    """The share of targets with rank <= k; 0 when there is none. One target a query, so this is also the hit rate."""
    if k < 1:
        raise ConfigError(f"k is {k}; expected at least 1")
    found = np.asarray(ranks, dtype=np.float64) <= k
    return float(found.mean()) if found.size else 0.0


def mrr(ranks: ArrayLike) -> float:
    """The mean of 1 / rank, where rank inf counts 0; 0 when there is none."""
    inverse = 1.0 / np.asarray(ranks, dtype=np.float64)
    return float(inverse.mean()) if inverse.size else 0.0


def rank_metrics(ranks: ArrayLike) -> dict[str, float]:
    """{"n", "recall@1", "recall@5", "recall@10", "mrr"} of ranks from `mean_ranks`."""
    recalls = {f"recall@{k}": recall_at(ranks, k) for k in (1, 5, 10)}
    return {"n": np.size(np.asarray(ranks)), **recalls, "mrr": mrr(ranks)}


def evaluate_run(run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Means over the queries of the qrels: {"map", "mrr", "recall@5", "recall@10", "ndcg@10", "n"}.

    A query that the run lacks, or that has no relevant document, counts 0; a query that only the run has is ignored.
    map divides by all relevant documents, over the whole ranking. recall@k = relevant in the top k / relevant.
    ndcg@10 uses the grade as gain and 1 / log2(rank + 1) as discount (Järvelin and Kekäläinen 2002, trec_eval's form).
    """
    rows = [_query_metrics(run.get(query, {}), grades) for query, grades in qrels.items()]
    means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)] if rows else [0.0] * len(METRICS)
    return {**dict(zip(METRICS, means, strict=True)), "n": len(rows)}


def metrics_by_query(
    run: Mapping[str, Mapping[str, float]], qrels: Mapping[str, Mapping[str, int]]
) -> dict[str, NDArray[np.float64]]:
    """What `evaluate_run` takes the means of, float64[n] per metric in the order of the qrels: for intervals."""
    rows = np.array([_query_metrics(run.get(query, {}), grades) for query, grades in qrels.items()], np.float64)
    return dict(zip(METRICS, rows.reshape(-1, len(METRICS)).T, strict=True))


def ordered(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """(document id, score), best first; ties by document id."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def write_run(path: Path | str, run: Mapping[str, Mapping[str, float]], tag: str = "hiregraph") -> None:
    """Write a TREC run, queries in the order given, ranks from 1; gzip when the name ends in .gz.

    Scores are written so that reading them back gives the same float64.
    """
    _check_word("the tag", tag)
    with _writing(Path(path)) as out:
        for query, scores in run.items():
            _check_word("query id", query)
            for rank, (document, score) in enumerate(ordered(scores), 1):
                _check_word("document id", document)
                if not math.isfinite(score):
                    raise DataError(str(path), f"the score of {query}, {document} is {score}", "Give finite scores.")
                out.write(f"{query} Q0 {document} {rank} {float(score)!r} {tag}\n")


def read_run(path: Path | str) -> Run:
    """Read a TREC run, possibly gzip. Raises DataError for a malformed line or a document that comes twice."""
    run: Run = {}
    for row, (query, _, document, _, text, _) in _fields(Path(path), 6, RUN_REMEDY):
        score = _number(str(path), text, row)
        documents = run.setdefault(query, {})
        if document in documents:
            raise DataError(str(path), f"document {document} comes twice for query {query}", "Rank it once.", row)
        documents[document] = score
    return run


def read_qrels(path: Path | str) -> Qrels:
    """Read relevance judgements, possibly gzip. Raises DataError for a malformed line or a pair judged twice."""
    qrels: Qrels = {}
    for row, (query, _, document, text) in _fields(Path(path), 4, QRELS_REMEDY):
        try:
            grade = int(text)
        except ValueError:
            raise DataError(str(path), f"grade {text!r} is not a whole number", QRELS_REMEDY, row) from None
        documents = qrels.setdefault(query, {})
        if document in documents:
            raise DataError(str(path), f"document {document} is judged twice for query {query}", "Judge it once.", row)
        documents[document] = grade
    return qrels


def _query_metrics(scores: Mapping[str, float], grades: Mapping[str, int]) -> tuple[float, float, float, float, float]:
    relevant = sum(grade > 0 for grade in grades.values())
    if not relevant or not scores:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    gains = [max(0, grades.get(document, 0)) for document, _ in ordered(scores)]
    hits = [rank for rank, gain in enumerate(gains, 1) if gain]  # ranks of the relevant documents, ascending
    precision = math.fsum(found / rank for found, rank in enumerate(hits, 1)) / relevant
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    return (
        precision,
        1 / hits[0] if hits else 0.0,
        sum(rank <= 5 for rank in hits) / relevant,
        sum(rank <= 10 for rank in hits) / relevant,
        _discounted(gains[:10]) / _discounted(ideal[:10]),
    )


def _discounted(gains: Sequence[int]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _fields(path: Path, count: int, remedy: str) -> Iterator[tuple[int, list[str]]]:
    """(0-based line, fields) of the lines that are not blank."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8") as lines:
            for row, line in enumerate(lines):
                fields = line.split()
                if fields and len(fields) != count:
                    raise DataError(str(path), f"{len(fields)} fields, expected {count}", remedy, row)
                if fields:
                    yield row, fields
    except UnicodeDecodeError:
        raise DataError(str(path), "the text is not UTF-8", "Save it as UTF-8.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), f"the gzip file is damaged ({error})", "Compress it again.") from None
    except OSError as error:
        raise DataError(str(path), f"the file can not be read ({error.strerror})", "Check the path.") from None


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with path.open("w", encoding="utf-8", newline="\n") as out:
            yield out
        return
    # Without a name and a time in its header the same run gives the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as out,
    ):
        yield out


def _number(path: str, text: str, row: int) -> float:
    try:
        score = float(text)
    except ValueError:
        raise DataError(path, f"score {text!r} is not a number", RUN_REMEDY, row) from None
    if not math.isfinite(score):
        raise DataError(path, f"score {text!r} is not finite", "Give finite scores.", row)
    return score


def _check_word(what: str, word: str) -> None:
    if len(word.split()) != 1 or word.split()[0] != word:
        raise DataError("run", f"{what} {word!r} is empty or holds white space", "Give ids without white space.")
