"""The command line: help with an example everywhere, one line for a mistake, one JSON document on stdout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from graph.links import LinkSet
from graph.model import HireModel
from hiregraph.cli import app, main
from sim.generated import generated_careers

COMMANDS = typer.main.get_command(app)


def all_commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if getattr(command, "invoke_without_command", False):
            yield (*path, name), command  # a command that has subcommands too
        if hasattr(command, "commands"):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


LEAVES = dict(all_commands(COMMANDS))


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Cli = Callable[..., Answer]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """`hiregraph ARGUMENTS` in this process and in an empty directory, through `main` as the console script does."""
    for name in [name for name in os.environ if name.startswith("HIREGRAPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hiregraph", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return Answer(int(left.value.code or 0), printed.out, printed.err)

    return run


def assert_a_users_mistake(answer: Answer, *words: str) -> None:
    assert answer.code == 2, answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    last = answer.err.strip().splitlines()[-1]
    for word in words:
        assert word in answer.err
    assert last.startswith("hiregraph: "), answer.err


@pytest.fixture(scope="module")
def careers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A careers directory of 150 invented people with Census-1980-like codes."""
    folder = tmp_path_factory.mktemp("careers")
    found = generated_careers(150, np.random.default_rng(0))
    codes = 3 + 4 * np.arange(len(found.taxonomy))
    rows = [f"{found.person[i] + 1},{found.year[i]},{codes[found.occupation[i]]}" for i in range(len(found))]
    (folder / "occupations.csv").write_text("\n".join(["person_id,year,occ80", *rows]) + "\n")
    titles = [
        f"{code},{title},{found.taxonomy.section_names[section]}"
        for code, title, section in zip(codes, found.taxonomy.titles, found.taxonomy.section, strict=True)
    ]
    (folder / "occ80_titles.csv").write_text("\n".join(["occ80,title,section", *titles]) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(careers: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """What `graph fit` wrote, and what it said: run as a user does, in a process of its own."""
    out = tmp_path_factory.mktemp("fitted") / "model"
    arguments = ["graph", "fit", "--careers", str(careers), "--out", str(out), "--epochs", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "hiregraph", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout), done.stderr


# ---- help


def test_every_command_of_the_contract_that_is_built_is_there() -> None:
    assert set(LEAVES) >= {
        ("data", "check"), ("graph", "fit"), ("graph", "evaluate"), ("graph", "links"), ("graph", "explain"),
        ("graph", "edit", "veto"), ("graph", "edit", "boost"), ("graph", "edit", "add"), ("graph", "edit", "reset"),
        ("graph", "edit", "list"),
        ("text", "rank"), ("text", "evaluate"), ("simulate",), ("simulate", "replay"),
        ("simulate", "sweep"), ("simulate", "levels"), ("simulate", "flows"),
        ("serve",), ("keys", "create"), ("db", "upgrade"),
        ("bench",), ("demo",),
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(LEAVES), ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    assert command.help
    assert f"Example: hiregraph {' '.join(path)}" in command.help


@pytest.mark.parametrize("path", sorted(LEAVES), ids=" ".join)
def test_every_option_says_what_it_is(path: tuple[str, ...]) -> None:
    for option in LEAVES[path].params:
        assert getattr(option, "help", None), f"{' '.join(path)} {option.name}"


def test_help_goes_to_stdout_and_exits_with_zero(cli: Cli) -> None:
    answer = cli("graph", "fit", "--help")
    assert answer.code == 0
    assert "Example: hiregraph graph fit" in " ".join(answer.out.split())


# ---- mistakes


def test_an_unknown_command_or_option_is_a_users_mistake(cli: Cli) -> None:
    for arguments in (["fly"], ["graph", "fly"], ["graph", "links", "--colour", "red"], ["graph", "links"]):
        answer = cli(*arguments)
        assert answer.code == 2
        assert answer.out == ""
        assert "Traceback" not in answer.err


def test_an_unknown_arm_is_named_before_anything_is_built(cli: Cli, tmp_path: Path) -> None:
    answer = cli("simulate", "--world", "generated", "--arms", "graph,tarot", "--out", tmp_path / "sim")
    assert_a_users_mistake(answer, "'tarot'", "attribute, keyword, links, graph")
    assert not (tmp_path / "sim").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--world", "moon"], "moon"),
        (["--world", "careers"], "--data"),
        (["--world", "careers", "--data", "nowhere"], "--data"),
        (["--world", "generated", "--days", "0"], "days"),
        (["--world", "generated", "--campaigns", "1"], "campaigns"),
        (["--world", "generated", "--budget-level", "0"], "budget-level"),
        (["--world", "generated", "--pacing", "slow"], "pacing"),
        (["--world", "generated", "--design", "before-after"], "design"),
    ],
)
def test_an_impossible_simulation_is_refused_in_one_line(
    cli: Cli, tmp_path: Path, arguments: list[str], word: str
) -> None:
    answer = cli("simulate", "--out", tmp_path / "sim", *arguments)
    assert_a_users_mistake(answer, word)
    assert len(answer.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sweep", "--over", "colour"], "colour"),
        (["sweep", "--arms", "graph"], "attribute"),
        (["sweep", "--campaigns", "1"], "campaigns"),
        (["sweep", "--config", "nowhere.toml"], "nowhere.toml"),
        (["levels", "--at", "1,many"], "--at"),
        (["flows", "--data", "nowhere"], "careers"),
    ],
)
def test_an_impossible_study_of_the_world_is_refused_in_one_line(
    cli: Cli, tmp_path: Path, arguments: list[str], word: str
) -> None:
    place = ["--out", tmp_path / "out"] if arguments[0] == "sweep" else []
    kind = [] if arguments[0] == "flows" else ["--world", "generated"]
    answer = cli("simulate", *arguments, *place, *kind)
    assert_a_users_mistake(answer, word)
    assert len(answer.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_directory_or_model_says_what_to_give(cli: Cli, tmp_path: Path, careers: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert_a_users_mistake(cli("graph", "fit", "--careers", nowhere, "--out", tmp_path / "m"), "careers directory")
    assert_a_users_mistake(cli("graph", "fit", "--logs", nowhere, "--out", tmp_path / "m"), "no such directory")
    assert_a_users_mistake(cli("graph", "fit", "--out", tmp_path / "m"), "--logs", "--careers")
    assert_a_users_mistake(cli("graph", "evaluate", "--model", nowhere, "--careers", careers), "graph fit")
    assert_a_users_mistake(cli("graph", "links", "--model", nowhere), "graph fit")
    assert_a_users_mistake(cli("data", "check", nowhere), "no such directory")
    assert not (tmp_path / "m").exists()


def test_a_bad_file_is_named_with_its_row(cli: Cli, tmp_path: Path, careers: Path) -> None:
    (tmp_path / "occ80_titles.csv").write_bytes((careers / "occ80_titles.csv").read_bytes())
    (tmp_path / "occupations.csv").write_text("person_id,year,occ80\n1,1990,3\n1,soon,7\n")
    answer = cli("graph", "fit", "--careers", tmp_path, "--out", tmp_path / "m")
    assert_a_users_mistake(answer, "occupations, row 1", "year")


def test_a_damaged_model_is_refused(cli: Cli, model: tuple[Path, Any, str], tmp_path: Path) -> None:
    for part in ("model", "links"):
        (tmp_path / "m" / part).mkdir(parents=True)
        for file in (model[0] / part).iterdir():
            content = file.read_bytes()
            (tmp_path / "m" / part / file.name).write_bytes(content if file.name == "manifest.json" else content[:-1])
    assert_a_users_mistake(cli("graph", "links", "--model", tmp_path / "m"), "damaged")


def test_a_mistake_in_a_process_of_its_own_exits_with_two_and_leaves_stdout_empty(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hiregraph", "data", "check", str(tmp_path / "nowhere"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hiregraph: ")
    assert len(done.stderr.strip().splitlines()) == 1


# ---- JSON


def test_graph_fit_answers_one_document_and_keeps_progress_to_stderr(
    model: tuple[Path, dict[str, Any], str], careers: Path
) -> None:
    out, summary, notes = model
    assert summary.keys() >= {"seconds", "persons", "hires", "links"}
    assert summary["persons"] == 150
    assert "reading careers" in notes
    assert {path.name for path in out.iterdir()} >= {"model", "links"}


def test_graph_evaluate_has_the_keys_others_rely_on(cli: Cli, model: tuple[Path, Any, str], careers: Path) -> None:
    document = cli("graph", "evaluate", "--model", model[0], "--careers", careers, "--json").document()
    measures = {"n", "recall@1", "recall@5", "recall@10", "mrr"}
    assert document["calibration"].keys() >= {"ece", "slope"}
    assert document["baselines"].keys() >= {"popularity", "markov", "recent_history"}
    for found in (document, *document["baselines"].values()):
        for split in ("changes", "all", "cold"):
            assert found[split].keys() >= measures
    assert document["all"]["n"] > document["changes"]["n"] > document["cold"]["n"] > 0


def test_graph_links_filters_and_counts(cli: Cli, model: tuple[Path, Any, str]) -> None:
    document = cli("graph", "links", "--model", model[0], "--top", 100_000, "--json").document()
    links = document["links"]
    assert links
    assert len(links) == document["of"]
    assert "a hire" in document["source"]
    assert isinstance(document["intercept"], float)
    for link in links:
        assert link.keys() >= {"link_id", "seeker", "job", "weight", "hires", "no_hires"}
        assert link["seeker"]
        assert link["edited_by"] is None
        for values in (*link["seeker"].values(), *link["job"].values()):
            assert values
    weights = [link["weight"] for link in links]
    assert weights == sorted(weights, reverse=True)
    top = cli("graph", "links", "--model", model[0], "--top", 3, "--json").document()["links"]
    assert top == links[:3]
    kind, values = next(iter(links[-1]["seeker"].items()))
    asked = ["graph", "links", "--model", model[0], "--json", "--top", 100_000, "--seeker-attribute"]
    mine = cli(*asked, f"{kind}={values[0]}").document()["links"]
    assert mine == [link for link in links if values[0] in link["seeker"].get(kind, [])]
    assert cli(*asked, kind).document()["links"] == [link for link in links if kind in link["seeker"]]
    assert cli(*asked, f"{kind}=nobody").document()["links"] == []
    assert_a_users_mistake(cli("graph", "links", "--model", model[0], "--top", 0), "--top")
    assert_a_users_mistake(cli(*asked, "sex=female"), "--seeker-attribute", "occupation")


def test_graph_explain_has_the_keys_others_rely_on(cli: Cli, model: tuple[Path, Any, str], careers: Path) -> None:
    asked = ["graph", "explain", "--model", model[0], "--careers", careers]
    document = cli(*asked, "--person", 7, "--occupation", 3, "--json").document()
    assert document.keys() >= {"score", "probability", "links", "nearest_hires", "text"}
    assert 0 < document["probability"] < 1
    assert "Person 7" in document["text"]
    assert "vetoed" not in document
    assert_a_users_mistake(cli(*asked, "--person", 7, "--occupation", 999), "'999'")
    assert_a_users_mistake(cli(*asked, "--person", 9_999, "--occupation", 3), "9999")


# ---- edits of links


@pytest.fixture
def own_model(model: tuple[Path, Any, str], tmp_path: Path) -> Path:
    """A copy that a test may edit."""
    return Path(shutil.copytree(model[0], tmp_path / "own"))


def all_links(cli: Cli, model: Path, *more: str) -> dict[str, Any]:
    found = cli("graph", "links", "--model", model, "--top", 100_000, "--json", *more).document()["links"]
    return {link["link_id"]: link for link in found}


def test_a_vetoed_link_is_gone_until_it_is_reset(cli: Cli, own_model: Path) -> None:
    before = all_links(cli, own_model)
    gone = next(iter(before))
    answer = cli("graph", "edit", "--model", own_model, "veto", gone, "--author", "anna", "--reason", "no", "--json")
    assert answer.document()["edit"]["link_id"] == gone
    assert all_links(cli, own_model) == {found: link for found, link in before.items() if found != gone}
    vetoed = all_links(cli, own_model, "--vetoed")
    assert list(vetoed) == [gone]
    assert vetoed[gone] == before[gone] | {"edited_by": "anna"}
    reset = cli("graph", "edit", "reset", gone, "--model", own_model, "--author", "bert")  # --model may stand behind
    assert reset.code == 0
    assert all_links(cli, own_model) == before
    listed = cli("graph", "edit", "list", "--model", own_model, "--json").document()
    assert [(e["action"], e["author"], e["state"]) for e in listed["edits"]] == [
        ("veto", "anna", "superseded"),
        ("reset", "bert", "done"),
    ]
    assert (listed["revision"], listed["edits"][0]["reason"]) == (2, "no")
    shown = cli("graph", "edit", "list", "--model", own_model).out
    assert f"anna: veto {gone} (superseded)" in shown


def test_boosted_and_added_links_are_shown_with_who_edited_them(cli: Cli, own_model: Path) -> None:
    before = all_links(cli, own_model)
    last = list(before)[-1]
    edit = ["graph", "edit", "--model", own_model]
    assert cli(*edit, "boost", last, "--weight", 99, "--author", "anna").code == 0
    added = cli(
        *edit, "add", "--seeker", "occupation=3", "--seeker", "education=<=12", "--job", "occupation=7",
        "--weight", 50, "--author", "bert", "--json",
    ).document()["edit"]["link_id"]  # fmt: skip
    after = all_links(cli, own_model)
    assert list(after)[:2] == [last, added]
    assert (after[last]["weight"], after[last]["edited_by"], after[last]["hires"]) == (
        99,
        "anna",
        before[last]["hires"],
    )
    assert after[added]["seeker"] == {"education": ["<=12"], "occupation": ["3"]}
    assert (after[added]["edited_by"], after[added]["hires"]) == ("bert", 0)
    shown = cli("graph", "links", "--model", own_model, "--top", 1).out
    assert last in shown
    assert "boost by" in shown
    assert "anna" in shown


def test_edits_outlive_a_refit_and_a_link_that_is_gone_is_dormant(cli: Cli, own_model: Path, careers: Path) -> None:
    gone, other = list(all_links(cli, own_model))[:2]
    edit = ["graph", "edit", "--model", own_model]
    cli(*edit, "veto", gone, "--author", "anna")
    cli(*edit, "veto", other, "--author", "anna")
    LinkSet.load(own_model / "links").take([0]).save(own_model / "links")  # a re-fit that finds one link only
    assert all_links(cli, own_model) == {}
    states = [found["state"] for found in cli(*edit, "list", "--json").document()["edits"]]
    assert states == ["in force", "dormant"]
    assert cli(*edit, "boost", other, "--factor", 2, "--author", "anna").code == 0  # its edits remember it
    refitted = cli("graph", "fit", "--careers", careers, "--out", own_model, "--epochs", 1, "--json")
    refitted.document()
    assert "kept 3 edits of links; 0 dormant" in refitted.err
    after = all_links(cli, own_model)
    assert gone not in after
    assert after[other]["edited_by"] == "anna"


def test_explain_speaks_of_edited_links_and_of_vetoed_ones_when_asked(cli: Cli, own_model: Path, careers: Path) -> None:
    edit = ["graph", "edit", "--model", own_model, "add", "--job", "occupation=3", "--weight", 2, "--author", "anna"]
    sections = HireModel.load(own_model / "model").taxonomy.section_names
    added = [cli(*edit, "--seeker", f"section={name}", "--json").document()["edit"]["link_id"] for name in sections]
    asked = ["graph", "explain", "--model", own_model, "--careers", careers, "--person", 7, "--occupation", 3, "--json"]
    mine = [link for link in cli(*asked).document()["links"] if link["edited_by"] == "anna"]
    assert len(mine) == 1
    assert mine[0]["link_id"] in added
    cli("graph", "edit", "--model", own_model, "veto", mine[0]["link_id"], "--author", "bert")
    assert not [link for link in cli(*asked).document()["links"] if link["edited_by"]]
    assert [link["edited_by"] for link in cli(*asked, "--vetoed").document()["vetoed"]] == ["bert"]


def test_a_model_without_any_link_answers_all_the_same(cli: Cli, own_model: Path, careers: Path) -> None:
    LinkSet.load(own_model / "links").take([]).save(own_model / "links")
    assert all_links(cli, own_model) == {}
    assert "0 of 0 links" in cli("graph", "links", "--model", own_model).out
    asked = ["graph", "explain", "--model", own_model, "--careers", careers, "--person", 7, "--occupation", 3]
    assert "no links were learned" in cli(*asked).out
    edit = ["graph", "edit", "--model", own_model, "add", "--author", "anna", "--weight", 1]
    assert cli(*edit, "--seeker", "occupation=3", "--job", "occupation=7").code == 0
    assert len(all_links(cli, own_model)) == 1


def test_edits_of_another_version_are_refused_and_kept(cli: Cli, own_model: Path) -> None:
    written = json.dumps({"kind": "link-edits", "format": 99}) + "\n"
    (own_model / "link-edits.jsonl").write_text(written)
    assert_a_users_mistake(cli("graph", "links", "--model", own_model), "format 99")
    assert (own_model / "link-edits.jsonl").read_text() == written


def test_a_mistaken_edit_is_refused_in_one_line_and_nothing_is_kept(cli: Cli, own_model: Path, tmp_path: Path) -> None:
    edit = ["graph", "edit", "--model", own_model]
    who = ["--author", "anna"]
    known = next(iter(all_links(cli, own_model)))
    for arguments, words in [
        (["veto", "0123456789ab", *who], ["'0123456789ab'", "graph links"]),
        (["boost", known, *who], ["either a weight or a factor"]),
        (["boost", known, "--weight", -1, *who], ["above 0", "veto"]),
        (["add", "--seeker", "sex=female", "--job", "occupation=3", "--weight", 1, *who], ["'sex=female'", "skill"]),
        (["add", "--seeker", "occupation=3", "--job", "occupation=999", "--weight", 1, *who], ["'999'"]),
        (["add", "--seeker", "occupation=3", "--job", "occupation=7", *who], ["--weight"]),
        (["reset", "0123456789ab", *who], ["'0123456789ab'"]),
    ]:
        assert_a_users_mistake(cli(*edit, *arguments), *words)
    assert_a_users_mistake(cli("graph", "edit", "veto", known, *who), "--model")
    assert_a_users_mistake(cli("graph", "edit", "--model", tmp_path / "nowhere", "veto", known, *who), "graph fit")
    assert cli(*edit, "list", "--json").document() == {"edits": [], "revision": 0}


def test_without_json_the_answers_are_for_people(cli: Cli, model: tuple[Path, Any, str], careers: Path) -> None:
    assert "weight" in cli("graph", "links", "--model", model[0], "--top", 2).out
    answer = cli("graph", "evaluate", "--model", model[0], "--careers", careers)
    assert answer.code == 0
    assert "markov" in answer.out


def test_data_check_reports_per_table_and_exits_with_two_on_a_problem(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"occupation_scheme": "x"}')
    (tmp_path / "seekers.csv").write_text("seeker_id,geo,updated_at\ns1,m00,2026-03-01T00:00:00Z\n")
    assert cli("data", "check", tmp_path, "--json").document()["seekers"]["rows"] == 1
    (tmp_path / "jobs.csv").write_text("job_id\nj1\n")
    answer = cli("data", "check", tmp_path, "--json")
    assert answer.code == 2
    assert json.loads(answer.out)["jobs"]["problems"]
