"""Runs one table of the index benchmarks in a process of its own; its thread counts are set before any import.

    python -m bench.index_process index --rows 100000 --dimensions 64 --methods index,flat,ivf --show

prints the measured JSON, or with --show the table. Without options: the size of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict, fields
from typing import Any

from bench.index_build import warm_up
from bench.index_size import Size

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
TABLES = (
    "index",
    "index_single",
    "index_clauses",
    "index_live",
    "index_tighter",
    "index_memory",
    "index_boosts",
    "index_growth",
)


def in_process(table: str, size: Size | None = None) -> dict[str, Any]:
    """`measure(size)` of bench.TABLE in a fresh process."""
    size = size or Size()
    options = [
        f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in asdict(size).items()
    ]
    variables = [f"{name}={size.threads}" for name in THREAD_VARIABLES]
    command = ["env", *variables, sys.executable, "-m", "bench.index_process", table, "--here", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def set_threads(count: int) -> None:
    """Libraries that keep a number of their own, whatever the environment says."""
    import torch

    torch.set_num_threads(count)
    if importlib.util.find_spec("faiss") is not None:
        import faiss

        faiss.omp_set_num_threads(count)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    for field in fields(Size):
        parser.add_argument(f"--{field.name}", default=field.default, type=_parser(field.default))
    parser.add_argument("--show", action="store_true", help="print the table instead of the JSON")
    parser.add_argument("--here", action="store_true", help="measure in this process: its threads are set already")
    given = vars(parser.parse_args(arguments))
    table, show, here = given.pop("table"), given.pop("show"), given.pop("here")
    size = Size(**given)
    module = importlib.import_module(f"bench.{table}")
    if here:
        set_threads(size.threads)
        warm_up(size)
    result = module.measure(size) if here else in_process(table, size)
    if show:
        print("\n".join(" | ".join(row) for row in module.show(result)))
    else:
        print(json.dumps(result, default=float))


def _parser(default: Any) -> Any:
    if not isinstance(default, tuple):
        return type(default)
    item = type(default[0]) if default else str
    return lambda text: tuple(item(part) for part in text.split(",") if part)


if __name__ == "__main__":
    main()
