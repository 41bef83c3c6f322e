"""Which pairs without hire stand against the hires: the order of sources, the ratio, and what is said about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.linking.no_hires import NoHireConfig, choose_no_hires, draw_jobs, with_no_hires
from graph.linking.pairs import HIRE, link_pairs
from market.errors import ConfigError, DataError


def rng():
    return np.random.default_rng(0)


@given(
    st.integers(1, 20),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from([0.5, 1.0, 5.0]),
    st.sampled_from([0.0, 1.0, np.inf]),
    st.permutations(["applications", "impressions", "sampled"]),
)
def test_with_sampling_the_ratio_is_met_and_pairs_weigh_as_much_as_hires(hires, applied, shown, per, observed, order):
    offered = {"applications": applied, "impressions": shown}
    chosen = choose_no_hires(hires, offered, NoHireConfig(per, tuple(order), observed), rng())
    wanted = max(1, round(per * hires))
    taken = sum(map(len, chosen.rows.values()))
    assert taken + len(chosen.sampled) == wanted
    assert taken <= observed * hires
    assert chosen.weight * wanted == pytest.approx(hires)
    for name, rows in chosen.rows.items():
        assert len(set(rows.tolist())) == len(rows)
        assert (rows < offered[name]).all()
    each = np.bincount(chosen.sampled, minlength=hires)
    assert each.max() - each.min() <= 1


def test_an_earlier_source_is_used_up_before_the_next():
    offered = {"applications": 7, "impressions": 100}
    chosen = choose_no_hires(2, offered, NoHireConfig(5), rng())
    assert {name: len(rows) for name, rows in chosen.rows.items()} == {"applications": 7, "impressions": 3}
    assert chosen.words == "applications 3.5, impressions 1.5 a hire; each counts 0.2"


def test_without_sampling_what_is_there_weighs_more():
    chosen = choose_no_hires(10, {"applications": 20}, NoHireConfig(5, ("applications",)), rng())
    assert len(chosen.sampled) == 0
    assert chosen.weight == 0.5
    assert chosen.words == "applications 2 a hire; each counts 0.5"


def test_no_pair_without_hire_at_all_is_refused():
    with pytest.raises(DataError, match="add the source 'sampled'"):
        choose_no_hires(10, {}, NoHireConfig(5, ("impressions",)), rng())


def test_pairs_are_completed_with_the_seekers_of_hires_and_jobs_by_share():
    bags = [["skill=a"], ["skill=b"]]
    pairs = link_pairs(
        bags, bags, [0, 1, 0], [0, 1, 1], [True, True, False], source=[0, 0, 0], sources=("impressions",)
    )
    found, words = with_no_hires(pairs, NoHireConfig(2), rng(), share=np.array([0.0, 3.0]))
    assert words == "impressions 0.5, sampled 1.5 a hire; each counts 0.5"
    assert found.hired.tolist() == [True, True, False, False, False, False]
    assert found.seeker[:3].tolist() == [0, 1, 0]
    assert sorted(found.seeker[3:].tolist()) in ([0, 0, 1], [0, 1, 1])
    assert found.job.tolist() == [0, 1, 1, 1, 1, 1]
    assert found.weight.tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5]
    named = [found.sources[i] if i != HIRE else "hire" for i in found.source]
    assert named == ["hire", "hire", "impressions", "sampled", "sampled", "sampled"]


def test_the_same_seed_chooses_the_same_pairs():
    bags = [[f"skill={i}"] for i in range(30)]
    rows = np.arange(30)
    pairs = link_pairs(bags, bags, rows, rows, np.ones(30, bool))
    first, again = (with_no_hires(pairs, NoHireConfig(3), rng())[0] for _ in range(2))
    np.testing.assert_array_equal(first.job, again.job)
    np.testing.assert_array_equal(first.seeker, again.seeker)


def test_pairs_without_hires_are_refused():
    with pytest.raises(DataError, match="no hire to learn links from"):
        with_no_hires(link_pairs([["skill=a"]], [["skill=a"]], [0], [0], [False]), NoHireConfig(), rng())


@pytest.mark.parametrize("share", [np.zeros(3), np.array([1.0, -1, 1]), np.ones(2), np.array([1, np.nan, 1])])
def test_impossible_shares_of_open_jobs_are_refused(share):
    with pytest.raises(DataError, match="open jobs"):
        draw_jobs(5, 3, share, rng())


@pytest.mark.parametrize(
    "setting",
    [
        {"per_hire": 0},
        {"per_hire": np.inf},
        {"sources": ()},
        {"sources": ("rumours",)},
        {"sources": ("sampled", "sampled")},
        {"observed_per_hire": -1},
        {"observed_per_hire": np.nan},
    ],
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError):
        NoHireConfig(**setting)
