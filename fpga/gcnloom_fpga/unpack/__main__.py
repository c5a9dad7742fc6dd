# SPDX-License-Identifier: Apache-2.0
"""Write the Verilog of what ``gcnloom build`` left for an iCE40 board, beside the bitstream."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from gcnloom_fpga.board import Board
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.flow.build import REPORT
from gcnloom_fpga.netlists import cell_models
from gcnloom_fpga.top.shell import board_top
from gcnloom_fpga.unpack.verilog import unpacked
from gcnloom_spec.toolchain import YOSYS, ToolError


def main(arguments: Sequence[str] | None = None) -> int:
    """Unpack, and print how to open it."""
    parser = argparse.ArgumentParser(prog="python -m gcnloom_fpga.unpack", description=__doc__)
    parser.add_argument("--board", required=True, help="that the folder was built for")
    parser.add_argument("folder", type=Path, help="with a bitstream and its report")
    given = parser.parse_args(arguments)
    try:
        board = Board.named(given.board)
        report = json.loads((given.folder / REPORT).read_text(encoding="utf-8"))
        hertz = report["clock"]["hertz"]
        pins = board_top(board, board.config, hertz).pins
        product = given.folder / FAMILIES[board.part.family].product
        written = shutil.copy(unpacked(product, board.part, pins), given.folder)
        models = cell_models(YOSYS.find(), board.part.family)
    except (ToolError, ValueError, OSError) as error:
        print(f"gcnloom: error: {error}", file=sys.stderr)
        return 2
    dark = " --dark 1" if board.led and board.led.inverted else ""
    print(f"python -m gcnloom_sim.bitstream {written} {models} --clock-hz {round(hertz)}{dark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
