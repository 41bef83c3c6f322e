"""The steps of a search in plain torch, on any device: what each Triton kernel has to compute.

Bitmaps are int32 words, bit s % 32 of word s // 32 for slot s. Masks are int32[W,B]: word w of query b, so that the
queries of a batch lie side by side. A step with the same name in kernels.py gives the same bits, except that survivors
may come in another order and that the first pass may round otherwise within its bound.
"""

from __future__ import annotations

from itertools import pairwise

import torch

from gpu_index.cuda.coarse import Coarse, stored
from gpu_index.cuda.mirror import SpaceMirror
from gpu_index.cuda.oporp import distances
from gpu_index.cuda.postings import flip_where_different
from gpu_index.cuda.probe import Probe

ROW_BLOCK = 64  # rows of one block of the sample; a scan of the twin takes many at once
SCAN_ROWS = 1 << 14
RESCORE_VALUES = 1 << 22


def or_bitmaps(dense: torch.Tensor, rows: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """OR of the bitmaps rows[start[g] : start[g + 1]] for each group g -> int32[G,W]."""
    bounds = start.tolist()
    groups = torch.zeros((len(bounds) - 1, dense.shape[1]), dtype=torch.int32, device=dense.device)
    for g, (first, behind) in enumerate(pairwise(bounds)):
        for row in rows[first:behind].tolist():
            groups[g] |= dense[row]
    return groups


def or_postings(groups: torch.Tensor, slots: torch.Tensor, pieces: torch.Tensor) -> None:
    """Set the bits of the postings of each piece (group, first, count) in its group, in place; a slot of -1 is none."""
    words = groups.shape[1]
    bits = [torch.zeros(0, dtype=torch.int64, device=groups.device)]
    for group, first, count in pieces.tolist():
        found = slots[first : first + count].to(torch.int64)
        bits.append(group * words * 32 + found[found >= 0])
    distinct = torch.unique(torch.cat(bits))
    wanted = torch.ones_like(distinct, dtype=torch.bool)
    flip_where_different(groups, distinct >> 5, (distinct & 31).to(torch.int32), wanted)


def match(
    present: torch.Tensor, groups: torch.Tensor, members: torch.Tensor, excluded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks int32[W,B] of each query, and the number of its matches int32[B]. Groups may have more than W words."""
    groups = groups[:, : len(present)]
    masks = present[:, None].repeat(1, len(members))
    for column, (own, without) in enumerate(zip(members.tolist(), excluded.tolist(), strict=True)):
        for group in own:
            if group >= 0:
                masks[:, column] &= groups[group]
        if without >= 0:
            masks[:, column] &= ~groups[without]
    return masks, bits_of(masks).sum(dim=0, dtype=torch.int32)


def bits_of(masks: torch.Tensor) -> torch.Tensor:
    """bool[32 W, B], one row a slot."""
    shifts = torch.arange(32, dtype=torch.int32, device=masks.device)
    return ((masks[:, None, :] >> shifts[None, :, None]) & 1).bool().flatten(0, 1)


def sample(coarse: Coarse, masks: torch.Tensor, probe: Probe, every: int) -> torch.Tensor:
    """Lower bounds of the scores of every so-manieth block of 64 rows -> float32[B,S], -inf for rows not matched."""
    blocks = torch.arange(0, masks.shape[0] * 32 // ROW_BLOCK, every, device=masks.device)
    slots = (blocks[:, None] * ROW_BLOCK + torch.arange(ROW_BLOCK, device=masks.device)).flatten()
    bound = bounds(coarse, probe, slots, -1)
    matched = (masks[slots >> 5] >> (slots & 31)[:, None].to(torch.int32)) & 1
    return torch.where(matched.bool(), bound, float("-inf")).T.contiguous()


def scan(
    coarse: Coarse, masks: torch.Tensor, probe: Probe, floors: torch.Tensor, room: int, skip_rows: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Slots int32[B,room] whose score may reach the floor float32[B] of a query that they match, and their number
    int32[B]. If a number is above `room`, some of its slots are missing.

    `skip_rows` is about speed only: it tells the kernel not to read rows that no query wants.
    """
    kept, owners = [], []
    slots_in_all = masks.shape[0] * 32
    for first in range(0, slots_in_all, SCAN_ROWS):
        slots = torch.arange(first, min(first + SCAN_ROWS, slots_in_all), device=masks.device)
        hit = (bounds(coarse, probe, slots, 1) >= floors) & bits_of(masks[first // 32 : (first + SCAN_ROWS) // 32])
        row, query = hit.nonzero(as_tuple=True)
        kept.append(slots[row])
        owners.append(query)
    return _listed(kept, owners, masks, room)


def compact(masks: torch.Tensor, room: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The slots of the set bits, as `scan` gives its survivors."""
    row, query = bits_of(masks).nonzero(as_tuple=True)
    return _listed([row], [query], masks, room)


def narrow(
    masks: torch.Tensor, sketches: torch.Tensor, wanted: torch.Tensor, limits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks int32[W,B] without the slots whose sketch int32[capacity,w] is farther than limits int32[B] from that of
    the query int32[B,w], and the matches int32[B] that are left."""
    near = bits_of(masks) & (distances(sketches, wanted) <= limits)
    shifts = torch.arange(32, dtype=torch.int32, device=masks.device)[None, :, None]
    narrowed = (near.view(len(masks), 32, -1).to(torch.int32) << shifts).sum(dim=1, dtype=torch.int32)
    return narrowed, near.sum(dim=0, dtype=torch.int32)


def add_weights(boosts: torch.Tensor, slots: torch.Tensor, pieces: torch.Tensor, weights: torch.Tensor) -> None:
    """boosts[row, slot] += weight for the postings of each piece (row, first, count), weights float64[i], in place.

    No (row, slot) comes twice in one call, so one call adds one term per query and the order of calls is the order of
    additions.
    """
    for (row, first, count), weight in zip(pieces.tolist(), weights.tolist(), strict=True):
        found = slots[first : first + count].to(torch.int64)
        boosts[row, found[found >= 0]] += weight


def rescore(space: SpaceMirror, probe: Probe, found: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Exact scores float32[B,width] of the first counts[b] slots in row b of `found` int32[B,width], -inf behind."""
    scores = torch.full(found.shape, float("-inf"), device=found.device)
    step = max(1, RESCORE_VALUES // space.dim)
    for query, count in enumerate(counts.tolist()):
        for first in range(0, count, step):
            slots = found[query, first : min(first + step, count)].to(torch.int64)
            total = fold(stored(space, slots).double() * probe.exact[query].double())
            row = int(probe.boost_row[query])
            if row >= 0:
                total = total + probe.boosts[row, slots]
            scores[query, first : first + len(slots)] = total.float() + 0.0  # turns -0.0 into 0.0
    return scores


def fold(products: torch.Tensor) -> torch.Tensor:
    """float64[n,d] -> float64[n] in the order of `scoring.exact_dots`."""
    width = products.shape[1]
    while width > 1:
        half = (width + 1) // 2
        products[:, : width - half] += products[:, half:width]
        width = half
    return products[:, 0]


def bounds(coarse: Coarse, probe: Probe, slots: torch.Tensor, sign: int) -> torch.Tensor:
    """Bounds float32[n,B] above (sign 1) or below (-1) the scores of these slots."""
    rows, blocks = coarse.values[slots].float(), slots >> 6
    products = zip(probe.rounded, probe.factors, strict=True)
    near = sum(((rows @ part.float().T) * factor for part, factor in products), torch.zeros(()))
    if coarse.scale is not None:
        near = near * coarse.scale[blocks, None]
    for row in set(probe.boost_row.tolist()):
        if row >= 0:
            near[:, probe.boost_row == row] += probe.boosts[row, slots].float()[:, None]
    norm, error = coarse.norm[blocks, None], coarse.error[blocks, None]
    return near + sign * (probe.slack[0] * norm + probe.slack[1] * error + probe.slack[2])


def _listed(
    kept: list[torch.Tensor], owners: list[torch.Tensor], masks: torch.Tensor, room: int
) -> tuple[torch.Tensor, torch.Tensor]:
    batch = masks.shape[1]
    slots, owner = torch.cat(kept), torch.cat(owners)
    owner, order = owner.sort(stable=True)
    counts = torch.bincount(owner, minlength=batch)
    place = torch.arange(len(owner), device=masks.device) - (counts.cumsum(0) - counts)[owner]
    fits = place < room
    found = torch.zeros((batch, room), dtype=torch.int32, device=masks.device)
    found[owner[fits], place[fits]] = slots[order][fits].to(torch.int32)
    return found, counts.to(torch.int32)
