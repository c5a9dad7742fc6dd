# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure gist WHAT``: the statements about sub-network training."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from gcnloom.training.options import Options
from gcnloom_sim.measure.gist_accuracy import ACCURACIES, accuracy_rows, study
from gcnloom_sim.measure.gist_work import (
    BYTES,
    COVERAGE,
    WORK,
    byte_rows,
    coverage_rows,
    work_rows,
)
from gcnloom_sim.workloads.rows import parsed_options

__all__ = ["add_gist"]

Table = tuple[Sequence[str], Iterable[Sequence[object]]]
EPOCHS = 400
ITERATIONS = (1, 5, 10, 20, 35, 50)
RECIPE: dict[str, Any] = {
    "hidden": 256, "layers": 3, "update": "host", "optimiser": "adam", "lr": 0.03,
    "weight_decay": 5e-4, "dropout": 0.5,
}  # fmt: skip
"""Two hidden layers of 256 neurons, dropout and epochs as in the paper."""


def add_gist(measurements: Any) -> None:
    """Add the command to the parser's."""
    parser = measurements.add_parser("gist", help="training by sub-networks", description=__doc__)
    statements = parser.add_subparsers(required=True, metavar="WHAT")

    def add(name: str, measure: Callable[[argparse.Namespace], Table], purpose: str) -> Any:
        added = statements.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(measure=measure)
        return added

    accuracy = add("accuracy", _accuracy, "accuracy in 32-bit floating point")
    accuracy.add_argument("--data", default="digits", help="as `gcnloom train` takes it")
    accuracy.add_argument("--epochs", type=int, default=EPOCHS, help="of all workers together")
    accuracy.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    accuracy.add_argument("--local-iterations", type=int, nargs="+", default=ITERATIONS)
    accuracy.add_argument("--seeds", type=int, default=5)
    work = add("work", _work, "weights and multiplications of a worker, by counters")
    work.add_argument("--data", default="community:200,8,64,4", help="with dense features")
    work.add_argument("--device", default="model:demo")
    work.add_argument("--hidden", type=int, default=256)
    work.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    moved = add("bytes", _bytes, "bytes of a round beside those of an all-reduce in each step")
    moved.add_argument("--data", default="sbm:60,3", help="as `gcnloom train` takes it")
    moved.add_argument("--device", default="model:demo")
    moved.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8])
    moved.add_argument("--hidden", type=int, default=64)
    moved.add_argument("--local-iterations", type=int, default=3)
    coverage = add("coverage", _coverage, "share of hidden weights that nobody has trained")
    coverage.add_argument("--hidden", type=int, default=256)
    coverage.add_argument("--workers", type=int, nargs="+", default=[2, 4, 8])
    coverage.add_argument("--rounds", type=int, default=40)
    coverage.add_argument("--seeds", type=int, default=5)
    accuracy.add_argument(
        "--set", nargs="*", default=[], dest="changes", metavar="NAME=VALUE",
        help="training options",
    )  # fmt: skip
    accuracy.add_argument(
        "--json", type=Path, metavar="FILE", help="keep trainings there; those in it are not redone"
    )


def _accuracy(options: argparse.Namespace) -> Table:
    settings = Options(**RECIPE | parsed_options(options.changes) | {"epochs": options.epochs})
    studies = study(
        options.data, settings, options.workers, options.local_iterations, options.seeds,
        options.json, _say,
    )  # fmt: skip
    return ACCURACIES, accuracy_rows(studies)


def _work(options: argparse.Namespace) -> Table:
    return WORK, work_rows(options.data, options.device, options.hidden, options.workers)


def _bytes(options: argparse.Namespace) -> Table:
    epochs = max(options.workers) * options.local_iterations
    settings = Options(**RECIPE | {"hidden": options.hidden, "epochs": epochs})
    return BYTES, byte_rows(
        options.data, options.device, options.workers, options.local_iterations, settings, _say
    )


def _coverage(options: argparse.Namespace) -> Table:
    return COVERAGE, coverage_rows(options.hidden, options.workers, options.rounds, options.seeds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
