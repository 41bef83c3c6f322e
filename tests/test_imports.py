"""The house has one direction: what a package may import, and what no package may do, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "market": set(),
    "gpu_index": {"market"},
    "graph": {"market", "gpu_index"},
    "organic": {"market", "gpu_index"},
    "targeting": {"market", "gpu_index", "graph", "organic"},
    "sim": {"market", "gpu_index", "graph", "organic", "targeting"},
    "hiregraph": {"market", "gpu_index", "graph", "organic", "targeting", "sim"},
}
BESIDE_THE_PACKAGES = {"tests": set(), "bench": {"hiregraph"}}  # and who may call them: `hiregraph bench` runs bench
READS_THE_ENVIRONMENT = {"hiregraph/settings.py"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.jit.load", "pandas.read_pickle", "pd.read_pickle"}
UNSAFE_CALLS |= {"yaml.load", "yaml.unsafe_load", "faiss.read_index", "tarfile.open", "shutil.unpack_archive"}
SECRETS = {"secret", "signature", "mac", "api_key", "token_secret", "password", "authorization"}
STATEMENTS = {"text", "execute", "executemany", "executescript", "exec_driver_sql", "scalar", "scalars"}
MAKES_STATEMENTS = {
    "targeting/storage/database.py",  # PRAGMAs from a tuple in the same file
    "targeting/storage/postgres.py",  # names of the server's settings from a tuple in the same function
    "targeting/migrations/",  # names of tables from tuples in the same file
}
ARRAY_READERS = {"np.load", "numpy.load"}


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """(path below the root, syntax tree) of every module of the packages."""
    for package in MAY_IMPORT:
        for path in sorted((root / package).rglob("*.py")):
            yield path.relative_to(root).as_posix(), ast.parse(path.read_text(), str(path))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, wherever it stands; a relative import is called by its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and dotted(node.func) in (
            "__import__",
            "import_module",
            "importlib.import_module",
        ):
            first = node.args[0] if node.args else None
            yield node.lineno, first.value if isinstance(first, ast.Constant) else "a computed name"


def dotted(node: ast.AST) -> str:
    """The dotted name of an expression, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def arrows_back(root: Path) -> list[str]:
    found = []
    for path, tree in modules(root):
        package = path.split("/")[0]
        for line, module in imported(tree):
            target = module.split(".")[0]
            ours = target in MAY_IMPORT and target != package and target not in MAY_IMPORT[package]
            beside = package not in BESIDE_THE_PACKAGES.get(target, {package})
            if ours or beside or not target or module == "a computed name":
                found.append(f"{path}:{line} imports {module}")
    return found


def environment_readers(root: Path) -> list[str]:
    found = []
    for path, tree in modules(root):
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [dotted(node)]
            if any(name.split(".")[-1] in ("environ", "environb", "getenv", "getenvb", "putenv") for name in names):
                found.append(f"{path}:{node.lineno}")
    return [place for place in dict.fromkeys(found) if place.split(":")[0] not in READS_THE_ENVIRONMENT]


def unsafe_reads(root: Path) -> list[str]:
    found = []
    for path, tree in modules(root):
        found += [
            f"{path}:{line} {module}" for line, module in imported(tree) if module.split(".")[0] in UNSAFE_MODULES
        ]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = dotted(node.func)
            options = {option.arg: option.value for option in node.keywords}
            allowed = options.get("allow_pickle")
            if name in UNSAFE_CALLS:
                found.append(f"{path}:{node.lineno} {name}")
            elif name in ARRAY_READERS and not (isinstance(allowed, ast.Constant) and allowed.value is False):
                found.append(f"{path}:{node.lineno} {name} without allow_pickle=False")
    return found


def plain_comparisons_of_secrets(root: Path) -> list[str]:
    """`==` on a secret: it takes the longer the more of a guess is right; hmac.compare_digest does not."""
    found = []
    for path, tree in modules(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In) for op in node.ops):
                names = {dotted(side).split(".")[-1].strip("_").lower() for side in (node.left, *node.comparators)}
                found += [f"{path}:{node.lineno} {name}" for name in names & SECRETS]
    return found


def composed_statements(root: Path) -> list[str]:
    """SQL put together from parts: values belong into bound parameters, and names into SQLAlchemy's columns."""
    found = []
    for path, tree in modules(root):
        if path.startswith(tuple(MAKES_STATEMENTS)):
            continue
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and node.args and _last_name(node.func) in STATEMENTS):
                continue
            first = node.args[0]
            formatted = isinstance(first, ast.Call) and _last_name(first.func) == "format"
            added = isinstance(first, ast.BinOp) and any(
                isinstance(part, ast.Constant | ast.JoinedStr) for part in (first.left, first.right)
            )
            parts = [part for part in ast.walk(first) if isinstance(part, ast.FormattedValue)]
            if (isinstance(first, ast.JoinedStr) and parts) or formatted or added:
                found.append(f"{path}:{node.lineno}")
    return found


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def undocumented(root: Path) -> list[str]:
    """Modules that hold code but do not say what for; an empty `__init__.py` has nothing to say."""
    return [path for path, tree in modules(root) if tree.body and not ast.get_docstring(tree)]


