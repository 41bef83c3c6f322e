"""After many deletes rows move down and room is given back; nobody can tell from the answers."""

from functools import partial

import numpy as np
import pytest

from gpu_index import Clause, Index, compaction
from gpu_index.cpu import engine as cpu_engine
from gpu_index.cuda.engine import CudaEngine
from gpu_index.reference import ReferenceIndex

ENGINES = {"cpu": None, "cuda-twin": partial(CudaEngine, device="cpu")}


def filled(index, rows, rng):
    vectors = rng.standard_normal((rows, 5)).astype(np.float32)
    terms = [[f"a={i % 7}", f"b={i % 50}", f"row={i}"] for i in range(rows)]
    index.upsert(np.arange(rows), vectors={"v": vectors[:, :5]}, terms=terms)
    index.upsert(np.arange(0, rows, 9), vectors=None, terms=terms[::9])  # rows without a vector
    return index


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_stay_the_same_and_the_index_shrinks(engine, monkeypatch):
    monkeypatch.setattr(compaction, "WORTH_IT", 256)
    monkeypatch.setattr("gpu_index.index.ROWS_A_STEP", 100)
    rng = np.random.default_rng(0)
    index, twin = (
        filled(each, 2000, np.random.default_rng(1))
        for each in (Index(spaces={"v": 5}, engine=ENGINES[engine]), ReferenceIndex(spaces={"v": 5}))
    )
    before = index.nbytes
    gone = rng.permutation(2000)[:1500]
    for part in np.array_split(gone, 3):
        assert index.delete(part) == twin.delete(part)
    assert index._rows.extent == 500
    assert index.nbytes < 0.65 * before
    for each in (index, twin):  # and it grows again
        each.upsert(gone[:90], vectors={"v": np.ones((90, 5))}, terms=[["a=1", "b=new"]] * 90)
    queries = rng.standard_normal((6, 5)).astype(np.float32)
    where = [None, Clause([["a=1"]]), Clause([["b=new", "b=3"]]), Clause([["a=2"]], ["b=2"]), Clause([["row=5"]]), None]
    boosts = [None, {"b=new": 0.5}, None, {"a=2": 1.0, "b=30": -1.0}, None, {"a=3": 3.0}]
    mine, theirs = (each.search(queries, "v", 20, where, boosts) for each in (index, twin))
    assert mine.ids.tolist() == theirs.ids.tolist()
    assert mine.scores.tobytes() == theirs.scores.tobytes()
    for row_id in range(0, 2000, 13):
        assert (row_id in index) == (row_id in twin)
        if row_id in twin:
            assert index.terms_of(row_id) == twin.terms_of(row_id)
    assert index.delete(np.arange(2000)) == 590
    assert len(index) == 0
    assert index.search(queries, "v", 3).ids.max() == -1


def test_a_query_with_more_boosts_than_bitmaps_fit_gets_exact_scores_all_the_same(monkeypatch):
    index, twin = (
        filled(each, 700, np.random.default_rng(1))
        for each in (Index(spaces={"v": 5}), ReferenceIndex(spaces={"v": 5}))
    )
    monkeypatch.setattr(cpu_engine, "SCRATCH_BYTES", 8 * 11 * 20)  # twenty bitmaps of 700 slots
    monkeypatch.setattr(cpu_engine, "ROWS_AT_A_TIME", 100)
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((5, 5)).astype(np.float32)
    many = {f"row={i}": float(rng.standard_normal()) for i in range(300)} | {"a=1": 0.1, "b=3": 0.2}
    boosts = [None, many, {"a=1": 1.0}, many, {f"b={i}": 0.1 for i in range(15)}]
    where = [None, None, Clause([["a=1"]]), Clause([["a=1", "a=2"]], ["b=7"]), None]
    for k in (3, 200, 900):
        mine, theirs = (each.search(queries, "v", k, where, boosts) for each in (index, twin))
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert mine.scores.tobytes() == theirs.scores.tobytes()
