"""Careers read from their end: the same moves, the other way round, and nothing that was not there."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.bipartite import examples_from_careers
from graph.network.augment import backwards, together
from market.careers import Careers
from market.taxonomy import build_taxonomy

TAXONOMY = build_taxonomy("toy", [(str(c), f"Occupation {c}", f"section {c // 2}", "major") for c in range(6)])


def careers_of(*lives):
    """One person per list of (year, occupation)."""
    rows = [(person, year, occupation) for person, life in enumerate(lives) for year, occupation in life]
    person, year, occupation = (np.array(column) for column in zip(*rows, strict=True))
    return Careers(
        person_ids=tuple(f"p{i}" for i in range(len(lives))),
        person=person.astype(np.int32),
        year=year.astype(np.int16),
        occupation=occupation.astype(np.int32),
        education_years=(10 + np.arange(len(rows))).astype(np.float32),
        taxonomy=TAXONOMY,
    )


def told(examples):
    """(person, history oldest first, outcome) of every instance, as a sorted list."""
    items = examples.item_occupation
    slices = zip(examples.person, examples.start, examples.stop, examples.target, strict=True)
    return sorted((int(p), tuple(items[a:b].tolist()), int(t)) for p, a, b, t in slices)


SMALL = careers_of([(1980, 0), (1981, 1), (1984, 3)], [(1990, 5)], [(1985, 2), (1986, 4)])


def test_a_career_is_told_from_its_end():
    assert told(backwards(examples_from_careers(SMALL))) == [(0, (3,), 1), (0, (3, 1), 0), (2, (4,), 2)]


def test_years_are_mirrored_inside_the_career():
    mirrored = backwards(examples_from_careers(SMALL))
    assert mirrored.item_year[:3].tolist() == [1980.5, 1983.5, 1984.5]
    assert mirrored.year.tolist() == [1983.5, 1984.5, 1986.5]


def test_schooling_is_the_one_known_at_the_observation():
    # Careers give 10, 11 at the first two observations of person 0; that of the last is known to no instance.
    assert backwards(examples_from_careers(SMALL)).education_years.tolist() == [11, 11, 14]


def test_somebody_without_a_history_has_nothing_to_read_backwards():
    examples = examples_from_careers(SMALL)
    assert len(backwards(replace(examples, start=examples.stop))) == 0


def test_observations_of_one_moment_tell_no_order():
    examples = examples_from_careers(careers_of([(1980, 0), (1981, 1), (1984, 3)]))
    at_once = replace(examples, item_year=np.array([1980.5, 1980.5, 1984.5], np.float32))
    assert told(backwards(at_once)) == [(0, (3,), 1)]


lives = st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=7), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(lives)
def test_reading_backwards_twice_is_reading_forwards(occupations):
    examples = examples_from_careers(careers_of(*[[(1980 + t, o) for t, o in enumerate(life)] for life in occupations]))
    assert told(backwards(backwards(examples))) == told(examples)


@settings(max_examples=40, deadline=None)
@given(lives)
def test_both_readings_together_keep_their_histories(occupations):
    examples = examples_from_careers(careers_of(*[[(1980 + t, o) for t, o in enumerate(life)] for life in occupations]))
    mirrored = backwards(examples)
    assert told(together(examples, mirrored)) == sorted(told(examples) + told(mirrored))
