"""HTTP/1.1 over persistent connections from one thread, as light as it gets: the generator shares the machine.

A request takes an idle connection, or opens one; with `connections` of them busy it waits in line. Answers have to say
their length. A connection that the server closed while it was idle is replaced and its request sent again, once.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque

from bench.open_loop import Answer

_HEAD_END = b"\r\n\r\n"
_READ = 1 << 18


def http_request(method: str, path: str, key: str | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request with a JSON body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    if body:
        lines.append("Content-Type: application/json")
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection:
    """One socket, and the request on it, if there is one."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.number: int | None = None
        self.payload = b""
        self.unsent = memoryview(b"")
        self.received = bytearray()
        self.answers = 0

    def fileno(self) -> int:
        return self.socket.fileno()


class SocketWire:
    """Implements `bench.open_loop.Wire` on real sockets; fewer than 1,000 connections."""

    def __init__(self, host: str, port: int, connections: int = 600) -> None:
        self._address, self._limit = (host, port), connections
        self._idle: list[_Connection] = []  # the last one used is used first
        self._busy: set[_Connection] = set()
        self._unsent: set[_Connection] = set()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._failed: list[Answer] = []

    def now(self) -> float:
        return time.perf_counter()

    def send(self, number: int, payload: bytes) -> None:
        if self._idle:
            self._start(self._idle.pop(), number, payload)
        elif len(self._busy) < self._limit:
            self._open(number, payload)
        else:
            self._waiting.append((number, payload))

    def wait(self, until: float) -> list[Answer]:
        if self._failed:
            failed, self._failed = self._failed, []
            return failed
        readers = [*self._busy, *self._idle]
        # select, not epoll: its timeout is in microseconds
        readable, writable, _ = select.select(readers, list(self._unsent), [], max(0.0, until - self.now()))
        for connection in writable:
            self._write(connection)
        answers = []
        for connection in readable:
            answer = self._read(connection)
            if answer is not None:
                answers.append(answer)
        while self._waiting and (self._idle or len(self._busy) < self._limit):
            self.send(*self._waiting.popleft())
        return answers

    def close(self) -> None:
        for connection in (*self._busy, *self._idle):
            connection.socket.close()
        self._idle, self._busy, self._unsent = [], set(), set()
        self._waiting.clear()

    def _open(self, number: int, payload: bytes) -> None:
        try:
            self._start(_Connection(self._address), number, payload)
        except OSError:
            self._failed.append(Answer(number, self.now(), 0, b""))

    def _start(self, connection: _Connection, number: int, payload: bytes) -> None:
        connection.number, connection.payload, connection.unsent = number, payload, memoryview(payload)
        self._busy.add(connection)
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the reading side finds it closed
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            self._unsent.add(connection)
        else:
            self._unsent.discard(connection)

    def _read(self, connection: _Connection) -> Answer | None:
        try:
            part = connection.socket.recv(_READ)
        except BlockingIOError:
            return None
        except OSError:
            part = b""
        if not part:
            return self._closed(connection)
        connection.received += part
        head_end = connection.received.find(_HEAD_END)
        if head_end < 0:
            return None
        head = bytes(connection.received[:head_end]).lower()
        length, body_start = _length(head), head_end + len(_HEAD_END)
        if len(connection.received) < body_start + length:
            return None
        number, body = connection.number, bytes(connection.received[body_start : body_start + length])
        assert number is not None, "an answer without a request"
        connection.number, connection.answers = None, connection.answers + 1
        connection.received.clear()
        self._busy.discard(connection)
        if b"\r\nconnection: close" in head:
            self._unsent.discard(connection)
            connection.socket.close()
        else:
            self._idle.append(connection)
        return Answer(number, self.now(), int(head[9:12]), body)

    def _closed(self, connection: _Connection) -> Answer | None:
        connection.socket.close()
        self._unsent.discard(connection)
        if connection.number is None:
            self._idle.remove(connection)
            return None
        self._busy.discard(connection)
        if connection.answers and not connection.received:
            self._open(connection.number, connection.payload)
            return None
        return Answer(connection.number, self.now(), 0, b"")


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0
