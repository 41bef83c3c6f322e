"""A hint to the processor changes nothing, wherever it points."""

from __future__ import annotations

import numpy as np

from market.compiled import njit
from market.prefetch import prefetch


@njit()
def hinted_sum(rows: np.ndarray, ahead: int) -> float:
    total = 0.0
    for i in range(len(rows)):
        prefetch(rows, i + ahead, 0)
        prefetch(rows, i, 64)
        total += rows[i, 0]
    return total


def test_a_hint_changes_no_result_and_may_point_outside_the_array() -> None:
    rows = np.arange(12.0).reshape(6, 2)
    assert [hinted_sum(rows, ahead) for ahead in (0, 1, 10**6, -(10**6))] == [30.0] * 4
    assert rows.tolist() == np.arange(12.0).reshape(6, 2).tolist()
