"""Off-policy estimates: exact expectations in worlds small enough to enumerate, worked numbers, honest intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError, DataError
from sim.off_policy import ESTIMATORS, LoggedRewards, diagnose, evaluate
from sim.slate_policy import Choices, SlatePolicy, slot_chances
from targeting.exploration import Lottery, Placed

LOOK = np.array([1.0, 0.5])
CLICK = np.array([[0.5, 0.3, 0.1, 0.2], [0.1, 0.6, 0.4, 0.3]])  # P(click | seen) [kind, job]
BID = np.array([900_000, 700_000, 600_000, 500_000])
ESTIMATE = np.array([[0.3, 0.3, 0.2, 0.1], [0.3, 0.1, 0.2, 0.25]])  # what the product believes
VALUE = np.array([[0.1, 0.1, 0.9, 0.2], [0.1, 0.2, 0.3, 0.4]])
WRONG = np.array([[0.4, 0.1, 0.3], [0.7, 0.0, 0.2]])


def choices(kind: int) -> Choices:
    return Choices(BID, ESTIMATE[kind], VALUE[kind], -np.arange(4.0), np.ones(4, bool), 4)


def truth(policy: SlatePolicy) -> float:
    chances = [slot_chances(policy.lottery(choices(kind), 2), 4) for kind in (0, 1)]
    return float(np.mean([LOOK @ chances[kind] @ CLICK[kind] for kind in (0, 1)]))


def outcomes(lottery: Lottery) -> Iterator[tuple[float, list[Placed]]]:
    """(probability, what is shown) of everything the lottery can draw, by scripts of its chances."""
    size, left = len(lottery.winners), len(lottery.others)

    def scripts(slot: int, left: int) -> Iterator[tuple[float, list[float]]]:
        if slot == min(size, len(lottery.others)):
            yield (1.0 if size < 2 else 1 - lottery.swap), [1.0]
            for pair in range(size - 1):
                yield lottery.swap / (size - 1), [0.0, (pair + 0.5) / (size - 1)]
            return
        for p, rest in scripts(slot + 1, left):
            yield (1 - lottery.explore) * p, [1.0, *rest]
        for p, rest in scripts(slot + 1, left - 1):
            for pick in range(left):
                yield lottery.explore / left * p, [0.0, (pick + 0.5) / left, *rest]

    for p, script in scripts(0, left):
        if p > 0:
            calls = iter(script)
            yield p, lottery.draw(lambda calls=calls: next(calls))


def one_slate(kind: int, shown: Sequence[Placed], clicked: Sequence[int], target: SlatePolicy) -> LoggedRewards:
    """The log of one slate, with a reward model that is wrong."""
    wanted = slot_chances(target.lottery(choices(kind), 2), 4)
    wrong = np.append(WRONG[kind], 0.35)
    slots = np.arange(2)
    jobs = np.array([placed.candidate for placed in shown])
    return LoggedRewards(
        np.zeros(2, np.int64),
        slots,
        np.array(clicked, float),
        np.array([placed.propensity for placed in shown]),
        wanted[slots, jobs],
        np.zeros(1, np.int64),
        np.ones((1, 2)),
        np.zeros(1),
        LOOK * wrong[jobs],
        np.array([LOOK @ wanted @ wrong]),
    )


def expectation(logging: SlatePolicy, target: SlatePolicy) -> dict[str, float]:
    """E of each estimator over kinds of requests, everything the lottery can draw and every pattern of clicks."""
    total = dict.fromkeys(ESTIMATORS, 0.0)
    for kind in (0, 1):
        mass = 0.0
        for p, shown in outcomes(logging.lottery(choices(kind), 2)):
            rate = LOOK * CLICK[kind, [placed.candidate for placed in shown]]
            for clicked in itertools.product((0, 1), repeat=2):
                chance = p * float(np.prod(np.where(clicked, rate, 1 - rate)))
                found = evaluate(one_slate(kind, shown, clicked, target), clip=1.5)
                mass += chance
                for name, value in found.items():
                    total[name] += chance * value.value / 2
        assert mass == pytest.approx(1)
    return total


LOGGING = SlatePolicy("bid", exploration=0.3, swap=0.4)


@pytest.mark.parametrize(
    "target", ["bid", "value", "clicks", "bid,exploration=0.6,swap=0.1", "value,theta=0.5"], ids=lambda text: text
)
def test_ips_and_doubly_robust_expect_the_truth_over_all_that_could_have_been_logged(target: str) -> None:
    policy = SlatePolicy.parse(target)
    found = expectation(LOGGING, policy)
    assert found["ips"] == pytest.approx(truth(policy), abs=1e-12)
    assert found["dr"] == pytest.approx(truth(policy), abs=1e-12)
    assert abs(found["direct"] - truth(policy)) > 0.02  # a wrong model alone is wrong: the checks above can fail


def test_clipping_costs_ips_reward_and_never_adds_any() -> None:
    policy = SlatePolicy("value")
    assert expectation(LOGGING, policy)["clipped_ips"] < truth(policy) - 0.01


def test_what_the_log_can_never_hold_is_missing_from_ips_and_filled_by_the_model_in_dr() -> None:
    policy = SlatePolicy("value")
    found = expectation(SlatePolicy("bid", swap=0.5), policy)  # no lots: who did not win is never shown
    assert found["ips"] < truth(policy) - 0.05
    assert abs(found["dr"] - found["ips"]) > 0.05


@given(st.integers(0, 4), st.integers(0, 4), st.floats(0, 1), st.floats(0, 1))
def test_chances_by_slot_are_those_of_the_lottery(winners: int, others: int, explore: float, swap: float) -> None:
    lottery = Lottery(range(winners), range(winners, winners + others), explore, swap)
    found = slot_chances(lottery, winners + others)
    for slot in range(winners):
        assert found[slot].tolist() == [lottery.propensity(slot, row) for row in range(winners + others)]
    assert found.sum(1) == pytest.approx(np.ones(winners))


# ---- worked numbers: three slates of two seekers, one slot


def three() -> LoggedRewards:
    """Weights 4, 0, 1; rewards 1, 1, 0; model .5, .2, .4 of what was shown, .3 expected of the policy."""
    return LoggedRewards(
        slate=np.array([0, 1, 2]),
        slot=np.zeros(3, np.int64),
        reward=np.array([1.0, 1.0, 0.0]),
        propensity=np.array([0.25, 0.5, 0.5]),
        target=np.array([1.0, 0.0, 0.5]),
        seeker=np.array([7, 7, 9]),
        mass=np.ones((3, 1)),
        model=np.array([0.5, 0.2, 0.4]),
        expected=np.full(3, 0.3),
    )


def test_estimates_of_three_slates_by_hand() -> None:
    found = {name: value.value for name, value in evaluate(three(), clip=2.0).items()}
    assert found == pytest.approx(
        {
            "direct": 0.3,
            "ips": 4 / 3,
            "snips": 4 / 5,
            "dr": 0.3 + (4 * 0.5 + 1 * -0.4) / 3,
            "sndr": 0.3 + (4 * 0.5 + 1 * -0.4) / 5,
            "clipped_ips": 2 / 3,
            "clipped_dr": 0.3 + (2 * 0.5 + 1 * -0.4) / 3,
        }
    )
    about = diagnose(three(), clip=2.0)
    assert about.ess == pytest.approx(25 / 17)
    assert (about.max_weight, about.share_clipped, about.mean_weight) == (4, pytest.approx(1 / 3), pytest.approx(5 / 3))
    assert (about.slates, about.seekers, about.rows, about.unsupported_mass) == (3, 2, 3, None)


def test_the_standard_error_of_ips_by_hand_counts_seekers() -> None:
    """Deviations by seeker: (4 + 0) - 2 * 4/3 = 4/3 and 0 - 4/3; sqrt(2 / 1 * 2 * (4/3)^2) / 3."""
    assert evaluate(three())["ips"].standard_error == pytest.approx(np.sqrt(4 * (4 / 3) ** 2) / 3)


def random_log(rng: np.random.Generator, seekers: int = 300, visits: int = 2) -> LoggedRewards:
    slates = seekers * visits
    slate, slot = np.divmod(np.arange(slates * 2), 2)
    propensity = rng.choice([0.2, 0.8], len(slate))
    hit = rng.random(len(slate)) < 0.5
    reward = (rng.random(len(slate)) < 0.3).astype(float)
    return LoggedRewards(
        slate, slot, reward, propensity, np.where(hit, propensity * rng.choice([0.5, 1.2], len(slate)), 0.0),
        np.repeat(np.arange(seekers), visits), np.ones((slates, 2)), None,
        np.full(len(slate), 0.3), np.full(slates, 0.6),
    )  # fmt: skip


def test_the_bootstrap_and_the_linear_standard_error_agree() -> None:
    log = random_log(np.random.default_rng(4))
    for name, value in evaluate(log, rng=np.random.default_rng(5), draws=2000).items():
        if name == "direct":
            continue  # constant here
        assert value.ci95 is not None
        assert value.ci95[1] - value.ci95[0] == pytest.approx(2 * 1.96 * value.standard_error, rel=0.1), name


def test_a_seeker_who_comes_twice_with_the_same_outcome_adds_no_certainty() -> None:
    once = random_log(np.random.default_rng(6), visits=1)
    rows = np.concatenate([np.arange(len(once.slate))] * 2)
    twice = replace(
        once,
        slate=np.concatenate([once.slate, once.slate + len(once.seeker)]),
        slot=once.slot[rows],
        reward=once.reward[rows],
        propensity=once.propensity[rows],
        target=once.target[rows],
        seeker=np.tile(once.seeker, 2),
        mass=np.ones((2 * len(once.seeker), 2)),
        model=np.full(len(rows), 0.3),
        expected=np.full(2 * len(once.seeker), 0.6),
    )
    for name in ESTIMATORS:
        one, two = evaluate(once, clip=9)[name], evaluate(twice, clip=9)[name]
        assert two.value == pytest.approx(one.value)
        assert two.standard_error == pytest.approx(one.standard_error)


@given(st.integers(0, 2**32))
def test_self_normalised_estimates_stay_within_what_slots_can_earn(seed: int) -> None:
    log = random_log(np.random.default_rng(seed), seekers=5)
    assert 0 <= evaluate(log)["snips"].value <= 2  # two slots of at most one click


def test_the_policy_that_was_served_earns_what_was_earned() -> None:
    log = random_log(np.random.default_rng(8))
    own = replace(log, target=log.propensity)
    for name in ("ips", "snips", "clipped_ips"):
        assert evaluate(own)[name].value == pytest.approx(log.reward.sum() / len(log.seeker))
    assert diagnose(own).ess == pytest.approx(len(log.slate))


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, np.nan])
def test_a_propensity_that_is_no_chance_is_refused(propensity: float) -> None:
    with pytest.raises(DataError, match=f"propensity is {propensity}"):
        replace(three(), propensity=np.array([0.25, propensity, 0.5]))


def test_a_clip_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="clip is 0"):
        evaluate(three(), clip=0.0)
