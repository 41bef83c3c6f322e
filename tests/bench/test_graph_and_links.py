"""The table of network and links, on four changes that can be checked by hand."""

import numpy as np
import pytest

from bench.graph_and_links import BOTH, LINKS, NETWORK, RESCALED, Sides, compare, fit_blends, show
from graph.bipartite import Examples
from graph.combined import Blend

C = 4


def sides():
    """Four people of occupation 0 who move into 1, 2, 3 and an occupation no model knows.

    The network ranks 1, 2, 3 as 3rd, 1st and 2nd; links lead everybody to 1 and to 3, with more weight to 1.
    """
    n = 4
    network = np.log(np.array([[1e-9, 0.2, 0.5, 0.3]] * n))
    network[:, 0] = -np.inf
    popularity = np.log(np.array([[0.4, 0.1, 0.2, 0.3]] * n))
    popularity[:, 0] = -np.inf
    examples = Examples(
        person=np.arange(n, dtype=np.int32),
        start=np.arange(n),
        stop=np.arange(n) + 1,
        item_occupation=np.zeros(n, np.int32),
        item_year=np.full(n, 2000, np.float32),
        year=np.full(n, 2001, np.float32),
        education_years=np.full(n, 12, np.float32),
        target=np.array([1, 2, 3, C], np.int32),
    )
    return Sides(examples, np.ones(C, bool), network, popularity, np.array([[0.0, 2.0, 0.0, 1.0]] * n))


BLENDS = {NETWORK: Blend(1.0, 0.0), RESCALED: Blend(0.5, 0.0), LINKS: Blend(1.0, 1.0), BOTH: Blend(1.0, 1.0)}


@pytest.fixture(scope="module")
def result():
    return compare(sides(), BLENDS, np.random.default_rng(0))


def test_ranks_are_reciprocal_over_all_changes_and_an_unknown_outcome_counts_as_missed(result):
    network = result["table"][NETWORK]
    assert network["changes"]["n"] == 4
    assert network["changes"]["mrr"] == pytest.approx((1 / 3 + 1 + 1 / 2 + 0) / 4)
    # e^2 .2 = 1.48, .5 and e .3 = .82: the links put 1 before 3 before 2
    assert result["table"][BOTH]["changes"]["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2 + 0) / 4)


def test_slices_say_where_links_fire_and_who_is_first_among_the_linked(result):
    assert result["covered"]["changes"] == pytest.approx(2 / 4)  # outcomes 1 and 3
    assert result["covered"]["pairs"] == pytest.approx(2 / 3)
    for name, fires, inside, none in ((NETWORK, 5 / 12, 3 / 4, 1), (BOTH, 3 / 4, 3 / 4, 1 / 3)):
        row = result["table"][name]
        assert row["fires"]["mrr"] == pytest.approx(fires)
        assert row["inside_links"]["mrr"] == pytest.approx(inside)
        assert row["none_fires"]["mrr"] == pytest.approx(none)


def test_log_loss_is_of_outcomes_the_training_data_knows(result):
    assert result["table"][NETWORK]["log_loss"] == pytest.approx(-np.log([0.2, 0.5, 0.3]).mean(), abs=1e-6)


def test_differences_are_paired_with_the_network(result):
    for metric in ("mrr", "recall@10", "log_loss"):
        assert result["table"][NETWORK]["against_network"][metric]["mean"] == 0
    both = result["table"][BOTH]["against_network"]["mrr"]
    assert both["mean"] == pytest.approx(0.0)
    assert both["ci95"][0] < 0 < both["ci95"][1]


def test_blends_are_fitted_on_known_outcomes():
    found = fit_blends(sides())
    assert set(found) == set(BLENDS)
    assert found[NETWORK] == Blend(1.0, 0.0)
    assert found[RESCALED].beta == 0


def test_the_table_has_a_row_for_each_and_one_width(result):
    shown = show(result | {"links": 2, "blends": {n: {"scale": b.scale, "beta": b.beta} for n, b in BLENDS.items()}})
    assert [row[0] for row in shown[1:]] == [*BLENDS, "share of changes"]
    assert len({len(row) for row in shown}) == 1
