"""Shards: rows find their home by id, and the merge of the parts is the answer of the whole.

The contract suite (tests/contracts) runs on shards too; here is what only they have.
"""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpu_index import Clause, Hits, Index
from gpu_index.shards import ShardedIndex, merged, shard_of
from market.artefacts import digest_of_tree, writing
from market.errors import ArtefactError, IndexInputError


def hits(*rows):
    """Rows of (id, score) pairs."""
    return Hits(
        np.array([[row_id for row_id, _ in row] for row in rows], np.int64),
        np.array([[score for _, score in row] for row in rows], np.float32),
    )


NOTHING = (-1, -np.inf)


def test_the_merge_takes_the_best_and_breaks_ties_by_id_across_parts():
    parts = [hits([(5, 2), (9, 1), NOTHING]), hits([(4, 2), (7, 2), (1, 1)]), hits([NOTHING] * 3)]
    whole = merged(parts, 3)
    assert whole.ids.tolist() == [[4, 5, 7]]
    assert whole.scores.tolist() == [[2, 2, 2]]
    assert (whole.ids.dtype, whole.scores.dtype) == (np.int64, np.float32)


def test_padding_goes_behind_every_row_whatever_its_score():
    lowest = float(np.finfo(np.float32).min)
    whole = merged([hits([(8, lowest), NOTHING]), hits([NOTHING, NOTHING])], 2)
    assert whole.ids.tolist() == [[8, -1]]
    assert whole.scores.tolist() == [[lowest, -np.inf]]


