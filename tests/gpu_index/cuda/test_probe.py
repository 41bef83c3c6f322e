"""The bound of the first pass holds for every row, every scale and every order of additions."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.cuda import twin
from gpu_index.cuda.mirror import Mirror
from gpu_index.cuda.probe import padded, probe_of, take_columns
from gpu_index.rows import RowStore
from gpu_index.scoring import exact_dots

CPU = torch.device("cpu")
NO_BOOSTS = torch.zeros((0, 0), dtype=torch.float64)


def probe_for(queries):
    return probe_of(queries, NO_BOOSTS, np.full(len(queries), -1), np.zeros(len(queries)), CPU)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    dim=st.sampled_from([1, 2, 7, 64, 200]),
    scale=st.sampled_from([1e-40, 1e-30, 1e-3, 1.0, 1e15]),
    query_scale=st.sampled_from([1e-40, 1e-30, 1.0, 1e15]),
)
def test_every_exact_score_lies_between_the_bounds(seed, dim, scale, query_scale):
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_normal((128, dim)) * scale * rng.choice([1, 1, 0, 1e-3], (128, 1))).astype(np.float32)
    query = (rng.standard_normal((1, dim)) * query_scale).astype(np.float32)
    rows = RowStore({"v": dim}, "float32")
    rows.spaces["v"].put(rows.claim(np.arange(128)), vectors)
    mirror = Mirror(rows, CPU)
    mirror.refresh()
    masks = mirror.live[:, None].repeat(1, 16)
    lower, upper = (twin.sample(mirror.spaces["v"], masks, probe_for(query), 1, sign)[0].numpy() for sign in (-1, 1))
    exact = exact_dots(query[0], vectors)
    assert (lower[:128] <= exact).all()
    assert (exact <= upper[:128]).all()


def test_the_slack_is_close_to_what_rounding_costs():
    """For unit vectors: half a bfloat16 step for the row and as much for the query, about 2^-9 each at most."""
    rng = np.random.default_rng(0)
    query = rng.standard_normal((1, 128)).astype(np.float32)
    slack = probe_for(query / np.linalg.norm(query)).slack[:, 0]
    row_error = 2.0**-9
    assert float(slack[0] + slack[1] * row_error + slack[2]) < 2 * 2.0**-9 * 1.05


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
