"""The GPU bench runs from end to end at a tiny size on the CPU, and says so when there is no GPU."""

import numpy as np
import pytest

from bench import gpu
from gpu_index.cuda.oporp import Oporp

TINY = gpu.Size(rows=20_000, dim=32, k=10, batches=(1, 3), repeats=1, oporp=Oporp(bits=32, keep=200))


def test_every_exact_figure_stands_beside_a_check_against_brute_force():
    result = gpu.run(size=TINY, device="cpu")
    rows = result["table"]
    assert [row["batch"] for row in rows] == [1, 1, 1, 3, 3, 3] * 2
    assert [row["method"] for row in rows[:3]] == ["bf16", "int8", "oporp 32/200"]
    for row in rows:
        if row["method"] in ("bf16", "int8"):
            assert row["exact"] == row["checked"] > 0
            assert row["overlap"] == 1.0
        else:
            assert row["exact"] is None
            assert 0 < row["overlap"] < 1
    assert [row["matches"] for row in rows] == pytest.approx([0.33] * 6 + [0.1] * 6, abs=0.02)
    table = gpu.show(result)
    assert {len(row) for row in table} == {len(table[0])}


def test_a_wrong_answer_fails_the_check():
    engine = gpu.build(TINY, "cpu")
    case = gpu.Case(engine, TINY, "33 %", 1)
    hits = case.search(engine)
    assert gpu.same(engine, hits, case, 0)
    assert len(np.intersect1d(hits.ids, case.peer(engine) * 3)) > 5  # rounded, but the same question
    hits.ids[0, 3] += 3
    assert not gpu.same(engine, hits, case, 0)


def test_without_a_gpu_nothing_is_measured(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.show(gpu.run())[1] == ["not measured: torch finds no CUDA device here"]
