"""Postings and bitmaps after any history hold the pairs that a set of pairs holds."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.cuda import twin
from gpu_index.cuda.clauses import pieces, plan_groups
from gpu_index.cuda.postings import Postings
from gpu_index.engine import NumberedClause, TermPairs

CPU = torch.device("cpu")
SLOTS = 128
terms_of_slot = st.dictionaries(st.integers(0, SLOTS - 1), st.sets(st.integers(0, 5), max_size=4), max_size=30)


def pairs(items):
    array = np.array(sorted(items), np.int64).reshape(-1, 2)
    return TermPairs(array[:, 0], array[:, 1].astype(np.int32))


def slots_of(postings, number):
    """The slots that a clause with this one term gives."""
    plan = plan_groups([NumberedClause((np.array([number], np.int32),), np.array([], np.int32))], postings, 16, CPU)
    groups = twin.or_bitmaps(postings.dense, plan.dense_rows, plan.dense_start)
    twin.or_postings(groups, postings.base_slots, plan.base)
    twin.or_postings(groups, postings.tail_slots, plan.tail)
    return set(twin.bits_of(groups.T)[:, 0].nonzero().flatten().tolist())


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    history=st.lists(st.tuples(terms_of_slot, st.booleans()), max_size=6), rebuild_after=st.sampled_from([0, 8, 999])
)
def test_any_history_leaves_the_pairs_a_set_would_hold(history, rebuild_after):
    postings, truth = Postings(CPU, rebuild_after), set()
    for written, settle in history:
        lost = {pair for pair in truth if pair[0] in written}
        gained = {(slot, number) for slot, own in written.items() for number in own}
        postings.wrote(pairs(lost), pairs(gained))
        truth = truth - lost | gained
        if settle:
            postings.refresh(SLOTS)
    postings.refresh(SLOTS)
    for number in range(7):
        assert slots_of(postings, number) == {slot for slot, own in truth if own == number}


def test_a_frequent_term_has_a_bitmap_and_a_rare_one_has_none():
    postings = Postings(CPU, 0)
    frequent, rare = {(slot, 3) for slot in range(0, 6400, 10)}, {(slot, 9) for slot in range(100)}
    postings.wrote(pairs([]), pairs(frequent | rare))
    postings.refresh(6400)
    assert postings.dense_rows(np.array([3, 9, 1000])).tolist() == [0, -1, -1]
    assert slots_of(postings, 3) == {slot for slot, _ in frequent}


def test_bit_31_of_a_word_is_set_and_cleared_like_any_other():
    words = torch.zeros(2, dtype=torch.int32)
    bits, places = torch.tensor([31, 0, 31], dtype=torch.int32), torch.tensor([0, 0, 1])
    for wanted in (True, True, False, False):
        twin.flip_where_different(words, places, bits, torch.full((3,), wanted))
        assert twin.bits_of(words[:, None]).nonzero()[:, 0].tolist() == ([0, 31, 63] if wanted else [])


def test_long_postings_are_cut_into_pieces():
    cut = pieces(np.array([7, 8, 9]), np.array([0, 50, 60]), np.array([2500, 50, 61]))
    assert cut.tolist() == [[7, 0, 1024], [7, 1024, 1024], [7, 2048, 452], [9, 60, 1]]
    assert len(pieces(np.array([], np.int64), np.array([], np.int64), np.array([], np.int64))) == 0
