import numpy as np
import pytest
import scipy.sparse as sp

from targeting.pacing.linear_program import LinearProgram, ask


def program() -> LinearProgram:
    """maximise 2a + b, a + b <= 1, b >= .25: a = .75, b = .25."""
    return LinearProgram(
        worth=np.array([2.0, 1.0]),
        most=np.ones(2),
        matrix=sp.csr_matrix(np.array([[1.0, 1.0], [0.0, 1.0]])),
        lower=np.array([-np.inf, 0.25]),
        upper=np.array([1.0, np.inf]),
    )


def test_the_simplex_is_exact_and_its_duals_prove_it() -> None:
    answer = ask(program(), "glop", 10)
    assert answer is not None
    assert answer.finished
    assert answer.x == pytest.approx([0.75, 0.25])
    assert answer.duals == pytest.approx([2.0, -1.0])
    assert program().bound(answer.duals) == pytest.approx(1.75)


def test_pdlp_comes_close_with_duals_of_the_same_sign() -> None:
    answer = ask(program(), "pdlp", 10)
    assert answer is not None
    assert answer.x == pytest.approx([0.75, 0.25], abs=1e-3)
    assert answer.duals == pytest.approx([2.0, -1.0], abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_any_duals_give_a_bound(seed: int) -> None:
    assert program().bound(np.random.default_rng(seed).normal(0, 2, 2)) >= 1.75 - 1e-12


def test_without_time_there_is_no_answer() -> None:
    assert ask(program(), "glop", 0.0) is None
