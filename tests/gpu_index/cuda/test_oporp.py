"""Preselection by sketches: never on by itself, exact among what it keeps, and close to exact when it keeps enough."""

import numpy as np
import pytest
import torch

from gpu_index.cuda.oporp import Oporp, distances, limits
from gpu_index.cuda.tuning import Tuning
from market.errors import ConfigError

SAMPLE_ALL = Tuning(sample_every=1)


def unit(rng, rows, dim=64):
    centres = rng.standard_normal((20, dim))
    vectors = centres[rng.integers(0, 20, rows)] + 0.7 * rng.standard_normal((rows, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def overlap(index, queries, k):
    mine, truth = index.search(queries, k), index.reference.search(queries, "v", k)
    return np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(mine.ids, truth.ids, strict=True)])


def test_distances_count_the_bits_that_differ():
    rng = np.random.default_rng(0)
    one, other = (rng.integers(-(2**31), 2**31, (n, 3)).astype(np.int32) for n in (30, 5))
    counted = [[sum(int(x).bit_count() for x in (a ^ b).view(np.uint32)) for b in other] for a in one]
    assert distances(torch.from_numpy(one), torch.from_numpy(other)).tolist() == counted


def test_a_vector_and_its_opposite_differ_in_every_bit():
    vectors = torch.from_numpy(unit(np.random.default_rng(1), 10))
    there, back = Oporp(64).sketch(vectors), Oporp(64).sketch(-vectors)
    assert distances(there, back).diagonal().eq(64).all()


def test_the_share_of_different_bits_estimates_the_angle():
    rng = np.random.default_rng(2)
    one = rng.standard_normal((400, 2048)).astype(np.float32)
    other = 0.5 * one + np.sqrt(0.75) * rng.standard_normal((400, 2048)).astype(np.float32)  # 60 degrees
    sketches = [Oporp(1024).sketch(torch.from_numpy(vectors)) for vectors in (one, other)]
    share = distances(*sketches).diagonal().double().mean() / 1024
    assert float(share) == pytest.approx(1 / 3, abs=0.005)


def test_the_limit_is_the_distance_within_which_enough_matching_rows_lie():
    sketches = torch.tensor([[0], [1], [3], [7]] * 16, dtype=torch.int32)  # 0, 1, 2, 3 bits from the query
    masks, wanted = torch.full((2, 1), -1, dtype=torch.int32), torch.zeros((1, 1), dtype=torch.int32)
    assert limits(Oporp(32, keep=40), sketches, masks, wanted, 1).tolist() == [2]
    assert limits(Oporp(32, keep=32), sketches, masks, wanted, 1).tolist() == [1]
    assert limits(Oporp(32, keep=65), sketches, masks, wanted, 1).tolist() == [32]


def test_what_is_kept_is_scored_exactly_and_keeping_more_finds_more(world):
    rng = np.random.default_rng(3)
    vectors, queries = unit(rng, 3000), unit(rng, 8)
    found = []
    for keep in (20, 200, 1500, 3000):
        index = world(dim=64, oporp=Oporp(64, keep), tuning=SAMPLE_ALL)
        index.write(np.arange(3000), v=vectors)
        found.append(overlap(index, queries, 10))
    assert found == sorted(found)
    assert found[0] < 0.9 < found[2]
    assert found[3] == 1.0


def test_sketches_follow_writes_and_deletes(world):
    rng = np.random.default_rng(4)
    index = world(dim=64, oporp=Oporp(64, keep=60), tuning=SAMPLE_ALL)
    for round_ in range(3):
        ids = rng.permutation(500)[:300]
        index.write(ids, v=unit(rng, 300))
        index.delete(rng.permutation(500)[:50])
        hits = index.search(unit(rng, 4), 5)
        assert (hits.ids >= 0).all(), round_
    wanted = index.rows.spaces["v"].vectors(np.array([7]))
    assert index.search(wanted, 1).ids[0, 0] == index.rows.ids[7]  # a row is nearest to itself


def test_a_query_with_few_matches_is_answered_exactly(world, bag, clause):
    rng = np.random.default_rng(5)
    index = world(dim=64, oporp=Oporp(32, keep=100))
    index.write(np.arange(900), [bag(i // 90) for i in range(900)], v=unit(rng, 900))
    index.check(unit(rng, 3), 20, [clause([1]), clause([2]), clause([77])])


@pytest.mark.parametrize("wrong", [{"bits": 33}, {"bits": 0}, {"keep": 0}])
def test_a_sketch_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Oporp(**wrong)
