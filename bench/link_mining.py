"""Link mining at the paper's size on generated hires, three sizes, and beside a plain pandas twin where that runs.

Hires, seekers and jobs are written to Parquet in parts and read back through Daft. Each size runs in a process of its
own, so that the peak memory is its own. Stages are in seconds of the processor: the machine may be shared.
Generated people say nothing about quality: this table is about time and memory.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graph.linking.candidates import CandidateConfig, find_candidates
from graph.linking.firing import LinkTokens, count_firings
from graph.linking.mining import LinkConfig, mine
from graph.linking.no_hires import NoHireConfig, with_no_hires
from graph.linking.pairs import LinkPairs, read_link_pairs

SIZES = (50_000, 150_000, 457_000)
TWIN_HIRES = 10_000
APPLICATIONS = 2  # without hire, per hire
PART = 50_000  # hires written at a time
OCCUPATIONS, SECTIONS, INDUSTRIES, SKILLS, OWN_SKILLS = 800, 60, 40, 60_000, 150
SKILLS_A_SIDE = 8
EDUCATIONS = ("<=11", "<=12", "<=15", "<=16", ">16")
TEMPLATES = (
    ("occupation", "occupation"),
    ("section", "section"),
    ("skill", "skill"),
    ("skill", "occupation"),
    ("seniority", "seniority"),
    ("industry", "industry"),
    ("education", "occupation"),
)
CANDIDATES = CandidateConfig(TEMPLATES)


def run(data: Path | None) -> dict[str, Any]:
    """Seconds, peak MiB, candidates and survivors per size; the twin's seconds beside ours; how time grows."""
    sizes = [_in_a_process("measure", size) for size in SIZES]
    twin = _in_a_process("beside_the_twin", TWIN_HIRES)
    return {"sizes": sizes, "twin": twin, "exponent": growth(sizes)}


def show(result: dict[str, Any]) -> list[list[str]]:
    head = [
        "hires",
        "pairs",
        "candidates",
        "survivors",
        "links",
        "read",
        "count",
        "weigh",
        "cpu s",
        "wall s",
        "peak MiB",
    ]
    rows = [head]
    for row in result["sizes"]:
        counts = [f"{row[name]:,}" for name in ("hires", "pairs", "candidates", "survivors", "links")]
        times = [
            f"{row[name]:.1f}" for name in ("read_seconds", "count_seconds", "weigh_seconds", "cpu_seconds", "seconds")
        ]
        rows.append([*counts, *times, f"{row['peak_mib']:,}"])
    twin = result["twin"]
    same = "same links, same counts" if twin["same"] else "NOT THE SAME"
    for stage in ("candidates", "all"):
        ours, theirs = twin[f"{stage}_seconds"], twin[f"twin_{stage}_seconds"]
        words = f"pandas twin at {twin['hires']:,} hires, {stage}: {theirs:.1f} s against {ours:.2f} s"
        rows.append([f"{words}, {theirs / ours:.0f} x ({same})", *[""] * (len(head) - 1)])
    powers = ", ".join(f"{name.removesuffix('_seconds')} {power:.2f}" for name, power in result["exponent"].items())
    rows.append([f"seconds grow as hires to the power: {powers}", *[""] * (len(head) - 1)])
    return rows


def growth(sizes: list[dict[str, Any]]) -> dict[str, float]:
    """Per stage the power of the number of hires that its seconds grow with, by least squares on logarithms."""
    hires = np.log([row["hires"] for row in sizes])
    stages = ("count_seconds", "weigh_seconds", "cpu_seconds")
    return {name: float(np.polyfit(hires, np.log([row[name] for row in sizes]), 1)[0]) for name in stages}


