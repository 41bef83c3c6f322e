"""The service under load: slates, batches of events, both together, and three times more than it can take.

    make bench-service_load                                       about five minutes, most of it starting the server
    .venv/bin/python -m bench.service_load --seconds 100 --rounds 3 --overload-seconds 120    as long as the goals say

A real server (`hiregraph serve`, one process, SQLite on disk with synchronous=FULL) on fitted artefacts, 100,000 jobs,
1 % of them promoted. Every latency counts from the intended time of sending, on the same machine as the generator, at
Poisson times. Rounds go through the loads in turn; shown is the median of the rounds. The first requests (they compile)
and a warm-up are left out. A server that does nothing says what the generator itself adds.

The overload: rates rise until fewer requests than offered are answered with 200 within a second; peak is the most that
was. Then three times the peak, then half of it; normal again is the first second from which on every request is
answered with 200 within twice the p99 that half the peak had before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench import service_world as world_of
from bench.open_loop import Arrival, Played, even_times, merged, percentiles, play, poisson_times
from bench.service_process import Server, null_command, serve_command
from bench.service_world import ServiceWorld, build_world
from hiregraph.settings import load_settings
from market.errors import ConfigError

GOOD_MS = 1_000.0  # an answer that comes later is of no use to a page
REFUSAL_MS = 50.0
OUT = Path("out/bench")
GOALS = {"slates": "15 / 60", "events": "15 / 80", "clicks only": "15 / 80", "slates in the mix": "23 / 90",
         "events in the mix": "23 / 120"}  # fmt: skip
REFUSALS = (429, 503)

Payloads = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True)
class Plan:
    """How much of everything. seconds: of a load in one round; click_seconds: of the load of clicks alone."""

    jobs: int = 100_000
    rounds: int = 3
    seconds: float = 12.0
    click_seconds: float = 4.0
    warm_up_seconds: float = 6.0
    slate_rate: float = 100.0
    batch_rate: float = 50.0
    batch: int = 100
    ramp: tuple[int, ...] = (5, 10, 25, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500)
    ramp_seconds: float = 4.0
    overload: float = 3.0
    overload_seconds: float = 20.0
    recovery_seconds: float = 15.0


def run(
    data: Path | None, plan: Plan = Plan(), artefacts: Path | None = None, sampled: Path | None = None
) -> dict[str, Any]:
    """sampled: also write where the server's threads are, every 5 ms, to this file; it slows the server down."""
    OUT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="service-load-", dir=OUT))
    try:
        world = build_world(folder, plan.jobs, data, artefacts)
        spent = (plan.click_seconds * plan.rounds + 2) * plan.batch_rate * plan.batch
        rng = np.random.default_rng(world_of.SEED)
        fsync = _fsync_ms(folder)
        with Server(serve_command(world.url, world.artefacts, sampled), OUT / "service_load.log") as server:
            # Tokens live for half an hour, so they are made when the server is up.
            load = _Load(server, world, plan, rng, world_of.mint_tokens(world, int(spent)))
            first = load.warm_up()
            rows = load.rounds()
            memory = {"resident_mib": server.resident_mib()}
            overload = load.overloaded()
            memory["resident_mib_after_overload"] = server.resident_mib()
        return {
            "plan": vars(plan),
            "machine": _machine(),
            "fsync_ms": fsync,
            "ready_seconds": server.ready_seconds,
            "first_slate_seconds": first,
            "null_server": _null_rows(world, plan, rng),
            "rows": rows,
            "memory": memory,
            "overload": overload,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(result: dict[str, Any]) -> list[list[str]]:
    head = ["load, ms from the intended send", "a second", "n", "p50", "p99", "p99.9", "max", "errors", "cpu", "goal"]
    lines = []
    for name, row in (result["null_server"] | result["rows"]).items():
        times = [f"{row[part]:.1f}" for part in ("p50", "p99", "p999", "max")]
        errors = f"{row['errors']}" + (f" of {row['sent']}" if row["errors"] else "")
        lines.append(
            [name, f"{row['offered_per_s']:.0f}", str(row["n"]), *times, errors, f"{row['cpu_ms']:.1f}",
             GOALS.get(name, "")]
        )  # fmt: skip
    over = result["overload"]
    blank = [""] * (len(head) - 2)
    lines += [
        [f"peak of slates: {over['peak_per_s']:.0f}/s answered in time", f"{over['peak_offered_per_s']:.0f}", *blank],
        [f"overload: {over['good_per_s']:.0f}/s in time, {over['good_share_of_peak']:.0%} of peak",
         f"{over['offered_per_s']:.0f}", *blank[:-1], ">= 80 %"],
        [f"  refused {over['refused_share']:.0%}, {over['refused_in_time_share']:.1%} of them within 50 ms; other "
         f"{over['neither']}", "", str(over["refusal"]["n"]), f"{over['refusal']['p50']:.1f}",
         f"{over['refusal']['p99']:.1f}", f"{over['refusal']['p999']:.1f}", f"{over['refusal']['max']:.1f}", "", "",
         "50 ms"],
        [f"  normal again after {_seconds(over['normal_after_seconds'])}", f"{over['half_peak_per_s']:.0f}",
         *blank[:-1], "10 s"],
    ]  # fmt: skip
    return [head, *lines]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"


@dataclass
class _Load:
    """One running server and what is sent to it."""

    server: Server
    world: ServiceWorld
    plan: Plan
    rng: np.random.Generator
    minted: list[tuple[str, str]]

    def warm_up(self) -> float:
        """Seconds of the very first slate; then a calm mix, nothing of which counts."""
        began = time.perf_counter()
        self._play(self._slates(np.zeros(1)), patience=600.0)
        first = time.perf_counter() - began
        calm = self.plan.warm_up_seconds
        self._play(merged(self._slates(even_times(10, calm)), self._events(even_times(5, calm))), patience=60.0)
        return first

    def rounds(self) -> dict[str, Any]:
        seconds, found = self.plan.seconds, []
        for turn in range(self.plan.rounds):
            loads: dict[str, Callable[[], list[Arrival]]] = {
                "slates": lambda: self._slates(self._times(self.plan.slate_rate, seconds)),
                "events": lambda: self._events(self._times(self.plan.batch_rate, seconds)),
                "clicks only": lambda: self._clicks(self._times(self.plan.batch_rate, self.plan.click_seconds)),
                "mix": lambda: self._mix(seconds),
            }
            names = list(loads)
            rows: dict[str, Any] = {}
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                arrivals = loads[name]()
                before = self.server.cpu_seconds()
                played = self._play(arrivals)
                cpu = 1e3 * (self.server.cpu_seconds() - before) / len(arrivals)
                for kind in dict.fromkeys(arrival.kind for arrival in arrivals):
                    called = name if name != "mix" else f"{kind} in the mix"
                    rows[called] = {**played.summary(kind), "cpu_ms": cpu, **_contents(played, kind)}
                    rows[called]["sent"] = int((played.kind == kind).sum())
            found.append(rows)
        return {name: _median([rows[name] for rows in found]) for name in found[0]}

    def overloaded(self) -> dict[str, Any]:
        plan, ramp = self.plan, []
        for rate in plan.ramp:
            good = self._good_rate(self._play(self._slates(self._times(rate, plan.ramp_seconds)), patience=5.0))
            ramp.append((rate, good))
            if good < 0.7 * rate:
                break
            time.sleep(0.5)
        offered, peak = max(ramp, key=lambda step: step[1])
        if not peak:
            raise ConfigError(f"not even {plan.ramp[0]} slates a second were answered in time; is the machine busy?")
        half = self._play(self._slates(self._times(peak / 2, plan.recovery_seconds)))
        normal_ms = 2 * max(15.0, float(np.percentile(_or_nan(half.latency_ms()), 99)))
        rate = plan.overload * peak
        flood = self._slates(self._times(rate, plan.overload_seconds))
        after = self._slates(plan.overload_seconds + self._times(peak / 2, plan.recovery_seconds), kind="after")
        played = self._play(merged(flood, after), patience=30.0)
        inside = played.kind == "slates"
        good = (played.status == 200) & (1e3 * (played.done - played.due) <= GOOD_MS)
        refused = np.isin(played.status, REFUSALS)
        refusals = played.latency_ms("slates", REFUSALS)
        good_rate = int((good & inside).sum()) / plan.overload_seconds
        return {
            "ramp": ramp,
            "peak_per_s": peak,
            "peak_offered_per_s": offered,
            "half_peak_per_s": peak / 2,
            "half_peak": half.summary(),
            "offered_per_s": rate,
            "good_per_s": good_rate,
            "good_share_of_peak": good_rate / peak if peak else np.nan,
            "refused_share": int((refused & inside).sum()) / max(1, int(inside.sum())),
            "refused_in_time_share": float((refusals <= REFUSAL_MS).mean()) if len(refusals) else np.nan,
            "neither": int((inside & ~good & ~refused).sum()),
            "refusal": percentiles(refusals),
            "answered": percentiles(played.latency_ms("slates")),
            "contents": _contents(played, "slates"),
            "statuses": {str(status): many for status, many in Counter(played.status[inside].tolist()).items()},
            "sent_late_ms_p99": float(np.nanpercentile(1e3 * (played.sent - played.due), 99)),
            "normal_ms": normal_ms,
            "normal_after_seconds": time_to_normal(played, plan.overload_seconds, normal_ms),
        }

    def _play(self, arrivals: Sequence[Arrival], patience: float = 10.0) -> Played:
        wire = self.server.wire()
        try:
            return play(arrivals, wire, patience, keep=lambda kind: True)
        finally:
            wire.close()

    def _times(self, rate: float, seconds: float) -> np.ndarray:
        return poisson_times(rate, seconds, self.rng)

    def _slates(self, times: np.ndarray, kind: str = "slates") -> list[Arrival]:
        payloads = world_of.slate_requests(self.world, len(times), self.rng)
        return [Arrival(at, kind, payload) for at, payload in zip(times.tolist(), payloads, strict=True)]

    def _events(self, times: np.ndarray) -> list[Arrival]:
        """Promoted events bear tokens that are taken in turn, so that some clicks are repeated ones."""
        events = world_of.mixed_events(self.world, self.minted[-5_000:], len(times) * self.plan.batch, self.rng)
        return self._batches(times, events, "events")

    def _clicks(self, times: np.ndarray) -> list[Arrival]:
        count = len(times) * self.plan.batch
        events = world_of.clicks(self.minted[:count], self.rng)
        del self.minted[:count]
        return self._batches(times[: -(-len(events) // self.plan.batch)], events, "clicks only")

    def _batches(self, times: np.ndarray, events: list[dict[str, Any]], kind: str) -> list[Arrival]:
        size = self.plan.batch
        return [
            Arrival(at, kind, world_of.event_batch(self.world, events[n * size : (n + 1) * size]))
            for n, at in enumerate(times.tolist())
        ]

    def _mix(self, seconds: float) -> list[Arrival]:
        """80 slates, 20 batches of events and 5 new jobs a second."""
        at = self._times(5, seconds)
        jobs = world_of.job_batches(self.world, len(at), self.rng)
        return merged(
            self._slates(self._times(80, seconds)),
            self._events(self._times(20, seconds)),
            [Arrival(moment, "new jobs", payload) for moment, payload in zip(at.tolist(), jobs, strict=True)],
        )

    def _good_rate(self, played: Played) -> float:
        span = float(played.due[-1]) if len(played.due) else np.nan
        return int((played.latency_ms() <= GOOD_MS).sum()) / span


def time_to_normal(played: Played, end_seconds: float, normal_ms: float) -> float | None:
    """Whole seconds after `end_seconds` from which on every request was answered with 200 within normal_ms.

    One request in a hundred may be later: normal_ms itself stems from a p99. None: never.
    """
    after = played.due >= end_seconds
    second = np.floor(played.due[after] - end_seconds).astype(int)
    fine = (played.status[after] == 200) & (1e3 * (played.done - played.due)[after] <= normal_ms)
    for start in range(int(second.max(initial=-1)) + 1):
        if fine[second >= start].mean() >= 0.99 and fine[second == start].all():
            return float(start)
    return None


def _contents(played: Played, kind: str) -> dict[str, Any]:
    """What the answers held: of slates the share with promoted items, of events and jobs items by status."""
    chosen = [played.bodies[n] for n in np.flatnonzero((played.kind == kind) & (played.status == 200)).tolist()]
    answers = [json.loads(body)["items"] for body in chosen]
    if kind == "slates":
        promoted = [sum(item["kind"] == "promoted" for item in items) for items in answers]
        return {
            "items": float(np.mean([len(items) for items in answers])) if answers else np.nan,
            "promoted": float(np.mean(promoted)) if answers else np.nan,
            "with_promoted_share": float(np.mean([many > 0 for many in promoted])) if answers else np.nan,
        }
    return {"items_by_status": dict(Counter(_what(item) for items in answers for item in items))}


def _what(item: dict[str, Any]) -> str:
    billed = "" if "billed" not in item else " billed" if item["billed"]["amount_micros"] else " billed 0"
    return " ".join(part for part in (item["status"], item.get("code", "")) if part) + billed


def _median(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the percentiles and rates, the largest maximum, sums of the counts; the rounds themselves beside."""
    middle = {
        name: float(np.median([each[name] for each in rounds]))
        for name in ("p50", "p99", "p999", "offered_per_s", "late_ms_p99", "cpu_ms")
    }
    total = {name: sum(each[name] for each in rounds) for name in ("n", "errors", "sent")}
    return {**middle, **total, "max": max(each["max"] for each in rounds), "rounds": list(rounds)}


def _null_rows(world: ServiceWorld, plan: Plan, rng: np.random.Generator) -> dict[str, Any]:
    """The same bytes at the same rates to a server that does nothing: what generator and sockets add by themselves."""
    found = {}
    slates = list(world_of.slate_requests(world, 200, rng))
    events = world_of.event_batch(world, world_of.mixed_events(world, [("t" * 400, "s")], plan.batch, rng))
    with Server(null_command(6_000), OUT / "service_load.log", "/") as server:
        for name, rate, payloads in (
            ("slates, null server", plan.slate_rate, slates),
            ("events, null server", plan.batch_rate, [events]),
            ("3x400 slates, null server", 1_200.0, slates),
        ):
            times = poisson_times(rate, min(plan.seconds, 5.0), rng)
            arrivals = [Arrival(at, "null", payloads[n % len(payloads)]) for n, at in enumerate(times.tolist())]
            wire, cpu, own = server.wire(), server.cpu_seconds(), time.process_time()
            played = play(arrivals, wire)
            wire.close()
            found[name] = {
                **played.summary(),
                "sent": len(arrivals),
                "cpu_ms": 1e3 * (server.cpu_seconds() - cpu) / len(arrivals),
                "generator_cpu_ms": 1e3 * (time.process_time() - own) / len(arrivals),
            }
    return found


def _fsync_ms(folder: Path) -> dict[str, float]:
    """p50 and p99 of appending 4 KB and fdatasync where the database lies: what durability costs on this disk."""
    took = []
    with (folder / "fsync").open("wb") as stream:
        for _ in range(200):
            began = time.perf_counter()
            stream.write(b"0" * 4_096)
            stream.flush()
            os.fdatasync(stream.fileno())
            took.append(1e3 * (time.perf_counter() - began))
    return {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))}


def _machine() -> dict[str, Any]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _or_nan(values: np.ndarray) -> np.ndarray:
    return values if len(values) else np.array([np.nan])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artefacts", type=Path, help="use these instead of fitting some")
    parser.add_argument("--sampled", type=Path, help="write where the server's threads are to this file")
    for each in fields(Plan):
        if isinstance(each.default, (int, float)):
            parser.add_argument(f"--{each.name.replace('_', '-')}", type=type(each.default), default=each.default)
    given = vars(parser.parse_args(arguments))
    artefacts, sampled = given.pop("artefacts"), given.pop("sampled")
    result = run(load_settings().data, Plan(**given), artefacts, sampled)
    (OUT / "service_load.json").write_text(json.dumps(result, indent=1, default=float) + "\n")
    console = Console(width=160)
    for line in show(result):
        console.print("  ".join(cell.ljust(58) if n == 0 else cell.rjust(9) for n, cell in enumerate(line)))
    console.print_json(json.dumps({name: result[name] for name in ("machine", "fsync_ms", "ready_seconds",
                                                                   "first_slate_seconds", "memory")}))  # fmt: skip


if __name__ == "__main__":
    main()
