"""The trial of link methods: chosen without the test persons, compared on them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graph.linking.candidates import CandidateConfig
from graph.linking.mining import LinkConfig
from graph.linking.pairs import LinkPairs, link_pairs
from graph.linking.trial import COVER, LEAN, LOGISTIC, RATIO, TEST, TRAIN, VALIDATE, TrialConfig, run_trial
from market.errors import ConfigError, DataError

CONFIG = TrialConfig(
    links=LinkConfig(
        CandidateConfig(templates=(("occupation", "occupation"), ("skill", "skill")), largest_k=5, largest_size=3),
        drop_redundant=False,
    ),
    smoothings=(1.0, 3.0),
    thresholds=12,
    penalties=(0.05, 0.5),
    cover_penalties=(0.5, 1.0),
    costs=(0.3, 1.0, 3.0),
    levels=(0.4, 0.6),
    draws=20,
)


def world(seed: int = 0, people: int = 300) -> tuple[LinkPairs, np.ndarray, np.ndarray]:
    """Five occupations; people move to the next one. Skills are of the occupation; three postings a hire hired none."""
    rng = np.random.default_rng(seed)
    now = rng.integers(5, size=people)
    then = np.where(rng.random(people) < 0.8, (now + 1) % 5, rng.integers(5, size=people))
    seekers = [[f"occupation={o}", *(f"skill={o}{i}" for i in rng.choice(6, 3, replace=False))] for o in now]
    jobs = [[f"occupation={o}", *(f"skill={o}{i}" for i in rng.choice(6, 3, replace=False))] for o in then]
    seeker = np.concatenate([np.arange(people), np.repeat(np.arange(people), 3)])
    job = np.concatenate([np.arange(people), rng.integers(people, size=3 * people)])
    hired = np.arange(4 * people) < people
    pairs = link_pairs(seekers, jobs, seeker, job, hired, np.where(hired, 1.0, 1 / 3))
    fold = rng.choice(3, people, p=[0.6, 0.2, 0.2])
    return pairs, seeker, fold[seeker]


@pytest.fixture(scope="module")
def report():
    return run_trial(*world(), CONFIG)


def test_every_method_is_chosen_judged_and_all_but_the_ratio_compared(report):
    assert set(report["chosen"]) == set(report["curves"]) == {RATIO, LEAN, LOGISTIC, COVER}
    assert set(report["comparison"]) == {LEAN, LOGISTIC, COVER}
    assert report["headline"] in (LOGISTIC, COVER)
    assert report["links"] == report["weighed"] > 20
    assert sum(row["reference"] for row in report["validation"]) == 1


def test_the_ratio_keeping_everything_links_most_and_so_few_links_of_the_cover_do(report):
    everything = report["curves"][RATIO][0]
    assert everything["links"] == report["links"]
    cover = report["curves"][COVER]
    assert max(point["recall"]["mean"] for point in cover) <= everything["recall"]["mean"]
    assert all(point["links"] < report["links"] / 4 for point in cover)


def test_leaving_implied_links_out_costs_no_recall(report):
    full, lean = report["curves"][RATIO], report["curves"][LEAN]
    if report["chosen"][RATIO] == report["chosen"][LEAN]:
        assert [point["recall"]["mean"] for point in full] == [point["recall"]["mean"] for point in lean]
    assert all(few["links"] <= many["links"] for few, many in zip(lean, full, strict=True))


def test_test_persons_choose_nothing(report):
    pairs, person, fold = world()
    hired = pairs.hired.copy()
    hired[fold == TEST] = np.random.default_rng(5).permutation(hired[fold == TEST])
    other = run_trial(replace(pairs, hired=hired), person, fold, CONFIG)
    for part in ("validation", "chosen", "headline", "links", "candidates"):
        assert other[part] == report[part]
    assert other["curves"] != report["curves"]


def test_validation_persons_mine_nothing(report):
    pairs, person, fold = world()
    hired = pairs.hired.copy()
    hired[np.flatnonzero(hired & (fold == VALIDATE))[:9]] = False
    other = run_trial(replace(pairs, hired=hired), person, fold, CONFIG)
    assert (other["links"], other["candidates"]) == (report["links"], report["candidates"])
    assert other["validation"] != report["validation"]


def test_the_same_pairs_give_the_same_report(report):
    assert run_trial(*world(), CONFIG) == report


def test_a_stricter_allowance_chooses_more_careful_methods(report):
    worst = {
        allowed: next(
            row["worst_level"]
            for row in report["validation"]
            if (row["method"], row["option"])
            == (COVER, run_trial(*world(), replace(CONFIG, allowed_excess=allowed))["chosen"][COVER])
        )
        for allowed in (-1.0, 10.0)
    }
    assert worst[-1.0] <= worst[10.0]


def test_a_person_in_two_folds_is_refused():
    pairs, person, fold = world(people=60)
    fold = fold.copy()
    fold[0] = TEST if fold[0] == TRAIN else TRAIN
    with pytest.raises(DataError, match="person 0 is in several folds"):
        run_trial(pairs, person, fold, CONFIG)


def test_an_empty_fold_is_refused():
    pairs, person, fold = world(people=60)
    with pytest.raises(DataError, match="in the validation fold"):
        run_trial(pairs, person, np.where(fold == VALIDATE, TRAIN, fold), CONFIG)


def test_arrays_that_do_not_align_are_refused():
    pairs, person, fold = world(people=60)
    with pytest.raises(DataError, match="align"):
        run_trial(pairs, person[1:], fold, CONFIG)


@pytest.mark.parametrize("wrong", [{"costs": ()}, {"penalties": (0.0,)}, {"levels": (1.0,)}, {"thresholds": 1}])
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError):
        replace(CONFIG, **wrong)
