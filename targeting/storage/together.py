"""Work that many threads ask for at once, done in one go by whichever of them comes first ("flat combining").

A transaction costs a commit and a dozen statements, however little it moves. While one thread commits, others queue
up; the next one does the work of all who wait, in the order they came. Alone, a thread pays nothing but two locks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result
        self.error: BaseException | None = None
        self.done = False

    def answer(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.result


class Together(Generic[Item, Result]):
    """`together(item)` is `work([item])[0]`, but items that wait at the same moment share one call of `work`.

    work: one result per item, in order. When it fails for several items at once, each is tried by itself, so that one
    bad item does not spoil the others.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], most: int = 64) -> None:
        self._work, self._most = work, most
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._turn = threading.Lock()

    def __call__(self, item: Item) -> Result:
        mine = _Waiting[Item, Result](item)
        self._queue.append(mine)
        with self._turn:
            while not mine.done:
                self._serve([self._queue.popleft() for _ in range(min(self._most, len(self._queue)))])
        return mine.answer()

    def _serve(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = self._work([each.item for each in batch])
        except Exception as error:
            if len(batch) > 1:
                for each in batch:
                    self._serve([each])
                return
            batch[0].error = error
        else:
            for each, result in zip(batch, results, strict=True):
                each.result = result
        for each in batch:
            each.done = True
