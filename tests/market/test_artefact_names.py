"""A manifest of unknown origin names files: none outside of its artefact is ever looked at."""

import json
from pathlib import Path

import pytest

from market.artefacts import MANIFEST, Manifest, open_artefact, sha256_of, writing
from market.errors import ArtefactError


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    found = tmp_path / "canary"
    found.write_text("of the machine")
    return found


def artefact(tmp_path: Path) -> Path:
    with writing(tmp_path / "artefact", "note", 1) as scratch:
        (scratch / "part").mkdir()
        (scratch / "part" / "note.txt").write_text("content")
    return tmp_path / "artefact"


def name_file(target: Path, name: str, digest: str) -> None:
    """The manifest lists one more file; its own digest fits."""
    content = json.loads((target / MANIFEST).read_text())
    files = {**content["files"], name: {"sha256": digest, "bytes": 14}}
    (target / MANIFEST).write_text(Manifest("note", 1, files=files).to_json())


@pytest.mark.parametrize(
    "name",
    [
        "../canary", "part/../../canary", "./../canary", "//canary", "", ".", "..", "part/", "..\\canary", "a\x00b",
        300 * "x",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_is_refused_though_its_digest_fits(tmp_path: Path, canary: Path, name: str):
    target = artefact(tmp_path)
    name_file(target, name, sha256_of(canary))
    with pytest.raises(ArtefactError, match="outside of the artefact"):
        open_artefact(target, "note", (1,))


def test_an_absolute_name_is_refused_though_its_digest_fits(tmp_path: Path, canary: Path):
    target = artefact(tmp_path)
    name_file(target, str(canary), sha256_of(canary))
    with pytest.raises(ArtefactError, match="outside of the artefact"):
        open_artefact(target, "note", (1,))


@pytest.mark.parametrize("name", ["%2e%2e/canary", "C:canary", "..canary"])
def test_a_strange_name_is_a_file_that_is_missing(tmp_path: Path, canary: Path, name: str):
    target = artefact(tmp_path)
    name_file(target, name, sha256_of(canary))
    with pytest.raises(ArtefactError, match="is missing"):
        open_artefact(target, "note", (1,))


def test_a_file_that_is_a_link_is_refused_though_its_digest_fits(tmp_path: Path, canary: Path):
    target = artefact(tmp_path)
    (target / "note.txt").symlink_to(canary)
    name_file(target, "note.txt", sha256_of(canary))
    with pytest.raises(ArtefactError, match="outside of the artefact"):
        open_artefact(target, "note", (1,))


def test_a_folder_that_is_a_link_is_refused_though_its_digests_fit(tmp_path: Path):
    target = artefact(tmp_path)
    (target / "part").rename(tmp_path / "elsewhere")
    (target / "part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtefactError, match="outside of the artefact"):
        open_artefact(target, "note", (1,))


def test_an_artefact_may_itself_be_reached_by_a_link(tmp_path: Path):
    (tmp_path / "current").symlink_to(artefact(tmp_path))
    assert open_artefact(tmp_path / "current", "note", (1,)).kind == "note"


def test_files_that_change_places_are_noticed(tmp_path: Path):
    with writing(tmp_path / "artefact", "note", 1) as scratch:
        (scratch / "a.json").write_text("1")
        (scratch / "b.json").write_text("2")
    first, second = tmp_path / "artefact" / "a.json", tmp_path / "artefact" / "b.json"
    content = first.read_text(), second.read_text()
    first.write_text(content[1])
    second.write_text(content[0])
    with pytest.raises(ArtefactError, match=r"a\.json is damaged"):
        open_artefact(tmp_path / "artefact", "note", (1,))
