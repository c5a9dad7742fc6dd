# SPDX-License-Identifier: Apache-2.0
"""A board is built to its bitstream; what is too large, too slow or missing is said."""

import json

import pytest

from gcnloom_fpga.board import Board
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.flow.build import Build, build
from gcnloom_fpga.flow.document import shortcomings, table
from gcnloom_fpga.flow.progress import Narrator, nextpnr_watch, yosys_watch
from gcnloom_spec.toolchain import YOSYS, ToolError
from tests.fpga.test_top import _missing
from tests.fpga.tiny import tiny_top


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    # Not by an environment variable: wheels keep their compiled programs in the same place.
    cache = tmp_path / "cache"
    monkeypatch.setattr("gcnloom_fpga.tools.cache_folder", lambda: cache)


class Lines:
    """A stream that keeps what is written."""

    def __init__(self, terminal=False):
        self.text, self._terminal = "", terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return self._terminal


def _built(name, tmp_path, *, seeds=(1,), **options):
    top = tiny_top(name, **options)
    family = FAMILIES[top.board.part.family]
    if _missing(YOSYS, family.nextpnr, family.packer):
        pytest.skip(f"the tools for {top.board.part.name} are not installed")
    said = Lines()
    plan = Build(
        top=top, config=top.board.config, seeds=seeds, output=tmp_path / "out", command="none"
    )
    return build(plan, Narrator(said)), tmp_path / "out", said.text


@pytest.mark.synth
@pytest.mark.parametrize(
    ("name", "begins", "least"),
    [
        # First bytes: those of a comment, of a comment, and the first of many ones as text.
        ("ulx3s-25f", b"\xff\x00", 50_000),
        ("icebreaker", b"\xff\x00", 100_000),
        ("tangnano9k", b"1111", 100_000),
    ],
)
def test_a_board_of_each_family_is_built_to_its_bitstream(name, begins, least, tmp_path):
    result, folder, said = _built(name, tmp_path)
    assert result["stage"] == "packed" and "synthesis" in said and "seed 1" in said
    stream = (folder / result["bitstream"]["name"]).read_bytes()
    assert stream.startswith(begins) and len(stream) == result["bitstream"]["bytes"] > least
    # The counter and what is received need a register each.
    assert 22 <= result["used"]["FF"]["used"] <= 200
    assert 20 <= result["used"]["LUT"]["used"] <= 300
    assert result["fmax_mhz"]["min"] > result["clock"]["hertz"] / 1e6
    assert json.loads((folder / "report.json").read_text()) == json.loads(json.dumps(result))
    picture = (folder / "floorplan.svg").read_text()
    assert picture.startswith("<svg") and len(picture) < 100_000


@pytest.mark.synth
def test_what_misses_its_clock_is_an_error_with_a_report_and_no_bitstream(tmp_path):
    with pytest.raises(ToolError, match=r"reaches [\d.]+ MHz with 2 seeds, less than .* 120; try"):
        _built("icebreaker", tmp_path, seeds=(1, 2), hertz=120e6)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["seed"] for each in report["seeds"]] == [1, 2]
    assert report["fmax_mhz"]["min"] <= report["fmax_mhz"]["median"] <= report["fmax_mhz"]["max"]
    assert not list((tmp_path / "out").glob("top.*"))


@pytest.mark.synth
def test_a_build_is_kept_and_a_stop_after_synthesis_has_no_rate(tmp_path):
    first, _, _ = _built("icebreaker", tmp_path, seeds=())
    assert first["stage"] == "synthesised" and "fmax_mhz" not in first
    kept = sorted((tmp_path / "cache" / "fpga").iterdir())
    again, _, _ = _built("icebreaker", tmp_path, seeds=())
    assert again == first
    assert sorted((tmp_path / "cache" / "fpga").iterdir()) == kept