def test_all_packages_are_there_and_are_read():
    assert {path.split("/")[0] for path, _ in modules(ROOT)} == set(MAY_IMPORT)


def test_no_arrow_runs_back():
    assert arrows_back(ROOT) == []


def test_the_allowed_directions_have_no_circle():
    for package, allowed in MAY_IMPORT.items():
        assert all(package not in MAY_IMPORT[other] for other in allowed)
        assert all(MAY_IMPORT[other] <= allowed for other in allowed)
    assert "organic" not in MAY_IMPORT["graph"]
    assert "graph" not in MAY_IMPORT["organic"]


def test_only_the_settings_read_the_environment():
    assert environment_readers(ROOT) == []


def test_nothing_that_could_run_code_is_read():
    assert unsafe_reads(ROOT) == []


def test_no_secret_is_compared_with_an_equals_sign():
    assert plain_comparisons_of_secrets(ROOT) == []


def test_no_statement_is_put_together_from_parts():
    assert composed_statements(ROOT) == []


def test_every_module_says_what_it_is_for():
    assert undocumented(ROOT) == []


PLANTED = '"""A module."""\n'


@pytest.fixture
def house(tmp_path):
    """A house of one clean module a package, and a way to plant a line in one of them."""

    def plant(package: str, line: str) -> Path:
        for name in MAY_IMPORT:
            (tmp_path / name).mkdir()
            (tmp_path / name / "module.py").write_text(PLANTED)
        (tmp_path / package / "module.py").write_text(PLANTED + line + "\n")
        return tmp_path

    return plant


@pytest.mark.parametrize(
    ("package", "line", "arrow"),
    [
        ("market", "import gpu_index", "imports gpu_index"),
        ("graph", "from organic.towers import Towers", "imports organic.towers"),
        ("organic", "import json, graph.links as links", "imports graph.links"),
        ("gpu_index", "def late():\n    from targeting import plan", "imports targeting"),
        ("targeting", "if False:\n    import sim.world", "imports sim.world"),
        ("sim", "import importlib\nimportlib.import_module('hiregraph.cli')", "imports hiregraph.cli"),
        ("sim", "from importlib import import_module\nimport_module('hire' + 'graph')", "imports a computed name"),
        ("graph", "from .hires import confirm", "imports .hires"),
        ("sim", "import bench.run", "imports bench.run"),
        ("hiregraph", "from tests.organic import small_market", "imports tests.organic"),
    ],
)
def test_a_planted_arrow_is_found(house, package, line, arrow):
    found = arrows_back(house(package, line))
    assert len(found) == 1
    assert found[0].startswith(f"{package}/module.py:")
    assert found[0].endswith(arrow)


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (
            "graph",
            "import marketing, numpy as np\nfrom market.errors import DataError\nfrom graph.links import LinkSet",
        ),
        ("hiregraph", "from sim.world import World\nimport targeting.plan, bench.run"),
    ],
)
def test_an_arrow_that_runs_down_is_no_offence(house, package, line):
    assert arrows_back(house(package, line)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import os\nos.environ['HOME']",
        "import os\nx = os.getenv('HOME')",
        "from os import environ",
        "import os as system\nsystem.environ.get('HOME')",
    ],
)
def test_a_planted_look_at_the_environment_is_found(house, line):
    assert len(environment_readers(house("organic", line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "eval('1')",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import pandas as pd\npd.read_pickle('x')",
    ],
)
def test_a_planted_unsafe_read_is_found(house, line):
    assert len(unsafe_reads(house("graph", line))) == 1


@pytest.mark.parametrize(
    "line", ["x = secret == given", "x = given != token.signature", "x = self._secret in (a, b)", "x = a == api_key"]
)
def test_a_planted_comparison_of_a_secret_is_found(house, line):
    assert len(plain_comparisons_of_secrets(house("targeting", line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "session.execute(text(f'SELECT {x}'))",
        "text('SELECT %s' % x)",
        "text('SELECT ' + x)",
        "connection.exec_driver_sql('SELECT {}'.format(x))",
    ],
)
def test_a_planted_statement_from_parts_is_found(house, line):
    assert len(composed_statements(house("targeting", line))) == 1


def test_bound_parameters_and_compare_digest_are_no_offence(house):
    line = "session.execute(text('SELECT :x'), {'x': 1})\nhmac.compare_digest(secret, given)\nsession.execute(query)"
    root = house("targeting", line)
    assert composed_statements(root) == plain_comparisons_of_secrets(root) == []


def test_safe_reads_and_a_model_that_evaluates_are_no_offence(house):
    line = "import numpy as np\nnp.load('x', allow_pickle=False)\nnet.eval()\nretrieval('x')"
    assert unsafe_reads(house("graph", line)) == []


def test_a_module_without_a_docstring_is_found(house):
    root = house("sim", "")
    (root / "sim" / "module.py").write_text("x = 1\n")
    (root / "sim" / "__init__.py").write_text("")
    assert undocumented(root) == ["sim/module.py"]
