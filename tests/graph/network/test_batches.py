"""What a training step sees, on the smallest careers."""

import numpy as np
import pytest

from graph.bipartite import HELD_BY, examples_from_careers, hetero_data
from graph.network.batches import Weighted, forget, hide_items, relative_weights, split_by_person
from market.careers import Careers
from market.errors import DataError
from market.taxonomy import build_taxonomy

C = 6
TAXONOMY = build_taxonomy("toy", [(str(c), f"Occupation {c}", f"section {c // 2}", "major") for c in range(C)])


def lives(persons=60, years=5, seed=0):
    rng = np.random.default_rng(seed)
    return Careers(
        person_ids=tuple(map(str, range(persons))),
        person=np.repeat(np.arange(persons), years).astype(np.int32),
        year=np.tile(np.arange(1990, 1990 + years), persons).astype(np.int16),
        occupation=rng.integers(0, C, persons * years).astype(np.int32),
        education_years=np.full(persons * years, 12, np.float32),
        taxonomy=TAXONOMY,
    )


EXAMPLES = examples_from_careers(lives())


def test_held_out_persons_are_wholly_held_out():
    split = split_by_person(Weighted(EXAMPLES), 0.2, 1, np.random.default_rng(0))
    train, held_out = (part.examples for part in split)
    assert len(np.unique(held_out.person)) == 12
    assert not set(train.person) & set(held_out.person)
    assert len(train) + len(held_out) == len(EXAMPLES)


def test_nobody_is_held_out_for_a_handful_of_changes():
    train, held_out = split_by_person(Weighted(EXAMPLES), 0.2, 1000, np.random.default_rng(0))
    assert len(train) == len(EXAMPLES)
    assert len(held_out) == 0


def test_weights_follow_their_instances_through_a_split():
    weights = EXAMPLES.person.astype(np.float32)
    for part in split_by_person(Weighted(EXAMPLES, weights), 0.3, 1, np.random.default_rng(1)):
        assert part.weights.tolist() == part.examples.person.tolist()


def test_weights_of_instances_without_an_outcome_do_not_count_in_the_mean():
    used = np.array([True, False, True])
    assert relative_weights(np.array([1, 100, 3]), used).tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), "one weight an instance"),
        (np.array([1, 1, 1, 1, -1.0]), "weights, row 4: -1.0 is no weight"),
        (np.array([1, np.nan, 1, 1, 1]), "row 1: nan"),
        (np.array([0, 0, 0, 0, 5.0]), "sum to 0"),
    ],
)
def test_numbers_that_can_not_be_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        relative_weights(weights, np.array([True, True, True, True, False]))


def test_careers_read_backwards_count_what_they_are_told():
    plain, mixed = Weighted(EXAMPLES), Weighted(EXAMPLES).with_backwards(0.25)
    assert plain.with_backwards(0) is plain
    assert len(mixed) == 2 * len(EXAMPLES)
    assert mixed.weights[: len(EXAMPLES)].tolist() == [1] * len(EXAMPLES)
    assert mixed.weights[len(EXAMPLES) :].tolist() == [0.25] * len(EXAMPLES)


def test_who_forgets_forgets_everything_but_the_outcome():
    batch = forget(Weighted(EXAMPLES), np.random.default_rng(0), 0.5).examples
    gone = batch.lengths == 0
    assert 0.35 < gone.mean() < 0.65
    np.testing.assert_array_equal(batch.lengths[~gone], EXAMPLES.lengths[~gone])
    np.testing.assert_array_equal(batch.target, EXAMPLES.target)


def test_the_newest_item_is_never_hidden():
    rng = np.random.default_rng(0)
    data = hide_items(hetero_data(EXAMPLES, C), rng, 1.0)
    assert data[HELD_BY].edge_attr[:, 0].tolist() == [0] * len(EXAMPLES)
    some = hide_items(hetero_data(EXAMPLES, C), rng, 0.5)[HELD_BY]
    older = hetero_data(EXAMPLES, C)[HELD_BY].edge_attr[:, 0] > 0
    assert (some.edge_attr[:, 0] > 0).sum() / older.sum() == pytest.approx(0.5, abs=0.1)
