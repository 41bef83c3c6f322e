"""A planted id is found in every spelling and package, and nothing is found where nothing was planted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targeting.canary import files_below, search_file

WHO = "canary-4711-person"
BLOCK = 1 << 20


def found(path: Path) -> set[tuple[str, str]]:
    return {(hit.inside, hit.spelling) for hit in search_file(path, WHO)}


@pytest.mark.parametrize(
    ("content", "spelling"),
    [
        (f"seeker {WHO}.".encode(), "utf-8"),
        (WHO.encode("utf-16-le"), "utf-16"),
        (WHO.encode("utf-16-be"), "utf-16"),
        (WHO.encode("utf-32-le"), "utf-32"),
        (WHO.encode().hex().encode(), "hex"),
        (WHO.encode().hex().upper().encode(), "hex"),
        ("".join(f"\\u{ord(c):04x}" for c in WHO).encode(), "json escapes"),
        (hashlib.sha256(WHO.encode()).digest(), "sha256"),
        (hashlib.sha256(WHO.encode()).hexdigest().encode(), "sha256"),
        (hashlib.md5(WHO.encode()).hexdigest().encode(), "md5"),
        (base64.urlsafe_b64encode(json.dumps({"a": WHO}).encode()), "base64"),
    ],
)
def test_every_spelling_is_found(tmp_path: Path, content: bytes, spelling: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00 before " + content + b" after")
    assert found(path) == {("", spelling)}


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_base64_of_anything_around_the_id_shows_it(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "token"
    path.write_bytes(base64.b64encode(before + WHO.encode() + after))
    assert ("", "base64") in found(path)


def test_packed_files_are_unpacked(tmp_path: Path) -> None:
    table = pa.table({"seeker_id": [WHO, "s2"], "n": [1, 2], "tags": [[WHO], []]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"x" * 100 + WHO.encode()))
    with pa.output_stream(str(tmp_path / "c.zst"), compression="zstd") as stream:
        stream.write(b"y" * 100 + WHO.encode())
    np.savez_compressed(tmp_path / "d.npz", ids=np.array([WHO, "s2"]))
    assert ("parquet", "utf-8") in found(tmp_path / "a.parquet")
    assert ("gzip", "utf-8") in found(tmp_path / "b.gz")
    assert ("zstd", "utf-8") in found(tmp_path / "c.zst")
    assert found(tmp_path / "d.npz") == {("zip:ids.npy", "utf-32")}
    assert all(not search_file(path, "somebody-else") for path in files_below([tmp_path]))


@pytest.mark.parametrize("at", [0, BLOCK - len(WHO), BLOCK - 9, BLOCK - 1, BLOCK, 2 * BLOCK - 3])
def test_an_id_that_lies_across_two_blocks_is_found_once(tmp_path: Path, at: int) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"." * at + WHO.encode() + b"." * BLOCK)
    [hit] = search_file(path, WHO)
    assert (hit.spelling, hit.count) == ("utf-8", 1)


def test_a_file_that_only_looks_packed_is_searched_as_it_is(tmp_path: Path) -> None:
    for name, start in (("a", b"\x1f\x8b"), ("b", b"\x28\xb5\x2f\xfd"), ("c", b"PK\x03\x04"), ("d", b"PAR1")):
        (tmp_path / name).write_bytes(start + b"not really " + WHO.encode())
        assert found(tmp_path / name) == {("", "utf-8")}


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(WHO)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    assert files_below([inside]) == []
    assert files_below([inside, outside, tmp_path]) == [outside]
