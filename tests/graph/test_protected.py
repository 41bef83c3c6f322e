"""Training tables can not contain protected attributes: by their names, by the bytes of a fit, and by who may read."""

import ast
import gzip
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import graph
from graph.bipartite import ATTRIBUTES, Examples, examples_from_careers, hetero_data
from graph.learner import CareersConfig, fit_careers
from graph.linking.attributes import JOB_KINDS, SEEKER_KINDS, job_attributes, seeker_attributes
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig
from market.artefacts import digest_of_tree
from market.careers import Careers, read_careers
from market.tables import PROTECTED, SCHEMAS
from market.taxonomy import Taxonomy

ROOT = Path(graph.__file__).parents[1]
PACKAGES = ("market", "gpu_index", "graph", "organic", "targeting", "sim", "hiregraph")
WORDS = PROTECTED | {"hispanic", "black"}
QUICK = CareersConfig(
    TrainConfig(epochs=1, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4)), read_titles=False
)


def speaks_of_a_protected_attribute(name: str) -> bool:
    return bool(WORDS & set(re.split(r"[^a-z]+", name.lower())))


def test_the_list_of_words_knows_every_protected_column():
    assert all(speaks_of_a_protected_attribute(name) for name in PROTECTED)
    assert speaks_of_a_protected_attribute("sex_1m_2f")
    assert not speaks_of_a_protected_attribute("average_wage")


def what_training_reads():
    """(where, name) of everything that a fit on careers or logs can look at."""
    for table in (Careers, Examples, Taxonomy):
        yield from ((table.__name__, field.name) for field in fields(table))
    yield from (("ATTRIBUTES", name) for name in ATTRIBUTES)
    yield from (("SEEKER_KINDS", name) for name in SEEKER_KINDS)
    yield from (("JOB_KINDS", name) for name in JOB_KINDS)
    for table, schema in SCHEMAS.items():
        yield from ((table, column) for column in {**schema.required, **schema.optional})


@pytest.mark.parametrize(("where", "name"), list(what_training_reads()))
def test_nothing_that_training_reads_is_called_by_a_protected_name(where, name):
    assert not speaks_of_a_protected_attribute(name)


def write_careers(folder, *, birth_shift=0, audit=None):
    """Careers of 60 persons; birth years and the audit file are all that differs between two such directories."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"{p},{1980 + t},{rng.choice([10, 20, 50, 210])}" for p in range(60) for t in range(4)]
    (folder / "occupations.csv").write_text("\n".join(["person_id,year,occ80", *rows]) + "\n")
    titles = [f"{code},Title {code},Section {code // 50}" for code in (10, 20, 50, 210)]
    (folder / "occ80_titles.csv").write_text("\n".join(["occ80,title,section", *titles]) + "\n")
    births = [f"{p},{1 + p % 12},{1957 + birth_shift + p % 7}" for p in range(60)]
    (folder / "persons.csv").write_text("\n".join(["person_id,birth_month,birth_year", *births]) + "\n")
    if audit is not None:
        (folder / "audit_attributes.csv.gz").write_bytes(audit)
    return folder


def attributes_of(seed):
    rng = np.random.default_rng(seed)
    rows = [f"{p},{rng.integers(1, 3)},{rng.integers(1, 4)}" for p in range(60)]
    return gzip.compress("\n".join(["person_id,sex_1m_2f,race_1h_2b_3o", *rows]).encode(), mtime=0)


def test_other_births_and_shuffled_missing_or_broken_audit_attributes_fit_the_same_bytes(tmp_path):
    digests = set()
    for name, changes in {
        "plain": {"audit": attributes_of(0)},
        "shuffled": {"audit": attributes_of(1)},
        "born later": {"birth_shift": 10},
        "broken": {"audit": b"no table at all"},
    }.items():
        fit_careers(read_careers(write_careers(tmp_path / name, **changes)), QUICK).save(tmp_path / f"{name} fitted")
        digests.add(digest_of_tree(tmp_path / f"{name} fitted"))
    assert len(digests) == 1


def test_a_career_has_no_room_for_anything_else(tmp_path):
    """The numbers the network sees follow from occupations, years and schooling alone: no person, no order of them."""
    examples = examples_from_careers(read_careers(write_careers(tmp_path / "careers")))
    strangers = replace(examples, person=examples.person[::-1].copy())
    ours, theirs = hetero_data(examples, 4), hetero_data(strangers, 4)
    assert ours["seeker"].x.shape[1] == len(ATTRIBUTES)
    np.testing.assert_array_equal(ours["seeker"].x.numpy(), theirs["seeker"].x.numpy())


def test_links_speak_of_declared_kinds_only(tmp_path):
    careers = read_careers(write_careers(tmp_path / "careers"))
    seekers = seeker_attributes(examples_from_careers(careers), careers.taxonomy)
    assert {found.split("=")[0] for one in seekers for found in one} <= set(SEEKER_KINDS)
    jobs = [job_attributes(o, careers.taxonomy) for o in range(len(careers.taxonomy))]
    assert {found.split("=")[0] for one in jobs for found in one} <= set(JOB_KINDS)


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def test_only_the_audit_names_the_audit_file():
    assert [path for path, text in modules() if "audit_attributes" in text.replace("read_audit_attributes", "")] == [
        "graph/fairness/audit.py"
    ]


def test_nothing_that_is_learned_from_imports_the_audit():
    def imports_it(text):
        found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [getattr(node, "module", None) or "" for node in found]
        names += [alias.name for node in found for alias in node.names if isinstance(node, ast.Import)]
        return "graph.fairness.audit" in names

    assert [path for path, text in modules() if imports_it(text)] == [
        "hiregraph/audit_commands.py",
        "hiregraph/parity_of_report.py",  # after the last market is played
    ]


def test_the_walk_sees_this_project():
    paths = [path for path, _ in modules()]
    assert len(paths) > 50
    assert "graph/train.py" in paths
