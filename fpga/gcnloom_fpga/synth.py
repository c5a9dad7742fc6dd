# SPDX-License-Identifier: Apache-2.0
"""Component by itself, without a board, to ECP5 netlist, and what it takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.back import rtlil
from amaranth.lib import wiring

from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.flow.synthesis import Synthesised
from gcnloom_fpga.flow.synthesis import synthesise as synthesise_text
from gcnloom_fpga.part import Part
from gcnloom_fpga.shell import Shell

__all__ = ["SHELL", "Netlist", "synthesise"]

SHELL = "shell"
"""Name of the top module."""


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised design.

    Parameters
    ----------
    synthesised : Synthesised
        What it takes includes the shell.
    shell : Mapping[str, int]
        Port bits of the design, each of which took one register of the shell.
    """

    synthesised: Synthesised
    shell: Mapping[str, int]


def synthesise(design: wiring.Component, part: Part, narrator: Narrator) -> Netlist:
    """Synthesise a component inside its :class:`~gcnloom_fpga.shell.Shell`; cached by digest.

    All its products are in multipliers, even if the part has fewer.
    """
    shell = Shell(design)
    text = rtlil.convert(shell, name=SHELL, emit_src=False)
    return Netlist(
        synthesised=synthesise_text(text, part, narrator, top=SHELL, most=math.inf),
        shell={"input_bits": shell.input_bits, "output_bits": shell.output_bits},
    )
