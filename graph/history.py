"""From profiles and confirmed hires in platform logs to the `Examples` everything is learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graph.bipartite import Examples
from graph.hires import Hires
from market.errors import DataError
from market.tables import Tables
from market.taxonomy import Taxonomy

DAYS_A_YEAR = 365.25


def decimal_year(when: pd.Series | np.ndarray) -> np.ndarray:
    """float64: UTC instants (pandas or datetime64) as decimal years."""
    naive = pd.to_datetime(pd.Series(when), utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
    return 1970 + (naive - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D") / DAYS_A_YEAR


def examples_from_hires(tables: Tables, hires: Hires) -> tuple[Examples, tuple[str, ...]]:
    """One example per confirmed hire: the positions begun before the application, and the job's occupation as target.

    Returns the examples and the seeker ids that `person` points to. Hires of seekers without any earlier position have
    an empty history.
    """
    if not len(hires):
        raise DataError("hires", "no confirmed hire was found", "check employers, dates and the attribution window")
    position_of = tables.taxonomy.position
    held = tables["positions"].select(["seeker_id", "employer_id", "occupation", "started_at"]).to_pandas()
    held = held.drop_duplicates(["seeker_id", "employer_id", "occupation", "started_at"])
    made = hires.hires.to_pandas()
    ids = tuple(sorted(set(made.seeker_id)))
    number = {seeker_id: i for i, seeker_id in enumerate(ids)}
    held = held[held.seeker_id.isin(number)]
    held = held.assign(person=held.seeker_id.map(number), year=decimal_year(held.started_at))
    held = held.sort_values(["person", "year", "occupation"], kind="stable")
    made = made.assign(person=made.seeker_id.map(number), year=decimal_year(made.applied_at))

    # float32 years first, so that "begun before the application" means the same here and in Examples
    item_year = held.year.to_numpy(np.float32)
    year = made.year.to_numpy(np.float32)
    first = np.searchsorted(held.person, np.arange(len(ids) + 1))
    start = first[made.person]
    stop = np.array(
        [
            begin + np.searchsorted(item_year[begin:end], at)
            for begin, end, at in zip(start, first[made.person + 1], year, strict=True)
        ],
        np.int64,
    )
    return (
        Examples(
            person=made.person.to_numpy(np.int32),
            start=start.astype(np.int64),
            stop=stop,
            item_occupation=held.occupation.map(position_of).to_numpy(np.int32),
            item_year=item_year,
            year=year,
            education_years=_education(tables, made),
            target=made.occupation.map(position_of).to_numpy(np.int32),
        ),
        ids,
    )


def examples_of_profiles(
    histories: list[list[int]], years: list[list[float]], education_years: np.ndarray, now: float
) -> Examples:
    """Seekers as a request knows them: occupations oldest first, the decimal year each began (all before `now`)."""
    lengths = np.array([len(history) for history in histories], np.int64)
    stop = np.cumsum(lengths)
    return Examples(
        person=np.arange(len(histories), dtype=np.int32),
        start=stop - lengths,
        stop=stop,
        item_occupation=np.array([o for history in histories for o in history], np.int32),
        item_year=np.array([y for history in years for y in history], np.float32),
        year=np.full(len(histories), now, np.float32),
        education_years=np.asarray(education_years, np.float32),
        target=np.full(len(histories), -1, np.int32),
    )


def _education(tables: Tables, made: pd.DataFrame) -> np.ndarray:
    """float32[n]: schooling last recorded when the seeker applied; if it was recorded only later, its first record."""
    if "seekers" not in tables or "education_years" not in tables["seekers"].column_names:
        return np.full(len(made), np.nan, np.float32)
    records = tables["seekers"].select(["seeker_id", "education_years", "updated_at"]).to_pandas()
    records = records.dropna().sort_values(["updated_at", "education_years"])
    asked = made[["seeker_id", "applied_at"]].astype({"applied_at": records.updated_at.dtype})
    asked = asked.reset_index(drop=True).sort_values("applied_at", kind="stable")
    known = pd.merge_asof(asked, records, left_on="applied_at", right_on="updated_at", by="seeker_id")
    by_row = known.education_years.set_axis(asked.index).sort_index()
    first = records.drop_duplicates("seeker_id").set_index("seeker_id").education_years
    return by_row.fillna(made.seeker_id.reset_index(drop=True).map(first)).to_numpy(np.float32)


def popularity(examples: Examples, taxonomy: Taxonomy) -> np.ndarray:
    """float64[C]: share of hires that went into each occupation."""
    counts = np.bincount(examples.target[examples.target >= 0], minlength=len(taxonomy)).astype(float)
    return counts / counts.sum()
