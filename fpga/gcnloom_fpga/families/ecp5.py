# SPDX-License-Identifier: Apache-2.0
"""Lattice ECP5: yosys, our register packing and floor plan, nextpnr-ecp5, ecppack."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

from gcnloom_fpga.board import Board
from gcnloom_fpga.copies import copy_resets
from gcnloom_fpga.families.family import Family, begun
from gcnloom_fpga.floorplan import SITED, floorplan
from gcnloom_fpga.pack import pack_registers
from gcnloom_fpga.part import Part
from gcnloom_spec.toolchain import ECPPACK, NEXTPNR, Program

__all__ = ["DENSITY", "Ecp5"]

DENSITY = 0.7
"""Share of the sites that the placer fills where it crowds cells; at nextpnr's 0.9 there are not
enough wires."""
SPREAD, FULL = 0.12, 0.95
"""Density of cells above what a design fills, and the largest there is."""
CROWDED = 0.5
"""Share of block RAMs or multipliers in use from which nextpnr's placer scatters them."""


class Ecp5(Family):
    """See :class:`~gcnloom_fpga.families.family.Family`."""

    nextpnr: ClassVar[Program] = NEXTPNR
    packer: ClassVar[Program] = ECPPACK
    pins_file = "top.lpf"
    product = "top.bit"
    netlist_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        # A carry cell is two look-up tables; a 16x4 LUT memory is four, and two for its write port.
        "LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}, "FF": {"TRELLIS_FF": 1},
        "EBR": {"DP16KD": 1, "PDPW16KD": 1}, "DSP": {"MULT18X18D": 1},
    }  # fmt: skip
    routed_cells: ClassVar[Mapping[str, Mapping[str, float]]] = {
        # The two that a LUT memory's write port takes the place of are among them.
        "LUT": {"TRELLIS_COMB": 1}, "FF": {"TRELLIS_FF": 1}, "EBR": {"DP16KD": 1},
        "DSP": {"MULT18X18D": 1},
    }  # fmt: skip

    def passes(self, part: Part, top: str, text: str, chosen: str) -> tuple[str, ...]:
        """With abc9, which now and then ends without a word; without it; and step by step."""
        synth = f"synth_ecp5 -top {top}"
        mapped = f"{begun(synth, chosen, 'map_luts')}; abc -dress -lut 4:7; clean"
        return (
            begun(synth, chosen),
            begun(f"{synth} -noabc9", chosen),
            f"{mapped}; {synth} -run map_cells:",
        )

    def improved(self, module: Mapping[str, Any]) -> dict[str, int]:
        """Move registers into block RAMs and multipliers; copy those that reset many."""
        return pack_registers(module) | {"reset copies": copy_resets(module)}

    def planned(self, module: Mapping[str, Any], part: Part, seed: int) -> Mapping[str, str]:
        """Those of block RAMs and multipliers, if there are many."""
        cells = module["cells"]
        taken = Counter(SITED[cell["type"]] for cell in cells.values() if cell["type"] in SITED)
        crowded = any(count >= CROWDED * part.available[kind] for kind, count in taken.items())
        return floorplan(cells, part, seed=seed) if crowded else {}

    def pins(self, board: Board, pins: Mapping[str, str]) -> str:
        """Lattice's preference file."""
        lines = [f'FREQUENCY PORT "clk" {board.oscillator.hertz / 1e6:g} MHZ;']
        for port, pin in pins.items():
            attributes = dict(board.attributes)
            if board.sdram and port.startswith("sdram_"):
                attributes |= board.sdram.attributes
            values = " ".join(f"{name}={value}" for name, value in attributes.items())
            lines += [f'LOCATE COMP "{port}" SITE "{pin}";', f'IOBUF PORT "{port}" {values};']
        return "\n".join(lines) + "\n"

    def route_arguments(self, part: Part, filled: float) -> tuple[str, ...]:
        """Device, placement density, and the text that ecppack reads."""
        # Where there is little room to spread cells, the placer finds none that is legal otherwise.
        density = min(max(DENSITY, filled + SPREAD), FULL)
        return (
            *part.options, "--placer-heap-beta", f"{density:.2f}", "--lpf", self.pins_file,
            "--textcfg", "top.config",
        )  # fmt: skip

    def pack_arguments(self, part: Part) -> tuple[str, ...]:
        """Compressed, as some boards' flash memories are small."""
        return ("--compress", "top.config", self.product)
