# SPDX-License-Identifier: Apache-2.0
"""What `gcnloom boards`, `build`, `program`, `flash` and `report` answer."""

import argparse
import json
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from gcnloom_fpga import command
from gcnloom_fpga.boards.files import board_names
from gcnloom_fpga.flow.picture import floorplan_picture, units
from gcnloom_fpga.tools import cached, run
from gcnloom_spec.toolchain import Program, Tool
from tests.fpga.test_build import _result

COMMANDS = ("boards", "build", "program", "flash", "report")


def _run(*arguments):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name in COMMANDS:
        getattr(command, f"add_{name}")(commands)
    options = parser.parse_args(arguments)
    return options.run(options)


def test_every_command_is_an_entry_point():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["project"]["entry-points"]["gcnloom.command"]
    for name in COMMANDS:
        module, function = entries[name].split(":")
        assert callable(getattr(import_module(module), function))


def test_boards_are_listed_as_a_table_and_as_json(capsys):
    assert _run("boards") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == board_names()
    assert "LFE5U-85F-6BG381C" in next(line for line in lines if line.startswith("ulx3s-85f"))
    assert _run("boards", "--json") == 0
    assert [each["board"] for each in json.loads(capsys.readouterr().out)] == board_names()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "--board", "ulx4s"), "unknown board 'ulx4s'; try one of colorlight-i5"),
        (("build", "--board", "icebreaker", "--sys-clk-freq", "24"), "--sys-clk-freq 24 is not"),
        (("build", "--board", "icebreaker", "--sys-clk-freq", "nan"), "--sys-clk-freq nan is not"),
        (("build", "--board", "icebreaker", "--seeds", "0"), "--seeds 0 leaves nothing"),
        (("build", "--board", "icebreaker", "--config", "none"), "configuration 'none'"),
        (("program", "--board", "icebreaker"), "try gcnloom build --board icebreaker"),
        (("flash", "--board", "icebreaker", "nowhere.bin"), "there is no nowhere.bin"),
        (("report", "icebreaker"), "cannot read build/icebreaker/report.json"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _run(*arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("gcnloom: error: ") and said in error


def test_a_report_is_printed_again_by_board_folder_and_file(capsys, tmp_path, monkeypatch):
    folder = tmp_path / "build" / "icebreaker"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(_result()))
    monkeypatch.chdir(tmp_path)
    for given in ("icebreaker", str(folder), str(folder / "report.json")):
        assert _run("report", given) == 0
        assert "5000 of   5280   94.7 %" in capsys.readouterr().out
    (folder / "report.json").write_text("{}")
    assert _run("report", "icebreaker") == 2


def test_units_are_told_apart_where_the_cells_part():
    names = [f"shell.accelerator.aggregate.x{n}" for n in range(6)]
    names += [f"shell.accelerator.update.lane.x{n}" for n in range(3)]
    names += ["shell.accelerator.update.y", "shell.link.z", "pll", "reset.count"]
    found = units(names)
    assert found["shell.accelerator.aggregate.x0"] == "aggregate"
    assert found["shell.accelerator.update.lane.x2"] == "update"
    assert (found["shell.link.z"], found["pll"], found["reset.count"]) == (
        "link", "others", "reset",
    )  # fmt: skip


def test_the_picture_has_each_units_tiles_in_runs():
    cells = {
        f"shell.a.x{n}": {"attributes": {"NEXTPNR_BEL": f"X{n}/Y2/SLICEA.COMB0"}} for n in range(3)
    }
    cells |= {f"shell.b.x{n}": {"attributes": {"NEXTPNR_BEL": "X2/Y2/lc1"}} for n in range(2)}
    cells["unplaced"] = {"attributes": {}}
    picture = floorplan_picture({"cells": cells}, title="a < b")
    # The third tile has two cells of b and one of a.
    assert 'd="M0 2h2v1h-2z"' in picture and 'd="M2 2h1v1h-1z"' in picture
    assert ">a (3)<" in picture and ">b (2)<" in picture and "a &lt; b" in picture


def _script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_old_program_on_the_path_is_passed_over(tmp_path, monkeypatch):
    _script(tmp_path / "synth", "echo Synth 0.23")
    wheel = _script(tmp_path / "wheeled", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.70")
    program = Program(
        name="synth", variable="SYNTH", wheel="wheel", executable="wheeled",
        pattern=r"Synth (\S+)",
    )  # fmt: skip
    assert program.find().version == "0.23"
    assert program.find(oldest="0.9").version == "0.23"
    assert program.find(oldest="0.60").command == str(wheel)


def test_interrupted_work_leaves_neither_a_program_nor_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("gcnloom_fpga.tools.cache_folder", lambda: tmp_path)
    script = _script(tmp_path / "slow", "echo started; exec sleep 600")
    tool = Tool(command=str(script), origin="PATH", version="0")

    def interrupt(line):
        raise KeyboardInterrupt

    def produce(folder):
        run(tool, (), folder=folder, watch=interrupt)

    with pytest.raises(KeyboardInterrupt):
        cached(("work",), produce)
    assert list((tmp_path / "fpga").iterdir()) == []
