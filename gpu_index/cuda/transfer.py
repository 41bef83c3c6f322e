"""Small arrays to the device and back, in one copy each way.

A search sends a dozen small arrays and waits three times for an answer. Through pageable memory each of them would be
a copy that waits for the device; packed into pinned memory they are one copy that does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

ALIGNMENT = 256  # bytes; kernels are compiled for pointers at multiples of 16
TYPES = {
    np.dtype(np.int8): torch.int8,
    np.dtype(np.int16): torch.int16,
    np.dtype(np.int32): torch.int32,
    np.dtype(np.int64): torch.int64,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float64): torch.float64,
}


def send(arrays: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """The same arrays on the device."""
    sizes = [-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays]
    packed = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=device.type == "cuda")
    view, at = packed.numpy(), 0
    for array, size in zip(arrays, sizes, strict=True):
        view[at : at + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        at += size
    there, at, sent = packed.to(device, non_blocking=True), 0, []
    for array, size in zip(arrays, sizes, strict=True):
        sent.append(there[at : at + array.nbytes].view(TYPES[array.dtype]).view(array.shape))
        at += size
    return sent


def fetch(*tensors: torch.Tensor) -> list[np.ndarray]:
    """The same tensors on the host, once the device has computed them."""
    if tensors[0].device.type != "cuda":
        return [tensor.numpy() for tensor in tensors]
    here = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for target, tensor in zip(here, tensors, strict=True):
        target.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return [target.numpy() for target in here]
