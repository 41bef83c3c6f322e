"""The queue of clicks gives back the earliest, and of two at one moment the smaller item."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.click_queue import pop, push


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=40))
def test_clicks_come_back_in_order_of_moment_then_item(steps: list[int | None]) -> None:
    """A number queues a click at that moment, None takes the first away."""
    heap, moment, size = np.empty(40, np.int64), np.empty(40), 0
    waiting: list[tuple[float, int]] = []
    for item, at in enumerate(steps):
        if at is not None:
            size = push(heap, moment, size, float(at), item)
            waiting.append((float(at), item))
        elif waiting:
            assert (moment[0], heap[0]) == min(waiting)
            waiting.remove(min(waiting))
            size = pop(heap, moment, size)
        assert size == len(waiting)
