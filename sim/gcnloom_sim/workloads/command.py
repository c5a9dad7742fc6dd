# SPDX-License-Identifier: Apache-2.0
"""``gcnloom bench``."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gcnloom.cli.options import INTERRUPTED, add_common, check_writable, prints, write_json
from gcnloom.cli.progress import Progress
from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.errors import ConfigError, LoomError
from gcnloom.graphs import datasets
from gcnloom.transport import configuration
from gcnloom_sim.memory import memory_model
from gcnloom_sim.workloads.measurement import Measurement, measure
from gcnloom_sim.workloads.roofline import roofline
from gcnloom_sim.workloads.rows import CORA, WORK, Row, changed, chosen, parsed_options
from gcnloom_sim.workloads.tables import markdown, text
from gcnloom_sim.workloads.traffic import IDEAL

__all__ = ["add_command"]

EXAMPLE = """examples:
  gcnloom bench --list
  gcnloom bench cora-inference-16 cora-epoch-144 --cora cora.npz --json bench.json
  gcnloom bench --data sbm:2000,4 --config demo --pass epoch --set hidden=32
  gcnloom bench 'rmat-*' --predict                          the cycle model alone"""


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "bench", help="measure named workloads on the RTL, against prediction and ideal",
        description="Print cycles, utilisation, idle causes and bytes of named workloads.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("rows", nargs="*", metavar="ROW", help="default all; NAME* is a prefix")
    parser.add_argument("--list", action="store_true", help="say what the rows are, and end")
    parser.add_argument("--cora", metavar="FILE.npz", help="graph of the rows that need Cora")
    parser.add_argument(
        "--data", metavar="GRAPH", help="instead of a row's own; without ROW, a row by itself"
    )
    parser.add_argument("--config", metavar="CONFIG", help="instead of the rows' own")
    parser.add_argument("--pass", dest="work", choices=WORK, help="instead of the rows' own")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", dest="settings",
        help="training options of every row: hidden=32",
    )  # fmt: skip
    parser.add_argument(
        "--memory", default=IDEAL, metavar="MODEL",
        help="memory behind the port, as `gcnloom train` takes it; default ideal",
    )  # fmt: skip
    parser.add_argument(
        "--device", default="rtl", metavar="NAME", help="what runs the rows; default rtl"
    )
    parser.add_argument("--predict", action="store_true", help="run nothing, predict the cycles")
    parser.add_argument(
        "--roofline", type=Path, metavar="FILE.svg", help="draw the rows under their roofline"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    add_common(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    rows = _rows(options)
    if options.list:
        return _list(rows)
    check_writable(options, roofline=options.roofline)
    memory_model(options.memory)
    progress = Progress(sys.stderr, quiet=options.quiet, verbose=options.verbose)
    done: list[Measurement] = []
    skipped: dict[str, str] = {}
    code = 0
    try:
        for row, result in _results(rows, options, progress.stage):
            if isinstance(result, Measurement):
                done.append(result)
            else:
                skipped[row.name] = result
    except KeyboardInterrupt:
        code = INTERRUPTED
    progress.close()
    if code:
        print(f"gcnloom: interrupted after {len(done)} of {len(rows)} rows", file=sys.stderr)
    write_json(
        options,
        {"rows": [row.as_dict() for row in done], "skipped": skipped, "complete": not code},
    )
    if options.roofline:
        _draw(options.roofline, done)
    if prints(options):
        print((markdown if options.markdown else text)(done, skipped))
    return code


def _draw(path: Path, rows: list[Measurement]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(roofline(rows), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path} ({error.strerror}); try another --roofline path"
        ) from error


def _rows(options: argparse.Namespace) -> list[Row]:
    """Rows that are asked for, changed as the options say."""
    if options.data and not options.rows:
        rows = [Row(name=options.data, data=options.data, config="demo", work="inference")]
    else:
        rows = chosen(options.rows)
    return [
        changed(
            row,
            data=options.data,
            config=options.config,
            work=options.work,
            options=parsed_options(options.settings),
        )
        for row in rows
    ]


def _list(rows: list[Row]) -> int:
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.work} on {row.config}: {row.purpose or row.data}")
    return 0


def _results(
    rows: list[Row], options: argparse.Namespace, progress: Callable[[str], None]
) -> Iterator[tuple[Row, Measurement | str]]:
    """Measure row by row; where one cannot be, give the reason instead."""
    for row in rows:
        if row.missing:
            yield row, f"training has no option {', '.join(row.missing)} in this version"
        elif row.data == CORA and not options.cora:
            yield row, "needs --cora FILE.npz"
        else:
            try:
                yield row, _measured(row, options, progress)
            except LoomError as error:
                if len(rows) == 1:
                    raise
                yield row, str(error)


def _measured(
    row: Row, options: argparse.Namespace, progress: Callable[[str], None]
) -> Measurement:
    progress(f"{row.name}: loading {row.data}")
    graph = datasets.load(options.cora if row.data == CORA else row.data)
    with _open(row, options, progress) as device:
        return measure(
            row, graph, device, memory=options.memory, run=not options.predict,
            progress=progress,
        )  # fmt: skip


def _open(row: Row, options: argparse.Namespace, progress: Callable[[str], None]) -> Device:
    """Open the device; predictions are made with the model, whose Verilog nobody builds."""
    name = "model" if options.predict else options.device
    # The model has no clock, and a device with a memory of its own need not know the option.
    ideal = options.predict or options.memory == IDEAL
    memory = {} if ideal else {"memory": options.memory}
    return open_device(
        name,
        configuration(row.config),
        memory_megabytes=row.megabytes,
        progress=progress,
        **memory,
    )
