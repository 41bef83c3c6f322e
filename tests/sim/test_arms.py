"""What each arm retrieves, compared with the same rule written plainly; and that arms differ in nothing else."""

from __future__ import annotations

import itertools
from dataclasses import astuple, replace

import numpy as np
import pytest

from gpu_index import Clause
from graph.combined import Blend, CombinedAffinity
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.reach import Pruning
from market.errors import ConfigError
from sim.arms import (
    ARMS,
    AttributeScheme,
    LinkScheme,
    arm_scores,
    check_arms,
    link_queries,
    mark_live,
    retrieve_pairs,
)
from sim.experiment import ExperimentConfig, run_arm
from sim.market import Market, MarketConfig, day_shares
from sim.stage import Stage
from targeting.audience import Liquidity, campaign_thresholds, eligible_pairs

SCHEME = AttributeScheme()
Scores = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def market(stage: Stage) -> Market:
    found = stage.market(MarketConfig(days=2, campaigns=60))
    mark_live(stage.index, stage.world, stage.learned, found, None)
    return found


@pytest.fixture(scope="module")
def scores(stage: Stage, market: Market) -> Scores:
    return {arm: arm_scores(arm, stage.world, market, stage.learned, stage.index, SCHEME) for arm in ARMS}


def pairs_of(market: Market, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Seeker and occupation of every pair."""
    seeker = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))
    return seeker, stage.world.inventory.occupation[market.terms.job[market.pairs.campaign]]


def test_an_unknown_arm_is_refused_and_a_repeated_one_counts_once() -> None:
    assert check_arms(["graph", "all", "graph"]) == ("graph", "all")
    for wrong in (["graph", "crystal-ball"], []):
        with pytest.raises(ConfigError, match="attribute, keyword, links, graph"):
            check_arms(wrong)


def test_only_the_markets_campaigns_are_live_in_the_index(stage: Stage, market: Market) -> None:
    live = Clause(all_of=[["campaign=live"]])
    other = stage.market(MarketConfig(days=1, campaigns=7, seed=5))
    mark_live(stage.index, stage.world, stage.learned, other, None)
    assert stage.index.count(live) == 7
    mark_live(stage.index, stage.world, stage.learned, market, None)
    assert stage.index.count(live) == len(market.terms.job)
    assert len(stage.index) == len(stage.world.inventory)


@pytest.mark.parametrize("scheme", [SCHEME, AttributeScheme(("occupation", "section", "major"), "specific")])
def test_the_attribute_arm_orders_jobs_by_the_best_ranked_attribute_they_share(
    stage: Stage, market: Market, scheme: AttributeScheme
) -> None:
    taxonomy, lift = stage.world.careers.taxonomy, stage.learned.attribute_lift
    score = arm_scores("attribute", stage.world, market, stage.learned, stage.index, scheme)
    seeker, occupation = pairs_of(market, stage)
    best = np.full(len(score), 99)
    for row, attributes in enumerate(seeker_attributes(market.examples, taxonomy)):
        own = [a for a in attributes if a.split("=")[0] in scheme.kinds]
        if scheme.rank == "lift":
            own.sort(key=lambda a: (-lift.get(a, 0.0), a))
        else:
            own.sort(key=lambda a: (scheme.kinds.index(a.split("=")[0]), a))
        wanted = [a.removeprefix("past_") for a in own]
        for pair in np.flatnonzero(seeker == row):
            shared = [wanted.index(a) for a in job_attributes(occupation[pair], taxonomy) if a in wanted]
            best[pair] = min(shared, default=99)
    assert ((score == -np.inf) == (best == 99)).all()
    found = best < 99
    assert ((score[found] >= 2.0 ** -best[found]) & (score[found] < 2.0 ** (1 - best[found]))).all()
    for row in range(len(market.seeker)):
        mine = np.flatnonzero((seeker == row) & found)
        order = mine[np.argsort(-score[mine], kind="stable")]
        assert (np.diff(best[order]) >= 0).all()


def test_the_graph_arm_is_the_dot_product_of_forecast_and_grades(stage: Stage, market: Market, scores: Scores) -> None:
    seeker, occupation = pairs_of(market, stage)
    forecast = stage.learned.affinity.probabilities(market.examples).astype(np.float64)
    dot = np.einsum("nc,nc->n", forecast[seeker], stage.learned.occupation_vectors[occupation].astype(np.float64))
    assert scores["graph"] == pytest.approx(dot, rel=1e-6)


def test_the_links_arm_sums_the_weights_of_the_links_a_seeker_and_a_job_share(
    stage: Stage, market: Market, scores: Scores
) -> None:
    taxonomy, links = stage.world.careers.taxonomy, stage.learned.links
    seeker, occupation = pairs_of(market, stage)
    of_seeker = [set(found) for found in seeker_attributes(market.examples, taxonomy)]
    of_job = [set(job_attributes(o, taxonomy)) for o in range(len(taxonomy))]
    for pair in range(0, len(seeker), 7):
        shared = [
            links.weight[i]
            for i in range(len(links))
            if set(links.seeker[i]) <= of_seeker[seeker[pair]] and set(links.job[i]) <= of_job[occupation[pair]]
        ]
        expected = sum(shared) if shared else -np.inf
        assert scores["links"][pair] == pytest.approx(expected, rel=1e-5)


def linked(stage: Stage, market: Market, scheme: LinkScheme, arm: str = "links") -> np.ndarray:
    return arm_scores(arm, stage.world, market, stage.learned, stage.index, SCHEME, scheme)


def test_seekers_who_ask_the_same_get_what_each_would_get_alone(stage: Stage, market: Market, scores: Scores) -> None:
    queries, asks = link_queries(stage.world, market, stage.learned)
    assert len(queries) == asks.max() + 1 < len(market.seeker)
    vectors = np.zeros((len(market.seeker), stage.index.spaces["graph"]), np.float32)
    alone = retrieve_pairs(stage.index, stage.world, market, vectors, [queries[ask] for ask in asks])
    assert (alone == scores["links"]).all()


@pytest.mark.parametrize("unit", ["mappings", "links"])
def test_pruning_asks_for_fewer_links_until_the_liquidity_it_was_given(
    stage: Stage, market: Market, scores: Scores, unit: str
) -> None:
    everything = linked(stage, market, LinkScheme(Pruning(unit, np.inf)))
    assert (everything == scores["links"]).all()
    start = market.pairs.start[:-1]
    in_reach = np.diff(market.pairs.start)
    compatible = np.add.reduceat(scores["links"] > -np.inf, start)
    pruned = linked(stage, market, LinkScheme(Pruning(unit, 0.1)))
    assert (pruned[pruned > -np.inf] > 0).all()
    assert (pruned <= scores["links"] + 1e-5).all()
    liquidity = np.add.reduceat(pruned > -np.inf, start)
    assert (liquidity >= np.minimum(0.1 * in_reach, compatible)).all()
    assert liquidity.sum() < compatible.sum()


def test_a_floor_of_seekers_per_campaign_holds_wherever_links_lead(
    stage: Stage, market: Market, scores: Scores
) -> None:
    campaigns = len(market.terms.job)
    possible = np.bincount(market.pairs.campaign[scores["links"] > -np.inf], minlength=campaigns)
    reached = {
        phi: np.bincount(
            market.pairs.campaign[linked(stage, market, LinkScheme(Pruning("links", 0.02, phi=phi))) > -np.inf],
            minlength=campaigns,
        )
        for phi in (0, 20)
    }
    assert (reached[20] >= np.minimum(20, possible)).all()
    assert (reached[0] < np.minimum(20, possible)).any()


def test_graph_and_links_is_the_forecast_with_the_links_in_it(stage: Stage, market: Market, scores: Scores) -> None:
    scheme = LinkScheme(blend=Blend(0.9, 0.3))
    seeker, occupation = pairs_of(market, stage)
    forecast = CombinedAffinity(stage.learned.affinity, stage.learned.links, scheme.blend).probabilities(
        market.examples
    )
    rows = stage.learned.occupation_vectors[occupation].astype(np.float64)
    dot = np.einsum("nc,nc->n", forecast[seeker].astype(np.float64), rows)
    assert linked(stage, market, scheme, "graph+links") == pytest.approx(dot, rel=1e-5)
    assert linked(stage, market, LinkScheme(blend=Blend(1.0, 0.0)), "graph+links") == pytest.approx(
        scores["graph"], rel=1e-4
    )


def test_the_oracle_retrieves_the_recorded_next_occupation_first(stage: Stage, market: Market, scores: Scores) -> None:
    seeker, occupation = pairs_of(market, stage)
    hit = occupation == market.next_occupation[seeker]
    assert hit.any()
    for row in np.unique(seeker[hit]):
        mine = seeker == row
        assert scores["oracle"][mine & hit].min() > scores["oracle"][mine & ~hit].max(initial=-np.inf)


def test_random_reaches_as_many_as_the_graph_without_looking(market: Market, scores: Scores) -> None:
    nobody = np.full(len(market.terms.job), np.inf, np.float32)
    reach = {
        arm: np.add.reduceat(
            eligible_pairs(market.pairs.start, market.pairs.campaign, scores[arm], Liquidity(0.2, 0), nobody),
            market.pairs.start[:-1],
        )
        for arm in ("random", "graph")
    }
    assert reach["random"].tolist() == reach["graph"].tolist()
    seats = [Liquidity(0.2, 0).seats(int(n)) for n in np.diff(market.pairs.start)]
    assert reach["random"].tolist() == seats
    assert abs(np.corrcoef(scores["random"], market.pairs.grade)[0, 1]) < 0.1


def test_everything_is_in_reach_of_the_arm_all(scores: Scores) -> None:
    assert (scores["all"] == 0).all()


@pytest.mark.parametrize("arm", ["attribute", "keyword", "links", "graph", "graph+links", "random", "oracle"])
def test_a_larger_theta_keeps_what_a_smaller_one_retrieved(market: Market, scores: Scores, arm: str) -> None:
    pairs = market.pairs
    threshold = campaign_thresholds(pairs.start, pairs.campaign, scores[arm], len(market.terms.job), 10)
    chosen = [
        eligible_pairs(pairs.start, pairs.campaign, scores[arm], Liquidity(theta, 10), threshold)
        for theta in (0.05, 0.2, 0.6, 1.0)
    ]
    for small, large in itertools.pairwise(chosen):
        assert (small <= large).all()
    assert (chosen[-1] == (scores[arm] > -np.inf)).all()


def test_arms_differ_in_who_is_eligible_and_in_nothing_else(stage: Stage, market: Market, scores: Scores) -> None:
    """The same scores under two names play the same market to the last bit; other scores do not."""
    config, share = ExperimentConfig(), day_shares(stage.world)

    def played(arm: str, score: np.ndarray) -> bytes:
        run = run_arm(config, stage.world.behaviour, market, arm, score, 0.2, share)
        return b"".join(column.tobytes() for column in astuple(run.outcome))

    assert played("graph", scores["graph"]) == played("oracle", scores["graph"])
    assert played("graph", scores["graph"]) != played("graph", scores["random"])


def test_more_budget_never_changes_who_is_eligible(stage: Stage, market: Market, scores: Scores) -> None:
    config, share = ExperimentConfig(), day_shares(stage.world)
    runs = [
        run_arm(config, stage.world.behaviour, found, "graph", scores["graph"], 0.2, share)
        for found in (market, market.with_budget_level(3.0), replace(market, supply=market.supply / 2))
    ]
    assert len({run.reach for run in runs}) == 1
