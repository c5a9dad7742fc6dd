# SPDX-License-Identifier: Apache-2.0
"""A board's top to the netlist of its part, and what it takes."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path

from gcnloom_fpga import copies, pack
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.families.family import NETLIST, OLDEST_YOSYS, Family, counted
from gcnloom_fpga.flow.progress import Narrator, yosys_watch
from gcnloom_fpga.multipliers import limit_multipliers
from gcnloom_fpga.part import Part
from gcnloom_fpga.tools import cached, run
from gcnloom_fpga.top.board import TOP
from gcnloom_spec.toolchain import YOSYS, Tool, ToolError

__all__ = ["COLLISIONS", "COPIES", "Synthesised", "synthesise"]

COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 a:no_rw_check=1 %m t:$memrd_v2 %i"
"""Heed ``no_rw_check``, which yosys itself does only for memories it reads from Verilog."""
COPIES = "proc; setattr -set keep 1 a:keep=1 w:* %i %ci1:+$dff[Q] t:$dff %i"
"""Heed ``keep`` on a register: yosys merges equal cells however their wires are marked."""
DESIGN = "top.il"
UNIMPROVED = "unimproved.json"
SUMMARY = "summary.json"


@dataclass(frozen=True, kw_only=True)
class Synthesised:
    """A netlist.

    Parameters
    ----------
    folder : Path
    tool : Tool
    passes : str
        Synthesis command that worked.
    cells : Mapping[str, int]
        Cells by type.
    used : Mapping[str, int]
        Resource to how many.
    improved : Mapping[str, int]
        What was done to the netlist, to how many cells.
    """

    folder: Path
    tool: Tool
    passes: str
    cells: Mapping[str, int]
    used: Mapping[str, int]
    improved: Mapping[str, int]


def synthesise(
    text: str, part: Part, narrator: Narrator, *, top: str = TOP, most: float | None = None
) -> Synthesised:
    """Synthesise RTLIL for a part; kept by digest.

    Parameters
    ----------
    text : str
    part : Part
    narrator : Narrator
    top : str
        Module of the RTLIL.
    most : float, optional
        Multipliers to use at most, instead of all that the part has. Products beyond go to
        look-up tables.
    """
    family = FAMILIES[part.family]
    tool = YOSYS.find(oldest=OLDEST_YOSYS)
    narrator.step(f"synthesis for {part.name} (yosys {tool.version}, {tool.origin})")
    most = part.available["DSP"] if most is None else most
    # Without any, the family's passes know no multipliers.
    limited = part.available["DSP"] and most < math.inf
    limit = limit_multipliers(tool, text, top, part.family, most=most) if limited else ""
    passes = family.passes(part, top, text, limit)
    prepared = f"{COLLISIONS}; {COPIES}"

    def produce(folder: Path) -> None:
        for name, content in {DESIGN: text, **family.scripts}.items():
            (folder / name).write_text(content, encoding="utf-8")
        for command in passes:
            error = _attempt(tool, f"{prepared}; {command}", folder, narrator)
            if error is None:
                _improve(folder, family, command, top)
                return
        raise ToolError(
            f"{error or f'{tool.command} left no netlist; see the log in {folder}'}; "
            f"try another version of yosys than {tool.version}"
        )

    improving = [getsource(each) for each in (pack, copies)]
    scripts = family.scripts.values()
    folder = cached((text, tool.version, prepared, *passes, *scripts, *improving), produce)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Synthesised(
        folder=folder, tool=tool, passes=summary["passes"], improved=summary["improved"],
        cells=summary["cells"], used=counted(family.netlist_cells, summary["cells"]),
    )  # fmt: skip


def _attempt(tool: Tool, passes: str, folder: Path, narrator: Narrator) -> str | None:
    """Synthesise; return nothing if there is a netlist, which the exit code alone does not say."""
    script = f"read_rtlil {DESIGN}; {passes}; write_json {UNIMPROVED}"
    try:
        run(tool, ("-p", script), folder=folder, watch=yosys_watch(narrator.detail))
    except ToolError as error:
        return str(error)
    return None if (folder / UNIMPROVED).exists() else ""


def _improve(folder: Path, family: Family, passes: str, top: str) -> None:
    """Improve the netlist; write it and what is in it."""
    design = json.loads((folder / UNIMPROVED).read_text(encoding="utf-8"))
    module = design["modules"][top]
    improved = family.improved(module)
    cells = Counter(cell["type"] for cell in module["cells"].values())
    (folder / NETLIST).write_text(json.dumps(design), encoding="utf-8")
    summary = {"cells": cells, "improved": improved, "passes": passes}
    (folder / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    (folder / UNIMPROVED).unlink()
