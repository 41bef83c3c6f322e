"""The numbers of the CUDA engine that trade time for memory. None of them can change an answer."""

from __future__ import annotations

from dataclasses import dataclass

from market.errors import ConfigError


@dataclass(frozen=True)
class Tuning:
    """gather_matches  a query with at most so many matches (or 2k) is scored exactly at once, without a scan
    sample_every       one row block in so many is scored first, to guess where the k-th score lies
    batch              queries that share one scan; more are taken in turns
    skip_rows_below    up to so many queries, rows that none of them wants are not even read
    spare              survivors a query's buffer holds, as a multiple of the number expected
    rebuild_after      changed (slot, term) pairs that wait beside the postings before these are rebuilt
    boost_bytes        device memory for the weights of one scan's queries, 8 bytes a slot and boosted query
    buffer_slots       survivors one scan may hold, over all its queries
    """

    gather_matches: int = 16_384
    sample_every: int = 64
    batch: int = 64
    skip_rows_below: int = 8
    spare: int = 4
    rebuild_after: int = 65_536
    boost_bytes: int = 1 << 32
    buffer_slots: int = 1 << 28

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name in ("gather_matches", "skip_rows_below", "rebuild_after") else 1
            if value < least:
                raise ConfigError(f"{name} is {value}; expected {least} or more")
        if self.batch > 64:
            raise ConfigError(f"batch is {self.batch}; a scan takes at most 64 queries")
