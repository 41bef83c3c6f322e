"""The audit's shares of groups for the segments of the live plan.

The audit tells of people by the job segment they moved into; the plan's segments are people by present occupation and
area. Whoever holds an occupation now has moved into it, so a plan's segment has the shares of the "hired" rows of the
job segment that its occupation lies in; the audit tells no areas apart. Of seekers who told no occupation nothing is
known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from targeting.pacing.fair import GroupShares, read_group_shares

MEASURE = "hired"


def shares_of_plan(
    table: pa.Table, attribute: str, segments: Sequence[tuple[str, str]], job_segment_of: Mapping[str, str]
) -> GroupShares:
    """Shares of the plan's segments (occupation, area), in order; job_segment_of: {occupation: audited segment}."""
    names = [job_segment_of.get(occupation, "") for occupation, _ in segments]
    found = read_group_shares(table, attribute, names, MEASURE)
    told = np.array([bool(name) for name in names], bool)
    return GroupShares(found.groups, np.where(told[:, None], found.share, np.nan))
