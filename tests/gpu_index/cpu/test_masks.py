"""Clauses to bitmaps, against the definition of a clause on sets of slots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.cpu.inverted import Inverted
from gpu_index.cpu.masks import GRAIN, Grain, evaluate
from gpu_index.engine import NumberedClause, TermPairs
from market.errors import ConfigError, IndexInputError

NUMBERS = 10
TINY = [GRAIN, Grain(1, 1, 1, 0), Grain(2, 1, 3, 0), Grain(3, 2, 1000, 1_000_000)]


def clause(groups=(), none_of=()) -> NumberedClause:
    return NumberedClause(
        tuple(np.array(sorted(group), np.int32) for group in groups), np.array(sorted(none_of), np.int32)
    )


def pairs(terms: dict[int, set[int]], slots) -> TermPairs:
    found = [(slot, number) for slot in slots for number in terms.get(slot, ())]
    return TermPairs(
        np.array([slot for slot, _ in found], np.int64), np.array([number for _, number in found], np.int32)
    )


def bitmap(slots, words: int) -> np.ndarray:
    bits = np.zeros(64 * words, bool)
    bits[list(slots)] = True
    return np.packbits(bits, bitorder="little").view(np.uint64)


def satisfying(terms: dict[int, set[int]], eligible, where: NumberedClause | None) -> set[int]:
    """The definition."""
    if where is None:
        return set(eligible)
    groups, none_of = [set(group.tolist()) for group in where.groups], set(where.none_of.tolist())
    having = {slot: terms.get(slot, set()) for slot in eligible}
    return {slot for slot, own in having.items() if all(own & group for group in groups) and not own & none_of}


def check(inverted, terms, eligible, clauses, words, grain=GRAIN) -> None:
    out = np.full((len(clauses), words + 2), 0xAAAA, np.uint64)
    found = evaluate(inverted, clauses, bitmap(eligible, words), out, grain)
    assert found.dtype == np.int64
    assert (out[:, words:] == 0xAAAA).all()
    for where, count, row in zip(clauses, found.tolist(), out, strict=True):
        truth = satisfying(terms, eligible, where)
        assert (row[:words] == bitmap(truth, words)).all()
        assert count == len(truth)


numbers = st.integers(0, NUMBERS + 1)
some_clauses = st.lists(
    st.none()
    | st.builds(
        clause,
        st.lists(st.sets(numbers, max_size=4), max_size=3),
        st.sets(numbers, max_size=2) | st.just(set()),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=200)
@given(
    clauses=some_clauses,
    words=st.integers(1, 7),
    seed=st.integers(0, 10_000),
    changes=st.integers(0, 80),
    dense_share=st.sampled_from([2, 4, 32]),
    grain=st.sampled_from(TINY),
)
def test_every_clause_of_a_batch_finds_exactly_the_eligible_slots_that_satisfy_it(
    clauses, words, seed, changes, dense_share, grain
):
    rng = np.random.default_rng(seed)
    size = 64 * words - int(rng.integers(64))

    def row():
        return set((NUMBERS * rng.random(rng.integers(0, 5)) ** 2).astype(int).tolist())

    inverted = Inverted(dense_share=dense_share, patience=3)
    inverted.reserve(64 * words)
    terms = {slot: row() for slot in range(size)}
    inverted.replace(pairs({}, []), pairs(terms, range(size)))
    for slot in rng.integers(0, size, changes).tolist():
        fresh = {slot: row()}
        inverted.replace(pairs(terms, [slot]), pairs(fresh, [slot]))
        terms |= fresh
    eligible = {slot for slot in range(size) if rng.random() < 0.8}
    check(inverted, terms, eligible, clauses, words, grain)


@pytest.fixture(scope="module")
def world() -> tuple[Inverted, dict[int, set[int]]]:
    """200 slots: term 0 everywhere, 1 on even slots, 2 on multiples of 3, 10 + i on slot i alone."""
    terms = {slot: {0, 10 + slot} for slot in range(200)}
    for slot in range(200):
        terms[slot] |= {number for number, step in ((1, 2), (2, 3)) if slot % step == 0}
    inverted = Inverted(dense_share=8)
    inverted.reserve(256)
    inverted.replace(pairs({}, []), pairs(terms, terms))
    return inverted, terms


def test_no_clause_and_an_empty_clause_match_every_eligible_slot(world):
    check(*world, set(range(0, 200, 7)), [None, clause()], 4)


def test_an_empty_group_and_a_group_of_unknown_terms_match_nothing(world):
    check(*world, set(range(200)), [clause([[]]), clause([[0], []]), clause([[9], [0]]), clause([[10_000]])], 4)


def test_unknown_terms_bar_nobody(world):
    check(*world, set(range(200)), [clause([[1]], [9]), clause([], [10_000])], 4)


def test_terms_that_must_be_absent_are_absent(world):
    check(
        *world, set(range(200)), [clause([[0]], [1]), clause([], [2, 15]), clause([[1, 2]], [0]), clause([[1]], [1])], 4
    )


@pytest.mark.parametrize("grain", TINY)
def test_groups_that_many_clauses_share_give_what_each_alone_gives(world, grain):
    groups = [[1, 2], [13, 16, 17], [1, 31, 32], [0], [55]]
    clauses = [clause([a, b], c) for a in groups for b in groups for c in [[], [2, 13], [16]]]
    check(*world, set(range(200)), [*clauses, None], 4, grain)


def test_a_group_may_be_barred_and_wanted_by_clauses_of_one_batch(world):
    check(*world, set(range(200)), [clause([[1, 20]]), clause([], [1, 20]), clause([[1, 20]], [1, 20])], 4)


def test_deleted_slots_are_not_found_although_their_terms_are_still_there(world):
    check(*world, set(range(50, 100)), [clause([[10, 60, 61]]), clause([[0]]), clause([[1]], [2])], 4)


def test_a_batch_larger_than_the_room_for_shared_unions_is_evaluated_in_pieces(world):
    clauses = [clause([[1, 10 + i], [2, 11 + i % 3]], [20 + i % 5, 21]) for i in range(60)]
    check(*world, set(range(200)), clauses, 4, Grain(2, 1, 4, 32))


def test_a_list_that_was_not_needed_for_some_words_is_read_on_from_the_right_place():
    """The rarer group has no slot in words 0 and 2, so nothing reads the other one there."""
    terms = {slot: {1} for slot in range(256)} | {slot: {1, 2} for slot in [64, 70, 100, 192, 255]}
    inverted = Inverted(dense_share=1)
    inverted.reserve(256)
    inverted.replace(pairs({}, []), pairs(terms, terms))
    for lookup in (0, 1_000_000):
        check(inverted, terms, set(range(256)), [clause([[1], [2]]), clause([[2]], [1])], 4, Grain(1, 1, 9, lookup))


def test_a_clause_of_ten_thousand_terms_is_answered():
    rng = np.random.default_rng(3)
    slots, words = 12_800, 200
    terms = {slot: {int(number)} for slot, number in enumerate(rng.integers(0, 30_000, slots))}
    inverted = Inverted()
    inverted.reserve(slots)
    inverted.replace(pairs({}, []), pairs(terms, terms))
    wanted, barred = np.split(rng.permutation(30_000)[:20_000], 2)
    check(inverted, terms, set(range(slots)), [clause([wanted], barred[:100]), clause([], barred)], words)


def test_a_batch_of_no_clauses_and_an_index_without_slots_give_nothing(world):
    check(*world, set(), [], 4)
    assert evaluate(
        Inverted(), [None, clause([[1]])], np.empty(0, np.uint64), np.empty((2, 0), np.uint64)
    ).tolist() == [0, 0]


def test_bitmaps_too_short_for_the_slots_are_refused(world):
    with pytest.raises(IndexInputError, match="bitmaps of 3 words for 200 slots"):
        evaluate(world[0], [None], np.zeros(3, np.uint64), np.zeros((1, 3), np.uint64))


@pytest.mark.parametrize("change", [{"stretch_words": 0}, {"part_words": 0}, {"most_unions": 0}, {"lookup": -1}])
def test_a_grain_out_of_range_is_refused(change):
    with pytest.raises(ConfigError, match="expected"):
        Grain(**change)
