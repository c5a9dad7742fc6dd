# SPDX-License-Identifier: Apache-2.0
"""One training of a study, in this process: ``gcnloom train`` without its files."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from gcnloom.cli import train
from gcnloom.cli.options import load_graph, open_device
from gcnloom.cli.parallel import check_parallel, document_of, rounds_of, trainer_of
from gcnloom.cli.progress import Progress
from gcnloom.cli.sampling import sampling_of
from gcnloom.cli.start import Start
from gcnloom.errors import ConfigError
from gcnloom.parallel.communicator import Communicator
from gcnloom.parallel.launch import device_of, open_in_turn, run_workers
from gcnloom.study.cases import Case
from gcnloom.study.meter import Meter
from gcnloom.study.prediction import Plan, predict
from gcnloom.training.device_trainer import trainer_for
from gcnloom.training.result import result
from gcnloom.transport import configuration

__all__ = ["foretell", "options_of", "train_case"]

KEPT = (
    "nodes", "edges", "features", "classes", "multipliers", "config_digest", "epochs", "validation",
    "accuracy", "weights_sha256", "parallel", "measured",
)  # fmt: skip
"""Of a training's results what a study keeps, and its loss and seconds."""
DIGITS = 6


class _Parser(argparse.ArgumentParser):
    """Parser that raises what is wrong with a study's file."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(f"{message}; try the options of gcnloom train --help")


def options_of(case: Case) -> argparse.Namespace:
    """Return the options of ``gcnloom train`` that a case stands for.

    Raises
    ------
    ConfigError
        It has none such.
    """
    parser = _Parser(prog="gcnloom")
    train.add_commands(parser.add_subparsers(parser_class=_Parser))
    try:
        return parser.parse_args(case.arguments)
    except ConfigError as error:
        raise ConfigError(f"mode {case.mode!r}: {error}") from None


def train_case(case: Case) -> dict[str, Any]:
    """Train; return what a study keeps of the results.

    They are those of ``gcnloom train --json``, and ``measured`` as
    :meth:`gcnloom.study.meter.Meter.end` has it; ``predicted`` is what
    :func:`gcnloom.study.prediction.predict` said before.
    """
    options, start = _begun(case)

    def work(communicator: Communicator) -> dict[str, Any]:
        return _work(options, start, communicator)

    predicted = predict(_plan(options, start))
    document = run_workers(case.workers, work)
    kept = {name: document[name] for name in KEPT if name in document}
    kept["validation"] = [each and round(each, DIGITS) for each in kept["validation"]]
    return kept | {
        "loss": document["loss"][-1], "seconds": round(document["seconds"]["total"], 2),
        "predicted": predicted,
    }  # fmt: skip


def foretell(case: Case) -> dict[str, Any]:
    """Return what an epoch will take, see :func:`gcnloom.study.prediction.predict`."""
    return predict(_plan(*_begun(case)))


def _begun(case: Case) -> tuple[argparse.Namespace, Start]:
    """Check a case's options and load its graph."""
    options = options_of(case)
    start = Start(
        begin=time.perf_counter(), settings=train.settings_of(options), path=Path(), first=None,
        earlier=None, progress=Progress(sys.stderr, quiet=True),
        graph=load_graph(options, options.seed),
    )  # fmt: skip
    if options.parallel != train.SINGLE:
        check_parallel(options, start)
    return options, start


def _plan(options: argparse.Namespace, start: Start) -> Plan:
    """Return what there is to foretell about a training; its devices are those of ``--config``."""
    return Plan(
        graph=start.graph, options=start.settings, config=configuration(options.config or "demo"),
        parallel=options.parallel, workers=options.workers, sampling=sampling_of(options),
        local_iterations=rounds_of(options)["local_iterations"],
    )  # fmt: skip


def _work(
    options: argparse.Namespace, start: Start, communicator: Communicator
) -> dict[str, Any]:  # fmt: skip
    """Train as one worker."""
    name = device_of(options.device, communicator.rank, communicator.size)
    mine = argparse.Namespace(**vars(options) | {"device": name})
    with open_in_turn(communicator, lambda: open_device(mine, start.progress)) as device:
        named = {"device": options.device, "config": mine.config}
        if options.parallel == train.SINGLE:
            alone = trainer_for(start.graph, start.settings, device)
            build = time.perf_counter() - start.begin
            meter = Meter(alone, device, communicator)
            alone.run(meter.watch)
            measured = meter.end()
            document = result(alone, begin=start.begin, build=build, **named)
        else:
            trainer = trainer_of(options, start, device, communicator)
            build = time.perf_counter() - start.begin
            meter = Meter(trainer, device, communicator)
            trainer.run(meter.watch)
            measured = meter.end()
            document = document_of(trainer, begin=start.begin, build=build, **named)
    return document | {"measured": measured}
