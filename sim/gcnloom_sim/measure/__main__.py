# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure WHAT``: print one measurement as a Markdown table.

The statements about one device are a table each.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from gcnloom.errors import LoomError
from gcnloom.training.options import Options
from gcnloom.transport import configuration
from gcnloom_sim.cycles.cases import COUNTS
from gcnloom_sim.measure.accuracy import compare
from gcnloom_sim.measure.cycles import COMMANDS, PASSES, command_rows, pass_rows
from gcnloom_sim.measure.executors import executions
from gcnloom_sim.measure.gist.command import add_gist
from gcnloom_sim.measure.link import efficiencies, survive
from gcnloom_sim.measure.minibatch.command import add_statements, statement_rows
from gcnloom_sim.measure.models import trained_models
from gcnloom_sim.measure.parallel import EXCHANGED, exchanged
from gcnloom_sim.measure.pipeline import add_pipeline
from gcnloom_sim.measure.programs import random_runs
from gcnloom_sim.measure.schedules import SCHEDULES, schedule_rows
from gcnloom_sim.measure.speed import cycles_per_second
from gcnloom_sim.measure.statements.command import add_statements as add_engine_statements
from gcnloom_sim.measure.statements.command import statement_tables
from gcnloom_sim.measure.window import streamed
from gcnloom_sim.workloads.rows import parsed_options

__all__ = ["main"]

MIB = 1 << 20
Table = tuple[Sequence[str], Iterable[Sequence[object]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(words, argparse.Namespace(arguments=words))
    try:
        for number, (header, rows) in enumerate(_tables(options)):
            if number:
                print()
            for line in chain((header, ["---"] * len(header)), rows):
                print(f"| {' | '.join(str(cell) for cell in line)} |", flush=True)
    except LoomError as error:
        print(f"gcnloom_sim.measure: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gcnloom_sim.measure", description=__doc__)
    measurements = parser.add_subparsers(required=True, metavar="WHAT")

    def add(name: str, measure: Callable[[argparse.Namespace], Table], purpose: str) -> None:
        added = measurements.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(measure=measure)
        if name in ("commands", "speed", "window"):
            added.add_argument("--config", default="demo", help="name or .toml file (demo)")
        if name in ("commands", "passes", "speed"):
            added.add_argument("--memory", default="ideal", help="memory model (ideal)")
        if name == "commands":
            added.add_argument("--counts", type=int, nargs="+", default=COUNTS)
        if name == "models":
            added.add_argument("--data", default="digits", help="as `gcnloom train` takes it")
            added.add_argument("--epochs", type=int, default=Options().epochs)
            added.add_argument("--json", type=Path, metavar="FILE", help="also add the rows there")
        if name in ("accuracy", "executors", "parallel", "window"):
            added.add_argument(
                "--set", nargs="*", default=[], dest="changes", metavar="NAME=VALUE",
                help="training options",
            )  # fmt: skip
            added.add_argument("--data", default="digits", help="as `gcnloom train` takes it")
            epochs = 4 if name in ("parallel", "window") else Options().epochs
            added.add_argument("--epochs", type=int, default=epochs)
        if name in ("accuracy", "models", "parallel"):
            added.add_argument("--device", default="model:demo")
        if name == "parallel":
            added.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8, 16])
        if name in ("accuracy", "models"):
            added.add_argument("--seeds", type=int, default=3)
        if name == "executors":
            added.add_argument("--devices", nargs="+", default=["model:demo", "rtl:demo"])
            added.add_argument("--seed", type=int, default=0)
        if name == "programs":
            added.add_argument("--devices", nargs="+", default=["model:smallest", "rtl:smallest"])
            added.add_argument("--programs", type=int, default=20)
        if name == "window":
            added.add_argument("--parts", type=int, nargs="+", default=[2, 4, 8])
        if name == "link":
            added.add_argument("--config", default="odd", help="name or .toml file (odd)")
            added.add_argument("--payload", type=int, nargs="+", default=[256, 512, 1024])
            added.add_argument("--faults", type=int, default=0, help="inject so many (none)")
            added.add_argument("--seed", type=int, default=1)
        if name == "minibatch":
            add_statements(added)
        if name == "schedules":
            added.add_argument("--data", nargs="+", default=["sbm:2000,7", "rmat:16,16"])
            added.add_argument("--pes", type=int, nargs="+", default=[8, 16])

    add("commands", _commands, "predicted and measured cycles of every kind of command")
    add("passes", _passes, "predicted and measured cycles of training passes")
    add("schedules", _schedules, "length of schedules against their lower bound")
    add("speed", _speed, "simulated cycles a second, on one core")
    add("accuracy", _accuracy, "test accuracy on a device and in 32-bit floating point")
    add("models", _models, "accuracy, multiplications and predicted cycles of every model")
    add("executors", _executors, "the same training on several executors")
    add("link", _link, "efficiency of a serial link, or what becomes of faults on it")
    add("programs", _programs, "the same random programs on several executors")
    add("minibatch", _minibatch, "what sampled training is said to do")
    add("parallel", _parallel, "bytes that several devices exchange, and how evenly they work")
    add_gist(measurements)
    add_pipeline(measurements)
    add("window", _window, "training through a part of the device memory that is needed")
    add_engine_statements(measurements)
    return parser


def _tables(options: argparse.Namespace) -> Iterable[Table]:
    if "statements" in options:
        return statement_tables(options, _say)
    measure: Callable[[argparse.Namespace], Table] = options.measure
    return [measure(options)]


