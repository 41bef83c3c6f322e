"""What several kernels share."""

from __future__ import annotations

import triton
import triton.language as tl

OPTIONS = {"enable_fp_fusion": True}  # no answer depends on it; left out, triton 3.9 warns


@triton.jit
def append(hit, slots, query, found, counts, room, BLOCK: tl.constexpr, BATCH: tl.constexpr):
    """Add the slots of the hits [BLOCK,BATCH] to their queries' lists; what does not fit is only counted."""
    if tl.max(tl.max(hit.to(tl.int32), axis=1), axis=0) > 0:
        column = query[None, :] + tl.zeros([BLOCK, BATCH], tl.int32)
        place = tl.atomic_add(counts + column, 1, mask=hit, sem="relaxed")
        slot = slots[:, None] + tl.zeros([BLOCK, BATCH], tl.int32)
        tl.store(found + column.to(tl.int64) * room + place, slot, mask=hit & (place < room))
