"""Terms of slots and their numbers, beside a dictionary of sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index.bags import bags_of
from gpu_index.clause import Clause
from gpu_index.terms import TermStore

TERMS = [f"t={i}" for i in range(12)]
writes = st.lists(
    st.dictionaries(st.integers(0, 20), st.lists(st.sampled_from(TERMS), max_size=6), min_size=1, max_size=8),
    max_size=12,
)


def put(store, rows):
    slots = np.array(list(rows), np.int64)
    return store.replace(slots, bags_of(list(rows.values()), len(rows)))


def named(store, pairs):
    names = store._names
    return {(slot, names[number]) for slot, number in zip(pairs.slots.tolist(), pairs.numbers.tolist(), strict=True)}


@settings(max_examples=200, deadline=None)
@given(writes)
def test_slots_have_the_terms_they_were_given_last(history):
    store, twin = TermStore(), {}
    for rows in history:
        before = {(slot, term) for slot in rows for term in twin.get(slot, ())}
        lost, gained = put(store, rows)
        assert len(lost) == len(before)
        assert named(store, gained) == {(slot, term) for slot, bag in rows.items() for term in bag}
        twin.update({slot: set(bag) for slot, bag in rows.items()})
        for slot in range(22):
            assert store.terms_of(slot) == sorted(twin.get(slot, ()))


def test_a_number_goes_to_another_term_once_its_term_has_left_every_slot():
    store = TermStore()
    put(store, {0: ["old=1"], 1: ["kept=1"]})
    put(store, {0: ["new=1"]})
    put(store, {2: ["next=1"]})
    assert len(store._names) == 3
    assert [store.terms_of(slot) for slot in range(3)] == [["new=1"], ["kept=1"], ["next=1"]]
    assert store.numbered(Clause([["old=1"]])).groups[0].size == 0


def test_unknown_terms_fall_out_of_clauses_and_boosts():
    store = TermStore()
    put(store, {0: ["a=1", "b=1"]})
    numbered = store.numbered(Clause([["a=1", "x=1"], ["x=2"]], none_of=["b=1", "x=3"]))
    assert [len(group) for group in numbered.groups] == [1, 0]
    assert len(numbered.none_of) == 1
    assert store.numbered(None) is None
    assert store.numbered(Clause()) is None
    assert store.numbered_boosts((("x=1", 2.0),)) is None
    boosts = store.numbered_boosts((("a=1", 2.0), ("x=1", 3.0)))
    assert boosts.weights.tolist() == [2.0]


def test_bags_do_not_depend_on_the_order_of_writes():
    one, other = TermStore(), TermStore()
    put(one, {0: ["b=1", "a=1"], 1: ["c=1"]})
    put(other, {1: ["z=1"]})
    put(other, {1: ["c=1"]})
    put(other, {0: ["a=1", "b=1"]})
    first, second = (store.bags(np.array([0, 1])) for store in (one, other))
    assert first.vocabulary == second.vocabulary == ["a=1", "b=1", "c=1"]
    assert first.lists() == second.lists() == [["a=1", "b=1"], ["c=1"]]


def test_the_pool_does_not_grow_with_the_number_of_replacements():
    store = TermStore()
    rng = np.random.default_rng(0)
    for _ in range(300):
        put(store, {slot: [f"t={i}" for i in rng.integers(0, 9, rng.integers(0, 9))] for slot in range(100)})
    assert len(store._pool) < 100 * 9 * 3 + 4096 * 2
