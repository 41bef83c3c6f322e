"""The commands `graph links` and `graph edit`: what was learned in words, and what people change about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hiregraph.model_folder import JsonOption, ModelOption, part_of
from market.clock import SystemClock
from market.errors import ConfigError

if TYPE_CHECKING:
    from graph.linking.edits import LinkEdit, Overlay
    from graph.links import LinkSet
    from market.taxonomy import Taxonomy

edit_app = typer.Typer(help="Veto, boost, add or reset links; edits survive every re-fit.", no_args_is_help=True)
LinkArgument = Annotated[str, typer.Argument(help="Id of the link, as `graph links` shows it.")]
AuthorOption = Annotated[str, typer.Option(help="Who decides this.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for whoever reads the list.")]
EditedModelOption = Annotated[Path | None, typer.Option(help="What `graph fit` or `demo` wrote.")]
WeightOption = Annotated[float | None, typer.Option(help="The weight it has from now on, above 0.")]


def links(
    model: ModelOption,
    seeker_attribute: Annotated[
        str | None, typer.Option(help="Only this seeker attribute, e.g. occupation or occupation=313.")
    ] = None,
    job_attribute: Annotated[str | None, typer.Option(help="Only this job attribute.")] = None,
    top: Annotated[int, typer.Option(help="How many, best first.")] = 20,
    vetoed: Annotated[bool, typer.Option("--vetoed", help="The vetoed links instead, as they were.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The links in use: which seekers are hired into which jobs, with the hires behind each and who edited it.

    Example: hiregraph graph links --model out/model --seeker-attribute occupation=313 --top 10
    """
    from graph.linking.attributes import JOB_KINDS, SEEKER_KINDS, job_in_words, seeker_in_words

    if top < 1:
        raise ConfigError(f"--top is {top}, expected at least 1")
    _check_kind("--seeker-attribute", seeker_attribute, SEEKER_KINDS)
    _check_kind("--job-attribute", job_attribute, JOB_KINDS)
    mined, overlay, taxonomy = _read(model)
    found = overlay.only_vetoed(mined) if vetoed else overlay.apply(mined)
    chosen = [
        i for i in range(len(found)) if _has(found.seeker[i], seeker_attribute) and _has(found.job[i], job_attribute)
    ][:top]
    rows = []
    for i in chosen:
        edit = overlay.standing.get(found.link_ids[i])
        row = {
            "link_id": found.link_ids[i],
            "seeker": _values(found.seeker[i]),
            "job": _values(found.job[i]),
            "weight": round(float(found.weight[i]), 4),
            "hires": int(found.hires[i]),
            "no_hires": int(found.no_hires[i]),
            "edited_by": edit.author if edit is not None else None,
        }
        rows.append(row)
    if as_json:
        answer = {"links": rows, "of": len(found), "intercept": round(mined.intercept, 4), "source": mined.source}
        typer.echo(json.dumps(answer))
        return
    table = Table(caption=f"{len(chosen)} of {len(found)} links; pairs without hire: {mined.source or 'not recorded'}")
    anybody = any(row["edited_by"] for row in rows)
    for name in ("link", "seeker", "job", "weight", "hires", "no hires", *(["edited"] if anybody else [])):
        justify = "right" if name in ("weight", "hires", "no hires") else "left"
        table.add_column(name, justify=justify, min_width=12 if name == "link" else None)  # ids are there to be copied
    for i, row in zip(chosen, rows, strict=True):
        sides = seeker_in_words(found.seeker[i], taxonomy), job_in_words(found.job[i], taxonomy)
        edit = overlay.standing.get(found.link_ids[i])
        mark = ["" if edit is None else f"{edit.action} by {edit.author}"] if anybody else []
        table.add_row(
            str(row["link_id"]), *sides, f"{row['weight']:.2f}", str(row["hires"]), str(row["no_hires"]), *mark
        )
    Console().print(table)


@edit_app.callback()
def edit_options(context: typer.Context, model: EditedModelOption = None) -> None:
    """Veto, boost, add or reset links; edits survive every re-fit."""
    context.obj = model


