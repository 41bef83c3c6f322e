"""An index on disk: an artefact directory that depends on the content of the index only, not on its history.

index.json            spaces, precision, number of rows
vectors.safetensors   ids int64[n] ascending; per space `rows.NAME` int64[m], the rows that have a vector there, and
                      `vectors.NAME` float32[m,dim], or uint16[m,dim] with the bits of bfloat16
terms.parquet         id int64, terms list<string>; one row per row, in the same order
manifest.json         kind, format and the SHA-256 of each file
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_index.bags import Bags, bags_of
from gpu_index.inputs import PRECISIONS, ids_of, matrix, spaces_of
from gpu_index.scoring import bf16_bits, from_bf16_bits
from market.artefacts import open_artefact, writing
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
    """Read an artefact whole and check it; ArtefactError says what is damaged."""
    folder = Path(path)
    try:
        manifest = open_artefact(folder, KIND, (FORMAT,))
        _check_listing(folder, manifest.files)
        # The manifest itself has no digest: what counts is index.json, and the two must agree.
        config = json.loads((folder / "index.json").read_text())
        if config != manifest.config:
            raise ArtefactError(f"{folder}: manifest.json and index.json disagree; build the artefact again")
        return _contents(folder, config)
    except ArtefactError:
        raise
    except (IndexInputError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise ArtefactError(f"{folder} is damaged ({error}); build the artefact again") from error


def _check_listing(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    expected = {"index.json", "vectors.safetensors", "terms.parquet"}
    if set(files) != expected:
        raise ArtefactError(f"{folder} lists {sorted(files)}, expected {sorted(expected)}; build the artefact again")
    for name, entry in files.items():
        if set(entry) != {"sha256", "bytes"} or entry["bytes"] != (folder / name).stat().st_size:
            raise ArtefactError(f"{folder / name} is not as the manifest says; build the artefact again")


def _contents(folder: Path, config: Mapping[str, Any]) -> Contents:
    import pyarrow.parquet as pq
    from safetensors.numpy import load_file

    spaces, precision = spaces_of(config["spaces"]), config["precision"]
    if precision not in PRECISIONS:
        raise ArtefactError(f"{folder} has precision {precision!r}, expected one of {PRECISIONS}")
    tensors = load_file(folder / "vectors.safetensors")
    ids = ids_of(tensors["ids"])
    vectors = {}
    for space, dim in spaces.items():
        rows, stored = tensors[f"rows.{space}"], tensors[f"vectors.{space}"]
        values = from_bf16_bits(stored) if precision == "bf16" else stored
        vectors[space] = rows, matrix(values, f"vectors.{space}", dim, len(rows))
    table = pq.read_table(folder / "terms.parquet")
    if len(ids) != config["rows"] or not np.array_equal(np.asarray(table["id"]), ids):
        raise ArtefactError(f"{folder}: vectors and terms are of different rows; build the artefact again")
    return Contents(spaces, precision, ids, vectors, bags_of(table["terms"], len(ids)))
