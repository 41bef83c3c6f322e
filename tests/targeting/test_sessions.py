"""Sessions: where each impression's seeker went next, and which of the response settings uses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from graph.hires import confirm
from graph.selection.training_set import SelectionConfig, training_set
from graph.train import TrainConfig
from market.qualification import Qualification
from market.tables import Tables
from targeting.response import ResponseConfig, ResponseModel
from targeting.sessions import _next_occupation, cross_fitted_response
from tests.graph.toy_logs import TAXONOMY, impression, logs, position
from tests.sim.small_world import small_learned, small_logs, small_world


def test_the_next_occupation_is_that_of_the_first_position_begun_after_the_impression():
    tables = logs(
        positions=[
            position("acme", "111", -10),
            position("zeta", "112", 20),
            position("mega", "211", 40),
            position("acme", "121", 15, seeker="bob"),
        ],
        impressions=[
            impression("first", "acme-111", 0, 0.5),
            impression("on the day", "acme-111", 20, 0.5),
            impression("last", "acme-111", 50, 0.5),
            impression("other", "acme-111", 0, 0.5, seeker="bob"),
            impression("unknown", "acme-111", 0, 0.5, seeker="cat"),
        ],
    )
    shown = tables["impressions"].to_pandas()
    found = _next_occupation(tables, TAXONOMY, shown)
    codes = [TAXONOMY.codes[o] if o >= 0 else None for o in found]
    assert dict(zip(shown.event_id, codes, strict=True)) == {
        "first": "112",
        "on the day": "211",
        "last": None,
        "other": "121",
        "unknown": None,
    }


def test_the_order_of_the_impressions_does_not_matter():
    tables = Tables(small_logs(), small_world().careers.taxonomy)
    shown = tables["impressions"].to_pandas()
    found = _next_occupation(tables, tables.taxonomy, shown)
    back = _next_occupation(tables, tables.taxonomy, shown[::-1])
    assert (found[::-1] == back).all()


def fitted(config: ResponseConfig, **logs_instead: pa.Table) -> ResponseModel:
    tables = Tables(small_logs() | logs_instead, small_world().careers.taxonomy)
    learnt_from = training_set(tables, confirm(tables), TrainConfig(epochs=1), SelectionConfig(), Qualification())
    return cross_fitted_response(tables, learnt_from, Qualification(), small_learned().wage, config)


@pytest.fixture(scope="module")
def plain() -> ResponseModel:
    return fitted(ResponseConfig("forecast", "off"))


def test_the_settings_change_the_grade_and_nothing_else(plain: ResponseModel) -> None:
    """Nothing in the small world's logs was promoted, so no line is drawn either."""
    full = fitted(ResponseConfig())
    assert plain.looks is None
    assert full.looks is not None
    assert full.looks.same > full.looks.near > 0
    assert full.line == plain.line == (1.0, 0.0)
    assert replace(full, looks=None).to_json() == plain.to_json()


def test_promoted_impressions_draw_a_line_through_their_clicks_unless_it_is_off(plain: ResponseModel) -> None:
    impressions = small_logs()["impressions"]
    lower = np.array(impressions["position"].to_pylist()) > 1
    at = impressions.column_names.index("promoted")
    promoted = impressions.set_column(at, "promoted", pa.array(lower))
    line = fitted(ResponseConfig("forecast"), impressions=promoted).line
    assert line != (1.0, 0.0)
    assert 0.3 < line[0] < 2  # the same logs, so the model is nearly right already
    assert fitted(ResponseConfig("forecast", "off"), impressions=promoted).to_json() == plain.to_json()
