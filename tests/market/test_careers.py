"""Careers directories of a few persons, written by hand into a temporary folder."""

import gzip
import sys

import numpy as np
import pytest

from market.careers import read_careers
from market.errors import DataError, NotFoundError
from market.taxonomy import build_taxonomy

OCCUPATIONS = """person_id,year,occ80
7,1982,313
7,1980,8
10,1981,473
7,1985,8
10,1980,999
"""
TITLES = """occ80,title,section
8,Managers,Managers
313,Secretaries,Clerks:
473,Farmers,Farming
"""
GRADES = """person_id,year,grade
7,1979,11
7,1982,12
7,1984,16
10,1983,9
"""
WORLD = {"occupations": OCCUPATIONS, "occ80_titles": TITLES, "highest_grade": GRADES}


@pytest.fixture
def directory(tmp_path):
    def write(packed=False, **files):
        folder = tmp_path / ("packed" if packed else "plain")
        folder.mkdir(exist_ok=True)
        for name, text in {**WORLD, **files}.items():
            if text is None:
                continue
            if packed:
                (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
            else:
                (folder / f"{name}.csv").write_text(text)
        return folder

    return write


def observations(careers):
    """(person, year, code) of every observation, in the order given out."""
    return [
        (careers.person_ids[p], int(y), careers.taxonomy.codes[o])
        for p, y, o in zip(careers.person, careers.year, careers.occupation, strict=True)
    ]


def test_observations_come_by_person_and_year_with_gaps_kept(directory):
    careers = read_careers(directory())
    assert observations(careers) == [
        ("7", 1980, "8"),
        ("7", 1982, "313"),
        ("7", 1985, "8"),
        ("10", 1980, "999"),
        ("10", 1981, "473"),
    ]
    assert careers.pairs().tolist() == [0, 1, 3]
    assert len(careers) == 5
    assert [getattr(careers, name).dtype for name in ("person", "year", "occupation", "education_years")] == [
        np.int32,
        np.int16,
        np.int32,
        np.float32,
    ]


def same(one, other):
    arrays = ("person", "year", "occupation", "education_years")
    return (
        one.person_ids == other.person_ids
        and one.taxonomy.codes == other.taxonomy.codes
        and one.taxonomy.titles == other.taxonomy.titles
        and all(np.array_equal(getattr(one, n), getattr(other, n), equal_nan=True) for n in arrays)
    )


def test_plain_and_gzip_files_read_the_same(directory):
    assert same(read_careers(directory()), read_careers(directory(packed=True)))


def test_the_order_of_rows_and_further_columns_do_not_matter(directory):
    first = read_careers(directory())
    head, *rows = OCCUPATIONS.split()
    shuffled = "\n".join([head + ",wage", *(row + ",3" for row in rows[::-1])])
    assert same(first, read_careers(directory(occupations=shuffled)))


def test_persons_are_sorted_as_numbers_where_they_are_numbers(directory):
    rows = "person_id,year,occ80\nb,1980,8\n10,1980,8\n9,1980,8\na,1980,8\n"
    assert read_careers(directory(occupations=rows)).person_ids == ("9", "10", "a", "b")


def test_ids_keep_their_zeros(directory):
    rows = "person_id,year,occ80\n007,1980,8\n"
    assert read_careers(directory(occupations=rows)).person_ids == ("007",)


def test_schooling_is_the_last_known_at_or_before_the_year(directory):
    careers = read_careers(directory())
    np.testing.assert_array_equal(careers.education_years, np.array([11, 12, 16, np.nan, np.nan], np.float32))


def test_schooling_that_is_not_recorded_is_passed_over(directory):
    grades = "person_id,year,grade\n7,1979,11\n7,1982,\n,1982,3\n"
    careers = read_careers(directory(highest_grade=grades))
    np.testing.assert_array_equal(careers.education_years, np.array([11, 11, 11, np.nan, np.nan], np.float32))


@pytest.mark.parametrize("grades", [None, "person_id,year,grade\n"], ids=["no file", "no rows"])
def test_without_schooling_it_is_unknown(directory, grades):
    assert np.isnan(read_careers(directory(highest_grade=grades)).education_years).all()


OPENED: list[str] = []
WATCHED: list[str] = []


def _watch(event, arguments):
    if event == "open" and WATCHED and str(arguments[0]).startswith(WATCHED[0]):
        OPENED.append(str(arguments[0]))


@pytest.fixture
def opened():
    """The files opened below a folder while its name stands in WATCHED; such a hook can not be taken away again."""
    if not hasattr(sys, "_careers_are_watched"):
        sys.addaudithook(_watch)
        sys._careers_are_watched = True
    OPENED.clear()
    yield OPENED
    WATCHED.clear()


def test_birth_data_and_the_audit_file_change_nothing_and_are_never_opened(directory, opened):
    first = read_careers(directory())
    folder = directory(
        persons="person_id,birth_year,birth_month,sex\n7,1960,2,F\n10,1961,3,M\n",
        audit_attributes="person_id,sex,race\n7,F,1\n",
    )
    (folder / "audit_attributes.csv.gz").write_bytes(b"not even gzip")
    WATCHED.append(str(folder))
    again = read_careers(folder)
    assert same(first, again)
    assert {path.rsplit("/", 1)[1] for path in opened} == {"occupations.csv", "occ80_titles.csv", "highest_grade.csv"}


def test_the_guard_sees_a_file_that_is_opened(directory, opened):
    folder = directory(persons="person_id\n7\n")
    WATCHED.append(str(folder))
    (folder / "persons.csv").read_text()
    assert [path.rsplit("/", 1)[1] for path in opened] == ["persons.csv"]


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("occupations", "person_id,year\n7,1980\n", "occupations: column 'occ80' is missing"),
        ("occ80_titles", "occ80,title\n8,Managers\n", "occ80_titles: column 'section' is missing"),
        ("highest_grade", "person_id,year\n7,1980\n", "highest_grade: column 'grade' is missing"),
        ("occupations", "person_id,year,occ80\n", "occupations: no rows"),
        ("occupations", "", "occupations: .* can not be read"),
        ("occ80_titles", "occ80,title,section\n", "occ80_titles: no rows"),
        ("occupations", "person_id,year,occ80\n7,1980,8\n7,1981,\n", "occupations, row 1: occ80 is not an integer"),
        ("occupations", "person_id,year,occ80\n7,NaN,8\n", "occupations, row 0: year is not an integer"),
        ("occupations", "person_id,year,occ80\n7,1980,8.5\n", "occupations, row 0: occ80 is not an integer"),
        ("occupations", "person_id,year,occ80\n7,1980,baker\n", "occupations, row 0: occ80 is not an integer"),
        ("occupations", "person_id,year,occ80\n7,1980,inf\n", "occupations, row 0: occ80 is not an integer"),
        ("occupations", "person_id,year,occ80\n7,1980,8\n,1980,8\n", "occupations, row 1: person_id is missing"),
        ("occupations", "person_id,year,occ80\n7,80,8\n", "occupations, row 0: year outside 1900-2100"),
        ("occupations", "person_id,year,occ80\n7,1980,-4\n", "occupations, row 0: negative occupation code"),
        (
            "occupations",
            "person_id,year,occ80\n7,1980,8\n7,1981,8\n7,1980,313\n",
            r"occupations, row 2: a second observation of a person and year \(1 such rows\)",
        ),
        ("occupations", "person_id,year,occ80\n7,1980,8\n 7,1980,8\n", "row 1: a second observation of a person"),
        ("highest_grade", "person_id,year,grade\n7,1980,50\n", "highest_grade, row 0: grade is not a number of years"),
        (
            "highest_grade",
            "person_id,year,grade\n7,1980,much\n",
            "highest_grade, row 0: grade is not a number of years",
        ),
        ("highest_grade", "person_id,year,grade\n7,,12\n", "highest_grade, row 0: year is not an integer"),
    ],
)
def test_the_first_offence_is_named_with_table_and_row(directory, table, text, message):
    with pytest.raises(DataError, match=message):
        read_careers(directory(**{table: text}))


