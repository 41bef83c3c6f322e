"""The slots of every term against a dictionary of sets, through all changes of form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.cpu.inverted import Inverted
from gpu_index.engine import TermPairs
from market.errors import ConfigError

NUMBERS = 12


def pairs_of(pairs) -> TermPairs:
    """TermPairs of (slot, number) tuples, in their order."""
    slots, numbers = zip(*pairs, strict=True) if pairs else ((), ())
    return TermPairs(np.array(slots, np.int64), np.array(numbers, np.int32))


class Twin:
    """An Inverted and the plain truth about it: the terms of each slot."""

    def __init__(self, capacity: int = 64, **options: int) -> None:
        self.inverted = Inverted(**options)
        self.inverted.reserve(capacity)
        self.capacity = capacity
        self.terms: dict[int, set[int]] = {}

    def write(self, rows: dict[int, set[int]]) -> None:
        lost = [(slot, number) for slot in rows for number in self.terms.get(slot, ())]
        gained = [(slot, number) for slot, numbers in rows.items() for number in numbers]
        self.inverted.replace(pairs_of(lost), pairs_of(gained))
        self.terms.update(rows)

    def grow(self, capacity: int) -> None:
        self.inverted.reserve(capacity)
        self.capacity = max(self.capacity, capacity)

    def check(self, numbers: range = range(NUMBERS)) -> None:
        for number in numbers:
            truth = sorted(slot for slot, terms in self.terms.items() if number in terms)
            found = self.inverted.slots_of(number)
            assert found.dtype == np.int64
            assert found.tolist() == truth
            assert self.inverted.frequency(number) == len(truth)

    @property
    def dense(self) -> set[int]:
        return set(self.inverted.owner[self.inverted.owner >= 0].tolist())


rows = st.dictionaries(st.integers(0, 63), st.sets(st.integers(0, NUMBERS - 1), max_size=6), max_size=40)


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), rows), max_size=12),
    dense_share=st.sampled_from([2, 4, 16, 64]),
    patience=st.sampled_from([0, 1, 4, 1000]),
)
def test_slots_of_every_term_follow_any_sequence_of_writes(steps, dense_share, patience):
    twin = Twin(dense_share=dense_share, patience=patience)
    for block, step in steps:
        twin.grow(64 * (block + 1))
        twin.write({64 * block + slot: terms for slot, terms in step.items()})
        twin.check()


@pytest.mark.parametrize("patience", [0, 1, 4])
def test_slots_written_one_at_a_time_again_and_again_are_followed(patience):
    rng = np.random.default_rng(patience)
    twin = Twin(capacity=512, dense_share=4, patience=patience)
    for _ in range(1500):
        terms = set((NUMBERS * rng.random(rng.integers(0, 5)) ** 3).astype(int).tolist())
        twin.write({int(rng.integers(512)): terms})
    twin.check()
    assert 0 < len(twin.dense) < NUMBERS


def test_a_term_becomes_a_bitmap_above_its_share_and_a_list_again_at_half_of_it():
    twin = Twin(capacity=640, dense_share=10)
    twin.write({slot: {3} for slot in range(64)})
    assert twin.dense == set()
    twin.write({64: {3}})
    assert twin.dense == {3}
    twin.write({slot: set() for slot in range(32, 65)})
    assert twin.dense == {3}
    twin.write({0: {7}})
    assert twin.dense == set()
    twin.check()


def test_a_bitmap_becomes_a_list_when_the_index_outgrows_its_term():
    twin = Twin(capacity=640, dense_share=10)
    twin.write({slot: {3, 5} if slot % 3 == 0 else {3} for slot in range(600)})
    twin.grow(10 * 640)
    assert twin.dense == {3}
    twin.check()
    twin.write({6_000: {3, 5}})
    twin.check()


def test_a_bitmap_row_given_back_is_clean_for_the_next_term():
    twin = Twin(capacity=64, dense_share=8)
    twin.write({slot: {0} for slot in range(20)})
    twin.write({slot: set() for slot in range(20)})
    assert twin.dense == set()
    twin.write({slot: {1} for slot in range(30, 50)})
    assert twin.dense == {1}
    twin.check()


def test_a_number_is_used_again_for_another_term():
    twin = Twin(dense_share=2)
    for first in range(0, 60, 5):
        twin.write({slot: set() for slot in list(twin.terms)})
        twin.write({slot: {4} for slot in range(first, first + 5)})
        twin.check()


def test_a_pair_that_is_lost_and_gained_stays():
    inverted = Inverted()
    inverted.reserve(64)
    both = pairs_of([(9, 1), (3, 1), (3, 0)])
    inverted.replace(pairs_of([]), both)
    inverted.replace(both, pairs_of([(3, 0), (9, 2), (9, 1)]))
    assert [inverted.slots_of(number).tolist() for number in range(4)] == [[3], [9], [9], []]


def test_a_term_nobody_heard_of_has_no_slots():
    inverted = Inverted()
    assert inverted.slots_of(1000).tolist() == []
    assert inverted.frequency(1000) == 0
    assert inverted.nbytes() == 0


@pytest.mark.parametrize("dense_share", [1, 64])
def test_losing_a_term_that_the_slot_does_not_have_is_an_error(dense_share):
    inverted = Inverted(dense_share=dense_share)
    inverted.reserve(128)
    inverted.replace(pairs_of([]), pairs_of([(slot, 0) for slot in range(0, 128, 2)]))
    with pytest.raises(AssertionError, match="did not have"):
        inverted.replace(pairs_of([(5, 0)]), pairs_of([]))


def test_gaining_a_term_that_the_slot_has_is_an_error_of_a_bitmap():
    inverted = Inverted()
    inverted.reserve(128)
    inverted.replace(pairs_of([]), pairs_of([(slot, 0) for slot in range(0, 128, 2)]))
    with pytest.raises(AssertionError, match="gained a term"):
        inverted.replace(pairs_of([]), pairs_of([(4, 0)]))


@pytest.mark.parametrize("options", [{"dense_share": 0}, {"patience": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="expected at least"):
        Inverted(**options)


def test_lists_are_never_more_untidy_than_patience_allows():
    rng = np.random.default_rng(5)
    twin = Twin(capacity=4096, dense_share=2, patience=2)
    twin.write({slot: {slot % 3} for slot in range(4096)})
    for _ in range(300):
        twin.write({int(slot): {int(slot) % 3} if rng.random() < 0.5 else {3} for slot in rng.choice(4096, 5)})
        listed = twin.inverted.terms[twin.inverted.terms["row"] < 0]
        untidy = (listed["tail"] + listed["dead"]).astype(float)
        assert (untidy <= 2 * np.sqrt(listed["count"]) + 1e-9).all()
    twin.check()


def test_a_loaded_index_has_little_slack_and_keeps_it_while_rows_are_replaced():
    rng = np.random.default_rng(6)
    rows, terms = 6400, 50
    twin = Twin(capacity=rows, dense_share=1)

    def some(slots):
        return {int(slot): set(rng.choice(terms, 8, replace=False).tolist()) for slot in slots}

    for start in range(0, rows, 100):
        twin.write(some(range(start, start + 100)))
    loaded = twin.inverted.nbytes()
    assert loaded < 1.3 * 4 * 8 * rows
    for _ in range(60):
        twin.write(some(rng.choice(rows, 200, replace=False)))
    assert twin.inverted.nbytes() < 1.1 * loaded
    twin.check(range(terms))
