"""A text file that is whole or not there: written beside its name, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from market.swap import sync


def write_whole(path: Path, text: str) -> None:
    """Replace `path` (UTF-8, lines end as in `text`) in one step; its directory is made. A writer that is stopped
    leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        sync(scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
