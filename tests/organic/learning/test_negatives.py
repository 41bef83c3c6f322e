"""What a batch is made of."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import DataError
from organic.learning.negatives import Drawn, Known, Pairs, compose

REQUEST = np.array([0, 0, 1, 2, 2, 2])
ITEM = np.array([4, 7, 4, 1, 2, 7])


def test_an_epoch_holds_every_pair_once() -> None:
    pairs = Pairs(REQUEST, ITEM)
    drawn = list(islice(pairs.batches(2, 0.0, np.random.default_rng(0)), 3))
    found = sorted((int(r), int(i)) for batch in drawn for r, i in zip(batch.request, batch.item, strict=True))
    assert found == sorted(zip(REQUEST.tolist(), ITEM.tolist(), strict=True))


def test_a_batch_larger_than_the_table_goes_round_again() -> None:
    pairs = Pairs(REQUEST, ITEM)
    assert len(next(pairs.batches(20, 0.0, np.random.default_rng(0)))) == 20


def test_no_pairs_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="no positive pairs"):
        Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 12))
def test_excluded_says_what_a_lookup_pair_by_pair_says(seed: int, pairs: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    request, item = rng.integers(0, 8, pairs), rng.integers(0, 20, pairs)
    known = Known.of(request, item, 8)
    asked, offered = rng.integers(0, 8, 5), np.unique(rng.integers(0, 20, width))
    wanted = set(zip(request.tolist(), item.tolist(), strict=True))
    slow = np.array([[(int(r), int(i)) in wanted for i in offered] for r in asked])
    assert (known.excluded(asked, offered) == slow).all()


def test_a_batch_holds_own_items_and_inventory_once_each() -> None:
    source, inventory = Pairs(REQUEST, ITEM), np.arange(8)
    pairs = Drawn(REQUEST, ITEM, np.ones(6, np.float32))
    batch = compose(pairs, source, Known.of(REQUEST, ITEM, 3), inventory, 5, np.random.default_rng(1))
    assert (np.diff(batch.items) > 0).all()
    assert (batch.items[batch.own] == ITEM).all()
    assert len(batch.items) >= 5
    assert batch.excluded[0, batch.own[0]]


def test_without_inventory_the_items_are_those_of_the_pairs() -> None:
    pairs = Drawn(REQUEST, ITEM, np.ones(6, np.float32))
    source = Pairs(REQUEST, ITEM)
    batch = compose(pairs, source, Known.of(REQUEST, ITEM, 3), np.arange(8), 0, np.random.default_rng(1))
    assert batch.items.tolist() == [1, 2, 4, 7]


def test_log_q_is_how_often_an_item_is_really_in_a_batch() -> None:
    source, inventory, rng = Pairs(REQUEST, ITEM), np.arange(8), np.random.default_rng(2)
    known, seen, said, draws = Known.of(REQUEST, ITEM, 3), np.zeros(8), np.zeros(8), 4000
    for _ in range(draws):
        rows = rng.integers(0, 6, 2)
        pairs = Drawn(REQUEST[rows], ITEM[rows], np.ones(2, np.float32))
        batch = compose(pairs, source, known, inventory, 2, rng)
        seen[batch.items] += 1
        said[batch.items] = batch.log_q
    assert np.abs(np.exp(said) - seen / draws).max() < 0.03
