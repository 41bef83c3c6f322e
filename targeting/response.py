"""What an impression is worth: P(click | seen), P(application | click) and the expected grade of the application.

Two logistic regressions on few features, shared by every way of targeting: who is retrieved is one question, what an
impression is worth another. Features come from an affinity that was fitted without the person in question
(cross-fitting), because a model is too sure about hires it has seen. Position enters the click model as its logarithm,
so that a prediction "as seen at the top" can be asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from market.errors import ArtefactError, DataError

FEATURES = ("expected_grade", "root_expected_grade", "p_occupation", "log_lift", "same_section", "log_wage_ratio")
LIFT_RANGE = (-4.0, 6.0)
MINIMUM_EVENTS = 20


def pair_features(
    expected_grade: np.ndarray,
    p_occupation: np.ndarray,
    log_lift: np.ndarray,
    same_section: np.ndarray,
    log_wage_ratio: np.ndarray,
) -> np.ndarray:
    """float32[n, 6] in the order of FEATURES; every argument is [n]."""
    columns = [
        expected_grade,
        np.sqrt(np.maximum(expected_grade, 0)),
        p_occupation,
        np.clip(log_lift, *LIFT_RANGE),
        same_section,
        np.clip(log_wage_ratio, -2, 2),
    ]
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


@dataclass(frozen=True)
class ResponseModel:
    """Coefficients: intercept first, then FEATURES; the click model has log(position) last."""

    click: np.ndarray
    apply: np.ndarray

    def p_click(self, features: np.ndarray) -> np.ndarray:
        """float32[n]: P(click) at the top position."""
        return _sigmoid(self.click[0] + features @ self.click[1 : 1 + len(FEATURES)])

    def value_per_click(self, features: np.ndarray) -> np.ndarray:
        """float32[n]: expected qualified applications of a click, P(application | click) * expected grade."""
        applied = _sigmoid(self.apply[0] + features @ self.apply[1:])
        return np.asarray(applied * features[:, 0], np.float32)

    def to_json(self) -> str:
        return json.dumps({"features": FEATURES, "click": self.click.tolist(), "apply": self.apply.tolist()})

    @classmethod
    def from_json(cls, text: str) -> ResponseModel:
        content: Mapping[str, Any] = json.loads(text)
        if content["features"] != list(FEATURES):
            raise ArtefactError(f"response rates on {content['features']}, expected {list(FEATURES)}; fit them again")
        return cls(np.array(content["click"]), np.array(content["apply"]))


def fit_response(
    features: np.ndarray, position: np.ndarray, clicked: np.ndarray, click_features: np.ndarray, applied: np.ndarray
) -> ResponseModel:
    """Fit on impressions (features [n, 6], position [n], clicked bool[n]) and on clicks (click_features, applied)."""
    for name, label in (("clicks", clicked), ("applications", applied)):
        if label.sum() < MINIMUM_EVENTS or (~label).sum() < MINIMUM_EVENTS:
            raise DataError(
                name,
                f"{int(label.sum())} of {len(label)} rows are positive",
                f"at least {MINIMUM_EVENTS} of each kind are needed to learn response rates",
            )
    with_position = np.column_stack([features, np.log(position)])
    return ResponseModel(_logistic(with_position, clicked), _logistic(click_features, applied))


def _logistic(features: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Intercept and coefficients on the original scale; features are standardised for the solver, penalty 1/C = 1."""
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    solver = LogisticRegression(C=1.0, max_iter=500)
    solver.fit((features - mean) / scale, label)
    weights = solver.coef_[0] / scale
    # float64, as JSON gives it back: a fitted model and a loaded one answer with the same bits
    return np.concatenate([[solver.intercept_[0] - (weights * mean).sum()], weights]).astype(np.float64)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return np.asarray(expit(logit), np.float32)
