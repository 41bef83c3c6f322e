"""Which set of artefacts a folder holds, in a dozen letters, without reading the artefacts themselves.

    version = SHA-256 over (name, bytes) of every manifest and every loose file of the folder, first 12 hex digits

A manifest holds the digest of each of its files, and whoever loads an artefact checks them, so equal versions are equal
models. Vacancies do not count: they are read once, into an empty store.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from market.artefacts import MANIFEST

LETTERS = 12
NOT_MODELS = ("jobs",)


def version_of(folder: Path) -> str:
    """12 hex digits; "none" for a folder that is missing or holds nothing."""
    digest, found = hashlib.sha256(), 0
    for path in sorted((*folder.glob(f"*/{MANIFEST}"), *folder.glob("*"))):
        if path.parent.name in NOT_MODELS and path.parent != folder:
            continue
        try:
            content = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue  # a directory, or swapped away at this moment: the next look finds what took its place
        name = str(path.relative_to(folder)).encode()
        digest.update(len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + content)
        found += 1
    return digest.hexdigest()[:LETTERS] if found else "none"
