"""The audit on a small world: what it says, what it hides, and what it refuses."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from graph.bipartite import examples_from_careers
from graph.fairness.audit import AuditAttributes, AuditConfig, audit, read_audit_attributes
from graph.fairness.impact import THE_REST
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from market.artefacts import open_artefact
from market.careers import Careers
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy

C, PERSONS = 6, 240
TAXONOMY = build_taxonomy("six", [(str(c), f"Occupation {c}", f"section {c // 2}", "major") for c in range(C)])
QUICK = TrainConfig(epochs=2, batch=128, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))
SMALL = AuditConfig(theta=0.3, minimum_people=10)


def some_careers(persons=PERSONS, seed=0):
    """Women (odd persons) move among occupations 0 to 3 only, men among all but 0 and 1."""
    rng = np.random.default_rng(seed)
    lows = np.where(np.arange(persons) % 2, 0, 2)
    occupation = lows[:, None] + rng.integers(0, 4, (persons, 5))
    return Careers(
        person_ids=tuple(map(str, range(persons))),
        person=np.repeat(np.arange(persons), 5).astype(np.int32),
        year=np.tile(np.arange(1990, 1995), persons).astype(np.int16),
        occupation=occupation.ravel().astype(np.int32),
        education_years=np.full(persons * 5, np.nan, np.float32),
        taxonomy=TAXONOMY,
    )


CAREERS = some_careers()
ATTRIBUTES = AuditAttributes((np.arange(PERSONS) % 2).astype(np.int8), (np.arange(PERSONS) // 2 % 3).astype(np.int8))


@pytest.fixture(scope="module")
def model():
    return fit(examples_from_careers(CAREERS), TAXONOMY, QUICK)


@pytest.fixture(scope="module")
def report(model):
    return audit(model, CAREERS, ATTRIBUTES, SMALL, np.random.default_rng(0))


def test_hires_into_a_segment_are_counted_by_group(report):
    hired = [row for row in report.segments.to_pylist() if (row["attribute"], row["measure"]) == ("sex", "hired")]
    changes = examples_from_careers(CAREERS)
    changes = changes.take(changes.changed)
    shown = {(row["segment"], row["group"]): row for row in hired}
    for o in (2, 3):  # the occupations of both
        for g, group in enumerate(("Male", "Female")):
            expected = int(((changes.target == o) & (changes.person % 2 == g)).sum())
            assert shown[f"occupation={o}", group]["count"] == expected
            assert shown[f"occupation={o}", group]["people"] == PERSONS // 2
    rest = [row for row in hired if row["segment"] == THE_REST]
    assert [row["segments"] for row in rest] == [4, 4], "no man is hired into 0 or 1, no woman into 4 or 5"
    assert sum(row["count"] for row in hired) == report.document["hires"] == len(changes)


def test_every_segment_reaches_the_same_share_of_the_people(report):
    everyone = report.document["impact"]["sex"]
    assert sum(row["assessed"] for row in everyone) == PERSONS * report.document["segments"]
    assert sum(row["selected"] for row in everyone) == round(0.3 * PERSONS) * report.document["segments"]
    assert max(row["impact_ratio"] for row in everyone) == 1


def test_quality_is_told_for_every_group(report):
    changes = examples_from_careers(CAREERS).changed.sum()
    for attribute in ("sex", "race", "sex and race"):
        rows = report.document["quality"][attribute]
        assert sum(row["changes"] for row in rows) == changes
        for row in rows:
            low, high = row["mrr_ci95"]
            assert low <= row["mrr"] <= high
            assert row["ratio"] > 0


def test_a_small_race_is_withheld_with_the_next_smallest_for_both_sexes(model):
    race = np.where(np.arange(PERSONS) < 6, 0, 1 + np.arange(PERSONS) // 2 % 2).astype(np.int8)
    document = audit(model, CAREERS, AuditAttributes(ATTRIBUTES.sex, race), SMALL, np.random.default_rng(0)).document
    assert [row["withheld"] for row in document["impact"]["race"]] == [True, True, False]
    assert [row["withheld"] for row in document["quality"]["sex and race"]] == [True, True, False] * 2
    assert document["quality"]["race"][0] == {"category": "Hispanic", "withheld": True}
    assert document["representation"]["race"]["hired"]["shown"] == 0
    assert "6" not in json.dumps(document["impact"]["race"][0])


def test_people_of_unknown_attributes_are_left_out_and_their_number_told(model):
    sex = np.where(np.arange(PERSONS) < 40, -1, ATTRIBUTES.sex).astype(np.int8)
    document = audit(model, CAREERS, AuditAttributes(sex, ATTRIBUTES.race), SMALL, np.random.default_rng(0)).document
    assert (document["people"], document["unknown"]) == (PERSONS - 40, 40)
    few = np.where(np.arange(PERSONS) < 4, -1, ATTRIBUTES.sex).astype(np.int8)
    document = audit(model, CAREERS, AuditAttributes(few, ATTRIBUTES.race), SMALL, np.random.default_rng(0)).document
    assert document["unknown"] is None, "four people are a small cell themselves"


def test_nobody_known_is_refused(model):
    nobody = AuditAttributes(np.full(PERSONS, -1, np.int8), ATTRIBUTES.race)
    with pytest.raises(DataError, match="unknown for everybody"):
        audit(model, CAREERS, nobody, SMALL, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_report_and_it_can_be_read_back(model, report, tmp_path):
    again = audit(model, CAREERS, ATTRIBUTES, SMALL, np.random.default_rng(0))
    assert again.document == report.document
    assert again.segments.equals(report.segments)
    report.save(tmp_path / "audit")
    assert open_artefact(tmp_path / "audit", "hire-audit", (1,)).config["theta"] == 0.3
    assert json.loads((tmp_path / "audit" / "report.json").read_text()) == report.document
    assert pq.read_table(tmp_path / "audit" / "segments.parquet").equals(report.segments)


def write(folder, text):
    (folder / "audit_attributes.csv").write_text(text)
    return folder


def test_attributes_are_joined_by_person_and_the_rest_is_unknown(tmp_path):
    text = "race_1h_2b_3o,person_id,sex_1m_2f\n3, 2 ,2\n1,0,1\n,3,2\n2,999,1\n"
    found = read_audit_attributes(write(tmp_path, text), some_careers(4))
    assert found.sex.tolist() == [0, -1, 1, 1]
    assert found.race.tolist() == [0, -1, 2, -1]
    assert found.partitions()[2].group.tolist() == [0, -1, 5, -1]


def test_a_missing_audit_file_is_one_clear_message(tmp_path):
    with pytest.raises(DataError, match=r"audit_attributes\.csv\.gz \(or \.csv\) not found"):
        read_audit_attributes(tmp_path, CAREERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person_id,sex_1m_2f\n1,1\n", "column 'race_1h_2b_3o' is missing"),
        ("person_id,sex_1m_2f,race_1h_2b_3o\n1,1,1\n1,2,1\n", "row 1: a second row of the same person"),
        ("person_id,sex_1m_2f,race_1h_2b_3o\n1,1,1\n2,7,1\n", "row 1: sex_1m_2f is 7"),
        ("", "can not be read"),
    ],
)
def test_a_bad_audit_file_is_refused_with_its_row(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_audit_attributes(write(tmp_path, text), CAREERS)


@pytest.mark.parametrize("setting", [{"theta": 0}, {"theta": 1}, {"minimum_people": 0}, {"segment_hires": -1}])
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError):
        AuditConfig(**setting)
