"""The click model says what its file says, and its common random numbers are independent of each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from market.errors import ConfigError
from sim.behaviour import (
    PATH,
    apply_probability,
    click_logit,
    examination,
    grade_table,
    hash_normals,
    hash_uniform,
    read_behaviour,
)
from sim.generated import generated_taxonomy

BEHAVIOUR = read_behaviour()


def test_the_same_three_integers_give_the_same_number_and_others_another() -> None:
    near = list(itertools.product(range(12), range(12), range(12)))
    numbers = [hash_uniform(*triple) for triple in near]
    assert numbers == [hash_uniform(*triple) for triple in near]
    assert len(set(numbers)) == len(near)
    assert all(0 <= number < 1 for number in numbers)
    assert np.mean(numbers) == pytest.approx(0.5, abs=5 / np.sqrt(12 * len(near)))


@pytest.mark.parametrize("step", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, -1), (0, 1, 1), (1, -1, 0), (100_000, 0, 1)])
def test_neighbouring_numbers_are_not_correlated(step: tuple[int, int, int]) -> None:
    a = [(i, j, 7) for i in range(100, 200) for j in range(60)]
    one = [hash_uniform(*triple) for triple in a]
    other = [hash_uniform(*np.add(triple, step).tolist()) for triple in a]
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(len(a))


def test_hashed_normals_are_standard_normal_and_belong_to_their_pair() -> None:
    row, column = np.divmod(np.arange(200 * 150), 150)
    drawn = hash_normals(row, column, 1_000)
    assert abs(drawn.mean()) < 5 / np.sqrt(drawn.size)
    assert drawn.std() == pytest.approx(1, abs=0.02)
    pairs = np.array([17, 17]), np.array([3, 149])
    assert hash_normals(*pairs, 1_000).tolist() == drawn.reshape(200, 150)[pairs].tolist()
    following = hash_normals(row, column, 1_001)
    assert abs(np.corrcoef(drawn.ravel(), following.ravel())[0, 1]) < 5 / np.sqrt(drawn.size)


def chance(grade: float) -> float:
    """P(click | seen) of a job at the own wage, nearby, of the own level, to nobody's particular taste."""
    return float(1 / (1 + np.exp(-click_logit(BEHAVIOUR, grade, 0.0, 0.0, 0.0, 0.0, 0.0))))


def test_clicks_and_applications_have_the_rates_the_file_states() -> None:
    assert chance(0) == pytest.approx(0.027, abs=0.001)
    assert chance(1) == pytest.approx(0.21, abs=0.01)
    assert apply_probability(BEHAVIOUR, 0.0, 0.0, 0.0) == pytest.approx(0.14, abs=0.005)
    assert apply_probability(BEHAVIOUR, 1.0, 0.0, 0.0) == pytest.approx(0.6, abs=0.005)
    assert examination(BEHAVIOUR, 3) == pytest.approx([1, 0.64, 0.49], abs=0.005)


def test_grades_fall_from_the_occupation_to_the_section_to_the_major_group() -> None:
    taxonomy = generated_taxonomy()
    grades = grade_table(taxonomy, BEHAVIOUR)
    care, nursing, retail = (taxonomy.position[code] for code in ("0000", "0100", "0300"))
    assert grades[care, care] == 1
    assert grades[care, care + 1] == pytest.approx(0.35)
    assert grades[care, nursing] == pytest.approx(0.10)
    assert grades[care, retail] == 0


def test_a_changed_coefficient_shows_in_the_digest_and_an_unknown_one_is_refused() -> None:
    changed = BEHAVIOUR.with_values("click", match=0.0)
    assert changed["click"]["match"] == 0
    assert BEHAVIOUR["click"]["match"] == 2.3
    assert changed.sha256 != BEHAVIOUR.sha256
    with pytest.raises(ConfigError, match="charm"):
        BEHAVIOUR.with_values("click", charm=1.0)


def test_every_line_of_the_file_names_its_source_or_says_assumption() -> None:
    """The words stand behind the value or, for long lists, in the comment lines right above."""
    above = ""
    for line in PATH.read_text().splitlines():
        if line.startswith("#"):
            above += line
            continue
        if "=" in line:
            name, _, comment = line.partition("#")
            assert "assumption:" in comment + above or "source:" in comment + above, name
        above = ""


def test_every_coefficient_is_a_positive_length_or_a_share_where_it_has_to_be() -> None:
    for section, name in (("traffic", "searching_share"), ("match", "same_section"), ("hire", "given_qualified")):
        assert 0 < BEHAVIOUR[section][name] <= 1
    assert len(BEHAVIOUR["traffic"]["hours"]) == 24
    assert len(BEHAVIOUR["traffic"]["weekdays"]) == 7
