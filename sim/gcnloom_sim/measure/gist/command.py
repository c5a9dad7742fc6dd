# SPDX-License-Identifier: Apache-2.0
"""``python -m gcnloom_sim.measure gist WHAT``: the statements about sub-network training."""

import argparse
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from gcnloom.study.finding import Finding
from gcnloom.training.options import Options
from gcnloom_sim.measure.gist import accuracy, groups, moved, speed, wide, work
from gcnloom_sim.measure.gist.ordinary import alone_is_ordinary
from gcnloom_sim.workloads.rows import parsed_options

__all__ = ["add_gist"]

Table = tuple[Sequence[str], Iterable[Sequence[object]]]
EPOCHS = 400
ITERATIONS = (5, 20, 50)
RECIPE: dict[str, Any] = {
    "hidden": 256, "layers": 3, "update": "host", "optimiser": "adam", "lr": 0.03,
    "weight_decay": 5e-4, "dropout": 0.5,
}  # fmt: skip
"""Two hidden layers of 256 neurons, dropout and epochs as in the paper."""
RATES = {"digits": 0.05}
"""Learning rates of graphs that want another."""
TEXTS = {
    "groups": "whether groups are a partition, and parts go back to their places (G1)",
    "accuracy": "accuracy in 32-bit floating point (G2)",
    "work": "weights and multiplications of a worker, by counters (G3)",
    "bytes": "bytes of a round beside those of an all-reduce in each step (G4)",
    "wide": "a network wider than a device's memory (G5)",
    "coverage": "share of hidden weights that nobody has trained (G6)",
    "speed": "cycles at equal epochs and up to an accuracy, of kept trainings (G7)",
}


def add_gist(measurements: Any) -> None:
    """Add the command to the parser's."""
    parser = measurements.add_parser("gist", help="training by sub-networks", description=__doc__)
    added = parser.add_subparsers(required=True, metavar="WHAT")
    parsers = {}
    for name, purpose in TEXTS.items():
        parsers[name] = added.add_parser(name, help=purpose, description=purpose)
        parsers[name].set_defaults(measure=MEASURES[name])
        parsers[name].add_argument(
            "--findings", type=Path, metavar="FOLDER", help="keep there what it says"
        )
    _add_trainings(parsers)
    for name, data in (("work", "community:200,8,64,4"), ("bytes", "sbm:60,3")):
        parsers[name].add_argument("--data", default=data, help=f"({data})")
        parsers[name].add_argument("--device", default="model:demo")
    parsers["groups"].add_argument("--trials", type=int, default=1000)
    parsers["groups"].add_argument("--seed", type=int, default=0)
    parsers["bytes"].add_argument("--local-iterations", type=int, default=3)
    parsers["coverage"].add_argument("--rounds", type=int, default=40)
    parsers["coverage"].add_argument("--seeds", type=int, default=5)
    wider = parsers["wide"]
    wider.add_argument("--data", default="sbm:40,2")
    wider.add_argument("--config", default="demo", help="of every device (demo)")
    wider.add_argument("--workers", type=int, default=8)
    wider.add_argument("--local-iterations", type=int, default=5)
    wider.add_argument("--epochs", type=int, default=80, help="of all workers together")
    for name, hidden in (("work", 256), ("bytes", 64), ("coverage", 256), ("wide", 128)):
        parsers[name].add_argument("--hidden", type=int, default=hidden)
    for name, workers in (("work", [1, 2, 4, 8]), ("bytes", [2, 4, 8]), ("coverage", [2, 4, 8])):
        parsers[name].add_argument("--workers", type=int, nargs="+", default=workers)


def _add_trainings(parsers: dict[str, argparse.ArgumentParser]) -> None:
    """Add what tells of trainings in floating point, which are made by one and read by another."""
    for name in ("accuracy", "speed"):
        parsers[name].add_argument(
            "--data", nargs="+", default=["digits"], help="as `gcnloom train` takes them"
        )
        parsers[name].add_argument(
            "--json", type=Path, metavar="FILE", required=name == "speed",
            help="of trainings, which are kept there and not redone",
        )  # fmt: skip
    made = parsers["accuracy"]
    made.add_argument("--epochs", type=int, default=EPOCHS, help="of all workers together")
    made.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    made.add_argument("--local-iterations", type=int, nargs="+", default=ITERATIONS)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument(
        "--set", nargs="*", default=[], dest="changes", metavar="NAME=VALUE",
        help="training options",
    )  # fmt: skip
    parsers["speed"].add_argument("--device", default="model:demo", help="whose cycles to predict")
    parsers["speed"].add_argument("--memory", default="ideal", help="memory model (ideal)")


def _groups(options: argparse.Namespace) -> Table:
    counts = groups.whole_trials(options.trials, options.seed)
    _keep(options, groups.trial_finding(counts, _command(options)))
    return groups.TRIALS, [counts]


def _accuracy(options: argparse.Namespace) -> Table:
    studies = []
    for data in options.data:
        given = {"lr": RATES.get(data, RECIPE["lr"])} | parsed_options(options.changes)
        studies += accuracy.study(
            data, Options(**RECIPE | given | {"epochs": options.epochs}), options.workers,
            options.local_iterations, options.seeds, options.json, _say,
        )  # fmt: skip
    if options.findings:
        alike = alone_is_ordinary()
        _keep(options, accuracy.accuracy_finding(studies, alike, _command(options)))
    return accuracy.ACCURACIES, accuracy.accuracy_rows(studies)


def _work(options: argparse.Namespace) -> Table:
    found = work.works(options.data, options.device, options.hidden, options.workers)
    _keep(options, work.work_finding(found, _command(options)))
    return work.WORK, work.work_rows(found)


def _bytes(options: argparse.Namespace) -> Table:
    epochs = max(options.workers) * options.local_iterations
    settings = Options(**RECIPE | {"hidden": options.hidden, "epochs": epochs})
    found = moved.moved_bytes(
        options.data, options.device, options.workers, options.local_iterations, settings, _say
    )
    _keep(options, moved.byte_finding(found, _command(options)))
    return moved.BYTES, moved.byte_rows(found)


def _wide(options: argparse.Namespace) -> Table:
    settings = Options(**RECIPE | {"hidden": options.hidden, "epochs": options.epochs})
    found = wide.train_wide(
        options.data, options.config, options.workers, options.local_iterations, settings, _say
    )
    _keep(options, wide.wide_finding(found, _command(options)))
    return wide.WIDE, wide.wide_rows(found)


def _coverage(options: argparse.Namespace) -> Table:
    found = groups.coverages(options.hidden, options.workers, options.rounds, options.seeds)
    _keep(options, groups.coverage_finding(found, _command(options)))
    return groups.COVERAGE, groups.coverage_rows(found)


def _speed(options: argparse.Namespace) -> Table:
    studies = accuracy.read_studies(options.json)
    found = speed.speeds(studies, options.data, options.device, options.memory, _say)
    _keep(options, speed.speed_finding(found, _command(options)))
    return speed.SPEED, speed.speed_rows(found)


def _keep(options: argparse.Namespace, finding: Finding) -> None:
    if options.findings:
        finding.save(options.findings)


def _command(options: argparse.Namespace) -> str:
    """Return what was asked for, as a command."""
    return f"python -m gcnloom_sim.measure {shlex.join(options.arguments)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


MEASURES: dict[str, Callable[[argparse.Namespace], Table]] = {
    "groups": _groups,
    "accuracy": _accuracy,
    "work": _work,
    "bytes": _bytes,
    "wide": _wide,
    "coverage": _coverage,
    "speed": _speed,
}
