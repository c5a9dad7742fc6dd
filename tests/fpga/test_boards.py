# SPDX-License-Identifier: Apache-2.0
"""Boards are what amaranth-boards says of them, and a board file's mistakes are named."""

import importlib
from collections import Counter
from pathlib import Path

import pytest

from gcnloom_fpga.board import Board
from gcnloom_fpga.boards.files import board_names, board_table
from gcnloom_fpga.part import part_named
from gcnloom_fpga.top.shell import board_top
from tests.fpga.tiny import tiny_top

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "icepi-zero.toml")
ALL = [*board_names(), EXAMPLE]
THEIRS = {
    "ulx3s-12f": ("ulx3s", "ULX3S_12F_Platform"),
    "ulx3s-25f": ("ulx3s", "ULX3S_25F_Platform"),
    "ulx3s-45f": ("ulx3s", "ULX3S_45F_Platform"),
    "ulx3s-85f": ("ulx3s", "ULX3S_85F_Platform"),
    "ecpix5-45": ("ecpix5", "ECPIX545Platform"),
    "ecpix5-85": ("ecpix5", "ECPIX585Platform"),
    "orangecrab-25f": ("orangecrab_r0_2", "OrangeCrabR0_2_25FPlatform"),
    "orangecrab-85f": ("orangecrab_r0_2", "OrangeCrabR0_2_85FPlatform"),
    "icebreaker": ("icebreaker", "ICEBreakerPlatform"),
    "tangnano9k": ("tang_nano_9k", "TangNano9kPlatform"),
    EXAMPLE: ("icepi_zero", "IcepiZero1_3Platform"),
}


@pytest.fixture
def theirs(request):
    pytest.importorskip("amaranth_boards")
    module, name = THEIRS[request.param]
    platform = getattr(importlib.import_module(f"amaranth_boards.{module}"), name)
    resources = {(each.name, each.number): each for each in platform.resources}
    return request.param, platform, resources


def _pins(resource, name=None):
    for io in resource.ios:
        if name is None:
            return io.names
        if io.name == name:
            return io.ios[0].names
    return None


@pytest.mark.parametrize("theirs", THEIRS, indirect=True, ids=lambda name: Path(name).stem)
def test_part_and_pins_are_those_of_amaranth_boards(theirs):
    name, platform, resources = theirs
    board = Board.named(name)
    clock = resources[platform.default_clk, 0]
    assert ([board.oscillator.pin], board.oscillator.hertz) == (
        _pins(clock), clock.clock.frequency,
    )  # fmt: skip
    if ("uart", 0) in resources:
        uart = resources["uart", 0]
        assert ([board.uart.rx], [board.uart.tx]) == (_pins(uart, "rx"), _pins(uart, "tx"))
    else:
        header = {each.name: each for each in platform.connectors}["io"].mapping
        assert (board.uart.rx, board.uart.tx) == (header["0"], header["1"])
    if ("sdram", 0) in resources and board.sdram:
        for line, pins in board.sdram.pins.items():
            assert list(pins) == _pins(resources["sdram", 0], line), line
        assert set(board.sdram.pins) == {io.name for io in resources["sdram", 0].ios}
    lights = {
        pin: line.invert
        for (kind, _), resource in resources.items()
        if kind.startswith(("led", "rgb_led"))
        for io in resource.ios
        for line in getattr(io, "ios", [io])
        for pin in line.names
    }
    assert lights[board.led.pin] == board.led.inverted
    if hasattr(platform, "speed"):
        assert board.part.name.startswith(f"{platform.device}-{platform.speed}{platform.package}")
    else:
        given = getattr(platform, "part", None) or f"{platform.device}-{platform.package}"
        assert board.part.name == given


@pytest.mark.parametrize("name", ALL, ids=lambda name: Path(name).stem)
def test_every_board_elaborates_with_every_pin_used_once(name):
    top = tiny_top(name)
    text = top.netlist()
    assert all(f"\\{port.partition('[')[0]}" in text for port in top.pins)
    assert max(Counter(top.pins.values()).values()) == 1
    assert top.board.uart.baud <= top.plan.hertz / 4


