"""Are the probabilities right? Two small fits on held-out persons, and the measures of what is left.

temperature  Guo et al., On calibration of modern neural networks (ICML 2017): softmax(score / T)
Platt        Platt, Probabilistic outputs for support vector machines (1999): sigmoid(a * logit + b)
ECE          mean |observed share - mean prediction| over bins of equal mass
slope        of a logistic regression of the outcome on logit(prediction); 1 is right, below 1 is overconfident
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

SMALLEST_PREDICTION = 0.01  # pairs below it are left out: they are nearly all zeros and would hide the rest


def fit_temperature(scores: np.ndarray, target: np.ndarray) -> float:
    """The T in [1/3, 3] with the least cross entropy of softmax(scores / T).

    scores float[n, C], -inf where an occupation is no candidate; target int[n], a candidate of its row.
    """
    own = scores[np.arange(len(target)), target].astype(np.float64)

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float(np.mean(logsumexp(scores / t, axis=1) - own / t))

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(3), np.log(3)), method="bounded").x))


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


def reliability(predicted: np.ndarray, happened: np.ndarray, bins: int = 20) -> dict[str, Any]:
    """{"ece", "slope", "n", "bins": [{"predicted", "observed", "n"}]} of pairs predicted at .01 or more.

    predicted float[n], happened bool[n], one entry per (instance, occupation). Nothing to say: ece 0, slope 1, no bins.
    """
    keep = predicted >= SMALLEST_PREDICTION
    p, y = predicted[keep].astype(np.float64), happened[keep].astype(np.float64)
    if not len(p):
        return {"ece": 0.0, "slope": 1.0, "n": 0, "bins": []}
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    table = [{"predicted": float(p[part].mean()), "observed": float(y[part].mean()), "n": len(part)} for part in parts]
    ece = sum(row["n"] * abs(row["predicted"] - row["observed"]) for row in table) / len(p)
    inside = np.clip(p, None, 1 - 1e-6)
    slope, _ = logistic_line(np.log(inside / (1 - inside)), y)
    return {"ece": float(ece), "slope": slope, "n": len(p), "bins": table}
