"""Classifications of a handful of occupations, and distances that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from market.errors import DataError, NotFoundError
from market.taxonomy import EARTH_RADIUS_KM, Metros, build_taxonomy, census_1980, normalise_title

TITLES = pd.DataFrame(
    {
        "occ80": [313, 8, 473, 473],
        "title": ["Secretaries", "Managers", "Farmers", "a second title"],
        "section": ["Clerks:", "Managers", "Farming: ", "another"],
    }
)


def sections(taxonomy):
    return [taxonomy.section_names[s] for s in taxonomy.section]


def test_positions_follow_the_order_given():
    taxonomy = build_taxonomy("toy", [("b", "B", "s", "m"), ("a", "A", "t", "m"), ("c", "C", "s", "n")])
    assert taxonomy.codes == ("b", "a", "c")
    assert [taxonomy.find(code) for code in "bac"] == [0, 1, 2]
    assert sections(taxonomy) == ["s", "t", "s"]
    assert taxonomy.major.tolist() == [0, 0, 1]
    assert (taxonomy.section.dtype, taxonomy.major.dtype) == (np.int32, np.int32)
    assert len(taxonomy) == 3


def test_a_classification_of_nothing_is_empty():
    taxonomy = build_taxonomy("toy", [])
    assert (len(taxonomy), taxonomy.section_names, taxonomy.position) == (0, (), {})


def test_an_unknown_code_is_refused_with_the_name_of_the_scheme():
    with pytest.raises(NotFoundError, match=r"occupation 'x' is not in toy \(1 codes\)"):
        build_taxonomy("toy", [("b", "B", "s", "m")]).find("x")


@pytest.mark.parametrize(
    ("title", "normal"),
    [
        ("  Software-Engineer II ", "software engineer ii"),
        ("Managers, n.e.c.", "managers n e c"),
        ("C++", "c"),
        ("", ""),
    ],
)
def test_titles_are_compared_as_lower_case_words(title, normal):
    assert normalise_title(title) == normal
    assert normalise_title(normal) == normal


def test_a_title_finds_the_first_occupation_that_bears_it():
    taxonomy = build_taxonomy("toy", [("1", "Cook", "s", "m"), ("2", "COOK!", "s", "m"), ("3", "Baker", "s", "m")])
    assert taxonomy.by_title == {"cook": 0, "baker": 2}


def test_census_codes_get_title_section_and_major_group():
    taxonomy = census_1980([8, 313, 473], TITLES)
    assert taxonomy.scheme == "census-1980"
    assert taxonomy.titles == ("Managers", "Secretaries", "Farmers")
    assert sections(taxonomy) == ["Managers", "Clerks", "Farming"]
    assert [taxonomy.major_names[m] for m in taxonomy.major] == [
        "Executive, administrative and managerial",
        "Administrative support",
        "Farming, forestry and fishing",
    ]


def test_a_code_without_title_keeps_its_code_and_takes_the_section_of_the_nearest_smaller_titled_one():
    taxonomy = census_1980([3, 400, 999], TITLES)
    assert taxonomy.titles == ("Occupation 3", "Occupation 400", "Occupation 999")
    assert sections(taxonomy) == ["Managers", "Clerks", "Farming"]


def test_an_empty_title_is_no_title():
    titles = pd.DataFrame({"occ80": [8, 9], "title": ["Managers", None], "section": ["Managers", None]})
    taxonomy = census_1980([8, 9], titles)
    assert taxonomy.titles == ("Managers", "Occupation 9")
    assert sections(taxonomy) == ["Managers", "Managers"]


@pytest.mark.parametrize(
    ("code", "major"),
    [
        (0, "Executive, administrative and managerial"),
        (42, "Executive, administrative and managerial"),
        (43, "Professional specialty"),
        (889, "Handlers, helpers and labourers"),
        (905, "Military and not classified"),
    ],
)
def test_a_major_group_begins_at_its_first_code(code, major):
    assert census_1980([code], TITLES).major_names == (major,)


def test_titles_without_rows_are_refused():
    with pytest.raises(DataError, match="occ80_titles: no rows"):
        census_1980([8], TITLES.iloc[:0])


def metros(*places):
    latitude, longitude = np.array(places, float).T
    ids = tuple(map(str, range(len(places))))
    return Metros(ids, ids, latitude, longitude, np.ones(len(places)))


def test_a_quarter_of_the_earth_is_a_quarter_of_its_girth():
    quarter = np.pi / 2 * EARTH_RADIUS_KM
    distance = metros((0, 0), (0, 90), (90, 0), (0, 180), (0, -90)).distance_km
    assert distance[0].tolist() == pytest.approx([0, quarter, quarter, 2 * quarter, quarter])
    assert distance[1, 4] == pytest.approx(2 * quarter)


def test_one_degree_of_latitude_is_111_km_everywhere_and_of_longitude_half_of_it_at_60_north():
    distance = metros((10, 20), (11, 20), (60, 20), (60, 21)).distance_km
    assert distance[0, 1] == pytest.approx(111.19, abs=0.01)
    assert distance[2, 3] == pytest.approx(111.19 / 2, rel=1e-4)


def test_new_york_to_los_angeles_is_3_936_km():
    assert metros((40.7128, -74.0060), (34.0522, -118.2437)).distance_km[0, 1] == pytest.approx(3936, abs=1)


def test_distances_are_symmetric_zero_to_oneself_and_short_across_the_date_line():
    rng = np.random.default_rng(0)
    distance = metros(*zip(rng.uniform(-90, 90, 20), rng.uniform(-180, 180, 20), strict=True)).distance_km
    np.testing.assert_allclose(distance, distance.T)
    assert (np.diag(distance) == 0).all()
    assert (distance <= np.pi * EARTH_RADIUS_KM + 1e-6).all()
    for middle in range(20):
        assert (distance <= distance[:, [middle]] + distance[[middle]] + 1e-6).all()
    assert metros((0, 179.5), (0, -179.5)).distance_km[0, 1] == pytest.approx(111.19, abs=0.01)
