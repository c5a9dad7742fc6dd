# SPDX-License-Identifier: Apache-2.0
"""Bring a bitstream to a board."""

import re
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from gcnloom_fpga.board import Board
from gcnloom_spec.toolchain import DFU_UTIL, ICEPROG, OPENFPGALOADER, ToolError

__all__ = ["RULES", "dfu_suffix", "send", "udev_rules"]

PROGRAMS = {"openFPGALoader": OPENFPGALOADER, "iceprog": ICEPROG, "dfu-util": DFU_UTIL}
RULES = "/etc/udev/rules.d/99-gcnloom.rules"
DENIED = (
    "permission", "insufficient", "access denied", "libusb_error_access", "unable to open ftdi",
    "can't find ice ftdi", "cannot open device", "usb_open", "error code -3", "(-3)", "(-4)",
)  # fmt: skip
"""What the tools say, in lower case, when they may not open the device."""


def udev_rules(board: Board) -> str:
    """Rules that let who sits at the machine use the board."""
    return "".join(
        f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
        'MODE="0660", TAG+="uaccess"\n'
        for vendor, _, product in (each.partition(":") for each in board.programmer.usb)
    )


def send(board: Board, bitstream: Path, *, flash: bool) -> None:
    """Configure the board's FPGA, or write its flash memory.

    Raises
    ------
    ToolError
        The board has no such way, the tool is missing, or it failed.
    """
    programmer = board.programmer
    arguments = programmer.flash if flash else programmer.program
    if arguments is None:
        wanted, other = ("flash", "program") if flash else ("program", "flash")
        raise ToolError(f"{board.title} has no way to {wanted}; try gcnloom {other}")
    if programmer.tool not in PROGRAMS:
        raise ToolError(
            f"board {board.name} is programmed with {programmer.tool!r}; "
            f"try one of {', '.join(PROGRAMS)}"
        )
    command = PROGRAMS[programmer.tool].find().command
    if programmer.tool != "dfu-util":
        _call(board, [command, *arguments, str(bitstream)])
        return
    with TemporaryDirectory() as folder:
        # The boot loader takes only what says that it is meant for it.
        suffixed = Path(folder) / f"{bitstream.stem}.dfu"
        data = bitstream.read_bytes()
        suffixed.write_bytes(data + dfu_suffix(data, programmer.usb[0]))
        _call(board, [command, *arguments, "-D", str(suffixed)])


def dfu_suffix(data: bytes, usb: str) -> bytes:
    """Suffix of a file for USB Device Firmware Upgrade 1.0: for whom it is, and a checksum."""
    vendor, product = (int(part, 16) for part in usb.split(":"))
    version, specification = 0xFFFF, 0x0100
    body = b"".join(
        field.to_bytes(2, "little") for field in (version, product, vendor, specification)
    )
    body += b"UFD" + bytes([16])
    return body + (zlib.crc32(data + body) ^ 0xFFFFFFFF).to_bytes(4, "little")


def _call(board: Board, command: Sequence[str]) -> None:
    ended = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(ended.stdout, end="")
    if ended.returncode == 0:
        return
    shown = " ".join(command)
    if any(text in ended.stdout.lower() for text in DENIED):
        raise ToolError(
            f"{shown} may not open the board; plug it in, or write to {RULES} "
            f"(then: sudo udevadm control --reload, and plug it in again):\n{udev_rules(board)}"
        )
    library = re.search(r"loading shared libraries: (\S+?)[.\d]*:", ended.stdout)
    if library:
        raise ToolError(f"{shown} needs {library[1]}; install it with your system's packages")
    raise ToolError(
        f"{shown} ended with exit code {ended.returncode}; try to plug {board.title} in again"
    )
