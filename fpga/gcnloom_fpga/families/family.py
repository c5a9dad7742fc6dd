# SPDX-License-Identifier: Apache-2.0
"""Family: how parts of one vendor are synthesised, routed and packed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from gcnloom_fpga.board import Board
from gcnloom_fpga.part import Part
from gcnloom_spec.toolchain import Program

__all__ = ["NETLIST", "OLDEST_YOSYS", "REPORT", "ROUTED", "Family", "begun", "counted"]

OLDEST_YOSYS = "0.60"
"""The first that nextpnr-himbaechel is sure to understand, and with an abc9 for all families. 0.23
takes 42 % more look-up tables for a large board's accelerator: its abc loses sight of a design that
is flattened, abc9 does not. And abc9 knows delays: the iCEBreaker's clock is 6 % faster."""

NETLIST = "netlist.json"
ROUTED = "routed.json"
REPORT = "report.json"


class Family(ABC):
    """Steps between a board's top and its bitstream; a subclass for each vendor.

    Attributes
    ----------
    nextpnr, packer : Program
    scripts : Mapping[str, str]
        Files, by name, that the synthesis commands of :meth:`passes` run.
    pins_file : str
        Constraints, as :meth:`pins` writes them.
    product : str
        The bitstream, made by :meth:`pack_arguments`.
    netlist_cells, routed_cells : Mapping[str, Mapping[str, float]]
        Resource to the cells that take it, by patterns of yosys' and of nextpnr's names, and to
        how many each takes.
    """

    nextpnr: ClassVar[Program]
    packer: ClassVar[Program]
    scripts: ClassVar[Mapping[str, str]] = {}
    pins_file: ClassVar[str]
    product: ClassVar[str]
    netlist_cells: ClassVar[Mapping[str, Mapping[str, float]]]
    routed_cells: ClassVar[Mapping[str, Mapping[str, float]]]

    @abstractmethod
    def passes(self, part: Part, top: str, text: str, chosen: str) -> tuple[str, ...]:
        """Synthesis commands of yosys for a top in RTLIL, tried in this order.

        What was `chosen` for this design goes between their steps "begin" and "coarse".
        """

    def improved(self, module: Mapping[str, Any]) -> dict[str, int]:
        """Improve a module of yosys' netlist in place; count the cells that were."""
        return {}

    def planned(self, module: Mapping[str, Any], part: Part, seed: int) -> Mapping[str, str]:
        """Choose sites of cells before placement, where the placer would do badly."""
        return {}

    @abstractmethod
    def pins(self, board: Board, pins: Mapping[str, str]) -> str:
        """Constraints: where ports go, and the oscillator's rate."""

    @abstractmethod
    def route_arguments(self, part: Part, filled: float) -> tuple[str, ...]:
        """Arguments of nextpnr for a design that fills so much of the part's look-up tables."""

    @abstractmethod
    def pack_arguments(self, part: Part) -> tuple[str, ...]:
        """Arguments of the packer, which makes the product of what nextpnr left."""


def begun(synth: str, chosen: str, until: str = "") -> str:
    """Commands that synthesise, up to a step if one is named, with `chosen` before "coarse"."""
    if chosen:
        return f"{synth} -run begin:coarse; {chosen}; {synth} -run coarse:{until}"
    return f"{synth} -run begin:{until}" if until else synth


def counted(weights: Mapping[str, Mapping[str, float]], cells: Mapping[str, int]) -> dict[str, int]:
    """Count resources from the number of cells by type."""
    return {
        name: math.ceil(
            sum(
                weight * count
                for pattern, weight in patterns.items()
                for cell, count in cells.items()
                if fnmatchcase(cell, pattern)
            )
        )
        for name, patterns in weights.items()
    }
