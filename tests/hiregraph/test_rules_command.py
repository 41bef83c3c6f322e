"""`organic rules`: from logs to a rule file, and mistakes that end in one line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hiregraph.rules_command import rules_app
from market.errors import ConfigError, DataError
from market.tables import write_tables
from organic.quality.config import RuleConfig
from organic.quality.removal import LEARNABLE
from tests.organic.quality.small_logs import small_logs


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_tables(folder, small_logs(0, seekers=40, jobs=60, impressions=3_000).tables, "test")
    return folder


def run(*arguments: str):
    return CliRunner().invoke(rules_app, [str(each) for each in arguments])


def test_learned_rules_are_written_and_told(logs, tmp_path):
    out = tmp_path / "rules.json"
    result = run("learn", "--logs", logs, "--out", out, "--cap", "0.5", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["rules"] == list(RuleConfig.load(out).rules)
    assert set(told["effects"]) == {*LEARNABLE, "all rules", "chosen rules"}
    assert {"prevented", "lost", "replaced", "lift", "removed"} <= set(told["effects"]["stale"])


def test_without_json_there_is_a_table(logs, tmp_path):
    result = run("learn", "--logs", logs, "--out", tmp_path / "rules.json")
    assert result.exit_code == 0, result.output
    assert "What each rule would have done" in result.stdout
    assert "rules in force" in result.stdout


def test_the_same_seed_writes_the_same_bytes(logs, tmp_path):
    for name in ("a", "b"):
        run("learn", "--logs", logs, "--out", tmp_path / name, "--seed", "3", "--cap", "0.5")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_edited_file_is_shown(tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(RuleConfig(rules=("stale",)).to_json())
    told = json.loads(run("show", "--rules", path, "--json").stdout)
    assert [rule["id"] for rule in told["rules"]] == ["already-decided", "expired", "stale"]
    assert "stale" in run("show", "--rules", path).stdout


def test_mistakes_are_named(logs, tmp_path):
    def error(*arguments: str) -> BaseException | None:
        return run(*arguments).exception

    broken = tmp_path / "broken.json"
    broken.write_text('{"stale_week": 3}')
    assert isinstance(error("show", "--rules", broken), ConfigError)
    out = tmp_path / "rules.json"
    assert isinstance(error("learn", "--logs", logs, "--out", out, "--cap", "7"), ConfigError)
    assert isinstance(error("learn", "--logs", logs, "--out", tmp_path / "no" / "where"), ConfigError)
    assert isinstance(error("learn", "--logs", tmp_path / "nothing", "--out", out), DataError)
    assert not out.exists()
