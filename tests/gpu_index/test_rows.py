"""Ids in slots, vectors in two halves, and the bounds of blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.bitmap import slots_on
from gpu_index.ids import IdTable
from gpu_index.rows import RowStore
from gpu_index.scoring import bf16_bits, from_bf16_bits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 200), max_size=40, unique=True)), max_size=30))
def test_every_id_has_one_slot_and_no_two_share_one(history):
    rows, twin = RowStore({"v": 1}, "float32"), set()
    for write, some in history:
        ids = np.array(some, np.int64)
        if write:
            slots = rows.claim(ids)
            assert len(set(slots.tolist())) == len(ids)
            twin.update(some)
        else:
            gone = rows.release(ids)
            assert len(gone) == len(twin & set(some))
            twin -= set(some)
        assert len(rows) == len(twin)
        found = rows.find(np.arange(201))
        assert set(np.flatnonzero(found >= 0).tolist()) == twin
        known = found[found >= 0]
        assert (rows.ids[known] == np.flatnonzero(found >= 0)).all()
        assert sorted(slots_on(rows.live).tolist()) == sorted(known.tolist())
        assert rows.extent == rows.free() + len(rows)


def test_the_table_of_ids_stays_small_however_often_ids_come_and_go():
    table, ids = IdTable(), np.arange(1000) * 64  # ids with many equal bits
    for _ in range(50):
        table.add(np.arange(1000), ids)
        assert (table.find(ids, ids) == np.arange(1000)).all()
        assert len(table.remove(ids, ids)) == 1000
    assert table.nbytes() < 4 * 4000


numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**59), max_value=2.0**59)


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, min_size=6, max_size=6))
def test_a_float32_in_two_halves_comes_back_bit_for_bit(values):
    vectors = np.array(values, np.float32).reshape(3, 2)
    rows = RowStore({"v": 2}, "float32")
    slots = rows.claim(np.array([5, 6, 7]))
    rows.spaces["v"].put(slots, vectors)
    assert rows.spaces["v"].vectors(slots).tobytes() == vectors.tobytes()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_high_half_is_within_the_bound_of_its_block(precision):
    rng = np.random.default_rng(0)
    rows = RowStore({"v": 7}, precision)
    store = rows.spaces["v"]
    for round_number in range(6):
        ids = rng.permutation(300)[:150]
        vectors = (rng.standard_normal((150, 7)) * 10.0 ** rng.integers(-9, 9, (150, 1))).astype(np.float32)
        if precision == "bf16":
            vectors = from_bf16_bits(bf16_bits(vectors))
        slots = rows.claim(ids)
        store.put(slots, vectors)
        assert store.vectors(slots).tobytes() == vectors.tobytes(), round_number
        used = np.arange(rows.extent)
        whole = store.vectors(used).astype(np.float64)
        high = from_bf16_bits(store.high[: rows.extent * 7].reshape(-1, 7)).astype(np.float64)
        assert (np.linalg.norm(whole, axis=1) <= store.block_norm[used >> 6]).all()
        assert (np.linalg.norm(whole - high, axis=1) <= store.block_error[used >> 6]).all()
        assert (np.abs(high).max(axis=1) <= store.block_largest[used >> 6]).all()
    if precision == "bf16":
        assert store.low is None
        assert not store.block_error.any() or store.block_error.max() < 1e-30


def test_a_bound_comes_down_when_the_row_that_raised_it_is_replaced():
    rows = RowStore({"v": 2}, "float32")
    slots = rows.claim(np.arange(64))
    store = rows.spaces["v"]
    ordinary = np.full((64, 2), 0.5, np.float32)
    store.put(slots, ordinary)
    store.put(slots[:1], np.full((1, 2), 1e17, np.float32))
    assert store.block_norm[0] > 1e17
    store.put(slots[:1], ordinary[:1])
    assert store.block_norm[0] < 1


def test_room_that_is_given_back_is_given_back():
    rows = RowStore({"v": 4}, "float32")
    slots = rows.claim(np.arange(10_000))
    rows.spaces["v"].put(slots, np.ones((10_000, 4), np.float32))
    before = rows.nbytes()
    rows.release(np.arange(5_000, 10_000))
    rows.truncate()
    assert rows.nbytes() < 0.65 * before
    assert (rows.find(np.arange(5_000)) >= 0).all()
    assert rows.claim(np.array([7_777]))[0] == 5_000
