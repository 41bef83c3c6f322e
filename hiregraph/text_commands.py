"""The commands `text rank` and `text evaluate`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from market.errors import UserError
from market.ranking import evaluate_run, read_qrels, read_run, write_run
from market.text import TextEncoder
from organic.language.student import StaticEncoder, is_student
from organic.language.text_rank import NamedTexts, rank_texts, read_named_texts

text_app = typer.Typer(help="Fit text encoders, rank texts by meaning, measure rankings.", no_args_is_help=True)

ERR = Console(stderr=True)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@text_app.command("rank")
def rank(
    queries: Annotated[Path, typer.Option(help="Two-column TSV without header: id, text; possibly gzip.")],
    corpus: Annotated[Path, typer.Option(help="What is ranked, in the same form; an id may repeat.")],
    out: Annotated[Path, typer.Option(help="The TREC run to write; gzip when it ends in .gz.")],
    model: Annotated[
        str | None,
        typer.Option(help="Folder of an encoder or a student, or Hugging Face name; without: all-MiniLM-L6-v2."),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="Documents per query.")] = 1000,
    cache: Annotated[Path | None, typer.Option(help="Folder that remembers vectors between runs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the corpus for every query by exact cosine; an id scores as the best of its texts, ties go by id.

    Example: hiregraph text rank --queries queries.tsv.gz --corpus corpus_elements.tsv.gz --out run.trec
    """
    started = time.perf_counter()
    if k < 1:
        raise UserError(f"--k is {k}, expected at least 1")
    if out.is_dir():
        raise UserError(f"--out {out} is a directory; name a file")
    asked, offered = read_named_texts(queries), read_named_texts(corpus)
    vectors = _encode([*asked.texts, *offered.texts], model, cache)
    split = len(asked.texts)
    rows, scores = rank_texts(asked, vectors[:split], offered, vectors[split:], k)
    _write(out, asked, offered, rows, scores)
    summary = {
        "run": str(out),
        "queries": len(asked),
        "documents": len(offered),
        "texts": len(asked.texts) + len(offered.texts),
        "k": k,
        "seconds": round(time.perf_counter() - started, 3),
    }
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            f"{out}: {summary['queries']} queries x {rows.shape[1]} of {summary['documents']} documents, "
            f"{summary['seconds']} s"
        )


@text_app.command("evaluate")
def evaluate(
    run: Annotated[Path, typer.Option(help="A TREC run: qid Q0 docid rank score tag.")],
    qrels: Annotated[Path, typer.Option(help="Judgements: qid 0 docid grade; possibly gzip.")],
    as_json: JsonOption = False,
) -> None:
    """Measure a run; means over the queries of the qrels, recall@k = relevant in the top k / relevant.

    Example: hiregraph text evaluate --run run.trec --qrels annotations.tsv.gz
    """
    metrics = evaluate_run(read_run(run), read_qrels(qrels))
    if as_json:
        typer.echo(json.dumps(metrics))
    else:
        for name, value in metrics.items():
            typer.echo(f"{name:<10} {value:.4f}" if name != "n" else f"{name:<10} {value:.0f}")


def _encode(texts: list[str], model: str | None, cache: Path | None) -> np.ndarray:
    if model is not None and is_student(Path(model)):
        return StaticEncoder.load(Path(model)).encode(texts)
    encoder = TextEncoder(model, cache_dir=cache)
    with Progress(console=ERR) as bar:
        task = bar.add_task("encoding distinct texts", total=None)
        return encoder.encode(texts, progress=lambda done, total: bar.update(task, completed=done, total=total))


def _write(out: Path, asked: NamedTexts, offered: NamedTexts, rows: np.ndarray, scores: np.ndarray) -> None:
    run = {
        query: dict(zip((offered.ids[row] for row in found), values, strict=True))
        for query, found, values in zip(asked.ids, rows.tolist(), scores.tolist(), strict=True)
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_run(out, run)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; choose a place that can be written") from None
