"""Snapshots of every format there ever was load for ever and answer as written down here.

`fixtures/format_1_*` were written by the first version of the index (manifests without a digest of their own),
`fixtures/format_1_digest_*` by the one that added it; `fixtures/shards_format_1` by the first shards. They are never
written again: a new format gets fixtures of its own beside them.

    id      7                      0          3                            2^62                   12      40
    organic (1, 0, .5)             (0,-2,0)   (.1, .2, .3)                 (1e18, 0, 0)
    größe   4                      5          6                                                   -0.0
    terms   north, größer=besser   south      north, skill, "title=C++\\n"  south, größer=besser           south
"""

from pathlib import Path

import numpy as np
import pytest

from gpu_index import Clause, Index
from gpu_index.reference import ReferenceIndex
from gpu_index.shards import ShardedIndex

FIXTURES = Path(__file__).parent / "fixtures"
BIG = 2**62
# <(1, .5, -1), x> by precision: 1e18 is 9.99999984e17 in float32 and 9.9979912e17 in bf16
SCORES = {
    "float32": [999999984306749440.0, 0.5, np.float32(-0.10000000894069672), -0.75],
    "bf16": [999799117276250112.0, 0.5, -0.1005859375, -0.75],
}


@pytest.mark.parametrize("kind", [Index, ReferenceIndex])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", ["format_1", "format_1_digest"])
def test_an_index_of_format_1_answers_as_it_did(kind, name, precision):
    index = kind.load(FIXTURES / f"{name}_{precision}")
    assert len(index) == 6
    assert [row_id in index for row_id in (0, 3, 7, 12, 40, BIG, 1)] == [True] * 6 + [False]

    where = [None, Clause([["geo=north", "geo=unknown"]], ["skill=日本語"]), Clause([["title=größer = besser"]])]
    queries = np.array([[1, 0.5, -1], [0, -1, 2], [-1, 0, 0]], np.float32)
    hits = index.search(queries, "organic", 5, where, [{"geo=south": 0.25}, None, None])
    assert hits.ids.tolist() == [[BIG, 7, 3, 0, -1], [7, -1, -1, -1, -1], [7, BIG, -1, -1, -1]]
    assert hits.scores[0].tolist() == [*SCORES[precision], -np.inf]
    assert hits.scores[1, 0] == 1
    assert hits.scores[2, :2].tolist() == [-1, -SCORES[precision][0]]

    hits = index.search(np.array([[2]], np.float32), "größe", 5)
    assert hits.ids.tolist() == [[3, 0, 7, 12, -1]]
    assert hits.scores.tolist() == [[12, 10, 8, 0, -np.inf]]
    assert not np.signbit(hits.scores[0, 3])

    assert index.terms_of(3) == ["geo=north", "skill=日本語", "title=C++\n"]
    assert index.terms_of(7) == ["geo=north", "title=größer = besser"]
    assert index.terms_of(12) == []
    assert [index.count(Clause([[term]])) for term in ("geo=north", "geo=south", "title=C++\n")] == [2, 3, 1]


def test_an_index_of_format_1_keeps_its_spaces_and_precision():
    for precision in ("float32", "bf16"):
        index = Index.load(FIXTURES / f"format_1_{precision}")
        assert (index.spaces, index.precision) == ({"organic": 3, "größe": 1}, precision)


def test_an_index_of_format_1_takes_writes_and_is_saved_again(tmp_path):
    index = Index.load(FIXTURES / "format_1_bf16")
    index.delete([7])
    index.upsert([8], vectors={"größe": [[100]]}, terms=[["skill=日本語"]])
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    assert again.search(np.array([[1]], np.float32), "größe", 2).ids.tolist() == [[8, 3]]
    assert again.count(Clause([["skill=日本語"]])) == 2


def test_shards_of_format_1_answer_as_they_did():
    """Seven rows of value 0 to 6, ids 0 to 5 and 2^62, by turns in the north and in the south."""
    index = ShardedIndex.load(FIXTURES / "shards_format_1")
    assert (len(index), index.spaces, index.precision) == (7, {"v": 1}, "float32")
    hits = index.search(np.array([[1], [-1]], np.float32), "v", 4, [None, Clause([["geo=süd"]])])
    assert hits.ids.tolist() == [[BIG, 5, 4, 3], [1, 3, 5, -1]]
    assert hits.scores.tolist() == [[6, 5, 4, 3], [-1, -3, -5, -np.inf]]
    index.upsert([4], vectors={"v": [[9]]})
    assert len(index) == 7
    assert index.search(np.array([[1]], np.float32), "v", 2).ids.tolist() == [[4, BIG]]
