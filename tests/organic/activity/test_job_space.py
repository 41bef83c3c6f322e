"""Job vectors cut to their main axes: the axes are those of the data, rows stand alone, ranks may be low."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import ConfigError, DataError
from organic.activity.job_space import fit_job_space


def cloud(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, 5)) * [9, 5, 1, 0.2, 0.1] + 3).astype(np.float32)


def test_the_first_axes_hold_the_most_variance_and_point_to_their_largest_entry():
    space = fit_job_space(cloud(5000), 2)
    np.testing.assert_allclose(space.axes, np.eye(5)[:2], atol=0.05)
    np.testing.assert_allclose(space.axes @ space.axes.T, np.eye(2), atol=1e-12)


def test_projected_jobs_have_length_one_and_the_mean_job_stays_at_zero():
    table = cloud()
    space = fit_job_space(table, 3)
    np.testing.assert_allclose(np.linalg.norm(space.project(table), axis=1), 1, atol=1e-6)
    assert not space.project(space.mean[None]).any()


def test_a_row_does_not_depend_on_its_neighbours():
    table = cloud()
    space = fit_job_space(table, 3)
    alone = np.concatenate([space.project(table[i : i + 1]) for i in range(len(table))])
    assert np.array_equal(space.project(table), alone)


def test_fewer_jobs_than_axes_leave_zero_axes():
    space = fit_job_space(cloud(3), 4)
    assert not space.axes[2:].any()
    assert space.project(cloud()).shape == (200, 4)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="width is 0"):
        fit_job_space(cloud(), 0)
    with pytest.raises(DataError):
        fit_job_space(np.zeros((0, 5)))
    with pytest.raises(DataError, match=r"expected \[n, 5\]"):
        fit_job_space(cloud(), 2).project(np.zeros((1, 4)))
