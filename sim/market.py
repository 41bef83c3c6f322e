"""One market: the seekers of a fold in the window, campaigns drawn from its vacancies, traffic, every pair's numbers.

Budgets come from vacancies x market CPC and see no arm. Area is a hard filter: a seeker may be shown campaigns of the
own metro and remote ones. Estimates (the product's) and truth (the world's) stand side by side and never mix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpu_index import Clause, Index
from graph.bipartite import Examples
from graph.history import examples_of_profiles
from graph.linking.attributes import job_attributes
from market.money import Money
from sim.behaviour import apply_probability, click_logit, grade_table, hash_normals
from sim.log_tables import education_before
from sim.loop import OrganicLists, Pairs, Terms, Traffic
from sim.world import SERVE, World
from targeting.learned import Learned
from targeting.response import pair_features

HORIZON_DAYS = 365.0  # seekers of the window have a recorded next hire within a year of its opening
MICROS = 1_000_000


@dataclass(frozen=True)
class MarketConfig:
    """days and campaigns of a market; budget_level scales every budget; page and promoted places of a result list."""

    days: int = 7
    campaigns: int = 300
    seed: int = 0
    fold: int = SERVE
    budget_level: float = 1.0
    page: int = 10
    promoted_positions: tuple[int, ...] = (0, 3, 7)  # from 0: an ad load of 30 % at most
    organic_list: int = 20
    frequency_cap: int = 10  # promoted impressions of one campaign to one seeker in the window
    currency: str = "USD"


@dataclass(frozen=True)
class Market:
    """Everything a run needs but who is eligible. Seekers S, campaigns C, pairs n in CSR form."""

    config: MarketConfig
    seeker: np.ndarray  # int32[S] row in world.lives
    person: np.ndarray  # int32[S] original person
    metro: np.ndarray
    examples: Examples
    next_occupation: np.ndarray
    segment: np.ndarray  # int32[S] pooled segment: metro x section of the present occupation
    segment_names: tuple[tuple[str, str], ...]
    terms: Terms
    pairs: Pairs
    organic: OrganicLists
    traffic: Traffic
    supply: np.ndarray  # float64[segments] promoted impressions of the whole window, counted as seen
    log_lift: np.ndarray  # float32[S, C_occ]
    flat_pairs: np.ndarray  # click logits of pairs and of organic lists in the placebo world without any match
    flat_organic: np.ndarray

    def with_budget_level(self, level: float) -> Market:
        factor = level / self.config.budget_level
        budget = np.maximum(1, np.round(self.terms.budget * factor)).astype(np.int64)
        terms = replace(self.terms, budget=budget, day_budget=day_budgets(budget, self.config.days))
        return replace(self, terms=terms, config=replace(self.config, budget_level=level))


def day_budgets(budget: np.ndarray, days: int) -> np.ndarray:
    """int64[C]: the daily cap, an even share of the total rounded up to a micro."""
    return -(-budget // days)


def inventory_index(world: World, learned: Learned, job_vectors: np.ndarray | None) -> Index:
    """The site's index: a row per vacancy of the window, id = its row; spaces organic (text) and graph (affinity)."""
    taxonomy, jobs = world.careers.taxonomy, world.inventory
    vectors = learned.occupation_vectors[jobs.occupation]
    spaces = {"graph": vectors.shape[1]}
    content = {"graph": vectors}
    if job_vectors is not None:
        spaces["organic"] = job_vectors.shape[1]
        content["organic"] = job_vectors
    attributes = [job_attributes(o, taxonomy) for o in range(len(taxonomy))]
    links = [learned.links.terms_of_job(found) for found in attributes]
    terms = [
        [
            f"geo={world.metros.ids[jobs.metro[j]]}",
            f"remote={'yes' if jobs.remote[j] else 'no'}",
            *attributes[jobs.occupation[j]],
            *links[jobs.occupation[j]],
        ]
        for j in range(len(jobs))
    ]
    index = Index(spaces=spaces, device="cpu")
    index.upsert(np.arange(len(jobs)), vectors=content, terms=terms)
    return index


