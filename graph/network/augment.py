"""More to learn from: every career read once more, from its end to its beginning.

Moves between two occupations happen in both directions, and much of the movement in a record is noise of coding, which
has no direction at all. A career read backwards therefore tells which occupations are close, for the price of a second
pass; its instances count less than the real ones, and what is counted and calibrated comes from the real ones only.
"""

from __future__ import annotations

import numpy as np

from graph.bipartite import Examples


def backwards(examples: Examples) -> Examples:
    """Instances of the mirrored careers: k observations of a person give k - 1 of them, oldest history item last.

    A career is what the person's latest instance knows, and its outcome. Years are mirrored inside it (first + last -
    year), so that later stays later. Schooling is that of the instance at the same observation, NaN where none was.
    """
    last = _latest_instances(examples)  # [p]
    if not examples.lengths[last].any():
        return examples.take(slice(0, 0))
    lengths = examples.lengths[last] + 1  # [p] observations of a career
    owner = np.repeat(np.arange(len(last)), lengths)  # [m]
    place = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # [m] 0: the outcome
    item = examples.stop[last][owner] - place  # [m] the item before it, and so on
    outcome = place == 0
    item[outcome] = 0
    occupation = np.where(outcome, examples.target[last][owner], examples.item_occupation[item])  # [m]
    when = np.where(outcome, examples.year[last][owner], examples.item_year[item])  # [m]

    schooling = np.full(len(examples.item_occupation), np.nan, np.float32)
    known = examples.lengths > 0
    schooling[examples.stop[known] - 1] = examples.education_years[known]
    of_item = np.where(outcome, examples.education_years[last][owner], schooling[item])  # [m]

    first_year, last_year = when[np.cumsum(lengths) - 1], when[np.cumsum(lengths) - lengths]  # [p], [p]
    mirrored = ((first_year + last_year)[owner] - when).astype(np.float32)  # [m]
    # All but the oldest observation have one before them; logs may date two of them alike, which tells no order.
    rows = np.flatnonzero((place < lengths[owner] - 1) & (np.append(mirrored[1:], 0) > mirrored))
    return Examples(
        person=examples.person[last][owner[rows]],
        start=rows - place[rows],
        stop=rows + 1,
        item_occupation=occupation.astype(np.int32),
        item_year=mirrored,
        year=mirrored[rows + 1],
        education_years=of_item[rows].astype(np.float32),
        target=occupation[rows + 1].astype(np.int32),
    )


def together(one: Examples, other: Examples) -> Examples:
    """The instances of both, `one` first."""
    shift = len(one.item_occupation)
    columns = ("person", "year", "education_years", "target", "item_occupation", "item_year")
    joined = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in columns}
    slices = {name: np.concatenate([getattr(one, name), getattr(other, name) + shift]) for name in ("start", "stop")}
    return Examples(**joined, **slices)


def _latest_instances(examples: Examples) -> np.ndarray:
    """int64[p]: the instance of each person with the latest outcome; of several the last."""
    order = np.lexsort((np.arange(len(examples)), examples.year, examples.person))
    person = examples.person[order]
    return order[np.append(person[1:] != person[:-1], True)[: len(order)]]