@pytest.mark.parametrize("table", ["occupations", "occ80_titles"])
def test_a_required_table_that_is_missing_is_refused(directory, table):
    with pytest.raises(DataError, match=rf"{table}: .*{table}\.csv\.gz \(or \.csv\) not found"):
        read_careers(directory(**{table: None}))


def test_a_file_cut_short_is_refused(directory):
    folder = directory(packed=True)
    whole = (folder / "occupations.csv.gz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no gzip"):
        (folder / "occupations.csv.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"occupations\.csv\.gz can not be read"):
            read_careers(folder)


def test_a_flipped_byte_anywhere_behind_the_gzip_header_is_refused(directory):
    folder = directory(packed=True)
    whole = (folder / "occupations.csv.gz").read_bytes()
    for place in range(10, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (folder / "occupations.csv.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="occupations"):
            read_careers(folder)


def test_a_model_keeps_its_positions_and_new_codes_come_behind_them(directory):
    model = read_careers(directory(occupations="person_id,year,occ80\n1,1980,473\n1,1981,313\n")).taxonomy
    assert model.codes == ("313", "473")
    careers = read_careers(directory(), model)
    extended = careers.taxonomy
    assert extended.codes == ("313", "473", "8", "999")
    assert observations(careers)[0] == ("7", 1980, "8")
    assert observations(careers)[3] == ("10", 1980, "999")
    assert extended.titles == ("Secretaries", "Farmers", "Managers", "Occupation 999")
    for level in ("section", "major"):
        ids, names = getattr(extended, level), getattr(extended, f"{level}_names")
        assert names[: len(getattr(model, f"{level}_names"))] == getattr(model, f"{level}_names")
        assert ids[: len(model)].tolist() == getattr(model, level).tolist()
        assert len(set(names)) == len(names)
    assert [extended.section_names[s] for s in extended.section] == ["Clerks", "Farming", "Managers", "Farming"]


def test_a_model_that_knows_all_codes_is_left_as_it_is(directory):
    model = read_careers(directory()).taxonomy
    again = read_careers(directory(occupations="person_id,year,occ80\n1,1980,473\n"), model)
    assert again.taxonomy.codes == model.codes
    assert again.occupation.tolist() == [model.find("473")]


def test_the_model_speaks_louder_than_the_directory_about_its_own_codes(directory):
    model = read_careers(directory()).taxonomy
    renamed = TITLES.replace("Secretaries", "Typists").replace("Clerks:", "Managers")
    again = read_careers(directory(occ80_titles=renamed), model)
    assert again.taxonomy.titles == model.titles
    assert again.taxonomy.section_names == model.section_names
    assert again.taxonomy.section.tolist() == model.section.tolist()


def test_a_model_of_another_classification_is_refused(directory):
    foreign = build_taxonomy("onet", [("15-1252", "Developers", "15", "1")])
    with pytest.raises(DataError, match="onet"):
        read_careers(directory(), foreign)


def test_a_person_is_found_by_id(directory):
    careers = read_careers(directory())
    assert careers.find("10") == 1
    with pytest.raises(NotFoundError, match=r"person '8' has no observation here \(2 persons\)"):
        careers.find("8")


def test_some_persons_are_renumbered_and_keep_their_careers(directory):
    careers = read_careers(directory())
    some = careers.of_persons(np.array([False, True]))
    assert observations(some) == [row for row in observations(careers) if row[0] == "10"]
    assert some.person.tolist() == [0, 0]
    assert same(careers.of_persons(np.array([True, True])), careers)
    assert len(careers.of_persons(np.array([False, False]))) == 0
