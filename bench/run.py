"""Runs every table, prints it, writes out/bench/NAME.json."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import graph, index, plan
from hiregraph.settings import load_settings

OUT = Path("out/bench")
TABLES = {"graph": graph, "plan": plan, "index": index}


def run_all(gpu: bool) -> None:
    """All CPU tables, or the CUDA part."""
    console = Console(width=120)
    if gpu:
        console.print("CUDA: not measured; the CUDA engine is not built yet")
        return
    folder = load_settings().data
    data = folder if folder is not None and (folder / "nlsy79_careers").is_dir() else None
    OUT.mkdir(parents=True, exist_ok=True)
    for name, module in TABLES.items():
        result = module.run(data)
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=1, default=float) + "\n")
        head, *rows = module.show(result)
        table = Table(title=f"{name}: {(module.__doc__ or '').splitlines()[0]}", title_justify="left")
        for column in head:
            table.add_column(column, justify="left" if column == head[0] else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
