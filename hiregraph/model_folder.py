"""The directory that `graph fit` writes, as an option of commands, and one message where a part of it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from market.errors import ArtefactError

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
ModelOption = Annotated[Path, typer.Option(help="What `graph fit` or `demo` wrote.")]


def part_of(folder: Path, name: str) -> Path:
    """The artefact `name` (model, links, rates) of a model directory; ArtefactError where it has none."""
    if not (folder / name / "manifest.json").is_file():
        raise ArtefactError(f"{folder} holds no {name}; give the directory that `hiregraph graph fit` wrote")
    return folder / name
