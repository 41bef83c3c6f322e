"""Save, kill, load: whoever reads a snapshot, whenever, finds the old one or the new one, whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gpu_index import Clause, Index

ROOT = Path(__file__).parents[2]
ROWS = 300
SAVER = """
import sys
import numpy as np
from gpu_index import Index

index = Index(spaces={"v": 8})
version = int(sys.argv[2])
while True:
    version += 1
    index.upsert(np.arange(300), vectors={"v": np.full((300, 8), version)}, terms=[[f"version={version}"]] * 300)
    index.save(sys.argv[1])
    print(version, flush=True)
"""


def start_saver(path, version):
    """A process that saves version + 1, version + 2, ... and says so; returned once it has saved the first."""
    process = subprocess.Popen([sys.executable, "-c", SAVER, str(path), str(version)], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def kill(process):
    """The last version it said it had saved."""
    os.kill(process.pid, signal.SIGKILL)
    said = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    return int(said[-1]) if said else None


def version_of(path):
    """The one version all rows of the snapshot have, in vectors and in terms."""
    index = Index.load(path)
    hits = index.search(np.ones((1, 8), np.float32), "v", ROWS)
    assert hits.ids[0].tolist() == list(range(ROWS))
    (score,) = set(hits.scores[0].tolist())
    version = int(score / 8)
    assert index.count(Clause([[f"version={version}"]])) == len(index) == ROWS
    return version


def kill_again_and_again(path, times):
    """Each saver is killed at another moment of its work, and the next goes on from what it left."""
    rng = np.random.default_rng(times)
    version = 0
    for _ in range(times):
        process = start_saver(path, version)
        time.sleep(rng.uniform(0, 0.08))
        said = kill(process)
        found = version_of(path)
        assert found >= (said or version + 1)  # what was said to be saved is saved, or something newer
        assert found > version
        version = found
    Index.load(path).save(path)
    assert [item.name for item in path.parent.iterdir()] == [path.name]  # nothing of the killed is left


def test_a_killed_saver_leaves_a_whole_snapshot_and_the_next_one_clears_up(tmp_path):
    kill_again_and_again(tmp_path / "index", times=2)


@pytest.mark.slow
def test_thirty_killed_savers_leave_whole_snapshots(tmp_path):
    kill_again_and_again(tmp_path / "index", times=30)


def read_beside_a_saver(path, seconds):
    process = start_saver(path, 0)
    seen = []
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until or len(set(seen)) < 3:
            seen.append(version_of(path))
    finally:
        kill(process)
    assert seen == sorted(seen)


def test_a_reader_beside_a_saver_always_finds_a_whole_snapshot(tmp_path):
    read_beside_a_saver(tmp_path / "index", seconds=0.8)


@pytest.mark.slow
def test_a_reader_beside_a_saver_always_finds_a_whole_snapshot_for_a_long_time(tmp_path):
    read_beside_a_saver(tmp_path / "index", seconds=30)