@given(
    scores=arrays(np.int8, st.integers(0, 40), elements=st.integers(-2, 2)),
    parts=st.integers(1, 5),
    k=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_the_merge_of_parts_is_the_order_of_the_whole(scores, parts, k, seed):
    ids = np.random.default_rng(seed).permutation(1000)[: len(scores)]
    home = np.random.default_rng(seed + 1).integers(0, parts, len(scores))

    def best(rows):
        pairs = sorted((-float(scores[row]), int(ids[row])) for row in rows)[:k]
        return [(row_id, -negated) for negated, row_id in pairs] + [NOTHING] * (k - len(pairs))

    whole = merged([hits(best(np.flatnonzero(home == part))) for part in range(parts)], k)
    expected = hits(best(range(len(scores))))
    assert whole.ids.tolist() == expected.ids.tolist()
    assert whole.scores.tolist() == expected.scores.tolist()


def splitmix64(value):
    """The published generator in Python integers."""
    mask = 2**64 - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return value ^ (value >> 31)


def test_the_home_of_an_id_is_as_written_down():
    """splitmix64 of 0 is 0xE220A8397B1DCDAF; a snapshot depends on this for ever."""
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    ids = np.array([0, 1, 2, 63, 10**12, 2**63 - 1])
    for shards in (1, 2, 3, 7, 1000):
        assert shard_of(ids, shards).tolist() == [splitmix64(row_id) % shards for row_id in ids.tolist()]


@pytest.mark.parametrize("step", [1, 2, 3, 64, 1000])
def test_regular_ids_spread_evenly(step):
    """30,000 ids in 3 shards: 10,000 each, give or take five standard deviations of a fair draw (82)."""
    counts = np.bincount(shard_of(np.arange(30_000) * step, 3), minlength=3)
    assert abs(counts - 10_000).max() < 5 * np.sqrt(30_000 * (1 / 3) * (2 / 3))


def filled(build, **settings):
    index = build(spaces={"v": 4, "w": 1}, **settings)
    rng = np.random.default_rng(1)
    vectors = {"v": rng.integers(-2, 3, (300, 4)).astype(np.float32)}
    index.upsert(rng.permutation(900)[:300], vectors=vectors, terms=[[f"a={i % 3}", f"b={i % 50}"] for i in range(300)])
    index.upsert([901], vectors={"w": [[1]]})
    return index


@pytest.mark.parametrize("shards", [1, 2, 5, 64])
@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_shards_gives_the_bits_of_one_index(shards, threads):
    one, many = filled(Index), filled(ShardedIndex, shards=shards, threads=threads)
    queries = np.random.default_rng(2).integers(-2, 3, (20, 4)).astype(np.float32)
    where = [None, Clause([["a=1"]]), Clause([["b=7", "b=8"]], ["a=2"]), Clause([["a=9"]])] * 5
    boosts = [None, {"b=3": 0.5}, {"a=0": -1.0, "a=1": 2.0}, None] * 5
    for k in (1, 10, 400):
        mine, theirs = (index.search(queries, "v", k, where, boosts) for index in (many, one))
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert mine.scores.tobytes() == theirs.scores.tobytes()
    assert len(many) == len(one) == 301
    assert [many.count(clause) for clause in where] == [one.count(clause) for clause in where]


def test_a_refused_write_touches_no_shard():
    index = filled(ShardedIndex, shards=4)
    before = index.count(Clause([["a=1"]]))
    with pytest.raises(IndexInputError):
        index.upsert(np.arange(50), vectors={"v": np.zeros((50, 4))}, terms=[["a=9"]] * 49 + [["broken"]])
    vectors = np.zeros((50, 4))
    vectors[49] = np.nan
    with pytest.raises(IndexInputError):
        index.upsert(np.arange(50), vectors={"v": vectors}, terms=[["a=9"]] * 50)
    with pytest.raises(IndexInputError):
        index.delete([*range(50), 3])
    assert (len(index), index.count(Clause([["a=1"]])), index.count(Clause([["a=9"]]))) == (301, before, 0)


def test_a_row_written_again_stays_one_row():
    index = ShardedIndex(spaces={"v": 1}, shards=5)
    for version in range(3):
        index.upsert(np.arange(40), vectors={"v": np.full((40, 1), version)}, terms=[[f"v={version}"]] * 40)
    assert len(index) == index.count(Clause([["v=2"]])) == 40
    found = index.search(np.ones((1, 1), np.float32), "v", 50)
    assert found.ids[0].tolist() == [*range(40), *[-1] * 10]


@pytest.mark.parametrize("row_id", [-1, 2**63, 2**80, "x", None, 1.0])
def test_what_can_not_be_an_id_is_in_no_shard(row_id):
    index = filled(ShardedIndex, shards=3)
    assert row_id not in index
    with pytest.raises(IndexInputError, match="is not in the index"):
        index.terms_of(row_id)


@pytest.mark.parametrize(
    "setting", [{"shards": 0}, {"shards": 1001}, {"shards": 1.5}, {"threads": 0}, {"threads": True}]
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(IndexInputError, match=next(iter(setting))):
        ShardedIndex(spaces={"v": 1}, **setting)


# --- snapshots -------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    filled(ShardedIndex, shards=3).save(tmp_path / "index")
    return tmp_path / "index"


def test_a_loaded_index_has_its_shards_and_gives_equal_bytes(saved, tmp_path):
    again = ShardedIndex.load(saved, threads=2)
    assert len(again) == 301
    again.save(tmp_path / "again")
    assert digest_of_tree(saved) == digest_of_tree(tmp_path / "again")


def test_saving_again_replaces_all_shards(saved):
    ShardedIndex(spaces={"x": 2}, shards=2).save(saved)
    assert sorted(item.name for item in saved.iterdir()) == ["manifest.json", "shard-000", "shard-001", "shards.json"]
    assert ShardedIndex.load(saved).spaces == {"x": 2}


def test_a_missing_swapped_or_strange_shard_is_noticed(saved, tmp_path):
    def damaged(change):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(saved, folder)
        change(folder)
        with pytest.raises(ArtefactError):
            ShardedIndex.load(folder)

    def swap(folder):
        (folder / "shard-000").rename(folder / "other")
        (folder / "shard-001").rename(folder / "shard-000")
        (folder / "other").rename(folder / "shard-001")

    damaged(swap)
    damaged(lambda folder: shutil.rmtree(folder / "shard-002"))
    damaged(lambda folder: shutil.copytree(folder / "shard-002", folder / "shard-003"))
    damaged(lambda folder: (folder / "shards.json").unlink())
    damaged(lambda folder: (folder / "shards.json").write_text("{}"))


@pytest.mark.parametrize(
    "change",
    [{"shards": 2}, {"shards": 4}, {"shards": 0}, {"shards": "3"}, {"spaces": {"v": 9}}, {"precision": "bf16"}],
)
def test_right_digests_and_a_wrong_config_are_refused(saved, tmp_path, change):
    config = json.loads((saved / "shards.json").read_text()) | change
    with writing(tmp_path / "wrong", "gpu-index-shards", 1, config=config) as folder:
        for shard in saved.glob("shard-*"):
            shutil.copytree(shard, folder / shard.name)
        (folder / "shards.json").write_text(json.dumps(config))
    with pytest.raises(ArtefactError):
        ShardedIndex.load(tmp_path / "wrong")


def test_one_index_and_shards_are_not_taken_for_each_other(saved, tmp_path):
    with pytest.raises(ArtefactError, match="holds a 'gpu-index-shards', expected a 'gpu-index'"):
        Index.load(saved)
    filled(Index).save(tmp_path / "one")
    with pytest.raises(ArtefactError, match="holds a 'gpu-index', expected a 'gpu-index-shards'"):
        ShardedIndex.load(tmp_path / "one")
