"""The market clock: visits in time order, exactly sequential budgets, int64 money; the compiled part is `loop_kernel`.

It owns arrival, looking and clicking; who may be shown comes in, and bids, prices, reserves and charges are the
product's own functions (`targeting.auction`, `targeting.ledger`, `targeting.pacing.descent`), as are the ad load and
the frequency caps (`targeting.serving`). Random numbers depend on (visit, job) only, so two arms that show the same job
in the same place see the same click. Same inputs, same bits, in whatever thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields

import numpy as np

from market.errors import ConfigError
from sim.campaign_books import Lives, open_books
from sim.loop_kernel import (
    APPLY,
    GONE,
    GRADE,
    ITEM,
    LOGIT,
    PAIR,
    SERVING_TRIES,
    SHOWN_AT,
    TIMES,
    Candidates,
    Counts,
    Jobs,
    Numbers,
    Organic,
    Scratch,
    Visits,
    best_first,
    play,
)
from targeting.auction import PRICING
from targeting.ledger import KAPPA
from targeting.serving import ServingConfig
from targeting.tokens import LIFE

TOKEN_SECONDS = LIFE.total_seconds()
GRACE_SECONDS = 600.0  # how long after that a reserve is held, as the ledger's `BillingConfig.grace`
NEVER = 2**31 - 1  # times
UNPACED = np.linspace(0, 1, 1441)


@dataclass(frozen=True)
class Pairs:
    """Seeker-campaign pairs in CSR form: pairs of seeker i are start[i]:start[i+1], campaigns ascending.

    campaign int32[n]; p_click, value_per_click float32[n] are the product's estimates; click_logit, p_apply, grade
    float32[n] are the world's truth.
    """

    start: np.ndarray
    campaign: np.ndarray
    p_click: np.ndarray
    value_per_click: np.ndarray
    click_logit: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray


@dataclass(frozen=True)
class OrganicLists:
    """The organic list of each seeker, best first, [S, K]: job int32 (-1: none), the others float32.

    opens, closes float64[S, K]: when the job is on the site, as in `Terms`; left out, the whole window.
    """

    job: np.ndarray
    click_logit: np.ndarray
    p_apply: np.ndarray
    grade: np.ndarray
    opens: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    closes: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        for name, whole in (("opens", 0.0), ("closes", np.inf)):
            if self.job.size and not getattr(self, name).size:
                object.__setattr__(self, name, np.full(self.job.shape, whole))
            assert getattr(self, name).shape == self.job.shape or not self.job.size, f"{name} has to be [S, K]"


@dataclass(frozen=True)
class Traffic:
    """Visits in time order: seeker int32[V], second float64[V] since the window opened, number int64[V] (stable id)."""

    seeker: np.ndarray
    second: np.ndarray
    number: np.ndarray


@dataclass(frozen=True)
class Terms:
    """What campaigns agreed to: job int32[C] in the inventory, openings int32[C], all money int64[C] micros.

    opens, closes float64[C]: seconds since the window opened between which a campaign may be shown (opens included,
    closes not); left out, the whole window.
    """

    job: np.ndarray
    budget: np.ndarray
    day_budget: np.ndarray
    max_bid: np.ndarray
    reserve: np.ndarray
    openings: np.ndarray
    opens: np.ndarray = field(default_factory=lambda: np.empty(0))
    closes: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        campaigns = len(self.job)
        for name, whole in (("opens", 0.0), ("closes", np.inf)):
            if campaigns and not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(campaigns, whole))
            assert getattr(self, name).shape == (campaigns,), f"{name} has to have one entry per campaign"


@dataclass(frozen=True)
class Rules:
    """How the site sells and how people look.

    page: items shown; promoted_positions: places of promoted items from 0, ascending; exam float[>= page]: P(seen) by
    place. auction: a name of `targeting.auction.PRICING`. serving: ad load, impressions per hour and per day of one
    campaign to one seeker; frequency_cap: the same for the whole window. repeat_effect: on the click logit, for each
    earlier exposure; hire_given_qualified: P(hire | qualified application) while openings last; click_delay_seconds:
    mean of the exponential time from serving to click. kappa, grace_seconds: what the ledger holds, and how long after
    a token's life. seed: of the common random numbers.
    """

    days: int
    promoted_positions: tuple[int, ...]
    page: int
    exam: np.ndarray
    auction: str = "second"
    serving: ServingConfig = field(default_factory=ServingConfig)
    frequency_cap: int = 10
    repeat_effect: float = 0.0
    hire_given_qualified: float = 0.0
    click_delay_seconds: float = 120.0
    kappa: float = KAPPA
    grace_seconds: float = GRACE_SECONDS
    seed: int = 0

    def __post_init__(self) -> None:
        places = self.promoted_positions
        if self.auction not in PRICING:
            raise ConfigError(f"auction {self.auction!r} is unknown; use one of {', '.join(PRICING)}")
        if list(places) != sorted({*places}) or not all(0 <= place < self.page for place in places):
            raise ConfigError(f"promoted positions are {places}; give ascending places from 0 below page {self.page}")
        if len(self.exam) < self.page or not all(0 <= seen <= 1 for seen in self.exam):
            raise ConfigError(
                f"exam has {len(self.exam)} entries; give a chance in [0, 1] for each of {self.page} places"
            )
        for name, least in (("days", 1), ("frequency_cap", 1), ("click_delay_seconds", 0), ("grace_seconds", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected at least {least}")

    def slots_of(self) -> np.ndarray:
        """int64[page + 1]: the promoted slots of a page by the organic jobs at hand."""
        asked = len(self.promoted_positions)
        return np.array([self.serving.slots(asked, at_hand, self.page - asked) for at_hand in range(self.page + 1)])


@dataclass(frozen=True)
class Pacing:
    """How prices move: start_price float64[C], 0 where money is no constraint; eta: step of the descent, 0 never moves
    them; floor: least price. share float64[1441]: planned cumulative share of a day at each minute, from 0 to 1."""

    start_price: np.ndarray
    eta: float = 0.0
    floor: float = 0.0
    share: np.ndarray = field(default_factory=lambda: UNPACED)

    def __post_init__(self) -> None:
        assert abs(self.share[-1] - 1) < 1e-9, "plan shares must sum to one"
        assert self.share[0] == 0, "plan shares begin at zero"


@dataclass(frozen=True)
class Outcome:
    """What happened. Per campaign [C] unless said otherwise; money in micros.

    by_day [days, C] posted; by_hour [days * 24] posted; seeker_* per seeker [S]; qualified is the sum of grades.
    looks, seeker_looks: expected number of impressions seen, the sum of P(seen) over the places shown; first_looks,
    first_clicks: the same and clicks of first exposures alone. seeker_organic [S, 2]: organic clicks and qualified.
    reach: seekers who may be shown the campaign; seeker_campaigns: different campaigns shown to a seeker; exposures:
    eligible pairs by how often they were shown, from never.
    """

    posted: np.ndarray
    valid: np.ndarray
    impressions: np.ndarray
    clicks: np.ndarray
    applications: np.ndarray
    qualified: np.ndarray
    hires: np.ndarray
    billed_value: np.ndarray
    by_day: np.ndarray
    by_hour: np.ndarray
    seeker_posted: np.ndarray
    seeker_qualified: np.ndarray
    seeker_shown: np.ndarray
    organic: np.ndarray  # impressions, clicks, applications, qualified
    final_price: np.ndarray
    looks: np.ndarray
    seeker_looks: np.ndarray
    first_looks: np.ndarray
    first_clicks: np.ndarray
    seeker_organic: np.ndarray
    reach: np.ndarray
    seeker_campaigns: np.ndarray
    exposures: np.ndarray

    def digest(self) -> str:
        """Hex SHA-256 of all numbers: equal exactly when two runs were."""
        digest = hashlib.sha256()
        for each in fields(self):
            digest.update(np.ascontiguousarray(getattr(self, each.name)).tobytes())
        return digest.hexdigest()


def play_market(
    pairs: Pairs,
    eligible: np.ndarray,
    organic: OrganicLists,
    traffic: Traffic,
    terms: Terms,
    rules: Rules,
    pacing: Pacing,
    times: np.ndarray | None = None,
) -> Outcome:
    """Run all days. eligible bool[n] says which pairs the arm retrieves; times int64[n] is filled with how often each
    pair was shown."""
    visits, slots, seekers = len(traffic.seeker), len(rules.promoted_positions), len(pairs.start) - 1
    numbers = _numbers(rules, pacing, traffic)
    candidates, kept = _candidates(pairs, eligible, terms, numbers.depth)
    longest = int(np.diff(candidates.start.astype(np.int64)).max(initial=0))
    books = open_books(
        terms.budget, terms.day_budget, terms.max_bid, terms.reserve, pacing.start_price.astype(np.float64), rules.days
    )
    counts = _no_counts(len(terms.job), seekers, rules.days)
    capacity = _room(traffic.second, TOKEN_SECONDS + rules.grace_seconds, slots)
    play(
        candidates,
        _organic(organic),
        Visits(traffic.seeker, traffic.second, traffic.number),
        Jobs(terms.job.astype(np.int64), terms.openings.astype(np.int64)),
        Lives(terms.opens, terms.closes, *(np.argsort(each, kind="stable") for each in (terms.opens, terms.closes))),
        numbers,
        books,
        np.empty(capacity, ITEM),
        counts,
        Scratch(
            np.empty(longest, np.uint64),
            np.empty(longest, np.int64),
            np.empty(longest, np.float64),
            np.empty(longest, np.int64),
            np.empty(slots + 1, np.int64),
            np.empty(slots + 1, np.int64),
            np.empty(SERVING_TRIES * slots, np.int64),
        ),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.float64),
    )
    posted, price = books.account["posted"].copy(), books.offer["price"].copy()
    shown = candidates.shown[:, TIMES].astype(np.int64)
    seeker = np.repeat(np.arange(seekers), np.diff(candidates.start.astype(np.int64)))
    outcome = Outcome(
        posted=posted,
        by_day=books.by_day,
        final_price=price,
        reach=np.bincount(pairs.campaign[kept], minlength=len(terms.job)),
        seeker_campaigns=np.bincount(seeker[shown > 0], minlength=seekers),
        exposures=np.bincount(shown),
        **counts._asdict(),
    )
    if times is not None:
        times[:] = 0
        times[kept] = shown
    _assert_conserved(outcome, terms, visits * slots)
    return outcome


def _candidates(pairs: Pairs, eligible: np.ndarray, terms: Terms, depth: int) -> tuple[Candidates, np.ndarray]:
    """Copies of the eligible pairs alone, the highest possible score of each seeker first; and which pairs they are."""
    kept = np.flatnonzero(eligible)
    counted = np.concatenate([[0], np.cumsum(eligible, dtype=np.int64)])
    start = counted[pairs.start]
    # next float above: the bound has to hold for the score in double precision
    most = terms.max_bid[pairs.campaign[kept]] * pairs.p_click[kept].astype(np.float64)
    most = np.nextafter(most.astype(np.float32), np.float32(np.inf))
    order = best_first(start, most)
    kept = kept[order]
    pair = np.zeros(len(kept), PAIR)
    pair["most"] = most[order]
    for name, column in (("campaign", "campaign"), ("p_click", "p_click"), ("value", "value_per_click")):
        pair[name] = getattr(pairs, column)[kept]
    shown = np.empty((len(kept), SHOWN_AT + depth))
    for column, name in ((LOGIT, "click_logit"), (APPLY, "p_apply"), (GRADE, "grade")):
        shown[:, column] = getattr(pairs, name)[kept]
    shown[:, TIMES] = 0
    return Candidates(start.astype(np.uint64), pair, shown), kept


def _organic(lists: OrganicLists) -> Organic:
    there = lists.job >= 0
    return Organic(
        lists.job,
        np.exp(-lists.click_logit.astype(np.float64)),
        lists.p_apply,
        lists.grade,
        lists.opens,
        lists.closes,
        np.where(there, 0, GONE).astype(np.int16),
    )


def _numbers(rules: Rules, pacing: Pacing, traffic: Traffic) -> Numbers:
    most = int(np.bincount(traffic.seeker).max(initial=0))
    # a cap that no seeker can reach needs no memory of when they were shown what
    reach = min(most, rules.frequency_cap)
    caps = [cap if cap < reach else NEVER for cap in (rules.serving.per_hour, rules.serving.per_day)]
    return Numbers(
        rules.days,
        rules.page,
        np.array(rules.promoted_positions, np.int64),
        rules.exam.astype(np.float64),
        rules.slots_of(),
        np.exp(np.minimum(700.0, -rules.repeat_effect * np.arange(most + 1))),
        PRICING[rules.auction],
        caps[0],
        caps[1],
        rules.frequency_cap,
        max([cap for cap in caps if cap < NEVER], default=1),
        float(rules.repeat_effect),
        float(rules.hire_given_qualified),
        float(rules.click_delay_seconds),
        float(rules.kappa),
        TOKEN_SECONDS,
        float(rules.grace_seconds),
        rules.seed,
        pacing.share.astype(np.float64),
        float(pacing.eta),
        float(pacing.floor),
    )


def _room(second: np.ndarray, life: float, slots: int) -> int:
    """A power of two above the items that can be open at once: those of any `life` seconds."""
    since = np.searchsorted(second, second - life, side="left")
    most = int((np.arange(len(second)) - since + 1).max(initial=1))
    return 1 << (most * slots).bit_length()


def _no_counts(campaigns: int, seekers: int, days: int) -> Counts:
    def whole(n: int) -> np.ndarray:
        return np.zeros(n, np.int64)

    return Counts(
        valid=whole(campaigns),
        impressions=whole(campaigns),
        clicks=whole(campaigns),
        applications=whole(campaigns),
        qualified=np.zeros(campaigns),
        hires=whole(campaigns),
        billed_value=np.zeros(campaigns),
        by_hour=whole(days * 24),
        seeker_posted=whole(seekers),
        seeker_qualified=np.zeros(seekers),
        seeker_shown=whole(seekers),
        organic=np.zeros(4),
        looks=np.zeros(campaigns),
        seeker_looks=np.zeros(seekers),
        first_looks=np.zeros(campaigns),
        first_clicks=whole(campaigns),
        seeker_organic=np.zeros((seekers, 2)),
    )


def _assert_conserved(outcome: Outcome, terms: Terms, places: int) -> None:
    """What has to hold in every market, whatever happened in it."""
    assert (outcome.posted <= terms.budget).all(), "a campaign was billed above its budget"
    assert (outcome.by_day <= terms.day_budget).all(), "a campaign was billed above its daily cap"
    assert (outcome.by_day.sum(0) == outcome.posted).all(), "days do not add up to the total"
    assert outcome.by_hour.sum() == outcome.posted.sum() == outcome.seeker_posted.sum(), "money was lost or made"
    assert (outcome.posted <= outcome.valid).all(), "more was billed than valid clicks cost"
    assert outcome.impressions.sum() == outcome.seeker_shown.sum() <= places, "more was shown than there were places"
    exposed = int(outcome.exposures @ np.arange(len(outcome.exposures)))
    assert exposed == outcome.impressions.sum(), "exposures of pairs do not add up to impressions"
    assert not outcome.impressions[terms.closes <= terms.opens].any(), "a campaign without a life was shown"
