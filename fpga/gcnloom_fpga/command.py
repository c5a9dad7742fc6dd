# SPDX-License-Identifier: Apache-2.0
"""``gcnloom boards``, ``build``, ``program``, ``flash`` and ``report``."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcnloom_fpga.board import Board
from gcnloom_fpga.boards.files import board_names
from gcnloom_fpga.families.all import FAMILIES
from gcnloom_fpga.flow.build import REPORT, Build, build
from gcnloom_fpga.flow.document import table
from gcnloom_fpga.flow.progress import Narrator
from gcnloom_fpga.programmer import send
from gcnloom_fpga.top.shell import board_top
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.toolchain import ToolError

__all__ = ["add_boards", "add_build", "add_flash", "add_program", "add_report"]

BUILDS = Path("build")
"""Folder of the builds that are not told where to go, one for each board."""
SLOWEST, FASTEST = 1e6, 400e6
BOARD_HELP = "one of `gcnloom boards`, or a .toml file of your own"


def add_boards(commands: Any) -> None:
    """Add the list of boards."""
    parser = _parser(commands, "boards", "list the boards that can be built", _boards)
    parser.add_argument("--json", action="store_true", help="as JSON")


def add_build(commands: Any) -> None:
    """Add building."""
    parser = _parser(commands, "build", "build a board's bitstream, with a report", _build)
    parser.add_argument("--board", required=True, metavar="BOARD", help=BOARD_HELP)
    parser.add_argument(
        "--config", metavar="CONFIG", help="configuration: a name or a .toml file; default: the "
        "board's own",
    )  # fmt: skip
    parser.add_argument(
        "--sys-clk-freq", type=float, metavar="HERTZ",
        help="the accelerator's clock, 60e6 for example; default: the board's own",
    )  # fmt: skip
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=1, metavar="N", help="of placement; default 1")
    seeds.add_argument("--seeds", type=int, metavar="N", help="try 1 to N and keep the fastest")
    parser.add_argument("--no-pnr", action="store_true", help="stop after synthesis")
    parser.add_argument("-o", "--output", type=Path, help="folder; default build/BOARD")


def add_program(commands: Any) -> None:
    """Add configuring an FPGA."""
    _add_send(commands, "program", "load a built bitstream into a board's FPGA", flash=False)


def add_flash(commands: Any) -> None:
    """Add writing a board's flash memory."""
    _add_send(commands, "flash", "write a built bitstream to a board's flash memory", flash=True)


def add_report(commands: Any) -> None:
    """Add showing a report again."""
    parser = _parser(commands, "report", "print the report of a build again", _report)
    parser.add_argument("build", help="a board that was built, or a folder with its report.json")


def _add_send(commands: Any, name: str, purpose: str, *, flash: bool) -> None:
    parser = _parser(commands, name, purpose, _send)
    parser.add_argument("--board", required=True, metavar="BOARD", help=BOARD_HELP)
    parser.add_argument("bitstream", nargs="?", type=Path, help="default: what was built last")
    parser.set_defaults(flash=flash)


def _parser(
    commands: Any, name: str, purpose: str, action: Callable[[argparse.Namespace], int]
) -> Any:
    parser = commands.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks")

    def run(options: argparse.Namespace) -> int:
        try:
            return action(options)
        except (ToolError, ValueError) as error:
            if options.verbose:
                raise
            print(f"gcnloom: error: {error}", file=sys.stderr)
            return 2

    parser.set_defaults(run=run)
    return parser


def _boards(options: argparse.Namespace) -> int:
    boards = [Board.named(name) for name in board_names()]
    rows = [
        (
            board.name, board.part.name, f"{board.part.available['LUT']:,}",
            str(board.part.available["DSP"]), board.memory, f"{board.hertz / 1e6:g} MHz",
            board.uart.bridge,
        )
        for board in boards
    ]  # fmt: skip
    heading = ("board", "part", "LUT", "DSP", "device memory", "clock", "UART")
    if options.json:
        print(json.dumps([dict(zip(heading, row, strict=True)) for row in rows], indent=2))
        return 0
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _build(options: argparse.Namespace) -> int:
    board = Board.named(options.board)
    config = AcceleratorConfig.from_toml(options.config) if options.config else board.config
    hertz = board.hertz if options.sys_clk_freq is None else options.sys_clk_freq
    if not (math.isfinite(hertz) and SLOWEST <= hertz <= FASTEST):
        raise ValueError(f"--sys-clk-freq {hertz:g} is not 1e6..400e6 Hz; try 50e6")
    if options.seeds is not None and options.seeds < 1:
        raise ValueError(f"--seeds {options.seeds} leaves nothing to build; try 5")
    seeds = [options.seed] if options.seeds is None else range(1, options.seeds + 1)
    arguments = getattr(options, "arguments", None) or ["build", "--board", options.board]
    narrator = Narrator(sys.stderr, quiet=options.quiet)
    try:
        narrator.step(f"elaborating {board.title}")
        plan = Build(
            top=board_top(board, config, hertz), config=config,
            seeds=() if options.no_pnr else seeds,
            output=options.output or BUILDS / board.name,
            command=shlex.join(["gcnloom", *arguments]),
        )  # fmt: skip
        result = build(plan, narrator)
    finally:
        narrator.close()
    if not options.quiet:
        print(table(result))
        print(f"  in {plan.output}")
    return 0


def _send(options: argparse.Namespace) -> int:
    board = Board.named(options.board)
    product = FAMILIES[board.part.family].product
    bitstream = options.bitstream or BUILDS / board.name / product
    if not bitstream.is_file():
        raise ValueError(f"there is no {bitstream}; try gcnloom build --board {options.board}")
    send(board, bitstream, flash=options.flash)
    return 0


def _report(options: argparse.Namespace) -> int:
    given = Path(options.build)
    folder = given if given.is_dir() else BUILDS / given.stem
    path = given if given.is_file() else folder / REPORT
    try:
        print(table(json.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ValueError(
            f"cannot read {path} ({error.strerror}); try gcnloom build --board {options.build}"
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of a build ({error}); try another") from error
    return 0
