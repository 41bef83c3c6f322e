"""What is read of two classifications."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import DataError
from organic.language.concepts import Concept, names_of, read_esco, read_onet, same_name
from tests.organic.language.small_classifications import write_classifications


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_classifications(tmp_path)


def test_an_esco_occupation_has_its_labels_its_description_and_its_essential_skills(data: Path) -> None:
    baker, nurse, _ = read_esco(data / "esco")
    names = ("baker", "bread baker", "pastry baker")
    assert baker == Concept("esco", "u/baker", names, "Bakers make bread.", ("heat ovens", "mix dough"))
    assert nurse.skills == ()  # what is only optional is left out


def test_an_onet_occupation_has_its_title_first_then_its_alternates(data: Path) -> None:
    nurse, *_ = read_onet(data / "onet")
    assert nurse == Concept("onet", "29-1141", ("Registered Nurses", "Staff Nurse", "Charge Nurse"), "Assess patients.")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="skills_en"):
        read_esco(tmp_path)


def test_a_missing_column_is_named(data: Path) -> None:
    (data / "onet" / "alternate_titles.csv.gz").write_bytes((data / "esco" / "skills_en.csv.gz").read_bytes())
    with pytest.raises(DataError, match="O\\*NET-SOC Code"):
        read_onet(data / "onet")


def test_the_crosswalk_is_never_opened(data: Path) -> None:
    (data / "onet" / "esco_onet_crosswalk_Nov2020.csv.gz").write_bytes(b"whoever reads this fails")
    assert len(read_onet(data / "onet")) == len(read_esco(data / "esco")) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [("Bread Bakers", "bread baker"), ("Secretaries", "secretary"), ("Co-Pilots", "co pilot"), ("C.E.O.", "c e o")],
)
def test_case_punctuation_and_plural_make_no_other_name(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)


def test_boss_and_bus_are_no_plurals() -> None:
    assert same_name("Boss of the Bus") == "boss of the bus"


@given(st.text(max_size=40))
def test_the_normal_form_is_its_own_normal_form_but_for_endings(text: str) -> None:
    once = same_name(text)
    assert once == once.casefold().strip()
    assert "  " not in once


def test_names_come_once_each(data: Path) -> None:
    texts = names_of([*read_esco(data / "esco"), *read_esco(data / "esco")])
    assert len(texts) == len(set(texts)) == 13
