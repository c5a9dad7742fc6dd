# SPDX-License-Identifier: Apache-2.0
"""The command line trains on a board as on anything else."""

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gcnloom import transport
from tests.sw.cli import run
from tests.sw.serial_link import board, pty

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
ENTRIES = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["entry-points"][transport.GROUP]
TRAIN = [
    *("train", "--data", "sbm:24,2", "--hidden", "3", "--epochs", "3", "--json", "-", "-q"),
    "--force",
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The entry points of this tree, whatever is installed."""
    entries = [EntryPoint(name, value, transport.GROUP) for name, value in ENTRIES.items()]
    monkeypatch.setattr(transport, "entry_points", lambda group: entries)


def test_a_board_trains_as_the_model_does(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pty(board()) as port:
        there = run(capsys, *TRAIN, "--device", f"serial://{port}")
    here = run(capsys, *TRAIN, "--device", "model", "--config", "odd")
    assert there.code == here.code == 0, there.err
    ours, theirs = there.json(), here.json()
    assert ours["config"] == theirs["config"] == "odd"
    assert ours["weights_sha256"] == theirs["weights_sha256"]


@pytest.mark.parametrize(
    ("option", "what"),
    [
        (["--memory-megabytes", "8"], "try without memory_megabytes"),
        (["--memory", "ideal"], "try without memory"),
        (["--config", "smallest"], "try opening it with its own configuration"),
    ],
)
def test_options_that_a_board_does_not_have_are_mistakes(
    capsys, tmp_path, monkeypatch, option, what
):
    monkeypatch.chdir(tmp_path)
    with pty(board()) as port:
        outcome = run(capsys, *TRAIN, "--device", f"serial://{port}", *option)
    assert outcome.code == 2
    assert what in outcome.err
