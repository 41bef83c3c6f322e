"""Backing off: occupation, section, major group, on six occupations in three sections and two major groups."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.segments import SegmentScheme, fit_segments
from market.errors import ArtefactError, ConfigError
from market.taxonomy import build_taxonomy

CODES = ("10", "11", "20", "21", "30", "31")
TAXONOMY = build_taxonomy(
    "toy",
    [(code, f"Title {code}", section, major) for code, section, major in zip(CODES, "AABBCC", "XXXXYY", strict=True)],
)


def segments(hires, minimum=5):
    scheme = fit_segments(TAXONOMY, np.array(hires), minimum)
    return [scheme.names[segment] for segment in scheme.of_occupation]


def test_an_occupation_with_enough_hires_is_its_own_segment():
    assert segments([5, 6, 7, 8, 9, 10]) == [f"occupation={code}" for code in CODES]


def test_thin_occupations_share_their_section():
    assert segments([2, 3, 9, 9, 9, 9])[:3] == ["section=A", "section=A", "occupation=20"]


def test_a_thin_section_backs_off_to_its_major_group():
    assert segments([2, 2, 1, 1, 9, 9]) == ["major=X"] * 4 + ["occupation=30", "occupation=31"]


def test_only_the_thin_occupations_of_a_section_count_for_it():
    # section A has 9 hires, but its thin occupation alone has 4
    assert segments([5, 4, 9, 9, 9, 9])[:2] == ["occupation=10", "major=X"]


def test_without_any_hire_only_major_groups_are_left():
    scheme = fit_segments(TAXONOMY, np.zeros(6, int))
    assert scheme.names == ("major=X", "major=Y")
    assert scheme.of_occupation.tolist() == [0, 0, 0, 0, 1, 1]
    assert len(scheme) == 2


def test_a_minimum_of_zero_keeps_every_occupation():
    assert segments([0] * 6, minimum=0) == [f"occupation={code}" for code in CODES]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=6), st.integers(0, 12))
def test_every_occupation_has_one_segment_that_holds_it(hires, minimum):
    scheme = fit_segments(TAXONOMY, np.array(hires), minimum)
    assert set(scheme.of_occupation.tolist()) == set(range(len(scheme)))
    for o, segment in enumerate(scheme.of_occupation):
        kind, value = scheme.names[segment].split("=")
        assert value == {"occupation": CODES[o], "section": "AABBCC"[o], "major": "XXXXYY"[o]}[kind]
        members = np.flatnonzero(scheme.of_occupation == segment)
        assert kind == "major" or sum(hires[m] for m in members) >= minimum


def test_a_scheme_comes_back_from_json_the_same():
    scheme = fit_segments(TAXONOMY, np.array([5, 4, 2, 3, 9, 0]))
    again = SegmentScheme.from_json(json.loads(json.dumps(scheme.to_json())))
    assert again.names == scheme.names
    assert again.minimum_hires == scheme.minimum_hires == 5
    np.testing.assert_array_equal(again.of_occupation, scheme.of_occupation)
    assert again.of_occupation.dtype == scheme.of_occupation.dtype == np.int32


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_scheme_of_another_version_is_refused(version):
    content = {**fit_segments(TAXONOMY, np.zeros(6, int)).to_json(), "version": version}
    with pytest.raises(ArtefactError, match=f"version {version}, expected 1"):
        SegmentScheme.from_json(content)


def test_a_negative_minimum_is_refused():
    with pytest.raises(ConfigError, match="minimum_hires is -1"):
        fit_segments(TAXONOMY, np.zeros(6, int), -1)
