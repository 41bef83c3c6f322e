"""The engine on the twin's steps: every answer is the reference's, whichever way it was found."""

import threading

import numpy as np
import pytest

from gpu_index.cuda import twin
from gpu_index.cuda.engine import CudaEngine
from gpu_index.cuda.tuning import Tuning
from gpu_index.rows import RowStore
from market.errors import ConfigError

SCAN = Tuning(gather_matches=0, sample_every=2, spare=1, rebuild_after=40)


def normal(rng, rows, dim=8):
    return rng.standard_normal((rows, dim)).astype(np.float32)


@pytest.mark.parametrize(
    ("dim", "precision", "first_pass", "tuning"),
    [
        (8, "float32", "bf16", SCAN),
        (7, "float32", "int8", SCAN),
        (5, "bf16", "bf16", SCAN),
        (1, "float32", "bf16", Tuning(gather_matches=3, sample_every=1, rebuild_after=0, batch=3)),
        (33, "float32", "bf16", Tuning(gather_matches=20, sample_every=4, boost_bytes=1)),
        (130, "bf16", "int8", Tuning(buffer_slots=1, gather_matches=4)),
        (8, "float32", "bf16", Tuning()),
    ],
)
def test_any_history_gives_the_answers_of_the_reference(world, bag, clause, dim, precision, first_pass, tuning):
    rng = np.random.default_rng(dim)
    index = world(dim, precision, tuning=tuning, first_pass=first_pass)
    where = [
        None,
        clause([1, 2]),
        clause([1, 2, 3], [4, 5]),
        clause([3], none=[1]),
        clause([]),
        clause(none=[2, 3, 77]),
        clause([99, 5]),
    ]
    boosts = [None, {"t=1": 0.5, "t=5": -0.25}, {"t=3": 1e-3, "t=99": 2.0}, None, {"t=1": 1.0}, {"t=7": 1e30}, {}]
    for _ in range(4):
        ids = rng.permutation(400)[:150]
        bags = [bag(*rng.integers(0, 12, rng.integers(0, 5))) for _ in ids]
        vectors = normal(rng, 150, dim)
        vectors[rng.random(150) < 0.3] = vectors[0]  # ties
        index.write(ids, bags, v=vectors)
        index.delete(rng.permutation(400)[:60])
        queries = normal(rng, 7, dim)
        for k in (1, 5, 40, 1000):
            index.check(queries, k, where)
            index.check(queries, k, where, boosts)


def test_an_empty_index_answers_with_padding(world):
    index = world()
    hits = index.search(np.ones((2, 8)), 3)
    assert hits.ids.tolist() == [[-1] * 3] * 2
    assert index.engine.count(None) == 0


def test_rows_without_a_vector_in_a_space_are_not_found_there(world, clause, bag):
    index = world(tuning=SCAN)
    index.write([1, 2], [bag(1)] * 2, v=np.ones((2, 8)))
    index.write([3], [bag(1)], w=np.ones((1, 3)))
    index.check(np.ones((1, 8)), 5, [clause([1])])
    index.check(np.ones((1, 3)), 5, [clause([1])], space="w")


def test_a_thousand_ties_are_broken_by_id_although_they_overflow_the_buffer(world, counted):
    steps = counted(twin)
    index = world(tuning=SCAN, steps=steps)
    index.write(np.random.default_rng(1).permutation(3000), v=np.ones((3000, 8)))
    index.check(np.ones((2, 8)), 3)
    assert steps.calls["scan"] > 2  # each query once more, alone


def test_a_guess_above_the_kth_score_is_put_right(world, counted):
    """The sample sees only high scores, so the guess leaves all but a few rows out."""
    steps = counted(twin)
    index = world(tuning=Tuning(gather_matches=0, sample_every=16), steps=steps)
    vectors = np.zeros((1024, 8))
    vectors[:, 0] = np.linspace(0, 1, 1024)
    vectors[:64, 0] += 10  # the block that is sampled
    index.write(np.arange(1024), v=vectors)
    index.check(np.eye(8)[:1], 100)
    assert steps.calls["scan"] == 2
    assert steps.calls["sample"] == 2  # again for lower bounds, as there are less than k survivors