def build_market(
    world: World, learned: Learned, config: MarketConfig, organic_ids: np.ndarray | None, organic_seekers: np.ndarray
) -> Market:
    """Draw campaigns and traffic for `config.seed` and score every pair once.

    organic_seekers int[S]: the rows of world.lives to serve (`active_seekers`); organic_ids int64[S, K]: their lists.
    """
    rng = np.random.default_rng([world.config.seed, config.seed, 41])
    seeker = organic_seekers
    following = world.lives.known_at(world.window_day)[2]
    examples = profiles(world, seeker)
    current = examples.current
    next_occupation = world.lives.occupation[following[seeker]]
    metro = world.lives.metro[seeker]
    terms = _terms(world, config, rng)
    pairs, log_lift, flat_pairs = _pairs(world, learned, examples, next_occupation, metro, seeker, terms, config.seed)
    organic, flat_organic = _organic(world, config, organic_ids, next_occupation, metro, current, seeker)
    traffic, rate = _traffic(world, config, seeker, rng)

    section = world.careers.taxonomy.section[current]
    key = metro.astype(np.int64) * len(world.careers.taxonomy.section_names) + section
    unique, segment = np.unique(key, return_inverse=True)
    seen = (np.array(config.promoted_positions) + 1.0) ** -float(world.behaviour["examination"]["exponent"])
    supply = np.bincount(segment, rate * config.days, minlength=len(unique)) * seen.sum()
    names = tuple(
        (
            world.metros.names[k // len(world.careers.taxonomy.section_names)],
            world.careers.taxonomy.section_names[k % len(world.careers.taxonomy.section_names)],
        )
        for k in unique
    )
    return Market(
        config, seeker, world.lives.person[seeker], metro, examples, next_occupation, segment.astype(np.int32), names,
        terms, pairs, organic, traffic, supply, log_lift, flat_pairs, flat_organic,
    )  # fmt: skip


def active_seekers(world: World, fold: int) -> np.ndarray:
    """int64[S]: seekers of a fold with a known position and a recorded next hire within the horizon."""
    start, end, following = world.lives.known_at(world.window_day)
    active = (world.fold == fold) & (end > start) & (following >= 0)
    rows = np.flatnonzero(active)
    soon = world.lives.start_day[following[rows]] - world.window_day < HORIZON_DAYS
    return rows[soon]


def profiles(world: World, seeker: np.ndarray) -> Examples:
    """What the engine may know of these seekers when the window opens: positions begun before, schooling."""
    start, end, _ = world.lives.known_at(world.window_day)
    year_of = 1970 + world.lives.start_day / 365.25
    return examples_of_profiles(
        [world.lives.occupation[start[s] : end[s]].tolist() for s in seeker],
        [year_of[start[s] : end[s]].tolist() for s in seeker],
        education_before(world)[seeker],
        1970 + world.window_day / 365.25 + 1e-3,
    )


def organic_lists(index: Index, world: World, seeker: np.ndarray, requests: np.ndarray, k: int) -> np.ndarray:
    """int64[S, k]: the organic list of each seeker through the index: text space, own metro or remote."""
    metro = world.lives.metro[seeker]
    where = [Clause(all_of=[[f"geo={world.metros.ids[m]}", "remote=yes"]]) for m in range(len(world.metros))]
    return index.search(requests, space="organic", k=k, where=[where[m] for m in metro]).ids


def _terms(world: World, config: MarketConfig, rng: np.random.Generator) -> Terms:
    jobs, rules = world.inventory, world.behaviour["campaigns"]
    job = np.sort(rng.choice(len(jobs), min(config.campaigns, len(jobs)), replace=False)).astype(np.int32)
    level = (jobs.wage[job] / jobs.wage.mean()) ** rules["cpc_wage_elasticity"]
    base = rules["market_cpc"] * level
    market_cpc = base * np.exp(rng.normal(0, rules["cpc_sd"], len(job)))
    budget = config.budget_level * jobs.openings[job] * rules["clicks_per_opening"] * market_cpc
    micros = np.maximum(1, np.round(budget * MICROS)).astype(np.int64)
    for amount in micros[:1]:
        Money(int(amount), config.currency)  # one currency per campaign; refuses what can not be held
    return Terms(
        job,
        micros,
        day_budgets(micros, config.days),
        np.maximum(2, np.round(market_cpc * MICROS)).astype(np.int64),
        np.maximum(1, np.round(base * rules["reserve_share"] * MICROS)).astype(np.int64),
        jobs.openings[job],
    )


def _pairs(
    world: World,
    learned: Learned,
    examples: Examples,
    next_occupation: np.ndarray,
    metro: np.ndarray,
    seeker: np.ndarray,
    terms: Terms,
    seed: int,
) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """Every pair of a seeker and a campaign in reach, estimates and truth; log lift; logits without any match."""
    jobs, facts, taxonomy = world.inventory, world.facts, world.careers.taxonomy
    reach = [np.flatnonzero((jobs.metro[terms.job] == m) | jobs.remote[terms.job]) for m in range(len(world.metros))]
    campaign = np.concatenate([reach[m] for m in metro]) if len(metro) else np.empty(0, np.int64)
    lengths = np.array([len(reach[m]) for m in metro], np.int64)
    start = np.concatenate([[0], np.cumsum(lengths)])
    row = np.repeat(np.arange(len(metro)), lengths)
    job = terms.job[campaign]
    occupation = jobs.occupation[job]
    current = examples.current[row]

    probability = learned.affinity.probabilities(examples)  # [S, C]
    popularity = learned.model.popularity.astype(np.float32)
    log_lift = np.log(np.maximum(probability, 1e-30) / popularity)  # [S, C], without a second reading of the network
    expected = probability @ learned.grades  # [S, C]
    features = pair_features(
        expected[row, occupation],
        probability[row, occupation],
        log_lift[row, occupation],
        taxonomy.section[current] == taxonomy.section[occupation],
        np.log(jobs.wage[job] / learned.wage[current]),
    )
    p_click = learned.response.p_click(features)
    value = learned.response.value_per_click(features)

    grade = grade_table(taxonomy, world.behaviour)[next_occupation[row], occupation]
    far = world.metros.distance_km[metro[row], jobs.metro[job]] > world.behaviour["match"]["commute_km"]
    grade = np.where(far & ~jobs.remote[job], 0, grade).astype(np.float32)
    wage_ratio = np.log(jobs.wage[job] / facts.wage[current, metro[row]])
    gap = np.abs(facts.level[occupation] - facts.level[current])
    taste = hash_normals(seeker.astype(np.int64), terms.job.astype(np.int64), 1000 + seed)[row, campaign]
    appeal = hash_normals(np.zeros(1, np.int64), terms.job.astype(np.int64), 2000 + seed)[0][campaign]
    logit = click_logit(world.behaviour, grade, wage_ratio, np.zeros(len(row)), gap, taste, appeal)
    p_apply = apply_probability(world.behaviour, grade, wage_ratio, gap)
    flat = _unmatched_logit(world, taste, appeal)
    return Pairs(start, campaign.astype(np.int32), p_click, value, logit, p_apply, grade), log_lift, flat


def _organic(
    world: World,
    config: MarketConfig,
    organic_ids: np.ndarray | None,
    next_occupation: np.ndarray,
    metro: np.ndarray,
    current: np.ndarray,
    seeker: np.ndarray,
) -> tuple[OrganicLists, np.ndarray]:
    jobs, facts = world.inventory, world.facts
    ids = np.full((len(seeker), 1), -1, np.int64) if organic_ids is None else organic_ids[:, : config.organic_list]
    job = np.maximum(ids, 0)
    occupation = jobs.occupation[job]
    grade = grade_table(world.careers.taxonomy, world.behaviour)[next_occupation[:, None], occupation]
    wage_ratio = np.log(jobs.wage[job] / facts.wage[current, metro][:, None])
    gap = np.abs(facts.level[occupation] - facts.level[current][:, None])
    taste = np.take_along_axis(
        hash_normals(seeker.astype(np.int64), np.arange(len(jobs)), 1000 + config.seed), job, axis=1
    )
    appeal = hash_normals(np.zeros(1, np.int64), np.arange(len(jobs)), 2000 + config.seed)[0][job]
    logit = click_logit(world.behaviour, grade, wage_ratio, np.zeros(job.shape), gap, taste, appeal)
    p_apply = apply_probability(world.behaviour, grade, wage_ratio, gap)
    flat = _unmatched_logit(world, taste, appeal)
    return OrganicLists(ids.astype(np.int32), logit, p_apply, grade), flat


def _unmatched_logit(world: World, taste: np.ndarray, appeal: np.ndarray) -> np.ndarray:
    """logit P(click | seen) if match, wage, distance and level played no part: the placebo world's."""
    none = np.zeros(taste.shape)
    return click_logit(world.behaviour, none, none, none, none, taste, appeal)


def _traffic(
    world: World, config: MarketConfig, seeker: np.ndarray, rng: np.random.Generator
) -> tuple[Traffic, np.ndarray]:
    """Visits by hour of day; and the expected sessions a day of each seeker, which the forecast may know."""
    rules = world.behaviour["traffic"]
    sd = rules["session_sd"]
    rate = rules["sessions_per_day"] * np.exp(rng.normal(0, sd, len(seeker)) - sd * sd / 2)
    visits = rng.poisson(rate * config.days)
    who = np.repeat(np.arange(len(seeker)), visits)
    hours = np.array(rules["hours"])
    second = (
        rng.integers(0, config.days, len(who)) * 86_400.0
        + rng.choice(24, len(who), p=hours / hours.sum()) * 3_600.0
        + rng.random(len(who)) * 3_600.0
    )
    of_seeker = np.arange(len(who)) - np.repeat(np.cumsum(visits) - visits, visits)
    number = seeker[who].astype(np.int64) * 100_000 + of_seeker
    order = np.lexsort((number, second))
    return Traffic(who[order].astype(np.int32), second[order], number[order]), rate


def day_shares(world: World) -> np.ndarray:
    """float64[1441]: cumulative share of a day's sessions at each minute, from the calendar shape."""
    hours = np.array(world.behaviour["traffic"]["hours"], float)
    minutes = np.repeat(hours / hours.sum() / 60, 60)
    share = np.concatenate([[0.0], np.cumsum(minutes)])
    return share / share[-1]
