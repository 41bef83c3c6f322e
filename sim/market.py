"""One market: the seekers of a fold in the window, campaigns drawn from its vacancies, traffic, every pair's numbers.

Area is a hard filter: a seeker may be shown campaigns of the own metro and remote ones. Jobs and campaigns come and go
while the window is open; pairs hold all of them, and the clock looks at who is live. Estimates (the product's) and
truth (the world's) stand side by side and never mix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpu_index import Clause, Index
from graph.bipartite import Examples
from graph.history import examples_of_profiles
from graph.linking.attributes import job_attributes
from market.errors import ConfigError
from sim.behaviour import apply_probability, click_logit, grade_table, hash_normals
from sim.campaigns import DAY_SECONDS, draw_campaigns, live_days, with_budgets
from sim.log_tables import education_before
from sim.loop import OrganicLists, Pairs, Terms, Traffic
from sim.traffic import arrivals, session_rates, weekday_weights
from sim.world import SERVE, World
from targeting.learned import Learned
from targeting.response import pair_features

HORIZON_DAYS = 365.0  # seekers of the window have a recorded next hire within a year of its opening
BLOCK = 4_096  # seekers whose pairs are scored together: bounds the memory of features


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
    employer: np.ndarray  # int64[C] the account of each campaign; one may have several
    day_weight: np.ndarray  # float64[days] expected sessions of each day over those of an average day

    @property
    def live(self) -> np.ndarray:
        """bool[days, C]: the live campaign-days, whose caps are what can be spent."""
        return live_days(self.terms, self.config.days)

    def with_budget_level(self, level: float) -> Market:
        factor = level / self.config.budget_level
        budget = np.maximum(1, np.round(self.terms.budget * factor)).astype(np.int64)
        terms = with_budgets(self.terms, budget, self.config.days)
        return replace(self, terms=terms, config=replace(self.config, budget_level=level))


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
    if not len(seeker):
        raise ConfigError(
            f"no seeker of fold {config.fold} has a position when the window opens and moves within "
            f"{HORIZON_DAYS:.0f} days; give the world more persons or an earlier last_year"
        )
    following = world.lives.known_at(world.window_day)[2]
    examples = profiles(world, seeker)
    current = examples.current
    next_occupation = world.lives.occupation[following[seeker]]
    metro = world.lives.metro[seeker]
    terms = draw_campaigns(world, config, rng)
    pairs, log_lift, flat_pairs = _pairs(world, learned, examples, next_occupation, metro, seeker, terms, config.seed)
    organic, flat_organic = _organic(world, config, organic_ids, next_occupation, metro, current, seeker)
    rules = world.behaviour["traffic"]
    rate = session_rates(rules, len(seeker), rng)
    traffic = arrivals(rules, seeker, rate, world.window_day, config.days, rng)
    day_weight = weekday_weights(rules, world.window_day, config.days)

    section = world.careers.taxonomy.section[current]
    key = metro.astype(np.int64) * len(world.careers.taxonomy.section_names) + section
    unique, segment = np.unique(key, return_inverse=True)
    seen = (np.array(config.promoted_positions) + 1.0) ** -float(world.behaviour["examination"]["exponent"])
    supply = np.bincount(segment, rate * day_weight.sum(), minlength=len(unique)) * seen.sum()
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
        world.inventory.employer[terms.job].astype(np.int64), day_weight,
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


def organic_lists(
    index: Index, world: World, seeker: np.ndarray, requests: np.ndarray, config: MarketConfig
) -> np.ndarray:
    """int64[S, organic_list]: the organic list of each seeker through the index: text space, own metro or remote.

    Of all jobs that are open at some time of the window; -1 where fewer are found. Who asks alike is answered once.
    """
    metro = world.lives.metro[seeker]
    asked = np.ascontiguousarray(np.column_stack([metro.astype(np.float32), requests.astype(np.float32)]))
    rows = asked.view(np.dtype((np.void, asked.itemsize * asked.shape[1]))).ravel()  # compared as bytes
    _, first, of_seeker = np.unique(rows, return_index=True, return_inverse=True)
    where = [Clause(all_of=[[f"geo={world.metros.ids[m]}", "remote=yes"]]) for m in range(len(world.metros))]
    k = 2 * config.organic_list  # some of them are posted after the window
    found = index.search(requests[first], space="organic", k=k, where=[where[m] for m in metro[first]]).ids
    opens = np.zeros(len(world.inventory), bool)
    opens[world.inventory.open_between(world.window_day, world.window_day + config.days)] = True
    shown = (found >= 0) & opens[np.maximum(found, 0)]
    order = np.argsort(~shown, axis=1, kind="stable")[:, : config.organic_list]
    lists = np.where(np.take_along_axis(shown, order, axis=1), np.take_along_axis(found, order, axis=1), -1)
    return lists[of_seeker.ravel()]


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
    start = np.concatenate([[0], np.cumsum(np.array([len(reach[m]) for m in metro], np.int64))])
    probability = learned.affinity.probabilities(examples)  # [S, C]
    popularity = learned.model.popularity.astype(np.float32)
    log_lift = np.log(np.maximum(probability, 1e-30) / popularity)  # [S, C], without a second reading of the network
    grades = grade_table(taxonomy, world.behaviour)
    appeal_of = hash_normals(np.zeros(len(jobs), np.int64), np.arange(len(jobs)), 2000 + seed)

    def block(low: int, high: int) -> tuple[np.ndarray, ...]:
        """Columns of the pairs of seekers low to high: campaign, two estimates, three truths, the unmatched logit."""
        campaign = np.concatenate([reach[m] for m in metro[low:high]])
        row = np.repeat(np.arange(low, high), np.diff(start[low : high + 1]))
        job = terms.job[campaign]
        occupation, current = jobs.occupation[job], examples.current[row]
        expected = probability[low:high] @ learned.grades  # [block, C]
        features = pair_features(
            expected[row - low, occupation],
            probability[row, occupation],
            log_lift[row, occupation],
            taxonomy.section[current] == taxonomy.section[occupation],
            np.log(jobs.wage[job] / learned.wage[current]),
        )
        grade = grades[next_occupation[row], occupation]
        far = world.metros.distance_km[metro[row], jobs.metro[job]] > world.behaviour["match"]["commute_km"]
        grade = np.where(far & ~jobs.remote[job], 0, grade).astype(np.float32)
        wage_ratio = np.log(jobs.wage[job] / facts.wage[current, metro[row]])
        gap = np.abs(facts.level[occupation] - facts.level[current])
        taste = hash_normals(seeker[row].astype(np.int64), job.astype(np.int64), 1000 + seed)
        appeal = appeal_of[job]
        return (
            campaign.astype(np.int32),
            learned.response.p_click(features),
            learned.response.value_per_click(features),
            click_logit(world.behaviour, grade, wage_ratio, np.zeros(len(row)), gap, taste, appeal),
            apply_probability(world.behaviour, grade, wage_ratio, gap),
            grade,
            _unmatched_logit(world, taste, appeal),
        )

    blocks = [block(low, min(low + BLOCK, len(metro))) for low in range(0, len(metro), BLOCK)]
    *columns, flat = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Pairs(start, *columns), log_lift, flat


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
    asker = np.repeat(seeker.astype(np.int64), job.shape[1])
    taste = hash_normals(asker, job.ravel().astype(np.int64), 1000 + config.seed).reshape(job.shape)
    appeal = hash_normals(np.zeros(len(jobs), np.int64), np.arange(len(jobs)), 2000 + config.seed)[job]
    logit = click_logit(world.behaviour, grade, wage_ratio, np.zeros(job.shape), gap, taste, appeal)
    p_apply = apply_probability(world.behaviour, grade, wage_ratio, gap)
    flat = _unmatched_logit(world, taste, appeal)
    opens = (jobs.posted_day - world.window_day) * DAY_SECONDS
    closes = (jobs.expires_day - world.window_day) * DAY_SECONDS
    return OrganicLists(ids.astype(np.int32), logit, p_apply, grade, opens[job], closes[job]), flat


def _unmatched_logit(world: World, taste: np.ndarray, appeal: np.ndarray) -> np.ndarray:
    """logit P(click | seen) if match, wage, distance and level played no part: the placebo world's."""
    none = np.zeros(taste.shape)
    return click_logit(world.behaviour, none, none, none, none, taste, appeal)


def day_shares(world: World) -> np.ndarray:
    """float64[1441]: cumulative share of a day's sessions at each minute; weekdays differ in volume, not in shape."""
    hours = np.array(world.behaviour["traffic"]["hours"], float)
    minutes = np.repeat(hours / hours.sum() / 60, 60)
    share = np.concatenate([[0.0], np.cumsum(minutes)])
    return share / share[-1]
