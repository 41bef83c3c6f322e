"""Artefact directories: all of the old or all of the new, and nothing damaged is ever read."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from market.artefacts import MANIFEST, digest_of, digest_of_tree, open_artefact, sha256_of, writing
from market.errors import ArtefactError

ROOT = Path(__file__).parents[2]


def write(target, text="content", **about):
    with writing(target, "note", 1, **about) as scratch:
        (scratch / "note.txt").write_text(text)
        (scratch / "part").mkdir()
        (scratch / "part" / "more.bin").write_bytes(b"\x00\x01")
    return target


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_artefact_says_what_it_is_and_what_is_in_it(tmp_path):
    target = write(tmp_path / "deep" / "artefact", config={"width": 8}, seed=3, inputs={"logs": "ab"}, metrics={"n": 1})
    manifest = open_artefact(target, "note", (1,))
    assert (manifest.kind, manifest.format, manifest.config, manifest.seed) == ("note", 1, {"width": 8}, 3)
    assert (manifest.inputs, manifest.metrics) == ({"logs": "ab"}, {"n": 1})
    assert manifest.files == {
        "note.txt": {"sha256": hashlib.sha256(b"content").hexdigest(), "bytes": 7},
        "part/more.bin": {"sha256": hashlib.sha256(b"\x00\x01").hexdigest(), "bytes": 2},
    }
    assert names(target.parent) == ["artefact"]


def test_metrics_found_while_writing_are_in_the_manifest(tmp_path):
    metrics = {}
    with writing(tmp_path / "artefact", "note", 1, metrics=metrics):
        metrics["loss"] = 0.5
    assert open_artefact(tmp_path / "artefact", "note", (1,)).metrics == {"loss": 0.5}


@pytest.mark.parametrize("name", ["note.txt", "part/more.bin"])
@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(file.read_bytes() + b"x"), Path.unlink])
def test_a_damaged_or_missing_file_is_named(tmp_path, name, damage):
    target = write(tmp_path / "artefact")
    damage(target / name)
    with pytest.raises(ArtefactError, match=f"{name} is (damaged|missing)"):
        open_artefact(target, "note", (1,))


def test_one_flipped_bit_is_noticed(tmp_path):
    target = write(tmp_path / "artefact", "content" * 1000)
    content = bytearray((target / "note.txt").read_bytes())
    content[3456] ^= 1
    (target / "note.txt").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"note\.txt is damaged"):
        open_artefact(target, "note", (1,))


def test_another_kind_or_format_is_refused_with_both_names(tmp_path):
    target = write(tmp_path / "artefact")
    with pytest.raises(ArtefactError, match="holds a 'note', expected a 'poem'"):
        open_artefact(target, "poem", (1,))
    with pytest.raises(ArtefactError, match=r"has format 1, this version reads \[2, 3\]"):
        open_artefact(target, "note", (2, 3))


def test_a_path_that_holds_no_artefact_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(ArtefactError, match=f"{path.name} is not an artefact"):
            open_artefact(path, "note", (1,))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"kind": "note"}', '{"kind": "note", "format": 1, "surprise": 1}', "\xff"]
)
def test_a_damaged_manifest_is_refused(tmp_path, content):
    target = write(tmp_path / "artefact")
    (target / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        open_artefact(target, "note", (1,))


@pytest.mark.parametrize("files", [[], {"note.txt": {}}, {"note.txt": None}])
def test_a_manifest_whose_file_list_is_no_list_of_digests_is_refused(tmp_path, files):
    target = write(tmp_path / "artefact")
    (target / MANIFEST).write_text(json.dumps({"kind": "note", "format": 1, "files": files}))
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        open_artefact(target, "note", (1,))


def test_an_artefact_replaces_the_old_one_whole(tmp_path):
    target = write(tmp_path / "artefact")
    with writing(target, "note", 2) as scratch:
        (scratch / "other.txt").write_text("new")
    assert names(target) == [MANIFEST, "other.txt"]
    assert open_artefact(target, "note", (2,)).files.keys() == {"other.txt"}
    assert names(tmp_path) == ["artefact"]


def test_the_old_artefact_can_be_read_while_the_new_one_is_written(tmp_path):
    target = write(tmp_path / "artefact", "old")
    with writing(target, "note", 1) as scratch:
        (scratch / "note.txt").write_text("new")
        open_artefact(target, "note", (1,))
        assert (target / "note.txt").read_text() == "old"
    assert (target / "note.txt").read_text() == "new"


def fail_halfway(target):
    with writing(target, "note", 1) as scratch:
        (scratch / "note.txt").write_text("half")
        raise RuntimeError("no power")


def test_an_exception_leaves_the_old_artefact_and_nothing_else(tmp_path):
    target = write(tmp_path / "artefact", "old")
    with pytest.raises(RuntimeError, match="no power"):
        fail_halfway(target)
    assert names(tmp_path) == ["artefact"]
    open_artefact(target, "note", (1,))
    assert (target / "note.txt").read_text() == "old"


def test_an_exception_on_the_first_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="no power"):
        fail_halfway(tmp_path / "artefact")
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from market.artefacts import writing
with writing(Path(sys.argv[1]), "note", 1) as scratch:
    (scratch / "note.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_artefact_and_the_next_one_replaces_it(tmp_path):
    target = write(tmp_path / "artefact", "old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    open_artefact(target, "note", (1,))
    assert (target / "note.txt").read_text() == "old"
    write(target, "new")
    open_artefact(target, "note", (1,))
    assert (target / "note.txt").read_text() == "new"


def test_a_scratch_directory_left_by_a_process_of_the_same_number_is_no_part_of_the_artefact(tmp_path):
    left = tmp_path / f".artefact.{os.getpid()}.writing"
    left.mkdir()
    (left / "stale.txt").write_text("stale")
    target = write(tmp_path / "artefact")
    assert names(target) == [MANIFEST, "note.txt", "part"]
    assert names(tmp_path) == ["artefact"]


def test_a_folder_that_is_no_artefact_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtefactError, match="exists and is not an artefact"):
        write(tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtefactError, match="exists and is not an artefact"):
        write(tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "artefact").mkdir()
    open_artefact(write(tmp_path / "artefact"), "note", (1,))


def test_the_same_content_gives_the_same_bytes_and_another_one_others(tmp_path):
    first, again = write(tmp_path / "a", config={"b": 1, "a": 2}), write(tmp_path / "b", config={"a": 2, "b": 1})
    other = write(tmp_path / "c", "other", config={"a": 2, "b": 1})
    assert digest_of_tree(first) == digest_of_tree(again) != digest_of_tree(other)


def test_a_tree_digest_speaks_of_names_too(tmp_path):
    for folder, name in (("a", "x"), ("b", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("same")
    assert digest_of_tree(tmp_path / "a") != digest_of_tree(tmp_path / "b")


def test_a_digest_is_sha256_and_blocks_do_not_matter(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "big").write_bytes(content)
    assert sha256_of(tmp_path / "big") == hashlib.sha256(content).hexdigest()


def test_a_digest_of_parts_sees_the_order_of_parts_but_not_of_keys():
    assert digest_of({"a": 1, "b": 2}, "x") == digest_of({"b": 2, "a": 1}, "x")
    assert digest_of("x", "y") != digest_of("y", "x")
    assert digest_of("xy") != digest_of("x", "y")
