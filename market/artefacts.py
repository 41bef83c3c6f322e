"""Artefact directories: files plus a manifest with a digest of each, written beside and renamed.

An artefact is a directory of safetensors, Parquet, npz or JSON files and `manifest.json`:

    {"kind": "hire-model", "format": 1, "config": {...}, "seed": 0, "inputs": {name: sha256}, "metrics": {...},
     "files": {name: {"sha256": ..., "bytes": ...}}, "digest": ...}

`digest` is the SHA-256 of the manifest's own bytes with 64 zeros in its place; manifests from before it have none.
Readers check kind, format and every digest before they look at a byte of content. No pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from market.errors import ArtefactError
from market.swap import scratch_beside, swap_in, sync

MANIFEST = "manifest.json"
BLANK = "0" * 64  # stands for the digest of a manifest while that is computed
ATTEMPTS = 100  # to read an artefact that is replaced at the same time

T = TypeVar("T")


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
    digest: str | None = None

    def to_json(self) -> str:
        """The text of manifest.json, its digest in it."""
        blank = _rendered(self.__dict__ | {"digest": BLANK})
        return _rendered(self.__dict__ | {"digest": hashlib.sha256(blank.encode()).hexdigest()})

    def undigested(self) -> str:
        """The text of a manifest.json from before manifests had a digest."""
        return _rendered({name: value for name, value in self.__dict__.items() if name != "digest"})


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

    Readers see the old artefact or the new one, never a mix and never neither (see `swap.py` for file systems where
    that can not be had); so does whoever comes after a kill or a power cut. After an exception nothing has changed.
    Of two writers at once the last one to finish wins.
    """
    target = Path(target)
    if target.is_symlink():
        target = target.resolve()  # the artefact is replaced, not the link to it
    target.parent.mkdir(parents=True, exist_ok=True)
    holds_other = target.is_file() or (target.is_dir() and any(target.iterdir()))
    if holds_other and not (target / MANIFEST).exists():
        raise ArtefactError(
            f"{target} exists and is not an artefact (no {MANIFEST}); choose another directory or empty this one"
        )
    with scratch_beside(target) as scratch:
        yield scratch
        files = {
            str(path.relative_to(scratch)): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        manifest = Manifest(kind, format, config or {}, seed, inputs or {}, metrics or {}, files)
        (scratch / MANIFEST).write_text(manifest.to_json())
        mode = (scratch / MANIFEST).stat().st_mode
        for path in (*scratch.rglob("*"), scratch):
            if path.is_file():
                path.chmod(mode)  # safetensors writes files that only their owner may read
            sync(path)
        swap_in(scratch, target)


def open_artefact(source: Path, kind: str, formats: tuple[int, ...]) -> Manifest:
    """Check an artefact whole (kind, format, every digest) and return its manifest; ArtefactError names the file."""
    source = Path(source)
    path = source / MANIFEST
    try:
        text = path.read_bytes().decode()
        manifest = Manifest(**json.loads(text))
        digests = {name: entry["sha256"] for name, entry in manifest.files.items()}
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(f"{source} is not an artefact: {MANIFEST} is missing; check the path") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ArtefactError(f"{path} is damaged (not a valid manifest); build the artefact again") from None
    if manifest.kind != kind:
        raise ArtefactError(f"{source} holds a {manifest.kind!r}, expected a {kind!r}; check the path")
    if manifest.format not in formats:
        raise ArtefactError(
            f"{source} has format {manifest.format}, this version reads {list(formats)}; build the artefact again"
        )
    if manifest.digest is not None and not _is_own_digest(text, manifest.digest):
        raise ArtefactError(f"{path} is damaged (it is not as its own digest says); build the artefact again")
    for name, digest in digests.items():
        if not _stays_inside(source, name):
            raise ArtefactError(f"{path} names {name!r}, which lies outside of the artefact; do not use it")
        file = source / name
        if not file.is_file():
            raise ArtefactError(f"{file} is missing; build the artefact again")
        if sha256_of(file) != digest:
            raise ArtefactError(f"{file} is damaged (SHA-256 differs from the manifest); build the artefact again")
    return manifest


def _stays_inside(source: Path, name: str) -> bool:
    """Is it a plain name below the artefact, with no link on the way that could lead out of it?"""
    steps = name.split("/")
    if "\x00" in name or "\\" in name or any(step in ("", ".", "..") or len(step) > 200 for step in steps):
        return False
    return not any(source.joinpath(*steps[: n + 1]).is_symlink() for n in range(len(steps)))


def reading(source: Path, read: Callable[[], T]) -> T:
    """`read()`, again if the artefact at `source` was replaced meanwhile: what comes back is of one version.

    Without this a reader may check the files of one version and then load those of the next. After a hundred versions
    that came faster than they could be read, ArtefactError.
    """
    for _ in range(ATTEMPTS):
        before = _version(source)
        try:
            found = read()
        except ArtefactError:
            if _version(source) == before:
                raise
        else:
            if _version(source) == before:
                return found
    raise ArtefactError(f"{source} was replaced {ATTEMPTS} times while it was read; load it when it is at rest")


def _version(source: Path) -> tuple[int, ...] | None:
    """What tells a directory from the one that takes its place."""
    try:
        status = source.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _is_own_digest(text: str, digest: object) -> bool:
    blank = text.replace(f'"digest": "{digest}"', f'"digest": "{BLANK}"')
    return hashlib.sha256(blank.encode()).hexdigest() == digest


def _rendered(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=2, sort_keys=True, default=str) + "\n"
