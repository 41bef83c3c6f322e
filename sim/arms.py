"""Arms of the targeting experiment: they differ only in which campaigns are retrieved for a seeker.

Each arm is a query of the same index: a vector and weighted terms. `attribute` is the personal OR over ranked
attributes of Xue 2020, `keyword` BM25 of titles, `links` sums the weights of learned links, `graph` asks the network
for the expected grade, raised for rare jobs, `graph+links` asks the same of the forecast that has the links in it;
`random`, `all` and `oracle` (which knows the recorded next occupation) are brackets, not competitors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gpu_index import Clause, Index
from graph.combined import Blend, CombinedAffinity
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.reach import LinkReach, Lists, Pruning
from market.compiled import njit
from market.errors import ConfigError
from market.taxonomy import Taxonomy
from sim.behaviour import hash_uniform
from sim.keyword import keyword_scores
from sim.market import Market
from sim.world import World
from targeting.learned import Learned

ARMS = ("attribute", "keyword", "links", "graph", "graph+links", "random", "all", "oracle")
BRACKETS = ("random", "all", "oracle")
DEFAULT_ARMS = ("attribute", "links", "graph", "random", "oracle")


@dataclass(frozen=True)
class Query:
    """What one seeker's retrieval asks: boosts by term; `any_of`: rows must have one of these terms (None: any row)."""

    boosts: dict[str, float]
    any_of: Sequence[str] | None = None


@dataclass(frozen=True)
class AttributeScheme:
    """How the attribute arm ranks a seeker's own attributes; chosen on the validation market.

    order: attribute kinds from most to least specific; rank "lift" orders the values by learned apply lift instead.
    """

    kinds: tuple[str, ...] = ("occupation", "past_occupation", "section", "major")
    rank: str = "lift"


@dataclass(frozen=True)
class LinkScheme:
    """How the link arms use links. pruning None: a seeker asks for every link it is compatible with, and the shared
    selection by theta does the rest; on validation markets pruning first reached no better jobs at equal reach.

    blend: what the links add to the network in graph+links.
    """

    pruning: Pruning | None = None
    blend: Blend = field(default_factory=Blend)


def check_arms(arms: Sequence[str]) -> tuple[str, ...]:
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or not arms:
        raise ConfigError(f"arm {unknown[0] if unknown else ''!r} is unknown; use some of {', '.join(ARMS)}")
    return tuple(dict.fromkeys(arms))


def arm_scores(
    arm: str,
    world: World,
    market: Market,
    learned: Learned,
    index: Index,
    scheme: AttributeScheme,
    links: LinkScheme = LinkScheme(),
) -> np.ndarray:
    """float32[n]: the arm's score of every pair of the market, -inf where the arm does not retrieve it."""
    taxonomy = world.careers.taxonomy
    if arm == "all":
        return np.zeros(len(market.pairs.campaign), np.float32)
    if arm == "random":
        job = market.terms.job[market.pairs.campaign]
        seeker = np.repeat(market.seeker, np.diff(market.pairs.start))
        return _chances(seeker.astype(np.int64), job.astype(np.int64), 77)
    if arm == "keyword":
        return keyword_scores(world, market)
    anything = [Query({})] * len(market.seeker)
    if arm == "graph":
        return retrieve_pairs(index, world, market, learned.retrieval(market.examples), anything)
    if arm == "graph+links":
        forecast = CombinedAffinity(learned.affinity, learned.links, links.blend).probabilities(market.examples)
        return retrieve_pairs(index, world, market, forecast, anything)
    if arm == "links":
        return retrieve_shared(index, market, *link_queries(world, market, learned, links.pruning))
    if arm == "attribute":
        queries = attribute_queries(market, learned, taxonomy, scheme)
    else:
        queries = _oracle_queries(market, taxonomy)
    vectors = np.zeros((len(queries), learned.occupation_vectors.shape[1]), np.float32)
    return retrieve_pairs(index, world, market, vectors, queries)


@njit()
def _chances(seeker: np.ndarray, job: np.ndarray, salt: int) -> np.ndarray:
    found = np.empty(len(job), np.float32)
    for i in range(len(job)):
        found[i] = hash_uniform(seeker[i], job[i], salt)
    return found


def retrieve_pairs(index: Index, world: World, market: Market, vectors: np.ndarray, queries: list[Query]) -> np.ndarray:
    """Ask the index for every live campaign in reach of every seeker, and put the scores beside the market's pairs."""
    live = "campaign=live"
    geo = [f"geo={metro}" for metro in world.metros.ids]
    where = []
    for query, metro in zip(queries, market.metro, strict=True):
        groups: list[Sequence[str]] = [[geo[metro], "remote=yes"], [live]]
        if query.any_of is not None:
            groups.append(query.any_of)
        where.append(Clause(all_of=groups))
    lengths = np.diff(market.pairs.start)
    k = max(1, int(lengths.max(initial=1)))
    hits = index.search(vectors, space="graph", k=k, where=where, boosts=[query.boosts for query in queries])

    score = np.full(len(market.pairs.campaign), -np.inf, np.float32)
    row, column = np.nonzero(hits.ids >= 0)
    campaign = np.searchsorted(market.terms.job, hits.ids[row, column])
    reach_key = np.repeat(np.arange(len(lengths)), lengths) * len(market.terms.job) + market.pairs.campaign
    place = np.searchsorted(reach_key, row * len(market.terms.job) + campaign)
    assert (reach_key[place] == row * len(market.terms.job) + campaign).all(), "the index found a campaign out of reach"
    score[place] = hits.scores[row, column]
    return score


