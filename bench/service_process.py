"""`hiregraph serve` as a process of its own, and what it uses; a server that does nothing, for comparison.

python -m bench.service_process null PORT BYTES      answers every request with BYTES bytes
python -m bench.service_process sampled OUT -- ...   `hiregraph serve ...`, where its threads are, every 5 ms
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType

from bench.open_loop import Arrival, play
from bench.socket_wire import SocketWire, http_request

SAMPLE_SECONDS = 0.005
START_SECONDS = 600.0
IDLE = ("/threading.py:", "/selectors.py:", "/queue.py:", "WorkerThread.run")  # a thread there has nothing to do


class Server:
    """A running server; leaving the context stops it. stderr goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path, ready_path: str = "/readyz") -> None:
        self.port = free_port()
        self._command, self._log, self._ready_path = [part.format(port=self.port) for part in command], log, ready_path
        self._process: subprocess.Popen[bytes] | None = None
        self.ready_seconds = float("nan")

    def __enter__(self) -> Server:
        began = time.perf_counter()
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(self._command, stdout=stream, stderr=stream)
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                self.__exit__(None, None, None)
                raise RuntimeError(f"the server did not start; see {self._log}")
            time.sleep(0.05)
        self.ready_seconds = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def wire(self, connections: int = 600) -> SocketWire:
        return SocketWire("127.0.0.1", self.port, connections)

    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        wire = self.wire(1)
        try:
            played = play([Arrival(0, "probe", http_request("GET", self._ready_path))], wire, 2.0)
        finally:
            wire.close()
        return int(played.status[0]) == 200


def serve_command(url: str, artefacts: Path, sampled: Path | None = None) -> list[str]:
    """The command of a real server; {port} is filled in when it starts."""
    given = ["serve", "--port", "{port}", "--db", url, "--artefacts", str(artefacts)]
    if sampled is None:
        return [sys.executable, "-m", "hiregraph", *given]
    return [sys.executable, "-m", "bench.service_process", "sampled", str(sampled), "--", *given]


def null_command(answer_bytes: int) -> list[str]:
    return [sys.executable, "-m", "bench.service_process", "null", "{port}", str(answer_bytes)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Null(asyncio.Protocol):
    """Reads a request to its end and answers at once."""

    def __init__(self, answer: bytes) -> None:
        self._answer, self._received = answer, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = int(bytes(self._received[:head_end]).partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        if len(self._received) >= head_end + 4 + length:
            self._received.clear()
            self._transport.write(self._answer)  # type: ignore[attr-defined]


async def _serve_null(port: int, answer_bytes: int) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {answer_bytes}\r\n\r\n".encode() + b"0" * answer_bytes
    server = await asyncio.get_running_loop().create_server(lambda: _Null(answer), "127.0.0.1", port)
    await server.serve_forever()


class Sampler(threading.Thread):
    """Counts where the threads of this process are; a thread that waits for work is not counted."""

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self._out, self._lines, self._under, self._samples = out, Counter[str](), Counter[str](), 0

    def run(self) -> None:
        saved = time.monotonic()
        while True:
            time.sleep(SAMPLE_SECONDS)
            self._samples += 1
            for thread, frame in sys._current_frames().items():
                if thread != self.ident:
                    self._count(frame)
            if time.monotonic() - saved > 1:
                saved = time.monotonic()
                found = {
                    "samples": self._samples,
                    "at": self._lines.most_common(80),
                    "under": self._under.most_common(200),
                }
                self._out.write_text(json.dumps(found, indent=1))

    def _count(self, frame: FrameType | None) -> None:
        top, seen = True, set()
        while frame is not None:
            name = f"{frame.f_code.co_filename.split('site-packages/')[-1]}:{frame.f_code.co_qualname}"
            if top and any(place in name for place in IDLE):
                return
            if top:
                self._lines[f"{name}:{frame.f_lineno}"] += 1
            top = False
            if name not in seen:
                self._under[name] += 1
                seen.add(name)
            frame = frame.f_back


def main(arguments: Sequence[str]) -> None:
    if arguments[0] == "null":
        asyncio.run(_serve_null(int(arguments[1]), int(arguments[2])))
        return
    from hiregraph.cli import main as hiregraph_main

    sys.argv = ["hiregraph", *arguments[3:]]
    Sampler(Path(arguments[1])).start()
    hiregraph_main()


if __name__ == "__main__":
    main(sys.argv[1:])
