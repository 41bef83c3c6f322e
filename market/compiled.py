"""Compiled functions whose cache can not go stale.

Numba notices that a function's own file changed, not that a function it calls did: after an edit of the auction the
market loop would go on running the old one. So the cache lies in a folder named by the digest of all source files of
the packages that compile anything; another source, another folder.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numba

COMPILING = ("market", "gpu_index", "graph", "targeting", "sim")


def source_stamp(root: Path) -> str:
    """Hex digest over names and contents of the Python files of the compiling packages below `root`."""
    digest = hashlib.sha256()
    for path in sorted(path for name in COMPILING for path in (root / name).rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


# Has to be set before the first function is decorated; every compiled function takes njit from here.
CACHE = Path.home() / ".cache" / "hiregraph" / "numba" / source_stamp(Path(__file__).parent.parent)
numba.config.CACHE_DIR = str(CACHE)  # type: ignore[attr-defined]
njit = partial(numba.njit, cache=True)
# A hot loop is a whole of parts that are compiled into it: calls would pass every array on, seven words each. They make
# no arrays, so numba need not count references to arrays (`_nrt`): counting took half of the market loop's time.
part = partial(numba.njit, cache=True, forceinline=True, _nrt=False)
whole = partial(numba.njit, cache=True, nogil=True, _nrt=False)
