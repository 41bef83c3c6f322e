"""The judging of encoders, on a benchmark small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.organic_text import _best, _judged
from organic.language.text_rank import NamedTexts

VECTORS = {
    "head cook": [1.0, 0.0],
    "cook": [0.9, 0.1],
    "chef": [0.8, 0.2],
    "pilot": [0.0, 1.0],
    "captain": [0.1, 0.9],
}


def encode(texts: list[str]) -> np.ndarray:
    return np.array([VECTORS[text] for text in texts], np.float32)


def test_an_id_scores_as_the_best_of_its_texts() -> None:
    corpus = NamedTexts.of([("b", "captain"), ("a", "pilot"), ("a", "chef")])
    assert _best(encode(["head cook"]), encode(list(corpus.texts)), corpus).tolist() == [pytest.approx([0.8, 0.1])]


def test_every_surface_form_is_judged_by_itself_and_an_unknown_label_counts_as_not_found() -> None:
    surface = NamedTexts.of([("c1", "cook"), ("c2", "chef"), ("p1", "pilot")])
    melo = (NamedTexts.of([("q1", "head cook")]), surface, {"q1": {"c2": 1, "p1": 1}})
    occupations = NamedTexts.of([("kitchen", "cook"), ("kitchen", "chef"), ("air", "pilot")])
    titles = NamedTexts.of([("t1", "captain"), ("t2", "head cook")])
    jobbert = (titles, occupations, {"t1": {"air": 1}, "t2": {"gone": 1}})
    found = _judged({"melo": melo, "jobbert": jobbert}, encode, encode)
    assert found["melo"]["map"]["mean"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["melo"]["mrr"]["mean"] == pytest.approx(1 / 2)
    assert found["jobbert"]["mrr"]["mean"] == pytest.approx((1 + 0) / 2)
    assert found["jobbert"]["recall@10"]["mean"] == pytest.approx(1 / 2)
