"""The bound of the first pass holds for every row, every scale and every order of additions."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.cuda import twin
from gpu_index.cuda.coarse import Int8Codes, bf16_of
from gpu_index.cuda.mirror import Mirror
from gpu_index.cuda.probe import padded, probe_of, take_columns
from gpu_index.rows import RowStore
from gpu_index.scoring import exact_dots

CPU = torch.device("cpu")
NO_BOOSTS = torch.zeros((0, 0), dtype=torch.float64)


def probe_for(queries, int8=False):
    return probe_of(queries, NO_BOOSTS, np.full(len(queries), -1), np.zeros(len(queries)), CPU, int8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    dim=st.sampled_from([1, 2, 7, 64, 200]),
    scale=st.sampled_from([1e-40, 1e-30, 1e-3, 1.0, 1e15]),
    query_scale=st.sampled_from([1e-40, 1e-30, 1.0, 1e15]),
    int8=st.booleans(),
)
def test_every_exact_score_lies_between_the_bounds(seed, dim, scale, query_scale, int8):
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_normal((128, dim)) * scale * rng.choice([1, 1, 0, 1e-3], (128, 1))).astype(np.float32)
    query = (rng.standard_normal((1, dim)) * query_scale).astype(np.float32)
    rows = RowStore({"v": dim}, "float32")
    rows.spaces["v"].put(rows.claim(np.arange(128)), vectors)
    mirror = Mirror(rows, CPU)
    mirror.refresh()
    coarse = Int8Codes().of("v", mirror.spaces["v"]) if int8 else bf16_of(mirror.spaces["v"])
    probe, slots = probe_for(query, int8), torch.arange(128)
    lower, upper = (twin.bounds(coarse, probe, slots, sign)[:, 0].numpy() for sign in (-1, 1))
    exact = exact_dots(query[0], vectors)
    assert (lower <= exact).all()
    assert (exact <= upper).all()


def test_the_slack_is_close_to_what_rounding_costs():
    """For unit vectors: half a bfloat16 step for the row and as much for the query, about 2^-9 each at most."""
    rng = np.random.default_rng(0)
    query = rng.standard_normal((1, 128)).astype(np.float32)
    slack = probe_for(query / np.linalg.norm(query)).slack[:, 0]
    row_error = 2.0**-9
    assert float(slack[0] + slack[1] * row_error + slack[2]) < 2 * 2.0**-9 * 1.05


def test_two_parts_of_int8_hold_a_query_as_well_as_fourteen_bits_would():
    query = np.random.default_rng(1).standard_normal((1, 128)).astype(np.float32)
    slack = probe_for(query / np.linalg.norm(query), int8=True).slack[:, 0]
    assert float(slack[0]) < 3e-4  # mostly gamma
    assert float(slack[1]) < 1.02


def test_codes_follow_what_is_written():
    rng = np.random.default_rng(2)
    rows, codes = RowStore({"v": 5}, "float32"), Int8Codes()
    mirror = Mirror(rows, CPU)
    for ids in (np.arange(100), np.arange(30, 300)):
        slots = rows.claim(ids)
        rows.spaces["v"].put(slots, (rng.standard_normal((len(ids), 5)) * 100 ** rng.random()).astype(np.float32))
        mirror.wrote(slots)
        codes.wrote(slots)
        mirror.refresh()
        kept, fresh = codes.of("v", mirror.spaces["v"]), Int8Codes().of("v", mirror.spaces["v"])
        assert kept.values.equal(fresh.values)
        assert kept.scale.equal(fresh.scale)
        assert kept.error.equal(fresh.error)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), weight=st.sampled_from([1e-30, 1e-3, 1.0, 1e6, 1e37]), int8=st.booleans())
def test_the_bounds_hold_with_boosts_of_any_size(seed, weight, int8):
    rng = np.random.default_rng(seed)
    vectors, query = rng.standard_normal((64, 9)).astype(np.float32), rng.standard_normal((1, 9)).astype(np.float32)
    rows = RowStore({"v": 9}, "float32")
    rows.spaces["v"].put(rows.claim(np.arange(64)), vectors)
    mirror = Mirror(rows, CPU)
    mirror.refresh()
    weights = rng.standard_normal(3) * weight
    totals = np.where(rng.random((3, 64)) < 0.5, weights[:, None], 0.0).sum(axis=0)
    sizes = np.array([np.abs(weights).sum()])
    probe = probe_of(query, torch.from_numpy(totals)[None], np.zeros(1, np.int32), sizes, CPU, int8)
    coarse = Int8Codes().of("v", mirror.spaces["v"]) if int8 else bf16_of(mirror.spaces["v"])
    lower, upper = (twin.bounds(coarse, probe, torch.arange(64), sign)[:, 0].numpy() for sign in (-1, 1))
    exact = exact_dots(query[0], vectors) + totals
    assert (lower <= exact).all()
    assert (exact <= upper).all()


def test_a_batch_is_padded_with_queries_that_match_nothing():
    assert [padded(count) for count in (1, 16, 17, 33, 64)] == [16, 16, 32, 64, 64]
    masks = torch.full((3, 16), -1, dtype=torch.int32)
    taken = take_columns(masks, np.array([5, 2]))
    assert taken.shape == (3, 16)
    assert taken[:, :2].eq(-1).all()
    assert taken[:, 2:].eq(0).all()


def test_taking_queries_keeps_their_values():
    queries = np.arange(40, dtype=np.float32).reshape(20, 2)
    taken = probe_for(queries).take(np.array([19, 3]))
    assert len(taken) == 16
    assert taken.exact[:3].tolist() == [[38.0, 39.0], [6.0, 7.0], [0.0, 0.0]]
    assert taken.boost_row.tolist() == [-1] * 16