@edit_app.command("veto")
def veto(
    context: typer.Context,
    link_id: LinkArgument,
    author: AuthorOption,
    reason: ReasonOption = "",
    model: EditedModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use a link no more: nobody is targeted through it until it is reset.

    Example: hiregraph graph edit veto 7963332f1d38 --model out/model --author anna --reason "not qualified"
    """
    _edit_known(context, model, link_id, as_json, action="veto", author=author, reason=reason)


@edit_app.command("boost")
def boost(
    context: typer.Context,
    link_id: LinkArgument,
    author: AuthorOption,
    weight: WeightOption = None,
    factor: Annotated[float | None, typer.Option(help="Times the learned weight, whatever a re-fit learns.")] = None,
    reason: ReasonOption = "",
    model: EditedModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a link another weight, or a multiple of the learned one.

    Example: hiregraph graph edit boost 7963332f1d38 --factor 2 --model out/model --author anna
    """
    numbers = {"weight": weight, "factor": factor}
    _edit_known(context, model, link_id, as_json, action="boost", author=author, reason=reason, **numbers)


@edit_app.command("reset")
def reset(
    context: typer.Context,
    link_id: LinkArgument,
    author: AuthorOption,
    reason: ReasonOption = "",
    model: EditedModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back to what was learned: earlier edits of the link count no more, an added link is gone.

    Example: hiregraph graph edit reset 7963332f1d38 --model out/model --author anna
    """
    _edit_known(context, model, link_id, as_json, action="reset", author=author, reason=reason)


@edit_app.command("add")
def add(
    context: typer.Context,
    seeker: Annotated[list[str], typer.Option(help="A seeker attribute such as education=<=12; give all of them.")],
    job: Annotated[list[str], typer.Option(help="A job attribute such as occupation=379; give all of them.")],
    author: AuthorOption,
    weight: WeightOption = None,
    reason: ReasonOption = "",
    model: EditedModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a link of your own: seekers with all of these attributes are targeted by jobs with all of those.

    Example: hiregraph graph edit add --model DIR --seeker occupation=313 --job occupation=379 --weight 2 --author anna
    """
    from graph.linking.edits import check_sides, new_link

    if weight is None:
        raise ConfigError("--weight is missing: how much the link counts, beside the weights of `graph links`")
    folder = _folder(context, model)
    _, _, taxonomy = _read(folder)
    check_sides(seeker, job, taxonomy)
    _write(folder, new_link(seeker, job, weight, author, SystemClock().now(), reason), as_json)


@edit_app.command("list")
def list_edits(context: typer.Context, model: EditedModelOption = None, as_json: JsonOption = False) -> None:
    """Every edit with author, time and reason, oldest first, and whether it stands.

    Example: hiregraph graph edit list --model out/model
    """
    from graph.linking.attributes import job_in_words, seeker_in_words

    mined, overlay, taxonomy = _read(_folder(context, model))
    dormant = {edit.link_id for edit in overlay.dormant(mined)}

    def state(edit: LinkEdit) -> str:
        if overlay.standing.get(edit.link_id) is not edit:
            return "superseded" if edit.action != "reset" else "done"
        return "dormant" if edit.link_id in dormant else "in force"

    if as_json:
        edits = [edit.to_json() | {"state": state(edit)} for edit in overlay.edits]
        typer.echo(json.dumps({"edits": edits, "revision": len(overlay)}))
        return
    console = Console(soft_wrap=True, highlight=False)
    for edit in overlay.edits:
        number = f" {edit.weight:g}" if edit.weight is not None else f" x {edit.factor:g}" if edit.factor else ""
        words = f"{seeker_in_words(edit.seeker, taxonomy)} -> {job_in_words(edit.job, taxonomy)}"
        console.print(
            f"{edit.at:%Y-%m-%d %H:%M} {edit.author}: {edit.action}{number} {edit.link_id} ({state(edit)}) {words}"
            + (f". {edit.reason}" if edit.reason else ""),
            markup=False,
        )
    if dormant:
        console.print("dormant: the link is not learned at present; the edit counts again when it is")


def say_kept_edits(folder: Path, mined: LinkSet, note: Callable[[str], None]) -> None:
    """After a re-fit: how many edits of this directory stand on, and how many have no link at present."""
    from graph.linking.edits import Overlay, read_edits

    overlay = Overlay(read_edits(folder))
    if len(overlay):
        note(f"kept {len(overlay)} edits of links; {len(overlay.dormant(mined))} dormant")


def _edit_known(context: typer.Context, model: Path | None, link_id: str, as_json: bool, **fields: Any) -> None:
    from graph.linking.edits import LinkEdit, sides_of

    folder = _folder(context, model)
    mined, overlay, _ = _read(folder)
    seeker, job = sides_of(link_id, mined, overlay.edits)
    _write(folder, LinkEdit(link_id=link_id, seeker=seeker, job=job, at=SystemClock().now(), **fields), as_json)


def _write(folder: Path, edit: LinkEdit, as_json: bool) -> None:
    from graph.linking.edits import append_edit

    revision = append_edit(folder, edit)
    if as_json:
        typer.echo(json.dumps({"edit": edit.to_json(), "revision": revision}))
    else:
        Console().print(f"{edit.action} of link {edit.link_id} by {edit.author}; edit {revision}", highlight=False)


def _folder(context: typer.Context, model: Path | None) -> Path:
    """--model may stand before or behind the name of the edit."""
    folder = model or context.obj
    if folder is None:
        raise ConfigError("--model is missing: the directory that `hiregraph graph fit` wrote")
    return Path(folder)


def _read(folder: Path) -> tuple[LinkSet, Overlay, Taxonomy]:
    from graph.linking.edits import Overlay, read_edits
    from graph.links import LinkSet
    from graph.model import HireModel

    mined = LinkSet.load(part_of(folder, "links"))
    return mined, Overlay(read_edits(folder)), HireModel.load(part_of(folder, "model")).taxonomy


def _check_kind(option: str, wanted: str | None, kinds: tuple[str, ...]) -> None:
    if wanted is not None and wanted.split("=", 1)[0] not in kinds:
        raise ConfigError(f"{option} {wanted!r} is unknown; links speak of {', '.join(kinds)}")


def _has(attributes: tuple[str, ...], wanted: str | None) -> bool:
    return wanted is None or any(wanted in (found, found.split("=", 1)[0]) for found in attributes)


def _values(attributes: tuple[str, ...]) -> dict[str, list[str]]:
    """{"occupation": ["313"], "past_occupation": ["379", "385"]}: every kind with its values."""
    found: dict[str, list[str]] = {}
    for attribute in attributes:
        kind, _, value = attribute.partition("=")
        found.setdefault(kind, []).append(value)
    return found