def test_a_synthesis_that_fails_ends_with_what_the_tool_said(tmp_path, monkeypatch):
    script = tmp_path / "yosys"
    script.write_text('#!/bin/sh\necho "Yosys 0.99"\necho "ERROR: no such cell"\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("YOSYS", str(script))
    monkeypatch.setattr("gcnloom_fpga.flow.synthesis.limit_multipliers", lambda *_, **__: "")
    top = tiny_top("icebreaker")
    plan = Build(
        top=top, config=top.board.config, seeds=(), output=tmp_path / "out", command="none"
    )
    with pytest.raises(ToolError, match=r"(?s)exit code 1.*no such cell.*; try another version"):
        build(plan, Narrator(Lines()))


def _result(**changes):
    board = Board.named("icebreaker")
    result = {
        "board": "icebreaker", "title": board.title, "part": board.part.name, "memory": "none",
        "config": {"digest": "0", "multipliers": 2}, "stage": "packed",
        "clock": {"hertz": 24e6, "source": 12e6},
        "used": {"LUT": {"used": 5000, "available": 5280, "percent": 94.7},
                 "DSP": {"used": 8, "available": 8, "percent": 100.0}},
        "budget": dict(board.budget), "tools": {"synthesis": "synth"},
        "seeds": [{"seed": 3, "fmax_mhz": 24.5}], "fmax_mhz": {"max": 24.5, "median": 24.5},
        "critical_path": {"from": "a", "to": "b", "nanoseconds": 40.8, "parts": {}},
        "bitstream": {"name": "top.bin", "bytes": 5, "seed": 3},
    }  # fmt: skip
    return result | changes


def test_a_build_within_its_limits_has_no_shortcomings():
    assert shortcomings(_result()) is None
    assert "Fmax 24.5 (seed 3) MHz; median 24.5" in table(_result())


def test_shortcomings_come_with_numbers_and_a_hint():
    over = _result(used={"LUT": {"used": 5100, "available": 5280, "percent": 96.6}})
    assert shortcomings(over) == (
        "icebreaker is over budget: 5100 of 5280 look-up tables (96.6 %, the budget is 95); "
        "try a smaller configuration with --config"
    )
    slow = _result(fmax_mhz={"max": 23.9, "median": 23.9})
    assert shortcomings(slow) == (
        "icebreaker reaches 23.9 MHz with 1 seed, less than its clock of 24; "
        "try --sys-clk-freq 23e6, or --seeds 5"
    )


def test_progress_says_phase_and_share_of_routing():
    said = []
    watch = nextpnr_watch(said.append)
    for line in (
        "Info: Packing constants..",
        "Info: Creating initial analytic placement for 14811 cells, random placement wirelen = 1.",
        "Info:     at iteration #2, type ALL: wirelen solved = 1, spread = 2, legal = 3;",
        "Info: Routing 2000 arcs.",
        "Info:       1000 |      106        893 |  106   893 |       500|       0.35       0.35|",
        "Info:     iter=3 wires=900 overused=40 overuse=60 archfail=NA",
    ):
        watch(line)
    assert said == [
        "packing", "placing", "placing, round 2", "routing 75 %",
        "routing, round 3: 40 wires overused",
    ]  # fmt: skip
    yosys_watch(said.append)("2.17. Executing ABC pass (technology mapping using ABC).\n")
    assert said[-1] == "abc"


def test_a_terminal_has_one_line_and_a_file_few(monkeypatch):
    terminal, file = Lines(terminal=True), Lines()
    for stream in (terminal, file):
        narrator = Narrator(stream)
        narrator.step("seed 1")
        for share in range(5):
            narrator.detail(f"{share} %")
        narrator.close()
    assert terminal.text.count("\n") == 0 and terminal.text.endswith("seed 1: 4 %\r\x1b[K")
    assert file.text == "seed 1\n"
    quiet = Lines(terminal=True)
    Narrator(quiet, quiet=True).step("seed 1")
    assert quiet.text == ""
