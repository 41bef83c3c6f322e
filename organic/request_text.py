"""The text encoder of requests: a fast student, and its slow teacher for texts the student can not read at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from market.artefacts import open_artefact
from market.errors import ArtefactError
from market.text import TextEncoder, TextVectors
from organic.language.student import FORMAT, KIND, StaticEncoder


class RequestEncoder:
    """The student's vectors; a text without any word piece the student knows gets the teacher's.

    Both live in one space, so a request may mix them. A row does not depend on the others.
    """

    def __init__(self, student: TextVectors, teacher: TextVectors) -> None:
        self._student, self._teacher = student, teacher

    @property
    def dimension(self) -> int:
        return self._student.dimension

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32[n, dimension], row i for texts[i]; zeros for an empty text."""
        vectors = np.array(self._student.encode(texts), np.float32)
        unread = [row for row in np.flatnonzero(~vectors.any(1)).tolist() if texts[row].strip()]
        if unread:
            vectors[unread] = self._teacher.encode([texts[row] for row in unread])
        return vectors


def load_request_encoder(folder: Path, teacher: TextEncoder) -> RequestEncoder:
    """The student in `folder`; ArtefactError when it is missing, damaged, or was not fitted to this teacher."""
    fitted_to = open_artefact(folder, KIND, (FORMAT,)).inputs.get("teacher")
    if fitted_to != teacher.identity:
        raise ArtefactError(
            f"{folder} was fitted to the text encoder {str(fitted_to)[:12]}, this one is {teacher.identity[:12]}; "
            "fit the student again, or remove it to read requests with the encoder itself"
        )
    return RequestEncoder(StaticEncoder.load(folder), teacher)