def test_one_huge_row_does_not_blur_the_others(world, counted):
    """Bounds hold per block of 64 rows: only that block's rows all survive."""
    rng = np.random.default_rng(2)
    index = world(tuning=SCAN)
    vectors = normal(rng, 2000)
    vectors[700] *= 1e17
    index.write(np.arange(2000), v=vectors)
    index.check(normal(rng, 3), 10)


@pytest.mark.parametrize("first_pass", ["bf16", "int8"])
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e17])
def test_scores_are_exact_at_every_scale(world, scale, first_pass):
    rng = np.random.default_rng(3)
    index = world(tuning=SCAN, first_pass=first_pass)
    index.write(np.arange(500), v=normal(rng, 500) * scale)
    index.check(normal(rng, 2), 20)
    index.check(normal(rng, 2) * scale, 20)


def test_zero_vectors_score_plus_zero(world):
    index = world(tuning=SCAN)
    index.write(np.arange(300), v=np.zeros((300, 8)))
    index.check(np.stack([np.zeros(8), -np.ones(8)]), 7)


def test_slots_given_back_and_taken_again_hold_only_their_new_row(world, bag, clause):
    rng = np.random.default_rng(4)
    index = world(tuning=SCAN)
    index.write(np.arange(400), [bag(i % 3) for i in range(400)], v=normal(rng, 400))
    index.check(normal(rng, 1), 5, [clause([1])])
    index.delete(np.arange(100, 400))
    index.rows.truncate()
    index.check(normal(rng, 2), 200, [clause([1]), clause(none=[1])])
    index.write(np.arange(500, 900), [bag(7)] * 400, v=normal(rng, 400))
    index.check(normal(rng, 3), 600, [clause([1]), clause([7]), clause([0], none=[7])], [{"t=1": 1.0, "t=7": 0.5}] * 3)


def test_the_largest_id_is_an_id_and_not_padding(world):
    index = world(tuning=SCAN)
    index.write([2**63 - 1, 5], v=np.ones((2, 8)))
    index.check(np.ones((1, 8)), 3)


def test_a_clause_of_ten_thousand_terms_is_one_group(world, bag, clause):
    rng = np.random.default_rng(5)
    index = world(tuning=SCAN)
    index.write(np.arange(600), [bag(i % 7, 100 + i) for i in range(600)], v=normal(rng, 600))
    index.check(normal(rng, 2), 9, [clause(range(10_000), [1, 2]), clause([1], none=range(100, 10_000))])


def test_a_batch_equals_its_queries_one_by_one(world):
    rng = np.random.default_rng(6)
    index = world(tuning=SCAN)
    index.write(np.arange(700), v=normal(rng, 700))
    queries = normal(rng, 70)
    together = index.search(queries, 6)
    for i, query in enumerate(queries):
        alone = index.search(query[None], 6)
        assert alone.ids[0].tolist() == together.ids[i].tolist()
        assert alone.scores[0].tobytes() == together.scores[i].tobytes()


def test_searches_of_several_threads_after_a_write_agree(world):
    rng = np.random.default_rng(7)
    index, queries, answers = world(tuning=SCAN), normal(rng, 3), []
    index.write(np.arange(900), v=normal(rng, 900))
    threads = [threading.Thread(target=lambda: answers.append(index.search(queries, 8).ids.tolist())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [index.reference.search(queries, "v", 8).ids.tolist()] * 4


def test_an_engine_made_for_rows_that_are_there_finds_them():
    rows = RowStore({"v": 2}, "float32")
    rows.spaces["v"].put(rows.claim(np.array([7])), np.ones((1, 2), np.float32))
    hits = CudaEngine(rows, device="cpu").search("v", np.ones((1, 2), np.float32), 1, [None], [None])
    assert (hits.ids.tolist(), hits.scores.tolist()) == ([[7]], [[2.0]])


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        CudaEngine(RowStore({"v": 2}, "float32"), device="cuda")


def test_an_unknown_first_pass_is_named():
    with pytest.raises(ConfigError, match="fp8"):
        CudaEngine(RowStore({"v": 2}, "float32"), device="cpu", first_pass="fp8")


@pytest.mark.parametrize("wrong", [{"batch": 65}, {"sample_every": 0}, {"spare": -1}])
def test_a_tuning_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Tuning(**wrong)
