# SPDX-License-Identifier: Apache-2.0
"""``gcnloom explore``."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gcnloom.cli.options import add_common, add_data, check_writable, prints, write_json
from gcnloom.cli.progress import Progress
from gcnloom.errors import ConfigError
from gcnloom.graphs import datasets
from gcnloom_sim.explore.search import Found, columns, confirm, name, search
from gcnloom_sim.explore.space import Budget
from gcnloom_sim.workloads.rows import WORK, Row, parsed_options
from gcnloom_sim.workloads.tables import aligned
from gcnloom_sim.workloads.traffic import IDEAL, shared_rate
from gcnloom_spec.ecp5 import PARTS, resources
from gcnloom_spec.memories import buffer_bytes

__all__ = ["add_command"]

EXAMPLE = """examples:
  gcnloom explore --data cora.npz --multipliers 16 --buffers 580000 --port 128
  gcnloom explore --data digits --part lfe5u-45f --pass epoch --confirm --toml mine.toml"""


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "explore",
        help="search the configuration that is fastest for a graph within given resources",
        description="Rank every way to spend multipliers and buffers by a closed form, decide "
        "between the best by the cycle model, and confirm the winner on the RTL.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_data(parser)
    parser.add_argument("--multipliers", type=int, metavar="N", help="of both engines together")
    parser.add_argument("--part", choices=sorted(PARTS), help="an ECP5 that it has to fit")
    parser.add_argument("--buffers", type=int, metavar="BYTES", help="of all on-chip memories")
    parser.add_argument(
        "--port", type=int, default=32, metavar="BYTES", help="width of the memory port; default 32"
    )
    parser.add_argument(
        "--memory", default=IDEAL, metavar="MODEL",
        help="memory behind the port, as `gcnloom train` takes it; default ideal",
    )  # fmt: skip
    parser.add_argument(
        "--memory-megabytes", type=int, default=64, metavar="N",
        help="size of the device memory in MiB; default 64",
    )  # fmt: skip
    parser.add_argument(
        "--pass", dest="work", choices=WORK, default="inference", help="default inference"
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", dest="settings",
        help="training options: hidden=32",
    )  # fmt: skip
    parser.add_argument(
        "--top", type=int, default=6, metavar="N",
        help="candidates that the cycle model decides between; default 6",
    )  # fmt: skip
    parser.add_argument("--confirm", action="store_true", help="run the winner on the RTL")
    parser.add_argument("--toml", type=Path, metavar="FILE", help="write the winner there")
    add_common(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    check_writable(options, toml=options.toml)
    budget = _budget(options)
    progress = Progress(sys.stderr, quiet=options.quiet, verbose=options.verbose)
    progress.stage(f"loading {options.data}")
    graph = datasets.load(options.data, row_normalise=options.row_normalise)
    row = Row(
        name=options.data, data=options.data, config="", work=options.work,
        options=parsed_options(options.settings), megabytes=options.memory_megabytes,
    )  # fmt: skip
    found = search(
        row, graph, budget, top=options.top, memory=options.memory, progress=progress.stage
    )
    if options.confirm:
        found[0] = confirm(row, graph, found[0], memory=options.memory, progress=progress.stage)
    progress.close()
    winner = found[0]
    write_json(options, {"budget": asdict(budget), "found": [each.as_dict() for each in found]})
    if options.toml:
        _write_toml(options.toml, row, winner)
    if prints(options):
        print(_text(found))
    return 0


def _budget(options: argparse.Namespace) -> Budget:
    if options.multipliers is None and options.part is None:
        raise ConfigError("explore needs resources to spend; try --multipliers 144")
    if options.top < 1:
        raise ConfigError(f"--top {options.top} leaves nothing to decide between; try 6")
    if options.port & (options.port - 1) or not 4 <= options.port <= 256:
        raise ConfigError(f"--port {options.port} is no power of two from 4 to 256; try 32")
    multipliers = options.multipliers
    if multipliers is None:
        multipliers = PARTS[options.part]["DSP"]
    if multipliers < 2:
        raise ConfigError(f"{multipliers} multipliers are not one for each engine; try 2")
    return Budget(
        multipliers=multipliers, buffer_bytes=options.buffers, part=options.part,
        port_bytes=options.port, rate=shared_rate(options.memory),
    )  # fmt: skip


def _text(found: list[Found]) -> str:
    heading, *lines = columns(found)
    winner = found[0].candidate
    taken = ", ".join(f"{count:,} {kind}" for kind, count in resources(winner.config).items())
    return (
        f"{aligned(heading, lines)}\n\n"
        f"{name(winner)}: {buffer_bytes(winner.config):,} bytes of buffers; "
        f"of an ECP5, {taken}"
    )


def _write_toml(path: Path, row: Row, winner: Found) -> None:
    comment = f"# The fastest found for {row.work} of {row.data}.\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(comment + winner.candidate.config.to_toml(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path} ({error.strerror}); try another --toml path"
        ) from error
