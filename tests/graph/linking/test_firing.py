"""Firing beside the subset test pair by pair, and which of nested links are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.linking.firing import LinkTokens, count_firings, fires, tokens_of
from graph.linking.pairs import link_pairs
from graph.linking.redundancy import shortest
from graph.links import LinkSet, conjunction, link_id
from market.errors import DataError

VALUES = st.sets(st.sampled_from([f"skill={letter}" for letter in "abcdef"]), max_size=4)
SIDES = st.sets(st.sampled_from([f"skill={letter}" for letter in "abcdefz"]), min_size=1, max_size=3)


@st.composite
def worlds(draw):
    seekers = draw(st.lists(VALUES, min_size=1, max_size=5))
    jobs = draw(st.lists(VALUES, min_size=1, max_size=5))
    rows = st.tuples(st.integers(0, len(seekers) - 1), st.integers(0, len(jobs) - 1), st.booleans())
    pairs = draw(st.lists(rows, min_size=1, max_size=12))
    links = draw(st.lists(st.tuples(SIDES, SIDES), max_size=12, unique_by=lambda link: tuple(map(conjunction, link))))
    return seekers, jobs, pairs, links


def links_of(sides):
    seeker, job = ([conjunction(link[side]) for link in sides] for side in (0, 1))
    n = len(sides)
    ids = tuple(link_id(a, b) for a, b in zip(seeker, job, strict=True))
    return LinkSet(ids, tuple(seeker), tuple(job), np.ones(n), np.zeros(n, int), np.zeros(n, int))


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_a_link_fires_where_both_sides_are_covered_and_is_counted_there(world):
    seekers, jobs, rows, sides = world
    seeker, job, hired = (np.array(column) for column in zip(*rows, strict=True))
    weight = np.linspace(0.5, 2, len(rows))
    everything = {f"skill={letter}" for letter in "abcdef"}  # nobody's, but in the vocabulary
    pairs = link_pairs([*seekers, everything], [*jobs, everything], seeker, job, hired, weight)
    expected = np.array([[a <= seekers[s] and b <= jobs[j] for a, b in sides] for s, j, _ in rows], bool).reshape(
        len(rows), len(sides)
    )
    tokens = tokens_of(links_of(sides), pairs)
    design = fires(tokens, pairs)
    assert design.has_sorted_indices
    np.testing.assert_array_equal(design.toarray(), expected)
    counted = count_firings(tokens, pairs)
    assert counted.hires.tolist() == expected[hired].sum(0).tolist()
    assert counted.no_hires.tolist() == expected[~hired].sum(0).tolist()
    assert counted.no_hire_weight == pytest.approx(weight[~hired] @ expected[~hired])
    columns = [tuple(column) for column in expected.T]
    for i in range(len(sides)):
        for j in range(i):
            assert (counted.signature[i] == counted.signature[j]) == (columns[i] == columns[j])

    kept = shortest(tokens, counted.signature)
    for i, (a, b) in enumerate(sides):
        shorter = any(
            columns[i] == columns[j] and c <= a and d <= b for j, (c, d) in enumerate(sides) if (a, b) != (c, d)
        )
        assert kept[i] == (not shorter)


def test_links_of_values_nobody_has_never_fire():
    pairs = link_pairs([["skill=a"]], [["skill=b"]], [0], [0], [True])
    tokens = tokens_of(links_of([({"skill=a"}, {"skill=unheard"}), ({"skill=a"}, {"skill=b"})]), pairs)
    assert fires(tokens, pairs).toarray().tolist() == [[0, 1]]


def test_of_links_that_fire_on_the_same_pairs_but_are_not_nested_both_stay():
    pairs = link_pairs([["skill=a", "skill=b"]], [["skill=c"]], [0], [0], [True])
    tokens = tokens_of(
        links_of([({"skill=a"}, {"skill=c"}), ({"skill=b"}, {"skill=c"}), ({"skill=a", "skill=b"}, {"skill=c"})]), pairs
    )
    assert shortest(tokens, count_firings(tokens, pairs).signature).tolist() == [True, True, False]


def test_a_link_without_values_on_one_side_is_refused():
    tokens = tokens_of(links_of([({"skill=a"}, {"skill=b"})]), link_pairs([["skill=a"]], [["skill=b"]], [0], [0], [1]))
    with pytest.raises(DataError, match="the job side is empty"):
        LinkTokens(tokens.seeker, tokens_of(links_of([({"skill=a"}, set())]), PAIRS).job)


PAIRS = link_pairs([["skill=a"]], [["skill=b"]], [0], [0], [True])
