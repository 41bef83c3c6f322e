"""The commands `text fit` and `text distill`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from hiregraph.settings import load_settings
from market.errors import UserError
from market.text import TextEncoder
from organic.language.concepts import names_of, read_esco, read_onet
from organic.language.student import StudentConfig, fit_student

ERR = Console(stderr=True)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DataOption = Annotated[Path | None, typer.Option(help="Data directory with esco/ and onet/; default: HIREGRAPH_DATA.")]


def fit(
    out: Annotated[Path, typer.Option(help="Folder for the encoder, readable by sentence-transformers.")],
    data: DataOption = None,
    base: Annotated[str | None, typer.Option(help="Encoder to start from; default: offline all-MiniLM-L6-v2.")] = None,
    sources: Annotated[str, typer.Option(help="Classifications to learn from, separated by commas.")] = "esco,onet",
    schedule: Annotated[str, typer.Option(help="How long: short, default or long.")] = "default",
    seed: Annotated[int, typer.Option(help="Same seed, same data, same machine: same encoder.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a sentence encoder on what classifications call an occupation.

    Example: hiregraph text fit --out out/encoder, then hiregraph text rank --model out/encoder ...
    """
    from organic.language.finetune import SCHEDULES, FinetuneConfig, fine_tune  # torch takes seconds to load

    if schedule not in SCHEDULES:
        raise UserError(f"--schedule is {schedule!r}, expected one of {', '.join(SCHEDULES)}")
    names = tuple(name.strip() for name in sources.split(",") if name.strip())
    config = FinetuneConfig(sources=names, schedule=SCHEDULES[schedule])
    folder = _data(data)
    bar = Progress(*Progress.get_default_columns(), TextColumn("loss {task.fields[loss]}"), console=ERR)
    task = bar.add_task("pairs of names", total=None, loss="-")

    def step(done: int, total: int, loss: float) -> None:
        bar.start()  # only now: what can be wrong with the arguments and the data has been found by then
        bar.update(task, completed=done, total=total, loss=f"{loss:.3f}")

    try:
        report = fine_tune(TextEncoder(base).folder, folder, out, config, seed, step)
    finally:
        if bar.live.is_started:
            bar.stop()
    if as_json:
        typer.echo(json.dumps({"model": str(out), **report}))
        return
    typer.echo(f"{out}: {report['pairs']} pairs in {report['train_seconds']} s; titles kept from training find")
    for scheme, found in report["held_out"].items():
        typer.echo(
            f"  {scheme}: MRR {found['mrr']:.3f}, in the first ten {found['recall@10']:.3f}; "
            f"as in postings {found['noisy_mrr']:.3f}, {found['noisy_recall@10']:.3f} (n = {found['n']})"
        )


def distill(
    out: Annotated[Path, typer.Option(help="Folder for the student.")],
    teacher: Annotated[str | None, typer.Option(help="Encoder to imitate; default: offline all-MiniLM-L6-v2.")] = None,
    data: DataOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that remembers vectors between runs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a static student of an encoder for request time, on the names and descriptions of occupations.

    Example: hiregraph text distill --teacher out/encoder --out out/student
    """
    folder = _data(data)
    began = time.perf_counter()
    encoder = TextEncoder(teacher, cache_dir=cache)
    texts = names_of([*read_esco(folder / "esco"), *read_onet(folder / "onet")])
    with Progress(console=ERR) as bar:
        task = bar.add_task("encoding names by the teacher", total=None)
        student, metrics = fit_student(
            texts, encoder, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    student.save(out, StudentConfig(), {"teacher": encoder.identity}, metrics)
    report = {"model": str(out), **metrics, "seconds": round(time.perf_counter() - began, 1)}
    if as_json:
        typer.echo(json.dumps(report))
    else:
        typer.echo(
            f"{out}: {metrics['pieces']} pieces; cosine to the teacher {metrics['cosine']:.3f} on held out texts"
        )


def _data(given: Path | None) -> Path:
    folder = given or load_settings().data
    if folder is None:
        raise UserError("no data directory; give --data DIR, or set HIREGRAPH_DATA")
    return folder
