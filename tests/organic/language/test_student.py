"""The static student of the real encoder, fitted on a few dozen titles."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ArtefactError, ConfigError, UserError
from market.text import TextEncoder
from organic.language.student import Features, StaticEncoder, StudentConfig, _ridge, fit_student

LEVELS = ["Junior", "Senior", "Night shift", "Assistant", "Trainee", "Head"]
TITLES = [
    f"{level} {work}" for level, work in product(LEVELS, ["nurse", "welder", "cook", "software developer", "pilot"])
]


@pytest.fixture(scope="module")
def teacher() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(scope="module")
def fitted(teacher) -> tuple[StaticEncoder, dict]:
    return fit_student(TITLES, teacher, StudentConfig(held_out=5))


@pytest.fixture(scope="module")
def student(fitted) -> StaticEncoder:
    return fitted[0]


def test_the_ridge_is_the_closed_form():
    rng = np.random.default_rng(0)
    shares, targets, start = rng.random((30, 6)), rng.standard_normal((30, 4)), rng.standard_normal((6, 4))
    expected = start + np.linalg.solve(shares.T @ shares + 0.3 * np.eye(6), shares.T @ (targets - shares @ start))
    found = _ridge(scipy.sparse.csr_matrix(shares), targets, start, StudentConfig(ridge=0.3))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_student_is_close_to_the_teacher_on_titles_it_was_not_shown(fitted):
    _, metrics = fitted
    assert metrics["fitted"] + metrics["cosine_n"] == len(TITLES)
    assert metrics["cosine_n"] >= 3
    assert metrics["cosine"] > 0.85


def test_vectors_have_length_one_and_the_teachers_dimension(student, teacher):
    vectors = student.encode(["night nurse", "Pilot"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, teacher.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_text_of_unknown_words_is_zero_and_no_texts_are_no_rows(student):
    assert not student.encode(["", "看護師", "\ud800"]).any()
    assert student.encode([]).shape == (0, student.dimension)


def test_a_row_does_not_depend_on_its_neighbours(student):
    together = student.encode(TITLES)
    for title, row in zip(TITLES, together, strict=True):
        np.testing.assert_array_equal(student.encode([title])[0], row)


@given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 2**31))
def test_a_few_texts_are_summed_as_many_are(pieces, seed):
    table = np.random.default_rng(seed).standard_normal((8, 5)).astype(np.float32)
    features = Features(np.array([0, 1, 3, 5]), np.array([0 << 32 | 1, 1 << 32 | 1, 3 << 32 | 5, 5 << 32 | 0]))
    bag = np.array(pieces, np.int64)
    np.testing.assert_array_equal(features.sum(bag, table), (features.shares([bag]) @ table)[0])


def test_the_order_of_the_texts_does_not_matter(student, teacher):
    again, _ = fit_student(TITLES[::-1] + TITLES[:3], teacher, StudentConfig(held_out=5))
    np.testing.assert_array_equal(again.encode(TITLES), student.encode(TITLES))


def test_a_saved_student_comes_back_and_a_damaged_one_is_refused(student, fitted, tmp_path):
    student.save(tmp_path / "student", StudentConfig(), {"teacher": "x"}, fitted[1])
    np.testing.assert_array_equal(StaticEncoder.load(tmp_path / "student").encode(TITLES), student.encode(TITLES))
    with (tmp_path / "student" / "student.safetensors").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ArtefactError, match="damaged"):
        StaticEncoder.load(tmp_path / "student")


def test_the_student_needs_no_torch(student, tmp_path):
    student.save(tmp_path / "student", StudentConfig(), {}, {})
    code = (
        "import sys; from organic.language.student import StaticEncoder; from pathlib import Path\n"
        f"StaticEncoder.load(Path({str(tmp_path / 'student')!r})).encode(['nurse'])\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_to_learn_from_is_refused(teacher):
    with pytest.raises(UserError, match="single word"):
        fit_student(["", " "], teacher)
    with pytest.raises(ConfigError, match="ridge 0"):
        StudentConfig(ridge=0)
