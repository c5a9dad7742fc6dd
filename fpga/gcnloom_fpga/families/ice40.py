# SPDX-License-Identifier: Apache-2.0
"""Lattice iCE40: yosys, nextpnr-ice40, icepack."""

from collections.abc import Mapping
from typing import ClassVar

from gcnloom_fpga.board import Board
from gcnloom_fpga.families.family import Family
from gcnloom_fpga.part import Part
from gcnloom_spec.toolchain import ICEPACK, NEXTPNR_ICE40, Program

__all__ = ["Ice40"]

MULTIPLIER = "SB_MAC16"


class Ice40(Family):
    """See :class:`~gcnloom_fpga.families.family.Family`."""

    nextpnr: ClassVar[Program] = NEXTPNR_ICE40
    packer: ClassVar[Program] = ICEPACK
    pins_file = "top.pcf"
    product = "top.bin"
    netlist_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "LUT": {"SB_LUT4": 1}, "FF": {"SB_DFF*": 1}, "EBR": {"SB_RAM40_4K*": 1},
        "DSP": {MULTIPLIER: 1}, "SPRAM": {"SB_SPRAM256KA": 1},
    }  # fmt: skip
    # A logic cell is a look-up table, a flip-flop or both; flip-flops are counted before.
    routed_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "LUT": {"ICESTORM_LC": 1}, "EBR": {"ICESTORM_RAM": 1}, "DSP": {"ICESTORM_DSP": 1},
        "SPRAM": {"ICESTORM_SPRAM": 1},
    }  # fmt: skip

    def passes(self, part: Part, top: str, text: str) -> tuple[str, ...]:
        """With multipliers where the part has some, and the top has not chosen its own."""
        # What looks for products makes others of the multipliers that are there.
        dsp = "-dsp " if part.available["DSP"] and f"\\{MULTIPLIER} " not in text else ""
        return (f"synth_ice40 {dsp}-top {top}",)

    def pins(self, board: Board, pins: Mapping[str, str]) -> str:
        """Physical constraints."""
        attributes = "".join(f"-{name} {value} " for name, value in board.attributes.items())
        lines = [f"set_io {attributes}{port} {pin}" for port, pin in pins.items()]
        lines.append(f"set_frequency clk {board.oscillator.hertz / 1e6:g}")
        return "\n".join(lines) + "\n"

    def route_arguments(self, part: Part, filled: float) -> tuple[str, ...]:
        """Device, and the text that icepack reads."""
        return (*part.options, "--pcf", self.pins_file, "--asc", "top.asc")

    def pack_arguments(self, part: Part) -> tuple[str, ...]:
        """From text to bits."""
        return ("top.asc", self.product)
