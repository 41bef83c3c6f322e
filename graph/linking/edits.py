"""What people change about learned links: veto, boost, add, reset; an overlay that survives every re-fit.

    mined links  --apply(edits)-->  links in use

A model directory keeps its edits beside the links, in `link-edits.jsonl`: a first line that names the format, then one
operation a line, each with its author and time. Lines are only ever appended, under a lock and synced before the
command answers, so that writers at the same time lose nothing and the file is the history. It is no artefact of
`market.artefacts` for that reason: those are replaced as a whole, by a re-fit for example, and edits must outlive that.

Links are named by the content of their sides, so an edit finds its link again after a re-fit. The newest operation on
a link stands. One whose link is not mined any more is dormant: kept, listed, and in force again when the link returns.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from graph.linking.attributes import EDUCATION_BANDS, JOB_KINDS, SEEKER_KINDS
from graph.links import Conjunction, LinkSet, conjunction, link_id
from market.clock import format_rfc3339, parse_rfc3339, utc
from market.errors import ArtefactError, ConfigError, NotFoundError
from market.taxonomy import Taxonomy

FILE, KIND, FORMAT = "link-edits.jsonl", "link-edits", 1
Action = Literal["veto", "boost", "add", "reset"]
ACTIONS = ("veto", "boost", "add", "reset")


@dataclass(frozen=True)
class LinkEdit:
    """One operation of one person on one link, whose sides are kept so that a dormant edit can still be read.

    veto    the link is not used at all
    boost   weight replaces the learned one, or factor multiplies it; exactly one of the two
    add     the link exists with this weight, whether it is mined or not
    reset   back to what was learned: whatever was done to the link before counts no more
    """

    action: Action
    link_id: str
    seeker: Conjunction
    job: Conjunction
    author: str
    at: datetime
    reason: str = ""
    weight: float | None = None
    factor: float | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ConfigError(f"action {self.action!r} is unknown; use veto, boost, add or reset")
        if not self.author.strip():
            raise ConfigError("an edit needs an author; say who decided it")
        if not self.seeker or not self.job or link_id(self.seeker, self.job) != self.link_id:
            raise ConfigError(f"link {self.link_id!r} does not join {self.seeker} with {self.job}; give both sides")
        given = [number for number in (self.weight, self.factor) if number is not None]
        if any(not (math.isfinite(number) and number > 0) for number in given):
            raise ConfigError(
                f"weight or factor is {given[0]}, expected a finite number above 0; veto a link to stop it"
            )
        expected = {"boost": 1, "add": 1}.get(self.action, 0)
        if len(given) != expected or (self.action == "add" and self.weight is None):
            needs = {"boost": "either a weight or a factor", "add": "a weight"}.get(self.action, "no weight")
            raise ConfigError(f"{self.action} takes {needs}; got weight {self.weight} and factor {self.factor}")
        object.__setattr__(self, "at", utc(self.at))

    def to_json(self) -> dict[str, Any]:
        content = {**vars(self), "seeker": list(self.seeker), "job": list(self.job), "at": format_rfc3339(self.at)}
        return {name: value for name, value in content.items() if value not in (None, "")}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LinkEdit:
        sides = {name: tuple(content[name]) for name in ("seeker", "job")}
        return cls(**{**content, **sides, "at": parse_rfc3339(content["at"])})


class Overlay:
    """Operations in the order they were made, and what stands of them. A link that was reset has no standing."""

    def __init__(self, edits: Iterable[LinkEdit]) -> None:
        self.edits = tuple(edits)
        self.standing: dict[str, LinkEdit] = {}
        self._added: dict[str, LinkEdit] = {}  # what a person added stays under a later veto or boost of it
        for edit in self.edits:
            if edit.action == "reset":
                self.standing.pop(edit.link_id, None)
                self._added.pop(edit.link_id, None)
                continue
            self.standing[edit.link_id] = edit
            if edit.action == "add":
                self._added[edit.link_id] = edit

    def __len__(self) -> int:
        return len(self.edits)

    def vetoed(self) -> set[str]:
        return {found for found, edit in self.standing.items() if edit.action == "veto"}

    def only_vetoed(self, links: LinkSet) -> LinkSet:
        """What the vetoes took away from `links` (as mined): those links, mined or added, as they were before."""
        gone = self.vetoed()
        before = Overlay(edit for edit in self.edits if edit.action != "veto" or edit.link_id not in gone).apply(links)
        return before.take([i for i, found in enumerate(before.link_ids) if found in gone])

    def dormant(self, links: LinkSet) -> tuple[LinkEdit, ...]:
        """What stands for links that `links` (as mined) does not hold and nobody added: no effect, not lost."""
        have = links.position.keys() | self._added.keys()
        return tuple(edit for found, edit in self.standing.items() if found not in have)

    def apply(self, links: LinkSet) -> LinkSet:
        """The links in use: without the vetoed, re-weighed, with the added ones (0 hires); best weight first."""
        if not self.standing:
            return links
        mined = links
        fresh = [edit for found, edit in self._added.items() if found not in mined.position]
        ids = (*mined.link_ids, *(edit.link_id for edit in fresh))
        learned = np.concatenate([mined.weight, [float(edit.weight or 0) for edit in fresh]])
        nobody = np.zeros(len(fresh), np.int64)
        everything = replace(
            mined,
            link_ids=ids,
            seeker=(*mined.seeker, *(edit.seeker for edit in fresh)),
            job=(*mined.job, *(edit.job for edit in fresh)),
            weight=np.array([self._weight(found, own) for found, own in zip(ids, learned.tolist(), strict=True)]),
            hires=np.concatenate([mined.hires, nobody]),
            no_hires=np.concatenate([mined.no_hires, nobody]),
        )
        order = np.argsort(-everything.weight, kind="stable")
        vetoed = self.vetoed()
        return everything.take([i for i in order.tolist() if ids[i] not in vetoed])

    def _weight(self, found: str, learned: float) -> float:
        edit, added = self.standing.get(found), self._added.get(found)
        own = learned if added is None or added.weight is None else added.weight
        if edit is None or edit.action != "boost":
            return own
        return edit.weight if edit.weight is not None else own * (edit.factor or 1.0)


def apply(links: LinkSet, edits: Iterable[LinkEdit]) -> LinkSet:
    """The links in use after these operations, oldest first; see `Overlay.apply`."""
    return Overlay(edits).apply(links)


def load_links(folder: Path) -> LinkSet:
    """The links in use of a model directory: mined ones with people's edits on top. What retrieval should read."""
    return Overlay(read_edits(folder)).apply(LinkSet.load(Path(folder) / "links"))


