"""What erasing a person means for files: tables lose their rows, and models say how many people left since their fit.

A trained model holds no rows, but it was shaped by them. What can be done at once is to say so: `erasures.json` in the
folder of the artefacts counts the people erased since it was written, until a new fit replaces what it speaks of.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from market.artefacts import MANIFEST, digest_of, sha256_of
from market.clock import format_rfc3339

FLAG = "erasures.json"
PERSON = "seeker_id"


def remove_person(folder: Path, seeker_id: str) -> int:
    """Rewrite every Parquet table below `folder` without the rows of a person; returns how many rows went.

    Tables without a column seeker_id are left alone. So are those that a manifest vouches for: they are models.
    """
    removed = 0
    for path in sorted(folder.rglob("*.parquet")):
        if path.is_symlink() or (path.parent / MANIFEST).exists():
            continue
        with pq.ParquetFile(path) as table:
            if PERSON not in table.schema_arrow.names:
                continue
            groups = range(table.num_row_groups)
            found = sum(pc.sum(_theirs(table.read_row_group(g, [PERSON]), seeker_id)).as_py() or 0 for g in groups)
            if found:
                _rewrite(table, path, seeker_id)
                removed += found
    return removed


def flag(folder: Path, now: datetime) -> int:
    """Count one more person erased since the artefacts in `folder` were fitted; returns how many by now."""
    fitted = digest_of([sha256_of(path) for path in sorted(folder.glob(f"*/{MANIFEST}"))])
    erased = erased_since_fit(folder, fitted) + 1
    scratch = folder / f".{FLAG}.{os.getpid()}"
    content = {"artefacts": fitted, "erased_since_fit": erased, "last_at": format_rfc3339(now)}
    with scratch.open("w") as stream:
        stream.write(json.dumps(content) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(folder / FLAG)
    return erased


def erased_since_fit(folder: Path, fitted: str) -> int:
    try:
        content = json.loads((folder / FLAG).read_text())
        return int(content["erased_since_fit"]) if content["artefacts"] == fitted else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _theirs(table: pa.Table, seeker_id: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(table[PERSON].cast(pa.string()), seeker_id), False)


def _rewrite(table: pq.ParquetFile, path: Path, seeker_id: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(scratch, table.schema_arrow, compression="zstd") as writer:
            for group in range(table.num_row_groups):
                rows = table.read_row_group(group)
                writer.write_table(rows.filter(pc.invert(_theirs(rows, seeker_id))))
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
