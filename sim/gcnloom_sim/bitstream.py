# SPDX-License-Identifier: Apache-2.0
"""A bitstream that was turned back into Verilog, Verilated, behind a pseudo-terminal."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gcnloom_sim.memory import memory_model
from gcnloom_sim.netlist import CELLS, netlist_build
from gcnloom_sim.shell import HARNESS, Shell, serve_until_interrupted
from gcnloom_sim.verilate import TOP, shared_library

__all__ = ["Bitstream", "main", "open_bitstream"]

CHIP = CELLS / "chip.v"


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """A bitstream in Verilog.

    Parameters
    ----------
    verilog : Path
        Module ``chip`` with ports `clk`, `rx`, `tx` and `led`.
    models : Path
        yosys' models of the family's cells.
    """

    verilog: Path
    models: Path


def open_bitstream(
    bitstream: Bitstream, *, clock_hz: int, dark: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Shell:  # fmt: skip
    """Open the simulator of an iCE40 with its bitstream; builds it on first use.

    Parameters
    ----------
    bitstream : Bitstream
    clock_hz : int
        Of the accelerator. A PLL is passed through: what is simulated is its output's clock.
    dark : int
        Level of the LED while nothing runs.
    progress : callable
        Told a phrase when a stage of a build begins.
    """
    build = netlist_build(bitstream, "ice40", top=TOP, harness=HARNESS, beside=(CHIP,))
    build = replace(build, verilate=(*build.verilate, f"-GDARK={dark}"))
    path = shared_library(build, "bitstream", progress=progress)
    return Shell(path, words=0, word_bytes=4, memory=memory_model("ideal"), clock_hz=clock_hz)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve an iCE40 with its bitstream until the keyboard interrupts."""
    parser = argparse.ArgumentParser(prog="python -m gcnloom_sim.bitstream", description=__doc__)
    parser.add_argument("verilog", type=Path, help="as python -m gcnloom_fpga.unpack writes it")
    parser.add_argument("models", type=Path, help="yosys' models of the cells")
    parser.add_argument("--clock-hz", type=int, required=True, help="of the accelerator")
    parser.add_argument("--dark", type=int, default=0, help="level of the LED while nothing runs")
    given = parser.parse_args(arguments)
    bitstream = Bitstream(verilog=given.verilog, models=given.models)
    return serve_until_interrupted(
        lambda: open_bitstream(
            bitstream, clock_hz=given.clock_hz, dark=given.dark,
            progress=lambda phrase: print(phrase, file=sys.stderr),
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