def retrieve_shared(index: Index, market: Market, queries: list[Query], asks: np.ndarray) -> np.ndarray:
    """Boosts alone, and many seekers ask the same: each query once for all live campaigns, then the pairs in reach.

    asks int[S]: the query of each seeker. As `retrieve_pairs` of one query a seeker.
    """
    live, width = "campaign=live", index.spaces["graph"]
    found = np.full((len(queries), len(market.terms.job)), -np.inf, np.float32)
    hits = index.search(
        np.zeros((len(queries), width), np.float32),
        space="graph",
        k=max(1, found.shape[1]),
        where=[Clause(all_of=[[live], query.any_of] if query.any_of is not None else [[live]]) for query in queries],
        boosts=[query.boosts for query in queries],
    )
    row, column = np.nonzero(hits.ids >= 0)
    found[row, np.searchsorted(market.terms.job, hits.ids[row, column])] = hits.scores[row, column]
    return found[np.repeat(asks, np.diff(market.pairs.start)), market.pairs.campaign]


def mark_live(index: Index, world: World, learned: Learned, market: Market, vectors: np.ndarray | None) -> None:
    """Give the market's campaigns the term `campaign=live`, and take it from all others."""
    live = set(market.terms.job.tolist())
    changed, terms = [], []
    for job in range(len(world.inventory)):
        have = index.terms_of(job)
        if ("campaign=live" in have) != (job in live):
            changed.append(job)
            terms.append([t for t in have if t != "campaign=live"] + (["campaign=live"] if job in live else []))
    if changed:
        rows = np.array(changed)
        spaces = {"graph": learned.occupation_vectors[world.inventory.occupation[rows]]}
        if vectors is not None:
            spaces["organic"] = vectors[rows]
        index.upsert(rows, vectors=spaces, terms=terms)


def link_queries(
    world: World, market: Market, learned: Learned, pruning: Pruning | None = None
) -> tuple[list[Query], np.ndarray]:
    """Queries for the link ids of seekers, pruned or not, and which of them each seeker asks (int64[S]).

    The score of a job is the weights of the links it carries, added up.
    """
    taxonomy, links = world.careers.taxonomy, learned.links
    of_occupation = [job_attributes(o, taxonomy) for o in range(len(taxonomy))]
    campaigns = [of_occupation[o] for o in world.inventory.occupation[market.terms.job].tolist()]
    reach = LinkReach(links)
    mappings = reach.mappings(seeker_attributes(market.examples, taxonomy))
    if pruning is None:
        held = reach.links_of(mappings)
    else:
        in_reach = Lists(market.pairs.start, market.pairs.campaign.astype(np.int64))
        held = reach.prune(mappings, campaigns, in_reach, pruning)
    carried = np.zeros(len(links), bool)  # asking for a term that no live job has adds nothing but time
    for attributes in set(map(tuple, campaigns)):
        carried[links.of_job(attributes)] = True
    terms, weight = [f"link={found}" for found in links.link_ids], links.weight.tolist()
    number: dict[tuple[int, ...], int] = {}
    asks = [number.setdefault(tuple(row.tolist()), len(number)) for row in held.keep(carried[held.items])]
    boosts = [{terms[link]: weight[link] for link in row} for row in number]
    return [Query(found, tuple(found)) for found in boosts], np.array(asks, np.int64)


def attribute_queries(market: Market, learned: Learned, taxonomy: Taxonomy, scheme: AttributeScheme) -> list[Query]:
    """The seeker's own attributes, best first; weight 2^-rank, so that a job's score orders like its best attribute."""
    queries = []
    for attributes in seeker_attributes(market.examples, taxonomy):
        own = [a for a in attributes if a.split("=", 1)[0] in scheme.kinds]
        if scheme.rank == "lift":
            own.sort(key=lambda a: (-learned.attribute_lift.get(a, 0.0), a))
        else:
            own.sort(key=lambda a: (scheme.kinds.index(a.split("=", 1)[0]), a))
        boosts = {}
        for rank, attribute in enumerate(own):
            kind, value = attribute.split("=", 1)
            boosts.setdefault(f"{'occupation' if kind == 'past_occupation' else kind}={value}", 2.0**-rank)
        queries.append(Query(boosts, tuple(boosts)))
    return queries


def _oracle_queries(market: Market, taxonomy: Taxonomy) -> list[Query]:
    return [
        Query(
            {
                f"occupation={taxonomy.codes[o]}": 4.0,
                f"section={taxonomy.section_names[taxonomy.section[o]]}": 2.0,
                f"major={taxonomy.major_names[taxonomy.major[o]]}": 1.0,
            }
        )
        for o in market.next_occupation
    ]