@pytest.mark.parametrize(
    ("name", "memory"), [("colorlight-i5", "partial_state"), ("icebreaker", "SB_SPRAM256KA")]
)
def test_a_whole_shell_elaborates_with_the_boards_memory(name, memory):
    board = Board.named(name)
    text = board_top(board, board.config, board.hertz).netlist()
    assert "module \\top" in text and "accelerator" in text
    assert memory in text


def test_the_example_is_short():
    assert len(Path(EXAMPLE).read_text(encoding="utf-8").splitlines()) < 50


def test_nextpnr_is_told_of_the_part_as_it_calls_it():
    assert part_named("LFE5UM5G-45F-8BG554I").options == (
        "--um5g-45k", "--package", "CABGA554", "--speed", "8",
    )  # fmt: skip
    assert part_named("LFE5U-12F-6BG381C").options[0] == "--12k"
    assert part_named("LFE5U-12F-6BG381C").available["DSP"] == 28


@pytest.mark.parametrize("size", ["25", "45", "85"])
def test_sites_of_every_ecp5_are_as_many_as_it_has(size):
    part = part_named(f"LFE5U-{size}F-6BG381C")
    for kind in ("EBR", "DSP"):
        assert len({site.name for site in part.sites(kind)}) == part.available[kind]


def _changed(**changes):
    table = board_table("tangnano9k")
    for name, value in changes.items():
        table[name] = value
    return {name: value for name, value in table.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"uart": {"rx": "1"}}, r"\[uart\] has no tx"),
        ({"colour": "red"}, "unknown colour"),
        ({"part": "XC7A35T"}, "'XC7A35T' is unknown"),
        ({"memory_bytes": None}, "names no memory"),
        ({"spram": True}, "names two device memories"),
        ({"budget": {"LUT": 120}}, "budget LUT = 120"),
        ({"memory_bytes": None, "spram": True}, "has no SPRAM"),
        ({"tied": {"L2": 2}}, "pin L2 .* is tied to 2"),
        ({"config": {"base": "smallest", "lanes": 3}}, "lanes"),
        ({"memory_bytes": 1000}, "memory_bytes=1000"),
        ({"memory_bytes": 163840}, "no power of two"),
    ],
)
def test_mistakes_in_a_board_file_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        Board.from_mapping("mine", _changed(**changes))


def test_missing_sdram_pins_are_named():
    table = board_table("ulx3s-85f")
    table["sdram"] = table["sdram"] | {"pins": table["sdram"]["pins"] | {"dq": "A1 A2"}}
    with pytest.raises(ValueError, match="2 pins for dq"):
        Board.from_mapping("mine", table)
    del table["sdram"]["pins"]["we"]
    table["sdram"]["pins"]["dq"] = board_table("ulx3s-85f")["sdram"]["pins"]["dq"]
    with pytest.raises(ValueError, match="no pins for we"):
        Board.from_mapping("mine", table)


def test_a_board_can_be_like_another_but_not_like_itself(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('like = "icebreaker"\ntitle = "Mine"\nled = { pin = "11" }\n')
    board = Board.named(str(mine))
    assert (board.name, board.title, board.led.pin) == ("mine", "Mine", "11")
    assert board.led.inverted and board.uart == Board.named("icebreaker").uart
    mine.write_text(f'like = "{mine}"\n')
    with pytest.raises(ValueError, match="like itself"):
        Board.named(str(mine))


@pytest.mark.parametrize(
    ("name", "said"), [("ulx4s", "unknown board 'ulx4s'"), ("nowhere.toml", "cannot read")]
)
def test_an_unknown_board_is_said_with_those_there_are(name, said):
    with pytest.raises(ValueError, match=said):
        Board.named(name)