def measure(hires: int) -> dict[str, Any]:
    """Generate, read, count and weigh; generating is not part of the seconds."""
    with tempfile.TemporaryDirectory(prefix="hiregraph-bench-") as folder:
        generate(Path(folder), hires, np.random.default_rng(0))
        began, cpu_began = time.perf_counter(), time.process_time()
        pairs = _read(Path(folder))
        read = time.process_time() - cpu_began
        marks: dict[str, float] = {}

        def mark(words: str) -> None:
            marks[words.split()[0]] = time.process_time() - cpu_began
            print(f"{time.perf_counter() - began:7.1f} s {words}", file=sys.stderr, flush=True)

        mined = mine(pairs, LinkConfig(candidates=CANDIDATES), "", Path(folder), mark)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    return {
        "hires": hires,
        "pairs": len(pairs),
        "candidates": mined.candidates,
        "survivors": mined.survivors,
        "links": len(mined.links),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "read_seconds": read,
        "count_seconds": marks["weighing"] - read,
        "weigh_seconds": cpu_seconds - marks["weighing"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def generate(folder: Path, hires: int, rng: np.random.Generator) -> None:
    """Parquet parts of seekers, jobs and pairs: one seeker and one job a hire, and applications without hire.

    Occupations and skills follow Zipf's law; an occupation has its own 150 skills, from which two in three are drawn;
    three hires in ten keep the occupation, five go to one of its three neighbours, two anywhere.
    """
    own = rng.integers(SKILLS, size=(OCCUPATIONS, OWN_SKILLS))
    neighbours = rng.integers(OCCUPATIONS, size=(OCCUPATIONS, 3))
    for name in ("seekers", "jobs", "pairs"):
        (folder / name).mkdir()
    for begin in range(0, hires, PART):
        n = min(PART, hires - begin)
        held = _zipf(rng, OCCUPATIONS, n)
        kind, pick = rng.random(n), rng.integers(3, size=n)
        anywhere = _zipf(rng, OCCUPATIONS, n)
        hired = np.where(kind < 0.3, held, np.where(kind < 0.8, neighbours[held, pick], anywhere))
        level = rng.integers(5, size=n)
        job_level = np.clip(level + rng.integers(-1, 2, size=n), 0, 4)
        industry = rng.integers(INDUSTRIES, size=n)
        job_industry = np.where(rng.random(n) < 0.6, industry, rng.integers(INDUSTRIES, size=n))
        schooling = rng.integers(len(EDUCATIONS), size=n)
        ids = np.arange(begin, begin + n).astype(str)
        seekers, jobs = np.char.add("s", ids), np.char.add("j", ids)
        seeker_bags = _bags(rng, own, held, level, industry)
        for bag, years in zip(seeker_bags, schooling, strict=True):
            bag.append(f"education={EDUCATIONS[years]}")
        job_bags = _bags(rng, own, hired, job_level, job_industry)
        part = f"part-{begin:09d}.parquet"
        pq.write_table(pa.table({"seeker_id": seekers, "attributes": seeker_bags}), folder / "seekers" / part)
        pq.write_table(pa.table({"job_id": jobs, "attributes": job_bags}), folder / "jobs" / part)
        applied = [rng.permutation(n) for _ in range(APPLICATIONS)]
        pairs = pa.table(
            {
                "seeker_id": np.tile(seekers, 1 + APPLICATIONS),
                "job_id": np.concatenate([jobs, *(jobs[other] for other in applied)]),
                "hired": np.repeat([True] + [False] * APPLICATIONS, n),
                "source": ["applications"] * (n * (1 + APPLICATIONS)),
            }
        )
        pq.write_table(pairs, folder / "pairs" / part)


def beside_the_twin(hires: int) -> dict[str, Any]:
    """Ours and the plain one on the same pairs: seconds for candidates and for all of it, and whether they agree."""
    with tempfile.TemporaryDirectory(prefix="hiregraph-bench-") as folder:
        generate(Path(folder), 500, np.random.default_rng(1))  # small: compiles
        _survivors(_read(Path(folder)))
    with tempfile.TemporaryDirectory(prefix="hiregraph-bench-") as folder:
        generate(Path(folder), hires, np.random.default_rng(0))
        pairs = _read(Path(folder))
    ours, seconds, all_seconds = _survivors(pairs)
    theirs, twin_seconds, twin_all_seconds = twin(pairs)
    return {
        "hires": hires,
        "candidates_seconds": seconds,
        "all_seconds": all_seconds,
        "twin_candidates_seconds": twin_seconds,
        "twin_all_seconds": twin_all_seconds,
        "survivors": len(ours),
        "same": ours == theirs,
    }


Counted = dict[tuple[tuple[int, ...], tuple[int, ...]], tuple[int, int]]  # (P, Q) -> hires, pairs without hire


def _survivors(pairs: LinkPairs) -> tuple[Counted, float, float]:
    began = time.perf_counter()
    found = find_candidates(pairs, CANDIDATES)
    seconds = time.perf_counter() - began
    counted = count_firings(LinkTokens(found.seeker, found.job), pairs)
    all_seconds = time.perf_counter() - began
    links = [(tuple(found.seeker.row(i).tolist()), tuple(found.job.row(i).tolist())) for i in range(len(found))]
    counts = zip(counted.hires.tolist(), counted.no_hires.tolist(), strict=True)
    return dict(zip(links, counts, strict=True)), seconds, all_seconds


def twin(pairs: LinkPairs) -> tuple[Counted, float, float]:
    """The plain way: explode, group, count; then every pair against every link that shares its rarest seeker value."""
    began = time.perf_counter()
    hires = pd.DataFrame({"hire": np.arange(pairs.hires), "s": pairs.seeker[pairs.hired], "j": pairs.job[pairs.hired]})
    sides = []
    for key, bags, words in (("s", pairs.seekers, pairs.seeker_words), ("j", pairs.jobs, pairs.job_words)):
        table = pd.DataFrame({key: np.repeat(np.arange(len(bags)), np.diff(bags.start)), f"{key}_value": bags.tokens})
        sides.append(table.assign(**{f"{key}_kind": pd.Series(words).str.split("=").str[0].to_numpy()[bags.tokens]}))
    templates = pd.DataFrame(TEMPLATES, columns=["s_kind", "j_kind"]).reset_index(names="template")
    meta = hires.merge(sides[0], on="s").merge(sides[1], on="j").merge(templates, on=["s_kind", "j_kind"])
    meta["count"] = meta.groupby(["s_value", "j_value"]).hire.transform("size")
    meta = meta[meta["count"] >= CANDIDATES.minimum_hires].sort_values(["hire", "count", "s_value", "j_value"])
    meta = meta[meta.groupby(["hire", "template"]).cumcount() < CANDIDATES.largest_per_template]
    meta = meta[meta.groupby("hire").cumcount() < CANDIDATES.largest_k]
    rows = []
    for hire, own, other in meta.groupby("hire").agg({"s_value": list, "j_value": list}).itertuples():
        sets = set()
        for size in range(1, min(len(own), CANDIDATES.largest_size) + 1):
            for some in itertools.combinations(range(len(own)), size):
                sets.add((tuple(sorted({own[i] for i in some})), tuple(sorted({other[i] for i in some}))))
        rows.extend((hire, link) for link in sets)
    exploded = pd.DataFrame(rows, columns=["hire", "link"])
    proposed = exploded.groupby("link").size()
    kept = proposed[proposed >= CANDIDATES.minimum_hires].index.tolist()
    seconds = time.perf_counter() - began

    common = np.bincount(pairs.seekers.tokens, minlength=len(pairs.seeker_words))
    drawers: dict[int, list] = {}
    for link in kept:
        drawers.setdefault(min(link[0], key=lambda value: common[value]), []).append((set(link[0]), set(link[1]), link))
    counts = {link: [0, 0] for link in kept}
    for s, j, hired in zip(pairs.seeker, pairs.job, pairs.hired, strict=True):
        has, offers = set(pairs.seekers.row(s).tolist()), set(pairs.jobs.row(j).tolist())
        for value in has:
            for own, other, link in drawers.get(value, ()):
                if other <= offers and own <= has:
                    counts[link][0 if hired else 1] += 1
    return {link: tuple(found) for link, found in counts.items()}, seconds, time.perf_counter() - began


def _read(folder: Path) -> LinkPairs:
    tables = [daft.read_parquet(str(folder / name / "*.parquet")) for name in ("pairs", "seekers", "jobs")]
    return with_no_hires(read_link_pairs(*tables), NoHireConfig(), np.random.default_rng(0))[0]


def _bags(
    rng: np.random.Generator, own: np.ndarray, occupation: np.ndarray, level: np.ndarray, industry: np.ndarray
) -> list:
    n = len(occupation)
    first = _zipf(rng, OWN_SKILLS, (n, SKILLS_A_SIDE))
    skills = np.where(rng.random(first.shape) < 2 / 3, own[occupation[:, None], first], _zipf(rng, SKILLS, first.shape))
    return [
        [f"occupation={o}", f"section={o % SECTIONS}", f"seniority={s}", f"industry={i}", *(f"skill={k}" for k in row)]
        for o, s, i, row in zip(*(a.tolist() for a in (occupation, level, industry, skills)), strict=True)
    ]


def _zipf(rng: np.random.Generator, size: int, shape: int | tuple[int, ...]) -> np.ndarray:
    """Ranks 0 to size - 1, rank r about as likely as 1 / (r + 1)."""
    return np.minimum(np.expm1(rng.random(shape) * np.log(size + 1)), size - 1).astype(np.int64)


def _in_a_process(name: str, hires: int) -> dict[str, Any]:
    code = f"import json; from bench.link_mining import {name}; print(json.dumps({name}({hires})))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
