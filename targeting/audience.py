"""Who may see a campaign: the best share theta of live campaigns per seeker, plus a floor on the campaign's side.

A pair is eligible if the campaign is among the seeker's best round(theta * live campaigns in reach) by score, or if
the pair's score reaches the campaign's threshold: the score of its phi-th best seeker of a reference pool. The first
keeps a seeker's experience in hand, the second keeps rare occupations from starving. Any score will do; ranking by raw
probability would starve what is rare, so the default divides by how common a job's occupation is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.compiled import njit
from market.errors import ConfigError


@dataclass(frozen=True)
class Liquidity:
    """theta: share of the live campaigns in reach a seeker may see (at least one); phi: seekers a campaign gets."""

    theta: float = 0.2
    phi: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.theta <= 1:
            raise ConfigError(f"theta is {self.theta}, expected above 0 up to 1 (a share of live campaigns)")
        if self.phi < 0:
            raise ConfigError(f"phi is {self.phi}, expected 0 or more seekers per campaign")

    def seats(self, in_reach: int) -> int:
        """How many campaigns a seeker may see when `in_reach` of them are live and pass the filters."""
        return max(1, round(self.theta * in_reach)) if in_reach else 0


def campaign_thresholds(
    start: np.ndarray, campaign: np.ndarray, score: np.ndarray, campaigns: int, phi: int
) -> np.ndarray:
    """float32[campaigns]: score of the phi-th best seeker of the pool; phi 0 gives +inf, a smaller pool -inf.

    Pairs in CSR form as everywhere: pairs of seeker i are start[i]:start[i+1]; score -inf means not retrieved at all.
    """
    if phi == 0:
        return np.full(campaigns, np.inf, np.float32)
    found = np.full(campaigns, -np.inf, np.float32)
    order = np.lexsort((-score, campaign))
    counts = np.bincount(campaign, minlength=campaigns)
    first = np.cumsum(counts) - counts
    enough = counts >= phi
    found[enough] = score[order][first[enough] + phi - 1]
    return found


def eligible_pairs(
    start: np.ndarray, campaign: np.ndarray, score: np.ndarray, liquidity: Liquidity, threshold: np.ndarray
) -> np.ndarray:
    """bool[n]: which pairs may be shown. Ties of a seeker go to the smaller campaign; score -inf is never eligible."""
    return eligible_by_rank(start, campaign, score, seeker_ranks(start, campaign, score), liquidity, threshold)


def eligible_by_rank(
    start: np.ndarray,
    campaign: np.ndarray,
    score: np.ndarray,
    rank: np.ndarray,
    liquidity: Liquidity,
    threshold: np.ndarray,
) -> np.ndarray:
    """`eligible_pairs` where the ranks of the pairs are known already: a frontier over theta sorts once."""
    lengths = np.diff(start)
    counts, of_seeker = np.unique(lengths, return_inverse=True)
    seats = np.array([liquidity.seats(int(count)) for count in counts], np.int64)[of_seeker]
    possible = score > -np.inf
    return np.asarray(possible & ((rank < np.repeat(seats, lengths)) | (score >= threshold[campaign])))


@njit(nogil=True)
def seeker_ranks(start: np.ndarray, campaign: np.ndarray, score: np.ndarray) -> np.ndarray:
    """int32[n]: place of each pair among its seeker's pairs, from 0; best score first, ties to the smaller campaign."""
    rank = np.empty(len(score), np.int32)
    for seeker in range(len(start) - 1):
        first, end = start[seeker], start[seeker + 1]
        by_campaign = np.argsort(campaign[first:end], kind="mergesort")
        order = np.argsort(-score[first:end][by_campaign], kind="mergesort")
        for place in range(end - first):
            rank[first + by_campaign[order[place]]] = place
    return rank
