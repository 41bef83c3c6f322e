"""The GPU bench runs from end to end at a tiny size on the CPU, and says so when there is no GPU."""

import pytest
import torch

from bench import gpu

TINY = gpu.Size(rows=20_000, dim=16, k=10, batches=(1, 3), repeats=1)


def test_every_figure_stands_beside_a_check_against_brute_force():
    result = gpu.run(size=TINY, device="cpu")
    assert [(row["pass_rate"], row["batch"]) for row in result["table"]] == [
        ("33 %", 1),
        ("33 %", 3),
        ("10 %", 1),
        ("10 %", 3),
    ]
    assert all(row["exact"] == row["checked"] > 0 for row in result["table"])
    assert [round(row["matches"], 2) for row in result["table"]] == pytest.approx([0.33, 0.33, 0.1, 0.1], abs=0.02)
    table = gpu.show(result)
    assert {len(row) for row in table} == {len(table[0])}


def test_a_wrong_answer_fails_the_check():
    engine = gpu.build(TINY, "cpu")
    (clause,) = gpu.clauses("33 %", 1)
    query = torch.ones((1, 16)).numpy()
    hits = engine.search("v", query, 10, [clause], [None])
    allowed = gpu.allowed_by(engine, clause)
    assert gpu.same(engine, hits, 0, query, allowed, 10)
    hits.ids[0, 3] += 3
    assert not gpu.same(engine, hits, 0, query, allowed, 10)


def test_without_a_gpu_nothing_is_measured(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.show(gpu.run())[1] == ["not measured: torch finds no CUDA device here"]
