"""Job vectors for activity: any text vectors, cut to their 64 main axes.

    e = (A (x - m)) / |A (x - m)|        m, A: mean and first `width` principal axes of the training jobs

Scaled to length 1, so that a sequence of jobs and a single job live on one scale; a job at the mean stays at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError, DataError

WIDTH = 64


@dataclass(frozen=True)
class JobSpace:
    """mean float64[d]; axes float64[width, d], orthonormal rows, zero rows beyond the rank of what it was fitted on."""

    mean: np.ndarray
    axes: np.ndarray

    @property
    def width(self) -> int:
        return len(self.axes)

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """float32[n, width] of float[n, d]; a row does not depend on the others, to the last bit."""
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise DataError("job vectors", f"shape {vectors.shape}, expected [n, {len(self.mean)}]", "use one encoder")
        out = np.zeros((len(vectors), self.width), np.float32)
        for row, vector in enumerate(vectors):  # one by one: the blocking of a matrix product depends on the crowd
            found = self.axes @ (vector.astype(np.float64) - self.mean)  # [width]
            length = float(np.sqrt((found * found).sum()))
            if length > 1e-9:
                out[row] = found / length
        return out


def fit_job_space(vectors: np.ndarray, width: int = WIDTH) -> JobSpace:
    """Principal axes of float[n, d]; an axis points where its largest entry is positive, so signs are settled.

    Fit it on the jobs of the training period, each as often as it should count.
    """
    if width < 1:
        raise ConfigError(f"width is {width}, expected at least 1")
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise DataError("job vectors", f"shape {vectors.shape} or not finite", "give at least one finite row")
    table = vectors.astype(np.float64)
    mean = table.mean(axis=0)
    spread = (table - mean).T @ (table - mean) / len(table)  # [d, d]
    size, found = np.linalg.eigh(spread)  # ascending
    order = np.argsort(-size, kind="stable")[:width]
    order = order[size[order] > 1e-12 * max(size[-1], 1e-30)]
    axes = np.zeros((width, table.shape[1]))
    axes[: len(order)] = found[:, order].T
    rows = np.arange(width)
    signs = np.sign(axes[rows, np.abs(axes).argmax(axis=1)])
    return JobSpace(mean, axes * np.where(signs == 0, 1.0, signs)[:, None])
