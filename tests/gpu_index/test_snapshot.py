"""An index on disk: what was saved is what is loaded, and contents that can not be are refused.

Damage is in test_snapshot_damage.py, kills in test_snapshot_kill.py, old formats in test_snapshot_formats.py.
"""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from gpu_index import Clause, Index
from gpu_index.reference import ReferenceIndex
from market.artefacts import MANIFEST, digest_of_tree, writing
from market.errors import ArtefactError


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


def forged(folder, target, config=None, tensors=None, terms=None):
    """A copy with other contents under right digests."""
    config = config or json.loads((folder / "index.json").read_text())
    with writing(target, "gpu-index", 1, config=config) as scratch:
        (scratch / "index.json").write_text(json.dumps(config))
        save_file(tensors or load_file(folder / "vectors.safetensors"), scratch / "vectors.safetensors")
        pq.write_table(pq.read_table(folder / "terms.parquet") if terms is None else terms, scratch / "terms.parquet")
    return target


@pytest.mark.parametrize(
    "change", [{"rows": 3}, {"precision": "int3"}, {"spaces": {"organic": 7, "graph": 3}}, {"spaces": {"organic": 6}}]
)
def test_right_digests_and_a_wrong_config_are_refused(saved, tmp_path, change):
    config = json.loads((saved / "index.json").read_text()) | change
    with pytest.raises(ArtefactError):
        Index.load(forged(saved, tmp_path / "forged", config=config))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ids", lambda ids: ids[::-1].copy()),
        ("ids", lambda ids: np.where(ids == ids[3], ids[2], ids)),
        ("ids", lambda ids: -ids - 1),
        ("rows.graph", lambda rows: rows[::-1].copy()),
        ("rows.graph", lambda rows: rows + 100),
        ("rows.graph", lambda rows: rows - 5),
        ("rows.graph", lambda rows: np.zeros_like(rows)),
        ("rows.graph", lambda rows: rows.astype(np.float64)),
        ("rows.graph", lambda rows: rows[:-1].copy()),
        ("vectors.graph", lambda values: values * np.float32(np.nan)),
        ("vectors.graph", lambda values: values[:, :2].copy()),
        ("vectors.graph", lambda values: values.astype(np.float64)),
        ("vectors.graph", lambda values: values.view(np.uint32)),
        ("vectors.other", lambda _: np.zeros((1, 1), np.float32)),
    ],
)
def test_right_digests_and_wrong_vectors_are_refused(saved, tmp_path, name, change):
    tensors = load_file(saved / "vectors.safetensors")
    tensors[name] = change(tensors.get(name))
    with pytest.raises(ArtefactError):
        Index.load(forged(saved, tmp_path / "forged", tensors=tensors))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: table.slice(0, 0),
        lambda table: table.rename_columns(["id", "words"]),
        lambda table: table.set_column(1, "terms", pa.array([["geo"]] * len(table))),
        lambda table: table.set_column(1, "terms", pa.array([["a=1", None]] * len(table))),
        lambda table: table.set_column(1, "terms", pa.array([[3]] * len(table))),
    ],
)
def test_right_digests_and_wrong_terms_are_refused(saved, tmp_path, change):
    with pytest.raises(ArtefactError):
        Index.load(forged(saved, tmp_path / "forged", terms=change(pq.read_table(saved / "terms.parquet"))))


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_terms_in_another_order_or_twice_in_a_row_are_read_as_the_bag_they_are(saved, tmp_path, as_dictionary):
    table = pq.read_table(saved / "terms.parquet")
    rows = [[*reversed(row), *row[:1]] for row in table["terms"].to_pylist()]
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()) if as_dictionary else pa.string())
    again = Index.load(
        forged(
            saved,
            tmp_path / "forged",
            terms=table.set_column(1, "terms", pa.array(rows, pa.list_(pa.string())).cast(kind)),
        )
    )
    assert answers(again) == answers(Index.load(saved))


def test_terms_in_several_row_groups_with_dictionaries_of_their_own_are_read_whole(saved, tmp_path):
    table = pq.read_table(saved / "terms.parquet")
    target = forged(saved, tmp_path / "forged")
    with writing(target, "gpu-index", 1, config=json.loads((saved / "index.json").read_text())) as scratch:
        for name in ("index.json", "vectors.safetensors"):
            shutil.copy(saved / name, scratch / name)
        pq.write_table(table, scratch / "terms.parquet", row_group_size=4)
    assert answers(Index.load(target)) == answers(Index.load(saved))


def test_files_of_a_snapshot_may_be_read_by_whoever_may_read_its_manifest(saved):
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1
