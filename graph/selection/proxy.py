"""Early proxies: what to learn from applications whose outcome is not known yet.

A hire is confirmed weeks after the application, so the newest part of the logs teaches nothing. A recent application
may stand in for the hire it may become, as an example of less weight. Whether it is qualified can only be judged by
what is known when it is made: the grade of the job for the applicant's present occupation. Asking for such a grade is
asking for people who stay near, and teaches the network that people do; the default takes every open application.
Applications whose window has passed have an outcome and are never proxies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from graph.bipartite import Examples
from graph.hires import CENSORED, Hires
from graph.history import examples_from_hires
from market.errors import ConfigError
from market.qualification import Qualification
from market.tables import Tables


@dataclass(frozen=True)
class ProxyConfig:
    """weight of a proxy beside a hire's 1, 0: none; minimum_grade of the job for the applicant's present occupation,
    0: any job, and applicants whose present occupation is not known."""

    weight: float = 0.0
    minimum_grade: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ConfigError(f"proxy weight is {self.weight}, expected 0 (none) to 1 (as good as a hire)")
        if not 0 <= self.minimum_grade <= 1:
            raise ConfigError(f"minimum_grade is {self.minimum_grade}, expected 0 to 1")


def with_proxies(
    tables: Tables, hires: Hires, qualification: Qualification, config: ProxyConfig
) -> tuple[Examples, tuple[str, ...], np.ndarray]:
    """(examples, seeker ids that `person` points to, weights float64[n]): the confirmed hires in their order, then the
    proxies. Persons are numbered over both, so that a fold by person holds all of one person.
    """
    proxies = proxy_table(tables, hires, qualification, config)
    together = pa.concat_tables([hires.hires.select(proxies.column_names), proxies])
    examples, seekers = examples_from_hires(tables, Hires(together, hires.outcomes))
    weights = np.ones(len(together))
    weights[len(hires) :] = config.weight
    return examples, seekers, weights


def proxy_table(tables: Tables, hires: Hires, qualification: Qualification, config: ProxyConfig) -> pa.Table:
    """seeker_id, job_id, applied_at, occupation (of the job) of the open applications that look qualified.

    One row per seeker and occupation, the earliest: twenty applications to one kind of job are one intention.
    """
    taxonomy = tables.taxonomy
    outcomes = hires.outcomes.to_pandas()
    jobs = tables["jobs"].select(["job_id", "occupation"]).to_pandas().drop_duplicates("job_id")
    open_ones = outcomes[outcomes.outcome == CENSORED].merge(jobs, on="job_id")
    open_ones = open_ones.sort_values(["applied_at", "event_id"]).drop_duplicates(["seeker_id", "occupation"])
    columns = ["seeker_id", "job_id", "applied_at", "occupation"]
    schema = hires.hires.select(columns).schema
    if config.weight == 0 or not len(open_ones):
        return schema.empty_table()
    table = _rows(open_ones[columns], schema)
    applied, seekers = examples_from_hires(tables, Hires(table, hires.outcomes))
    assert [seekers[person] for person in applied.person] == open_ones.seeker_id.tolist(), "rows lost their order"
    grade = qualification.table(taxonomy)
    known = applied.current >= 0
    qualified = np.where(known, grade[applied.current, applied.target], 0.0) >= config.minimum_grade
    return table.filter(pa.array(qualified))


def _rows(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).cast(schema)
