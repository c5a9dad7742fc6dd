# SPDX-License-Identifier: Apache-2.0
"""Predicted and measured cycles: of each kind of command, and of training passes."""

from collections.abc import Iterator, Sequence

from gcnloom.device import Device
from gcnloom.device import open as open_device
from gcnloom.graphs import datasets
from gcnloom.programs.program import Program
from gcnloom.training.engine import Engine
from gcnloom.training.loss import cross_entropy
from gcnloom.training.options import Options
from gcnloom.training.weights import first_weights
from gcnloom_sim.cycles import predict
from gcnloom_sim.cycles.cases import REPEATS, cases
from gcnloom_sim.cycles.timing import Timing

__all__ = ["COMMANDS", "PASSES", "command_rows", "pass_rows"]

COMMANDS = ("command", "items", "each", "measured", "program", "measured", "error")
PASSES = ("data", "configuration", "pass", "commands", "predicted", "measured", "error")
TRAINING = (("digits", "demo", 16), ("sbm:120,3", "odd", 8), ("sbm:60,3", "smallest", 4))


def command_rows(
    config_name: str, counts: Sequence[int], memory: str = "ideal"
) -> Iterator[tuple[object, ...]]:
    """Yield a row for every kind of command and number of items on one configuration.

    ``each`` are the cycles from one command to the next, in closed form and measured; the other
    two are those of a whole program of :data:`~gcnloom_sim.cycles.cases.REPEATS` commands.
    """
    with open_device(f"rtl:{config_name}", memory_megabytes=1, memory=memory) as device:
        timing = Timing(device.config)
        # The first run of all waits until the reset has gone through all units.
        next(cases(device.config, counts)).measure(device)
        for case in sorted(cases(device.config, counts), key=lambda case: case.name):
            program, counters = case.measure(device)
            _, longer = case.measure(device, 2 * REPEATS)
            predicted, measured = _predicted(program, device, memory), counters["cycles"]
            closed = case.interval(timing)
            each = f"{(longer['cycles'] - measured) / REPEATS:.1f}"
            yield (
                case.name,
                case.count,
                "" if closed is None else closed,
                each,
                predicted,
                measured,
                _error(predicted, measured),
            )


def pass_rows(memory: str = "ideal") -> Iterator[tuple[object, ...]]:
    """Yield a row for the forward and the backward pass of each of a few trainings."""
    for data, config_name, hidden in TRAINING:
        graph = datasets.load(data)
        options = Options(hidden=hidden)
        network = options.network(graph.features.shape[1], graph.classes)
        with open_device(f"rtl:{config_name}", memory=memory) as device:
            engine = Engine(graph, network, device)
            logits = engine.forward(first_weights(network, 0), step=0, training=True)
            engine.backward(cross_entropy(logits, graph.labels, graph.train)[1], step=0)
            for name in ("forward", "backward"):
                program = getattr(engine.lowered, name)
                predicted = _predicted(program, device, memory)
                measured = engine.counters[name]["cycles"]
                row = data, config_name, name, len(program), predicted, measured
                yield *row, _error(predicted, measured)


def _predicted(program: Program, device: Device, memory: str) -> int:
    return predict(program, device.config, memory, device.load(program)).cycles


def _error(predicted: int, measured: int) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %"
