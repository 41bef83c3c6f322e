"""`hiregraph simulate replay`: one JSON document or a table, one line for a mistake, and beside it plain `simulate`."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.replay_world import draw_log, draw_world
from hiregraph.cli import main
from sim.auction_log import Auctions

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """(exit code, stdout, stderr) of `hiregraph simulate ARGUMENTS`, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hiregraph", "simulate", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return command


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "auctions.txt"
    path.write_text("1 5 0.5\n0 6 0.5\n1 3 0.5\n0 0 0\n1 4 1\n")
    return path


def write(path: Path, auctions: Auctions) -> Path:
    columns = (auctions.click.tolist(), auctions.price.tolist(), auctions.pctr.tolist())
    lines = (f"{click} {price} {pctr!r}\n" for click, price, pctr in zip(*columns, strict=True))
    path.write_bytes(gzip.compress("".join(lines).encode(), 1))
    return path


def one_line(answer: tuple[int, str, str], *words: str) -> None:
    code, out, err = answer
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1), err
    assert all(word in err for word in words), err


def test_json_is_the_four_numbers_and_nothing_else(run: Run, small: Path) -> None:
    options = ("--episode", 2, "--budget", 7, "--bidder", "constant-cpc", "--cpc", 10)
    code, out, err = run("replay", "--auctions", small, *options, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"impressions": 4, "clicks": 3, "cost": 12, "episodes": 3}
    code, out, _ = run("replay", "--auctions", small, *options, "--bid-cap", 4, "--json")
    assert json.loads(out) == {"impressions": 3, "clicks": 2, "cost": 7, "episodes": 3}


def test_the_table_has_win_rate_cost_per_click_and_spread(run: Run, small: Path) -> None:
    code, out, _ = run(
        "replay", "--auctions", small, "--episode", 2, "--budget", 7, "--bidder", "constant-cpc", "--cpc", 10
    )
    assert code == 0
    for words in ("impressions", "win rate", "80.00%", "cost per click", "4.00", "share of budget spent", "median"):
        assert words in out


def test_paced_learns_from_a_training_log_and_beats_the_best_constant_price(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(50)
    world = draw_world(rng)
    train, test = (draw_log(world, 60_000, rng, test=later) for later in (False, True))
    budget = int(train.price.mean() * 500 / 16)
    options = ("--episode", 500, "--budget", budget, "--json")
    first, second = write(tmp_path / "train.gz", train), write(tmp_path / "test.gz", test)

    def clicks(log: Path, *bidder: object) -> int:
        code, out, err = run("replay", "--auctions", log, *options, *bidder)
        assert code == 0, err
        result = json.loads(out)
        assert result["cost"] <= budget * result["episodes"]
        return int(result["clicks"])

    cpcs = np.geomspace(5, 500, 15) / train.pctr.mean()
    best = max(cpcs, key=lambda cpc: clicks(first, "--bidder", "constant-cpc", "--cpc", cpc))
    constant = clicks(second, "--bidder", "constant-cpc", "--cpc", best)
    assert clicks(second, "--bidder", "paced", "--train", first) > constant
    assert clicks(second, "--bidder", "paced") > 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--bidder", "tarot"), "constant-cpc or paced"),
        (("--bidder", "constant-cpc"), "--cpc"),
        (("--bidder", "constant-cpc", "--cpc", "nan"), "cpc"),
        (("--bidder", "constant-cpc", "--cpc", "5", "--train", "x"), "--train"),
        (("--cpc", "5"), "--cpc"),
        (("--episode", "0"), "episode"),
        (("--budget", "-1"), "budget"),
        (("--bid-cap", "-1"), "bid-cap"),
        (("--train", "nowhere"), "nowhere"),
        (("--auctions", "nowhere"), "nowhere"),
    ],
)
def test_a_mistake_is_one_line(run: Run, small: Path, options: tuple[str, ...], word: str) -> None:
    one_line(run("replay", "--auctions", small, "--episode", 2, "--budget", 7, *options), word)


def test_a_bad_line_is_named_with_file_and_line(run: Run, small: Path) -> None:
    small.write_text("1 5 0.5\n1 -5 0.5\n")
    answer = run("replay", "--auctions", small, "--episode", 2, "--budget", 7)
    one_line(answer, f"{small}, line 2", "whole number from 0", "'-5'")


def test_plain_simulate_still_wants_its_directory_and_subcommands_do_not(run: Run) -> None:
    one_line(run(), "--out")
    one_line(run("--world", "generated"), "--out")
    code, out, err = run("replay", "--help")
    assert (code, err) == (0, "")
    assert "Example: hiregraph simulate replay" in " ".join(out.split())


def test_an_option_of_simulate_before_a_subcommand_is_refused_instead_of_ignored(run: Run, small: Path) -> None:
    answer = run("--days", 3, "replay", "--auctions", small, "--episode", 2, "--budget", 7)
    one_line(answer, "--days", "replay")
    answer = run("--json", "replay", "--auctions", small, "--episode", 2, "--budget", 7)
    one_line(answer, "--json", "replay")
