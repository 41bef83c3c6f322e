"""Power loss, replayed: what a process wrote is recorded, and the disk is rebuilt as it may be found afterwards.

A kill proves nothing about durability: the kernel keeps what the process wrote. So the child runs under strace, which
records every write, sync, truncation, removal and renaming together with the acknowledgements on stdout. At a crash
point all that was synced is on the disk; of each later write a random part is: all of it, nothing, or a piece cut at a
sector of 512 bytes. Removals and renamings take effect at once, as on a journalling file system.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_TRACED = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2"
_CALL = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+=\s+(-?\d+)")
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$")
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPEN_FILE = re.compile(r"^(\d+)<([^>]*)>")


@dataclass(frozen=True)
class Step:
    """One thing the process did: write, cut or sync a file, remove or rename it, or acknowledge (`data`: a line)."""

    does: str
    file: str = ""
    at: int = 0  # offset of a write, length after a cut
    data: bytes = b""
    to: str = ""


def record(command: Sequence[str], folder: Path, trace: Path, cwd: Path) -> list[Step]:
    """What `command` did to the files of `folder` and said on stdout, in order.

    Raises CalledProcessError when it fails, and ValueError for a kind of write that the replay would not know.
    """
    strace = ["strace", "-f", "-y", "-xx", "-s", str(1 << 20), "-o", str(trace), "-e", f"trace={_TRACED}"]
    subprocess.run([*strace, *command], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    steps = [step for line in _whole_lines(trace) if (step := _step(line, folder)) is not None]
    trace.unlink()
    return steps


@dataclass
class Disk:
    """Files as they are for certain, and what was done to them since without a sync."""

    files: dict[str, bytearray]
    unsynced: dict[str, list[Step]] = field(default_factory=dict)

    def do(self, step: Step) -> None:
        if step.does in ("write", "cut"):
            self.unsynced.setdefault(step.file, []).append(step)
        elif step.does == "sync":
            for each in self.unsynced.pop(step.file, []):
                _apply(self.files, each)
        elif step.does == "remove":
            self.files.pop(step.file, None)
            self.unsynced.pop(step.file, None)
        elif step.does == "rename":
            for where in (self.files, self.unsynced):
                if step.file in where:
                    where[step.to] = where.pop(step.file)  # type: ignore[index]

    def after_power_loss(self, rng: random.Random) -> dict[str, bytes]:
        """The files as somebody may find them: of each step without a sync all, nothing, or some sectors."""
        files = {name: bytearray(content) for name, content in self.files.items()}
        for steps in self.unsynced.values():
            for step in steps:
                fate = rng.random()
                if fate < 0.4:
                    _apply(files, step)
                elif fate < 0.6 and step.does == "write" and len(step.data) > SECTOR:
                    kept = SECTOR * rng.randrange(1, (len(step.data) - 1) // SECTOR + 1)
                    _apply(files, Step("write", step.file, step.at, step.data[:kept]))
        return {name: bytes(content) for name, content in files.items()}


def crashes(
    before: dict[str, bytes], steps: Sequence[Step], points: int, seed: int
) -> Iterator[tuple[list[bytes], dict[str, bytes]]]:
    """(lines acknowledged so far, files found) at `points` random moments, in order of time.

    before: the files when the process started, all of them synced.
    """
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(1, len(steps) + 1) for _ in range(points))
    disk, said, done = Disk({name: bytearray(content) for name, content in before.items()}), [], 0
    for cut in cuts:
        for step in steps[done:cut]:
            if step.does == "say":
                said.append(step.data)
            else:
                disk.do(step)
        done = cut
        yield list(said), disk.after_power_loss(rng)


def _whole_lines(trace: Path) -> Iterator[str]:
    """Lines of the trace; a call that another thread interrupted is put together, at the time it returned."""
    begun: dict[str, str] = {}
    with trace.open() as lines:
        for line in lines:
            if line.endswith("<unfinished ...>\n"):
                begun[line.split(None, 1)[0]] = line.removesuffix("<unfinished ...>\n").rstrip()
            elif (rest := _RESUMED.match(line)) is not None:
                yield begun.pop(rest[1]) + rest[3]
            else:
                yield line


def _step(line: str, folder: Path) -> Step | None:
    call = _CALL.match(line)
    if call is None or int(call[3]) < 0:
        return None
    name, arguments, result = call[1], call[2], int(call[3])
    if name.startswith(("unlink", "rename")):
        paths = [Path(_bytes(each).decode()) for each in _QUOTED.findall(arguments)]
        if any(path.parent != folder for path in paths):
            return None
        return Step("remove" if len(paths) == 1 else "rename", paths[0].name, to=paths[-1].name)
    opened = _OPEN_FILE.match(arguments)
    if opened is None:
        return None
    if opened[1] == "1" and name == "write":
        return Step("say", data=_quoted(arguments)[:result])
    path = Path(_bytes(opened[2]).decode() if opened[2].startswith("\\x") else opened[2])
    if path.parent != folder or path.name.endswith("-shm"):  # the shared index is memory, rebuilt when it is gone
        return None
    if name in ("fsync", "fdatasync"):
        return Step("sync", path.name)
    if name == "ftruncate":
        return Step("cut", path.name, at=int(arguments.rsplit(",", 1)[1]))
    if name == "pwrite64":
        return Step("write", path.name, int(arguments.rsplit(",", 1)[1]), _quoted(arguments)[:result])
    raise ValueError(f"{path.name} was written with {name}, which the replay does not know")


def _apply(files: dict[str, bytearray], step: Step) -> None:
    content = files.setdefault(step.file, bytearray())
    end = step.at + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if step.does == "write":
        content[step.at : end] = step.data
    else:
        del content[step.at :]


def _quoted(arguments: str) -> bytes:
    found = _QUOTED.search(arguments)
    if found is None or '"...' in arguments:
        raise ValueError("the trace holds a write without its data; raise the limit of strace")
    return _bytes(found[1])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
