"""The command `organic recommend`: jobs of a file for one seeker, by a trained model, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from market.artefacts import MANIFEST
from market.clock import SystemClock, parse_rfc3339
from market.errors import ArtefactError, DataError, UserError

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import BaseModel

    from market.records import Job
    from organic.question import Answer, Question
    from organic.towers import Towers

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SENTENCE_TRANSFORMERS = "modules.json"  # what only such a folder has
NOTHING_AGAINST_IT = "why not: nothing keeps this job away; where it is missing, others are nearer"

Shape = TypeVar("Shape", bound="BaseModel")


def recommend(
    model: Annotated[Path, typer.Option(help="What `organic fit` or `text fit` wrote.")],
    jobs: Annotated[Path, typer.Option(help="Jobs as in jobs:batch: a JSON list, {'jobs': [...]}, or one a line.")],
    seeker: Annotated[Path, typer.Option(help="JSON object: titles, skills, geo, seniority, activity.")],
    query: Annotated[str | None, typer.Option(help="Words to search for.")] = None,
    k: Annotated[int, typer.Option("--k", help="Jobs wanted, at most 1,000.")] = 20,
    rules: Annotated[Path | None, typer.Option(help="Quality rules, as `organic rules learn` writes them.")] = None,
    now: Annotated[str | None, typer.Option(help="The time to recommend at, RFC 3339; default: the clock.")] = None,
    why_not: Annotated[str | None, typer.Option(help="Say what keeps this job from the seeker.", metavar="ID")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that remembers text vectors between runs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recommend jobs of a file for one seeker, best first, with reasons.

    Example: hiregraph organic recommend --model out/towers --jobs jobs.json --seeker seeker.json --query "night shifts"
    """
    # imported late: torch takes seconds that --help should not
    from gpu_index import Index
    from organic.capped import SPACE
    from organic.quality.build import Context, build_rules, jobs_of
    from organic.quality.config import RuleConfig
    from organic.recommend import Recommender, put_jobs
    from organic.rows import JobBook
    from organic.rules import RULES

    asked = read_question(seeker, query, k)
    offered = read_jobs(jobs)
    at = SystemClock().now() if now is None else _instant(now)
    settings = None if rules is None else RuleConfig.load(rules)
    towers = load_towers(model, cache)
    Console(stderr=True).print(f"  reading {len(offered)} jobs", highlight=False)
    index, book = Index({SPACE: towers.dimension}), JobBook()
    put_jobs(index, book, towers, offered, at)
    in_force = RULES if settings is None else build_rules(settings, Context(lambda: at, jobs_of(book)))
    recommender = Recommender(index, towers, book, rules=in_force)
    answer = recommender.answer(asked, at)
    absent = None if why_not is None else recommender.why_not(asked, why_not, at)
    shown = _document(answer, {job.job_id: job for job in offered})
    if absent is not None:
        shown["why_not"] = [vars(note) for note in absent]
    typer.echo(json.dumps(shown) if as_json else _page(shown))


def read_question(seeker: Path, query: str | None, k: int) -> Question:
    """What is asked, checked as the API checks it; DataError names the field."""
    from targeting.http.schemas import RecommendIn

    content = _json(seeker, _text(seeker))
    if not isinstance(content, dict):
        raise DataError(str(seeker), "no JSON object", 'Expected {"titles": [...], "skills": [...], "geo": ...}')
    body = {"seeker": content, "query": query, "k": k}
    return _read(RecommendIn, body, str(seeker)).question()


def read_jobs(path: Path) -> list[Job]:
    """Jobs in the order of the file; DataError names the job and the field."""
    from targeting.http.schemas import JobIn

    text = _text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # not one document; one a line, perhaps
        found = [_json(path, line, number) for number, line in enumerate(text.splitlines()) if line.strip()]
    if isinstance(found, dict):
        found = found.get("jobs", [found])
    if not isinstance(found, list):
        raise DataError(str(path), "no list of jobs", 'Expected [{...}], {"jobs": [{...}]}, or one job a line')
    return [_read(JobIn, each, f"{path}, job {number}").job() for number, each in enumerate(found)]


def load_towers(model: Path, cache: Path | None) -> Towers:
    """The towers of `organic fit`, or those of a text encoder or its student; ArtefactError where there is none."""
    from market.text import TextEncoder
    from organic.language.student import StaticEncoder, is_student
    from organic.towers import TextTowers

    if (model / SENTENCE_TRANSFORMERS).is_file():
        return TextTowers(TextEncoder(model, cache_dir=cache))
    if is_student(model):
        return TextTowers(StaticEncoder.load(model))
    if not (model / MANIFEST).is_file():
        raise ArtefactError(f"{model} holds no model; give a directory that `organic fit` or `text fit` wrote")
    from organic.learning.model import LearnedTowers

    return LearnedTowers.load(model, TextEncoder(cache_dir=cache))[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise DataError(str(path), "not UTF-8 text", "Convert it to UTF-8") from None


def _json(path: Path, text: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = getattr(error, "msg", type(error).__name__)
        raise DataError(str(path), f"not JSON ({why})", "Check the file with a JSON validator", line) from None


def _read(shape: type[Shape], value: Any, where: str) -> Shape:
    from pydantic import ValidationError

    from targeting.http.problems import said

    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first, *rest = error.errors(include_url=False, include_context=False, include_input=False)
        field = ".".join(str(step) for step in first["loc"]) or "the whole"
        more = f" (and {len(rest)} more)" if rest else ""
        problem = f"{field}: {said(first)}{more}".encode(errors="replace").decode().replace("\n", " ")
        raise DataError(where, problem, "The fields are those of the API") from None


def _instant(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise UserError(f"--now {text}: {error}") from None


def _document(answer: Answer, jobs: dict[str, Job]) -> dict[str, Any]:
    items = [
        {
            "job_id": item.job_id,
            "score": item.score,
            "reasons": item.reasons,
            "title": jobs[item.job_id].title,
            "company": jobs[item.job_id].company,
        }
        for item in answer.items
    ]
    return {"items": items, "notes": [vars(note) for note in answer.notes]}


def _page(shown: dict[str, Any]) -> str:
    """For people: a job a line with its reasons below, then the notes."""
    lines = []
    for number, item in enumerate(shown["items"], start=1):
        lines.append(f"{number:>3}  {item['score']:.3f}  {item['title']} ({item['company']}, {item['job_id']})")
        lines += [f"              {reason}" for reason in item["reasons"]]
    lines += [f"note: {note['detail']}" for note in shown["notes"]]
    if "why_not" in shown:
        lines += [f"why not: {note['detail']}" for note in shown["why_not"]] or [NOTHING_AGAINST_IT]
    return "\n".join(lines)
