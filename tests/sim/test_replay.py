"""Replay of recorded auctions: exact to the unit against an obvious twin; files read as Python would; paced bidding."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError, DataError
from sim import auction_log
from sim.auction_log import Auctions, parse_line, read_auctions, read_log, read_sample
from sim.replay import Bidder, ConstantCpc, Episodes, PacedByValue, PacedCold, replay
from targeting.pacing.episode import episode_value, highest_worth, learn_landscape, value_at

Line = tuple[int, int, float]
LINES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), st.floats(0, 1)), min_size=1, max_size=60)


def log(lines: list[Line]) -> Auctions:
    click, price, pctr = zip(*lines, strict=True)
    return Auctions(np.array(click, np.int8), np.array(price, np.int64), np.array(pctr, np.float64))


def cut(auctions: Auctions, size: int) -> Iterator[Auctions]:
    for at in range(0, len(auctions), size):
        part = slice(at, at + size)
        yield Auctions(auctions.click[part], auctions.price[part], auctions.pctr[part])


def plain_constant(lines: list[Line], episode: int, budget: int, cpc: float, cap: int | None) -> dict[str, int]:
    """The contract, word for word."""
    result = {"impressions": 0, "clicks": 0, "cost": 0, "episodes": 0}
    remaining = 0
    for number, (click, price, pctr) in enumerate(lines):
        if number % episode == 0:
            remaining = budget
            result["episodes"] += 1
        bid = min(int(pctr * cpc), remaining) if cap is None else min(int(pctr * cpc), cap, remaining)
        if bid >= price:
            result["impressions"] += 1
            result["clicks"] += click
            result["cost"] += price
            remaining -= price
    return result


# ---- money and episodes


@settings(max_examples=200, deadline=None)
@given(
    LINES,
    st.integers(1, 70),
    st.integers(0, 300),
    st.one_of(st.floats(0, 1e3), st.floats(0, 1e300), st.integers(0, 200).map(float)),
    st.one_of(st.none(), st.integers(0, 60)),
    st.integers(1, 70),
)
def test_constant_cpc_is_the_contract_to_the_unit_wherever_blocks_are_cut(
    lines: list[Line], episode: int, budget: int, cpc: float, cap: int | None, size: int
) -> None:
    result = replay(cut(log(lines), size), Episodes(episode, budget, cap), ConstantCpc(cpc))
    assert result.document() == plain_constant(lines, episode, budget, cpc, cap)
    assert result.auctions == len(lines)


def test_a_bid_wins_at_its_own_price_and_pays_the_market() -> None:
    lines = [(1, 5, 0.5), (1, 6, 0.5), (0, 3, 0.5)]  # 10 a click: bids 5
    result = replay([log(lines)], Episodes(3, 100), ConstantCpc(10))
    assert result.document() == {"impressions": 2, "clicks": 1, "cost": 8, "episodes": 1}


def test_a_bid_of_nothing_beats_a_price_of_nothing() -> None:
    for bidder in (ConstantCpc(0.0), PacedCold()):
        assert replay([log([(1, 0, 0.0), (1, 1, 0.0)])], Episodes(2, 0), bidder).impressions == 1


def test_an_auction_dearer_than_what_is_left_is_lost_and_a_cheaper_one_still_won() -> None:
    lines = [(0, 6, 1.0), (1, 5, 1.0), (1, 4, 1.0)]
    result = replay([log(lines)], Episodes(3, 10), ConstantCpc(1000))
    assert result.document() == {"impressions": 2, "clicks": 1, "cost": 10, "episodes": 1}


def test_the_budget_is_renewed_and_a_last_partial_episode_counts_with_all_of_it() -> None:
    result = replay([log([(0, 4, 1.0)] * 5)], Episodes(2, 7), ConstantCpc(1000))
    assert result.by_episode.tolist() == [[1, 0, 4], [1, 0, 4], [1, 0, 4]]


def test_sums_beyond_64_bits_are_exact() -> None:
    most = 10**15
    result = replay([log([(0, most, 1.0)] * 10_000)], Episodes(1, most), ConstantCpc(1e18))
    assert result.cost == 10_000 * most


# ---- what a bidder may know


def bidders(lines: list[Line], episodes: Episodes) -> list[Bidder]:
    recorded = log(lines)
    value = episode_value(learn_landscape(recorded.price, recorded.pctr), episodes.budget, episodes.auctions)
    return [PacedByValue(value), PacedCold()]


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(1, 70), st.integers(0, 300), st.one_of(st.none(), st.integers(0, 60)), st.integers(1, 70))
def test_paced_bidders_never_overspend_and_do_not_depend_on_blocks(
    lines: list[Line], episode: int, budget: int, cap: int | None, size: int
) -> None:
    episodes = Episodes(episode, budget, cap)
    for bidder in bidders(lines, episodes):
        whole = replay([log(lines)], episodes, bidder)
        parts = replay(cut(log(lines), size), episodes, bidder)
        assert whole.by_episode.tolist() == parts.by_episode.tolist()
        assert whole.by_episode[:, 2].max() <= budget
        assert whole.episodes == -(-len(lines) // episode)


def plain_by_value(lines: list[Line], episodes: Episodes, bidder: PacedByValue) -> list[list[int]]:
    """One auction at a time; the row of the table with at most the auctions left after this one."""
    table, full, factor = bidder.value, float(max(1, episodes.budget)), 1.0
    gain = bidder.gain * min(1.0, math.sqrt(episodes.auctions / 1000))
    results: list[list[int]] = []
    for number, (click, price, pctr) in enumerate(lines):
        position = number % episodes.auctions
        if position == 0:
            results.append([0, 0, 0])
            remaining = episodes.budget
        after = episodes.auctions - position - 1
        row = max(at for at, left in enumerate(table.left) if left <= after)
        worth = highest_worth(table.value[row], remaining, full, pctr / factor)
        won = min(worth, episodes.highest) >= price
        expected = value_at(table.spend[row + 1], float(remaining), full)
        factor = min(math.exp(3), max(math.exp(-3), factor * math.exp(gain * (price * won - expected) / full)))
        if won:
            remaining -= price
            results[-1] = [results[-1][0] + 1, results[-1][1] + click, results[-1][2] + price]
    return results


@settings(max_examples=30, deadline=None)
@given(LINES, st.integers(1, 70), st.integers(0, 300), st.one_of(st.none(), st.integers(0, 60)))
def test_pacing_by_value_is_the_formula_one_auction_at_a_time(
    lines: list[Line], episode: int, budget: int, cap: int | None
) -> None:
    episodes = Episodes(episode, budget, cap)
    bidder = bidders(lines, episodes)[0]
    assert isinstance(bidder, PacedByValue)
    assert replay([log(lines)], episodes, bidder).by_episode.tolist() == plain_by_value(lines, episodes, bidder)


def test_clicks_and_prices_of_lost_auctions_change_nothing() -> None:
    rng = np.random.default_rng(0)
    recorded = Auctions((rng.random(3000) < 0.1).astype(np.int8), rng.integers(0, 100, 3000), rng.random(3000) / 50)
    episodes = Episodes(500, 4000)
    value = episode_value(learn_landscape(recorded.price, recorded.pctr), 4000, 500)
    for bidder in (PacedByValue(value), PacedCold()):
        won = replay_wins(recorded, episodes, bidder)
        assert 0 < won.sum() < 3000
        other = Auctions(
            np.where(won, recorded.click, 1 - recorded.click).astype(np.int8),
            np.where(won, recorded.price, 10**9),
            recorded.pctr,
        )
        assert replay_wins(other, episodes, bidder).tolist() == won.tolist()
        flipped = Auctions((1 - recorded.click).astype(np.int8), recorded.price, recorded.pctr)
        assert replay_wins(flipped, episodes, bidder).tolist() == won.tolist()


def replay_wins(auctions: Auctions, episodes: Episodes, bidder: Bidder) -> np.ndarray:
    """bool[n]: which auctions were won; the account is carried from block to block as `replay` does."""
    account, memory = np.array([episodes.auctions, 0]), np.zeros(5)
    won = []
    for one in cut(auctions, 1):
        tally = np.zeros((3, 3), np.int64)
        bidder.bid(episodes, one, account, memory, tally)
        won.append(tally[:, 0].sum() == 1)
    return np.array(won)


# ---- the value of an episode


@cache
def exact(lines: tuple[tuple[int, float], ...], left: int, budget: int) -> float:
    """V by recursion over every auction of a log, each equally likely; no grid, no bins."""
    if left == 0:
        return 0.0
    stay = exact(lines, left - 1, budget)
    gain = [max(0.0, pctr + exact(lines, left - 1, budget - price) - stay) for price, pctr in lines if price <= budget]
    return stay + sum(gain) / len(lines)


def test_the_value_of_an_episode_is_that_of_exhaustive_recursion() -> None:
    rng = np.random.default_rng(2)
    price, pctr = rng.permutation(np.arange(1, 41)), rng.uniform(0, 0.2, 40)
    lines = tuple(zip(price.tolist(), pctr.tolist(), strict=True))
    value = episode_value(learn_landscape(price, pctr), 151, 12)
    for left in range(1, 13):
        for budget in (0, 5, 10, 40, 70, 120, 150):
            # prices are whole: V jumps at whole budgets, where the grid would take the mean of both sides
            here = value_at(value.value[left], budget + 0.5, 151.0)
            assert here == pytest.approx(exact(lines, left, budget), rel=0.01), (left, budget)


def test_money_without_limit_wins_everything_and_none_wins_nothing() -> None:
    price, pctr = np.array([10, 20, 30]), np.array([0.1, 0.2, 0.3])
    rich = episode_value(learn_landscape(price, pctr), 10_000, 20)
    assert rich.value[-1, -1] == pytest.approx(20 * 0.2)
    assert rich.value[:, 0].max() == 0.0


def test_value_rises_with_money_and_time_and_money_is_worth_less_the_more_there_is() -> None:
    rng = np.random.default_rng(1)
    price, pctr = rng.integers(1, 200, 2000), np.exp(rng.normal(-7, 1, 2000))
    value = episode_value(learn_landscape(price, pctr), 5000, 300)
    assert (np.diff(value.value, axis=0) >= -1e-15).all()
    assert (np.diff(value.value, axis=1) >= -1e-15).all()
    row, full = value.value[-2], 5000.0
    bids = [highest_worth(row, budget, full, float(np.median(pctr))) for budget in (500, 1500, 4500)]
    assert bids == sorted(bids)
    bids = [highest_worth(row, 1500, full, each) for each in (0.0, 1e-4, 1e-3, 1e-2, 1.0)]
    assert bids == sorted(bids)
    assert bids[0] == 0
    assert bids[-1] == 1500


def test_the_highest_worth_is_the_last_price_that_pays() -> None:
    price, pctr = np.array([10, 20, 30, 40]), np.array([0.1, 0.2, 0.15, 0.3])
    row = episode_value(learn_landscape(price, pctr), 200, 30).value[-2]
    for worth in (0.01, 0.1, 0.2, 0.4):
        pays = [d for d in range(201) if value_at(row, 200.0, 200.0) - value_at(row, 200.0 - d, 200.0) <= worth]
        assert highest_worth(row, 200, 200.0, worth) == max(pays)


def test_a_value_learned_for_another_budget_is_refused() -> None:
    value = episode_value(learn_landscape(np.array([5]), np.array([0.5])), 10, 4)
    with pytest.raises(ConfigError, match="learned for"):
        replay([log([(0, 5, 0.5)])], Episodes(4, 11), PacedByValue(value))


# ---- files


def test_white_space_gzip_and_a_missing_last_line_end_make_no_difference(tmp_path: Path) -> None:
    plain, packed = tmp_path / "log.txt", tmp_path / "log"
    plain.write_bytes(b"1 12 1.2e-05\n0\t0\t0.5\r\n  0   300  1  \n0 7 .25")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        read = read_log(path)
        assert read.click.tolist() == [1, 0, 0, 0]
        assert read.price.tolist() == [12, 0, 300, 7]
        assert read.pctr.tolist() == [1.2e-05, 0.5, 1.0, 0.25]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**15 - 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_numbers_are_read_as_python_reads_them(tmp_path_factory: pytest.TempPathFactory, lines: list[Line]) -> None:
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_text("".join(f"{click} {price} {pctr!r}\n" for click, price, pctr in lines))
    read = read_log(path)
    assert list(zip(read.click.tolist(), read.price.tolist(), read.pctr.tolist(), strict=True)) == lines


FRAGMENTS = st.sampled_from([b"0", b"1", b"12", b"0.5", b"1e-3", b"+.5", b"-1", b"1.5", b"nan", b"5.", b"e", b"\xff"])
SPACES = st.sampled_from([b" ", b"\t", b"  ", b"\r", b"\n", b"", b"\x0b"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(FRAGMENTS, SPACES), min_size=1, max_size=12), st.integers(1, 40))
def test_the_scan_takes_and_refuses_exactly_what_one_line_at_a_time_does(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bytes, bytes]], block: int
) -> None:
    content = b"1 5 0.5\n" + b"".join(a + b for a, b in parts)
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_bytes(content)
    lines = content.split(b"\n")
    expected: list[Line] | int = []
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1):
        try:
            expected.append(parse_line(line))  # type: ignore[union-attr]
        except ValueError:
            expected = number
            break
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auction_log, "BLOCK_BYTES", block)
        if isinstance(expected, int):
            with pytest.raises(DataError, match=f"line {expected}: expected"):
                read_log(path)
        else:
            read = read_log(path)
            assert list(zip(read.click.tolist(), read.price.tolist(), read.pctr.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 5", "3 fields, click market_price pctr; came 2"),
        ("1 5 0.1 7", "came 4"),
        ("", "came 0"),
        ("2 5 0.1", "click 0 or 1; came '2'"),
        ("1 -5 0.1", "whole number from 0; came '-5'"),
        ("1 5.5 0.1", "came '5.5'"),
        ("1 12.0 0.1", "came '12.0' (write 12)"),
        ("1 1e3 0.1", "came '1e3'"),
        ("1 1234567890123456 0.1", "at most 15 digits"),
        ("1 5 1.5", "from 0 to 1; came '1.5'"),
        ("1 5 -0.1", "came '-0.1'"),
        ("1 5 nan", "came 'nan'"),
        ("1 5 inf", "came 'inf'"),
        ("1 5 0x1", "came '0x1'"),
        ("1 5 1_0", "came '1_0'"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected_and_what_came(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "log.txt"
    path.write_text(f"0 5 0.1\n0 5 0.1\n{line}\n0 5 0.1\n")
    with pytest.raises(DataError) as refused:
        read_log(path)
    assert f"{path}, line 3: expected" in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_long_log_is_thinned_evenly_where_a_sample_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"0 {price} 0.5\n" for price in range(1000)))
    monkeypatch.setattr(auction_log, "BLOCK_BYTES", 700)
    assert read_sample(path, 2000).price.tolist() == list(range(1000))
    assert read_sample(path, 250).price.tolist() == list(range(0, 1000, 4))
    path.write_text(path.read_text() + "0 5\n")
    with pytest.raises(DataError, match="line 1001"):
        read_sample(path, 250)


def test_a_bad_line_far_into_the_file_has_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auction_log, "BLOCK_BYTES", 1000)
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"0 5 0.1\n" * 4321 + b"0 5 7\n"))
    with pytest.raises(DataError, match="line 4322: expected pctr"):
        read_log(path)


def test_files_that_are_no_logs_are_refused(tmp_path: Path) -> None:
    for name, content, words in (
        ("empty", b"", "empty"),
        ("empty.gz", gzip.compress(b""), "empty"),
        ("cut.gz", gzip.compress(b"0 5 0.1\n" * 9999)[:-9], "damaged or cut off"),
        ("bad.gz", b"\x1f\x8bnothing of the kind", "damaged or cut off"),
        ("endless", b"0" * 100_000, "more than 4096 bytes"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=words):
            read_log(tmp_path / name)
    with pytest.raises(DataError, match="a directory"):
        next(read_auctions(tmp_path))
    with pytest.raises(DataError, match="no such file"):
        next(read_auctions(tmp_path / "nowhere"))


# ---- settings


@pytest.mark.parametrize(("auctions", "budget", "cap"), [(0, 1, None), (1, -1, None), (1, 10**16, None), (1, 1, -1)])
def test_impossible_episodes_are_refused(auctions: int, budget: int, cap: int | None) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Episodes(auctions, budget, cap)


@pytest.mark.parametrize("cpc", [-1.0, float("nan"), float("inf")])
def test_a_click_is_worth_a_finite_amount(cpc: float) -> None:
    with pytest.raises(ConfigError, match="cpc"):
        ConstantCpc(cpc)
