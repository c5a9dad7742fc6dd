# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, and what every source file looks like."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("hw", "sw", "sim", "fpga")
LONGEST = 300
OURS = {
    "gcnloom_spec": set(),
    "gcnloom_hw": {"gcnloom_spec"},
    "gcnloom": {"gcnloom_spec"},
    "gcnloom_sim": {"gcnloom_hw", "gcnloom", "gcnloom_spec"},
    "gcnloom_fpga": {"gcnloom_hw", "gcnloom_spec"},
}
HARDWARE = {"amaranth", "amaranth_boards", "cocotb", "cocotb_tools"}
FORBIDDEN = {
    "gcnloom_spec": HARDWARE | {"scipy", "sklearn", "pymetis", "tests"},
    "gcnloom_hw": {"numpy", "scipy", "sklearn", "cocotb", "cocotb_tools", "tests"},
    "gcnloom": HARDWARE | {"tests"},
    "gcnloom_sim": {"tests"},
    "gcnloom_fpga": {"cocotb", "cocotb_tools", "tests"},
}


def _sources():
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _everything():
    return _sources() + sorted((ROOT / "tests").rglob("*.py"))


def _package(path):
    return path.relative_to(ROOT).parts[1]


def _imports(tree, package):
    """Top-level names that a module imports, `import_module("name")` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield package if node.level else (node.module or "").split(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value).split(".")[0]


def _violations(text, package):
    allowed = OURS[package] | {package}
    return {
        name
        for name in _imports(ast.parse(text), package)
        if (name in OURS and name not in allowed) or name in FORBIDDEN[package]
    }


def _name(path):
    return str(path.relative_to(ROOT))


def test_every_package_is_where_it_belongs():
    assert {_package(path) for path in _sources()} == set(OURS)


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_imports_follow_the_arrows(path):
    assert _violations(path.read_text(encoding="utf-8"), _package(path)) == set()


@pytest.mark.parametrize(
    ("package", "text", "culprit"),
    [
        ("gcnloom_hw", "import numpy as np", "numpy"),
        ("gcnloom_hw", "def f():\n    from gcnloom.programs.program import Program", "gcnloom"),
        ("gcnloom", "from amaranth.back import verilog", "amaranth"),
        ("gcnloom", "import gcnloom_sim.model", "gcnloom_sim"),
        ("gcnloom", "import importlib\nimportlib.import_module('gcnloom_sim.rtl')", "gcnloom_sim"),
        ("gcnloom_spec", "from gcnloom_hw import layout", "gcnloom_hw"),
        ("gcnloom_fpga", "import gcnloom_sim", "gcnloom_sim"),
        ("gcnloom_sim", "from tests.conftest import seeds", "tests"),
    ],
)
def test_a_wrong_import_is_seen(package, text, culprit):
    assert _violations(text, package) == {culprit}


@pytest.mark.parametrize("path", _everything(), ids=_name)
def test_file_has_its_licence_and_is_one_idea_long(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.name == "__init__.py" and not lines:
        return
    assert lines[0] == "# SPDX-License-Identifier: Apache-2.0"
    assert len(lines) <= LONGEST, f"{_name(path)} has {len(lines)} lines; split it"


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_errors_are_exceptions_and_no_assertions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []
