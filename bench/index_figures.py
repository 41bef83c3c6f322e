"""From timed methods to the figures and cells of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bench.index_peers import EXACT, FLAT
from bench.index_rounds import Timed, interleave, ratio, seconds_of

OURS = "index"
HOPELESS = 1.6  # an exact peer this many times slower than the fastest of its kind runs no rounds
MISSING = "not measured"


def rounds_of_the_promising(
    methods: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, Timed], dict[str, float]]:
    """All methods interleaved, less exact peers far behind the best FAISS Flat; of those the seconds of one call."""
    skipped = hopeless({name: seconds_of(method) for name, method in methods.items() if name in EXACT})
    return interleave({name: method for name, method in methods.items() if name not in skipped}, rounds), skipped


def hopeless(trial: Mapping[str, float]) -> dict[str, float]:
    """Those of the exact peers' seconds that are far above the best of FAISS Flat."""
    limit = HOPELESS * min((seconds for name, seconds in trial.items() if name in FLAT), default=np.inf)
    return {name: seconds for name, seconds in trial.items() if seconds > limit}


def figures(
    timed: Mapping[str, Timed], recall: Callable[[Any], float], queries: int, skipped: Mapping[str, float]
) -> dict[str, Any]:
    """Milliseconds a query and recall per method, and how many times the index's time it takes."""
    methods = {
        name: time.summary(queries / 1e3) | {"recall": recall(time.answer), "ratio": ratio(time, timed[OURS])}
        for name, time in timed.items()
    }
    return {
        "methods": methods,
        "best_flat": fastest(methods, FLAT),
        "one_call_only": {name: seconds / queries * 1e3 for name, seconds in skipped.items()},
    }


def fastest(methods: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The one of these names with the smallest median, None if none was measured."""
    return min((name for name in names if name in methods), key=lambda name: methods[name]["median"], default=None)


def progress(row: Mapping[str, Any]) -> str:
    """One line: every method's milliseconds and recall."""
    parts = [f"{name} {method['median']:.3f} ms ({method['recall']:.3f})" for name, method in row["methods"].items()]
    parts += [f"{name} {figure:.3f} ms, one call" for name, figure in row["one_call_only"].items()]
    return ", ".join(parts)


def our_cells(row: Mapping[str, Any]) -> list[str]:
    """Milliseconds and recall of the index."""
    ours = row["methods"][OURS]
    return [f"{ours['median']:.3f}", f"{ours['recall']:.4f}"]


def peer_cell(row: Mapping[str, Any], name: str | None) -> str:
    """Milliseconds (recall), times the index's time [10th, 90th percentile over the rounds]."""
    if name in row["methods"]:
        method = row["methods"][name]
        return f"{method['median']:.3f} ({method['recall']:.3f}), {interval(method['ratio'])}"
    if name in row["one_call_only"]:
        figure = row["one_call_only"][name]
        return f"{figure:.3f}, {figure / row['methods'][OURS]['median']:.1f} (one call)"
    return MISSING


def interval(figure: Mapping[str, float], digits: int = 1) -> str:
    """Median [10th, 90th percentile]."""
    return f"{figure['median']:.{digits}f} [{figure['p10']:.{digits}f}, {figure['p90']:.{digits}f}]"
