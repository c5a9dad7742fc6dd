# SPDX-License-Identifier: Apache-2.0
"""Gowin GW1N and GW2A: yosys, nextpnr-himbaechel, gowin_pack of project Apicula."""

from collections.abc import Mapping
from typing import ClassVar

from gcnloom_fpga.board import Board
from gcnloom_fpga.families.family import ROUTED, Family, begun
from gcnloom_fpga.part import Part
from gcnloom_spec.toolchain import GOWIN_PACK, NEXTPNR_GOWIN, Program

__all__ = ["Gowin"]

MULTIPLIERS = {
    "MULT9X9": 0.5, "MULT18X18": 1, "MULTALU18X18": 2, "MULTADDALU18X18": 2, "MULTALU36X18": 2,
    "MULT36X36": 4,
}  # fmt: skip
"""Multipliers of 18 bits that a cell takes."""
LUT_MEMORY = 6
"""Look-up tables of 16 words of LUT memory: four, and two for its write port."""


class Gowin(Family):
    """See :class:`~gcnloom_fpga.families.family.Family`."""

    nextpnr: ClassVar[Program] = NEXTPNR_GOWIN
    packer: ClassVar[Program] = GOWIN_PACK
    pins_file = "top.cst"
    product = "top.fs"
    netlist_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "LUT": {"LUT[1-4]": 1, "ALU": 1, "RAM16S*": LUT_MEMORY}, "FF": {"DFF*": 1},
        "EBR": {"SDP*B": 1, "DP*B": 1, "SP*B": 1, "pROM*": 1}, "DSP": MULTIPLIERS,
    }  # fmt: skip
    routed_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "LUT": {"LUT4": 1, "ALU": 1, "RAM16SDP4": LUT_MEMORY}, "FF": {"DFF": 1},
        "EBR": {"BSRAM": 1}, "DSP": MULTIPLIERS,
    }  # fmt: skip

    def passes(self, part: Part, top: str, text: str, chosen: str) -> tuple[str, ...]:
        """For the part's family, whose multipliers differ."""
        family = "gw1n" if part.name.startswith("GW1N") else "gw2a"
        return (begun(f"synth_gowin -family {family} -top {top}", chosen),)

    def pins(self, board: Board, pins: Mapping[str, str]) -> str:
        """Physical constraints; lines within the package are found by their names."""
        attributes = " ".join(f"{name}={value}" for name, value in board.attributes.items())
        lines = []
        for port, pin in pins.items():
            lines += [f'IO_LOC "{port}" {pin};', f'IO_PORT "{port}" {attributes};']
        return "\n".join(lines) + "\n"

    def route_arguments(self, part: Part, filled: float) -> tuple[str, ...]:
        """Device and constraints."""
        return (*part.options, "--vopt", f"cst={self.pins_file}")

    def pack_arguments(self, part: Part) -> tuple[str, ...]:
        """From the routed netlist; pins of the flash memory are free once it has been read."""
        die = next(option for option in part.options if option.startswith("family="))
        return (
            "-d", die.removeprefix("family="), "--sspi_as_gpio", "--mspi_as_gpio",
            "-o", self.product, ROUTED,
        )  # fmt: skip
