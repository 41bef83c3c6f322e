"""L1 against the ratio of counts, at equal recall: links mined from some persons, chosen by others, judged by others.

    training persons      candidates, counts, support, weights
    validation persons    smoothing of the ratio, and which regression with which penalty
    test persons          looked at once, by whatever was chosen

Methods: the ratio with a threshold; the same without links that a kept shorter one implies; the logistic regression of
the paper, along its penalty or along a threshold on weights; the cover (graph.linking.cover) along the cost of a pair
without hire. Of the last two the one with the fewest links goes into the headline, among those that validation persons
allow: at no recall level more than `allowed_excess` more false positives than the ratio. The ratio without implied
links (`lean`) gets the same chance to be small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from graph.linking.candidates import CandidateConfig
from graph.linking.cover import cover_path, distinct_columns
from graph.linking.curve import (
    Curve,
    Pairs,
    at_recall,
    best_contained,
    compare,
    judge,
    positive,
    thresholds,
    without_implied,
)
from graph.linking.firing import LinkTokens, fires
from graph.linking.mining import LinkConfig, Survivors, strongest, surviving_links
from graph.linking.pairs import LinkPairs
from graph.linking.quality import L1Config, PathConfig, quality_path
from market.errors import ConfigError, DataError

TRAIN, VALIDATE, TEST = 0, 1, 2
RATIO, LEAN, LOGISTIC, COVER = "ratio", "lean ratio", "L1 logistic", "L1 cover"
TEMPLATES = (
    ("occupation", "occupation"),
    ("past_occupation", "occupation"),
    ("section", "occupation"),
    ("occupation", "section"),
    ("past_occupation", "section"),
    ("section", "section"),
    ("major", "major"),
    ("education", "section"),
    ("skill", "skill"),
    ("seniority", "seniority"),
)


def _link_config() -> LinkConfig:
    """All links with support, redundant ones too: how many links a method needs is the question."""
    candidates = CandidateConfig(templates=TEMPLATES, largest_k=12, largest_per_template=6, largest_size=4)
    return LinkConfig(candidates, drop_redundant=False)


@dataclass(frozen=True)
class TrialConfig:
    """smoothings: a of log((h + a) / (n + a)); thresholds: points of its path; penalties: C of the logistic regression;
    cover_penalties and costs: C of the cover and its path; levels: of recall, where methods are compared."""

    links: LinkConfig = field(default_factory=_link_config)
    smoothings: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    thresholds: int = 60
    penalties: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    cover_penalties: tuple[float, ...] = (0.15, 0.2, 0.3, 0.4)
    costs: tuple[float, ...] = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 32.0)
    levels: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    allowed_excess: float = 0.03
    draws: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("smoothings", "penalties", "cover_penalties", "costs"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise ConfigError(f"{name} are {getattr(self, name)}, expected some numbers above 0")
        if not self.levels or not 0 < min(self.levels) <= max(self.levels) < 1:
            raise ConfigError(f"recall levels are {self.levels}, expected some between 0 and 1")
        if self.thresholds < 2 or self.draws < 1:
            raise ConfigError("thresholds must be at least 2 and draws at least 1")


@dataclass(frozen=True)
class Method:
    """One way to choose links: the kept ones per setting, bool[settings, links], with the setting each belongs to."""

    kind: str
    option: str
    setting: np.ndarray
    kept: np.ndarray

    def judged(self, pairs: Pairs) -> Curve:
        return judge(zip(self.setting.tolist(), self.kept, strict=True), pairs)


def run_trial(
    pairs: LinkPairs,
    person: np.ndarray,
    fold: np.ndarray,
    config: TrialConfig = TrialConfig(),
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The report: curves of the chosen methods on test persons, comparisons with the ratio, and what was tried.

    person int[pairs] and fold int8[pairs] (TRAIN, VALIDATE, TEST): of the seeker of each pair; a person has one fold.
    """
    counts = _check_folds(pairs, person, fold)
    train = pairs.take(fold == TRAIN)
    survivors = surviving_links(train, config.links, progress=progress)
    if not len(survivors):
        raise DataError("links", "none has enough hires and more hires than pairs without", "give more hires")
    survivors_in_all, survivors = len(survivors), strongest(survivors, train, config.links.largest_design)
    progress(f"{survivors_in_all:,} links survive")
    methods = _methods(survivors, train, config, progress)

    progress("choosing on validation persons")
    tried = _tried(methods, _judged_by(survivors.tokens, pairs, person, fold == VALIDATE), config)
    chosen = _choose(methods, tried, config)
    progress("judging on test persons")
    test = _judged_by(survivors.tokens, pairs, person, fold == TEST)
    curves = {name: methods[row].judged(test) for name, row in chosen.items()}
    l1 = min((LOGISTIC, COVER), key=lambda name: _rank(tried[chosen[name]], config))
    rng = np.random.default_rng([config.seed, 71])
    return {
        "pairs": counts,
        "candidates": survivors.candidates,
        "links": survivors_in_all,
        "weighed": len(survivors),
        "validation": tried,
        "chosen": {name: methods[row].option for name, row in chosen.items()},
        "headline": l1,
        "comparison": {
            name: compare(curve, curves[RATIO], config.levels, rng, config.draws)
            for name, curve in curves.items()
            if name != RATIO
        },
        "curves": {name: curve.points(rng, config.draws) for name, curve in curves.items()},
    }


