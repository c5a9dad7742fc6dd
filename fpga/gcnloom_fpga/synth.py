# SPDX-License-Identifier: Apache-2.0
"""Component to ECP5 netlist with yosys, and what it takes."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from gcnloom_fpga import pack
from gcnloom_fpga.shell import Shell
from gcnloom_fpga.tools import cached, run
from gcnloom_spec.toolchain import YOSYS, Tool, ToolError

__all__ = ["NETLIST", "Netlist", "resources", "synthesis_passes", "synthesise"]

NETLIST = "netlist.json"
UNPACKED = "unpacked.json"
SUMMARY = "summary.json"
DESIGN = "shell.il"
COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 a:no_rw_check=1 %m t:$memrd_v2 %i"
"""Heed ``no_rw_check``, which yosys itself does only for memories it reads from Verilog."""
COPIES = "proc; setattr -set keep 1 a:keep=1 w:* %i %ci1:+$dff[Q] t:$dff %i"
"""Heed ``keep`` on a register: yosys merges equal cells however their wires are marked."""


def synthesis_passes(top: str) -> tuple[str, ...]:
    """Synthesis commands for a top, to be tried in this order.

    abc9, the default since yosys 0.25, and now and then abc with the passes that come with it, end
    without a word.
    """
    whole = f"synth_ecp5 -top {top}"
    return (
        whole,
        f"{whole} -noabc9",
        f"{whole} -run begin:map_luts; abc -dress -lut 4:7; clean; {whole} -run map_cells:",
    )


PASSES = synthesis_passes("shell")
RESOURCES: dict[str, dict[str, int]] = {
    # A carry cell is two look-up tables; a 16x4 LUT memory is four, and two for its write port.
    "LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
    "FF": {"TRELLIS_FF": 1},
    "EBR": {"DP16KD": 1, "PDPW16KD": 1},
    "DSP": {"MULT18X18D": 1},
}


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised design.

    Parameters
    ----------
    folder : Path
        Holds the netlist, the RTLIL it was made from and the log.
    tool : Tool
        The yosys that made it.
    passes : str
        Synthesis command that worked.
    used : Mapping[str, int]
        Resource (LUT, FF, EBR, DSP) to how many, the shell included.
    packed : Mapping[str, int]
        Cells that took registers, see :func:`gcnloom_fpga.pack.pack_registers`.
    shell : Mapping[str, int]
        Port bits of the design, each of which took one register of the shell.
    """

    folder: Path
    tool: Tool
    passes: str
    used: Mapping[str, int]
    packed: Mapping[str, int]
    shell: Mapping[str, int]


def resources(statistics: Mapping[str, int]) -> dict[str, int]:
    """Count resources from the number of cells by type."""
    return {
        name: sum(weight * statistics.get(cell, 0) for cell, weight in cells.items())
        for name, cells in RESOURCES.items()
    }


def synthesise(design: wiring.Component) -> Netlist:
    """Synthesise a component inside its :class:`~gcnloom_fpga.shell.Shell`; cached by digest."""
    tool = YOSYS.find()
    shell = Shell(design)
    text = rtlil.convert(shell, name="shell", emit_src=False)

    def produce(folder: Path) -> None:
        (folder / DESIGN).write_text(text, encoding="utf-8")
        for passes in PASSES:
            if _attempt(tool, passes, folder):
                (folder / "passes").write_text(passes, encoding="utf-8")
                _pack(folder)
                return
        raise ToolError(
            f"{tool.command} left no netlist; see the log in {folder}, "
            f"or try another version than {tool.version}"
        )

    packing = Path(pack.__file__).read_text(encoding="utf-8")
    folder = cached((text, tool.version, COLLISIONS, COPIES, *PASSES, packing), produce)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Netlist(
        folder=folder,
        tool=tool,
        passes=(folder / "passes").read_text(encoding="utf-8"),
        used=resources(summary["cells"]),
        packed=summary["packed"],
        shell={"input_bits": shell.input_bits, "output_bits": shell.output_bits},
    )


def _attempt(tool: Tool, passes: str, folder: Path) -> bool:
    """Synthesise; tell whether there is a netlist, which the exit code alone does not."""
    script = f"read_rtlil {DESIGN}; {COLLISIONS}; {COPIES}; {passes}; write_json {UNPACKED}"
    try:
        run(tool, ("-q", "-p", script), folder=folder)
    except ToolError:
        if passes == PASSES[-1]:
            raise
        return False
    return (folder / UNPACKED).exists()


def _pack(folder: Path) -> None:
    """Move registers into block RAMs and multipliers; write the netlist and what is in it."""
    design = json.loads((folder / UNPACKED).read_text(encoding="utf-8"))
    module = design["modules"]["shell"]
    packed = pack.pack_registers(module)
    cells = Counter(cell["type"] for cell in module["cells"].values())
    (folder / NETLIST).write_text(json.dumps(design), encoding="utf-8")
    summary = json.dumps({"cells": cells, "packed": packed})
    (folder / SUMMARY).write_text(summary, encoding="utf-8")
    (folder / UNPACKED).unlink()
