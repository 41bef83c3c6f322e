"""The page of the curve: the headline says what was found, every number is the report's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.skill_page import curve_page, curve_tables, headline


def estimate(mean: float | None, *ci: float) -> dict[str, Any]:
    return {"mean": mean, "ci95": list(ci) or None}


def point(links: int, recall: float, false: float) -> dict[str, Any]:
    shares = {"linked_among_no_hires": estimate(false, false, false), "no_hires_among_linked": estimate(None)}
    return {"setting": 0.5, "links": links, "recall": estimate(recall, recall, recall), **shares}


@pytest.fixture
def report() -> dict[str, Any]:
    level = {"recall": 0.5, "links": 20.0, "reference_links": 1000.0, "times_fewer": estimate(50.0, 40.0, 60.0)}
    level |= {"more_false_positives": estimate(0.02, -0.01, 0.05), "more_among_linked": estimate(0.01, 0.0, 0.02)}
    found = {"levels": [level], "missed_levels": [0.9], "times_fewer": estimate(50.0, 40.0, 60.0)}
    found |= {"more_false_positives": estimate(0.02, -0.01, 0.05)}
    none = {"levels": [], "missed_levels": [0.5, 0.9]}
    return {
        "sources": {"careers": "three <people>"},
        "pairs": {name: {"persons": 3, "hires": 4, "no_hires": 20} for name in ("train", "validation", "test")},
        "candidates": 5000,
        "links": 1200,
        "weighed": 1200,
        "validation": [
            {"method": "ratio", "option": "a", "levels": 0, "times_fewer": None},
            {"method": "L1 cover", "option": "b", "levels": 1, "times_fewer": 9.0, "more_false_positives": 0.01}
            | {"worst_level": 0.02},
        ],
        "chosen": {"ratio": "smoothing 1", "L1 cover": "C 0.3"},
        "headline": "L1 cover",
        "comparison": {"L1 logistic": none, "L1 cover": found},
        "curves": {"ratio": [point(1000, 0.5, 0.1), point(0, 0, 0)], "L1 cover": [point(20, 0.5, 0.102)]},
    }


def test_the_headline_names_recall_links_and_false_positives(report):
    sentence = "At equal recall (50% to 50%) L1 cover keeps 50.0× [40.0×, 60.0×] fewer links than the ratio does;"
    assert headline(report) == f"{sentence} false positives +2.0% [-1.0%, +5.0%]."


def test_where_no_level_is_shared_the_headline_says_so(report):
    assert "nothing is compared" in headline(report | {"headline": "L1 logistic"})


def test_the_tables_show_what_was_not_reached(report):
    (_, heads, overall), _, (title, level_heads, rows) = curve_tables(report)
    assert len(heads) == len(overall[0]) == len(overall[1])
    assert overall[0] == ["L1 logistic", "–", "–"]
    assert overall[1][0] == "L1 cover (not reached: 90%)"
    assert title.startswith("L1 cover")
    assert len(level_heads) == len(rows[0])
    assert rows[0][:3] == ["50%", "20", "1,000"]


def test_the_page_draws_both_panels_and_escapes_its_words(report):
    page = curve_page(report)
    assert page.count('class=plot id="plot-') == 2
    assert "three &lt;people&gt;" in page
    assert "Mechanics" in page
    drawn = page.split('draw("plot-links", ', 1)[1]
    figure, _ = json.JSONDecoder().raw_decode(drawn)
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert {trace["name"]: list(trace["y"]) for trace in figure["data"]} == {"ratio": [1000], "L1 cover": [20]}


def test_the_same_report_gives_the_same_page(report):
    assert curve_page(report) == curve_page(report)
