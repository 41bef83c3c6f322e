"""Tables beside the artefacts lose a person's rows, models are told how many people left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from market.artefacts import open_artefact, writing
from targeting.artefact_erasure import flag, remove_person
from targeting.canary import search_file

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLE = pa.table({"seeker_id": ["canary-4711", "s2", None, "canary-4711"], "n": [1, 2, 3, 4]})


def test_only_the_rows_of_the_person_go(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "hires.parquet", row_group_size=2)
    pq.write_table(pa.table({"title": ["canary-4711"]}), tmp_path / "titles.parquet")
    assert remove_person(tmp_path, "canary-4711") == 2
    assert pq.read_table(tmp_path / "hires.parquet").to_pydict() == {"seeker_id": ["s2", None], "n": [2, 3]}
    assert search_file(tmp_path / "hires.parquet", "canary-4711") == []
    assert remove_person(tmp_path, "canary-4711") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hires.parquet", "titles.parquet"]


def test_a_model_that_vouches_for_its_tables_is_not_touched(tmp_path: Path) -> None:
    with writing(tmp_path / "model", "model", 1) as scratch:
        pq.write_table(TABLE, scratch / "people.parquet")
    assert remove_person(tmp_path, "canary-4711") == 0
    open_artefact(tmp_path / "model", "model", (1,))


def test_people_erased_are_counted_until_the_next_fit(tmp_path: Path) -> None:
    for fitted in range(2):
        with writing(tmp_path / "model", "model", 1) as scratch:
            (scratch / "weights").write_text(f"fit {fitted}")
        assert [flag(tmp_path, NOON), flag(tmp_path, NOON)] == [1, 2]
