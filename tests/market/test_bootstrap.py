import numpy as np
import pytest

import market.bootstrap
from market.bootstrap import Estimate, cluster_bootstrap, paired_difference, relative_lift
from market.errors import ConfigError


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_value_is_that_of_the_data() -> None:
    assert cluster_bootstrap(["a", "a", "b"], [1, 2, 6], rng=generator()).value == 3.0
    assert cluster_bootstrap(["a", "a", "b"], [1, 2, 6], [1, 1, 4], rng=generator()).value == 1.5


def test_the_interval_agrees_with_drawing_clusters_one_by_one() -> None:
    rng = generator(1)
    clusters = rng.integers(0, 30, 200)
    numerators, denominators = rng.gamma(2, 1, 200), rng.gamma(3, 1, 200)
    fast = cluster_bootstrap(clusters, numerators, denominators, rng=generator(2), draws=20_000)
    ids, slow = np.unique(clusters), []
    for _ in range(5_000):
        rows = np.concatenate([np.flatnonzero(clusters == g) for g in rng.choice(ids, len(ids))])
        slow.append(numerators[rows].sum() / denominators[rows].sum())
    assert fast.clusters == len(ids)
    assert fast.ci == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.15 * float(np.std(slow)))


def test_the_interval_of_a_mean_is_close_to_the_normal_one() -> None:
    sample = generator(3).normal(5, 2, 2_000)
    low, high = cluster_bootstrap(np.arange(2_000), sample, rng=generator(4), draws=4_000).ci or (0.0, 0.0)
    half = 1.96 * sample.std() / np.sqrt(2_000)
    assert low == pytest.approx(sample.mean() - half, abs=0.06 * half)
    assert high == pytest.approx(sample.mean() + half, abs=0.06 * half)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = generator(5)
    covered = 0
    for _ in range(300):
        effect = rng.normal(0, 1, 60)  # rows of one cluster share it, so rows alone would give a far narrower interval
        rows = np.repeat(effect, 5) + rng.normal(0, 0.2, 300)
        low, high = cluster_bootstrap(np.repeat(np.arange(60), 5), rows, rng=rng, draws=400).ci or (0.0, 0.0)
        covered += low <= 0 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_doubling_every_row_of_a_cluster_does_not_narrow_the_interval() -> None:
    clusters, numerators = np.arange(40), generator(6).normal(size=40)
    once = cluster_bootstrap(clusters, numerators, rng=generator(7))
    twice = cluster_bootstrap(np.tile(clusters, 2), np.tile(numerators, 2), rng=generator(7))
    assert twice.ci == pytest.approx(once.ci)


def test_the_same_seed_gives_the_same_interval_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters, numerators = np.arange(50), generator(8).normal(size=50)
    whole = cluster_bootstrap(clusters, numerators, rng=generator(9))
    monkeypatch.setattr(market.bootstrap, "BLOCK_CELLS", 50 * 7)
    assert cluster_bootstrap(clusters, numerators, rng=generator(9)).ci == pytest.approx(whole.ci, rel=1e-12)


def test_a_constant_factor_between_the_arms_has_no_spread() -> None:
    control = generator(10).gamma(2, 1, 80)
    lift = relative_lift(np.arange(80), 1.15 * control, control, rng=generator(11))
    assert lift.value == pytest.approx(0.15)
    assert lift.ci == pytest.approx((0.15, 0.15))


def test_pairing_makes_the_interval_of_a_lift_narrower_than_apart() -> None:
    rng = generator(12)
    control = rng.gamma(1, 1, 200)
    treatment = control * rng.normal(1.1, 0.05, 200)
    paired = relative_lift(np.arange(200), treatment, control, rng=generator(13))
    shuffled = relative_lift(np.arange(200), rng.permutation(treatment), control, rng=generator(13))
    assert paired.value == pytest.approx(shuffled.value)
    assert paired.ci is not None
    assert shuffled.ci is not None
    assert paired.ci[1] - paired.ci[0] < 0.2 * (shuffled.ci[1] - shuffled.ci[0])


def test_lift_and_difference_of_ratios_of_a_worked_example() -> None:
    rows = (["a", "b"], [3, 3], [2, 2], [4, 4], [5, 3])  # 6/8 against 4/8
    assert relative_lift(*rows, rng=generator()).value == pytest.approx(0.5)
    assert paired_difference(*rows, rng=generator()).value == pytest.approx(0.25)


def test_equal_arms_have_no_difference() -> None:
    arm = generator(14).normal(size=30)
    assert paired_difference(np.arange(30), arm, arm, rng=generator()).ci == (0.0, 0.0)


def test_one_cluster_has_a_value_and_no_interval() -> None:
    assert cluster_bootstrap([7, 7], [1, 3], rng=generator()) == Estimate(2.0, None, 1)


def test_no_rows_have_neither_value_nor_interval() -> None:
    assert cluster_bootstrap([], [], rng=generator()) == Estimate(None, None, 0)


def test_a_denominator_of_zero_leaves_the_ratio_undefined() -> None:
    assert cluster_bootstrap([1, 2], [1, 3], [0, 0], rng=generator()) == Estimate(None, None, 2)
    assert relative_lift([1, 2], [1, 3], [0, 0], rng=generator()) == Estimate(None, None, 2)
    assert relative_lift([1, 2], [1, 3], [-1, -1], rng=generator()) == Estimate(None, None, 2)


def test_a_ratio_that_is_undefined_in_many_draws_has_no_interval() -> None:
    # A quarter of all draws of two clusters miss the only one with a denominator.
    assert cluster_bootstrap([1, 2], [1, 1], [1, 0], rng=generator()) == Estimate(2.0, None, 2)


def test_a_few_undefined_draws_are_left_out() -> None:
    estimate = cluster_bootstrap(np.arange(8), np.ones(8), [1] * 4 + [0] * 4, rng=generator())
    assert estimate.value == 2.0
    assert estimate.ci is not None
    assert np.isfinite(estimate.ci).all()


def test_reports_write_an_interval_or_none() -> None:
    assert Estimate(1.0, (0.5, 1.5), 9).report() == {"mean": 1.0, "ci95": [0.5, 1.5]}
    assert Estimate(1.0, None, 1).report("relative") == {"relative": 1.0, "ci95": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"numerators": [1.0]}, "numerators has shape"),
        ({"numerators": [1.0, np.nan]}, "numerators\\[1\\] is nan"),
        ({"denominators": [1.0, -1.0]}, "denominators\\[1\\] is -1.0; expected a finite number from 0"),
        ({"draws": 0}, "draws is 0"),
        ({"level": 1.0}, "level is 1.0"),
        ({"clusters": [[1, 2]]}, "clusters has 2 dimensions"),
    ],
)
def test_what_can_not_be_drawn_is_refused(arguments: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"clusters": [1, 2], "numerators": [1.0, 2.0]}
    with pytest.raises(ConfigError, match=message):
        cluster_bootstrap(**{**good, **arguments}, rng=generator())  # type: ignore[arg-type]
