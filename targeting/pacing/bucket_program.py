"""A market over buckets of time as a linear program, for the simplex where it is small; and its answer read back."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from targeting.pacing.ascent import Market, Prices, feasible_plan
from targeting.pacing.linear_program import Answer, LinearProgram
from targeting.pacing.problem import Floats


def bucket_program(market: Market) -> LinearProgram:
    """Variables: the share of its supply that a pair gets in a bucket, then the missed share of each guarantee."""
    pairs, buckets = market.value.shape
    segments, campaigns = market.supply.shape[0], len(market.budget)
    segment = np.repeat(np.arange(segments), np.diff(market.start))
    supply = market.supply[segment]  # [P, T]
    bucket = np.broadcast_to(np.arange(buckets), (pairs, buckets))
    column = np.arange(pairs * buckets).reshape(pairs, buckets)
    promised = np.flatnonzero(market.guarantee > 0)
    place = np.full(campaigns, -1)
    place[promised] = np.arange(len(promised))
    spend = market.cost[:, None] * supply
    owner = np.broadcast_to(market.campaign[:, None], (pairs, buckets))

    # Rows: budgets, smoothness, supplies, guarantees.
    smooth, visits = campaigns, campaigns + campaigns * buckets
    promise = visits + segments * buckets
    limited = np.isfinite(market.bucket_limit)[owner, bucket]
    bound = place[owner] >= 0
    promises = market.guarantee[owner[bound]]
    parts = [
        (spend, owner, column),
        (spend[limited], (smooth + owner * buckets + bucket)[limited], column[limited]),
        (np.ones((pairs, buckets)), visits + segment[:, None] * buckets + bucket, column),
        (supply[bound] / promises, promise + place[owner[bound]], column[bound]),
        (np.ones(len(promised)), promise + np.arange(len(promised)), pairs * buckets + np.arange(len(promised))),
    ]
    entries, rows, columns = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in range(3))
    shape = (promise + len(promised), pairs * buckets + len(promised))
    lower = np.full(shape[0], -np.inf)
    lower[promise:] = 1.0
    upper = np.concatenate([market.budget, market.bucket_limit.ravel(), np.ones(segments * buckets)])
    most = np.where(market.value >= 0, market.cap, 0.0)
    worth = np.where(market.value > 0, market.value * supply, 0.0)
    # The penalty is the worth lost by missing the guarantee; GLOP sees worths near 1.
    lost = -market.penalty * market.guarantee[promised]
    scale = max(float(worth.max(initial=0.0)), 1e-300)
    return LinearProgram(
        np.concatenate([worth.ravel(), lost]) / scale,
        np.concatenate([most.ravel(), np.ones(len(promised))]),
        sp.csr_matrix((entries, (rows, columns)), shape=shape),
        lower,
        np.concatenate([upper, np.full(len(promised), np.inf)]),
    )


def read_answer(market: Market, answer: Answer) -> tuple[Floats, float, Prices]:
    """(impressions, objective, prices) of what the simplex found."""
    pairs, buckets = market.value.shape
    segments, campaigns = market.supply.shape[0], len(market.budget)
    segment = np.repeat(np.arange(segments), np.diff(market.start))
    share = answer.x[: pairs * buckets].reshape(pairs, buckets)
    worth = np.where(market.value > 0, market.value * market.supply[segment], 0.0)
    duals = answer.duals * max(float(worth.max(initial=0.0)), 1e-300)
    smooth, visits = campaigns, campaigns + campaigns * buckets
    bonus = np.zeros(campaigns)
    promised = np.flatnonzero(market.guarantee > 0)
    bonus[promised] = -duals[visits + segments * buckets :] / market.guarantee[promised]
    prices = Prices(
        np.maximum(duals[:campaigns], 0.0),
        np.maximum(duals[smooth:visits].reshape(campaigns, buckets), 0.0),
        np.clip(bonus, 0.0, market.penalty),
    )
    impressions, objective = feasible_plan(market, share, prices)
    return impressions, objective, prices
