# SPDX-License-Identifier: Apache-2.0
"""A netlist to a routed design and its bitstream."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcnloom_fpga import coupling, floorplan
from gcnloom_fpga.board import Board
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.families.family import NETLIST, REPORT, ROUTED, counted
from gcnloom_fpga.flow.progress import Narrator, nextpnr_watch
from gcnloom_fpga.flow.synthesis import Synthesised
from gcnloom_fpga.tools import cached, run
from gcnloom_fpga.top.board import TOP, BoardTop
from gcnloom_spec.toolchain import Tool, ToolError

__all__ = ["Routed", "critical_path", "fix_sites", "route", "utilisation"]

SECONDS = "seconds"


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A design routed from one seed, with its bitstream.

    Parameters
    ----------
    seed : int
    fmax : float
        Clock rate in MHz that the design reaches.
    folder : Path
    product : Path
        The bitstream.
    used : Mapping[str, int]
    critical : Mapping[str, Any]
        Summary of the longest path.
    seconds : float
        That nextpnr took.
    tool, packer : Tool
    """

    seed: int
    fmax: float
    folder: Path
    product: Path
    used: Mapping[str, int]
    critical: Mapping[str, Any]
    seconds: float
    tool: Tool
    packer: Tool

    @property
    def placed(self) -> Mapping[str, Any]:
        """The module as nextpnr writes it, every cell with its place."""
        design = json.loads((self.folder / ROUTED).read_text(encoding="utf-8"))
        module: Mapping[str, Any] = design["modules"][TOP]
        return module


def route(
    synthesised: Synthesised, top: BoardTop, *, seed: int, hertz: float, narrator: Narrator
) -> Routed:
    """Place, route and pack; kept by digest.

    Raises
    ------
    ToolError
        The design does not fit, or cannot be routed.
    """
    board, part = top.board, top.board.part
    family = FAMILIES[part.family]
    tool, packer = family.nextpnr.find(), family.packer.find()
    narrator.step(f"seed {seed} ({family.nextpnr.name} {tool.version}, {tool.origin})")
    filled = synthesised.used["LUT"] / part.available["LUT"]
    arguments = (
        *family.route_arguments(part, filled), "--seed", str(seed), "--freq", f"{hertz / 1e6:.6g}",
        # A missed target is told with its number, which a failure has not.
        "--timing-allow-fail", "--report", REPORT, "--write", ROUTED,
    )  # fmt: skip
    packing = family.pack_arguments(part)
    pins = family.pins(board, top.pins)

    def produce(folder: Path) -> None:
        design = json.loads((synthesised.folder / NETLIST).read_text(encoding="utf-8"))
        module = design["modules"][TOP]
        fix_sites(module["cells"], family.planned(module, part, seed))
        (folder / NETLIST).write_text(json.dumps(design), encoding="utf-8")
        (folder / family.pins_file).write_text(pins, encoding="utf-8")
        begin = time.monotonic()
        watch = nextpnr_watch(narrator.detail)
        run(tool, ("--json", NETLIST, *arguments), folder=folder, watch=watch)
        (folder / SECONDS).write_text(f"{time.monotonic() - begin:.1f}", encoding="utf-8")
        (folder / NETLIST).unlink()
        narrator.detail("bitstream")
        run(packer, packing, folder=folder)
        if not (folder / family.product).exists():
            raise ToolError(f"{packer.command} left no bitstream; see the log in {folder}")

    planning = [
        Path(str(module.__file__)).read_text(encoding="utf-8") for module in (coupling, floorplan)
    ]
    versions = (tool.version, packer.version)
    folder = cached(
        (synthesised.folder.name, pins, *versions, *arguments, *packing, *planning), produce
    )
    return _read(folder, board, synthesised, seed, (tool, packer))


def _read(
    folder: Path, board: Board, synthesised: Synthesised, seed: int, tools: tuple[Tool, Tool]
) -> Routed:
    family = FAMILIES[board.part.family]
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    rates = [clock["achieved"] for clock in report["fmax"].values()]
    return Routed(
        seed=seed, fmax=min(rates, default=0.0), folder=folder, product=folder / family.product,
        # What nextpnr does not count apart is counted in the netlist.
        used={**synthesised.used, **counted(family.routed_cells, utilisation(report))},
        critical=critical_path(report),
        seconds=float((folder / SECONDS).read_text(encoding="utf-8")),
        tool=tools[0], packer=tools[1],
    )  # fmt: skip


def fix_sites(cells: Mapping[str, Any], sites: Mapping[str, str]) -> None:
    """Tell nextpnr where cells are to be, in place."""
    for name, site in sites.items():
        cells[name]["attributes"]["BEL"] = site


def utilisation(report: Mapping[str, Any]) -> dict[str, int]:
    """Cells by type, from nextpnr's report."""
    return {name: entry["used"] for name, entry in report["utilization"].items()}


def critical_path(report: Mapping[str, Any]) -> dict[str, Any]:
    """Longest register-to-register path: its ends and where its nanoseconds go."""
    paths = [
        path for path in report["critical_paths"] if "<async>" not in (path["from"], path["to"])
    ]
    if not paths:
        return {}
    steps = paths[0]["path"]
    delays: dict[str, float] = {}
    for step in steps:
        delays[step["type"]] = delays.get(step["type"], 0.0) + step["delay"]
    return {
        "from": steps[0]["from"]["cell"],
        "to": steps[-1]["to"]["cell"],
        "nanoseconds": round(sum(delays.values()), 2),
        "parts": {kind: round(delay, 2) for kind, delay in sorted(delays.items())},
        "logic_levels": sum(step["type"] == "logic" for step in steps),
    }
