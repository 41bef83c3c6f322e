"""Readers share, a writer is alone and is not starved."""

from threading import Event, Thread

from gpu_index.lock import SharedLock


def test_readers_are_inside_together():
    lock, both = SharedLock(), [Event(), Event()]

    def read(number):
        with lock.shared():
            both[number].set()
            assert both[1 - number].wait(5)

    threads = [Thread(target=read, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert both[0].is_set()
    assert both[1].is_set()


def test_a_writer_waits_for_readers_and_later_readers_wait_for_it():
    lock, order = SharedLock(), []
    reading, leave, queued = Event(), Event(), Event()

    def first_reader():
        with lock.shared():
            reading.set()
            leave.wait(5)
            order.append("first reader")

    def writer():
        queued.set()
        with lock.alone():
            order.append("writer")

    def late_reader():
        with lock.shared():
            order.append("late reader")

    threads = [Thread(target=first_reader), Thread(target=writer), Thread(target=late_reader)]
    threads[0].start()
    assert reading.wait(5)
    threads[1].start()
    assert queued.wait(5)
    while not lock._waiting:
        pass
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(5)
    assert order == ["first reader", "writer", "late reader"]


def test_an_error_inside_opens_the_lock_again():
    lock = SharedLock()
    for way in (lock.shared, lock.alone):
        try:
            with way():
                raise KeyError
        except KeyError:
            pass
    with lock.alone():
        pass
