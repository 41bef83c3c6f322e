"""Work that goes on beside the requests: reserves let go of, buffers written down, old answers forgotten.

One thread per process runs each task when it is due. A task that fails is logged and tried again at its next turn;
it never stops the others. `stop` runs every task once more, so that what is buffered is not lost on a restart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Task:
    """What to call every `seconds`; every worker process does, so it has to be safe beside itself."""

    name: str
    seconds: float
    work: Callable[[], object]


class Housekeeping:
    """Tasks in one background thread; without `start` nothing runs by itself (tests call `run_due`)."""

    def __init__(
        self,
        tasks: tuple[Task, ...],
        monotonic: Callable[[], float] = time.monotonic,
        failed: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.tasks, self._monotonic, self._failed = tasks, monotonic, failed
        self._due = {task.name: monotonic() + task.seconds for task in tasks}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self.tasks:
            self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread, then run every task a last time."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for task in self.tasks:
            self._try(task)

    def run_first(self, name: str) -> None:
        """Run a task ahead of its turn, where there is one of that name."""
        for task in self.tasks:
            if task.name == name:
                self._try(task)

    def run_due(self) -> None:
        for task in self.tasks:
            if self._monotonic() >= self._due[task.name]:
                self._try(task)
                self._due[task.name] = self._monotonic() + task.seconds

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.run_due()
            ahead = min(self._due.values()) - self._monotonic()
            self._stopping.wait(max(0.01, ahead))

    def _try(self, task: Task) -> None:
        try:
            task.work()
        except Exception as error:
            self._failed(task.name)
            log.warning("housekeeping failed", task=task.name, error=type(error).__name__)
