"""The privacy floor on tables small enough to check by hand, and against a linear program that tries to undo it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from graph.fairness.privacy import PrivacyFloor, people_by_group
from market.errors import ConfigError

FLOOR = PrivacyFloor(20)


def test_a_table_without_a_small_cell_is_shown_whole():
    assert FLOOR.withheld(np.array([[20, 30, 40]])).tolist() == [False, False, False]


def test_a_small_cell_takes_the_next_smallest_with_it():
    assert FLOOR.withheld(np.array([[100, 19, 40, 30]])).tolist() == [False, True, False, True]


def test_two_small_cells_that_sum_to_little_take_a_third():
    assert FLOOR.withheld(np.array([[100, 9, 10, 30]])).tolist() == [False, True, True, True]
    assert FLOOR.withheld(np.array([[100, 19, 10, 30]])).tolist() == [False, True, True, False]


def test_an_empty_cell_is_small():
    assert FLOOR.withheld(np.array([[0, 50, 60]])).tolist() == [True, True, False]


def test_of_two_groups_one_small_hides_both():
    assert FLOOR.withheld(np.array([[500, 3]])).all()


def range_of_cell(table, hidden, cell):
    """Smallest and largest value a withheld cell can have for one who knows all margins and all cells shown."""
    free = [(r, c) for r in range(table.shape[0]) for c in np.flatnonzero(hidden)]
    rows, sums = [], []
    for r in range(table.shape[0]):
        rows.append([float(at[0] == r) for at in free])
        sums.append(table[r, hidden].sum())
    for c in np.flatnonzero(hidden):
        rows.append([float(at[1] == c) for at in free])
        sums.append(table[:, c].sum())
    goal = np.array([float(at == cell) for at in free])
    found = [linprog(sign * goal, A_eq=rows, b_eq=sums, bounds=(0, None)) for sign in (1, -1)]
    assert all(answer.success for answer in found)
    return found[0].fun, -found[1].fun


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, (2, 4), elements=st.integers(1, 60)))
def test_no_withheld_cell_follows_from_the_margins(table):
    hidden = FLOOR.withheld(table)
    assert not (table[:, ~hidden] < 20).any()
    for cell in [(r, c) for r in range(2) for c in np.flatnonzero(hidden)]:
        low, high = range_of_cell(table, hidden, cell)
        assert high - low >= 1 - 1e-6


def membership(counts, extra=200):
    """(member bool[s, p], group int[p]) with counts[s][g] people of group g in segment s, everybody in at most one."""
    rows, group = [], []
    for s, row in enumerate(counts):
        for g, n in enumerate(row):
            rows += [s] * n
            group += [g] * n
    for g in range(len(counts[0])):
        rows += [-1] * extra
        group += [g] * extra
    member = np.array(rows)[None] == np.arange(len(counts))[:, None]
    return member, np.array(group)


def test_segments_with_small_cells_are_pooled_and_the_others_shown():
    member, group = membership([[30, 30], [15, 40], [40, 12], [50, 50]])
    assert FLOOR.pooled(member, group, 2).tolist() == [False, True, True, False]
    assert FLOOR.shown_rest(member[1:3], group, 2)


def test_one_small_segment_alone_would_be_the_margin_less_the_others_so_the_next_smallest_joins():
    member, group = membership([[30, 30], [15, 40], [25, 60], [50, 50]])
    assert FLOOR.pooled(member, group, 2).tolist() == [False, True, True, False]


def test_a_pool_that_is_small_itself_grows():
    member, group = membership([[30, 30], [5, 40], [6, 40], [50, 50]])
    assert FLOOR.pooled(member, group, 2).tolist() == [True, True, True, False]


def test_the_same_people_in_two_segments_are_counted_once():
    member, group = membership([[15, 40], [15, 40], [30, 30]])
    assert FLOOR.pooled(member, group, 2).tolist() == [True, True, False]
    again = np.stack([member[0], member[0], member[2]])
    assert FLOOR.pooled(again, group, 2).tolist() == [True, True, True], "30 of a group were only 15 people"


def test_a_segment_that_holds_nearly_everybody_of_a_group_is_small_for_those_left_out():
    member, group = membership([[30, 90], [40, 60], [40, 60]], extra=0)
    assert not FLOOR.pooled(member, group, 2).any()
    nearly = np.stack([np.ones(len(group), bool), member[1], member[2]])
    assert FLOOR.pooled(nearly, group, 2)[0]


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, (6, 2), elements=st.integers(0, 60)))
def test_whatever_is_shown_of_segments_is_large_and_never_a_single_one_is_left_over(counts):
    member, group = membership(counts.tolist())
    hidden = FLOOR.pooled(member, group, 2)
    people = people_by_group(member, group, 2)
    assert (people[~hidden] >= 20).all()
    assert hidden.sum() != 1
    if hidden.any() and not hidden.all():
        assert (people[hidden].sum(axis=0) >= 20).all()


def test_a_floor_below_one_is_refused():
    with pytest.raises(ConfigError, match="smallest cell"):
        PrivacyFloor(0)