def sides_of(found: str, links: LinkSet, edits: Sequence[LinkEdit]) -> tuple[Conjunction, Conjunction]:
    """Both sides of a link that is mined or was ever edited; NotFoundError for any other id."""
    if found in links.position:
        at = links.position[found]
        return links.seeker[at], links.job[at]
    for edit in edits:
        if edit.link_id == found:
            return edit.seeker, edit.job
    raise NotFoundError(
        f"link {found!r} is neither among the {len(links)} learned links nor edited before; "
        "list them with `hiregraph graph links --model DIR`, edits with `hiregraph graph edit list --model DIR`"
    )


def new_link(
    seeker: Iterable[str], job: Iterable[str], weight: float, author: str, at: datetime, reason: str = ""
) -> LinkEdit:
    """The operation that adds a link of a person's own; `check_sides` says whether it can ever fire."""
    sides = conjunction(seeker), conjunction(job)
    return LinkEdit("add", link_id(*sides), *sides, author, at, reason, weight=weight)


def check_sides(seeker: Iterable[str], job: Iterable[str], taxonomy: Taxonomy) -> None:
    """ConfigError for an attribute that no seeker (no job) can have: another kind, or a value nobody knows."""
    bands = (*(f"<={edge}" for edge in EDUCATION_BANDS), f">{EDUCATION_BANDS[-1]}")
    values = {
        "occupation": taxonomy.codes,
        "past_occupation": taxonomy.codes,
        "section": taxonomy.section_names,
        "major": taxonomy.major_names,
        "education": bands,
    }
    for side, kinds, attributes in (("seeker", SEEKER_KINDS, seeker), ("job", JOB_KINDS, job)):
        for attribute in attributes:
            kind, _, value = attribute.partition("=")
            if kind not in kinds or not value:
                raise ConfigError(f"{side} attribute {attribute!r} is unknown; write KIND=VALUE, {', '.join(kinds)}")
            if kind in values and value not in values[kind]:
                known = f"one of {', '.join(bands)}" if kind == "education" else f"its {kind} of {taxonomy.scheme}"
                raise ConfigError(f"{side} attribute {attribute!r}: {value!r} is unknown; give {known}")


def read_edits(folder: Path) -> tuple[LinkEdit, ...]:
    """The operations of a model directory, oldest first; none without the file.

    A last line without its end was never acknowledged and does not count. ArtefactError names any other damaged line.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return ()
    return _parse(path, _whole_lines(path.read_bytes()))


def append_edit(folder: Path, edit: LinkEdit) -> int:
    """Put an operation on disk before returning; the number of operations now. Writers wait for one another."""
    path = Path(folder) / FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # released when the file is closed, by a kill too
        content = _whole_lines(stream.read())
        before = _parse(path, content)
        stream.truncate(len(content))  # what a killed writer left half done
        head = b"" if content else _line({"kind": KIND, "format": FORMAT})
        stream.write(head + _line(edit.to_json()))
        os.fsync(stream.fileno())
    entry = os.open(path.parent, os.O_RDONLY)  # a new file is only durable with its entry in the folder
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
    return len(before) + 1


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode() + b"\n"


def _parse(path: Path, content: bytes) -> tuple[LinkEdit, ...]:
    head, *lines = content.splitlines() or [b""]
    if not head:
        return ()
    about = _object(path, 1, head)
    if (about.get("kind"), about.get("format")) != (KIND, FORMAT):
        raise ArtefactError(
            f"{path} holds {about.get('kind')!r} of format {about.get('format')}, this version reads {KIND!r} of "
            f"format {FORMAT}; use the version that wrote it, or move the file away and edit again"
        )
    return tuple(_edit(path, number, line) for number, line in enumerate(lines, start=2))


def _edit(path: Path, number: int, line: bytes) -> LinkEdit:
    try:
        return LinkEdit.from_json(_object(path, number, line))
    except (KeyError, TypeError, ConfigError):
        raise _damaged(path, number) from None


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError:
        raise _damaged(path, number) from None
    if not isinstance(content, dict):
        raise _damaged(path, number)
    return content


def _damaged(path: Path, number: int) -> ArtefactError:
    return ArtefactError(f"{path}, line {number} is damaged (not an edit of a link); restore it or take that line out")
