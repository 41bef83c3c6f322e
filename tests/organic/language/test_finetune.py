"""Fine-tuning end to end, a few steps on three occupations, and the two commands around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market.artefacts import open_artefact
from market.errors import ConfigError
from market.text import TextEncoder, default_model_folder
from organic.language.finetune import FORMAT, KIND, FinetuneConfig, fine_tune
from organic.language.pairs import PairConfig
from organic.learning.schedule import Stage
from tests.organic.language.small_classifications import write_classifications

pytestmark = pytest.mark.journey  # long for `make check`

CONFIG = FinetuneConfig(
    schedule=(Stage(3, 4, 0, 1e-4), Stage(2, 4, 2, 1e-5, mined=0.5)),
    pairs=PairConfig(skills_named=2, neighbours=2),
    held_out=2,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifications(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def tuned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "encoder"
    metrics = fine_tune(default_model_folder(), data, out, CONFIG, seed=1)
    assert metrics["pairs"] == 20
    assert 0 < metrics["held_out"]["esco"]["mrr"] <= 1
    return out


def test_the_result_is_an_artefact_and_an_encoder_like_any_other(tuned: Path) -> None:
    manifest = open_artefact(tuned, KIND, (FORMAT,))
    assert manifest.seed == 1
    assert set(manifest.inputs) == {"esco", "onet", "base"}
    vectors = TextEncoder(tuned).encode(["bread baker", "arc welder"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    before = TextEncoder().encode(["bread baker", "arc welder"])
    assert np.abs(vectors - before).max() > 1e-3


def test_names_of_one_occupation_have_come_closer(tuned: Path) -> None:
    texts = ["baker", "dough mixer", "welder", "fitter"]
    before, after = TextEncoder().encode(texts), TextEncoder(tuned).encode(texts)
    gap_before = before[0] @ before[1] - before[0] @ before[3]
    gap_after = after[0] @ after[1] - after[0] @ after[3]
    assert gap_after > gap_before


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="isco"):
        FinetuneConfig(sources=("isco",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schedule", "endless"], "--schedule is 'endless'"),
        (["--sources", "isco"], "isco"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_a_wrong_argument_is_one_line_and_nothing_is_written(
    arguments: list[str], message: str, data: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hiregraph", "text", "fit", "--out", str(tmp_path / "m"), "--data", str(data)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()


def test_a_student_of_the_result_ranks_texts(tuned: Path, data: Path, tmp_path: Path) -> None:
    student, run = tmp_path / "student", tmp_path / "run.trec"
    hiregraph = [sys.executable, "-m", "hiregraph", "text"]
    told = subprocess.run(
        [*hiregraph, "distill", "--teacher", str(tuned), "--data", str(data), "--out", str(student), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout)["model"] == str(student)
    (tmp_path / "queries.tsv").write_text("q1\tbaker\nq2\twelding operator\n")
    (tmp_path / "corpus.tsv").write_text("a\tbread baker\nb\tarc welder\n")
    texts = ["--queries", str(tmp_path / "queries.tsv"), "--corpus", str(tmp_path / "corpus.tsv")]
    subprocess.run([*hiregraph, "rank", *texts, "--out", str(run), "--model", str(student)], check=True)
    first = [line.split()[2] for line in run.read_text().splitlines() if line.split()[3] == "1"]
    assert first == ["a", "b"]
