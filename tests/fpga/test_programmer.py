# SPDX-License-Identifier: Apache-2.0
"""Bitstreams go to boards through their tools, and what went wrong is said with its remedy."""

import struct
import zlib

import pytest

from gcnloom_fpga.board import Board
from gcnloom_fpga.programmer import dfu_suffix, send, udev_rules
from gcnloom_spec.toolchain import ToolError


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Stand in for every programmer: keeps its arguments and file, answers as it is told."""

    def make(answer="done", code=0):
        script = tmp_path / "tool"
        script.write_text(
            f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n'
            f'for last; do true; done; cp "$last" {tmp_path}/sent\necho "{answer}"\nexit {code}\n'
        )
        script.chmod(0o755)
        for variable in ("OPENFPGALOADER", "ICEPROG", "DFU_UTIL"):
            monkeypatch.setenv(variable, str(script))
        return tmp_path / "arguments"

    return make


@pytest.fixture
def bitstream(tmp_path):
    path = tmp_path / "top.bit"
    path.write_bytes(b"bits of a bitstream")
    return path


@pytest.mark.parametrize(
    ("name", "flash", "arguments"),
    [
        ("ulx3s-85f", False, "-b ulx3s"),
        ("tangnano9k", True, "-b tangnano9k -f"),
        ("icebreaker", False, "-S"),
        ("icebreaker", True, ""),
    ],
)
def test_the_boards_tool_gets_its_arguments_and_the_file(name, flash, arguments, tool, bitstream):
    said = tool()
    send(Board.named(name), bitstream, flash=flash)
    assert said.read_text().strip() == f"{arguments} {bitstream}".strip()


def test_a_boot_loader_gets_a_file_that_says_for_whom_it_is(tool, bitstream, tmp_path):
    said = tool()
    send(Board.named("orangecrab-25f"), bitstream, flash=True)
    assert said.read_text().startswith("-d 1209:5af0 -a 0 -D ")
    sent = (tmp_path / "sent").read_bytes()
    assert sent[:-16] == bitstream.read_bytes()
    # USB Device Firmware Upgrade 1.1, appendix B.
    fields = struct.unpack("<HHHH3sBI", sent[-16:])
    assert fields[:6] == (0xFFFF, 0x5AF0, 0x1209, 0x0100, b"UFD", 16)
    assert fields[6] == ~zlib.crc32(sent[:-4]) & 0xFFFFFFFF
    assert dfu_suffix(b"", "1209:5af0")[:12] == sent[-16:-4]


def test_a_board_without_a_way_says_the_other(bitstream):
    with pytest.raises(ToolError, match="no way to program; try gcnloom flash"):
        send(Board.named("orangecrab-25f"), bitstream, flash=False)


def test_a_missing_permission_comes_with_the_udev_rule(tool, bitstream):
    board = Board.named("ulx3s-85f")
    tool("unable to open ftdi device: -4 (usb_open() failed)", code=1)
    with pytest.raises(ToolError) as error:
        send(board, bitstream, flash=False)
    assert "99-gcnloom.rules" in str(error.value)
    assert udev_rules(board) in str(error.value)
    assert 'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015"' in udev_rules(board)


def test_another_failure_has_no_rule_in_it(tool, bitstream):
    tool("JTAG chain is broken", code=3)
    with pytest.raises(ToolError, match="exit code 3") as error:
        send(Board.named("ulx3s-85f"), bitstream, flash=False)
    assert "udev" not in str(error.value)


def test_a_missing_library_is_named(tool, bitstream):
    tool("error while loading shared libraries: libusb-1.0.so.0: cannot open it", code=127)
    with pytest.raises(ToolError, match=r"needs libusb-1.0.so; install"):
        send(Board.named("ulx3s-85f"), bitstream, flash=False)


def test_a_missing_tool_is_one_sentence_with_the_remedy(bitstream, monkeypatch, tmp_path):
    monkeypatch.delenv("ICEPROG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"iceprog is neither .* try: install .*icestorm"):
        send(Board.named("icebreaker"), bitstream, flash=True)
