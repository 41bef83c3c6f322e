"""The load generator measures what theory says, hides no stall, and speaks HTTP. No wall clock is asserted on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from bench.open_loop import Answer, Arrival, even_times, merged, percentiles, play, poisson_times
from bench.service_load import time_to_normal
from bench.socket_wire import SocketWire, http_request


class OneServer:
    """A wire and a server in simulated time: one request after the other, `seconds` each, at a stand inside stalls."""

    def __init__(self, seconds: float, stall: tuple[float, float] = (np.inf, np.inf), status: int = 200) -> None:
        self._seconds, self._stall, self._status = seconds, stall, status
        self._now = self._free_at = 0.0
        self._coming: list[Answer] = []

    def now(self) -> float:
        return self._now

    def send(self, number: int, payload: bytes) -> None:
        start = max(self._now, self._free_at)
        if self._stall[0] <= start < self._stall[1]:
            start = self._stall[1]
        self._free_at = start + self._seconds
        self._coming.append(Answer(number, self._free_at, self._status, payload))

    def wait(self, until: float) -> list[Answer]:
        if not self._coming or self._coming[0].at > until:
            self._now = max(self._now, until)
            return []
        answer = self._coming.pop(0)
        self._now = max(self._now, answer.at)
        return [answer]


def arrivals(times: np.ndarray, kind: str = "slate") -> list[Arrival]:
    return [Arrival(float(at), kind, kind.encode()) for at in times]


def test_at_low_load_every_latency_is_the_service_time():
    played = play(arrivals(even_times(10, 30)), OneServer(0.02))
    assert np.allclose(played.latency_ms(), 20.0)
    assert played.summary()["offered_per_s"] == pytest.approx(10, rel=0.01)


def test_a_stall_of_one_second_is_seen_by_everybody_who_should_have_been_served_in_it():
    # 2,000 requests in 20 s; the 100 that were due during the stall waited 1,000, 990, ... 10 ms and the queue behind
    played = play(arrivals(even_times(100, 20)), OneServer(0.001, stall=(5.05, 6.05)))
    latency = played.latency_ms()
    assert (latency > 500).sum() == pytest.approx(55, abs=3)  # half of them, and those behind the queue they left
    assert np.percentile(latency, 99) > 700
    assert latency.max() == pytest.approx(1_001, abs=11)
    assert np.median(latency) == pytest.approx(1.0)
    # A closed loop with the same server sends one request into the stall and reports one slow answer in 1,900.
    closed = np.array([1_001.0] + [1.0] * 1_900)
    assert np.percentile(closed, 99) == pytest.approx(1.0)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_mean_wait_is_that_of_an_m_d_1_queue(load):
    service, rng = 0.01, np.random.default_rng([3, int(10 * load)])
    played = play(arrivals(poisson_times(load / service, 600, rng)), OneServer(service))
    waits = played.latency_ms() / 1e3 - service
    expected = load * service / (2 * (1 - load))  # Pollaczek-Khinchine without variance of service
    assert waits.mean() == pytest.approx(expected, rel=0.08)


def test_requests_above_capacity_wait_longer_and_longer_and_none_is_left_out():
    played = play(arrivals(even_times(200, 10)), OneServer(0.01), patience_seconds=30)
    assert len(played.latency_ms()) == 2_000
    assert played.latency_ms()[-1] == pytest.approx(10_000, rel=0.01)


def test_what_has_not_come_within_the_patience_is_an_error():
    played = play(arrivals(even_times(10, 1)), OneServer(0.01, stall=(0.5, 1e9)), patience_seconds=2)
    found = played.summary()
    assert found["n"] + found["errors"] == 10
    assert found["errors"] == 5
    assert found["statuses"] == {0: 5, 200: 5}


def test_refusals_are_no_latencies():
    found = play(arrivals(even_times(10, 1)), OneServer(0.01, status=503)).summary()
    assert (found["n"], found["errors"], found["statuses"]) == (0, 10, {503: 10})
    assert np.isnan(found["p50"])


def test_streams_are_merged_by_time_and_counted_apart():
    both = merged(arrivals(even_times(10, 1), "slate"), arrivals(even_times(4, 1), "events"))
    assert [arrival.at for arrival in both] == sorted(arrival.at for arrival in both)
    played = play(both, OneServer(0.001), keep=lambda kind: kind == "events")
    assert played.summary("events")["n"] == 4
    assert set(played.bodies.values()) == {b"events"}


def test_poisson_times_have_the_rate_and_the_spread_of_a_poisson_stream():
    counts = np.histogram(poisson_times(50, 400, np.random.default_rng(8)), np.arange(401))[0]
    assert counts.mean() == pytest.approx(50, rel=0.03)
    assert counts.var() == pytest.approx(50, rel=0.25)


def test_percentiles_of_a_ladder():
    expected = {"n": 1001, "p50": 500.0, "p99": 990.0, "p999": 999.0, "max": 1000.0}
    assert percentiles(np.arange(1001.0)) == pytest.approx(expected)


def test_normal_again_is_the_first_second_after_which_nothing_is_late():
    # 2 s of overload that leave 3 s of work behind: requests of seconds 0, 1, 2 after it are late, from 3 on none
    played = play(arrivals(even_times(10, 10)), OneServer(0.001, stall=(0.05, 4.95)))
    assert time_to_normal(played, 2.0, 50.0) == 3.0
    assert time_to_normal(played, 6.0, 50.0) == 0.0
    assert time_to_normal(played, 2.0, 0.5) is None


@contextmanager
def listening(talk: Callable[[socket.socket], None], connections: int = 1) -> Iterator[int]:
    """A server that talks as it is told to, one connection after the other; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(connections):
                accepted, _ = server.accept()
                with accepted:
                    talk(accepted)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def asked(port: int, bodies: list[bytes]) -> tuple[list[int], dict[int, bytes]]:
    wire = SocketWire("127.0.0.1", port, connections=1)
    sent = [Arrival(0.0, "post", http_request("POST", "/x", "key", body)) for body in bodies]
    try:
        played = play(sent, wire, patience_seconds=20, keep=lambda kind: True)
    finally:
        wire.close()
    return played.status.tolist(), played.bodies


def test_answers_in_pieces_over_one_connection_are_put_together():
    def talk(connection: socket.socket) -> None:
        for _ in range(3):
            body = read_request(connection)
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            for at in range(0, len(answer), 7):
                connection.sendall(answer[at : at + 7])

    with listening(talk) as port:
        status, bodies = asked(port, [b"first", b"2" * 300_000, b"third"])
    assert status == [200, 200, 200]
    assert bodies == {0: b"first", 1: b"2" * 300_000, 2: b"third"}


def test_a_connection_closed_while_idle_is_replaced_and_one_that_breaks_is_an_error():
    talked = iter((1, 1, 0))

    def talk(connection: socket.socket) -> None:
        for _ in range(next(talked)):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with listening(talk, connections=3) as port:
        status, _ = asked(port, [b"one", b"two", b"three"])
    assert status == [503, 503, 0]


def test_nobody_listening_is_an_error_not_an_exception():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert asked(port, [b"one"])[0] == [0]
