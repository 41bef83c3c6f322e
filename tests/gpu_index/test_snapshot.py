"""An index on disk: what was saved is what is loaded, and no changed byte goes unnoticed."""

import json
import shutil

import numpy as np
import pytest

from gpu_index import Clause, Index
from gpu_index.reference import ReferenceIndex
from market.artefacts import MANIFEST, digest_of_tree, writing
from market.errors import ArtefactError

FILES = ["index.json", "terms.parquet", "vectors.safetensors", MANIFEST]


def filled(build=Index, precision="float32"):
    rng = np.random.default_rng(1)
    index = build(spaces={"organic": 6, "graph": 3}, precision=precision)
    index.upsert(np.arange(0, 40, 2), vectors={"organic": rng.standard_normal((20, 6))}, terms=[["geo=1"]] * 20)
    index.upsert(
        np.arange(10),
        vectors={"graph": rng.standard_normal((10, 3)), "organic": rng.standard_normal((10, 6))},
        terms=[[f"job={i}", "geo=2", "title=größer = besser"] for i in range(10)],
    )
    index.upsert([77])
    index.delete([4, 20])
    return index


def answers(index):
    """Everything a caller can see, as bytes and numbers."""
    queries = np.random.default_rng(2).standard_normal((4, 6)).astype(np.float32)
    hits = [index.search(queries[:, : index.spaces[space]], space=space, k=30) for space in sorted(index.spaces)]
    counts = [index.count(Clause([[term]])) for term in ("geo=1", "geo=2", "job=3", "job=4")]
    terms = [index.terms_of(row_id) for row_id in range(100) if row_id in index]
    return [hit.ids.tobytes() + hit.scores.tobytes() for hit in hits], counts, terms, len(index), index.precision


@pytest.fixture
def saved(tmp_path):
    filled().save(tmp_path / "index")
    return tmp_path / "index"


def assert_no_flip_goes_unnoticed(folder, name, positions):
    """Flip one bit at each position: loading either fails, or (white space of JSON) nothing at all has changed."""
    path, expected = folder / name, answers(Index.load(folder))
    original = path.read_bytes()
    for position, bit in positions:
        damaged = bytearray(original)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            index = Index.load(folder)
        except ArtefactError:
            continue
        assert name == MANIFEST, f"bit {bit} of byte {position} of {name} went unnoticed"
        assert answers(index) == expected, f"bit {bit} of byte {position} of {name} changed the answers"
    path.write_bytes(original)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_loaded_index_answers_as_the_saved_one(tmp_path, precision):
    index = filled(precision=precision)
    index.save(tmp_path / "index")
    assert answers(Index.load(tmp_path / "index")) == answers(index)


def test_loaded_index_takes_writes(saved):
    index = Index.load(saved)
    index.upsert([4], vectors={"graph": [[1, 2, 3]]}, terms=[["geo=2"]])
    index.delete([0])
    assert index.count(Clause([["geo=2"]])) == 9
    assert 4 in index.search(np.ones((1, 3), np.float32), space="graph", k=30).ids


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_equal_contents_give_equal_bytes_whatever_their_history(tmp_path, precision):
    filled(precision=precision).save(tmp_path / "one")
    Index.load(tmp_path / "one").save(tmp_path / "two")
    filled(ReferenceIndex, precision).save(tmp_path / "three")
    assert len({digest_of_tree(tmp_path / name) for name in ("one", "two", "three")}) == 1


def test_empty_index_survives(tmp_path):
    Index(spaces={"v": 3}, precision="bf16").save(tmp_path / "index")
    index = Index.load(tmp_path / "index")
    assert (len(index), index.spaces, index.precision) == (0, {"v": 3}, "bf16")


def test_saving_again_replaces_the_old_artefact(saved):
    Index(spaces={"v": 1}).save(saved)
    assert Index.load(saved).spaces == {"v": 1}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_the_head_or_tail_of_any_file_is_detected(saved, name):
    size = (saved / name).stat().st_size
    places = sorted({*range(min(size, 48)), *range(max(0, size - 24), size)})
    assert_no_flip_goes_unnoticed(saved, name, [(place, place % 8) for place in places])


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_detected(saved, name):
    rng = np.random.default_rng(7)
    size = (saved / name).stat().st_size
    assert_no_flip_goes_unnoticed(saved, name, [(int(rng.integers(size)), int(rng.integers(8))) for _ in range(120)])


def test_every_bit_of_the_manifest_is_detected_or_does_not_matter(saved):
    size = (saved / MANIFEST).stat().st_size
    assert_no_flip_goes_unnoticed(saved, MANIFEST, [(place, bit) for place in range(size) for bit in (0, 1, 5)])


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_missing_file_is_detected(saved, name):
    whole = (saved / name).read_bytes()
    for size in (0, 1, 8, len(whole) // 2, len(whole) - 2):
        (saved / name).write_bytes(whole[:size])
        with pytest.raises(ArtefactError):
            Index.load(saved)
    (saved / name).unlink()
    with pytest.raises(ArtefactError, match="missing"):
        Index.load(saved)


def test_an_artefact_of_another_kind_is_refused(tmp_path):
    with writing(tmp_path / "model", "hire-model", 1) as folder:
        (folder / "index.json").write_text("{}")
    with pytest.raises(ArtefactError, match="holds a 'hire-model', expected a 'gpu-index'"):
        Index.load(tmp_path / "model")


def test_a_future_format_is_refused(saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(ArtefactError, match=r"format 2, this version reads \[1\]"):
        Index.load(saved)


def test_an_artefact_with_right_digests_and_wrong_contents_is_refused(saved, tmp_path):
    config = json.loads((saved / "index.json").read_text())
    for change in ({"rows": 3}, {"precision": "int3"}, {"spaces": {"organic": 7, "graph": 3}}, {"spaces": {"x": 6}}):
        wrong = {**config, **change}
        with writing(tmp_path / "wrong", "gpu-index", 1, config=wrong) as folder:
            for name in ("terms.parquet", "vectors.safetensors"):
                shutil.copy(saved / name, folder / name)
            (folder / "index.json").write_text(json.dumps(wrong))
        with pytest.raises(ArtefactError):
            Index.load(tmp_path / "wrong")
