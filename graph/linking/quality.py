"""What a link is worth: the smoothed ratio of its hires to its pairs without, or a logistic regression over all links.

    ratio      q = (hires + 1) / (weighted pairs without hire + 1); the weight of the link is log q
    logistic   minimise sum_i v_i log(1 + exp(-y_i (b + sum of w_l over links that fire on i))) + |w|_1 / C

The first judges every link alone, so that all variants of a good link are good. The second explains hires by all links
at once, and its L1 penalty leaves most weights at exactly 0 (after Shen et al., arXiv 2402.13435). Links contain one
another, so columns are nearly collinear: solver, order and seed are fixed, and the same data give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from graph.linking.firing import Firings
from market.errors import ConfigError, DataError

Quality = Literal["logistic", "ratio"]


@dataclass(frozen=True)
class L1Config:
    """inverse_penalty: C, smaller keeps fewer links. tolerance, largest_iterations: of liblinear.

    liblinear would penalise the intercept like a weight. As the weight of a column of `intercept_scaling` instead of 1
    it costs that many times less; larger values come closer to no penalty, and converge more slowly.
    """

    inverse_penalty: float = 1.0
    tolerance: float = 1e-2
    largest_iterations: int = 1000
    intercept_scaling: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("inverse_penalty", "tolerance", "largest_iterations", "intercept_scaling"):
            if not 0 < getattr(self, name) < np.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a finite number above 0")


@dataclass(frozen=True)
class PathConfig:
    """Settings to go through, one after another: C of the logistic regression, or thresholds that log q must exceed."""

    quality: Quality = "logistic"
    settings: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    logistic: L1Config = field(default_factory=L1Config)

    def __post_init__(self) -> None:
        check_quality(self.quality)
        if not self.settings or not np.isfinite(self.settings).all():
            raise ConfigError(f"settings of the path are {self.settings}, expected finite numbers")


def check_quality(quality: str) -> None:
    if quality not in ("logistic", "ratio"):
        raise ConfigError(f"link quality {quality!r} is unknown; use logistic or ratio")


def log_ratio(hires: np.ndarray, no_hire_weight: np.ndarray) -> np.ndarray:
    """float64[l]: log of the smoothed ratio of each of l links; 0 is even."""
    return np.log((hires + 1) / (no_hire_weight + 1))


def log_likelihood_ratio(counted: Firings, hires: float, no_hire_weight: float) -> np.ndarray:
    """float64[l]: G^2 of the table (fires or not) x (hire or not) of each link alone (Dunning, 1993); 0 if it is less
    common among hires than without. hires, no_hire_weight: totals over all pairs."""
    observed = np.stack(
        [
            [counted.hires, hires - counted.hires],
            [counted.no_hire_weight, no_hire_weight - counted.no_hire_weight],
        ]
    ).astype(float)  # [hire or not, fires or not, l]
    expected = observed.sum(1, keepdims=True) * observed.sum(0, keepdims=True) / (hires + no_hire_weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(observed > 0, observed * np.log(observed / expected), 0.0)
    return np.where(observed[0, 0] >= expected[0, 0], 2 * terms.sum((0, 1)), 0.0)


def logistic_weights(
    fires: sp.csr_matrix, hired: np.ndarray, weight: np.ndarray, config: L1Config = L1Config()
) -> tuple[np.ndarray, float]:
    """(weights float64[l], intercept). fires [pairs, l], hired bool[pairs], weight float64[pairs] above 0."""
    hired = np.asarray(hired, bool)
    if hired.all() or not hired.any():
        raise DataError("link pairs", "only one of hires and pairs without hire is there", "give both")
    solver = LogisticRegression(
        l1_ratio=1.0,
        C=config.inverse_penalty,
        solver="liblinear",
        max_iter=config.largest_iterations,
        tol=config.tolerance,
        intercept_scaling=config.intercept_scaling,
        random_state=config.seed,
    )
    solver.fit(fires, hired, sample_weight=weight)
    return np.asarray(solver.coef_[0], float), float(solver.intercept_[0])


def quality_path(
    fires: sp.csr_matrix, hired: np.ndarray, weight: np.ndarray, config: PathConfig = PathConfig()
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (setting, weights float64[l]) for each setting; links that are not kept weigh 0.

    Logistic weights may be negative: such a link speaks against a hire. Ratio weights are log q, above the threshold.
    """
    hired = np.asarray(hired, bool)
    if config.quality == "ratio":
        quality = log_ratio(fires.T @ hired.astype(float), fires.T @ np.where(hired, 0.0, weight))
        for threshold in config.settings:
            yield threshold, np.where(quality > threshold, quality, 0.0)
        return
    for inverse_penalty in config.settings:
        settings = replace(config.logistic, inverse_penalty=inverse_penalty)
        yield inverse_penalty, logistic_weights(fires, hired, weight, settings)[0]
