"""Numbers of people: noise before the floor, two digits, one answer a question, and what an attacker learns from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError
from targeting.reach import Reach, ReachConfig, discrete_laplace, rounded

SECRET = b"a secret of thirty-two bytes ...."
NAMES = ("nurses", "cooks", "clerks", "pilots")
PEOPLE = np.array([5_000, 310, 290, 12])


def seed(number: int) -> bytes:
    return np.random.default_rng(number).bytes(16)


def test_the_noise_is_a_discrete_laplace() -> None:
    """Against the formula at epsilon .5; each frequency within four standard errors."""
    epsilon, n = 0.5, 20_000
    bytes_ = np.random.default_rng(0).bytes(16 * n)
    drawn = np.array([discrete_laplace(bytes_[16 * i : 16 * i + 16], epsilon) for i in range(n)])
    a = math.exp(-epsilon)
    for x in range(-4, 5):
        expected = (1 - a) / (1 + a) * a ** abs(x)
        assert abs((drawn == x).mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
    assert abs(drawn.mean()) < 4 * math.sqrt(2 * a / (1 - a) ** 2 / n)


def test_extreme_bytes_give_finite_noise() -> None:
    assert discrete_laplace(b"\x00" * 8 + b"\xff" * 8, 0.1) == math.floor(64 * math.log(2) / 0.1)
    assert discrete_laplace(b"\xff" * 16, 0.1) == 0


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 2_000), min_size=1, max_size=30),
    st.binary(min_size=1, max_size=32),
    st.data(),
)
def test_no_number_is_below_the_floor_and_all_have_two_digits(
    people: list[int], secret: bytes, data: st.DataObject
) -> None:
    names = [f"o{i}" for i in range(len(people))]
    reach = Reach(names, np.array(people), secret)
    asked = data.draw(st.lists(st.integers(0, len(people) - 1)))
    shown = reach.shown(asked)
    noisy = sum(int(reach._noisy[i]) for i in set(asked))  # type: ignore[index]
    if noisy < 300:
        assert shown is None
    else:
        assert shown is not None
        assert shown >= 300
        assert shown == rounded(noisy)
        assert len(str(shown).rstrip("0")) <= 2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=1))
def test_one_question_written_differently_has_one_answer(order: list[int], asked: list[int]) -> None:
    reach = Reach(NAMES, PEOPLE, SECRET)
    again = Reach(NAMES, PEOPLE.copy(), SECRET)  # another process, another day
    expected = reach.shown(asked)
    assert reach.shown([*asked, *asked]) == expected
    assert reach.shown(sorted(asked, key=order.index)) == expected
    assert again.shown(asked) == expected


def test_the_noise_comes_before_the_floor() -> None:
    """Over many secrets a group of 290 is sometimes told and one of 310 sometimes not; one of 12 never is."""
    shown = np.array([[Reach(NAMES, PEOPLE, seed(i)).shown([at]) is not None for at in range(4)] for i in range(400)])
    assert shown[:, 0].all()
    assert 0.6 < shown[:, 1].mean() < 0.95
    assert 0.05 < shown[:, 2].mean() < 0.4
    assert not shown[:, 3].any()


def test_new_data_bring_new_noise_everywhere() -> None:
    """The difference of two editions is not the difference of their people."""
    more = PEOPLE + np.array([1, 0, 0, 0])
    differences = {
        int(Reach(NAMES, more, seed(i))._noisy[1] - Reach(NAMES, PEOPLE, seed(i))._noisy[1])  # type: ignore[index]
        for i in range(50)
    }
    assert len(differences) > 10


def test_without_a_secret_nothing_is_told() -> None:
    assert Reach(NAMES, PEOPLE, b"").shown(range(4)) is None


@pytest.mark.parametrize(("people", "told"), [(300, 300), (304, 300), (1_249, 1_200), (98_765, 99_000)])
def test_two_digits(people: int, told: int) -> None:
    assert rounded(people) == told


@pytest.mark.parametrize("setting", [{"epsilon": 0.0}, {"epsilon": float("nan")}, {"epsilon": 2.0}, {"floor": 0}])
def test_impossible_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        ReachConfig(**setting)  # type: ignore[arg-type]


def test_counts_have_to_fit_the_names() -> None:
    with pytest.raises(ConfigError, match="count of each"):
        Reach(NAMES, PEOPLE[:2], SECRET)


# ---- the attacker: two sets of data that differ in one person; which of them is it?


PAIRS = 10_000
BOUND = (math.exp(0.1) - 1) / (math.exp(0.1) + 1)  # .04996 at epsilon .1
SAMPLING = 3 * math.sqrt(2 * 0.25 / (PAIRS / 2))  # three standard errors of a difference of two shares


def advantage(signal: np.ndarray, member: np.ndarray) -> float:
    """Share of true minus false alarms of a threshold on `signal` that is best on the other half of the pairs."""
    half = len(signal) // 2
    thresholds = np.unique(np.quantile(signal[:half], np.linspace(0, 1, 201)))
    gains = [
        (signal[:half][member[:half]] >= t).mean() - (signal[:half][~member[:half]] >= t).mean() for t in thresholds
    ]
    best = thresholds[int(np.argmax(gains))]
    rest, there = signal[half:], member[half:]
    return float((rest[there] >= best).mean() - (rest[~there] >= best).mean())


def answers(questions: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(float64[PAIRS, questions]: what is shown, 0 for nothing; bool[PAIRS]: was the person there) for fresh secrets.

    The person is a cook; the attacker knows the number of everybody else and has chosen it to lie at the floor or at
    the edge where two digits round up, whichever the pair's number says.
    """
    chance = np.random.default_rng(7)
    member = chance.random(PAIRS) < 0.5
    edges = np.array([299, 304, 314, 999])
    shown = np.empty((PAIRS, len(questions)))
    for i in range(PAIRS):
        people = np.array([5_000, edges[i % 4] + member[i], 290, 12])
        reach = Reach(NAMES, people, chance.bytes(16))
        shown[i] = [reach.shown(asked) or 0 for asked in questions]
    return shown, member


