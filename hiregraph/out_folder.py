"""The directory a command writes its result into: an earlier result is never lost by accident."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from market.errors import ConfigError

ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier result in --out.")]


def refuse_to_overwrite(out: Path, names: Sequence[str], force: bool) -> None:
    """ConfigError where `out` is a file, or holds one of the files `names` and `force` is not given."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is no directory; give another --out")
    there = next((out / name for name in names if (out / name).exists()), None)
    if there is None or force:
        return
    if any(_is_partial(out / name) for name in names if name.endswith(".json")):
        raise ConfigError(f"{there} is of an interrupted run; give --force to go on and replace it, or another --out")
    raise ConfigError(f"{there} exists; give --force to replace it, or another --out")


def _is_partial(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("complete") is False
