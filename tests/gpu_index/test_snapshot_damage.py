"""No changed byte of a snapshot goes unnoticed: in the heads every one is changed, in the rest a thousand at random."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gpu_index import Index
from gpu_index.reference import ReferenceIndex
from gpu_index.shards import ShardedIndex
from market.artefacts import MANIFEST
from market.errors import ArtefactError

FIXTURES = Path(__file__).parent / "fixtures"
FILES = ["index.json", "terms.parquet", "vectors.safetensors", MANIFEST]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(1)
    index = ReferenceIndex(spaces={"organic": 6, "graph": 3})
    terms = [[f"job={i}", "geo=2", "title=größer = besser"] for i in range(60)]
    vectors = {"organic": rng.standard_normal((60, 6)), "graph": rng.standard_normal((60, 3))}
    index.upsert(np.arange(60), vectors=vectors, terms=terms)
    folder = tmp_path_factory.mktemp("damage") / "index"
    index.save(folder)
    return folder


@pytest.fixture
def saved(source, tmp_path):
    return Path(shutil.copytree(source, tmp_path / "index"))


def head_of(path):
    """The positions of the bytes that say how to read the others: all of JSON, the header or footer of the rest."""
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        return range(8 + int.from_bytes(content[:8], "little"))
    if path.suffix == ".parquet":
        return [*range(4), *range(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), len(content))]
    return range(len(content))


def unnoticed(folder, name, changes, load=ReferenceIndex.load):
    """The (position, bits flipped) after which the snapshot still loads."""
    path = folder / name
    original = path.read_bytes()
    found = []
    with path.open("r+b", buffering=0) as file:
        for position, bits in changes:
            file.seek(position)
            file.write(bytes([original[position] ^ bits]))
            try:
                load(folder)
                found.append((position, bits))
            except ArtefactError:
                pass
            file.seek(position)
            file.write(original[position : position + 1])
    assert path.read_bytes() == original
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_byte_of_a_head_is_checked(saved, name):
    rng = np.random.default_rng(3)
    changes = [
        (place, int(bits)) for place in head_of(saved / name) for bits in (1 << rng.integers(8), rng.integers(1, 256))
    ]
    assert len(changes) > 150
    assert unnoticed(saved, name, changes) == []


def test_every_bit_of_the_manifest_is_checked(saved):
    changes = [(place, 1 << bit) for place in head_of(saved / MANIFEST) for bit in range(8)]
    assert unnoticed(saved, MANIFEST, changes) == []


@pytest.mark.parametrize("name", ["format_1_float32", "format_1_bf16"])
def test_every_bit_of_a_manifest_from_before_manifests_had_a_digest_is_checked(tmp_path, name):
    folder = Path(shutil.copytree(FIXTURES / name, tmp_path / "index"))
    changes = [(place, 1 << bit) for place in head_of(folder / MANIFEST) for bit in range(8)]
    assert unnoticed(folder, MANIFEST, changes) == []


def test_a_thousand_random_bits_of_all_files_are_checked(saved):
    rng = np.random.default_rng(7)
    sizes = np.array([(saved / name).stat().st_size for name in FILES])
    chosen = rng.choice(len(FILES), 1000, p=sizes / sizes.sum())
    for number, name in enumerate(FILES):
        count = int((chosen == number).sum())
        assert count > 10
        changes = [(int(rng.integers(sizes[number])), 1 << int(rng.integers(8))) for _ in range(count)]
        assert unnoticed(saved, name, changes) == []


def test_the_engine_refuses_what_its_twin_refuses(saved):
    """The checks above load into the slow twin; the engine reads through the same door."""
    rng = np.random.default_rng(8)
    for name in FILES:
        size = (saved / name).stat().st_size
        assert unnoticed(saved, name, [(int(rng.integers(size)), 1 << b) for b in range(8)], Index.load) == []


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_longer_or_missing_file_is_noticed(saved, name):
    whole = (saved / name).read_bytes()
    ends = [0, 1, 4, 7, 8, 9, *np.random.default_rng(9).integers(0, len(whole), 20).tolist(), len(whole) - 1]
    for content in (*(whole[:end] for end in ends), whole + b"\0", whole + b"\n", whole + whole):
        (saved / name).write_bytes(content)
        with pytest.raises(ArtefactError):
            ReferenceIndex.load(saved)
    (saved / name).unlink()
    with pytest.raises(ArtefactError, match="missing"):
        ReferenceIndex.load(saved)
    (saved / name).mkdir()
    with pytest.raises(ArtefactError):
        ReferenceIndex.load(saved)


def test_a_file_too_many_is_noticed(saved):
    (saved / "vectors.safetensors.bak").write_bytes(b"")
    with pytest.raises(ArtefactError, match=r"vectors\.safetensors\.bak"):
        Index.load(saved)


def test_files_of_two_snapshots_do_not_mix(saved, tmp_path):
    other = ReferenceIndex(spaces={"organic": 6, "graph": 3})
    other.upsert([1], terms=[["a=1"]])
    other.save(tmp_path / "other")
    for name in FILES:
        original = (saved / name).read_bytes()
        (saved / name).write_bytes((tmp_path / "other" / name).read_bytes())
        with pytest.raises(ArtefactError):
            ReferenceIndex.load(saved)
        (saved / name).write_bytes(original)
    ReferenceIndex.load(saved)


@pytest.mark.parametrize("field", ["config", "seed", "inputs", "metrics", "files"])
def test_an_edited_manifest_is_refused(saved, field):
    manifest = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps(manifest | {field: {"x": 1}}, indent=2, sort_keys=True) + "\n")
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        ReferenceIndex.load(saved)


def test_damage_in_any_shard_is_noticed(tmp_path):
    index = ShardedIndex(spaces={"v": 2}, shards=2)
    index.upsert(np.arange(9), vectors={"v": np.ones((9, 2))}, terms=[["a=1"]] * 9)
    index.save(tmp_path / "index")
    names = [path.relative_to(tmp_path / "index") for path in sorted((tmp_path / "index").rglob("*")) if path.is_file()]
    assert len(names) == 10
    rng = np.random.default_rng(10)
    for name in names:
        size = (tmp_path / "index" / name).stat().st_size
        changes = [(int(rng.integers(size)), 1 << bit) for bit in range(8)]
        assert unnoticed(tmp_path / "index", name, changes, ShardedIndex.load) == []