def _methods(
    survivors: Survivors, train: LinkPairs, config: TrialConfig, progress: Callable[[str], None]
) -> list[Method]:
    """Every method with every option, by the training pairs alone."""
    design = fires(survivors.tokens, train)
    contains = _contains(survivors.tokens, train)
    hires, no_hires = survivors.counted.hires, survivors.counted.no_hire_weight
    found = []
    for smoothing in config.smoothings:
        quality = np.log((hires + smoothing) / (no_hires + smoothing))
        option, contained = f"smoothing {smoothing:g}", best_contained(contains, quality)
        found.append(_method(RATIO, option, thresholds(quality, config.thresholds)))
        found.append(_method(LEAN, option, without_implied(quality, contained, config.thresholds)))

    size = np.diff(survivors.tokens.seeker.start) + np.diff(survivors.tokens.job.start)
    columns = distinct_columns(design, size)  # twins would share a weight, and neither goes without the other
    design, count = design[:, columns], len(size)
    progress(f"logistic regression of {len(columns):,} links that fire on different pairs")
    path = PathConfig("logistic", config.penalties, L1Config(seed=config.seed))
    fitted = list(quality_path(design, train.hired, train.weight, path))
    found.append(_method(LOGISTIC, "along C", _spread(positive(fitted), columns, count)))
    for penalty, weights in fitted:
        rows = np.flatnonzero(weights > 0)
        if len(rows):
            along = thresholds(weights[rows], config.thresholds)
            found.append(_method(LOGISTIC, f"C {penalty:g}, along a threshold", _spread(along, columns[rows], count)))
    for penalty in config.cover_penalties:
        progress(f"cover, C = {penalty:g}")
        weights = cover_path(design, train.hired, train.weight, config.costs, penalty)
        found.append(_method(COVER, f"C {penalty:g}", _spread(positive(weights), columns, count)))
    return found


def _tried(methods: list[Method], validation: Pairs, config: TrialConfig) -> list[dict[str, Any]]:
    """Per method on validation persons: how many recall levels it reaches, and over those, beside the best plain ratio:
    times fewer links, more false positives on average and at the worst level; None where it reaches none.

    The best ratio reaches every level, with the fewest pairs without hire linked on average over the levels."""
    read = [at_recall(method.judged(validation), config.levels) for method in methods]
    share = [float(found.linked_among_no_hires.mean()) for found in read]
    plain = [row for row, method in enumerate(methods) if method.kind == RATIO and np.isfinite(share[row])]
    if not plain:
        raise DataError("recall levels", f"the ratio does not reach all of {config.levels}", "ask for other levels")
    reference = min(plain, key=lambda row: share[row])
    best = read[reference]
    rows = []
    for number, (method, found) in enumerate(zip(methods, read, strict=True)):
        reached = np.flatnonzero(np.isfinite(found.links))
        row: dict[str, Any] = {"method": method.kind, "option": method.option, "reference": number == reference}
        row |= {"levels": len(reached), "times_fewer": None, "more_false_positives": None, "worst_level": None}
        if len(reached):
            fewer = np.log(best.links / found.links)[reached]
            more = (found.linked_among_no_hires / best.linked_among_no_hires)[reached] - 1
            row |= {"times_fewer": float(np.exp(fewer.mean()))}
            row |= {"more_false_positives": float(more.mean()), "worst_level": float(more.max())}
        rows.append(row)
    return rows


