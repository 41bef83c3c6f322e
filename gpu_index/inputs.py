"""What the index refuses. Every check happens before anything changes, and every message names the value."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpu_index.clause import Clause, checked_term
from gpu_index.scoring import LARGEST_BOOST, LARGEST_NORM, norms_of
from market.errors import IndexInputError

LARGEST_ANSWER = 2**27  # hits of one search call, B * k
LARGEST_DIMENSION = 2**16
PRECISIONS = ("float32", "bf16")
NORM_TOLERANCE = 1e-6  # a unit vector times 1e18 in float32 may come out a little longer

Boosts = tuple[tuple[str, float], ...]  # (term, weight), terms ascending: the order in which weights are added


def spaces_of(spaces: Mapping[str, int]) -> dict[str, int]:
    """Vector spaces as {name: dimension}."""
    if not isinstance(spaces, Mapping) or not spaces:
        raise IndexInputError(f"spaces is {spaces!r}; expected a mapping of at least one name to its dimension")
    checked = {}
    for name, dim in spaces.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise IndexInputError(f"space name {name!r} is not a non-empty string of printable characters")
        checked[name] = _integer(dim, f"the dimension of space {name!r}")
        if not 1 <= checked[name] <= LARGEST_DIMENSION:
            raise IndexInputError(f"space {name!r} has dimension {dim}; expected 1 to {LARGEST_DIMENSION}")
    return checked


def ids_of(ids: Any) -> np.ndarray:
    """int64[n] ids, all different and not negative."""
    array = np.asarray(ids)
    if array.size == 0 and array.ndim == 1:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise IndexInputError(f"ids has shape {array.shape} and type {array.dtype}; expected int64[n]")
    if array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise IndexInputError(f"id {array.max()} does not fit int64")
    array = array.astype(np.int64)
    if array.min() < 0:
        raise IndexInputError(f"ids[{int(array.argmin())}] is {array.min()}; expected ids of 0 or more")
    ordered = np.sort(array)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise IndexInputError(f"id {repeated[0]} comes more than once in one call; give each id once")
    return array


def vectors_of(vectors: Mapping[str, Any] | None, spaces: Mapping[str, int], rows: int) -> dict[str, np.ndarray]:
    """{space: float32[rows, dim]} of an upsert."""
    if vectors is not None and not isinstance(vectors, Mapping):
        raise IndexInputError(f"vectors is a {type(vectors).__name__}; expected a mapping of space to float32[n,dim]")
    checked = {}
    for space, values in (vectors or {}).items():
        name = f"vectors[{space!r}]"
        checked[space] = matrix(values, name, dimension(spaces, space), rows)
    return checked


def dimension(spaces: Mapping[str, int], space: str) -> int:
    """The dimension of a space of the index."""
    if space not in spaces:
        raise IndexInputError(f"space {space!r} is unknown; the index has {sorted(spaces)}")
    return spaces[space]


def matrix(values: Any, name: str, dim: int, rows: int | None = None) -> np.ndarray:
    """float32[rows, dim], contiguous, finite, no norm above 1e18."""
    array = np.asarray(values)
    if rows == 0 and array.size == 0:
        return np.empty((0, dim), np.float32)
    expected = f"float32[{'n' if rows is None else rows},{dim}]"
    if array.dtype.kind not in "fiu":
        raise IndexInputError(f"{name} has type {array.dtype}; expected {expected}")
    if array.ndim != 2 or array.shape[1] != dim or (rows is not None and array.shape[0] != rows):
        raise IndexInputError(f"{name} has shape {array.shape}; expected {expected}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused below
        array = np.ascontiguousarray(array, np.float32)
    norms = norms_of(array)
    if not np.isfinite(norms).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise IndexInputError(f"{name}[{row},{column}] is {array[row, column]}; expected finite numbers")
    if len(norms) and norms.max() > LARGEST_NORM * (1 + NORM_TOLERANCE):
        row = int(norms.argmax())
        raise IndexInputError(f"{name}[{row}] has norm {norms[row]:.6g}; expected at most {LARGEST_NORM:g}")
    return array


def k_of(k: Any, batch: int) -> int:
    """How many hits per query."""
    hits = _integer(k, "k")
    if hits < 1:
        raise IndexInputError(f"k is {hits}; expected 1 or more")
    if batch * hits > LARGEST_ANSWER:
        raise IndexInputError(
            f"{batch} queries times k = {hits} is {batch * hits} hits; expected at most {LARGEST_ANSWER}"
        )
    return hits


def clauses_of(where: Any, batch: int) -> list[Clause | None]:
    """One clause, or None, per query."""
    clauses = _per_query(where, "where", batch)
    for number, clause in enumerate(clauses):
        if not (clause is None or isinstance(clause, Clause)):
            raise IndexInputError(f"where[{number}] is {clause!r}; expected a Clause or None")
    return clauses


def boosts_of(boosts: Any, batch: int) -> list[Boosts]:
    """One sorted tuple of (term, weight) per query."""
    return [_boosts(item, f"boosts[{number}]") for number, item in enumerate(_per_query(boosts, "boosts", batch))]


def _boosts(item: Any, place: str) -> Boosts:
    if item is None:
        return ()
    if not isinstance(item, Mapping):
        raise IndexInputError(f"{place} is {item!r}; expected a mapping of term to weight, or None")
    weights = {}
    for term, weight in item.items():
        weights[checked_term(term, place)] = _weight(weight, f"{place}[{term!r}]")
    total = sum(map(abs, weights.values()))
    if total > LARGEST_BOOST:
        raise IndexInputError(f"{place}: the sizes of the weights sum to {total}; expected at most {LARGEST_BOOST:g}")
    return tuple(sorted(weights.items()))


def _weight(weight: Any, name: str) -> float:
    try:
        value = float("nan") if isinstance(weight, str | bytes) else float(weight)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not abs(value) <= LARGEST_BOOST:
        raise IndexInputError(f"{name} is {weight!r}; expected a number whose size is at most {LARGEST_BOOST:g}")
    return value


def _per_query(items: Any, name: str, batch: int) -> list[Any]:
    if items is None:
        return [None] * batch
    if isinstance(items, str | Mapping) or not isinstance(items, Sequence | np.ndarray):
        raise IndexInputError(f"{name} is a {type(items).__name__}; expected None or one item per query, {batch}")
    if len(items) != batch:
        raise IndexInputError(f"{name} has {len(items)} items for {batch} queries; expected None or one per query")
    return list(items)


def _integer(value: Any, name: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise IndexInputError(f"{name} is {value!r}; expected an integer") from None
