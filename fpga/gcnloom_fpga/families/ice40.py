# SPDX-License-Identifier: Apache-2.0
"""Lattice iCE40: yosys, nextpnr-ice40, icepack."""

from collections.abc import Mapping
from typing import ClassVar

from gcnloom_fpga.board import Board
from gcnloom_fpga.families.family import Family, begun
from gcnloom_fpga.part import Part
from gcnloom_spec.toolchain import ICEPACK, NEXTPNR_ICE40, Program

__all__ = ["Ice40"]

MULTIPLIER = "SB_MAC16"
DEVICES = {"iCE40UP5K": "u", "iCE40HX8K": "hx"}
"""Which delays abc9 reckons with."""
NARROWINGS = 32
"""Runs of ``wreduce``, each of which gets one register further along a chain of sums."""
MULTIPLIERS = "multipliers.ys"
SIZES = (
    "-D DSP_A_MAXWIDTH=16 -D DSP_B_MAXWIDTH=16 -D DSP_A_MINWIDTH=2 -D DSP_B_MINWIDTH=2 "
    "-D DSP_Y_MINWIDTH=11"
)
INFERENCE = "\n".join(
    (
        # As the beginning of synth_ice40's step "coarse" is.
        "opt_expr; opt_clean; opt -nodffe -nosdff; fsm; opt",
        # ice40_dsp takes a register into a multiplier though it is wider than the sum before it;
        # what extended the sum's sign then has no driver. After these no register is wider.
        *(["wreduce; opt_clean"] * NARROWINGS),
        # As synth_ice40 -dsp has it.
        "techmap -map +/mul2dsp.v -map +/ice40/dsp_map.v -D DSP_NAME=$__MUL16X16 " + SIZES,
        "select a:mul2dsp; setattr -unset mul2dsp; opt_expr -fine; wreduce; select -clear",
        "ice40_dsp; chtype -set $mul t:$__soft_mul; opt_clean",
        # Where it went wrong all the same, there is no netlist.
        "check -assert\n",
    )
)


class Ice40(Family):
    """See :class:`~gcnloom_fpga.families.family.Family`."""

    nextpnr: ClassVar[Program] = NEXTPNR_ICE40
    packer: ClassVar[Program] = ICEPACK
    scripts: ClassVar[Mapping[str, str]] = {MULTIPLIERS: INFERENCE}
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

    def passes(self, part: Part, top: str, text: str, chosen: str) -> tuple[str, ...]:
        """With multipliers where the part has some, and the top has not chosen its own."""
        synth = f"synth_ice40 -abc9 -device {DEVICES[part.name.partition('-')[0]]} -top {top}"
        # What looks for products makes others of the multipliers that are there.
        if not part.available["DSP"] or f"\\{MULTIPLIER} " in text:
            return (begun(synth, chosen),)
        return (begun(synth, "; ".join(filter(None, (chosen, f"script {MULTIPLIERS}")))),)

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