def _choose(methods: list[Method], tried: list[dict[str, Any]], config: TrialConfig) -> dict[str, int]:
    """Rows of the chosen methods: the best ratio as `_tried` says, and of each other kind the best by `_rank`."""
    chosen = {RATIO: next(number for number, row in enumerate(tried) if row["reference"])}
    for kind in (LEAN, LOGISTIC, COVER):
        of_kind = [row for row, method in enumerate(methods) if method.kind == kind]
        chosen[kind] = min(of_kind, key=lambda row: _rank(tried[row], config))
    return chosen


def _rank(row: dict[str, Any], config: TrialConfig) -> tuple[int, float, float]:
    """Smaller is better: within the allowed excess wherever it reaches (half of the levels at least), then more levels
    reached, then fewer links; outside of it the least excess; and what reaches less comes last."""
    if row["levels"] == 0 or 2 * row["levels"] < len(config.levels):
        return 2, -row["levels"], 0.0
    if row["worst_level"] > config.allowed_excess:
        return 1, row["worst_level"], 0.0
    return 0, -row["levels"], -row["times_fewer"]


def _judged_by(tokens: LinkTokens, pairs: LinkPairs, person: np.ndarray, rows: np.ndarray) -> Pairs:
    of_fold = pairs.take(rows)
    return Pairs(fires(tokens, of_fold), of_fold.hired, person[rows])


def _contains(tokens: LinkTokens, pairs: LinkPairs) -> sp.csr_matrix:
    """[links, links]: whether the column's values are all among the row's; links are taken for pairs."""
    count = len(tokens)
    row = np.arange(count, dtype=np.int32)
    none = np.zeros(count, bool)
    words = (pairs.seeker_words, pairs.job_words)
    taken = LinkPairs(*words, tokens.seeker, tokens.job, row, row, none, np.ones(count), np.zeros(count, np.int8))
    return fires(tokens, taken)


def _spread(path: Any, columns: np.ndarray, count: int) -> Any:
    for setting, kept in path:
        everywhere = np.zeros(count, bool)
        everywhere[columns] = kept
        yield setting, everywhere


def _method(kind: str, option: str, path: Any) -> Method:
    setting, kept = zip(*path, strict=True)
    return Method(kind, option, np.array(setting, float), np.array(kept))


def _check_folds(pairs: LinkPairs, person: np.ndarray, fold: np.ndarray) -> dict[str, dict[str, int]]:
    if not len(person) == len(fold) == len(pairs):
        raise DataError("pairs", f"{len(pairs)} pairs, {len(person)} persons, {len(fold)} folds", "align them")
    homes = np.unique(np.stack([person, fold]), axis=1)[0]
    if len(np.unique(homes)) < len(homes):
        twice = homes[:-1][homes[1:] == homes[:-1]][0]
        raise DataError("pairs", f"person {twice} is in several folds", "split by person")
    found = {}
    for name, number in (("train", TRAIN), ("validation", VALIDATE), ("test", TEST)):
        rows = fold == number
        hires, against = int((rows & pairs.hired).sum()), int((rows & ~pairs.hired).sum())
        if not hires or not against:
            raise DataError("pairs", f"{hires} hires and {against} pairs without in the {name} fold", "give both")
        found[name] = {"persons": len(np.unique(person[rows])), "hires": hires, "no_hires": against}
    return found
