# SPDX-License-Identifier: Apache-2.0
"""A board's top to the netlist of its part, and what it takes."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcnloom_fpga import pack
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.families.family import NETLIST, Family, counted
from gcnloom_fpga.flow.progress import Narrator, yosys_watch
from gcnloom_fpga.part import Part
from gcnloom_fpga.synth import COLLISIONS, COPIES
from gcnloom_fpga.tools import cached, run
from gcnloom_fpga.top.board import TOP
from gcnloom_spec.toolchain import YOSYS, Tool, ToolError

__all__ = ["Synthesised", "synthesise"]

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
    used : Mapping[str, int]
        Resource to how many.
    improved : Mapping[str, int]
        What was done to the netlist, to how many cells.
    """

    folder: Path
    tool: Tool
    passes: str
    used: Mapping[str, int]
    improved: Mapping[str, int]


def synthesise(text: str, part: Part, narrator: Narrator) -> Synthesised:
    """Synthesise RTLIL for a part; kept by digest."""
    family = FAMILIES[part.family]
    tool = YOSYS.find(oldest=family.oldest_yosys)
    passes = family.passes(part, TOP)
    narrator.step(f"synthesis for {part.name} (yosys {tool.version}, {tool.origin})")

    def produce(folder: Path) -> None:
        (folder / DESIGN).write_text(text, encoding="utf-8")
        worked = next(
            (command for command in passes if _attempt(tool, command, folder, narrator)), None
        )
        if worked is None:
            raise ToolError(
                f"{tool.command} left no netlist; see the log in {folder}, "
                f"or try another version than {tool.version}"
            )
        _improve(folder, family, worked)

    improving = Path(pack.__file__).read_text(encoding="utf-8")
    folder = cached((text, tool.version, COLLISIONS, COPIES, *passes, improving), produce)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Synthesised(
        folder=folder, tool=tool, passes=summary["passes"], improved=summary["improved"],
        used=counted(family.netlist_cells, summary["cells"]),
    )  # fmt: skip


def _attempt(tool: Tool, passes: str, folder: Path, narrator: Narrator) -> bool:
    """Synthesise; tell whether there is a netlist, which the exit code alone does not."""
    script = f"read_rtlil {DESIGN}; {COLLISIONS}; {COPIES}; {passes}; write_json {UNIMPROVED}"
    try:
        run(tool, ("-p", script), folder=folder, watch=yosys_watch(narrator.detail))
    except ToolError as error:
        (folder / "failed.txt").write_text(str(error), encoding="utf-8")
        return False
    return (folder / UNIMPROVED).exists()


def _improve(folder: Path, family: Family, passes: str) -> None:
    """Improve the netlist; write it and what is in it."""
    design = json.loads((folder / UNIMPROVED).read_text(encoding="utf-8"))
    module = design["modules"][TOP]
    improved = family.improved(module)
    cells = Counter(cell["type"] for cell in module["cells"].values())
    (folder / NETLIST).write_text(json.dumps(design), encoding="utf-8")
    summary = {"cells": cells, "improved": improved, "passes": passes}
    (folder / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    (folder / UNIMPROVED).unlink()
