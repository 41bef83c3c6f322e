"""The term store against a dictionary of sets, through rebuilds and reused slots."""

import numpy as np
import pytest

from gpu_index.bags import bags_of
from gpu_index.terms import TermStore


@pytest.mark.parametrize("rebuild_after", [0, 7, 60, 10**9])
def test_slots_of_every_term_follow_the_writes_whenever_the_store_rebuilds(rebuild_after):
    rng = np.random.default_rng(rebuild_after % 97)
    names = [f"a={i}" for i in range(3)] + [f"b={i}" for i in range(30)]
    store, truth = TermStore(rebuild_after), {}
    for _ in range(120):
        slots = rng.choice(40, rng.integers(0, 6), replace=False)
        rows = [sorted(set(rng.choice(names, rng.integers(0, 6)).tolist())) for _ in slots]
        store.replace(slots, bags_of(rows, len(slots)))
        truth.update(zip(slots.tolist(), rows, strict=True))
        for name in [*names, "unknown=1"]:
            expected = sorted(slot for slot, terms in truth.items() if name in terms)
            assert store.slots(name).tolist() == expected
    for slot, terms in truth.items():
        assert store.terms_of(slot) == terms
    order = np.array(sorted(truth))
    assert store.bags(order).lists() == [truth[slot] for slot in order.tolist()]


def test_a_rebuild_forgets_terms_that_no_row_has_any_more():
    store = TermStore(rebuild_after=100)
    for number in range(500):
        store.replace(np.array([0]), bags_of([[f"job={number}"]], 1))
    assert len(store._names) <= 102
    assert store.slots("job=499").tolist() == [0]
    assert store.slots("job=3").tolist() == []


def test_equal_contents_give_equal_bags_whatever_came_before():
    one, other = TermStore(), TermStore(rebuild_after=0)
    other.replace(np.array([0, 1]), bags_of([["z=1", "a=1"], ["q=1"]], 2))
    for store in (one, other):
        store.replace(np.array([1, 0]), bags_of([["b=1", "a=1"], ["c=1"]], 2))
    for mine, theirs in zip(one.bags(np.array([0, 1])).lists(), other.bags(np.array([0, 1])).lists(), strict=True):
        assert mine == theirs
    assert one.bags(np.array([0, 1])).vocabulary == other.bags(np.array([0, 1])).vocabulary == ["a=1", "b=1", "c=1"]
