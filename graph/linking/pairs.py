"""The training pairs of link mining, in arrays: who was hired into which job, who was not, and what both are like.

Attributes are `kind=value` texts; a vocabulary a side turns them into numbers, and nothing that counts or weighs links
ever looks at the text again. Tables larger than memory come in through Daft: only ids, numbers and one vocabulary a
side stay (4 bytes an attribute of a seeker or job, 18 bytes a pair).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graph.linking.attributes import JOB_KINDS, SEEKER_KINDS
from market.errors import DataError

HIRE = -1  # the source of a pair that is a hire


@dataclass(frozen=True)
class Bags:
    """n sets of numbers: set i is tokens[start[i]:start[i + 1]], ascending. start int64[n + 1], tokens int32."""

    start: np.ndarray
    tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def longest(self) -> int:
        return int(np.diff(self.start).max(initial=0))

    def row(self, i: int) -> np.ndarray:
        return self.tokens[self.start[i] : self.start[i + 1]]

    def take(self, rows: np.ndarray) -> Bags:
        """The sets at these positions, in this order."""
        lengths = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
        return Bags(start, self.tokens[np.repeat(self.start[rows], lengths) + within])


@dataclass(frozen=True)
class LinkPairs:
    """p pairs of a seeker and a job.

    seeker_words, job_words: the vocabularies, sorted; seekers, jobs: bags of positions in them
    seeker, job int32[p]: rows of the bags; hired bool[p]; weight float64[p]: how much the pair counts
    source int8[p]: where a pair without hire came from, a position in `sources`; HIRE for hires
    """

    seeker_words: tuple[str, ...]
    job_words: tuple[str, ...]
    seekers: Bags
    jobs: Bags
    seeker: np.ndarray
    job: np.ndarray
    hired: np.ndarray
    weight: np.ndarray
    source: np.ndarray
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("job", "hired", "weight", "source"):
            if len(getattr(self, name)) != len(self.seeker):
                raise DataError(
                    "link pairs", f"{name} has {len(getattr(self, name))} rows, seeker {len(self.seeker)}", "align them"
                )
        for side, rows, bags in (("seeker", self.seeker, self.seekers), ("job", self.job, self.jobs)):
            outside = (rows < 0) | (rows >= len(bags))
            if outside.any():
                row = int(outside.argmax())
                raise DataError("link pairs", f"{side} row {rows[row]} of {len(bags)}", "point to a known row", row)
        if not (np.isfinite(self.weight).all() and (self.weight >= 0).all()):
            raise DataError("link pairs", "a weight is negative or not finite", "give every pair a weight of 0 or more")
        _check_kinds("seekers", self.seeker_words, SEEKER_KINDS)
        _check_kinds("jobs", self.job_words, JOB_KINDS)

    def __len__(self) -> int:
        return len(self.seeker)

    @property
    def hires(self) -> int:
        return int(self.hired.sum())

    def take(self, rows: np.ndarray) -> LinkPairs:
        """The pairs at these positions (or bool[p]); bags and vocabularies are shared, not copied."""
        columns = ("seeker", "job", "hired", "weight", "source")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def link_pairs(
    seeker_attributes: Sequence[Sequence[str]],
    job_attributes: Sequence[Sequence[str]],
    seeker: np.ndarray,
    job: np.ndarray,
    hired: np.ndarray,
    weight: np.ndarray | None = None,
    source: np.ndarray | None = None,
    sources: tuple[str, ...] = (),
) -> LinkPairs:
    """Pairs from attributes in memory; seeker and job are positions in the two lists, every weight 1 unless given."""
    (seeker_words, seekers), (job_words, jobs) = (_bags_of(found) for found in (seeker_attributes, job_attributes))
    hired = np.asarray(hired, bool)
    return LinkPairs(
        seeker_words,
        job_words,
        seekers,
        jobs,
        np.asarray(seeker, np.int32),
        np.asarray(job, np.int32),
        hired,
        np.ones(len(hired)) if weight is None else np.asarray(weight, float),
        np.where(hired, HIRE, 0 if source is None else source).astype(np.int8),
        sources,
    )


def read_link_pairs(pairs: daft.DataFrame, seekers: daft.DataFrame, jobs: daft.DataFrame) -> LinkPairs:
    """Pairs from Daft scans, partition by partition; the same tables give the same bytes, whatever their order.

    pairs: seeker_id, job_id string, hired bool and, for pairs without hire, source string
    seekers, jobs: seeker_id or job_id string, attributes list<string>; only those that occur in pairs are read
    Weights are 1; `graph.linking.no_hires` chooses among the pairs without hire and sets them.
    """
    if missing := {"seeker_id", "job_id", "hired"} - set(pairs.column_names):
        raise DataError("pairs", f"no column {sorted(missing)}", "a table of pairs needs seeker_id, job_id and hired")
    seeker_ids, seeker_words, seeker_bags = _read_side("seekers", seekers, "seeker_id", pairs)
    job_ids, job_words, job_bags = _read_side("jobs", jobs, "job_id", pairs)
    if "source" not in pairs.column_names:
        pairs = pairs.with_column("source", daft.lit("unknown"))
    found = []
    names: list[str] = []
    for table in pairs.select("seeker_id", "job_id", "hired", "source").to_arrow_iter():
        hired = pc.fill_null(table.column("hired").cast(pa.bool_()), False).to_numpy(zero_copy_only=False)
        texts = pc.fill_null(table.column("source").cast(pa.string()), "unknown").dictionary_encode()
        known = texts.dictionary.to_pylist()
        names.extend(name for name in known if name not in names)
        source = np.array([names.index(name) for name in known], np.int8)[texts.indices.to_numpy()]
        seeker = _rows_of("seekers", table.column("seeker_id"), seeker_ids)
        job = _rows_of("jobs", table.column("job_id"), job_ids)
        found.append((seeker, job, hired, source))
    if not found:
        raise DataError("pairs", "no rows", "export hires and pairs without hire first")
    seeker, job, hired, source = (np.concatenate(column) for column in zip(*found, strict=True))
    ordered = sorted({names[i] for i in np.unique(source[~hired])})
    position = np.array([ordered.index(name) if name in ordered else HIRE for name in names], np.int8)
    source = np.where(hired, HIRE, position[source]).astype(np.int8)
    order = np.lexsort((source, ~hired, job, seeker))  # Daft promises no order; arrays do
    columns = (seeker[order], job[order], hired[order], np.ones(len(order)), source[order])
    return LinkPairs(seeker_words, job_words, seeker_bags, job_bags, *columns, tuple(ordered))


def _bags_of(attributes: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], Bags]:
    words = tuple(sorted({word for bag in attributes for word in bag}))
    number = {word: i for i, word in enumerate(words)}
    rows = [sorted({number[word] for word in bag}) for bag in attributes]
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return words, Bags(start, np.array([token for row in rows for token in row], np.int32))


def _read_side(
    name: str, frame: daft.DataFrame, key: str, pairs: daft.DataFrame
) -> tuple[pa.StringArray, tuple[str, ...], Bags]:
    """(ids sorted, vocabulary sorted, bags in the order of ids) of the rows of one side that occur in pairs."""
    if missing := {key, "attributes"} - set(frame.column_names):
        raise DataError(name, f"no column {sorted(missing)}", f"give {key} and attributes, a list of kind=value texts")
    asked = pairs.select(key).distinct()
    needed = frame.select(key, "attributes").join(asked, on=key, how="semi")
    exploded = needed.select("attributes").explode("attributes").distinct().to_arrow()["attributes"]
    words = pc.drop_null(exploded.combine_chunks().cast(pa.large_string()))
    words = words.take(pc.sort_indices(words))
    ids, lengths, tokens = [], [], []
    for batch in needed.to_arrow_iter():
        column = batch.column("attributes")
        lists = column.cast(pa.large_list(pa.large_string()))
        number = pc.index_in(lists.flatten(), value_set=words)
        if number.null_count:
            raise DataError(name, "an attribute is null", "leave an unknown attribute out of the list")
        ids.append(batch.column(key).cast(pa.large_string()))
        lengths.append(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64))
        tokens.append(number.to_numpy(zero_copy_only=False).astype(np.int32))
    if not ids:
        raise DataError(name, f"no row of {name} occurs in pairs", f"check that {key} is the same in both tables")
    all_ids = pa.chunked_array(ids).combine_chunks()
    bags = _canonical(np.concatenate(lengths), np.concatenate(tokens))
    order = pc.sort_indices(all_ids).to_numpy()
    all_ids = all_ids.take(pa.array(order))
    if len(all_ids) > 1 and pc.any(pc.equal(all_ids[1:], all_ids[:-1])).as_py():
        twice = all_ids[int(pc.index(pc.equal(all_ids[1:], all_ids[:-1]), True).as_py())]
        raise DataError(name, f"{key} {twice} occurs twice", "give one row an id, with all of its attributes")
    return all_ids, tuple(words.to_pylist()), bags.take(order)


def _canonical(lengths: np.ndarray, tokens: np.ndarray) -> Bags:
    """Bags with every set ascending and without repetitions."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((tokens, row))
    row, tokens = row[order], tokens[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (tokens[1:] != tokens[:-1])
    start = np.concatenate([[0], np.cumsum(np.bincount(row[first], minlength=len(lengths)))]).astype(np.int64)
    return Bags(start, tokens[first])


def _rows_of(name: str, column: pa.Array, ids: pa.Array) -> np.ndarray:
    """int32: position of every id; DataError names the first one the table does not have."""
    found = pc.index_in(column.cast(pa.large_string()), value_set=ids)
    if found.null_count:
        row = int(pc.index(pc.is_null(found), True).as_py())
        raise DataError(
            name, f"{column[row].as_py()!r} of pairs is missing", "export the attributes of everybody there"
        )
    return found.to_numpy(zero_copy_only=False).astype(np.int32)


def _check_kinds(name: str, words: Sequence[str], kinds: Sequence[str]) -> None:
    wrong = next((word for word in words if word.partition("=")[0] not in kinds or "=" not in word), None)
    if wrong is not None:
        raise DataError(
            name, f"attribute {wrong!r} is of no known kind", f"write kind=value, kind in {', '.join(kinds)}"
        )
