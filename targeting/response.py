"""What an impression is worth: P(click | seen), P(application | click) and the grade of the application.

Two logistic regressions on few features, shared by every way of targeting: who is retrieved is one question, what an
impression is worth another. Features come from an affinity that was fitted without the person in question
(cross-fitting), because a model is too sure about hires it has seen. Position enters the click model as its logarithm,
so that a prediction "as seen at the top" can be asked for.

Who clicks and applies knows more about the next move than any forecast does, so the forecast's expected grade is far
too small for the applications that do come in. By total probability, with g the grade of the job for the occupation
the seeker moves into, known in the logs of the past:

    P(o) = forecast of the job's own occupation, s its grade, E = expected grade of the job
    look(o) = P(click and application | seen at the top, the seeker moves into o)
    look(g) = the same, per unit of grade, of jobs that are near but not it
    value of an impression = P(o) s look(o) + (E - s P(o)) look(g)
    value of a click = value of an impression / P(click), at most P(application | click), since no grade is above 1

The rates are those of seekers whose next occupation is on record, so they hold for any forecast that is calibrated and
whatever jobs happen to be open; a regression of the grade on the forecast would carry over the inventory of the logs.

An auction shows the pairs whose estimates came out highest, which are too high on average (the winner's curse). Where
the logs hold impressions that won an auction, a line through their clicks corrects the logit of P(click).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from graph.calibration import logistic_line
from market.errors import ArtefactError, ConfigError, DataError

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
class ResponseConfig:
    """value "outcomes" grades an application by total probability over recorded next occupations, "forecast" by the
    expected grade before it was made; selection "promoted" corrects P(click) on impressions that won an auction."""

    value: Literal["outcomes", "forecast"] = "outcomes"
    selection: Literal["promoted", "off"] = "promoted"

    def __post_init__(self) -> None:
        if self.value not in ("outcomes", "forecast"):
            raise ConfigError(f"value {self.value!r} is unknown; use outcomes or forecast")
        if self.selection not in ("promoted", "off"):
            raise ConfigError(f"selection {self.selection!r} is unknown; use promoted or off")


@dataclass(frozen=True)
class LookRates:
    """Qualified applications per look at the top of a page, by what the seeker did next.

    same: the seeker moves into the job's occupation; near: per unit of grade, elsewhere; same_grade: the s above.
    """

    same: float
    near: float
    same_grade: float


@dataclass(frozen=True)
class ResponseModel:
    """Coefficients: intercept first, then FEATURES; the click model has log(position) last.

    looks None: an application is worth what the forecast expected before it was made. line (a, b): the logit of
    P(click) after selection is a * logit + b.
    """

    click: np.ndarray
    apply: np.ndarray
    looks: LookRates | None = None
    line: tuple[float, float] = (1.0, 0.0)

    def p_click(self, features: np.ndarray) -> np.ndarray:
        """float32[n]: P(click) at the top position."""
        return _sigmoid(self.line[0] * self._click_logit(features) + self.line[1])

    def p_apply(self, features: np.ndarray) -> np.ndarray:
        """float32[n]: P(application | click)."""
        return _sigmoid(self.apply[0] + features @ self.apply[1:])

    def value_per_click(self, features: np.ndarray) -> np.ndarray:
        """float32[n]: expected qualified applications of a click, in [0, 1]."""
        applied = self.p_apply(features)
        if self.looks is None:
            return np.asarray(applied * features[:, 0], np.float32)
        looks, p_same = self.looks, features[:, FEATURES.index("p_occupation")]
        near = np.maximum(features[:, 0] - looks.same_grade * p_same, 0.0)
        impression = p_same * looks.same + near * looks.near
        return np.asarray(np.minimum(impression / np.maximum(self.p_click(features), 1e-9), applied), np.float32)

    def corrected(self, features: np.ndarray, position: np.ndarray, clicked: np.ndarray) -> ResponseModel:
        """This model with the line of impressions that won an auction: features [n, 6], position [n], clicked bool[n].

        Features are those the auction was held with, or cross-fitted ones; fewer than MINIMUM_EVENTS clicks (or
        impressions without) change nothing.
        """
        if min(clicked.sum(), (~clicked).sum()) < MINIMUM_EVENTS:
            return self
        logit = self._click_logit(features) + self.click[-1] * np.log(position)
        return replace(self, line=logistic_line(logit, clicked.astype(np.float64)))

    def _click_logit(self, features: np.ndarray) -> np.ndarray:
        return np.asarray(self.click[0] + features @ self.click[1 : 1 + len(FEATURES)])

    def to_json(self) -> str:
        content: dict[str, Any] = {"features": FEATURES, "click": self.click.tolist(), "apply": self.apply.tolist()}
        if self.looks is not None:
            content["looks"] = self.looks.__dict__
        return json.dumps(content | {"line": self.line})

    @classmethod
    def from_json(cls, text: str) -> ResponseModel:
        content: Mapping[str, Any] = json.loads(text)
        if content["features"] != list(FEATURES):
            raise ArtefactError(f"response rates on {content['features']}, expected {list(FEATURES)}; fit them again")
        a, b = content.get("line", (1.0, 0.0))  # rates of before the line existed
        looks = LookRates(**content["looks"]) if "looks" in content else None
        return cls(np.array(content["click"]), np.array(content["apply"]), looks, (a, b))


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


def look_rates(
    grade: np.ndarray, same: np.ndarray, applied: np.ndarray, seen: np.ndarray, same_grade: float
) -> LookRates | None:
    """Rates of impressions [n] whose seeker's next occupation is on record.

    grade float of the job for that occupation, same bool: it is the job's own; applied bool; seen: how often a place is
    looked at, relative to the top (position ** slope of the click model). None with fewer than MINIMUM_EVENTS qualified
    applications, or without any impression of either kind.
    """
    near = ~same & (grade > 0)
    if (applied & (same | near)).sum() < MINIMUM_EVENTS or not same.any() or not near.any():
        return None
    return LookRates(
        float(same_grade * applied[same].sum() / seen[same].sum()),
        float((applied * grade)[near].sum() / (seen * grade)[near].sum()),
        same_grade,
    )


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
