"""Are the probabilities right? Small fits on held-out persons, and the measures of what is left.

temperature  Guo et al., On calibration of modern neural networks (ICML 2017): softmax(score / T)
confidence   the same with a temperature of its own for every row, see `fit_confidence`
Platt        Platt, Probabilistic outputs for support vector machines (1999): sigmoid(a * logit + b)
ECE          mean |observed share - mean prediction| over bins of equal mass
ratio        observed / predicted of a bin; 1 is right
floor        the ECE that exact probabilities would show on as many outcomes, by chance alone
slope        of a logistic regression of the outcome on logit(prediction); 1 is right, below 1 is overconfident
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from market.bootstrap import cluster_bootstrap

SMALLEST_PREDICTION = 0.01  # pairs below it are left out: they are nearly all zeros and would hide the rest
DRAWS = 500  # of a bootstrap by person


def fit_temperature(scores: np.ndarray, target: np.ndarray) -> float:
    """The T in [1/3, 3] with the least cross entropy of softmax(scores / T).

    scores float[n, C], -inf where an occupation is no candidate; target int[n], a candidate of its row.
    """
    own = scores[np.arange(len(target)), target].astype(np.float64)

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float(np.mean(logsumexp(scores / t, axis=1) - own / t))

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(3), np.log(3)), method="bounded").x))


def fit_confidence(scores: np.ndarray, target: np.ndarray, ridge: float = 1e-3) -> tuple[float, float]:
    """(T, caution): the row temperatures of `row_temperatures` with the least cross entropy of softmax(scores / T_i).

    One temperature sharpens and flattens all rows alike; a network is rather too sure where it is sure of one
    occupation and not sure enough elsewhere. The order within a row never changes, so ranks do not. scores and target
    as in `fit_temperature`; ridge * caution^2 keeps the second number at 0 where it explains nothing.
    """
    rows, start = np.arange(len(target)), fit_temperature(scores, target)

    def loss(line: np.ndarray) -> float:
        scaled = scores / row_temperatures(scores, float(np.exp(line[0])), float(line[1]))[:, None]  # [n, C]
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[rows, target])) + ridge * line[1] ** 2

    bounds = [(-np.log(3), np.log(3)), (-0.5, 0.5)]
    settings = {"xatol": 1e-4, "fatol": 1e-7}
    found = minimize(loss, [np.log(start), 0.0], method="Nelder-Mead", bounds=bounds, options=settings).x
    return float(np.exp(found[0])), float(found[1])


def row_temperatures(scores: np.ndarray, temperature: float, caution: float) -> np.ndarray:
    """float64[n]: T_i = T * (10 p_i)^caution, p_i the largest of softmax(scores[i] / T).

    caution 0 is one temperature for all; above 0 the surest rows are flattened and the least sure sharpened.
    """
    scaled = scores.astype(np.float64) / temperature  # [n, C]
    surest = scaled.max(axis=1) - logsumexp(scaled, axis=1)  # [n], log of the largest probability
    return np.asarray(temperature * np.exp(caution * (surest + np.log(10))))


def logistic_line(logit: np.ndarray, outcome: np.ndarray) -> tuple[float, float]:
    """(a, b) of the maximum-likelihood sigmoid(a * logit + b); logit float[n], outcome 0 or 1.

    Newton's method with a trace of ridge towards (1, 0), so that a perfect separation stays finite.
    """
    x = np.stack([logit, np.ones(len(logit))], axis=1).astype(np.float64)  # [n, 2]
    prior, ridge = np.array([1.0, 0.0]), 1e-3
    line = prior.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ line, -30, 30)))  # [n]
        gradient = x.T @ (p - outcome) + ridge * (line - prior)  # [2]
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(2)  # [2, 2]
        step = np.linalg.solve(hessian, gradient)
        line = line - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return float(line[0]), float(line[1])


def reliability(
    predicted: np.ndarray,
    happened: np.ndarray,
    bins: int = 20,
    *,
    person: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """{"ece", "slope", "n", "bins": [{"predicted", "observed", "ratio", "n"}]} of pairs predicted at .01 or more.

    predicted float[n], happened bool[n], one entry per (instance, occupation). Nothing to say: ece 0, slope 1, no bins.
    With an rng every bin has "ci95" of its ratio, resampling persons (int[n]).
    """
    keep = predicted >= SMALLEST_PREDICTION
    p, y = predicted[keep].astype(np.float64), happened[keep].astype(np.float64)
    if not len(p):
        return {"ece": 0.0, "slope": 1.0, "n": 0, "bins": []}
    table = binned(p, y, bins, person=None if person is None else person[keep], rng=rng)
    inside = np.clip(p, None, 1 - 1e-6)
    slope, _ = logistic_line(np.log(inside / (1 - inside)), y)
    return {"ece": expected_error(table), "slope": slope, "n": len(p), "bins": table}


def top_one(
    confidence: np.ndarray,
    hit: np.ndarray,
    bins: int = 10,
    *,
    person: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """{"ece", "floor", "confidence", "hit_rate", "n", "bins"}: is the best occupation right as often as is said?

    confidence float[n]: probability of the best occupation of each instance; hit bool[n]: it was that one.
    """
    p, y = confidence.astype(np.float64), hit.astype(np.float64)
    if not len(p):
        return {"ece": 0.0, "floor": 0.0, "confidence": 0.0, "hit_rate": 0.0, "n": 0, "bins": []}
    table = binned(p, y, bins, person=person, rng=rng)
    error, floor = expected_error(table), chance_error(p, bins)
    return {
        "ece": error,
        "floor": floor,
        "confidence": float(p.mean()),
        "hit_rate": float(y.mean()),
        "n": len(p),
        "bins": table,
    }


def binned(
    p: np.ndarray, y: np.ndarray, bins: int, *, person: np.ndarray | None, rng: np.random.Generator | None
) -> list[dict[str, Any]]:
    """Bins of equal mass by p (ties in input order): means of p and y, their ratio, and its interval by person."""
    table = []
    for part in _parts(p, bins):
        row: dict[str, Any] = {"predicted": float(p[part].mean()), "observed": float(y[part].mean()), "n": len(part)}
        row["ratio"] = row["observed"] / row["predicted"] if row["predicted"] > 0 else None
        if rng is not None and person is not None:
            row["ci95"] = cluster_bootstrap(person[part], y[part], p[part], rng=rng, draws=DRAWS).report()["ci95"]
        table.append(row)
    return table


def expected_error(table: list[dict[str, Any]]) -> float:
    """ECE of a table of bins; 0 without any."""
    n = sum(row["n"] for row in table)
    return float(sum(row["n"] * abs(row["predicted"] - row["observed"]) for row in table) / max(n, 1))


def chance_error(p: np.ndarray, bins: int) -> float:
    """Mean ECE of independent outcomes that happen exactly with probability p: sum_b sqrt(2/pi sum p(1-p)) / n.

    The mean deviation of a sum of many independent outcomes is sqrt(2/pi) times its standard deviation.
    """
    spread = (float((p[part] * (1 - p[part])).sum()) for part in _parts(p, bins))
    return float(sum(np.sqrt(2 / np.pi * variance) for variance in spread) / max(len(p), 1))


def log_loss_skill(model: np.ndarray, baseline: np.ndarray) -> dict[str, float]:
    """{"model", "baseline", "skill", "n"}: mean -log P(outcome) of both, skill = 1 - model / baseline; 0 without any.

    model, baseline float[n]: log probability each gave to what happened.
    """
    if not len(model):
        return {"model": 0.0, "baseline": 0.0, "skill": 0.0, "n": 0}
    ours, theirs = -float(model.mean()), -float(baseline.mean())
    return {"model": ours, "baseline": theirs, "skill": 1 - ours / theirs, "n": len(model)}


def _parts(p: np.ndarray, bins: int) -> list[np.ndarray]:
    return [part for part in np.array_split(np.argsort(p, kind="stable"), bins) if len(part)]
