# SPDX-License-Identifier: Apache-2.0
"""Commands of other packages: found by name, loaded only when wanted, missed with a remedy."""

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from gcnloom.cli import plugins
from tests.sw.cli import run

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def install(monkeypatch):
    def installed(**commands):
        entries = [EntryPoint(name, value, plugins.GROUP) for name, value in commands.items()]
        monkeypatch.setattr(
            plugins, "entry_points", lambda group: entries if group == plugins.GROUP else []
        )

    return installed


@pytest.fixture
def greeter(monkeypatch):
    def add_command(commands):
        parser = commands.add_parser("greet")
        parser.add_argument("--name")
        parser.set_defaults(run=lambda options: print(f"hello {options.name}") or 7)

    module = ModuleType("greeter")
    module.add_command = add_command
    monkeypatch.setitem(sys.modules, "greeter", module)
    return "greeter:add_command"


def test_a_command_of_another_package_runs_with_its_own_options(capsys, install, greeter):
    install(greet=greeter)
    done = run(capsys, "greet", "--name", "you")
    assert (done.code, done.out) == (7, "hello you\n")
    assert "--name" in run(capsys, "greet", "--help").out


def test_other_commands_neither_load_nor_lose_it(capsys, install):
    install(greet="no.such.module:add_command", bench="no.such.module:add_command")
    done = run(capsys, "--help")
    assert done.code == 0 and "greet" in done.out and plugins.SIMULATION["bench"][:20] in done.out
    assert run(capsys, "info", "--json", "-").code == 0


@pytest.mark.parametrize("name", plugins.SIMULATION)
def test_without_simulation_its_commands_say_what_to_install(capsys, install, name):
    install()
    done = run(capsys, name, "--help")
    assert done.code == 2
    assert done.err == (
        f"gcnloom: error: {name!r} needs simulation; try: pip install 'gcnloom[sim]'\n"
    )


def test_a_package_that_is_missing_is_named(capsys, install):
    install(bench="no_such_package.bench:add_command")
    done = run(capsys, "bench")
    assert done.code == 2 and "no_such_package" in done.err and "pip install" in done.err


def test_the_project_registers_commands_that_there_are():
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    registered = project["entry-points"][plugins.GROUP]
    assert registered.keys() == (plugins.SIMULATION | plugins.BOARDS).keys()
    pytest.importorskip("amaranth")
    for name, value in registered.items():
        assert callable(EntryPoint(name, value, plugins.GROUP).load())