def _settings(options: argparse.Namespace, **more: Any) -> Options:
    """Return the training options that were given."""
    return Options(**parsed_options(options.changes) | {"epochs": options.epochs} | more)


def _commands(options: argparse.Namespace) -> Table:
    return COMMANDS, command_rows(options.config, options.counts, options.memory)


def _passes(options: argparse.Namespace) -> Table:
    return PASSES, pass_rows(options.memory)


def _schedules(options: argparse.Namespace) -> Table:
    return SCHEDULES, schedule_rows(options.data, options.pes)


def _speed(options: argparse.Namespace) -> Table:
    cycles, rate = cycles_per_second(options.config, options.memory)
    return ("configuration", "memory", "cycles of a pass", "cycles/s"), [
        (options.config, options.memory, f"{cycles:,}", f"{rate:,.0f}")
    ]


def _accuracy(options: argparse.Namespace) -> Table:
    settings = _settings(options)
    rows = compare(options.data, options.device, options.seeds, settings, _say)
    cells = [
        (
            row.seed, f"{100 * row.device:.2f} %", f"{100 * row.float32:.2f} %",
            *(f"{loss:.4f}" for loss in row.last_losses), f"{row.divergence:.4f}",
        )
        for row in rows
    ]  # fmt: skip
    device, float32 = (
        sum(getattr(row, name) for row in rows) / len(rows) for name in ("device", "float32")
    )
    mean = ("mean", f"{100 * device:.2f} %", f"{100 * float32:.2f} %", "", "", "")
    header = ("seed", options.device, "float32", "last losses", "float32", "most apart")
    return header, [*cells, mean]


def _models(options: argparse.Namespace) -> Table:
    header = ("graph", "network", "model", "float32", "apart", "MACs an epoch", "cycles an epoch")
    return header, _model_rows(options)


def _model_rows(options: argparse.Namespace) -> Iterator[Sequence[object]]:
    earlier = (
        json.loads(options.json.read_text()) if options.json and options.json.is_file() else []
    )
    for row in trained_models(options.data, options.device, options.seeds, options.epochs, _say):
        device, float32 = (100 * sum(each) / len(each) for each in (row.device, row.float32))
        yield (
            row.data, row.name, f"{device:.1f} %", f"{float32:.1f} %", f"{device - float32:+.1f}",
            f"{row.macs:,}", f"{row.cycles:,}",
        )  # fmt: skip
        if options.json:
            earlier.append(asdict(row))
            options.json.write_text(json.dumps(earlier, indent=2) + "\n")


def _executors(options: argparse.Namespace) -> Table:
    settings = _settings(options, seed=options.seed)
    header = ("device", "weights", "test", "cycles an epoch", "utilisation", "seconds")
    return header, (
        (
            row.device,
            f"`{row.weights_sha256[:16]}`",
            f"{100 * row.test:.2f} %" if row.test is not None else "",
            f"{row.cycles:,}" if row.cycles else "",
            f"{100 * row.utilisation:.1f} %" if row.utilisation else "",
            f"{row.seconds:.0f}",
        )
        for row in executions(options.data, options.devices, settings, _say)
    )


def _programs(options: argparse.Namespace) -> Table:
    header = ("device", "programs", "memory, statistics and scales", "cycles", "seconds")
    return header, (
        (row.device, options.programs, f"`{row.sha256[:16]}`", f"{row.cycles:,}",
         f"{row.seconds:.1f}")
        for row in random_runs(options.devices, options.programs, _say)
    )  # fmt: skip


def _minibatch(options: argparse.Namespace) -> Table:
    return statement_rows(options, _say)


def _parallel(options: argparse.Namespace) -> Table:
    settings = _settings(options, update="host")
    rows = exchanged(options.data, options.device, options.workers, settings, _say)
    return EXCHANGED, (row.cells() for row in rows)


def _window(options: argparse.Namespace) -> Table:
    settings = _settings(options)
    rows = streamed(options.data, options.config, options.parts, settings, _say)
    header = ("memory", "of need", "sent", "received", "runs", "seconds", "not running")
    size = configuration(options.config).memory_bytes
    return header, (
        (
            f"{size * min(row.words, row.need) / MIB:.2f} MiB",
            f"{100 * min(1, row.words / row.need):.3g} %",
            f"{row.moved.sent / MIB:.2f} MiB",
            f"{row.moved.received / MIB:.2f} MiB",
            row.moved.runs,
            f"{row.seconds:.2f}",
            f"{100 * max(0.0, 1 - row.running / row.seconds):.0f} %",
        )
        for row in rows
    )


def _link(options: argparse.Namespace) -> Table:
    if not options.faults:
        header = ("bytes in a frame", "write", "read", "seconds")
        return header, (
            (row.payload_bytes, f"{100 * row.write:.2f} %", f"{100 * row.read:.2f} %",
             f"{row.seconds:.3f}")
            for row in efficiencies(options.config, options.payload)
        )  # fmt: skip
    result = survive(options.config, options.faults, options.seed, _say)
    rows = {
        "faults": result.faults.total(), **result.faults, **vars(result.tally),
        "links": result.links, "trainings": result.trainings, "transfers": result.transfers,
        **{f"error: {error}": count for error, count in result.errors.items()},
        "wrong results": result.wrong,
    }  # fmt: skip
    return ("what", "count"), ((name, f"{count:,}") for name, count in rows.items())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
