"""Work that waits at the same moment shares one call, and one bad item spoils nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from targeting.storage.together import Together


def test_alone_it_is_a_plain_call() -> None:
    calls: list[list[int]] = []

    def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        return [2 * item for item in items]

    together = Together(double)
    assert [together(3), together(4)] == [6, 8]
    assert calls == [[3], [4]]


def test_what_waits_while_one_is_at_work_is_done_in_one_call_and_everybody_gets_their_own() -> None:
    started, go_on = threading.Event(), threading.Event()
    calls: list[list[int]] = []

    def double(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        if items[0] == 0:
            started.set()
            assert go_on.wait(30)
        return [2 * item for item in items]

    together, found = Together(double), {}

    def ask(item: int) -> None:
        found[item] = together(item)

    threads = [threading.Thread(target=ask, args=(item,)) for item in range(6)]
    threads[0].start()
    assert started.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(together._queue) < 5:
        threading.Event().wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == {item: 2 * item for item in range(6)}
    assert [sorted(call) for call in calls] == [[0], [1, 2, 3, 4, 5]]


def test_no_call_takes_more_than_it_may() -> None:
    sizes = []
    gate = threading.Event()

    def same(items: Sequence[int]) -> Sequence[int]:
        gate.wait(30)
        sizes.append(len(items))
        return items

    together = Together(same, most=3)
    threads = [threading.Thread(target=together, args=(item,)) for item in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert sum(sizes) == 8
    assert max(sizes) <= 3


def test_a_failure_reaches_only_whoever_asked_for_it() -> None:
    gate = threading.Event()

    def half(items: Sequence[int]) -> list[int]:
        gate.wait(30)
        if any(item % 2 for item in items):
            raise ValueError(f"odd: {list(items)}")
        return [item // 2 for item in items]

    together, found = Together(half), {}

    def ask(item: int) -> None:
        try:
            found[item] = together(item)
        except ValueError:
            found[item] = -1

    threads = [threading.Thread(target=ask, args=(item,)) for item in range(7)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == {0: 0, 1: -1, 2: 1, 3: -1, 4: 2, 5: -1, 6: 3}
    with pytest.raises(ValueError, match="odd"):
        together(9)
