"""Targeting with links, beside the same rules written plainly and beside the index that serves them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_index import Clause, Index
from graph.linking.reach import LinkReach, Lists, Pruning, lists_of
from graph.linking.subsets import SubsetIndex
from graph.links import LinkSet, conjunction, link_id
from market.errors import ConfigError, DataError

ATTRIBUTES = ("a=1", "a=2", "b=1", "b=2", "c=1")
UNITS = ("mappings", "links")


def link_set(*rows):
    """LinkSet from (seeker side, job side, weight), best weight first."""
    rows = sorted(rows, key=lambda row: (-row[2], row[0], row[1]))
    return LinkSet(
        tuple(link_id(seeker, job) for seeker, job, _ in rows),
        tuple(conjunction(seeker) for seeker, _, _ in rows),
        tuple(conjunction(job) for _, job, _ in rows),
        np.array([weight for _, _, weight in rows], float),
        np.full(len(rows), 5),
        np.full(len(rows), 1),
    )


# Cooks: the mean of 3 and 1 is 2; people of the kitchen who went to school: 2.5; of the kitchen: .5
COOK, KITCHEN, SCHOOL = "occupation=cook", "section=kitchen", "education=>16"
HAND = link_set(
    ([COOK], ["j=baker"], 3.0),
    ([KITCHEN, SCHOOL], ["j=chef"], 2.5),
    ([COOK], ["j=waiter"], 1.0),
    ([KITCHEN], ["j=clerk"], 0.5),
)
PERSON = [COOK, KITCHEN, SCHOOL]
JOBS = [["j=baker"], ["j=waiter"], ["j=chef"], ["j=clerk"], ["j=pilot"]]
ALL = lists_of([range(5)])


def kept_links(links, pruning, seekers=(PERSON,), campaigns=JOBS, in_reach=ALL):
    reach = LinkReach(links)
    kept = reach.prune(reach.mappings(seekers), campaigns, in_reach, pruning)
    return [[links.job[link][0] for link in row] for row in kept]


def test_the_score_of_a_segment_is_the_mean_weight_of_its_links_and_the_best_comes_first():
    reach = LinkReach(HAND)
    assert reach.segments == ((SCHOOL, KITCHEN), (COOK,), (KITCHEN,))
    assert reach.score.tolist() == [2.5, 2.0, 0.5]
    assert [row.tolist() for row in reach.mappings([PERSON, [KITCHEN], []])] == [[0, 1, 2], [2], []]


def test_mappings_are_restored_by_mean_score_until_the_seeker_reaches_enough():
    wanted = [kept_links(HAND, Pruning("mappings", count, "count"))[0] for count in range(6)]
    assert wanted[0] == []
    assert wanted[1] == ["j=chef"]
    assert wanted[2] == wanted[3] == ["j=baker", "j=chef", "j=waiter"]  # one mapping brings two jobs
    assert wanted[4] == wanted[5] == ["j=baker", "j=chef", "j=waiter", "j=clerk"]


def test_links_are_restored_one_by_one_by_weight():
    wanted = [kept_links(HAND, Pruning("links", count, "count"))[0] for count in range(5)]
    assert wanted == [["j=baker", "j=chef", "j=waiter", "j=clerk"][:count] for count in range(5)]


def test_a_share_counts_the_campaigns_that_pass_the_filters():
    # 3 of the 5 campaigns pass; a third of them is 1
    near = lists_of([[1, 2, 4]])
    assert kept_links(HAND, Pruning("links", 1 / 3), in_reach=near) == [["j=baker", "j=chef"]]
    assert kept_links(HAND, Pruning("links", 0.4), in_reach=near) == [["j=baker", "j=chef", "j=waiter"]]


def test_campaigns_out_of_reach_make_no_liquidity():
    nobody = lists_of([[]])
    assert kept_links(HAND, Pruning("links", 0.5), in_reach=nobody) == [[]]
    assert len(kept_links(HAND, Pruning("links", 1, "count"), in_reach=nobody)[0]) == 4


def test_a_starving_campaign_keeps_its_best_seekers():
    seekers = [PERSON, [KITCHEN], [COOK]]
    everything = lists_of([range(5)] * 3)
    kept = kept_links(HAND, Pruning("links", 0, phi=1), seekers, JOBS, everything)
    assert kept == [["j=baker", "j=chef", "j=waiter", "j=clerk"], [], []]
    kept = kept_links(HAND, Pruning("links", 0, phi=2), seekers, JOBS, everything)
    assert kept == [["j=baker", "j=chef", "j=waiter", "j=clerk"], ["j=clerk"], ["j=baker", "j=waiter"]]


@pytest.mark.parametrize("unit", UNITS)
def test_an_empty_set_of_links_reaches_nothing(unit):
    assert kept_links(HAND.take([]), Pruning(unit, math.inf, phi=3)) == [[]]
    assert kept_links(HAND, Pruning(unit), seekers=[], in_reach=lists_of([])) == []
    assert kept_links(HAND, Pruning(unit, phi=2), campaigns=[], in_reach=lists_of([[]])) == [[]]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"unit": "guess"}, "mappings or links"), ({"theta": -0.1}, "theta"), ({"theta": math.nan}, "theta"),
     ({"theta_is": "euro"}, "share or count"), ({"phi": -1}, "phi")],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong, word):
    with pytest.raises(ConfigError, match=word):
        Pruning(**wrong)


def test_seekers_and_reach_of_different_length_are_refused():
    reach = LinkReach(HAND)
    with pytest.raises(DataError, match="align"):
        reach.prune(reach.mappings([PERSON]), JOBS, lists_of([[0], [1]]))


# ---- the same rules, slow and plain

sides = st.sets(st.sampled_from(ATTRIBUTES), min_size=1, max_size=3).map(conjunction)
link_sets = st.lists(st.tuples(sides, sides, st.sampled_from([0.5, 1.0, 1.5, 2.0])), max_size=8).map(
    lambda rows: link_set(*{(seeker, job): (seeker, job, weight) for seeker, job, weight in rows}.values())
)


@st.composite
def worlds(draw):
    links = draw(link_sets)
    seekers = draw(st.lists(st.sets(st.sampled_from(ATTRIBUTES)).map(sorted), max_size=5))
    campaigns = draw(st.lists(st.sets(st.sampled_from(ATTRIBUTES)).map(sorted), max_size=6))
    possible = st.sets(st.integers(0, len(campaigns) - 1)).map(sorted) if campaigns else st.just([])
    return links, seekers, campaigns, [draw(possible) for _ in seekers]


def fires(links, link, seeker, campaign):
    return set(links.seeker[link]) <= set(seeker) and set(links.job[link]) <= set(campaign)


def reaches(links, chosen, seeker, campaigns, near):
    return {c for c in near if any(fires(links, link, seeker, campaigns[c]) for link in chosen)}


def units_of(links, unit):
    """(score, links) of every unit, best first; of equal ones as the fast path numbers them."""
    if unit == "links":
        return [(links.weight[i], [i]) for i in range(len(links))]
    found = {side: [i for i in range(len(links)) if links.seeker[i] == side] for side in links.seeker}
    scored = sorted((-links.weight[of].mean(), side) for side, of in found.items())
    return [(-score, found[side]) for score, side in scored]


def slow_prune(links, seekers, campaigns, in_reach, pruning):
    units = units_of(links, pruning.unit)
    mine = [[u for u, (_, of) in enumerate(units) if set(links.seeker[of[0]]) <= set(s)] for s in seekers]
    kept = []
    for seeker, have, near in zip(seekers, mine, in_reach, strict=True):
        wanted = pruning.theta * len(near) if pruning.theta_is == "share" and near else pruning.theta
        if pruning.theta_is == "share" and not near and pruning.theta < math.inf:
            wanted = 0
        chosen = []
        for u in have:
            of = [link for v in chosen for link in units[v][1]]
            if len(reaches(links, of, seeker, campaigns, near)) >= wanted:
                break
            chosen.append(u)
        kept.append(set(chosen))
    for c in range(len(campaigns)):
        best = []
        for s, (seeker, near) in enumerate(zip(seekers, in_reach, strict=True)):
            leading = [u for u in mine[s] if reaches(links, units[u][1], seeker, campaigns, set(near) & {c})]
            if leading:
                best.append((leading[0], s))
        for u, s in sorted(best)[: pruning.phi]:
            kept[s].add(u)
    return [sorted({link for u in chosen for link in units[u][1]}) for chosen in kept]


def fast_prune(links, seekers, campaigns, in_reach, pruning):
    reach = LinkReach(links)
    return reach.prune(reach.mappings(seekers), campaigns, lists_of(in_reach), pruning)


@settings(max_examples=100, deadline=None)
@given(link_sets, st.lists(st.sets(st.sampled_from((*ATTRIBUTES, "d=9"))).map(sorted), max_size=5))
def test_the_segments_of_a_seeker_are_those_that_trying_every_one_finds(links, seekers):
    reach = LinkReach(links)
    plain = SubsetIndex(reach.segments)
    assert [row.tolist() for row in reach.mappings(seekers)] == [plain.covered_by(seeker) for seeker in seekers]


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from(UNITS), st.sampled_from([0, 0.3, 0.5, 1, 2, math.inf]),
       st.sampled_from(["share", "count"]), st.integers(0, 3))  # fmt: skip
def test_pruning_is_what_the_paper_says_step_by_step(world, unit, theta, theta_is, phi):
    pruning = Pruning(unit, theta, theta_is, phi)
    assert [row.tolist() for row in fast_prune(*world, pruning)] == slow_prune(*world, pruning)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from(UNITS))
def test_infinite_theta_keeps_every_compatible_link_and_none_keeps_nothing(world, unit):
    links, seekers, _, _ = world
    everything = [links.of_seeker(seeker) for seeker in seekers]
    assert [row.tolist() for row in fast_prune(*world, Pruning(unit, math.inf))] == everything
    assert [row.tolist() for row in fast_prune(*world, Pruning(unit, 0))] == [[]] * len(seekers)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from(UNITS), st.integers(0, 3))
def test_jobs_in_reach_never_shrink_as_theta_grows(world, unit, phi):
    links, _, campaigns, in_reach = world
    reach = LinkReach(links)
    found = [
        reach.reached(fast_prune(*world, Pruning(unit, theta, phi=phi)), campaigns, lists_of(in_reach))
        for theta in (0, 0.2, 0.5, 0.8, 1, math.inf)
    ]
    for small, large in itertools.pairwise(found):
        assert (small <= large).all()


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from(UNITS), st.sampled_from([0, 0.5]), st.integers(1, 3))
def test_every_campaign_keeps_phi_seekers_wherever_links_lead_to_it(world, unit, theta, phi):
    links, seekers, campaigns, in_reach = world
    kept = fast_prune(*world, Pruning(unit, theta, phi=phi))
    for c in range(len(campaigns)):
        near = [s for s in range(len(seekers)) if c in in_reach[s]]
        possible = [s for s in near if reaches(links, range(len(links)), seekers[s], campaigns, {c})]
        have = [s for s in near if reaches(links, kept[s], seekers[s], campaigns, {c})]
        assert len(have) >= min(phi, len(possible))


# ---- three layers through the index are four layers by hand


def index_of(links, campaigns):
    index = Index(spaces={"graph": 1}, device="cpu")
    terms = [[f"job={c}", *links.terms_of_job(found)] for c, found in enumerate(campaigns)]
    index.upsert(np.arange(len(campaigns)), vectors={"graph": np.zeros((len(campaigns), 1), np.float32)}, terms=terms)
    return index


def retrieved(index, links, row, k):
    asked = [f"link={links.link_ids[link]}" for link in row]
    hits = index.search(np.zeros((1, 1), np.float32), space="graph", k=k, where=[Clause(all_of=[asked])])
    return set(hits.ids[0][hits.ids[0] >= 0].tolist())


@settings(max_examples=40, deadline=None)
@given(worlds().filter(lambda world: world[2]), st.sampled_from(UNITS))
def test_asking_the_index_for_link_ids_is_walking_through_the_segments(world, unit):
    links, seekers, campaigns, _ = world
    index = index_of(links, campaigns)
    kept = fast_prune(*world, Pruning(unit, 0.5))
    for seeker, row in zip(seekers, kept, strict=True):
        mine = {links.seeker[link] for link in row}
        assert all(set(segment) <= set(seeker) for segment in mine)
        # a mapping that is kept leads on through every link of its segment, a link only through itself
        onward = range(len(links)) if unit == "mappings" else row.tolist()
        job_segments = {links.job[link] for link in onward if links.seeker[link] in mine}
        walked = {c for c, found in enumerate(campaigns) if any(set(side) <= set(found) for side in job_segments)}
        assert retrieved(index, links, row, len(campaigns)) == walked


@settings(max_examples=40, deadline=None)
@given(worlds().filter(lambda world: world[2] and len(world[0])), st.data())
def test_disabling_a_link_removes_only_jobs_held_by_that_link_alone(world, data):
    links, seekers, campaigns, _ = world
    gone = data.draw(st.integers(0, len(links) - 1))
    left = links.take([i for i in range(len(links)) if i != gone])
    index, after = index_of(links, campaigns), index_of(left, campaigns)
    for seeker in seekers:
        before = retrieved(index, links, links.of_seeker(seeker), len(campaigns))
        now = retrieved(after, left, left.of_seeker(seeker), len(campaigns))
        alone = {c for c in before if links.between(seeker, campaigns[c]) == [gone]}
        assert now == before - alone


def test_lists_know_their_rows_and_lead_through_others():
    lists = lists_of([[2, 0], [], [1]])
    assert lists.rows.tolist() == [0, 0, 2]
    onward = Lists(np.array([0, 2, 3, 5]), np.array([7, 8, 9, 6, 7]))
    assert [row.tolist() for row in lists.through(onward)] == [[6, 7, 8], [], [9]]
    kept = lists.keep(np.array([False, True, True]))
    assert [row.tolist() for row in kept] == [[0], [], [1]]
    assert kept.lengths.tolist() == [1, 0, 1]
