"""Candidate links: all combinations of the meta links of every hire, counted out of core.

    hire -> meta links (seeker value, job value) that templates permit
         -> those with enough hires, rarest first, at most k           (no link has more hires than a part of it)
         -> every non-empty subset, as its set of values (P, Q)        2^k - 1 of them, each once a hire
         -> a 64-bit key each, counted by `graph.linking.key_counts`
         -> keys with enough hires, turned back into (P, Q) by going through the hires once more

The key of (P, Q) is the sum modulo 2^64 of a mixed number per value, whatever the order. Among n distinct candidates
two share a key with probability about n^2 / 2^65: 3e-5 for 30 million. One of the two is lost then; counts are not
touched, because whatever survives is counted again by `graph.linking.firing`, on all pairs, from the values themselves.

The cap on k comes before counting, so a candidate is found only if enough hires propose it within their cap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graph.linking.attributes import JOB_KINDS, SEEKER_KINDS
from graph.linking.combinations import (
    LARGEST_K,
    HireColumns,
    KeyTable,
    Room,
    candidate_keys,
    fill,
    fill_sieve,
    locate,
    meta_keys,
    mix,
    write_values,
)
from graph.linking.key_counts import KeyCounter, KeyCounts
from graph.linking.pairs import Bags, LinkPairs
from market.errors import ConfigError, DataError

# Chosen on validation persons of real careers: links from an occupation to sections, and between major groups, add
# coverage but rank worse; where jobs and seekers have no skills, seniority or industry these templates stay silent.
TEMPLATES = (
    ("occupation", "occupation"),
    ("past_occupation", "occupation"),
    ("section", "occupation"),
    ("education", "occupation"),
    ("section", "section"),
    ("skill", "skill"),
    ("skill", "occupation"),
    ("occupation", "skill"),
    ("seniority", "seniority"),
    ("industry", "industry"),
)


@dataclass(frozen=True)
class CandidateConfig:
    """What may become a candidate.

    templates: permitted (seeker kind, job kind); minimum_hires: hires a candidate, and each meta link in it, needs
    largest_k: meta links a hire; largest_per_template: of them of one template (skill x skill is a cross product)
    largest_size: meta links in a link
    partitions, block_keys: how counting is cut up; memory is 24 bytes a key of a block
    """

    templates: tuple[tuple[str, str], ...] = TEMPLATES
    minimum_hires: int = 3
    largest_k: int = 8
    largest_per_template: int = 3
    largest_size: int = 8
    partitions: int = 64
    block_keys: int = 1 << 24

    def __post_init__(self) -> None:
        for mine, theirs in self.templates:
            if mine not in SEEKER_KINDS or theirs not in JOB_KINDS:
                raise ConfigError(
                    f"template ({mine}, {theirs}) names an unknown kind; seekers have {', '.join(SEEKER_KINDS)}; "
                    f"jobs have {', '.join(JOB_KINDS)}"
                )
        if not self.templates or len(set(self.templates)) < len(self.templates):
            raise ConfigError("templates are empty or name a pair twice; list each permitted pair of kinds once")
        if not 1 <= self.largest_k <= LARGEST_K:
            raise ConfigError(f"largest_k is {self.largest_k}, expected 1 to {LARGEST_K}")
        small = ("minimum_hires", "largest_per_template", "largest_size", "partitions")
        wrong = next((name for name in small if getattr(self, name) < 1), None)
        if wrong is not None:
            raise ConfigError(f"{wrong} is {getattr(self, wrong)}, expected at least 1")
        if self.block_keys < 1 << LARGEST_K:
            raise ConfigError(f"block_keys is {self.block_keys}, expected at least {1 << LARGEST_K}")


@dataclass(frozen=True)
class Candidates:
    """c candidate links, ascending by key. seeker, job: their values as bags of positions in the vocabularies;
    proposed int64[c]: hires that proposed each; distinct: candidates before the minimum; enumerated: all proposals."""

    seeker: Bags
    job: Bags
    proposed: np.ndarray
    distinct: int
    enumerated: int

    def __len__(self) -> int:
        return len(self.seeker)


def find_candidates(
    pairs: LinkPairs,
    config: CandidateConfig = CandidateConfig(),
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Candidates:
    """Candidates that at least `minimum_hires` hires propose; nothing is left in `scratch`."""
    if not pairs.hires:
        raise DataError("hires", "no hire to learn links from", "confirm hires first")
    hires = _hires(pairs, config)
    room = _room(hires, config)
    out = np.empty(max(config.block_keys, room.metas.shape[1]), np.uint64)
    progress(f"counting meta links of {pairs.hires:,} hires")
    with KeyCounter(config.partitions, scratch) as counter:
        row = 0
        while row < pairs.hires:
            row, filled = meta_keys(hires, row, out)
            counter.add(out[:filled])
        meta = _table(counter.counted(config.minimum_hires))
    with KeyCounter(config.partitions, scratch) as counter:
        row = 0
        while row < pairs.hires:
            row, filled = candidate_keys(hires, meta, room, row, out)
            counter.add(out[:filled])
            progress(f"enumerated {row:,} of {pairs.hires:,} hires")
        del out
        found = counter.counted(config.minimum_hires)
    progress(f"{found.distinct:,} candidates, {len(found.keys):,} proposed by {config.minimum_hires} hires or more")
    return Candidates(*_decoded(hires, meta, room, _table(found)), found.counts, found.distinct, found.total)


def _hires(pairs: LinkPairs, config: CandidateConfig) -> HireColumns:
    rows = np.flatnonzero(pairs.hired)
    template = np.full((len(SEEKER_KINDS), len(JOB_KINDS)), -1, np.int8)
    for number, (mine, theirs) in enumerate(config.templates):
        template[SEEKER_KINDS.index(mine), JOB_KINDS.index(theirs)] = number
    kinds = [
        np.array([known.index(word.partition("=")[0]) for word in words], np.int8)
        for words, known in ((pairs.seeker_words, SEEKER_KINDS), (pairs.job_words, JOB_KINDS))
    ]
    seeds = mix(np.arange(len(kinds[0]) + len(kinds[1])).astype(np.uint64) + np.uint64(1 << 40))
    return HireColumns(
        *(pairs.seekers.start, pairs.seekers.tokens, pairs.jobs.start, pairs.jobs.tokens),
        *(pairs.seeker[rows], pairs.job[rows], *kinds, template),
        *(seeds[: len(kinds[0])], seeds[len(kinds[0]) :]),
    )


def _room(hires: HireColumns, config: CandidateConfig) -> Room:
    k, subsets = config.largest_k, 1 << config.largest_k
    mine, theirs = (np.diff(start)[rows] for start, rows in zip(hires[0:4:2], hires[4:6], strict=True))
    return Room(
        *(k, config.largest_per_template, config.largest_size),
        np.empty((5, max(int((mine * theirs).max()), 1)), np.int64),
        *(np.empty(k, np.int64), np.empty(k, np.int64), np.empty((2, k), np.int64), np.empty((2, k), np.int64)),
        *(np.empty((3, subsets), np.int64), np.empty((2, 2 * subsets), np.int64)),
        *(np.empty(subsets, np.int64), np.empty(subsets, np.uint64)),
    )


def _table(counted: KeyCounts) -> KeyTable:
    slots = np.full(1 << max(4, int(2 * len(counted.keys)).bit_length()), -1, np.int32)
    fill(counted.keys, slots)
    return KeyTable(slots, counted.keys, counted.counts)


def _decoded(hires: HireColumns, meta: KeyTable, room: Room, wanted: KeyTable) -> tuple[Bags, Bags]:
    """The values behind the surviving keys: the first hire that proposes a key says what it means."""
    hire, mask = np.full(len(wanted.keys), -1, np.int64), np.zeros(len(wanted.keys), np.int64)
    # 16 bits a key: about one unknown key in 16 gets through, and the sieve stays in the processor's cache far longer
    sieve = np.zeros(1 << max(4, (len(wanted.keys) // 4).bit_length()), np.uint64)
    fill_sieve(wanted.keys, sieve)
    locate(hires, meta, room, wanted, sieve, hire, mask)
    sizes = np.zeros((2, len(hire) + 1), np.int64)
    sizes[0, 1:], sizes[1, 1:] = np.bitwise_count(mask & (1 << LARGEST_K) - 1), np.bitwise_count(mask >> LARGEST_K)
    starts = np.cumsum(sizes, axis=1)
    tokens = [np.empty(start[-1], np.int32) for start in starts]
    order = np.argsort(hire, kind="stable")  # so that each hire is looked at once
    write_values(hires, meta, room, hire, mask, order, starts, *tokens)
    return Bags(starts[0], tokens[0]), Bags(starts[1], tokens[1])
