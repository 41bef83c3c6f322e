"""World -> logs -> learned -> stage, each reused when nothing it depends on has changed.

A finished stage lies under `cache/KEY`, KEY being the digest of its configuration, its inputs and the program's own
source, so that nothing stale is ever reused and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from graph.model import HireModel
from market.artefacts import MANIFEST, digest_of, digest_of_tree, sha256_of
from market.errors import ConfigError
from market.tables import read_tables, write_tables
from market.text import TextEncoder
from organic.language.student import StudentConfig, fit_student
from sim.behaviour import Behaviour, read_behaviour
from sim.logs import LoggingConfig, write_logs
from sim.stage import Stage, build_stage, inventory_jobs
from sim.world import World, WorldConfig, build_world
from targeting.learned import Learned, LearnedConfig, fit_learned, save_hires
from targeting.placebo import Placebo, as_placebo, fit_placebo, placebo_names

log = structlog.get_logger()
PACKAGES = ("market", "gpu_index", "graph", "organic", "targeting", "sim")
Note = Callable[[str], None]


@dataclass
class StageTimes:
    """Wall seconds and peak memory of each stage, in the order they ran."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    reused: set[str] = field(default_factory=set)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 2)
        self.peak_mib[name] = round(peak_mib(), 0)


@dataclass(frozen=True)
class Prepared:
    """Everything that markets and the service need, and where it lies."""

    stage: Stage
    logs: Path
    learned: Path
    hires: int


def peak_mib() -> float:
    """Peak resident memory of this process, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def source_digest() -> str:
    """Digest of the program's own files: another version never reuses this version's stages."""
    root = Path(__file__).parent.parent
    files = sorted(
        path for name in PACKAGES for path in (root / name).rglob("*.*") if path.suffix in (".py", ".toml", ".csv")
    )
    return digest_of([[str(path.relative_to(root)), sha256_of(path)] for path in files])


def choose_world(world: str | None, data: Path | None) -> tuple[str, Path | None]:
    """careers where its data is at hand, else generated; an explicit choice is kept and checked."""
    have = data is not None and (data / "nlsy79_careers").is_dir()
    kind = world or ("careers" if have else "generated")
    if kind == "careers" and not have:
        raise ConfigError(
            "the careers world needs a data directory with nlsy79_careers, onet and oews_2025; "
            "give --data or HIREGRAPH_DATA, or use --world generated"
        )
    return kind, data if kind == "careers" else None


def prepare(
    config: WorldConfig,
    learn: LearnedConfig,
    data: Path | None,
    cache: Path,
    times: StageTimes,
    note: Note = lambda _: None,
    behaviour: Behaviour | None = None,
) -> Prepared:
    """The stage of a world, with what was learned from its logs; finished parts are read back from `cache`."""
    behaviour = behaviour or read_behaviour()
    encoder = TextEncoder(cache_dir=cache / "text")
    with times.measure("world"):
        note("building the world")
        world = build_world(config, behaviour, data, encoder, note)
    inputs = input_digests(data)
    key = digest_of(asdict(config), behaviour.sha256, inputs, source_digest())
    with times.measure("logs"):
        logs = _logs(world, cache / "stages" / key[:16], times, note)
    with times.measure("learning"):
        learned_folder = cache / "stages" / digest_of(key, asdict(learn))[:16]
        learned, hires = _learned(logs, learned_folder, learn, times, note)
    with times.measure("placebo"):
        permuted = _permuted(logs, learned_folder, learned, learn, times, note)
    with times.measure("index"):
        note("encoding and indexing vacancies")
        stage = build_stage(world, learned, encoder, permuted)
    return Prepared(stage, logs, learned_folder / "learned", hires)


def fit_request_student(world: World, cache: Path, times: StageTimes, note: Note = lambda _: None) -> Path:
    """The folder of a student of the text encoder that reads requests; it knows the words of this world's vacancies."""
    encoder = TextEncoder(cache_dir=cache / "text")
    texts = _texts(world)
    target = cache / "stages" / digest_of(encoder.identity, texts, source_digest())[:16] / "student"
    with times.measure("student"):
        if (target / MANIFEST).is_file():
            times.reused.add("student")
            return target
        note("fitting a fast reader of requests")
        config = StudentConfig()
        student, metrics = fit_student(texts, encoder, config)
        student.save(target, config, {"teacher": encoder.identity}, metrics)
    return target


def _texts(world: World) -> list[str]:
    """Titles and descriptions of the vacancies, and titles of the occupations people hold; sorted, without repeats."""
    titles = {title for of_occupation in world.facts.titles for title in of_occupation}
    jobs = inventory_jobs(world)
    return sorted(titles | {job.title for job in jobs} | {job.description for job in jobs if job.description.strip()})


def _logs(world: World, folder: Path, times: StageTimes, note: Note) -> Path:
    target = folder / "logs"
    if (folder / "logs.done").exists():
        times.reused.add("logs")
        return target
    note("writing the site's logs")
    write_tables(target, write_logs(world, LoggingConfig()), world.careers.taxonomy.scheme)
    (folder / "logs.done").touch()
    return target


def _learned(logs: Path, folder: Path, config: LearnedConfig, times: StageTimes, note: Note) -> tuple[Learned, int]:
    target = folder / "learned"
    if (folder / "learned.done").exists():
        times.reused.add("learning")
        learned = Learned.load(target)
        return learned, int(learned.metrics["hires"])
    note("reading logs")
    tables = read_tables(logs)
    learned, hires = fit_learned(tables, config, progress=note)
    learned.save(target)
    save_hires(hires, target)
    (folder / "learned.done").touch()
    return learned, len(hires)


def _permuted(
    logs: Path, folder: Path, learned: Learned, config: LearnedConfig, times: StageTimes, note: Note
) -> tuple[Placebo, ...]:
    """The networks of shuffled hires; only their models differ, so only those are kept."""
    found: list[Placebo] = []
    for draw in range(config.shuffles):
        target, done = folder / f"permuted-{draw}", folder / f"permuted-{draw}.done"
        if done.exists():
            names = placebo_names(len(learned.taxonomy), config.seed, draw)
            found.append(as_placebo(learned, HireModel.load(target), names))
            times.reused.add("placebo")
            continue
        note(f"training placebo {draw + 1} of {config.shuffles} on permuted hires")
        permuted = fit_placebo(read_tables(logs), learned, config, draw=draw)
        permuted.learned.model.save(target)
        done.touch()
        found.append(permuted)
    return tuple(found)


def input_digests(data: Path | None) -> dict[str, str]:
    if data is None:
        return {}
    return {
        name: digest_of_tree(data / name) for name in ("nlsy79_careers", "onet", "oews_2025") if (data / name).is_dir()
    }
