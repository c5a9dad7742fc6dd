# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure statements``: options, and what is kept of each statement."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gcnloom.errors import DataError
from gcnloom_sim.measure.statements.axes import axes
from gcnloom_sim.measure.statements.brent import work_and_depth
from gcnloom_sim.measure.statements.hubs import finished_rows
from gcnloom_sim.measure.statements.measured import Measured, Say
from gcnloom_sim.measure.statements.memory import worker_memory
from gcnloom_sim.measure.statements.operations import operations
from gcnloom_sim.measure.statements.pipeline import equal_hardware, pipelined
from gcnloom_sim.measure.statements.sampled import sampled_products

__all__ = ["STATEMENTS", "add_statements", "statement_tables"]

STATEMENTS: dict[str, Callable[[argparse.Namespace, Say], Measured]] = {
    "A1": axes,
    "A2": operations,
    "A3": finished_rows,
    "A4": work_and_depth,
    "M4": sampled_products,
    "M5": pipelined,
    "M6": equal_hardware,
    "M8": worker_memory,
}
FINDING = ("statement", "verdict", "asked", "measured", "why")


def add_statements(measurements: Any) -> None:
    """Add the command to the parser's."""
    purpose = "what is said of one device, and whether it is so"
    parser = measurements.add_parser("statements", help=purpose, description=purpose)
    parser.add_argument(
        "statements", nargs="*", metavar="NAME",
        help=f"which, of {', '.join(STATEMENTS)}; default all",
    )  # fmt: skip
    parser.add_argument("--data", nargs="+", help="graphs, instead of a statement's own")
    parser.add_argument("--cora", metavar="FILE.npz", help="graph of the rows that need Cora")
    parser.add_argument(
        "--device", default="model", help="what runs; cycles are predicted of a model (model)"
    )
    parser.add_argument("--findings", type=Path, metavar="FOLDER", help="keep a file for each")


def statement_tables(
    options: argparse.Namespace, say: Say
) -> Iterator[tuple[Sequence[str], Sequence[Sequence[object]]]]:
    """Measure statements in turn; yield the table behind each, and at last all verdicts."""
    unknown = [name for name in options.statements if name not in STATEMENTS]
    if unknown:
        raise DataError(f"{unknown[0]!r} is no such statement; try {', '.join(STATEMENTS)}")
    verdicts = []
    for name in options.statements or STATEMENTS:
        measured = STATEMENTS[name](options, say)
        yield measured.header, measured.rows
        finding = measured.finding(name, _command(name, options))
        if options.findings:
            finding.save(options.findings)
        verdicts.append([getattr(finding, field) for field in FINDING])
    yield FINDING, verdicts


def _command(name: str, options: argparse.Namespace) -> str:
    """Return what measures a statement again, wherever Cora's file lies."""
    words = ["python -m gcnloom_sim.measure statements", name]
    if options.data:
        words += ["--data", *options.data]
    if options.cora:
        words += ["--cora", Path(options.cora).name]
    if options.device != "model":
        words += ["--device", options.device]
    return " ".join(words)
