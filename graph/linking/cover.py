"""Few links that reach the hires: an L1 logistic regression whose weights can only be positive.

Retrieval takes a job when any link fires; a regression adds links up, and pays with negative weights that retrieval
never sees for general links that fire too often. Without negative weights and without an intercept the sum is above 0
exactly on the pairs that some kept link fires on, so the loss is about what retrieval does:

    minimise over w >= 0    sum_i c_i log(1 + exp(-y_i s_i)) + sum_l w_l / C        s_i = sum of w_l that fire on i
    c_i = weight of the pair, times `cost` for a pair without hire

Non-negative weights for retrieval clauses: Borisyuk et al., CaSMoS, KDD 2016. Because s >= 0, a link can gain at most
(h - cost n) / 2 from its h hires and n (weighted) pairs without, so w_l = 0 wherever

    h - cost n <= 2 / C

The cost is a threshold on h / n as that of the ratio is; 2 / C is a minimum of hires; and what other links already
explain no longer pays, which the ratio does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit

from market.errors import ConfigError, DataError

LARGEST_ITERATIONS = 2_000
TOLERANCE = 1e-9  # relative decrease of the loss at which it stops
CORRECTIONS = 20  # of the limited-memory Hessian


def cover_weights(
    fires: sp.csr_matrix, hired: np.ndarray, weight: np.ndarray, cost: float, inverse_penalty: float
) -> np.ndarray:
    """float64[links], 0 or more. fires [pairs, links], 1 where a link fires; hired bool, weight float64 [pairs].

    Solved by L-BFGS-B from 0: deterministic. Links that fire on the very same pairs get the same weight; keep one.
    """
    hired = np.asarray(hired, bool)
    if fires.shape[0] != len(hired) or len(weight) != len(hired):
        raise DataError("link pairs", f"{fires.shape[0]} rows, {len(hired)} hired, {len(weight)} weights", "align them")
    if not (cost > 0 and inverse_penalty > 0 and np.isfinite([cost, inverse_penalty]).all()):
        raise ConfigError(f"cost is {cost}, inverse_penalty {inverse_penalty}; expected finite numbers above 0")
    counts = np.where(hired, weight, -cost * np.asarray(weight, float))
    may_enter = np.flatnonzero(fires.T @ counts > 2 / inverse_penalty)
    found = np.zeros(fires.shape[1])
    if not len(may_enter):
        return found
    design = fires[:, may_enter].astype(np.float64)
    touched = np.flatnonzero(np.diff(design.indptr))  # the others add a constant to the loss
    design = design[touched]
    across = design.T.tocsr()
    sign, each = np.where(hired[touched], 1.0, -1.0), np.abs(counts[touched])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (design @ weights)
        slope = each * sign * expit(-margin)
        return float(each @ np.logaddexp(0, -margin) + weights.sum() / inverse_penalty), (
            1 / inverse_penalty - across @ slope
        )

    solved = minimize(
        loss,
        np.zeros(len(may_enter)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * len(may_enter),
        options={
            "maxiter": LARGEST_ITERATIONS,
            "maxfun": 2 * LARGEST_ITERATIONS,
            "ftol": TOLERANCE,
            "maxcor": CORRECTIONS,
        },
    )
    found[may_enter] = solved.x
    return found


def cover_path(
    fires: sp.csr_matrix, hired: np.ndarray, weight: np.ndarray, costs: Sequence[float], inverse_penalty: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (cost, weights float64[links]) for each cost of a pair without hire: a larger one keeps fewer links."""
    for cost in costs:
        yield cost, cover_weights(fires, hired, weight, cost, inverse_penalty)


def distinct_columns(fires: sp.csr_matrix, size: np.ndarray, seed: int = 0) -> np.ndarray:
    """int64, ascending: of links that fire on the very same pairs the one of least `size` (then the first).

    Columns are compared by the sum of a random 64-bit number a row: two different ones agree with odds of 2^-64.
    """
    number = np.random.default_rng(seed).integers(1 << 63, size=fires.shape[0], dtype=np.uint64)
    columns = fires.tocsc()
    sums = np.concatenate([[np.uint64(0)], np.cumsum(number[columns.indices], dtype=np.uint64)])
    signature = sums[columns.indptr[1:]] - sums[columns.indptr[:-1]]
    order = np.lexsort((np.arange(len(size)), size))
    _, first = np.unique(signature[order], return_index=True)
    return np.sort(order[first])
