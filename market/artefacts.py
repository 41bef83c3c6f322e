"""Artefact directories: files plus a manifest with a digest of each, written beside and renamed.

An artefact is a directory of safetensors, Parquet, npz or JSON files and `manifest.json`:

    {"kind": "hire-model", "format": 1, "config": {...}, "seed": 0, "inputs": {name: sha256}, "metrics": {...},
     "files": {name: {"sha256": ..., "bytes": ...}}}

Readers check kind, format and every digest before they look at a byte of content. No pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from market.errors import ArtefactError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artefact says about itself."""

    kind: str
    format: int
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(self.__dict__, indent=2, sort_keys=True, default=str) + "\n"


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in 1 MiB blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_of(*parts: object) -> str:
    """Hex SHA-256 of a canonical JSON rendering of `parts`; the key of caches and stages."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_tree(folder: Path) -> str:
    """Hex SHA-256 over names and contents of all files below `folder`, in sorted order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_of([[str(path.relative_to(folder)), sha256_of(path)] for path in files])


@contextmanager
def writing(
    target: Path,
    kind: str,
    format: int,
    *,
    config: Mapping[str, Any] | None = None,
    seed: int | None = None,
    inputs: Mapping[str, str] | None = None,
    metrics: dict[str, Any] | None = None,
) -> Iterator[Path]:
    """Yield a scratch directory; on a clean exit add the manifest, sync and swap it in under `target`.

    Readers see the old artefact or the new one, never a mix. After an exception nothing has changed.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    holds_other = target.is_file() or (target.is_dir() and any(target.iterdir()))
    if holds_other and not (target / MANIFEST).exists():
        raise ArtefactError(
            f"{target} exists and is not an artefact (no {MANIFEST}); choose another directory or empty this one"
        )
    scratch = target.parent / f".{target.name}.{os.getpid()}.writing"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        files = {
            str(path.relative_to(scratch)): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        manifest = Manifest(kind, format, config or {}, seed, inputs or {}, metrics or {}, files)
        (scratch / MANIFEST).write_text(manifest.to_json())
        for path in scratch.rglob("*"):
            _sync(path)
        old = target.parent / f".{target.name}.{os.getpid()}.old"
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        scratch.rename(target)
        _sync(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def open_artefact(source: Path, kind: str, formats: tuple[int, ...]) -> Manifest:
    """Check an artefact whole (kind, format, every digest) and return its manifest; ArtefactError names the file."""
    source = Path(source)
    path = source / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text()))
        digests = {name: entry["sha256"] for name, entry in manifest.files.items()}
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(f"{source} is not an artefact: {MANIFEST} is missing; check the path") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ArtefactError(f"{path} is damaged (not a valid manifest); build the artefact again") from None
    if manifest.kind != kind:
        raise ArtefactError(f"{source} holds a {manifest.kind!r}, expected a {kind!r}; check the path")
    if manifest.format not in formats:
        raise ArtefactError(
            f"{source} has format {manifest.format}, this version reads {list(formats)}; build the artefact again"
        )
    for name, digest in digests.items():
        file = source / name
        if not file.is_file():
            raise ArtefactError(f"{file} is missing; build the artefact again")
        if sha256_of(file) != digest:
            raise ArtefactError(f"{file} is damaged (SHA-256 differs from the manifest); build the artefact again")
    return manifest


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
