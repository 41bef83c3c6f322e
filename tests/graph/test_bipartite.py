"""Instances and their graph: what was known before, what came after, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.bipartite import (
    ATTRIBUTES,
    HELD_BY,
    HIRED_INTO,
    Examples,
    examples_from_careers,
    hetero_data,
    history_edges,
    latest_of_careers,
)
from market.careers import Careers
from market.errors import DataError
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


SMALL = careers_of([(1980, 0), (1981, 0), (1984, 3)], [(1990, 5)], [(1985, 2), (1986, 4)])


def test_every_pair_of_consecutive_observations_is_an_instance():
    examples = examples_from_careers(SMALL)
    assert examples.person.tolist() == [0, 0, 2]
    assert examples.current.tolist() == [0, 0, 2]
    assert examples.target.tolist() == [0, 3, 4]
    assert examples.changed.tolist() == [False, True, True]
    assert examples.first.tolist() == [True, False, True]
    assert examples.year.tolist() == [1981.5, 1984.5, 1986.5]


def test_schooling_is_that_of_the_earlier_observation():
    assert examples_from_careers(SMALL).education_years.tolist() == [10, 11, 14]


def test_instances_of_the_latest_state_have_no_outcome():
    examples = latest_of_careers(SMALL, np.array([2, 1]))
    assert examples.current.tolist() == [4, 5]
    assert examples.lengths.tolist() == [2, 1]
    assert examples.year.tolist() == [1987.5, 1991.5]
    assert examples.target.tolist() == [-1, -1]
    assert not examples.changed.any()


def test_history_edges_run_from_the_newest_and_stop_at_the_longest():
    examples = examples_from_careers(careers_of([(1980 + t, t) for t in range(6)])).take(slice(4, 5))
    instance, item, rank = history_edges(examples, longest=3)
    assert instance.tolist() == [0, 0, 0]
    assert examples.item_occupation[item].tolist() == [4, 3, 2]
    assert rank.tolist() == [0, 1, 2]


def test_attributes_speak_of_the_career_only():
    assert ATTRIBUTES == ("education_years", "year", "log_items", "years_since_current", "log_run", "log_occupations")
    row = hetero_data(examples_from_careers(SMALL), 6)["seeker"].x[1]
    assert row.tolist() == pytest.approx([11, 1984.5, np.log(3), 3, np.log(3), np.log(2)], rel=1e-6)


def test_unknown_occupation_and_no_history_go_to_the_extra_segment():
    examples = Examples(
        person=np.array([0, 1], np.int32),
        start=np.array([0, 2]),
        stop=np.array([2, 2]),
        item_occupation=np.array([1, 9], np.int32),
        item_year=np.array([2000, 2001], np.float32),
        year=np.array([2002, 2002], np.float32),
        education_years=np.array([np.nan, 12], np.float32),
        target=np.array([3, -1], np.int32),
    )
    data = hetero_data(examples, 6)
    assert data["seeker"].current.tolist() == [6, 6]
    assert data[HELD_BY].edge_index.tolist() == [[6, 1], [0, 0]]
    assert data[HIRED_INTO].edge_label_index.tolist() == [[0], [3]]


def test_message_and_label_edges_never_share_a_name():
    data = hetero_data(examples_from_careers(SMALL), 6)
    assert "edge_label_index" not in data[HELD_BY]
    assert "edge_index" not in data[HIRED_INTO]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=1, max_size=6), st.integers(1, 9))
def test_every_message_edge_is_older_than_the_label_edge_of_its_instance(lives, longest):
    careers = careers_of(*[[(1980 + t, o) for t, o in enumerate(life)] for life in lives])
    examples = examples_from_careers(careers)
    data = hetero_data(examples, 6, longest)
    years_ago = data[HELD_BY].edge_attr[:, 1]
    assert (years_ago > 0).all()
    instance, item, _ = history_edges(examples, longest)
    assert (examples.item_year[item] < examples.year[instance]).all()
    outcome_row = careers.pairs() + 1  # the label edge of an instance is this observation
    assert (item < outcome_row[instance]).all()
    assert data[HIRED_INTO].edge_label_index[1].tolist() == careers.occupation[outcome_row].tolist()


def test_history_that_reaches_into_the_outcome_is_refused():
    examples = examples_from_careers(SMALL)
    with pytest.raises(DataError, match="row 1: the newest history item is not older than the outcome"):
        Examples(**{**vars(examples), "stop": examples.stop + np.array([0, 1, 0])})


def test_columns_of_other_lengths_are_refused():
    examples = examples_from_careers(SMALL)
    with pytest.raises(DataError, match="target has 1 rows, person 3"):
        Examples(**{**vars(examples), "target": examples.target[:1]})
