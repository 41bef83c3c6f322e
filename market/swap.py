"""One directory in the place of another, in one step; scratch directories that know whether their writer still lives.

Linux exchanges two names in one step (renameat2 with RENAME_EXCHANGE: ext4, xfs, btrfs, tmpfs, overlayfs and others).
Where the system or the file system can not do that, the old directory is renamed away and the new one renamed in:
between the two a reader finds nothing, and a process killed there leaves the old one under `.NAME.*.old`.

A scratch directory is locked (flock) for as long as its writer lives. The kernel drops the lock with the process, so
what a killed writer left behind can be told from what another one is writing right now, and is removed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}  # no such call, flag or permission to make it


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """An empty directory beside `target`, removed at the end with whatever lies under its name by then."""
    _remove_abandoned(target)
    scratch, descriptor = _created_and_locked(target)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(descriptor)


def swap_in(fresh: Path, target: Path) -> None:
    """Make `fresh` the directory at `target`; what was there before is gone or lies at `fresh` afterwards.

    The change is on the disk when the call returns.
    """
    while True:
        try:
            fresh.rename(target)  # nothing there, or an empty directory
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        try:
            if not exchange(fresh, target):
                _two_renames(fresh, target)
            break
        except FileNotFoundError:  # another writer took the old one away just now
            if not fresh.exists():
                raise
    sync(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False, and nothing done, where the system or the file system can not."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a directory, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _two_renames(fresh: Path, target: Path) -> None:
    old = fresh.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _created_and_locked(target: Path) -> tuple[Path, int]:
    """A new directory, and a descriptor that holds its lock.

    Its name is used once: another writer may be about to remove, by name, what lay under an earlier one.
    """
    while True:
        name = f".{target.name}.{os.getpid()}.{threading.get_ident()}.{secrets.token_hex(4)}.writing"
        scratch = target.parent / name
        scratch.mkdir(parents=True)
        try:
            descriptor = os.open(scratch, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another writer took it for abandoned before it was locked
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if scratch.exists():
            return scratch, descriptor
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    if not target.parent.is_dir():
        return
    for left in target.parent.iterdir():
        if not (left.name.startswith(f".{target.name}.") and left.name.endswith(".writing")):
            continue
        try:
            descriptor = os.open(left, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(descriptor)
