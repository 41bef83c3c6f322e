"""An index on disk: an artefact directory that depends on the content of the index only, not on its history.

index.json            spaces, precision, number of rows
vectors.safetensors   ids int64[n] ascending; per space `rows.NAME` int64[m], the rows that have a vector there, and
                      `vectors.NAME` float32[m,dim], or uint16[m,dim] with the bits of bfloat16
terms.parquet         id int64, terms list<string>; one row per row, in the same order
manifest.json         kind, format, the SHA-256 of each file and of itself

Format 1 is the only one so far. Its first manifests had no digest of their own; such a one is good if it is to the byte
what would be written for it. Terms may be stored as strings or as a dictionary of them; both are format 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_index.bags import Bags, bags_of
from gpu_index.clause import checked_term
from gpu_index.inputs import PRECISIONS, ids_of, matrix, spaces_of
from gpu_index.scoring import bf16_bits, from_bf16_bits
from market.artefacts import MANIFEST, Manifest, open_artefact, reading, writing
from market.errors import ArtefactError, IndexInputError

KIND = "gpu-index"
FORMAT = 1


@dataclass(frozen=True)
class Contents:
    """Everything an index knows, rows in ascending order of id.

    ids      int64[n]
    vectors  per space (rows int64[m] ascending, float32[m,dim]); a row without a vector there is left out
    bags     the terms of the n rows
    """

    spaces: Mapping[str, int]
    precision: str
    ids: np.ndarray
    vectors: Mapping[str, tuple[np.ndarray, np.ndarray]]
    bags: Bags


def write(path: Path | str, contents: Contents) -> None:
    """Replace the artefact at `path`; readers see the old one or the new one."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    config = {"spaces": dict(contents.spaces), "precision": contents.precision, "rows": len(contents.ids)}
    tensors = {"ids": contents.ids}
    for space, (rows, vectors) in contents.vectors.items():
        tensors[f"rows.{space}"] = rows
        stored = bf16_bits(vectors) if contents.precision == "bf16" else vectors
        tensors[f"vectors.{space}"] = np.ascontiguousarray(stored)
    offsets = np.concatenate([[0], np.cumsum(contents.bags.counts)])
    names = pa.array(contents.bags.vocabulary, pa.string()).take(pa.array(contents.bags.codes))
    table = pa.table(
        {"id": pa.array(contents.ids), "terms": pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), names)}
    )
    with writing(Path(path), KIND, FORMAT, config=config) as folder:
        (folder / "index.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        save_file(tensors, folder / "vectors.safetensors")
        pq.write_table(table, folder / "terms.parquet")


def read(path: Path | str) -> Contents:
    """Read an artefact whole and check it; ArtefactError says what is damaged.

    Beside a writer that replaces it, the answer is the old version or the new one.
    """
    folder = Path(path)
    return reading(folder, lambda: _read(folder))


def _read(folder: Path) -> Contents:
    try:
        manifest = open_artefact(folder, KIND, (FORMAT,))
        _check_listing(folder, manifest)
        config = json.loads((folder / "index.json").read_text())
        if config != manifest.config:
            raise ArtefactError(f"{folder}: manifest.json and index.json disagree; build the artefact again")
        return _contents(folder, config)
    except ArtefactError:
        raise
    except (IndexInputError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise ArtefactError(f"{folder} is damaged ({error}); build the artefact again") from error


def _check_listing(folder: Path, manifest: Manifest) -> None:
    expected = {"index.json", "vectors.safetensors", "terms.parquet"}
    if set(manifest.files) != expected:
        raise ArtefactError(
            f"{folder} lists {sorted(manifest.files)}, expected {sorted(expected)}; build the artefact again"
        )
    strangers = {item.name for item in folder.iterdir()} - expected - {MANIFEST}
    if strangers:
        raise ArtefactError(f"{folder} holds {sorted(strangers)}, which no index writes; move them elsewhere")
    for name, entry in manifest.files.items():
        if set(entry) != {"sha256", "bytes"} or entry["bytes"] != (folder / name).stat().st_size:
            raise ArtefactError(f"{folder / name} is not as the manifest says; build the artefact again")
    if manifest.digest is None and (folder / MANIFEST).read_bytes() != manifest.undigested().encode():
        raise ArtefactError(f"{folder / MANIFEST} is damaged (not as it was written); build the artefact again")


def _contents(folder: Path, config: Mapping[str, Any]) -> Contents:
    import pyarrow.parquet as pq
    from safetensors.numpy import load_file

    spaces, precision = spaces_of(config["spaces"]), config["precision"]
    if precision not in PRECISIONS:
        raise ArtefactError(f"{folder} has precision {precision!r}, expected one of {PRECISIONS}")
    tensors = load_file(folder / "vectors.safetensors")
    if len(tensors) != 1 + 2 * len(spaces):
        raise ArtefactError(f"{folder} has vectors of spaces it does not name; build the artefact again")
    ids = ids_of(tensors["ids"])
    vectors = {}
    for space, dim in spaces.items():
        rows, stored = tensors[f"rows.{space}"], tensors[f"vectors.{space}"]
        _check_rows(rows, len(ids), space)
        if stored.dtype != (np.uint16 if precision == "bf16" else np.float32):
            raise ArtefactError(f"{folder}: vectors.{space} holds {stored.dtype} in a {precision} index")
        vectors[space] = rows, _values(stored, precision, f"vectors.{space}", dim, len(rows))
    table = pq.read_table(folder / "terms.parquet", read_dictionary=["terms.list.element"])
    if len(ids) != config["rows"] or not np.array_equal(np.asarray(table["id"]), ids):
        raise ArtefactError(f"{folder}: vectors and terms are of different rows; build the artefact again")
    return Contents(spaces, precision, ids, vectors, _bags(table["terms"], len(ids)))


def _values(stored: np.ndarray, precision: str, name: str, dim: int, rows: int) -> np.ndarray:
    if precision == "float32":
        return matrix(stored, name, dim, rows)
    values = from_bf16_bits(stored)
    matrix(values * np.float32(1 - 2.0**-8), name, dim, rows)  # rounding may have made the longest that much longer
    return values


def _check_rows(rows: np.ndarray, count: int, space: str) -> None:
    inside = rows.dtype == np.int64 and rows.ndim == 1
    if not inside or (len(rows) and (rows[0] < 0 or rows[-1] >= count)) or (np.diff(rows) <= 0).any():
        raise ArtefactError(f"rows.{space} is not an ascending list of rows below {count}; build the artefact again")


def _bags(column: Any, rows: int) -> Bags:
    """The bags of a stored column in linear time: terms ascend within a row as written, so none is there twice."""
    import pyarrow as pa

    column = column.combine_chunks() if column.num_chunks else pa.array([], column.type)
    stored = pa.array([]) if isinstance(column, pa.ChunkedArray) else column.flatten()
    if not isinstance(stored, pa.DictionaryArray) or column.null_count or stored.null_count:
        return bags_of(column, rows)
    names = [checked_term(term, "terms") for term in stored.dictionary.to_pylist()]
    order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    codes = rank[np.asarray(stored.indices)]
    counts = np.diff(np.asarray(column.offsets)).astype(np.int64)
    ascends = np.ones(len(codes), bool)
    ascends[1:] = codes[1:] > codes[:-1]
    ascends[(np.cumsum(counts) - counts)[counts > 0]] = True  # the first term of each row
    if not ascends.all() or len(set(names)) != len(names):
        return bags_of(column, rows)
    return Bags([names[i] for i in order.tolist()], counts, codes)
