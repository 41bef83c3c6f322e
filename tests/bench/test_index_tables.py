"""Every table of the index benchmarks at a few thousand rows: it runs, the index is exact in it, it can be shown."""

import importlib

import pytest

from bench.index_memory import measure as measure_memory
from bench.index_process import TABLES, in_process, main
from bench.index_size import Size
from market.errors import ConfigError

QUICK = Size(rows=4_000, dimensions=(8,), batch=3, k=3, rounds=2, build_threads=1, sizes=(3_000, 4_000))


def recalls(found) -> list[float]:
    """Every figure called recall, of the index or an index of another size, wherever it lies; none of a peer."""
    if isinstance(found, list):
        return [recall for item in found for recall in recalls(item)]
    if isinstance(found, dict):
        below = [recall for name, item in found.items() if "FAISS" not in name for recall in recalls(item)]
        return [found["recall"], *below] if "recall" in found else below
    return []


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_measured_and_shown_and_the_index_is_exact_in_it(table):
    module = importlib.import_module(f"bench.{table}")
    result = module.measure(QUICK)
    head, *rows = module.show(result)
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    assert all(isinstance(cell, str) for row in rows for cell in row)
    assert result["threads"] == 1
    if table == "index_clauses":
        assert {method["right"] for row in result["table"] for method in row["methods"].values()} == {1.0}
    elif table != "index_memory":
        assert set(recalls(result["table"])) == {1.0}


@pytest.mark.parametrize("table", ["index", "index_single", "index_clauses"])
def test_a_table_without_peers_says_not_measured(table):
    module = importlib.import_module(f"bench.{table}")
    small = Size(rows=4_000, dimensions=(8,), batch=2, k=3, rounds=1, methods=("nothing",))
    shown = module.show(module.measure(small))
    assert "not measured" in shown[1]


def test_bf16_rows_are_measured_without_the_peers():
    found = measure_memory(Size(rows=2_000, dimensions=(8,), precision="bf16"))
    assert all("bf16" in row["what"] for row in found["table"])


def test_a_process_of_its_own_runs_on_the_threads_it_was_given():
    small = Size(
        rows=2_000, dimensions=(8,), batch=1, k=1, rounds=1, sizes=(1_000, 2_000), threads=2, methods=("none",)
    )
    assert in_process("index_growth", small)["threads"] == 2


def test_options_are_read_and_checked(capsys):
    main(["index_memory", "--here", "--rows", "500", "--dimensions", "8", "--show"])
    assert "bytes a row" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="rounds is 0"):
        Size(rounds=0)
    with pytest.raises(ConfigError, match="dimensions"):
        Size(dimensions=())