def test_one_question_tells_hardly_more_than_a_coin_about_one_person() -> None:
    shown, member = answers([[1]])
    centred = shown[:, 0] - np.array([299, 304, 314, 999])[np.arange(PAIRS) % 4]
    assert abs(advantage(centred, member)) <= BOUND + SAMPLING


def test_all_questions_about_a_person_together_tell_no_more_than_one() -> None:
    """All unions that hold the cooks, subtracted and averaged in any way: they share one noisy number of cooks."""
    questions = [[1], [0, 1], [1, 2], [1, 3], [0, 1, 2], [0, 1, 3], [1, 2, 3], [0, 1, 2, 3]]
    shown, member = answers(questions)
    edges = np.array([299, 304, 314, 999])[np.arange(PAIRS) % 4]
    others = np.array([sum([5_000, 0, 290, 12][at] for at in asked) for asked in questions])
    centred = (shown - others - edges[:, None]).mean(axis=1)
    assert abs(advantage(centred, member)) <= BOUND + SAMPLING


def test_even_whoever_sees_the_noisy_counts_themselves_stays_within_the_bound() -> None:
    """Stronger than any number of questions: before floor and rounding, with everybody else known exactly."""
    chance = np.random.default_rng(11)
    member = chance.random(PAIRS) < 0.5
    noisy = np.empty(PAIRS)
    for i in range(PAIRS):
        reach = Reach(NAMES, np.array([5_000, 500 + member[i], 290, 12]), chance.bytes(16))
        noisy[i] = reach._noisy[1]  # type: ignore[index]
    found = advantage(noisy, member)
    assert found <= BOUND + SAMPLING
    assert found > 0.5 * BOUND - SAMPLING  # the attack is one: it finds what there is to find
