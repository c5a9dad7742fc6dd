# SPDX-License-Identifier: Apache-2.0
"""Netlist to placed and routed design with nextpnr, and the clock rate it reaches."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcnloom_fpga import coupling, floorplan
from gcnloom_fpga.families.ecp5 import DENSITY, Ecp5
from gcnloom_fpga.families.family import NETLIST, REPORT, counted
from gcnloom_fpga.flow.routing import critical_path, fix_sites, utilisation
from gcnloom_fpga.part import Part
from gcnloom_fpga.synth import SHELL, Netlist
from gcnloom_fpga.tools import cached, run
from gcnloom_spec.toolchain import NEXTPNR, Tool

__all__ = ["ROUTERS", "Routed", "place", "route"]

PLACED = "placed.json"
PINS = "shell.lpf"
CONTINUED = ("--no-pack", "--no-place")
ROUTERS = ("router1", "router2")


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A routed design.

    Parameters
    ----------
    folder : Path
        Holds nextpnr's report and log.
    tool : Tool
    fmax : float
        Clock rate in MHz that the design reaches.
    used : Mapping[str, int]
        Resource (LUT, FF, EBR, DSP) to how many.
    critical : Mapping[str, Any]
        Summary of the longest path; see :func:`gcnloom_fpga.flow.routing.critical_path`.
    """

    folder: Path
    tool: Tool
    fmax: float
    used: Mapping[str, int]
    critical: Mapping[str, Any]


def route(netlist: Netlist, part: Part, *, seed: int, freq: float, router: str) -> Routed:
    """Route what :func:`place` placed; both are cached by digest.

    Parameters
    ----------
    netlist : Netlist
    part : Part
    seed : int
        Of the placer; results differ by some per cent from seed to seed.
    freq : float
        Clock rate in MHz that placement and routing strive for.
    router : str
        ``router1`` for figures, ``router2`` to see quickly whether a design fits.
    """
    tool = NEXTPNR.find()
    placed = _placed(tool, netlist, part, seed=seed, freq=freq)
    arguments = (*_options(part), *CONTINUED, "--report", REPORT)

    def produce(folder: Path) -> None:
        design = json.loads((placed / PLACED).read_text(encoding="utf-8"))
        (module,) = design["modules"].values()
        # What a design was placed with counts for more than the command line.
        module["settings"]["router"] = router
        (folder / PLACED).write_text(json.dumps(design), encoding="utf-8")
        (folder / PINS).write_text(_pins(part), encoding="utf-8")
        run(tool, ("--json", PLACED, *arguments), folder=folder)
        (folder / PLACED).unlink()

    folder = cached((placed.name, router, *arguments), produce)
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return Routed(
        folder=folder,
        tool=tool,
        fmax=min(clock["achieved"] for clock in report["fmax"].values()),
        used=counted(Ecp5.routed_cells, utilisation(report)),
        critical=critical_path(report),
    )


def place(netlist: Netlist, part: Part, *, seed: int, freq: float) -> Mapping[str, Any]:
    """Place only; return the design as nextpnr writes it. Routing starts from the same."""
    folder = _placed(NEXTPNR.find(), netlist, part, seed=seed, freq=freq)
    design: Mapping[str, Any] = json.loads((folder / PLACED).read_text(encoding="utf-8"))
    return design


def _placed(tool: Tool, netlist: Netlist, part: Part, *, seed: int, freq: float) -> Path:
    """Folder, cached by digest, with a placed design."""
    text = (netlist.synthesised.folder / NETLIST).read_text(encoding="utf-8")
    arguments = (
        *_options(part),
        *("--seed", str(seed), "--freq", str(freq), "--placer-heap-beta", str(DENSITY)),
        *("--no-route", "--write", PLACED),
    )
    planning = [
        Path(str(module.__file__)).read_text(encoding="utf-8") for module in (coupling, floorplan)
    ]

    def produce(folder: Path) -> None:
        (folder / NETLIST).write_text(_planned(text, part, seed), encoding="utf-8")
        (folder / PINS).write_text(_pins(part), encoding="utf-8")
        run(tool, ("--json", NETLIST, *arguments), folder=folder)
        (folder / NETLIST).unlink()

    return cached((text, _pins(part), tool.version, *arguments, *planning), produce)


def _options(part: Part) -> tuple[str, ...]:
    # A missed target is a result to report, not a failure; pins but the clock go anywhere.
    return (*part.options, "--timing-allow-fail", "--lpf", PINS, "--lpf-allow-unconstrained")


def _pins(part: Part) -> str:
    return f'LOCATE COMP "clk" SITE "{part.clock_pin}";\n'


def _planned(text: str, part: Part, seed: int) -> str:
    """Netlist with the sites of its block RAMs and multipliers."""
    design = json.loads(text)
    cells = design["modules"][SHELL]["cells"]
    fix_sites(cells, floorplan.floorplan(cells, part, seed=seed))
    return json.dumps(design)
