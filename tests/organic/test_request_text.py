"""Requests are read by a student, and by its teacher where the student knows no word."""

from __future__ import annotations

import numpy as np
import pytest

from market.artefacts import writing
from market.errors import ArtefactError
from organic.language.student import FORMAT, KIND
from organic.request_text import RequestEncoder, load_request_encoder
from tests.organic.small_market import WordEncoder


class Deaf(WordEncoder):
    """Knows every word but "welder"."""

    def encode(self, texts):
        return super().encode([text.lower().replace("welder", "") for text in texts])


def test_the_teacher_reads_only_what_the_student_can_not():
    student, teacher = Deaf(), WordEncoder()
    encoder = RequestEncoder(student, teacher)
    vectors = encoder.encode(["Nurse", "Welder", "", " ", "Night nurse"])
    assert teacher.encoded == ["Welder"]
    np.testing.assert_array_equal(vectors, WordEncoder().encode(["Nurse", "Welder", "", " ", "Night nurse"]))
    assert not vectors[2:4].any()


def test_a_text_alone_equals_the_text_in_a_batch():
    encoder, texts = RequestEncoder(Deaf(), WordEncoder()), ["welder", "nurse", "welder nurse"]
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(encoder.encode([text])[0], encoder.encode(texts)[row])


class Teacher(WordEncoder):
    identity = "teacher-of-today"


def test_a_student_of_another_teacher_is_refused(tmp_path):
    with writing(tmp_path / "student", KIND, FORMAT, inputs={"teacher": "teacher-of-yesterday"}):
        pass
    with pytest.raises(ArtefactError, match=r"teacher-of-y.*this one is teacher-of-t"):
        load_request_encoder(tmp_path / "student", Teacher())
    with pytest.raises(ArtefactError, match="not an artefact"):
        load_request_encoder(tmp_path / "nothing", Teacher())
