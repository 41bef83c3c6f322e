"""The table of the link curve has one shape, whatever was reached."""

from bench.link_curve import run, show
from sim.skills import SkillWorldConfig


def test_the_table_holds_every_method_and_the_levels_of_the_headline_method():
    result = run(None, SkillWorldConfig(persons=150))
    head, *rows = show(result)
    assert {len(row) for row in rows} == {len(head)}
    assert [row[0].partition(",")[0].partition(" (")[0] for row in rows[:3]] == list(result["comparison"])
    levels = result["comparison"][result["headline"]]["levels"]
    assert len(rows) == 3 + len(levels)
    assert result["headline"] in result["headline_sentence"]
    assert result["seconds"] > 0
