"""The hire graph: seekers at a time on one side, segments (occupations) on the other.

One prediction instance is "a seeker at a time": what was known strictly before, and the occupation observed after.
Every source (a careers directory, platform logs) is turned into the same `Examples`, and everything that is learned
from hires reads nothing else.

    message edges   segment --held_by--> seeker        the history of the instance, used to compute its vector
    label edges     seeker --hired_into--> segment     the outcome, used to compare scores with

The two never share a name (`edge_index` and `edge_label_index`), and every message edge is older than the label edge
of its instance: `Examples` refuses to be built otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch_geometric.data import HeteroData

from market.careers import Careers
from market.errors import DataError

HELD_BY = ("segment", "held_by", "seeker")
HIRED_INTO = ("seeker", "hired_into", "segment")
LONGEST_HISTORY = 12  # newest items an instance passes messages from
ATTRIBUTES = ("education_years", "year", "log_items", "years_since_current", "log_run", "log_occupations")
MID_YEAR = 0.5  # a survey year is observed on 1 July


@dataclass(frozen=True)
class Examples:
    """n prediction instances over m history items. Instances of one person may share items.

    person int32[n]            who it is about: folds and clusters go by person
    start, stop int64[n]       the history of instance i is items[start[i]:stop[i]], oldest first, the last is current;
                               start == stop: nothing is known of that seeker
    item_occupation int32[m]   position in the taxonomy; positions beyond a model's own are occupations it does not know
    item_year float32[m]       when the item was observed or began, as a decimal year
    year float32[n]            when the outcome is (or would be) observed
    education_years float32[n] years of schooling known at the newest item, NaN unknown
    target int32[n]            occupation of the next observation or hire, -1 unknown
    """

    person: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    item_occupation: np.ndarray
    item_year: np.ndarray
    year: np.ndarray
    education_years: np.ndarray
    target: np.ndarray

    def __post_init__(self) -> None:
        columns = ("start", "stop", "year", "education_years", "target")
        wrong = next((name for name in columns if len(getattr(self, name)) != len(self.person)), None)
        if wrong is not None:
            raise DataError(
                "examples", f"{wrong} has {len(getattr(self, wrong))} rows, person {len(self.person)}", "align them"
            )
        outside = (self.start < 0) | (self.stop < self.start) | (self.stop > len(self.item_occupation))
        if outside.any():
            raise DataError(
                "examples", "start and stop are no slice of the items", "mend the slice", int(outside.argmax())
            )
        known = np.flatnonzero(self.stop > self.start)
        late = self.item_year[self.stop[known] - 1] >= self.year[known]
        if late.any():
            raise DataError(
                "examples",
                "the newest history item is not older than the outcome",
                "keep only what was known strictly before",
                int(known[late.argmax()]),
            )

    def __len__(self) -> int:
        return len(self.person)

    @property
    def lengths(self) -> np.ndarray:
        """int64[n]: number of history items."""
        return self.stop - self.start

    @property
    def current(self) -> np.ndarray:
        """int32[n]: the newest occupation of each history, -1 without a history."""
        return self.item_at(0)

    @property
    def changed(self) -> np.ndarray:
        """bool[n]: the outcome is known and differs from the current occupation."""
        return (self.target >= 0) & (self.target != self.current)

    @property
    def first(self) -> np.ndarray:
        """bool[n]: the history is one item, so nothing but the current occupation is known."""
        return self.lengths == 1

    def item_at(self, rank: int) -> np.ndarray:
        """int32[n]: occupation at recency rank 0 (current), 1 (the one before), ...; -1 beyond the history."""
        has = self.lengths > rank
        found = np.full(len(self), -1, np.int32)
        found[has] = self.item_occupation[self.stop[has] - 1 - rank]
        return found

    def take(self, rows: np.ndarray) -> Examples:
        """The instances at `rows` (positions, a slice or bool[n]); the items are shared, not copied."""
        columns = ("person", "start", "stop", "year", "education_years", "target")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def examples_from_careers(careers: Careers) -> Examples:
    """Every pair of consecutive observations of a person, gaps kept: history up to the earlier, outcome the later."""
    rows = careers.pairs()
    first_row = np.searchsorted(careers.person, careers.person[rows])  # observations are sorted by person
    years = careers.year.astype(np.float32) + np.float32(MID_YEAR)
    return Examples(
        person=careers.person[rows],
        start=first_row.astype(np.int64),
        stop=rows.astype(np.int64) + 1,
        item_occupation=careers.occupation,
        item_year=years,
        year=years[rows + 1],
        education_years=careers.education_years[rows],
        target=careers.occupation[rows + 1],
    )


def latest_of_careers(careers: Careers, persons: np.ndarray, year: float | None = None) -> Examples:
    """One instance per person with all that is known of it; outcome unknown, a year after the newest observation.

    persons int[k]: positions in `careers.person_ids`; year: the decimal year of the outcome instead.
    """
    start = np.searchsorted(careers.person, persons, side="left").astype(np.int64)
    stop = np.searchsorted(careers.person, persons, side="right").astype(np.int64)
    years = careers.year.astype(np.float32) + np.float32(MID_YEAR)
    after = years[stop - 1] + 1 if year is None else np.full(len(persons), year, np.float32)
    return Examples(
        person=np.asarray(persons, np.int32),
        start=start,
        stop=stop,
        item_occupation=careers.occupation,
        item_year=years,
        year=after.astype(np.float32),
        education_years=careers.education_years[stop - 1],
        target=np.full(len(persons), -1, np.int32),
    )


def history_edges(examples: Examples, longest: int = LONGEST_HISTORY) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(instance int64[e], item int64[e], rank int64[e]) of the newest `longest` items; rank 0 is the current one."""
    lengths = np.minimum(examples.lengths, longest)
    instance = np.repeat(np.arange(len(examples)), lengths)
    rank = np.arange(len(instance)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return instance, examples.stop[instance] - 1 - rank, rank


def hetero_data(examples: Examples, segments: int, longest: int = LONGEST_HISTORY) -> HeteroData:
    """The bipartite graph of these instances. `segments` = C known occupations; node C stands for any other.

    seeker.x float32[n, 6]      the ATTRIBUTES, in that order; education NaN where unknown
    seeker.current int64[n]     segment of the current occupation; C if it is unknown or there is none
    held_by.edge_index int64[2, e], edge_attr float32[e, 2]   (recency rank, years before the outcome)
    hired_into.edge_label_index int64[2, l]   known outcomes, C if the occupation is unknown
    """
    instance, item, rank = history_edges(examples, longest)
    segment = np.minimum(examples.item_occupation[item], segments)  # [e]
    years_ago = examples.year[instance] - examples.item_year[item]  # [e]
    current = examples.current
    labelled = np.flatnonzero(examples.target >= 0)

    data = HeteroData()
    data["segment"].num_nodes = segments + 1
    data["seeker"].num_nodes = len(examples)
    data["seeker"].x = torch.from_numpy(_attributes(examples, instance, segment, rank, years_ago, longest))  # [n, 6]
    data["seeker"].current = _long(np.where(current < 0, segments, np.minimum(current, segments)))  # [n]
    data[HELD_BY].edge_index = _long(np.stack([segment, instance]))  # [2, e]
    data[HELD_BY].edge_attr = torch.from_numpy(np.stack([rank, years_ago], axis=1).astype(np.float32))  # [e, 2]
    target = np.minimum(examples.target[labelled], segments)
    data[HIRED_INTO].edge_label_index = _long(np.stack([labelled, target]))  # [2, l]
    return data


def _attributes(
    examples: Examples,
    instance: np.ndarray,
    segment: np.ndarray,
    rank: np.ndarray,
    years_ago: np.ndarray,
    longest: int,
) -> np.ndarray:
    """float32[n, 6]: what is known of a seeker beside the occupations; never birth year, age, sex or race.

    log_run is the log of how many of the newest items in a row show the current occupation, log_occupations that of
    the number of distinct occupations: together they tell movers (and noisy coding) from stayers.
    """
    newest = rank == 0
    since = np.zeros(len(examples), np.float32)
    since[instance[newest]] = years_ago[newest]
    grid = np.full((len(examples), longest), -1)  # [n, longest], newest first
    grid[instance, rank] = segment
    run = np.cumprod(grid == grid[:, :1], axis=1).sum(axis=1) * (grid[:, 0] >= 0)
    ordered = np.sort(grid, axis=1)
    distinct = (np.diff(ordered, axis=1) > 0).sum(axis=1) + (ordered[:, 0] >= 0)
    columns = [examples.education_years, examples.year, np.log1p(examples.lengths), since, np.log1p(run)]
    return np.stack([*columns, np.log1p(distinct)], axis=1).astype(np.float32)


def _long(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64))
