# SPDX-License-Identifier: Apache-2.0
"""Unpack a bitstream and write what it configures as Verilog."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gcnloom_fpga.part import Part
from gcnloom_fpga.tools import cached, run
from gcnloom_fpga.unpack import hard
from gcnloom_fpga.unpack.hard import hard_cells
from gcnloom_fpga.unpack.icebox import Place, configuration
from gcnloom_spec.toolchain import ICEBOX_VLOG, ICEUNPACK, Tool

__all__ = ["MODULE", "unpacked"]

MODULE = "chip"
PRODUCT = "top.bin"
TEXT = "top.asc"
PINS = "top.pcf"
VERILOG = f"{MODULE}.v"
DECLARED = re.compile(r"(?:wire|reg) (\S+?)(?: = 0)?;")
WIRE = re.compile(r"// \((\d+), (\d+), '(.+)'\)")
HEADER = re.compile(rf"module {MODULE} \((.*)\);")
TRACED = re.compile(r"/\* DSP\d ")
"""What icebox_vlog writes in place of a multiplier."""


def unpacked(product: Path, part: Part, pins: Mapping[str, str]) -> Path:
    """Return Verilog of what a bitstream of an iCE40 configures; kept by digest.

    Look-up tables, carries and flip-flops are expressions and registers; block RAMs, PLL,
    multipliers and single-port RAMs are the vendor's cells.

    Parameters
    ----------
    product : Path
        As icepack wrote it.
    part : Part
    pins : Mapping[str, str]
        Port of the module :data:`MODULE` to its pin.
    """
    if part.family != "ice40":
        raise ValueError(f"a bitstream of {part.name} cannot be unpacked; only an iCE40's can")
    unpack, write = ICEUNPACK.find(), ICEBOX_VLOG.find()
    package = part.options[-1]
    content = product.read_bytes()
    places = "".join(f"set_io {port} {pin}\n" for port, pin in pins.items())

    def produce(folder: Path) -> None:
        (folder / PRODUCT).write_bytes(content)
        (folder / PINS).write_text(places, encoding="utf-8")
        run(unpack, (PRODUCT, TEXT), folder=folder)
        lines = _written(write, package, folder)
        completed = "\n".join(_completed(folder / TEXT, lines, package, pins))
        (folder / VERILOG).write_text(completed + "\n", encoding="utf-8")

    sources = (Path(str(module.__file__)).read_text() for module in (hard,))
    digest = hashlib.sha256(content).hexdigest()
    folder = cached((digest, package, places, Path(__file__).read_text(), *sources), produce)
    return folder / VERILOG


def _written(tool: Tool, package: str, folder: Path) -> list[str]:
    """Lines of icebox_vlog, which prints everything: it ends up in its log."""
    run(tool, ("-n", MODULE, "-d", package, "-p", PINS, TEXT), folder=folder)
    log = folder / f"{Path(tool.command).name}.log"
    return log.read_text(encoding="utf-8").splitlines()


def _completed(
    text: Path, lines: list[str], package: str, pins: Mapping[str, str]
) -> Iterator[str]:
    """Add the cells that icebox_vlog leaves out, and a PLL's pin, at the end of its module."""
    bits, rams = configuration(text)
    nets = _nets(lines)
    header = next(index for index, line in enumerate(lines) if HEADER.fullmatch(line))
    yield from _header(lines[header])
    for line in lines[header + 1 : lines.index("endmodule")]:
        if line and not line.startswith("//") and not TRACED.match(line):
            yield line
    yield from hard_cells(bits, rams, nets)
    pads = {pin: (x, y, f"io_{number}/PAD") for pin, x, y, number in bits.pinloc_db(package)}
    for port, pin in pins.items():
        net = nets.get(pads[pin], port)
        if net != port:
            yield f"assign {net} = {port};"
    yield "endmodule"


def _header(line: str) -> Iterator[str]:
    """Name ports first and declare them then: icebox_vlog declares their wires too."""
    found = HEADER.fullmatch(line)
    ports = [port.split() for port in found[1].split(", ")] if found else []
    yield f"module {MODULE} ({', '.join(name for _, name in ports)});"
    for direction, name in ports:
        yield f"{direction} {name};"


def _nets(lines: list[str]) -> dict[Place, str]:
    """Wire to the net that comments name it under."""
    nets: dict[Place, str] = {}
    net = ""
    for line in lines:
        declared, wire = DECLARED.match(line), WIRE.match(line)
        if declared:
            net = declared[1]
        elif wire:
            # A PLL's pin is listed twice, first as what goes into it.
            nets.setdefault((int(wire[1]), int(wire[2]), wire[3]), net)
        elif not line:
            net = ""
    return nets
