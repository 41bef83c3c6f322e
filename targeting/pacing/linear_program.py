"""A linear program and the two OR-Tools solvers that take it: GLOP's dual simplex, exact, and PDLP, first order.

    maximise worth . x    subject to    lower <= matrix x <= upper,    0 <= x <= most

What comes back is a proposal. PDLP calls an answer optimal that breaks single rows by 10 to 30 %, and a simplex that
ran out of time may have nothing at all: whoever asks repairs the answer and certifies it by its duals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from ortools.linear_solver.python.model_builder_helper import ModelBuilderHelper, ModelSolverHelper, SolveStatus

from targeting.pacing.problem import Floats

Solver = Literal["glop", "pdlp"]
# The models are scaled already; GLOP's own scaling on top made some wide-ranging problems ABNORMAL. Its usual
# tolerances of 1e-8 and 1e-9 show in the ninth digit of small plans.
TOLERANCES = "primal_feasibility_tolerance:1e-11 dual_feasibility_tolerance:1e-11 preprocessor_zero_tolerance:1e-14"
PARAMETERS: dict[Solver, str] = {
    "glop": f"use_dual_simplex:true use_scaling:false {TOLERANCES}",
    "pdlp": "termination_criteria {simple_optimality_criteria {eps_optimal_relative:1e-5 eps_optimal_absolute:1e-9}}",
}


@dataclass(frozen=True)
class LinearProgram:
    """worth, most float64[n]; matrix csr[m, n]; lower, upper float64[m], -inf or inf where a row has no such side.

    Should be scaled: coefficients, limits and worths near 1.
    """

    worth: Floats
    most: Floats
    matrix: sp.csr_matrix
    lower: Floats
    upper: Floats

    def bound(self, duals: Floats) -> float:
        """No x is worth more, whatever the duals float64[m] are (their sign is clipped to that of the row's sides).

        duals . limits + sum of max(0, worth - matrix' duals) * most      (Lagrange)
        """
        kept = np.where(np.isfinite(self.upper), duals, np.minimum(duals, 0.0))
        kept = np.where(np.isfinite(self.lower), kept, np.maximum(kept, 0.0))
        limit = np.where(kept > 0, self.upper, np.where(kept < 0, self.lower, 0.0))
        reduced = np.maximum(self.worth - self.matrix.T @ kept, 0.0)
        return float(kept @ limit + reduced @ self.most)


@dataclass(frozen=True)
class Answer:
    """x float64[n] and duals float64[m] as the solver gave them; finished is False where the clock stopped it."""

    x: Floats
    duals: Floats
    finished: bool


def ask(program: LinearProgram, solver: Solver, seconds: float) -> Answer | None:
    """The solver's answer, or None when it has no solution to show within the seconds."""
    if seconds <= 0:
        return None
    model = ModelBuilderHelper()
    model.fill_model_from_sparse_data(
        np.zeros(len(program.worth)),  # type: ignore[arg-type]
        program.most,  # type: ignore[arg-type]
        program.worth,  # type: ignore[arg-type]
        program.lower,  # type: ignore[arg-type]
        program.upper,  # type: ignore[arg-type]
        program.matrix,
    )
    model.set_maximize(True)
    helper = ModelSolverHelper(solver)
    helper.set_solver_specific_parameters(PARAMETERS[solver])
    helper.set_time_limit_in_seconds(seconds)
    helper.solve(model)
    if not helper.has_solution():
        return None
    x, duals = np.asarray(helper.variable_values()), np.asarray(helper.dual_values())
    if not (np.isfinite(x).all() and np.isfinite(duals).all()):
        return None
    return Answer(x, duals, helper.status() == SolveStatus.OPTIMAL)
