"""Links that say nothing a shorter one does not say: they fire on the very same pairs.

An occupation brings its section along, so (occupation, section) -> ... is (occupation) -> ...; and where a skill always
comes with another, one is enough. Of nested links that fire on the same pairs the shortest are kept: they are easier to
read, fire on everybody the longer ones fire on, and spare the regression columns it can not tell apart.
"""

from __future__ import annotations

import numpy as np

from graph.linking.firing import LinkTokens
from market.compiled import njit


def shortest(links: LinkTokens, signature: np.ndarray) -> np.ndarray:
    """bool[l]: whether no other link has the same signature and a proper subset of the values.

    signature [l]: equal for links that fire on the same pairs, as `graph.linking.firing.count_firings` gives it.
    """
    size = np.diff(links.seeker.start) + np.diff(links.job.start)
    order = np.lexsort((size, signature))
    kept = np.ones(len(links), bool)
    sides = (links.seeker.start, links.seeker.tokens, links.job.start, links.job.tokens)
    _drop_longer(*sides, signature, order, np.empty(len(links), np.int64), kept)
    return kept


@njit
def _drop_longer(seeker_start, seeker_tokens, job_start, job_tokens, signature, order, shorter, kept):
    """`order` brings equal signatures together, short links first; `shorter` is scratch."""
    count = 0
    for at in range(len(order)):
        link = order[at]
        if at == 0 or signature[link] != signature[order[at - 1]]:
            count = 0
        for other in shorter[:count]:
            if _within(seeker_start, seeker_tokens, other, link) and _within(job_start, job_tokens, other, link):
                kept[link] = False
                break
        if kept[link]:
            shorter[count] = link
            count += 1


@njit
def _within(start, tokens, small, large):
    """Whether all values of one set are in the other; both ascend."""
    at, end = start[large], start[large + 1]
    for i in range(start[small], start[small + 1]):
        while at < end and tokens[at] < tokens[i]:
            at += 1
        if at == end or tokens[at] != tokens[i]:
            return False
    return True
